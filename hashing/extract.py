"""Read an agency's extract into text columns under their logical names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hashing.mapping import AgencyMapping
from hashing.reading.columns import logical_columns
from hashing.reading.database import Query, read_query
from hashing.reading.delimited import read_delimited
from hashing.reading.table import Source, refuse_repeated
from hashing.reading.workbook import ENDINGS, read_workbook
from schemas.errors import ExtractError


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """An extract as read.

    Attributes:
        agency: Name of the agency.
        columns: Logical column -> text values (null where the cell is empty); absent columns are left out.
        rows: Number of rows.
        source: The file, for messages.
        read_as: What the source was taken for, for people: "CSV, UTF-8, commas".
        first_row: Number of the first row in the source: 2 under a header line, else 1.
    """

    agency: str
    columns: dict[str, pa.StringArray]
    rows: int
    source: str
    read_as: str = ""
    first_row: int = 2


def _read_parquet(path: Path) -> Source:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError):
        raise ExtractError(
            "is not a readable Parquet file.", where=str(path), remedy="Export it again."
        ) from None
    refuse_repeated(table.column_names, str(path))
    return Source(table=table, read_as="Parquet", first_row=1)


def _read_file(path: Path, mapping: AgencyMapping) -> Source:
    try:
        if path.stat().st_size == 0:
            raise ExtractError("the file is empty.", where=str(path), remedy="Export it again.")
        ending = path.suffix.lower()
        if ending == ".parquet":
            return _read_parquet(path)
        if ending in ENDINGS:
            return read_workbook(path, sheet=mapping.sheet)
        return read_delimited(path, encoding=mapping.encoding, delimiter=mapping.delimiter)
    except OSError as error:
        raise ExtractError(
            f"cannot be read ({error.strerror}).",
            where=str(path),
            remedy="Check the path and your permissions.",
        ) from None


def read_source(source: Path | Query, mapping: AgencyMapping | None = None) -> Source:
    """Read a file (by its ending a workbook or Parquet, otherwise CSV) or the result of a query.

    Raises:
        ExtractError: It cannot be read, is empty, or is not well formed.
    """
    mapping = mapping or AgencyMapping()
    read = read_query(source) if isinstance(source, Query) else _read_file(source, mapping)
    if read.table.num_rows == 0:
        raise ExtractError("has a header but no rows.", where=str(source), remedy="Export it again.")
    return read


def read_table(path: Path) -> pa.Table:
    """Read a file under its own headers, with every CSV column as text.

    Raises:
        ExtractError: The file cannot be read, is empty, or is not well formed.
    """
    return read_source(path).table


def read_extract(source: Path | Query, *, agency: str, mapping: AgencyMapping | None = None) -> Extract:
    """Read an extract: CSV of any encoding and delimiter, Parquet, an Excel workbook, or the result of a query.

    Args:
        source: A file, or a query.
        agency: Name of the agency.
        mapping: Which column is which; by default columns are found by their logical names, whatever their case.

    Raises:
        ExtractError: The source cannot be read, is empty, or has no reference column.
        MappingError: The mapping names a column that the source does not have.
    """
    mapping = mapping or AgencyMapping()
    read = read_source(source, mapping)
    return Extract(
        agency=agency,
        columns=logical_columns(read.table, mapping, str(source)),
        rows=read.table.num_rows,
        source=str(source),
        read_as=read.read_as,
        first_row=read.first_row,
    )
