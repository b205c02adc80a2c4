"""Numbers for distinct 128-bit keys, batch after batch, in an open-addressing table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hashing.native import reading as native
from hashing.native.library import as_kind
from hashing.reading.hashes import Hashes

_EMPTY = np.int32(-1)
_SMALLEST = 1 << 12
_GROWTH = 4
_MOVED_AT_ONCE = 1 << 17
"""Keys that get their slots at a time when the table grows: more of them would take memory, not less time."""


class HashIndex:
    """Numbers distinct keys 0, 1, … in the order in which they first appear.

    A key is two hashes. The first says in which slot of the table its search begins (the table keeps 32 bits of it,
    for when it grows), the second, of 64 bits, whether a slot holds the same key: two keys are taken for one when the
    second hashes are equal and the first ones lead to one run of filled slots. Among ten million keys the chance of
    that is below 10^-11. The table holds 4 bytes a slot and at most half of its slots are filled; with the keys
    themselves that is 20 to 28 bytes a distinct key.

    Args:
        expected: Keys to make room for at once; more of them may come.
    """

    def __init__(self, expected: int = 0) -> None:
        self._slots = np.full(_SMALLEST, _EMPTY, dtype=np.int32)
        self._begin = np.empty(_SMALLEST // 2, dtype=np.uint32)
        self._same = np.empty(_SMALLEST // 2, dtype=np.uint64)
        self._count = 0
        self._reserve(expected)

    def __len__(self) -> int:
        return self._count

    def add(self, begin: Hashes, same: Hashes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Number keys.

        Args:
            begin: n first hashes.
            same: n second hashes.

        Returns:
            The number of each key, and for each key that is new the row where it first stands, by its number.
        """
        self._reserve(len(begin))
        if not native.available():
            return self._add_in_arrays(begin, same)
        begin, same = as_kind(begin, np.uint64), as_kind(same, np.uint64)
        numbers, rows = native.index_add(self._slots, self._begin, self._same, self._count, begin, same)
        self._count += len(rows)
        return numbers, rows

    def _add_in_arrays(self, begin: Hashes, same: Hashes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Number keys, for which there is room; as `add`."""
        slots = (begin & np.uint64(len(self._slots) - 1)).astype(np.int64)
        numbers = self._slots.take(slots)
        # Most keys are known and stand in their first slot; a free slot reads as some key, which `numbers` rules out.
        missed = (self._same.take(numbers, mode="clip") != same) | (numbers < 0)
        rest = np.flatnonzero(missed)
        if not len(rest):
            return numbers, rest
        at, keys = slots[rest], same[rest]
        found, claims = self._probe(at, keys)
        new, rows = self._number_new(at, keys, begin[rest], claims)
        numbers[rest] = np.where(claims < 0, found, new)
        return numbers, rest[rows]

    def _probe(self, slots: NDArray[np.int64], keys: Hashes) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Search slot by slot, and let the rows of each new key claim one slot together.

        Args:
            slots: Where the search of each of n rows begins; in place, where it ended.
            keys: The second hashes.

        Returns:
            Of each row the number of its key, and the row whose claim on a slot stands for it when it is new; -1 for
            the one of the two that it has not.
        """
        mask = np.int64(len(self._slots) - 1)
        found = np.full(len(keys), -1, dtype=np.int32)
        claims = np.full(len(keys), -1, dtype=np.int32)
        rows = np.arange(len(keys))
        while len(rows):
            at = slots[rows]
            held = self._slots.take(at)
            free = np.flatnonzero(held == _EMPTY)
            # A claim is written as -2 - row; of several that write to one slot, one stays.
            self._slots[at[free]] = (-2 - rows[free]).astype(np.int32)
            held[free] = self._slots.take(at[free])
            known = held >= 0
            other = self._same.take(held, mode="clip")
            claimed = np.flatnonzero(~known)
            other[claimed] = keys[-2 - held[claimed]]
            same = other == keys[rows]
            hit = np.flatnonzero(same & known)
            found[rows[hit]] = held[hit]
            shared = np.flatnonzero(same & ~known)
            claims[rows[shared]] = -2 - held[shared]
            rows = rows[~same]
            slots[rows] = (slots[rows] + 1) & mask
        return found, claims

    def _number_new(
        self, slots: NDArray[np.int64], keys: Hashes, begin: Hashes, claims: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Number the claims in the order of their first rows.

        Returns:
            The number of each row that has a claim, and the first row of each number.
        """
        fresh = np.flatnonzero(claims >= 0)
        claim = claims[fresh]
        # All rows of one new key share a claim; going backwards, the last to write is the first of them.
        first = np.empty(len(keys), dtype=np.int64)
        first[claim[::-1]] = fresh[::-1]
        rows: NDArray[np.int64] = fresh[first[claim] == fresh]
        end = self._count + len(rows)
        number_of = np.empty(len(keys), dtype=np.int32)
        number_of[claims[rows]] = np.arange(self._count, end, dtype=np.int32)
        numbers = number_of.take(claims, mode="clip")
        self._slots[slots[rows]] = numbers[rows]
        self._begin[self._count : end] = begin[rows].astype(np.uint32)
        self._same[self._count : end] = keys[rows]
        self._count = end
        return numbers, rows

    def _reserve(self, more: int) -> None:
        """Make room for `more` keys, so that at most half of the slots are filled."""
        wanted = self._count + more
        if wanted > len(self._same):
            # Room that is not used yet costs address space, not memory; moving what is there costs twice its size.
            room = max(wanted, len(self._same) * _GROWTH)
            for name in ("_begin", "_same"):
                held = getattr(self, name)
                grown = np.empty(room, dtype=held.dtype)
                grown[: self._count] = held[: self._count]
                setattr(self, name, grown)
        if 2 * wanted > len(self._slots):
            self._slots = np.empty(0, dtype=np.int32)  # let go of it before the larger one comes
            self._slots = np.full(1 << (2 * wanted - 1).bit_length(), _EMPTY, dtype=np.int32)
            if native.available():
                native.index_place(self._slots, self._begin, self._count)
                return
            for start in range(0, self._count, _MOVED_AT_ONCE):
                self._place(np.arange(start, min(start + _MOVED_AT_ONCE, self._count), dtype=np.int32))

    def _place(self, numbers: NDArray[np.int32]) -> None:
        """Give distinct keys that are numbered already their slots."""
        mask = np.int64(len(self._slots) - 1)
        slots = self._begin[numbers].astype(np.int64) & mask
        while len(numbers):
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = numbers[free]
            left = self._slots[slots] != numbers
            numbers, slots = numbers[left], (slots[left] + 1) & mask
