"""What every reader returns, the clean cells it holds, and the refusals that all sources share."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from itertools import chain, zip_longest
from math import isfinite, isnan
from types import NoneType
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
                f"columns {first[name]} and {number} have the same name in the header.",
                where=source,
                remedy="Give each column its own name; the first line must be the header.",
            )


def _number_text(value: float | Decimal) -> str | None:
    """Return a number without the decimal point of a whole one; a database's "not a number" is an empty cell."""
    if value.is_nan() if isinstance(value, Decimal) else isnan(value):
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


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Stop the search for reference cycles: rows of cells have none, and it takes half the time of making them."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def text_batches(
    names: Sequence[str], chunks: Iterable[Sequence[Sequence[Any]]], source: str, *, size: int = BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield rows of cells as batches of text columns; rows without a single value are left out, as in CSV.

    Args:
        names: Headers.
        chunks: Some rows at a time; about 1,000 stay in the processor's cache until they are columns.
        source: The source, for messages.
        size: Rows of a batch, or somewhat more.

    Raises:
        ExtractError: A cell holds no plain value. Names row and column number.
    """
    coming, before = iter(chunks), 0
    held: list[pa.RecordBatch] = []
    while True:
        with _collector_paused():
            rows = next(coming, None)
            if rows is None:
                break
            held.append(_text_batch(names, rows, before, source))
            before += len(rows)
            del rows
        if sum(batch.num_rows for batch in held) >= size:
            yield pa.concat_batches(held)
            held = []
    if any(batch.num_rows for batch in held):
        yield pa.concat_batches(held)


def _text_batch(
    names: Sequence[str], rows: Sequence[Sequence[Any]], before: int, source: str
) -> pa.RecordBatch:
    """Return rows, of which `before` came earlier, as text columns, without those that have no value."""
    columns = [
        _text_column(cells, place, before, source)
        for place, cells in enumerate(_columns(rows, len(names)), start=1)
    ]
    batch = pa.RecordBatch.from_arrays(columns, names=list(names))
    if columns and all(column.null_count for column in columns):
        empty = np.all([pc.is_null(column).to_numpy(zero_copy_only=False) for column in columns], axis=0)
        batch = batch.filter(pa.array(~empty))
    return batch


def _columns(rows: Sequence[Sequence[Any]], width: int) -> list[tuple[Any, ...]]:
    """Return the columns of rows, as many as there are headers; a row that is too short ends in empty cells."""
    found = list(zip(*rows, strict=True) if len(set(map(len, rows))) == 1 else zip_longest(*rows))[:width]
    return found + [(None,) * len(rows)] * (width - len(found))


def _text_column(cells: Sequence[Any], place: int, before: int, source: str) -> pa.StringArray:
    """Return the cells of a column as text.

    Args:
        cells: The cells.
        place: Number of the column, from 1, for messages.
        before: Rows that came before.
        source: The source, for messages.
    """
    kinds = set(map(type, cells))
    if kinds <= {str, NoneType}:
        texts = pa.array(cells, pa.string())
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    if kinds <= {int, NoneType}:
        return pa.array([None if cell is None else str(cell) for cell in cells], pa.string())
    if kinds <= {date, NoneType}:
        return pa.array(cells, pa.date32()).cast(pa.string())
    if kinds <= {datetime, NoneType} and (texts := _midnights(cells)) is not None:
        return texts
    try:
        if kinds <= {Decimal, NoneType}:
            return pa.array(map(_decimal_text, cells), pa.string(), size=len(cells))
        return pa.array(map(cell_text, cells), pa.string(), size=len(cells))
    except TypeError:
        row = next(row for row, cell in enumerate(cells, start=before + 1) if not _is_plain(cell))
        raise ExtractError(
            f"column {place} of row {row} does not hold text, a number or a date.",
            where=source,
            remedy="Export it as text.",
        ) from None


def _decimal_text(cell: Decimal | None) -> str | None:
    text = str(cell)
    return text if text.isdigit() else cell_text(cell)


def _midnights(cells: Sequence[datetime | None]) -> pa.StringArray | None:
    """Return timestamps without a time of day as dates; None where one has a time or a zone."""
    if any(cell is not None and cell.tzinfo is not None for cell in cells):
        return None
    stamps = pa.array(cells, pa.timestamp("us"))
    days = stamps.cast(pa.date32(), safe=False)
    whole = pc.all(pc.equal(days.cast(pa.timestamp("us")), stamps)).as_py()
    return None if whole is False else days.cast(pa.string())


def _is_plain(cell: Any) -> bool:
    try:
        cell_text(cell)
    except TypeError:
        return False
    return True
