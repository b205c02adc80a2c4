"""What every reader returns, the clean cells it holds, and the refusals that all sources share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain
from math import isfinite, isnan
from typing import Any
from uuid import UUID

import pyarrow as pa

from schemas.errors import ExtractError

BATCH_ROWS = 65_536
"""Rows of one batch: large enough that a batch's overhead is lost in it, small enough to forget."""

RAGGED = "more or fewer columns than the header"
"""Reason why a row that is not as wide as the header is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A table, read batch by batch.

    Attributes:
        names: Headers.
        batches: Columns under their headers, any Arrow type. They can be read once; reading may raise ExtractError.
        read_as: What it was taken for, in words for a person: "CSV, UTF-8, commas".
        first_row: Number that a person would give to the first row: 2 under a header line, else 1.
        ragged: Rows that were left out because they are not as wide as the header, numbered from 0 among all rows.
            Complete when `batches` are read to their end.
        wanted: Headers to read, filled before the first batch is taken; all where it is empty. A reader that has to
            read all in any case does so.
        expected: Rows, where they are known or can be estimated before they are read; otherwise 0.
    """

    names: tuple[str, ...]
    batches: Iterator[pa.RecordBatch]
    read_as: str
    first_row: int
    ragged: list[int] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    expected: int = 0

    def table(self) -> pa.Table:
        """Read everything into one table."""
        return pa.Table.from_batches(self.batches)

    def sample(self, rows: int) -> pa.Table:
        """Read the first `rows` rows, or somewhat more."""
        taken: list[pa.RecordBatch] = []
        while (
            sum(batch.num_rows for batch in taken) < rows and (batch := next(self.batches, None)) is not None
        ):
            taken.append(batch)
        return pa.Table.from_batches(taken)


def no_rows(source: str) -> ExtractError:
    """Return the refusal of a source that has columns and no row."""
    return ExtractError("has a header but no rows.", where=source, remedy="Export it again.")


def with_rows(batches: Iterator[pa.RecordBatch], source: str) -> Iterator[pa.RecordBatch]:
    """Take the first batch, so that a source without rows is refused at once, and return all of them.

    Raises:
        ExtractError: There is no row.
    """
    first = next(batches, None)
    if first is None:
        raise no_rows(source)
    return chain([first], batches)


def fold(name: str) -> str:
    """Return a header without case, spaces and punctuation, as headers are compared."""
    return "".join(ch for ch in name.strip().lower() if ch.isalnum())


def refuse_repeated(names: Sequence[str], source: str) -> None:
    """Refuse two columns of one name.

    Raises:
        ExtractError: Names the two places; in a file without a header line the "name" is a person's.
    """
    first: dict[str, int] = {}
    for number, name in enumerate(map(fold, names), start=1):
        if name and first.setdefault(name, number) != number:
            raise ExtractError(
                f"columns {first[name]} and {number} have the same name in the first line.",
                where=source,
                remedy="Give each column its own name; the first line must be the header.",
            )


def _number_text(value: float | Decimal) -> str | None:
    """Return a number without the decimal point of a whole one; a database's "not a number" is an empty cell."""
    if isnan(value):
        return None
    return str(int(value)) if isfinite(value) and value == int(value) else str(value)


def cell_text(value: Any) -> str | None:
    """Return a cell of a workbook or a database as the text that an export would hold; None where it is empty.

    Whole numbers have no decimal point, and a time of midnight is left off, because spreadsheets and databases hold
    references as floats and dates as timestamps.

    Raises:
        TypeError: The cell is no text, number, date or truth value. The message names the type only.
    """
    match value:
        case None | str():
            return value or None
        case bool():
            return "TRUE" if value else "FALSE"
        case float() | Decimal():
            return _number_text(value)
        case datetime():
            return value.date().isoformat() if value.time() == time(0) else value.isoformat(sep=" ")
        case int() | date() | time() | UUID():
            return str(value)
        case _:
            raise TypeError(type(value).__name__)


def text_batches(
    names: Sequence[str], rows: Iterable[Sequence[Any]], source: str, *, size: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield rows of cells as batches of text columns; rows without a single value are left out, as in CSV.

    Raises:
        ExtractError: A cell holds no plain value. Names row and column number.
    """
    columns: list[list[str | None]] = [[] for _ in names]

    def batch() -> pa.RecordBatch:
        arrays = [pa.array(column, pa.string()) for column in columns]
        for column in columns:
            column.clear()
        return pa.RecordBatch.from_arrays(arrays, names=list(names))

    for number, row in enumerate(rows, start=1):
        cells = _cells(row[: len(names)], number, source)
        if any(cell is not None for cell in cells):
            cells += [None] * (len(names) - len(cells))
            for column, cell in zip(columns, cells, strict=True):
                column.append(cell)
            if columns and len(columns[0]) >= size:
                yield batch()
    if columns and columns[0]:
        yield batch()


def _cells(row: Sequence[Any], number: int, source: str) -> list[str | None]:
    cells: list[str | None] = []
    for place, value in enumerate(row, start=1):
        try:
            cells.append(cell_text(value))
        except TypeError:
            raise ExtractError(
                f"column {place} of row {number} does not hold text, a number or a date.",
                where=source,
                remedy="Export it as text.",
            ) from None
    return cells
