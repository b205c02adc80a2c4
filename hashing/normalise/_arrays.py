"""Whole-column byte work on Arrow strings: the fast half of every normaliser.

A column of strings is one run of bytes and n + 1 offsets. Upper-casing, dropping characters, counting and
picking the k-th character of every value are then single numpy calls over the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashing.native import columns
from hashing.normalise._latin import latin
from hashing.normalise.outcome import Normalised, Outcome

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


def byte_class(members: str) -> Mask:
    """A table of 256 flags, true for the bytes of `members` (ASCII)."""
    table = np.zeros(256, dtype=bool)
    table[np.frombuffer(members.encode("ascii"), dtype=np.uint8)] = True
    return table


DIGITS = byte_class("0123456789")
UPPER = byte_class("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
ALNUM = DIGITS | UPPER
SPACE = byte_class(" ")


def _upper_table() -> Bytes:
    table = np.arange(256, dtype=np.uint8)
    table[97:123] -= 32
    table[:32] = 32
    table[127] = 32
    return table


_TO_UPPER = _upper_table()


@dataclass(frozen=True, slots=True)
class Column:
    """n byte strings: value i is `data[offsets[i]:offsets[i + 1]]`; nulls are empty.

    Attributes:
        data: All bytes, uint8.
        offsets: n + 1 positions, int64, beginning at 0.
    """

    data: Bytes
    offsets: Ints

    @classmethod
    def of(cls, values: pa.StringArray) -> Column:
        """The bytes of `values` without copying them."""
        filled = pc.fill_null(values, "") if values.null_count else values
        _, offsets_buffer, data_buffer = filled.buffers()
        if len(filled) == 0:
            return cls(np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64))
        offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[
            filled.offset : filled.offset + len(filled) + 1
        ]
        data = np.frombuffer(data_buffer or b"", dtype=np.uint8)[offsets[0] : offsets[-1]]
        return cls(data, offsets.astype(np.int64) - int(offsets[0]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Lengths in bytes."""
        return np.diff(self.offsets)

    def count(self, members: Mask) -> Ints:
        """How many bytes of each value are in the class."""
        if columns.available():
            return columns.count(self.data, self.offsets, members)
        running = np.concatenate(([0], np.cumsum(members[self.data], dtype=np.int64)))
        return running[self.offsets[1:]] - running[self.offsets[:-1]]

    def keep(self, members: Mask) -> Column:
        """Every value without the bytes that are outside the class."""
        if columns.available():
            return Column(*columns.keep(self.data, self.offsets, members))
        kept = members[self.data]
        running = np.concatenate(([0], np.cumsum(kept, dtype=np.int64)))
        return Column(self.data[kept], running[self.offsets])

    def translate(self, table: Bytes) -> Column:
        """Every byte replaced through a table of 256."""
        translated = columns.translate(self.data, table) if columns.available() else table[self.data]
        return Column(translated, self.offsets)

    def at(self, position: int, rows: Ints | None = None) -> Bytes:
        """The byte at `position` of each value (negative: from the end), 0 where the value is too short."""
        if rows is None and columns.available():
            return columns.at(self.data, self.offsets, position)
        starts, ends = self.offsets[:-1], self.offsets[1:]
        if rows is not None:
            starts, ends = starts[rows], ends[rows]
        where = starts + position if position >= 0 else ends + position
        inside = (where >= starts) & (where < ends)
        if not len(self.data):
            return np.zeros(len(where), dtype=np.uint8)
        return np.where(inside, self.data[np.where(inside, where, 0)], 0).astype(np.uint8)

    def strings(self, null: Mask | None = None) -> pa.StringArray:
        """The column as an Arrow array, null where the flag is set."""
        validity = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little"))
        return pa.StringArray.from_buffers(
            len(self), pa.py_buffer(self.offsets.astype(np.int32)), pa.py_buffer(self.data), validity
        )


