"""What ADBC reads from a database is to the letter what the other drivers read, or it is left to them."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashing.reading import adbc
from hashing.reading.database import Query, read_query
from schemas.errors import ExtractError

pytest.importorskip(adbc.SQLITE)
pytest.importorskip(adbc.POSTGRESQL)

CANARY = "Quillcanary"

Rows = list[dict[str, str | None]]


def both(query: Query) -> tuple[Rows | str, Rows | str]:
    """Return the rows through ADBC and through the other driver, or the refusals; say that ADBC was used."""
    return one(query, use_adbc=True), one(query, use_adbc=False)


def one(query: Query, *, use_adbc: bool) -> Rows | str:
    """Return the rows of one driver, or its refusal, which holds no value."""
    try:
        source = read_query(query, use_adbc=use_adbc)
        rows = [row for batch in source.batches for row in batch.to_pylist()]
    except ExtractError as refusal:
        told, cause = str(refusal), refusal.__cause__
    else:
        assert ("through ADBC" in source.read_as) == use_adbc
        return rows
    assert cause is None
    assert CANARY not in told
    return told


def sqlite_query(path: Path, sql: str = "SELECT * FROM t") -> Query:
    """A query to a SQLite file."""
    return Query(sql=sql, connection=f"sqlite:///{path}")


def table(path: Path, rows: list[tuple[Any, ...]], columns: str = "ref, surname, dob") -> Path:
    """Make a SQLite file with one table of columns without types, which hold anything."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE t ({columns})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(columns.split(',')))})", rows)
        connection.commit()
    return path


# --- SQLite -------------------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.sampled_from(["", " ", "7.0", "\x1f", "\x1fr1", "\x1fb", "\x1ft", "2020-02-30", "Łukasik", "محمد"]),
    st.dates().map(str),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=30))
def test_sqlite_reads_the_same(rows: list[tuple[Any, ...]]) -> None:
    """Text, whole numbers, floats, dates, gaps and mixtures of them come out of both drivers alike, rows in order."""
    with tempfile.TemporaryDirectory() as folder:
        through_adbc, other = both(sqlite_query(table(Path(folder) / "x.db", rows)))
    assert through_adbc == other


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(CELLS, st.binary(max_size=3)), min_size=1, max_size=10))
def test_sqlite_blobs_are_refused_in_the_same_place(cells: list[Any]) -> None:
    """A blob is no text, wherever it stands: both drivers name the same row and column."""
    rows = [(1, cell, None) for cell in cells]
    with tempfile.TemporaryDirectory() as folder:
        through_adbc, other = both(sqlite_query(table(Path(folder) / "x.db", rows)))
    assert through_adbc == other
    assert isinstance(other, str) == any(isinstance(cell, bytes) for cell in cells)


