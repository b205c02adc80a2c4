"""CSV in any encoding and with any delimiter that exports have: found out from the file, and said."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv

from hashing.reading.table import Source, refuse_repeated
from schemas.errors import ExtractError

DELIMITERS = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "bars",
    "^": "carets",
    "~": "tildes",
    "\x1f": "unit separators",
    "\x01": "start-of-heading marks",
}
"""Delimiter -> its name in the plural."""

_ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_LOOKED_AT = 65_536
"""Characters from which the delimiter is found."""
_LINES = 50
_HALF = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class _Text:
    """The file as UTF-8 without leading blank lines, and how it was encoded."""

    content: bytes
    encoding: str


def _zeros(raw: bytes) -> tuple[float, float]:
    """Return the shares of zero bytes at even and at odd places."""
    head = raw[:4096]
    half = max(len(head) // 2, 1)
    return head[0::2].count(0) / half, head[1::2].count(0) / half


def _candidates(raw: bytes, source: str) -> tuple[str, ...]:
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return ("utf-16",)
    even, odd = _zeros(raw)
    # Western text in UTF-16 has a zero in every second byte and hardly one elsewhere; database exports lack the mark.
    if odd > _HALF and even < 0.01:
        return ("utf-16-le",)
    if even > _HALF and odd < 0.01:
        return ("utf-16-be",)
    if even or odd:
        remedy = "Export it as CSV."
        if raw[:2] == b"PK":
            remedy = "If it is an Excel workbook, give its name the ending .xlsx; otherwise export it as CSV."
        raise ExtractError("is not a text file.", where=source, remedy=remedy)
    return ("utf-8-sig", "cp1252")


def _decode(raw: bytes, encoding: str | None, source: str) -> _Text:
    for candidate in (encoding,) if encoding else _candidates(raw, source):
        try:
            text = raw.decode(candidate)
        except UnicodeDecodeError:
            continue
        except LookupError:
            raise ExtractError(
                "this program knows no encoding of the name that the mapping gives.",
                where=source,
                remedy="Use a name such as utf-8, utf-16, windows-1252 or iso-8859-2.",
            ) from None
        name = _ENCODINGS.get(candidate) or ("Windows-1252" if candidate == "cp1252" else candidate)
        return _Text(content=text.lstrip("\ufeff").lstrip("\r\n").encode(), encoding=name)
    if encoding:
        raise ExtractError(
            "is not text in the encoding that the mapping gives.",
            where=source,
            remedy="Correct `encoding`, or leave it out.",
        )
    raise ExtractError(
        "is not text in UTF-8, UTF-16 or Windows-1252.",
        where=source,
        remedy="Export it again as CSV UTF-8, or name its `encoding` in mapping.yaml.",
    )


def _columns_by(delimiter: str, sample: str) -> tuple[int, float]:
    """Return how many columns the header has, and the share of the lines under it that have as many."""
    try:
        rows = [
            row
            for _, row in zip(
                range(_LINES), csv.reader(io.StringIO(sample), delimiter=delimiter), strict=False
            )
        ]
    except csv.Error:
        return 1, 0.0
    rows = [row for row in rows if row]
    if len(rows) < 2:
        return len(rows[0]) if rows else 1, 1.0
    # The last line of the sample may be cut.
    under = rows[1:-1] or rows[1:]
    return len(rows[0]), sum(len(row) == len(rows[0]) for row in under) / len(under)


def _delimiter(content: bytes) -> str:
    """Return the delimiter that makes most columns, among those that most lines agree with."""
    sample = content[:_LOOKED_AT].decode("utf-8", errors="ignore")
    sample = re.sub(r"\r\n?", "\n", sample)

    def fit(delimiter: str) -> tuple[bool, bool, int, float]:
        columns, share = _columns_by(delimiter, sample)
        return columns > 1, share >= _HALF, columns, share

    return max(DELIMITERS, key=fit)


def _header(content: bytes, delimiter: str, source: str) -> list[str]:
    line = re.match(rb"[^\r\n]*", content)[0].decode()  # type: ignore[index]
    if not line.strip():
        raise ExtractError("the file is empty.", where=source, remedy="Export it again.")
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]


def _parse(content: bytes, names: list[str], delimiter: str, source: str) -> pa.Table:
    bad_rows: list[int] = []

    def note_bad_row(row: pc_csv.InvalidRow) -> str:
        bad_rows.append(row.number or 0)
        return "skip"

    try:
        table = pc_csv.read_csv(
            pa.BufferReader(content),
            read_options=pc_csv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            parse_options=pc_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note_bad_row
            ),
            convert_options=pc_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
    except pa.ArrowInvalid:
        # The library's own message can quote cells, so it is not passed on.
        raise ExtractError(
            "is not well-formed CSV.",
            where=source,
            remedy="Check its quotes, and that every row is complete.",
        ) from None
    if bad_rows:
        listed = ", ".join(map(str, bad_rows[:5])) + (" …" if len(bad_rows) > 5 else "")
        raise ExtractError(
            f"{len(bad_rows)} row(s) have more or fewer columns than the header (row {listed}).",
            where=source,
            remedy="Correct those rows, or export the file again.",
        )
    return table


def _refuse_open_quote(content: bytes, table: pa.Table, source: str) -> None:
    """Refuse a file that ends inside a quoted cell: the cell has swallowed every row after its opening quote."""
    if content.count(b'"') % 2 == 0 or table.num_rows == 0:
        return
    last = [column[-1].as_py() or "" for column in table.columns]
    if any("\n" in cell or "\r" in cell for cell in last):
        raise ExtractError(
            f"a quotation mark in row {table.num_rows + 1} is never closed.",
            where=source,
            remedy="Close it, or export the file again.",
        )


def read_delimited(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Source:
    """Read a CSV file with every column as text.

    Args:
        path: The file.
        encoding: Its encoding, when the mapping states it; otherwise UTF-8 (with or without byte-order mark) or
            UTF-16 (also without one), and Windows-1252 when it is neither.
        delimiter: One character, when the mapping states it; otherwise found from the first lines.

    Raises:
        ExtractError: The file is empty, no text, or not well formed.
        OSError: It cannot be read.
    """
    source = str(path)
    text = _decode(path.read_bytes(), encoding, source)
    delimiter = delimiter or _delimiter(text.content)
    names = _header(text.content, delimiter, source)
    refuse_repeated(names, source)
    if not re.search(rb"[\r\n]+[^\r\n]", text.content):
        raise ExtractError("has a header but no rows.", where=source, remedy="Export it again.")
    table = _parse(text.content, names, delimiter, source)
    _refuse_open_quote(text.content, table, source)
    between = DELIMITERS.get(delimiter, "its own delimiter") if len(names) > 1 else "one column"
    return Source(table=table, read_as=f"CSV, {text.encoding}, {between}", first_row=2)
