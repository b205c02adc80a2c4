"""What is wrong with a CSV file, in words: where, and what to do; never what stands there."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from schemas.errors import ExtractError

MOST_RAGGED = 0.05
"""Largest share of rows that may be wider or narrower than the header; beyond it, it is the delimiter that is wrong."""
_FEWEST_CELLS = 2
"""Cells from which a short last row is taken for the beginning of one, not for a line such as "39 rows"."""


def not_well_formed(error: pa.ArrowInvalid, *, odd_quotes: bool, below: int, source: str) -> ExtractError:
    """Return the refusal of a file that the parser gave up; its own message can quote cells, so it is not passed on.

    Args:
        error: What the parser said.
        odd_quotes: Whether the number of quotation marks is odd.
        below: Number of the last row that was read.
        source: The file.
    """
    where = f"{source}, below row {below}"
    if odd_quotes:
        return ExtractError(
            "a quotation mark is never closed.", where=where, remedy="Close it, or export the file again."
        )
    if "straddl" in str(error):
        return ExtractError(
            "a row is longer than 64 MB.",
            where=where,
            remedy="Export the file without its long texts; no column of them is used.",
        )
    return ExtractError(
        "is not well-formed CSV.", where=where, remedy="Check its quotes, and that every row is complete."
    )


def refuse_ragged(
    ragged: Sequence[int], widths: Sequence[int], *, columns: int, rows: int, first_row: int, source: str
) -> None:
    """Refuse a file in which so many rows are not as wide as the header that it is read in a wrong way.

    Args:
        ragged: Those rows, from 0.
        widths: Columns of each.
        columns: Columns of the header.
        rows: How many others there are.
        first_row: Number of the first row.
        source: The file.
    """
    if len(ragged) <= MOST_RAGGED * (rows + len(ragged)):
        return
    listed = ", ".join(str(row + first_row) for row in ragged[:5]) + (" …" if len(ragged) > 5 else "")
    usual, count = Counter(widths).most_common(1)[0]
    most = "all" if count == len(widths) else "most"
    raise ExtractError(
        f"{len(ragged)} row(s) have more or fewer columns than the header (row {listed}): the header has {columns}, "
        f"{most} of them {usual}.",
        where=source,
        remedy="Correct those rows or the header (a line break in a column's name splits it), name another "
        "`delimiter` in mapping.yaml, or export the file again.",
    )


def refuse_open_quote(last: pa.RecordBatch, row: int, source: str) -> None:
    """Refuse a file that ends inside a quoted cell: the cell has swallowed every row after its opening quote."""
    cells = [column[-1].as_py() or "" for column in last.columns]
    if any("\n" in cell or "\r" in cell for cell in cells):
        raise ExtractError(
            f"a quotation mark in row {row} is never closed.",
            where=source,
            remedy="Close it, or export the file again.",
        )


def _is_open(line: str, delimiter: str) -> bool:
    """Tell whether a line ends inside a quoted cell."""
    try:
        next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def refuse_cut(line: str, delimiter: str, columns: int, row: int, source: str) -> None:
    """Refuse a file that ends in the middle of a row: what should follow is missing, and nobody would know.

    Args:
        line: What stands after the last line break.
        delimiter: What parts its cells.
        columns: Columns of the header.
        row: Number of the last row.
        source: The file.
    """
    cells = line.split(delimiter) if '"' not in line else next(csv.reader([line], delimiter=delimiter), [])
    if (line and _is_open(line, delimiter)) or _FEWEST_CELLS <= len(cells) < columns:
        raise ExtractError(
            f"the file ends in the middle of row {row}, so it was cut off, and rows may be missing.",
            where=source,
            remedy="Export or copy it again; if it is complete, end that row, or remove it.",
        )
