"""Queries through ADBC (optional extra `adbc`): rows arrive as columns, without a Python object for each cell.

ADBC is used only where its text is the same as that of the other drivers (`hashing.reading.database`). SQLite types
its cells, not its columns, so there SQL itself makes text of each cell; PostgreSQL's columns have types, and those
that would come out differently (money, arrays, intervals …) are left to the other driver.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import date, datetime
from decimal import Decimal
from types import ModuleType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashing.reading.table import BATCH_ROWS, cell_text
from schemas.errors import ExtractError

Batches = Iterator[pa.RecordBatch]
Converter = Callable[[pa.Array], pa.Array]
"""Makes text of a column of one type."""

SQLITE, POSTGRESQL = "adbc_driver_sqlite.dbapi", "adbc_driver_postgresql.dbapi"
"""Modules of the drivers."""

_MARK = "\x1f"
"""Begins a cell of SQLite that is not the text it stands for; one letter says what it is."""
_CELL = """CASE typeof(c{n})
  WHEN 'text' THEN CASE WHEN unicode(c{n}) = 31 THEN char(31) || 't' || c{n} ELSE c{n} END
  WHEN 'integer' THEN CAST(c{n} AS TEXT)
  WHEN 'real' THEN char(31) || 'r' || quote(c{n})
  WHEN 'blob' THEN char(31) || 'b'
  ELSE '' END AS c{n}"""
"""No cell is null, for the driver takes a column whose first cells are null for numbers. quote() writes a float so that
it reads back the same (SQLite, built-in scalar functions)."""

_WHOLE = frozenset({"int2", "int4", "int8"})
_EPOCH = date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = (day.toordinal() - _EPOCH.toordinal() for day in (date.min, date.max))


class Unsuited(ExtractError):
    """ADBC is not installed, or cannot read this query; another driver may."""


class _NoText(Exception):
    """A cell is no text, number or date; column and row of the batch, from 1."""

    def __init__(self, column: int, row: int) -> None:
        self.column, self.row = column, row


def installed(name: str) -> bool:
    """Tell whether a driver is there."""
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


def _driver(name: str, source: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unsuited(
            "the ADBC driver of this database is not installed.",
            where=source,
            remedy="Install the extra `adbc` (pip install 'tallystick[adbc]').",
        ) from None


def refused(error: Exception, source: str, kind: type[ExtractError] = ExtractError) -> ExtractError:
    """Return the refusal of a database.

    A driver's message can quote the query, a cell or the password: only the kind of failure is told.
    """
    return kind(
        f"the database refused the connection or the query ({type(error).__name__}).",
        where=source,
        remedy="Try both in your database tool first.",
    )


def _reader(held: ExitStack, cursor: Any, sql: str) -> Any:
    """Run the query, and return its record batch reader, which is closed when `held` is."""
    cursor.execute(sql)
    return held.enter_context(closing(cursor.fetch_record_batch()))


def _filled(columns: list[pa.Array], names: Sequence[str]) -> pa.RecordBatch:
    """Return text columns without the rows that have no value, as in CSV."""
    batch = pa.RecordBatch.from_arrays(columns, names=list(names))
    if columns and all(column.null_count for column in columns):
        empty = np.all([pc.is_null(column).to_numpy(zero_copy_only=False) for column in columns], axis=0)
        batch = batch.filter(pa.array(~empty))
    return batch


def _batches(
    reader: Any, names: Sequence[str], text_of: Callable[[int, pa.Array], pa.Array], source: str
) -> Batches:
    """Yield the batches of a reader with every column as text, made by `text_of(place, column)`.

    Raises:
        ExtractError: A cell holds no plain value (names row and column number), or the database stops.
    """
    before = 0
    try:
        for batch in reader:
            made = [text_of(place, column) for place, column in enumerate(batch.columns)]
            before += batch.num_rows
            filled = _filled(made, names)
            if filled.num_rows:
                yield filled
    except _NoText as error:
        raise ExtractError(
            f"column {error.column} of row {before + error.row} does not hold text, a number or a date.",
            where=source,
            remedy="Export it as text.",
        ) from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise refused(error, source) from None


def _empty_as_null(texts: pa.StringArray) -> pa.StringArray:
    texts.validate(full=True)  # a database may hold what is no UTF-8, and Arrow takes it as it comes
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _each_value(column: pa.Array, text_of: Callable[[Any], str | None]) -> pa.StringArray:
    """Return a column as text, of which each distinct value is converted once."""
    coded = column.dictionary_encode()
    return pa.array(map(text_of, coded.dictionary.to_pylist()), pa.string()).take(coded.indices)


# --- SQLite -------------------------------------------------------------------------------------------------


def _sqlite_cell(text: str) -> str | None:
    if not text.startswith(_MARK):
        return text or None
    return cell_text(float(text[2:])) if text[1] == "r" else text[2:]


def _sqlite_text(place: int, column: pa.Array) -> pa.StringArray:
    marked = pc.starts_with(column, _MARK)
    if not pc.any(marked).as_py():
        return _empty_as_null(column)
    column.validate(full=True)
    blob = pc.index(pc.starts_with(column, f"{_MARK}b"), True).as_py()
    if blob >= 0:
        raise _NoText(place + 1, blob + 1)
    return _each_value(column, _sqlite_cell)


@contextmanager
def sqlite(uri: str, sql: str, names: Sequence[str], source: str) -> Iterator[Batches]:
    """Run a query that SQLite has understood already, and yield its rows as batches of text columns.

    Args:
        uri: The file as a URI, with what may be done to it.
        sql: One SELECT.
        names: Its columns.
        source: The source, for messages.

    Raises:
        Unsuited: The driver is not installed, or the query cannot stand inside another one.
    """
    driver = _driver(SQLITE, source)
    places = range(len(names))
    cells = ",\n".join(_CELL.format(n=n) for n in places)
    listed = ", ".join(f"c{n}" for n in places)
    wrapped = f"WITH q({listed}) AS (\n{sql.rstrip().removesuffix(';')}\n)\nSELECT {cells} FROM q"
    with ExitStack() as held:
        try:
            connection = held.enter_context(closing(driver.connect(uri, autocommit=True)))
            options = {"adbc.sqlite.query.batch_rows": BATCH_ROWS}
            cursor = held.enter_context(closing(connection.cursor(adbc_stmt_kwargs=options)))
            reader = _reader(held, cursor, wrapped)
        except (driver.Error, pa.ArrowException, OSError) as error:
            raise refused(error, source, Unsuited) from None
        yield _batches(reader, names, _sqlite_text, source)


# --- PostgreSQL ---------------------------------------------------------------------------------------------


def _days(column: pa.Array) -> pa.StringArray:
    bounds = pc.min_max(column.cast(pa.int32()))
    first, last = bounds["min"].as_py(), bounds["max"].as_py()
    if first is not None and not _FIRST_DAY <= first <= last <= _LAST_DAY:
        raise ValueError("a day that the calendar does not have")  # infinity, or before Christ
    return column.cast(pa.string())


def _in_zone(zone: ZoneInfo) -> Callable[[datetime | None], str | None]:
    """Return what writes a time as the session does, as the other driver would."""
    return lambda when: None if when is None else cell_text(when.astimezone(zone))


def _converter(field: pa.Field, zone: ZoneInfo | None) -> Converter | None:
    """Return what makes text of a column of PostgreSQL; None where that would differ from the other driver's text."""
    kind = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    if pa.types.is_string(field.type):
        return _empty_as_null
    if kind in _WHOLE:
        return lambda column: column.cast(pa.string())
    if kind == "date":
        return _days
    if kind in {"bool", "float8", "timestamp"}:
        return lambda column: _each_value(column, cell_text)
    if kind == "timestamptz" and zone is not None:
        return lambda column: _each_value(column, _in_zone(zone))
    if kind == "numeric":
        return lambda column: _each_value(column.storage, lambda text: cell_text(Decimal(text)))
    if kind == "uuid":
        return lambda column: _each_value(column.storage, lambda held: str(UUID(bytes=held)))
    return None


