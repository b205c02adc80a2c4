"""64-bit hashes of text cells, whole columns at a time: how repeated rows and values are recognised in a stream.

A stream cannot be held to compare its rows with each other, so a cell is known again by its hash. Two lanes with
other constants make 128 bits (how an index compares them: reading/index.py). The constants are drawn anew by each
process, so nobody can write cells that collide on purpose. The hashes never leave the process and are no tokens.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing.native import reading as native
from hashing.native.library import as_kind

Hashes = NDArray[np.uint64]

_WORD = 8
_BLOCK = 8192
_KEEP = np.array([(1 << (8 * size)) - 1 for size in range(_WORD + 1)], dtype=np.uint64)
"""Mask of the first n bytes of a little-endian word."""
_SHIFTS = (np.uint64(32), np.uint64(29))


@dataclass(frozen=True, slots=True)
class Lane:
    """The constants of one hash function: a start and two odd multipliers."""

    start: np.uint64
    first: np.uint64
    second: np.uint64

    @classmethod
    def of(cls, material: bytes) -> Lane:
        """Return the lane made of 24 bytes."""
        start, first, second = np.frombuffer(material, dtype="<u8")
        one = np.uint64(1)
        return cls(np.uint64(start), np.uint64(first) | one, np.uint64(second) | one)


LANES = (Lane.of(secrets.token_bytes(24)), Lane.of(secrets.token_bytes(24)))


def mix(state: Hashes, words: Hashes, lane: Lane, places: NDArray[np.int32] | None = None) -> None:
    """Take a word into each of n states, in place: exclusive or, then twice a multiplication and a shift.

    Args:
        state: Shape (n,).
        words: The word of each; or, with `places`, the words that they index, the last one for -1.
        lane: The hash function.
        places: Shape (n,), or None.
    """
    if native.available():
        native.mix(state, as_kind(words, np.uint64), places, lane.first, lane.second)
    else:
        _mix_in_arrays(state, words if places is None else words[places], lane)


def _mix_in_arrays(state: Hashes, words: Hashes, lane: Lane) -> None:
    state ^= words
    state *= lane.first
    state ^= state >> _SHIFTS[0]
    state *= lane.second
    state ^= state >> _SHIFTS[1]


def of_null(lane: Lane) -> np.uint64:
    """Return the hash of a null, which no text has but by chance: it is the start of none."""
    return np.uint64(int(lane.start) ^ 0x9E3779B97F4A7C15)


def hash_texts(
    values: pa.StringArray, lanes: tuple[Lane, Lane] = LANES, *, null: bool = False
) -> tuple[Hashes, Hashes]:
    """Return the hashes of each of n strings in two lanes; all nulls have one hash, not that of the empty string.

    Eight bytes at a time; the length goes into the start.

    Args:
        values: The strings.
        lanes: The hash functions.
        null: Whether the hash of a null is to stand at the end of each, once more.
    """
    low, high = (np.full(len(values) + null, of_null(lane)) for lane in lanes)
    kept = slice(len(values))
    if not native.available():
        for hashed, lane in zip((low, high), lanes, strict=True):
            _hash_in_arrays(values, lane, hashed[kept])
        return low, high
    offsets, data = text_buffers(values)
    valid = np.frombuffer(values.buffers()[0], dtype=np.uint8) if values.null_count else None
    constants = np.array([[lane.start, lane.first, lane.second] for lane in lanes], dtype=np.uint64)
    native.hash_texts(data, offsets, valid, values.offset, constants, low[kept], high[kept])
    return low, high


def text_buffers(values: pa.StringArray) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return where each of n texts begins in what they stand in, and where the last one ends, and the bytes of it."""
    _, offsets, data = values.buffers()
    if len(values) == 0:  # its buffers may be missing
        return np.zeros(1, dtype=np.int32), np.zeros(0, dtype=np.uint8)
    held = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values) + 1]
    return held, np.frombuffer(data or b"", dtype=np.uint8)


