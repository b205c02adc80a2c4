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


def mix(state: Hashes, words: Hashes, lane: Lane) -> None:
    """Take `words` into `state`, in place: exclusive or, then twice a multiplication and a shift, each one-to-one."""
    state ^= words
    state *= lane.first
    state ^= state >> _SHIFTS[0]
    state *= lane.second
    state ^= state >> _SHIFTS[1]


@dataclass(frozen=True, slots=True)
class Cells:
    """n text cells as distinct-or-not values and, where they repeat, the place of each cell's value.

    Attributes:
        values: Text values, nulls allowed.
        places: Shape (n,), int32, -1 for a null; None when `values` are the n cells themselves.
    """

    values: pa.StringArray
    places: NDArray[np.int32] | None = None

    @classmethod
    def of(cls, array: pa.Array) -> Cells:
        """Return text, as strings or dictionary-coded, as cells."""
        if not pa.types.is_dictionary(array.type):
            return cls(array)
        places = array.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        return cls(_strings(array.dictionary), places)

    @classmethod
    def repeated(cls, array: pa.Array) -> Cells:
        """Return text that is expected to repeat, dictionary-coded."""
        return cls.of(array if pa.types.is_dictionary(array.type) else array.dictionary_encode())

    def hashes(self, lane: Lane) -> Hashes:
        """Return the hash of each cell."""
        hashed = hash_strings(self.values, lane)
        return hashed if self.places is None else np.append(hashed, _of_null(lane))[self.places]

    def take(self, rows: NDArray[np.int64]) -> pa.StringArray:
        """Return the texts of `rows`."""
        if self.places is None:
            return self.values.take(pa.array(rows))
        places = self.places[rows]
        return self.values.take(pa.array(places, mask=places < 0))


def _strings(array: pa.Array) -> pa.StringArray:
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def _of_null(lane: Lane) -> np.uint64:
    return np.uint64(
        int(lane.start) ^ 0x9E3779B97F4A7C15
    )  # no text has it by construction of its length term


def hash_strings(values: pa.StringArray, lane: Lane) -> Hashes:
    """Return the hash of each of n strings; all nulls have one hash, which is not that of the empty string.

    Eight bytes at a time, for many strings at once; the length goes into the start.
    """
    size = len(values)
    _, offsets_buffer, data_buffer = values.buffers()
    if size == 0:
        return np.zeros(0, dtype=np.uint64)
    offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[values.offset : values.offset + size + 1]
    data = np.frombuffer(data_buffer or b"", dtype=np.uint8)
    hashed = np.empty(size, dtype=np.uint64)
    for row in range(0, size, _BLOCK):  # so that what is worked on stays in the processor's cache
        block = offsets[row : row + _BLOCK + 1]
        hashed[row : row + _BLOCK] = _hash_block(data[block[0] : block[-1]], block - block[0], lane)
    if values.null_count:
        hashed[pc.is_null(values).to_numpy(zero_copy_only=False)] = _of_null(lane)
    return hashed


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
        mix(part, words & _KEEP[min(length - done, _WORD)], lane)
    if whole:
        return part
    mix(state, np.zeros(1, dtype=np.uint64), lane)
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
        mix(state[first:], word, lane)
        low = high
    return state


def hash_rows(columns: Sequence[Hashes], lane: Lane) -> Hashes:
    """Return one hash for each row of several columns of hashes."""
    state = np.full(len(columns[0]), lane.start, dtype=np.uint64)
    for column in columns:
        mix(state, column, lane)
    return state
