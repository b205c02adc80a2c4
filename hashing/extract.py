"""Read an agency's extract into text columns under their logical names."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from hashing.mapping import COLUMNS, AgencyMapping
from schemas.errors import ExtractError, MappingError

_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """An extract as read.

    Attributes:
        agency: Name of the agency.
        columns: Logical column -> text values (null where the cell is empty); absent columns are left out.
        rows: Number of rows.
        source: The file, for messages.
    """

    agency: str
    columns: dict[str, pa.StringArray]
    rows: int
    source: str


def _decode(raw: bytes, source: str) -> str:
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        candidates: tuple[str, ...] = ("utf-16",)
    else:
        candidates = ("utf-8-sig", "cp1252")
    for encoding in candidates:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ExtractError(
        "is not text in UTF-8, UTF-16 or Windows-1252.", where=source, remedy="Export it again as CSV UTF-8."
    )


def _header(text: str, source: str) -> tuple[str, list[str]]:
    """Return the delimiter and the header names."""
    line = re.match(r"[\r\n]*([^\r\n]*)", text)[1]  # type: ignore[index]
    if not line.strip():
        raise ExtractError("the file is empty.", where=source, remedy="Export it again.")
    delimiter = max(_DELIMITERS, key=line.count)
    return delimiter, [name.strip() for name in next(csv.reader([line], delimiter=delimiter))]


def _read_csv(path: Path) -> pa.Table:
    raw = path.read_bytes()
    if b"\0" in raw[:4096] and raw[:2] not in {b"\xff\xfe", b"\xfe\xff"}:
        raise ExtractError("is not a text file.", where=str(path), remedy="Export it as CSV.")
    text = _decode(raw, str(path))
    del raw
    delimiter, names = _header(text, str(path))
    _refuse_repeated(names, str(path))
    if not re.search(r"[\r\n]+[^\r\n]", text.lstrip("\r\n")):
        raise ExtractError("has a header but no rows.", where=str(path), remedy="Export it again.")
    bad_rows: list[int] = []

    def note_bad_row(row: pc_csv.InvalidRow) -> str:
        bad_rows.append(row.number or 0)
        return "skip"

    try:
        table = pc_csv.read_csv(
            io.BytesIO(text.lstrip("\r\n").encode()),
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
            where=str(path),
            remedy="Check its quotes, and that every row is complete.",
        ) from None
    if bad_rows:
        listed = ", ".join(map(str, bad_rows[:5])) + (" …" if len(bad_rows) > 5 else "")
        raise ExtractError(
            f"{len(bad_rows)} row(s) have more or fewer columns than the header (row {listed}).",
            where=str(path),
            remedy="Correct those rows, or export the file again.",
        )
    _refuse_open_quote(text, table, str(path))
    return table


def _refuse_repeated(names: list[str], source: str) -> None:
    first: dict[str, int] = {}
    for number, name in enumerate(map(_fold, names), start=1):
        if name and first.setdefault(name, number) != number:
            # In a file without a header line the "name" is a person's, so only the place is told.
            raise ExtractError(
                f"columns {first[name]} and {number} have the same name in the first line.",
                where=source,
                remedy="Give each column its own name; the first line must be the header.",
            )


def _refuse_open_quote(text: str, table: pa.Table, source: str) -> None:
    """Refuse a file that ends inside a quoted cell: the cell has swallowed every row after its opening quote."""
    if text.count('"') % 2 == 0 or table.num_rows == 0:
        return
    last = [column[-1].as_py() or "" for column in table.columns]
    if any("\n" in cell or "\r" in cell for cell in last):
        raise ExtractError(
            f"a quotation mark in row {table.num_rows + 1} is never closed.",
            where=source,
            remedy="Close it, or export the file again.",
        )


def _read_parquet(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError):
        raise ExtractError(
            "is not a readable Parquet file.", where=str(path), remedy="Export it again."
        ) from None
    _refuse_repeated(table.column_names, str(path))
    return table


def _fold(name: str) -> str:
    return "".join(ch for ch in name.strip().lower() if ch.isalnum())


def _as_text(column: pa.ChunkedArray, logical: str, source: str) -> pa.StringArray:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.string())
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        return array if pa.types.is_string(array.type) else array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ExtractError(
            f"the column for {logical} does not hold text, numbers or dates.",
            where=source,
            remedy="Export it as text.",
        ) from None


def _columns_hint(headers: list[str], mapping: AgencyMapping) -> str:
    """Name the columns, unless the first line may be a person's data: then no name of it is one that is expected."""
    expected = {_fold(name) for name in (*COLUMNS, *mapping.columns.values())}
    if expected & {_fold(header) for header in headers}:
        return f"Its columns are: {', '.join(headers)}."
    return "None of its columns has an expected name; the first line must be the header."


def _resolve(headers: list[str], mapping: AgencyMapping, source: str) -> dict[str, str]:
    """Return logical column -> header."""
    by_fold = {_fold(header): header for header in headers}
    found: dict[str, str] = {}
    for logical in COLUMNS:
        wanted = mapping.columns.get(logical)
        header = by_fold.get(_fold(wanted if wanted is not None else logical))
        if header is not None:
            found[logical] = header
        elif wanted is not None:
            raise MappingError(
                f"the mapping says {logical} is in the column {wanted!r}, which the extract does not have.",
                where=source,
                remedy=_columns_hint(headers, mapping),
            )
    if "ref" not in found:
        raise ExtractError(
            "there is no column `ref`, so no result could ever be given back.",
            where=source,
            remedy="Name the column with the local reference in mapping.yaml, under columns: ref.",
        )
    return found


def read_table(path: Path) -> pa.Table:
    """Read a CSV file (or Parquet, by its ending) with every CSV column as text.

    Raises:
        ExtractError: The file cannot be read, is empty, or is not well formed.
    """
    source = str(path)
    try:
        if path.stat().st_size == 0:
            raise ExtractError("the file is empty.", where=source, remedy="Export it again.")
        table = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    except OSError as error:
        raise ExtractError(
            f"cannot be read ({error.strerror}).", where=source, remedy="Check the path and your permissions."
        ) from None
    if table.num_rows == 0:
        raise ExtractError("has a header but no rows.", where=source, remedy="Export it again.")
    return table


def read_extract(path: Path, *, agency: str, mapping: AgencyMapping | None = None) -> Extract:
    """Read the extract in `path` (CSV, or Parquet by its ending).

    Args:
        path: The file. CSV may be UTF-8 with or without byte-order mark, UTF-16 or Windows-1252, with any line
            ending, and with comma, semicolon, tab or bar between columns.
        agency: Name of the agency.
        mapping: Which column is which; by default columns are found by their logical names, whatever their case.

    Raises:
        ExtractError: The file cannot be read, is empty, or has no reference column.
        MappingError: The mapping names a column that the file does not have.
    """
    table = read_table(path)
    resolved = _resolve(table.column_names, mapping or AgencyMapping(), str(path))
    columns = {
        logical: _as_text(table.column(header), logical, str(path)) for logical, header in resolved.items()
    }
    return Extract(agency=agency, columns=columns, rows=table.num_rows, source=str(path))