def matrix_strings(cells: Bytes, null: Mask) -> pa.StringArray:
    """Rows of a byte matrix, shape (n, width), as strings; zero bytes are left out."""
    present = cells != 0
    offsets = np.concatenate(([0], np.cumsum(present.sum(axis=1), dtype=np.int64)))
    return Column(cells[present], offsets).strings(null)


def fixed_strings(cells: Bytes, null: Mask) -> pa.StringArray:
    """Rows of a byte matrix, shape (n, width), as strings of that width; null where the flag is set."""
    kept = cells[~null]
    ends = np.cumsum(np.where(null, 0, cells.shape[1]), dtype=np.int64)
    return Column(kept.reshape(-1), np.concatenate(([0], ends))).strings(null)


def same_character(column: Column) -> Mask:
    """Flags values that are one character repeated (a single character included)."""
    if columns.available():
        return columns.same(column.data, column.offsets)
    lengths = column.lengths
    first = np.repeat(column.at(0), lengths)
    differing = np.concatenate(([0], np.cumsum(column.data != first, dtype=np.int64)))
    same = differing[column.offsets[1:]] == differing[column.offsets[:-1]]
    return np.asarray((lengths > 0) & same)


def as_strings(raw: pa.Array) -> pa.StringArray:
    """Any Arrow text (chunked, large, dictionary-coded, or all null) as one plain string array."""
    array = raw.combine_chunks() if isinstance(raw, pa.ChunkedArray) else raw
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def plain(raw: pa.Array) -> pa.StringArray:
    """ASCII capitals, control characters made spaces, ends trimmed; null stays null."""
    values = as_strings(raw)
    column = Column.of(values)
    if len(column.data) and int(column.data.max()) >= 128:
        wide = column.count(np.arange(256) >= 128) > 0
        rows = np.flatnonzero(wide)
        spelled = pa.array([latin(value) for value in values.take(pa.array(rows)).to_pylist()], pa.string())
        values = pc.replace_with_mask(values, pa.array(wide), spelled)
        column = Column.of(values)
    null = np.asarray(pc.is_null(values)) if values.null_count else None
    upper = column.translate(_TO_UPPER)
    spaced = bool(((upper.at(0) == 32) | (upper.at(-1) == 32)).any())
    return pc.ascii_trim(upper.strings(null), " ") if spaced else upper.strings(null)


def start_outcomes(values: pa.StringArray) -> Bytes:
    """MISSING for null and empty values, INVALID for the rest until a rule accepts them."""
    outcomes = np.full(len(values), Outcome.INVALID, dtype=np.uint8)
    outcomes[Column.of(values).lengths == 0] = Outcome.MISSING
    return outcomes


def is_in(values: pa.StringArray, members: pa.StringArray) -> Mask:
    """Membership as n flags."""
    return np.asarray(pc.is_in(values, value_set=members), dtype=bool)


def at_rows(values: pa.StringArray, rows: Mask, others: pa.StringArray) -> pa.StringArray:
    """The values with others, one a flag, where the flags are set."""
    return pc.replace_with_mask(values, pa.array(rows), others) if len(others) else values


def letters_for_kernels(values: pa.StringArray) -> Column | None:
    """The bytes of values of A to Z; None where there is something else in them, or there are no kernels."""
    if not columns.available():
        return None
    column = Column.of(values)
    data = column.data
    return None if len(data) and (data.min() < ord("A") or data.max() > ord("Z")) else column


def finish(values: pa.StringArray, outcomes: Bytes) -> Normalised:
    """Null every value whose outcome is not OK."""
    bad = pa.array(outcomes != Outcome.OK)
    return Normalised(values=pc.if_else(bad, pa.scalar(None, pa.string()), values), outcomes=outcomes)


def each(raw: pa.StringArray, rule: Callable[[str], tuple[str | None, Outcome]]) -> Normalised:
    """Apply a rule value by value; nulls are MISSING."""
    pairs = [(None, Outcome.MISSING) if value is None else rule(value) for value in raw.to_pylist()]
    return Normalised(
        values=pa.array([value for value, _ in pairs], pa.string()),
        outcomes=np.array([outcome for _, outcome in pairs], dtype=np.uint8),
    )
