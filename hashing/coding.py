"""Dictionary coding: the agency step works on small integer codes of distinct values, not on text rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.native import codes as native

Codes = NDArray[np.int32]
"""Codes of distinct values, -1 for a missing one."""

Rows = NDArray[np.int32] | NDArray[np.int64]
"""Numbers of rows; 32 bits serve, as no column has 2^31."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coded:
    """A column of codes and the distinct values they stand for.

    Attributes:
        codes: Shape (rows,), int32; -1 where the value is missing.
        values: Distinct values, no nulls; `codes` index it.
    """

    codes: Codes
    values: pa.StringArray

    def take(self, rows: Rows) -> Coded:
        """Return the column of `rows` only, over the same values."""
        return Coded(codes=at(self.codes, rows), values=self.values)


class Column(Protocol):
    """A column of values, by code: plain (`Coded`), derived from another (`Mapped`), or made of two."""

    @property
    def codes(self) -> Codes:
        """Shape (rows,), int32; -1 where the value is missing."""

    @property
    def values(self) -> pa.StringArray:
        """Distinct values, no nulls; `codes` index it."""

    def take(self, rows: NDArray[np.int64]) -> Column:
        """Return the column of `rows` only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """A column that is a function of another: rows hold the codes of the other one, so no memory is needed a row.

    Attributes:
        source: Shape (rows,), int32: codes of the column it derives from, -1 where that is missing.
        table: Shape (distinct values of the source + 1,), int32: their codes here; the last entry, -1, stands for a
            missing source.
        values: Distinct values here, no nulls.
    """

    source: Codes
    table: Codes
    values: pa.StringArray

    @property
    def codes(self) -> Codes:
        """Shape (rows,), int32; -1 where the value is missing."""
        return looked_up(self.table, self.source)

    def take(self, rows: Rows) -> Mapped:
        """Return the column of `rows` only, over the same values."""
        return Mapped(source=at(self.source, rows), table=self.table, values=self.values)

    def codes_at(self, rows: Rows) -> Codes:
        """Return the codes of `rows`, as `take` and `codes` would, in one go."""
        return looked_up(self.table, self.source, rows)


def at(codes: Codes, rows: Rows) -> Codes:
    """Return the codes of `rows`."""
    return native.look_up(codes, rows=rows) if native.available() else codes[rows]


def looked_up(table: Codes, source: Codes, rows: Rows | None = None) -> Codes:
    """Return the entry of `table` for each code of `source`, or for those of `rows`; -1 has the last entry."""
    if native.available():
        return native.look_up(source, rows=rows, table=table)
    found: Codes = np.take(table, source if rows is None else source[rows], mode="wrap")
    return found


def words_at(words: NDArray[np.uint64], rows: Codes) -> NDArray[np.uint64]:
    """Return the words of `rows`."""
    return native.pick(words, rows) if native.available() else words[rows]


def mark(flags: NDArray[np.uint64], source: Codes, marked: NDArray[np.uint64]) -> None:
    """Add to what is `marked` of each row, in place, the flags of its code; -1 has the last ones."""
    if native.available():
        native.mark(flags, source, marked)
    else:
        marked |= np.take(flags, source, mode="wrap")


def codes_at(column: Column, rows: Rows) -> Codes:
    """Return the codes that `rows` have in a column."""
    if isinstance(column, Mapped):
        return column.codes_at(rows)
    return column.take(rows.astype(np.int64, copy=False)).codes


def over(source: Codes, target: Coded) -> Mapped:
    """Return the column whose distinct source values stand for the rows of `target`."""
    return Mapped(source=source, table=np.append(target.codes, np.int32(-1)), values=target.values)


def same(source: Coded) -> Mapped:
    """Return the column as derived from itself: each value stands for itself."""
    table = np.append(np.arange(len(source.values), dtype=np.int32), np.int32(-1))
    return Mapped(source=source.codes, table=table, values=source.values)


def in_order(codes: Codes, size: int, rows: Rows | None = None) -> tuple[Codes, Codes]:
    """Number codes anew, in the order in which they first appear.

    Args:
        codes: Shape (rows,), int32; -1 for a missing value, which stays -1.
        size: No code is as large.
        rows: Whose codes, in what order; None for all as they stand.

    Returns:
        The new codes, and the old one of each new one.
    """
    if native.available():
        return native.in_order(codes, size, rows)
    return _in_order(codes if rows is None else codes[rows], size)


def _in_order(codes: Codes, size: int) -> tuple[Codes, Codes]:
    first = np.empty(size + 1, dtype=np.int32)
    first[codes[::-1]] = np.arange(
        len(codes) - 1, -1, -1, dtype=np.int32
    )  # the last to write is the first row
    old = codes[(first[codes] == np.arange(len(codes), dtype=np.int32)) & (codes >= 0)]
    new = np.empty(size + 1, dtype=np.int32)
    new[-1] = -1
    new[old] = np.arange(len(old), dtype=np.int32)
    return new[codes], old


def by_appearance(column: Coded, rows: Rows | None = None) -> tuple[Coded, Codes]:
    """Return the same column with its values numbered in the order in which they first appear in the rows.

    Lookups by row then touch memory in order where values are nearly unique, and frequent values lie together.

    Args:
        column: The column.
        rows: Which of its rows, in what order; None for all as they stand.

    Returns:
        The column, and the place of each of its values among the ones before.
    """
    codes, old = in_order(column.codes, len(column.values), rows)
    return Coded(codes=codes, values=column.values.take(pa.array(old))), old


def encode(values: pa.StringArray) -> Coded:
    """Dictionary-encode a text column; nulls get the code -1."""
    encoded = values.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return Coded(codes=codes, values=encoded.dictionary)


def recode(source: Coded, mapped: pa.StringArray) -> Coded:
    """Replace each distinct value of `source` by its entry in `mapped` (null: missing)."""
    target = encode(mapped)
    if len(target.codes) == 0:
        return Coded(codes=np.full(len(source.codes), -1, dtype=np.int32), values=target.values)
    codes = np.where(source.codes >= 0, target.codes[source.codes], np.int32(-1))
    return Coded(codes=codes.astype(np.int32, copy=False), values=target.values)


_LARGEST_KEY = 1 << 62
"""Tuples of codes are written as one number while it stays below this."""


_FEWEST_BITS = 10
"""Bits of the places of the smallest table of buckets."""

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, odd: multiplicative hashing (Knuth, The Art of Computer Programming 3, section 6.4)."""