def test_sqlite_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column that begins empty, or changes its kind after a batch, is read on; a late blob has its true number."""
    monkeypatch.setattr(adbc, "BATCH_ROWS", 50)
    rows = [(n, None if n < 120 else f"x{n}", n if n < 200 else 2.5 * n) for n in range(1, 400)]
    through_adbc, other = both(sqlite_query(table(tmp_path / "a.db", rows)))
    assert through_adbc == other
    assert len(through_adbc) == 399
    blob = [(n, b"\xff" if n == 345 else "x", None) for n in range(1, 400)]
    through_adbc, other = both(sqlite_query(table(tmp_path / "b.db", blob)))
    assert through_adbc == other
    assert "column 2 of row 345 " in other


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t ORDER BY dob DESC, ref;",
        "WITH a AS (SELECT ref FROM t) SELECT ref, 1 AS dob FROM a -- a remark",
        "SELECT ref, max(dob) AS last, count(*) FROM t GROUP BY ref",
        "SELECT ref, dob AS REF FROM t",
        "VALUES (1, 'a'), (2, NULL)",
        "SELECT * FROM t WHERE 0",
        f"SELECT '{CANARY}' FROM nowhere",
        f"DELETE FROM t WHERE dob = '{CANARY}'",
        f"SELECT ref FROM t; SELECT '{CANARY}'",
        "PRAGMA table_list(nowhere)",
        "SELECT CAST(x'ff41' AS TEXT) AS ref",
        f"SELECT ref, json_extract(CASE WHEN ref = 1 THEN '{CANARY}' ELSE '1' END, '$') FROM t",
    ],
)
def test_sqlite_queries(tmp_path: Path, sql: str) -> None:
    """Order, names, refusals and the number of rows are the same for every kind of statement."""
    path = table(tmp_path / "x.db", [(n % 3, f"n{n}", n) for n in range(9)])
    through_adbc, other = both(sqlite_query(path, sql))
    if isinstance(other, str):
        assert isinstance(through_adbc, str)
    else:
        assert through_adbc == other


def test_sqlite_statement_that_cannot_stand_in_another(tmp_path: Path) -> None:
    """What ADBC is not given is read by the other driver, and that is said."""
    source = read_query(sqlite_query(table(tmp_path / "x.db", [(1, "a", 2)]), "PRAGMA table_info(t)"))
    assert source.read_as == "SQL query, SQLite"
    assert source.table().column("name").to_pylist() == ["ref", "surname", "dob"]


def test_sqlite_file_is_not_changed(tmp_path: Path) -> None:
    """ADBC opens the file for reading only; folders may have spaces, percent signs and letters of any script."""
    folder = tmp_path / "Fälle 100% Łódź"
    folder.mkdir()
    path = table(folder / "a b.db", [(1, "a", 2)])
    before = path.read_bytes()
    with (
        pytest.raises(adbc.Unsuited),
        adbc.sqlite(f"{path.as_uri()}?mode=ro", "DELETE FROM t RETURNING *", ["a", "b", "c"], "x"),
    ):
        pass
    assert both(sqlite_query(path))[0] == [{"ref": "1", "surname": "a", "dob": "2"}]
    assert path.read_bytes() == before


@pytest.mark.parametrize("missing", [adbc.SQLITE, "adbc_driver_manager"])
def test_sqlite_without_adbc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Where the extra is not installed SQLite is read without it."""
    for name in [name for name in sys.modules if name.startswith("adbc_driver")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    source = read_query(sqlite_query(table(tmp_path / "x.db", [(1, "a", 2)])))
    assert source.read_as == "SQL query, SQLite"


# --- PostgreSQL ---------------------------------------------------------------------------------------------

TYPED = """
SELECT v.*, CASE WHEN n % 3 = 0 THEN NULL ELSE v.big END AS gaps FROM generate_series(1, 7) AS n, (VALUES (
  'Łukasik'::text, 'x'::varchar(5), 'c'::char(3), ''::text, 'n'::name, 1::int2, -2::int4, 9007199254740993::int8,
  true, DATE '1990-03-04', DATE '0044-03-15', 7.00::numeric, 7.10::numeric, 'NaN'::numeric,
  1e30::numeric, 0.00012::numeric,
  TIMESTAMP '2026-01-02 00:00', TIMESTAMP '2026-01-02 03:04:05.5', TIMESTAMPTZ '2026-07-01 23:30:00+00',
  1.1::float8, 2e20::float8, 'NaN'::float8, '6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b'::uuid, NULL, 'x', 'open'::state
)) AS v (t, v, c, e, n2, i2, i4, big, b, d, old, whole, dec, nan, huge, small,
  midnight, stamp, zoned, f, ff, fn, u, nul, unk, st)
"""


@pytest.fixture(scope="module")
def cases(postgres: str) -> str:
    """A database with an enumerated type; its connection string."""
    psycopg = pytest.importorskip("psycopg")
    pytest.importorskip("sqlalchemy")
    with psycopg.connect(postgres) as connection:
        connection.execute("CREATE TYPE state AS ENUM ('open', 'closed')")
    return postgres


def test_postgresql_reads_the_same(cases: str) -> None:
    """Each type comes out as SQLAlchemy reads it: times in the zone of the session, decimals trimmed."""
    through_adbc, other = both(Query(sql=TYPED, connection=cases))
    assert through_adbc == other
    assert isinstance(other, list)
    assert (other[0]["zoned"], other[0]["whole"], len(other)) == ("2026-07-02 00:30:00+01:00", "7", 7)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT 1 AS ref, '\\x00'::bytea AS x", "column 2 of row 1 does not hold text"),
        ("SELECT 1 AS ref, ARRAY[1] AS x", "column 2 of row 1 does not hold text"),
        ("SELECT 1 AS ref, interval '1 day' AS x", "column 2 of row 1 does not hold text"),
        (f"SELECT 1 AS ref, '{CANARY}' AS ref", "same name"),
        ("SELECT 1 AS ref WHERE false", "no rows"),
        ("SELECT 'infinity'::date AS ref", "refused the connection or the query"),
        ("SELECT DATE '0044-03-15 BC' AS ref", "refused the connection or the query"),
        ("SELECT '-infinity'::timestamp AS ref", "refused the connection or the query"),
        (f"SELECT ('{CANARY}' || n)::int AS ref FROM generate_series(1, 3) AS n", "refused the connection"),
        (f"CREATE TABLE made AS SELECT '{CANARY}' AS ref", "refused the connection or the query"),
        (f"SELECT 1 AS ref; DROP TYPE {CANARY}", "refused the connection or the query"),
    ],
)
def test_postgresql_refusals(cases: str, sql: str, words: str) -> None:
    """What one driver refuses the other refuses, in the same words and without a value."""
    for use_adbc in (True, False):
        told = one(Query(sql=sql, connection=cases), use_adbc=use_adbc)
        assert isinstance(told, str)
        assert words in told


