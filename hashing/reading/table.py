"""What every reader returns, the clean cells it holds, and the refusals that all sources share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite, isnan
from typing import Any
from uuid import UUID

import pyarrow as pa

from schemas.errors import ExtractError


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A table as read.

    Attributes:
        table: Columns under their headers, any Arrow type.
        read_as: What it was taken for, in words for a person: "CSV, UTF-8, commas".
        first_row: Number that a person would give to the first row of `table`: 2 under a header line, else 1.
    """

    table: pa.Table
    read_as: str
    first_row: int


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


def text_table(names: Sequence[str], rows: Iterable[Sequence[Any]], source: str) -> pa.Table:
    """Return rows of cells as a table of text columns; rows without a single value are left out, as in CSV.

    Raises:
        ExtractError: A cell holds no plain value. Names row and column number.
    """
    columns: list[list[str | None]] = [[] for _ in names]
    for number, row in enumerate(rows, start=1):
        cells: list[str | None] = []
        for place, value in enumerate(row[: len(names)], start=1):
            try:
                cells.append(cell_text(value))
            except TypeError:
                raise ExtractError(
                    f"column {place} of row {number} does not hold text, a number or a date.",
                    where=source,
                    remedy="Export it as text.",
                ) from None
        if any(cell is not None for cell in cells):
            cells += [None] * (len(names) - len(cells))
            for column, cell in zip(columns, cells, strict=True):
                column.append(cell)
    return pa.table([pa.array(column, pa.string()) for column in columns], names=list(names))
