"""64-bit hashes of text cells, whole columns at a time: how repeated rows and values are recognised in a stream.

A stream cannot be held to compare its rows with each other, so a cell is known again by its hash. Two lanes with
other constants make 128 bits: among ten million values the chance that any two share both is below 10^-24. The
constants are drawn anew by each process, so nobody can write cells that collide on purpose. The hashes never leave
the process and are no tokens.
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
    first, end = int(offsets[0]), int(offsets[-1])
    padded = np.zeros(end - first + _WORD, dtype=np.uint8)
    if data_buffer is not None:
        padded[: end - first] = np.frombuffer(data_buffer, dtype=np.uint8)[first:end]
    # Every word of eight bytes, at any byte: the strides overlap.
    words = np.ndarray((end - first + 1,), dtype="<u8", buffer=padded, strides=(1,))
    hashed = np.empty(size, dtype=np.uint64)
    for row in range(0, size, _BLOCK):  # so that what is worked on stays in the processor's cache
        block = offsets[row : row + _BLOCK + 1].astype(np.int64) - first
        hashed[row : row + _BLOCK] = _hash_block(words, block[:-1], np.diff(block), lane)
    if values.null_count:
        hashed[pc.is_null(values).to_numpy(zero_copy_only=False)] = _of_null(lane)
    return hashed


def _hash_block(words: Hashes, starts: NDArray[np.int64], lengths: NDArray[np.int64], lane: Lane) -> Hashes:
    state = (lengths.astype(np.uint64) << np.uint64(32)) ^ lane.start
    rows: NDArray[np.int64] | None = None
    done, left = 0, lengths
    while len(left):
        word = words[np.minimum(starts + done, len(words) - 1)] & _KEEP[np.clip(left, 0, _WORD)]
        part = state.copy() if rows is None else state[rows]
        mix(part, word, lane)
        if rows is None:  # whole blocks are worked while many strings go on; those that have ended stay
            np.copyto(state, part, where=left > 0 if done else True)
        else:
            state[rows] = part
        done += _WORD
        longer = left > _WORD
        if rows is not None or 4 * np.count_nonzero(longer) <= len(left):
            rows = np.flatnonzero(longer) if rows is None else rows[longer]
            starts, left = starts[longer], left[longer]
        left = left - _WORD
    return state


def hash_rows(columns: Sequence[Hashes], lane: Lane) -> Hashes:
    """Return one hash for each row of several columns of hashes."""
    state = np.full(len(columns[0]), lane.start, dtype=np.uint64)
    for column in columns:
        mix(state, column, lane)
    return state
