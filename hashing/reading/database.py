"""The result of one SQL query: SQLite always, other databases through SQLAlchemy (optional extra `sql`).

SQLite and PostgreSQL are read through ADBC where it is installed (optional extra `adbc`), to the same text and faster.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from hashing.reading import adbc
from hashing.reading.table import Source, refuse_repeated, text_batches, with_rows
from schemas.errors import ExtractError, InputError
from schemas.texts import marked_text

_CHUNK = 1_000
"""Rows that a driver hands over at a time."""
_SQLITE = "sqlite:///"
_POSTGRESQL = ("postgresql://", "postgres://")
"""Addresses that name no driver; one that does (`postgresql+psycopg://`) gets the driver that it names."""
_BY_ADBC = "through ADBC"
SOURCE = "the SQL query"
_KINDS = {"postgresql": "PostgreSQL", "mssql": "SQL Server", "mysql": "MySQL", "oracle": "Oracle"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """A query and the connection it goes to; neither is ever shown.

    Attributes:
        sql: One SELECT.
        connection: `sqlite:///path`, or any address that SQLAlchemy understands. It may hold a password.
    """

    sql: str = field(repr=False)
    connection: str = field(repr=False)

    def __str__(self) -> str:
        return SOURCE


def connection_from(*, variable: str | None = None, file: Path | None = None) -> str:
    """Return the connection string from an environment variable or a file; it is a secret, so never an argument.

    Raises:
        InputError: Neither or both are given, the variable is not set, or the file cannot be read.
    """
    if (variable is None) == (file is None):
        raise InputError(
            "a query needs a connection from one place.",
            where="--sql",
            remedy="Give --connection-env NAME or --connection-file FILE.",
        )
    if variable is not None:
        text = os.environ.get(variable, "").strip()
        if not text:
            # What was given may be the connection string itself, so it is not repeated.
            raise InputError(
                "there is no environment variable of this name, or it is empty.",
                where="--connection-env",
                remedy="Put the connection string into a variable and give the variable's name.",
            )
        return text
    assert file is not None  # noqa: S101 - the first check leaves no other case
    try:
        text = marked_text(file.read_bytes()).strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            "the file with the connection string cannot be read.",
            where=str(file),
            remedy="Check the path and your permissions; it must be text in UTF-8.",
        ) from None
    if not text:
        raise InputError(
            "the file with the connection string is empty.",
            where=str(file),
            remedy="Write one line into it, such as sqlite:///folder/file.db.",
        )
    return text


def _failed(error: Exception, what: str, remedy: str) -> ExtractError:
    return ExtractError(f"{what} ({type(error).__name__}).", where=SOURCE, remedy=remedy)


def _source(names: Sequence[str], kind: str, batches: Iterator[pa.RecordBatch]) -> Source:
    refuse_repeated(names, SOURCE)
    return Source(
        names=tuple(names), batches=with_rows(batches, SOURCE), read_as=f"SQL query, {kind}", first_row=1
    )


def sqlite_uri(path: PurePath) -> str:
    """Return the URI by which SQLite opens a file for reading only (sqlite.org/uri.html), Windows shares included."""
    place = path.as_posix()
    return f"file://{'' if place.startswith('/') else '/'}{quote(place, safe='/:')}?mode=ro"


def _chunks(cursor: Any) -> Iterator[Sequence[Sequence[Any]]]:
    while rows := cursor.fetchmany(_CHUNK):
        yield rows


def _no_rows() -> ExtractError:
    return ExtractError("the statement returns no table.", where=SOURCE, remedy="Give one SELECT.")


def _sqlite(query: Query, use_adbc: bool) -> Iterator[Any]:
    """Yield the names of the columns and the words for what read them, then batches."""
    path = Path(query.connection.removeprefix(_SQLITE))
    if not path.is_file():
        raise ExtractError(
            "the SQLite file of the connection string is not there.",
            where=SOURCE,
            remedy="Write sqlite:///folder/file.db, or sqlite:////folder/file.db from the root.",
        )
    # Read-only, so that a statement that changes something fails.
    uri = sqlite_uri(path.absolute())
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection, ExitStack() as held:
            cursor = connection.execute(query.sql)
            if cursor.description is None:
                raise _no_rows()
            names = [column[0] for column in cursor.description]
            kind, batches = "SQLite", text_batches(names, _chunks(cursor), SOURCE)
            if use_adbc:
                with suppress(adbc.Unsuited):
                    batches = held.enter_context(adbc.sqlite(uri, query.sql, names, SOURCE))
                    kind = f"SQLite, {_BY_ADBC}"
                    cursor.close()  # it told the names; what it sorted is let go
            yield names, kind
            yield from batches
    except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError) as error:
        raise _failed(
            error, "the database refused the query", "Try it in your database tool first."
        ) from None


def _engine(query: Query) -> Any:
    try:
        import sqlalchemy
    except ImportError:
        raise ExtractError(
            "the reader of databases other than SQLite is not installed.",
            where=SOURCE,
            remedy="Install the extra `sql` (pip install 'tallystick[sql]'), or export a file.",
        ) from None
    address = query.connection
    scheme, mark, rest = address.partition("://")
    if scheme in {"postgresql", "postgres"}:
        address = f"postgresql+psycopg{mark}{rest}"  # the driver that the extra brings
    try:
        return sqlalchemy.create_engine(address, hide_parameters=True)
    except (sqlalchemy.exc.NoSuchModuleError, ImportError) as error:
        raise _failed(
            error, "the driver of this kind of database is not installed", "Install it beside Tallystick."
        ) from None
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        raise _failed(
            error,
            "the connection string is not understood",
            "Write it as dialect://user:password@host/database.",
        ) from None


def _postgresql(query: Query) -> Iterator[Any]:
    """Yield the names of the columns and the words for what read them, then batches."""
    with adbc.postgresql(query.connection, query.sql, SOURCE) as (names, batches):
        yield names, f"PostgreSQL, {_BY_ADBC}"
        yield from batches


def _any(query: Query) -> Iterator[Any]:
    """Yield the names of the columns and the words for what read them, then batches."""
    engine = _engine(query)
    import sqlalchemy

    # Without parameters a percent sign is nothing but that.
    options: dict[str, Any] = {"stream_results": True, "no_parameters": True}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
    try:
        # Nothing is committed: the transaction is rolled back when the block ends.
        with (
            engine.connect().execution_options(**options) as connection,
            closing(connection.exec_driver_sql(query.sql)) as result,
        ):
            if not result.returns_rows:
                raise _no_rows()
            names = list(result.keys())
            yield names, f"{_KINDS.get(engine.dialect.name, engine.dialect.name)}, through SQLAlchemy"
            yield from text_batches(names, _chunks(result), SOURCE)
    except (sqlalchemy.exc.SQLAlchemyError, OSError, UnicodeError) as error:
        raise _failed(
            error, "the database refused the connection or the query", "Try both in your database tool first."
        ) from None
    finally:
        engine.dispose()


def _has_sqlalchemy() -> bool:
    return importlib.util.find_spec("sqlalchemy") is not None


def _answer(query: Query, use_adbc: bool) -> Generator[Any, None, None]:
    """Yield names and words, then batches, from the first driver that can read the query."""
    if query.connection.startswith(_SQLITE):
        yield from _sqlite(query, use_adbc)
        return
    if use_adbc and query.connection.startswith(_POSTGRESQL):
        answer = _postgresql(query)
        try:
            begun = next(answer)
        except adbc.Unsuited:
            # The other driver knows more types, and may understand the connection string where this one does not.
            if adbc.installed(adbc.POSTGRESQL) and not _has_sqlalchemy():
                raise
        else:
            yield begun
            yield from answer
            return
    yield from _any(query)


def read_query(query: Query, *, use_adbc: bool = True) -> Source:
    """Run a query, whose rows are fetched in batches of text columns.

    Args:
        query: The query and its connection.
        use_adbc: Read SQLite and PostgreSQL through ADBC where it is installed and the query allows it. The text is
            the same; `read_as` says what read it.

    Raises:
        ExtractError: The extra or a driver is missing, or the database refuses. No message holds a part of the
            query, of the connection string or of a row.
    """
    answer = _answer(query, use_adbc)
    try:
        names, kind = next(answer)
        return _source(names, kind, answer)
    except ExtractError:
        answer.close()  # the connection too
        raise
