"""Numbers for distinct 128-bit keys, batch after batch: an open-addressing table worked in whole arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashing.reading.hashes import Hashes

_EMPTY = np.int32(-1)
_SMALLEST = 1 << 12
_GROWTH = 4

Keys = NDArray[np.uint64]
"""Shape (n, 2): the halves of n keys."""


def _same(left: Keys, right: Keys) -> NDArray[np.bool_]:
    return np.asarray((left[:, 0] == right[:, 0]) & (left[:, 1] == right[:, 1]))


class HashIndex:
    """Numbers distinct keys 0, 1, … in the order in which they first appear.

    A key is two 64-bit hashes. The table holds 4 bytes a slot and at most half of its slots are filled; with the keys
    themselves that is 24 to 32 bytes a distinct key.
    """

    def __init__(self) -> None:
        self._slots = np.full(_SMALLEST, _EMPTY, dtype=np.int32)
        self._keys = np.empty((_SMALLEST // 2, 2), dtype=np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, high: Hashes, low: Hashes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Number keys.

        Args:
            high: n first halves.
            low: n second halves.

        Returns:
            The number of each key, and for each key that is new the row where it first stands, by its number.
        """
        self._reserve(len(high))
        keys = np.column_stack((high, low))
        slots = (high & np.uint64(len(self._slots) - 1)).astype(np.int64)
        numbers = self._slots.take(slots)
        # Most keys are known and stand in their first slot; a free slot reads as some key, which `numbers` rules out.
        hit = _same(self._keys.take(numbers, axis=0, mode="clip"), keys) & (numbers >= 0)
        rest = np.flatnonzero(~hit)
        numbers[rest] = -1
        claims = self._probe(keys, slots, rest, numbers)
        return numbers, self._number_new(keys, slots, claims, numbers)

    def _probe(
        self, keys: Keys, slots: NDArray[np.int64], rows: NDArray[np.int64], numbers: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """Find the numbers of `rows` slot by slot, in place, and let the rows of each new key claim one slot together.

        Returns:
            The row whose claim on a slot stands for a new key; -1 for a key that has a number.
        """
        mask = np.int64(len(self._slots) - 1)
        claims = np.full(len(keys), -1, dtype=np.int32)
        while len(rows):
            at = slots[rows]
            held = self._slots.take(at)
            free = np.flatnonzero(held == _EMPTY)
            # A claim is written as -2 - row; of several that write to one slot, one stays.
            self._slots[at[free]] = (-2 - rows[free]).astype(np.int32)
            held[free] = self._slots.take(at[free])
            known = held >= 0
            other = self._keys.take(held, axis=0, mode="clip")
            claimed = np.flatnonzero(~known)
            other[claimed] = keys.take(-2 - held[claimed], axis=0)
            same = _same(other, keys.take(rows, axis=0))
            found = np.flatnonzero(same & known)
            numbers[rows[found]] = held[found]
            shared = np.flatnonzero(same & ~known)
            claims[rows[shared]] = -2 - held[shared]
            rows = rows[~same]
            slots[rows] = (slots[rows] + 1) & mask
        return claims

    def _number_new(
        self, keys: Keys, slots: NDArray[np.int64], claims: NDArray[np.int32], numbers: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Number the claims in the order of their first rows, in place, and return those rows."""
        fresh = np.flatnonzero(claims >= 0)
        claim = claims[fresh]
        # All rows of one new key share a claim; going backwards, the last to write is the first of them.
        first = np.empty(len(keys), dtype=np.int64)
        first[claim[::-1]] = fresh[::-1]
        rows: NDArray[np.int64] = fresh[first[claim] == fresh]
        end = self._count + len(rows)
        number_of = np.empty(len(keys), dtype=np.int32)
        number_of[claims[rows]] = np.arange(self._count, end, dtype=np.int32)
        numbers[fresh] = number_of[claim]
        self._slots[slots[rows]] = numbers[rows]
        self._keys[self._count : end] = keys[rows]
        self._count = end
        return rows

    def _reserve(self, more: int) -> None:
        """Make room for `more` keys, so that at most half of the slots are filled."""
        wanted = self._count + more
        if wanted > len(self._keys):
            # Room that is not used yet costs address space, not memory; moving what is there costs twice its size.
            grown = np.empty((max(wanted, len(self._keys) * _GROWTH), 2), dtype=np.uint64)
            grown[: self._count] = self._keys[: self._count]
            self._keys = grown
        if 2 * wanted <= len(self._slots):
            return
        self._slots = np.full(1 << (2 * wanted - 1).bit_length(), _EMPTY, dtype=np.int32)
        mask = np.int64(len(self._slots) - 1)
        slots = (self._keys[: self._count, 0] & np.uint64(mask)).astype(np.int64)
        numbers = np.arange(self._count, dtype=np.int32)
        while len(numbers):
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = numbers[free]
            left = self._slots[slots] != numbers
            numbers, slots = numbers[left], (slots[left] + 1) & mask