def _converters(schema: pa.Schema, zone: ZoneInfo | None, source: str) -> list[Converter]:
    found = []
    for place, field in enumerate(schema, start=1):
        converter = _converter(field, zone)
        if converter is None:
            raise Unsuited(
                f"column {place} is of a type that is not read through ADBC.",
                where=source,
                remedy="Cast it to text in the query, or install the extra `sql` (pip install 'tallystick[sql]').",
            )
        found.append(converter)
    if not found:
        raise Unsuited("the statement returns no table.", where=source, remedy="Give one SELECT.")
    return found


def _zone(cursor: Any) -> ZoneInfo | None:
    cursor.execute("SELECT current_setting('TimeZone')")
    try:
        return ZoneInfo(cursor.fetchone()[0])
    except (ZoneInfoNotFoundError, ValueError):
        return None  # Windows has no list of zones of its own


_SESSION = ("SET TRANSACTION READ ONLY", "SET client_encoding TO 'UTF8'")
"""Nothing is committed either: the transaction ends with the connection."""


@contextmanager
def postgresql(address: str, sql: str, source: str) -> Iterator[tuple[list[str], Batches]]:
    """Run a query, and yield the names of its columns and its rows as batches of text columns.

    Args:
        address: The connection string as libpq reads it; it is never shown.
        sql: One SELECT.
        source: The source, for messages.

    Raises:
        Unsuited: The driver is not installed, the database refuses, or a column is of a type that another driver
            would read differently.
    """
    driver = _driver(POSTGRESQL, source)
    with ExitStack() as held:
        try:
            connection = held.enter_context(closing(driver.connect(address)))
            cursor = held.enter_context(closing(connection.cursor()))
            for statement in _SESSION:
                cursor.execute(statement)
            zone = _zone(cursor)
            reader = _reader(held, cursor, sql)
        except (driver.Error, pa.ArrowException, OSError) as error:
            raise refused(error, source, Unsuited) from None
        texts = _converters(reader.schema, zone, source)
        names = list(reader.schema.names)
        yield names, _batches(reader, names, lambda place, column: texts[place](column), source)
