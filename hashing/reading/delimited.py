"""CSV in any encoding and with any delimiter that exports have: found out from the file, and said."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv

from hashing.reading.ahead import ahead
from hashing.reading.encoded import Text, decoded, opened
from hashing.reading.headers import LINES_LOOKED_AT, header_line, header_words
from hashing.reading.table import BATCH_ROWS, Source, no_rows, refuse_repeated
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

_LOOKED_AT = 65_536
"""Bytes from which the delimiter is found."""
_BLOCK = 1 << 20
"""Bytes that are parsed at a time, so that they stay in the processor's cache."""
MOST_RAGGED = 0.05
"""Largest share of rows that may be wider or narrower than the header; beyond it, it is the delimiter that is wrong."""
_LINES = 50
_HALF = 0.5


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


def _lines(content: bytes) -> list[bytes]:
    """Return the first lines of a text with their ends."""
    return re.findall(rb"[^\r\n]*(?:\r\n|\n|\r)", content[:_LOOKED_AT])[:LINES_LOOKED_AT]


def _cells(line: bytes, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.decode(errors="replace").rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _below_titles(text: Text, delimiter: str | None, expected: Collection[str]) -> tuple[Text, str]:
    """Return the text from its header line on, and its delimiter, found out unless it is given."""
    found = delimiter or _delimiter(text.head)
    lines = _lines(text.head)
    for each in dict.fromkeys([found, *(DELIMITERS if delimiter is None else ())]):
        place = header_line([_cells(line, each) for line in lines], expected)
        if place is not None:
            titles = sum(map(len, lines[:place]))
            below = replace(
                text, head=text.head[titles:], size=text.size - titles, titles=titles, above=place
            )
            return below, each
    return text, found


def _header(content: bytes, delimiter: str, source: str) -> list[str]:
    line = re.match(rb"[^\r\n]*", content)[0].decode()  # type: ignore[index]
    if not line.strip():
        raise ExtractError("the file is empty.", where=source, remedy="Export it again.")
    return [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]


def _not_well_formed(text: Text, rows: int, source: str) -> ExtractError:
    # The library's own message can quote cells, so it is not passed on.
    where = f"{source}, below row {rows + text.above + 1}"
    if text.odd_quotes:
        return ExtractError(
            "a quotation mark is never closed.", where=where, remedy="Close it, or export the file again."
        )
    return ExtractError(
        "is not well-formed CSV.", where=where, remedy="Check its quotes, and that every row is complete."
    )


def _blocks(
    path: Path, text: Text, names: list[str], delimiter: str, ragged: list[int]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in blocks of the parser's size; rows that are not as wide as the header go to `ragged`."""

    def leave_out(row: pc_csv.InvalidRow) -> str:
        ragged.append((row.number or 2) - 2)  # the header is row 1
        return "skip"

    with opened(path, text) as stream:
        yield from pc_csv.open_csv(
            stream,
            # Without threads the parser counts rows, so that those it leaves out can be told.
            read_options=pc_csv.ReadOptions(
                use_threads=False, column_names=names, skip_rows=1, block_size=_BLOCK
            ),
            parse_options=pc_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=leave_out
            ),
            convert_options=pc_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )


def _batches(
    path: Path, text: Text, names: list[str], delimiter: str, ragged: list[int]
) -> Generator[pa.RecordBatch, None, None]:
    source = str(path)
    rows = 0
    last = None
    held: list[pa.RecordBatch] = []
    try:
        for block in _blocks(path, text, names, delimiter, ragged):
            rows += block.num_rows
            held.append(block)
            if sum(each.num_rows for each in held) >= BATCH_ROWS:
                yield pa.concat_batches(held)
                held = []
            last = block if block.num_rows else last
    except pa.ArrowInvalid:
        raise _not_well_formed(text, rows + len(ragged), source) from None
    except OSError as error:
        raise ExtractError(
            f"cannot be read to its end ({error.strerror or 'the drive does not answer'}).",
            where=source,
            remedy="Copy it to a disk of this machine and try again.",
        ) from None
    if text.odd_quotes and last is not None:
        _refuse_open_quote(last, rows + len(ragged) + text.above, source)
    _refuse_ragged(ragged, rows, source, text.above + 2)
    if held:
        yield pa.concat_batches(held)


def _refuse_ragged(ragged: list[int], rows: int, source: str, first_row: int) -> None:
    """Refuse a file in which so many rows are not as wide as the header that it is read in a wrong way."""
    if len(ragged) > MOST_RAGGED * (rows + len(ragged)):
        listed = ", ".join(str(row + first_row) for row in ragged[:5]) + (" …" if len(ragged) > 5 else "")
        raise ExtractError(
            f"{len(ragged)} row(s) have more or fewer columns than the header (row {listed}).",
            where=source,
            remedy="Correct those rows, name another `delimiter` in mapping.yaml, or export the file again.",
        )


def _refuse_open_quote(last: pa.RecordBatch, rows: int, source: str) -> None:
    """Refuse a file that ends inside a quoted cell: the cell has swallowed every row after its opening quote."""
    cells = [column[-1].as_py() or "" for column in last.columns]
    if any("\n" in cell or "\r" in cell for cell in cells):
        raise ExtractError(
            f"a quotation mark in row {rows + 1} is never closed.",
            where=source,
            remedy="Close it, or export the file again.",
        )


def read_delimited(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None, expected: Collection[str] = ()
) -> Source:
    """Open a CSV file, which is read in batches with every column as text.

    The whole file is gone through once for its encoding, and a second time when the batches are read.

    Args:
        path: The file.
        encoding: Its encoding, when the mapping states it; otherwise UTF-8 (with or without byte-order mark) or
            UTF-16 (also without one), and Windows-1252 when it is neither.
        delimiter: One character, when the mapping states it; otherwise found from the first lines.
        expected: Headers that the mapping names: with those that are known anyway they tell which line is the header,
            where titles stand above it.

    Raises:
        ExtractError: The file is empty, no text, or not well formed. While the batches are read, also when more than
            one row in twenty is not as wide as the header.
        OSError: It cannot be read.
    """
    source = str(path)
    text, delimiter = _below_titles(decoded(path, encoding, source), delimiter, expected)
    names = _header(text.head, delimiter, source)
    refuse_repeated(names, source)
    if text.whole and not re.search(rb"[\r\n]+[^\r\n]", text.head):
        raise no_rows(source)
    between = DELIMITERS.get(delimiter, "its own delimiter") if len(names) > 1 else "one column"
    ragged: list[int] = []
    return Source(
        names=tuple(names),
        batches=ahead(_batches(path, text, names, delimiter, ragged)),
        read_as=f"CSV, {text.encoding}, {between}" + header_words(text.above),
        first_row=text.above + 2,
        ragged=ragged,
        expected=text.size * text.head.count(b"\n") // max(len(text.head), 1),
    )
