"""One sheet of an Excel workbook (optional extra `excel`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from hashing.reading.headers import LINES_LOOKED_AT, header_line, header_words
from hashing.reading.table import Source, cell_text, refuse_repeated, text_batches, with_rows
from schemas.errors import ExtractError

ENDINGS = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
"""Endings of workbooks, in lower case."""

_CHUNK = 1_000
_LOOKED_AT = 100
"""Rows of a sheet, empty ones included, among which its header is looked for before all are read."""


def _place(workbook: Any, sheet: str | None, expected: Collection[str], source: str) -> int:
    """Return which sheet is read, from 0: the one that is named, or the first that has a header; else the first."""
    names = list(workbook.sheet_names)
    if sheet is not None:
        if sheet not in names:
            raise ExtractError(
                "the workbook has no sheet of the name that the mapping gives.",
                where=source,
                remedy="Correct `sheet` in mapping.yaml; capitals count.",
            )
        return names.index(sheet)
    for place in range(len(names)):
        rows = workbook.get_sheet_by_index(place).to_python(skip_empty_area=True, nrows=_LOOKED_AT)
        if header_line(map(_headers, filter(_is_filled, rows)), expected) is not None:
            return place
    return 0


def _cells(path: Path, sheet: str | None, expected: Collection[str]) -> tuple[list[list[Any]], int, int]:
    """Return the rows of the sheet, its place from 1, and how many sheets there are."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise ExtractError(
            "this is a workbook, and the reader of workbooks is not installed.",
            where=str(path),
            remedy="Install the extra `excel` (pip install 'tallystick[excel]'), or save the sheet as CSV UTF-8.",
        ) from None
    try:
        workbook = CalamineWorkbook.from_path(path)
        sheets = len(workbook.sheet_names)
        place = _place(workbook, sheet, expected, str(path))
        rows = workbook.get_sheet_by_index(place).to_python(skip_empty_area=True) if sheets else []
    except (CalamineError, ValueError, TypeError):
        # The library's own message can quote the content, so it is not passed on.
        raise ExtractError("is not a readable workbook.", where=str(path), remedy=_remedy(path)) from None
    return rows, place + 1, sheets


def _remedy(path: Path) -> str:
    """Say what to do about a file that is no workbook; many systems write web pages and text under such names."""
    with path.open("rb") as stream:
        begin = stream.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    if begin.startswith(b"<"):
        return "It is a web page or XML under the name of a workbook: open it in Excel and save it as .xlsx."
    if begin and not begin.startswith(b"PK") and b"\0" not in begin.removeprefix(b"\xff\xfe")[::2]:
        return "It is text under the name of a workbook: give its name the ending .csv."
    return "If it has a password, save it without one; otherwise save it again as .xlsx."


def _chunks(rows: Sequence[list[Any]]) -> Iterator[Sequence[list[Any]]]:
    """Yield some rows at a time; a duration, which no column of ours can be, is text like the rest."""
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        if any(type(cell) is timedelta for row in chunk for cell in row):
            chunk = [[str(cell) if type(cell) is timedelta else cell for cell in row] for row in chunk]
        yield chunk


def _is_filled(row: Sequence[Any]) -> bool:
    return any(cell not in {"", None} for cell in row)


def _headers(row: Sequence[Any]) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in row]


def read_workbook(path: Path, *, sheet: str | None = None, expected: Collection[str] = ()) -> Source:
    """Read one sheet, whose header is the first row that is not empty, or the one below the titles.

    Args:
        path: The workbook (.xlsx, .xlsm, .xlsb, .xls or .ods).
        sheet: Name of the sheet; when None the first one that has a header, for notes may stand before it. Which of how
            many was read is said.
        expected: Headers that the mapping names: with those that are known anyway they tell which row is the header,
            where titles stand above it.

    Raises:
        ExtractError: The extra is not installed, or the file, the sheet or a cell cannot be read.
        OSError: The file cannot be read.
    """
    source = str(path)
    path.open("rb").close()  # so that a missing file is told like any other
    rows, place, sheets = _cells(path, sheet, expected)
    filled = [number for number, row in enumerate(rows) if _is_filled(row)]
    if not filled:
        raise ExtractError(
            "the sheet is empty.", where=source, remedy="Name another under `sheet` in mapping.yaml."
        )
    titles = header_line([_headers(rows[number]) for number in filled[:LINES_LOOKED_AT]], expected) or 0
    above = filled[titles] if titles else 0
    headers = [" ".join((cell_text(cell) or "").split()) for cell in rows[filled[titles]]]
    refuse_repeated(headers, source)
    below = [rows[number] for number in filled[titles + 1 :]]
    return Source(
        names=tuple(headers),
        batches=with_rows(text_batches(headers, _chunks(below), source), source),
        read_as=f"Excel, sheet {place} of {sheets}" + header_words(above),
        first_row=above + 2,
    )