@pytest.mark.parametrize(
    "sql", ["SELECT '$1.50'::money AS ref", "SELECT 7::oid AS ref", "SELECT 1.1::float4 AS ref"]
)
def test_types_that_adbc_reads_otherwise_are_left_to_the_other_driver(cases: str, sql: str) -> None:
    """Money would come as pence and single floats with further digits: SQLAlchemy reads them, and it is said."""
    source = read_query(Query(sql=sql, connection=cases))
    assert source.read_as == "SQL query, PostgreSQL, through SQLAlchemy"
    assert source.table().column("ref").to_pylist()[0] in {"$1.50", "7", "1.1"}


def test_a_type_of_no_driver(cases: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only ADBC is installed, the refusal says which column, and what to do."""
    monkeypatch.setattr("hashing.reading.database._has_sqlalchemy", lambda: False)
    with pytest.raises(ExtractError, match=r"column 2 is of a type.*Cast it to text"):
        read_query(Query(sql="SELECT 1 AS ref, '1'::money AS x", connection=cases))
    assert both(Query(sql="SELECT '1'::money::text AS ref", connection=cases))[0] == [{"ref": "$1.00"}]


@pytest.mark.parametrize("has_sqlalchemy", [True, False])
def test_passwords_are_in_no_message(monkeypatch: pytest.MonkeyPatch, has_sqlalchemy: bool) -> None:
    """A connection that fails is told without the connection string, whichever driver tried last."""
    if has_sqlalchemy:
        pytest.importorskip("sqlalchemy")
    monkeypatch.setattr("hashing.reading.database._has_sqlalchemy", lambda: has_sqlalchemy)
    for address in (
        f"postgresql://user:{CANARY}@127.0.0.1:1/x",
        f"postgres://user:{CANARY}@127.0.0.1:1/x?{CANARY}=1",
    ):
        with pytest.raises(ExtractError, match="refused the connection or the query") as caught:
            read_query(Query(sql="SELECT 1 AS ref", connection=address))
        assert CANARY not in str(caught.value)
        assert caught.value.__cause__ is None


def test_an_address_that_names_a_driver_gets_it(cases: str) -> None:
    """`postgresql+psycopg://` asks for SQLAlchemy's driver, and is obeyed."""
    address = cases.replace("postgresql://", "postgresql+psycopg://")
    source = read_query(Query(sql="SELECT 1 AS ref", connection=address))
    assert source.read_as == "SQL query, PostgreSQL, through SQLAlchemy"


def test_text_of_another_encoding(cases: str) -> None:
    """A database in Latin-1 gives the same letters through both drivers."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(cases, autocommit=True) as connection:
        connection.execute(
            "CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    address = cases.replace("/postgres?", "/latin?")
    through_adbc, other = both(Query(sql="SELECT 'Müller' || chr(233) AS ref", connection=address))
    assert through_adbc == other == [{"ref": "Mülleré"}]
