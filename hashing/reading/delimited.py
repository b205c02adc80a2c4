"""CSV in any encoding and with any delimiter that exports have: found out from the file, and said."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv

from hashing.reading import delimited_faults as faults
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
_LARGEST_BLOCK = 1 << 26
"""The same where one row is larger than that."""
_HEADER_LINES = 20
"""Most lines that the cells of one header may have."""
_FORMULA = '(?s)^="(.*)"$'
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


def _records(content: bytes, delimiter: str) -> Iterator[tuple[bytes, list[str]]]:
    """Yield the first rows of a text, each with its bytes and its cells; a quoted cell may hold line breaks."""
    lines = re.findall(rb"[^\r\n]*(?:\r\n|\n|\r|$)", content[:_LOOKED_AT])
    at = 0
    while at < len(lines):
        reader = csv.reader((line.decode(errors="replace") for line in lines[at:]), delimiter=delimiter)
        try:
            cells = next(reader, [])
        except csv.Error:
            cells = []
        # A quotation mark that is never closed would swallow the rest: then the row is one line.
        taken = reader.line_num if 0 < reader.line_num <= _HEADER_LINES else 1
        if taken != reader.line_num:
            cells = _cells(lines[at], delimiter)
        yield b"".join(lines[at : at + taken]), cells
        at += taken


def _cells(line: bytes, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line.decode(errors="replace").rstrip("\r\n")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _below_titles(text: Text, delimiter: str | None, expected: Collection[str]) -> tuple[Text, str]:
    """Return the text from its header line on, and its delimiter, found out unless it is given."""
    found = delimiter or _delimiter(text.head)
    for each in dict.fromkeys([found, *(DELIMITERS if delimiter is None else ())]):
        records = list(islice(_records(text.head, each), LINES_LOOKED_AT))
        place = header_line([cells for _, cells in records], expected)
        if place is not None:
            titles = sum(len(record) for record, _ in records[:place])
            below = replace(
                text, head=text.head[titles:], size=text.size - titles, titles=titles, above=place
            )
            return below, each
    return text, found


def _header(content: bytes, delimiter: str, source: str) -> tuple[list[str], bytes]:
    """Return the names of the columns, and the bytes of the header."""
    record, names = next(_records(content, delimiter), (b"", []))
    if not record.strip():
        raise ExtractError("the file is empty.", where=source, remedy="Export it again.")
    return [" ".join(name.split()) for name in names], record


@dataclass(frozen=True, kw_only=True, slots=True)
class _Body:
    """The rows of a file, below its header.

    Attributes:
        path: The file.
        text: Its text, of which everything down to the header counts as titles.
        names: Headers.
        delimiter: What parts its cells.
        formulas: Whether cells may be written as formulas (`="007"`), by which some systems keep leading zeros.
        first_row: Number that a person would give to the first row.
    """

    path: Path
    text: Text
    names: list[str]
    delimiter: str
    formulas: bool
    first_row: int

    def blocks(self, size: int, ragged: list[int], widths: list[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in blocks of `size` bytes; of those that are not as wide as the header, tell which and how."""

        def leave_out(row: pc_csv.InvalidRow) -> str:
            ragged.append((row.number or 1) - 1)
            widths.append(row.actual_columns)
            return "skip"

        with opened(self.path, self.text) as stream:
            yield from pc_csv.open_csv(
                stream,
                # Without threads the parser counts rows, so that those it leaves out can be told.
                read_options=pc_csv.ReadOptions(use_threads=False, column_names=self.names, block_size=size),
                parse_options=pc_csv.ParseOptions(
                    delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=leave_out
                ),
                convert_options=pc_csv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )

    def rows(self, ragged: list[int], widths: list[int]) -> Iterator[pa.RecordBatch]:
        """Yield the rows in blocks; where one row is larger than a block, read on in larger ones."""
        done = 0
        for size in (_BLOCK, _LARGEST_BLOCK):
            ragged.clear()
            widths.clear()
            seen = 0
            try:
                for block in self.blocks(size, ragged, widths):
                    seen += block.num_rows
                    if seen > done:
                        yield block.slice(block.num_rows - (seen - done))
                        done = seen
            except pa.ArrowInvalid as error:
                if "straddl" not in str(error) or size == _LARGEST_BLOCK:
                    raise
            else:
                return


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with formulas that hold a text (`="007"`) as that text."""
    columns = [pc.replace_substring_regex(column, _FORMULA, r"\1") for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _batches(body: _Body, ragged: list[int]) -> Generator[pa.RecordBatch, None, None]:
    source = str(body.path)
    rows = 0
    last = None
    widths: list[int] = []
    held: list[pa.RecordBatch] = []

    def joined() -> pa.RecordBatch:
        return _plain(pa.concat_batches(held)) if body.formulas else pa.concat_batches(held)

    try:
        for block in body.rows(ragged, widths):
            rows += block.num_rows
            held.append(block)
            if sum(each.num_rows for each in held) >= BATCH_ROWS:
                yield joined()
                held = []
            last = block if block.num_rows else last
    except pa.ArrowInvalid as error:
        raise faults.not_well_formed(
            error,
            odd_quotes=body.text.odd_quotes,
            below=body.first_row - 1 + rows + len(ragged),
            source=source,
        ) from None
    except OSError as error:
        raise ExtractError(
            f"cannot be read to its end ({error.strerror or 'the drive does not answer'}).",
            where=source,
            remedy="Copy it to a disk of this machine and try again.",
        ) from None
    total = rows + len(ragged)
    if body.text.odd_quotes and last is not None:
        faults.refuse_open_quote(last, body.first_row + total - 1, source)
    is_last_ragged = bool(ragged) and ragged[-1] == total - 1
    faults.refuse_ragged(
        ragged, widths, columns=len(body.names), rows=rows, first_row=body.first_row, source=source
    )
    if body.text.odd_quotes or is_last_ragged:
        faults.refuse_cut(
            _last_line(body), body.delimiter, len(body.names), body.first_row + total - 1, source
        )
    if held:
        yield joined()


def _last_line(body: _Body) -> str:
    """Return what stands after the last line break, at most so much as the delimiter is found from."""
    rest = b""
    with opened(body.path, body.text) as stream:
        while part := stream.read(_LOOKED_AT):
            rest = (rest + part)[-_LOOKED_AT:]
    return re.split(rb"[\r\n]", rest)[-1].decode(errors="replace")


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
    names, header = _header(text.head, delimiter, source)
    refuse_repeated(names, source)
    if text.whole and not text.head[len(header) :].strip(b"\r\n"):
        raise no_rows(source)
    between = DELIMITERS.get(delimiter, "its own delimiter") if len(names) > 1 else "one column"
    ragged: list[int] = []
    body = _Body(
        path=path,
        text=replace(text, titles=text.titles + len(header)),
        names=names,
        delimiter=delimiter,
        formulas=b'="' in text.head,
        first_row=text.above + 2,
    )
    return Source(
        names=tuple(names),
        batches=ahead(_batches(body, ragged)),
        read_as=f"CSV, {text.encoding}, {between}" + header_words(text.above),
        first_row=body.first_row,
        ragged=ragged,
        expected=text.size * text.head.count(b"\n") // max(len(text.head), 1),
    )