def _hash_in_arrays(values: pa.StringArray, lane: Lane, hashed: Hashes) -> None:
    offsets, data = text_buffers(values)
    for row in range(0, len(values), _BLOCK):  # so that what is worked on stays in the processor's cache
        block = offsets[row : row + _BLOCK + 1]
        hashed[row : row + _BLOCK] = _hash_block(data[block[0] : block[-1]], block - block[0], lane)
    if values.null_count:
        hashed[pc.is_null(values).to_numpy(zero_copy_only=False)] = of_null(lane)


def _hash_block(data: NDArray[np.uint8], offsets: NDArray[np.int32], lane: Lane) -> Hashes:
    """Return the hashes of the strings that lie between `offsets` of `data`, one after the other."""
    lengths = np.diff(offsets)
    longest = int(lengths.max())
    # A word is cut out of two aligned ones, so there are two more of them than any string reaches.
    padded = np.zeros((len(data) + longest) // _WORD * _WORD + 2 * _WORD, dtype=np.uint8)
    padded[: len(data)] = data
    state = (lengths.astype(np.uint64) << np.uint64(32)) ^ lane.start
    if longest * np.count_nonzero(lengths) == len(data):
        return _hash_equal(padded, longest, lengths > 0, state, lane)
    words = padded.view("<u8")
    count = np.maximum((lengths + (_WORD - 1)) >> 3, 1)  # the empty string has a word too
    ended = np.cumsum(np.bincount(count))
    if ended[1] == len(count):
        return _hash_by_words(words, offsets[:-1], lengths, state, ended, lane)
    # By their number of words, so that those that go on are always the last ones.
    order = np.argsort(count.astype(np.min_scalar_type(len(ended))), kind="stable")
    state[order] = _hash_by_words(
        words, offsets.take(order), lengths.take(order), state.take(order), ended, lane
    )
    return state


def _hash_equal(
    padded: NDArray[np.uint8], length: int, filled: NDArray[np.bool_], state: Hashes, lane: Lane
) -> Hashes:
    """Return the states of strings with all of their words; all that are not empty have one length.

    Most columns of numbers and dates are such: no place of a string has to be looked up.
    """
    whole = bool(filled.all())
    part = state if whole else state[filled]
    for done in range(0, length, _WORD):
        words = np.ndarray((len(part),), dtype="<u8", buffer=padded, offset=done, strides=(length,))
        _mix_in_arrays(part, words & _KEEP[min(length - done, _WORD)], lane)
    if whole:
        return part
    _mix_in_arrays(state, np.zeros(1, dtype=np.uint64), lane)
    state[filled] = part
    return state


def _hash_by_words(
    words: Hashes,
    starts: NDArray[np.int32],
    lengths: NDArray[np.int32],
    state: Hashes,
    ended: NDArray[np.int64],
    lane: Lane,
) -> Hashes:
    """Return the states of strings with all of their words, in place.

    Args:
        words: What the strings stand in, as aligned words.
        starts: Where each of n strings begins, in bytes; strings of fewer words come first.
        lengths: Bytes of each.
        state: State of each.
        ended: For k from 0, how many strings have at most k words; none has 0.
        lane: The hash function.
    """
    place = starts.astype(np.int64) >> 3
    shift = ((starts & 7) << 3).astype(np.uint64)
    back = np.uint64(63) - shift
    low = words.take(place)
    for step, first in enumerate(ended[:-1].tolist()):
        # A string's bytes lie across two aligned words; the second one is the first of its next step.
        high = words.take(place[first:] + (step + 1))
        word = low[len(low) - len(high) :] >> shift[first:]
        word |= (high << np.uint64(1)) << back[first:]
        last = int(ended[step + 1]) - first
        word[:last] &= _KEEP.take(lengths[first : first + last] - step * _WORD)
        _mix_in_arrays(state[first:], word, lane)
        low = high
    return state


def hash_rows(columns: Sequence[Hashes], lane: Lane) -> Hashes:
    """Return one hash for each row of several columns of hashes."""
    state = np.full(len(columns[0]), lane.start, dtype=np.uint64)
    for column in columns:
        mix(state, column, lane)
    return state