def factorize(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return dense codes of `keys` in order of first appearance, and how many distinct ones there are."""
    return native.factorize(keys) if native.available() else _factorize(keys)


def _factorize(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Do what `factorize` says.

    The first row of each key is found through a table of slots; the few keys that share a slot with another one
    are told apart by Arrow.
    """
    rows = np.arange(len(keys), dtype=np.int64)
    bits = max((4 * len(keys)).bit_length(), 10)
    slots = ((keys.view(np.uint64) * _ODD) >> np.uint64(64 - bits)).astype(np.int64)
    table = np.empty(1 << bits, dtype=np.int32)
    table[slots[::-1]] = rows[::-1]  # the last to write is the first row
    first = table.take(slots).astype(np.int64)
    rest = np.flatnonzero(keys.take(first) != keys)
    if len(rest):
        codes = pa.array(keys[rest]).dictionary_encode().indices.to_numpy(zero_copy_only=False)
        begins = np.empty(len(rest), dtype=np.int64)
        begins[codes[::-1]] = rest[::-1]
        first[rest] = begins[codes]
    number = np.cumsum(first == rows)
    return number.take(first) - 1, int(number[-1]) if len(keys) else 0


def combine(columns: Sequence[NDArray[np.int32] | NDArray[np.int64]]) -> tuple[NDArray[np.int64], int]:
    """Return dense codes of the tuples made of `columns` (missing counts as a value), and their number."""
    keys = columns[0].astype(np.int64) + 1
    size = int(keys.max(initial=0)) + 1
    for column in columns[1:]:
        span = int(column.max(initial=-1)) + 2
        if size * span >= _LARGEST_KEY:
            keys, size = factorize(keys)
        keys = keys * span + (column.astype(np.int64) + 1)
        size *= span
    return factorize(keys)


def _mixed(columns: Sequence[NDArray[np.int32] | NDArray[np.int64]]) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each tuple made of `columns`."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for column in columns:
        np.bitwise_xor(mixed, column.astype(np.uint64), out=mixed)
        np.multiply(mixed, _ODD, out=mixed)
        np.bitwise_xor(mixed, mixed >> np.uint64(32), out=mixed)
    return np.multiply(mixed, _ODD, out=mixed)


def repeated(
    columns: Sequence[NDArray[np.int32] | NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return which rows bear a tuple of `columns` that another row bears too, its dense code, and how many there are.

    Tuples are told apart by a hash of 64 bits: of a million rows, two different ones are taken for one with a chance
    of 3 in 10^8. That serves counting only.
    """
    return _shared(_mixed(columns))


def shared(columns: Sequence[Codes]) -> tuple[Rows, NDArray[np.int64], int, int]:
    """Return, of the rows that hold all `columns`, those that share their tuple with another one.

    Returns:
        The rows, the dense code of the tuple of each and how many there are, all as of `repeated`; and how many rows
        hold all columns.
    """
    rows, mixed = native.hash_tuples(columns) if native.available() else _mixed_where_held(columns)
    places, codes, count = _shared(mixed)
    return rows[places], codes, count, len(rows)


def _mixed_where_held(columns: Sequence[Codes]) -> tuple[Rows, NDArray[np.uint64]]:
    rows = np.flatnonzero(np.all([column >= 0 for column in columns], axis=0))
    return rows, _mixed([column[rows] for column in columns])


def _shared(mixed: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return which rows bear a hash that another row bears too, its dense code, and how many there are."""
    rows = suspects(mixed, 1).astype(np.int64)
    codes, count = factorize(mixed[rows].view(np.int64))
    often = np.bincount(codes, minlength=count) > 1
    kept = often[codes]
    dense = np.cumsum(often) - 1
    return rows[kept], dense[codes[kept]], int(often.sum())


def suspects(hashes: NDArray[np.uint64], limit: int) -> Rows:
    """Return where hashes stand of which more than `limit` may be equal: whichever are left out are not.

    Args:
        hashes: Their last bits are as good as random, so that they spread over buckets.
        limit: At least 0.
    """
    if native.available():
        return native.suspects(hashes, limit)
    bits = max(len(hashes).bit_length() + 1, _FEWEST_BITS)
    bucket = (hashes & np.uint64((1 << bits) - 1)).astype(np.int64)
    return np.flatnonzero(np.bincount(bucket, minlength=1)[bucket] > limit)
