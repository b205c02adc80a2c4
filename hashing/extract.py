"""Open an agency's extract: its logical columns as text, batch by batch or as a whole."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hashing.mapping import AgencyMapping
from hashing.reading.ahead import ahead
from hashing.reading.columns import LogicalColumns, plain_strings
from hashing.reading.database import Query, read_query
from hashing.reading.delimited import read_delimited
from hashing.reading.table import BATCH_ROWS, Source, no_rows, refuse_repeated
from hashing.reading.workbook import ENDINGS, read_workbook
from schemas.errors import ExtractError

_REPEATING = 6.0
"""Bytes a value below which a Parquet column is taken to repeat its values and read by their places."""

_LISTED = 8.0
"""The same where the file lists distinct values: two bytes of a place, and of texts of ten letters some 40 in 100."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """An extract to be read once, batch by batch.

    Attributes:
        agency: Name of the agency.
        columns: Logical columns that it has, in the order of the contract.
        batches: Logical column -> text (strings, or dictionary-coded where values repeat); null where the cell is
            empty. Reading may raise ExtractError.
        source: The file, for messages.
        read_as: What the source was taken for, for people: "CSV, UTF-8, commas".
        first_row: Number of the first row in the source: 2 under a header line, else 1.
        ragged: Rows that were left out because they are not as wide as the header, from 0; complete when the batches
            are read.
        expected: Rows to come, as far as that is known beforehand; 0 where it is not.
    """

    agency: str
    columns: tuple[str, ...]
    batches: Iterator[Mapping[str, pa.Array]]
    source: str
    read_as: str = ""
    first_row: int = 2
    ragged: Sequence[int] = ()
    expected: int = 0

    def peek(self, rows: int) -> tuple[Extract, Stream]:
        """Return the first `rows` rows, or somewhat more, and the stream with them in it again."""
        taken: list[Mapping[str, pa.Array]] = []
        while sum(len(batch["ref"]) for batch in taken) < rows:
            batch = next(self.batches, None)
            if batch is None:
                break
            taken.append(batch)
        return self._joined(taken), replace(self, batches=chain(taken, self.batches))

    def read(self) -> Extract:
        """Read everything."""
        return self._joined(list(self.batches))

    def _joined(self, batches: Sequence[Mapping[str, pa.Array]]) -> Extract:
        columns = {
            name: pa.concat_arrays([plain_strings(batch[name]) for batch in batches]) for name in self.columns
        }
        return Extract(
            agency=self.agency,
            columns=columns,
            rows=len(columns["ref"]),
            source=self.source,
            read_as=self.read_as,
            first_row=self.first_row,
            ragged=tuple(self.ragged),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """An extract as read, as a whole.

    Attributes:
        agency: Name of the agency.
        columns: Logical column -> text values (null where the cell is empty); absent columns are left out.
        rows: Number of rows.
        source: The file, for messages.
        read_as: What the source was taken for, for people: "CSV, UTF-8, commas".
        first_row: Number of the first row in the source: 2 under a header line, else 1.
        ragged: Rows that were left out because they are not as wide as the header, from 0.
    """

    agency: str
    columns: dict[str, pa.StringArray]
    rows: int
    source: str
    read_as: str = ""
    first_row: int = 2
    ragged: Sequence[int] = ()

    def stream(self) -> Stream:
        """Return the extract batch by batch; this can be done any number of times."""
        starts = range(0, self.rows, BATCH_ROWS)
        return Stream(
            agency=self.agency,
            columns=tuple(self.columns),
            batches=(
                {name: column.slice(start, BATCH_ROWS) for name, column in self.columns.items()}
                for start in starts
            ),
            source=self.source,
            read_as=self.read_as,
            first_row=self.first_row,
            ragged=self.ragged,
        )


def _parquet_error(path: Path) -> ExtractError:
    return ExtractError("is not a readable Parquet file.", where=str(path), remedy="Export it again.")


def _repeating(metadata: pq.FileMetaData) -> list[str]:
    """Return the text columns whose values repeat so much that the file holds places rather than texts."""
    names = []
    group = metadata.row_group(0)
    for place in range(group.num_columns):
        chunk = group.column(place)
        text = chunk.physical_type == "BYTE_ARRAY" and "." not in chunk.path_in_schema
        most = _LISTED if chunk.has_dictionary_page else _REPEATING
        if text and chunk.total_uncompressed_size < most * max(chunk.num_values, 1):
            names.append(chunk.path_in_schema)
    return names


def _parquet_batches(
    path: Path, repeating: list[str], wanted: list[str]
) -> Generator[pa.RecordBatch, None, None]:
    try:
        # Read ahead, the library would hold all of the file, packed, until its end.
        with pq.ParquetFile(path, read_dictionary=repeating, pre_buffer=False) as file:
            yield from file.iter_batches(BATCH_ROWS, columns=wanted or None, use_threads=False)
    except (pa.ArrowInvalid, OSError):
        raise _parquet_error(path) from None


def _read_parquet(path: Path) -> Source:
    try:
        with pq.ParquetFile(path) as file:
            names, rows = file.schema_arrow.names, file.metadata.num_rows
            repeating = _repeating(file.metadata) if rows else []
    except (pa.ArrowInvalid, OSError):
        raise _parquet_error(path) from None
    if rows == 0:
        raise no_rows(str(path))
    refuse_repeated(names, str(path))
    wanted: list[str] = []
    return Source(
        names=tuple(names),
        batches=ahead(_parquet_batches(path, repeating, wanted)),
        read_as="Parquet",
        first_row=1,
        wanted=wanted,
        expected=rows,
    )


def _read_file(path: Path, mapping: AgencyMapping) -> Source:
    try:
        if path.stat().st_size == 0:
            raise ExtractError("the file is empty.", where=str(path), remedy="Export it again.")
        ending = path.suffix.lower()
        if ending == ".parquet":
            return _read_parquet(path)
        if ending in ENDINGS:
            return read_workbook(path, sheet=mapping.sheet, expected=mapping.headers)
        return read_delimited(
            path, encoding=mapping.encoding, delimiter=mapping.delimiter, expected=mapping.headers
        )
    except OSError as error:
        raise ExtractError(
            f"cannot be read ({error.strerror}).",
            where=str(path),
            remedy="Check the path and your permissions"
            + (", and close it in other programs." if isinstance(error, PermissionError) else "."),
        ) from None


def read_source(source: Path | Query, mapping: AgencyMapping | None = None) -> Source:
    """Open a file (by its ending a workbook or Parquet, otherwise CSV) or the result of a query.

    Raises:
        ExtractError: It cannot be read, is empty, or is not well formed.
    """
    mapping = mapping or AgencyMapping()
    return read_query(source) if isinstance(source, Query) else _read_file(source, mapping)


def read_table(path: Path) -> pa.Table:
    """Read a file under its own headers, with every CSV column as text.

    Raises:
        ExtractError: The file cannot be read, is empty, or is not well formed.
    """
    return read_source(path).table()


def open_extract(source: Path | Query, *, agency: str, mapping: AgencyMapping | None = None) -> Stream:
    """Open an extract: CSV of any encoding and delimiter, Parquet, an Excel workbook, or the result of a query.

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
    logical = LogicalColumns(read.names, mapping, str(source))
    read.wanted.extend(logical.used())
    return Stream(
        agency=agency,
        columns=logical.names,
        batches=map(logical.of, read.batches),
        source=str(source),
        read_as=read.read_as,
        first_row=read.first_row,
        ragged=read.ragged,
        expected=read.expected,
    )


def read_extract(source: Path | Query, *, agency: str, mapping: AgencyMapping | None = None) -> Extract:
    """Read an extract as a whole; otherwise as `open_extract`.

    Raises:
        ExtractError: As for `open_extract`.
        MappingError: As for `open_extract`.
    """
    return open_extract(source, agency=agency, mapping=mapping).read()
