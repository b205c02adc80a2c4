"""Every kind of source reads to the same text, is said by name, and is refused without a value."""

from __future__ import annotations

import csv
import gc
import json
import sqlite3
import sys
import zipfile
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbooks import workbook

from governance.agreement import parse_agreement
from governance.draft import draft_agreement
from hashing.extract import Extract, read_extract
from hashing.mapping import AgencyMapping, load_mapping
from hashing.normalise._date_shapes import check_formats
from hashing.reading.columns import with_comma
from hashing.reading.database import Query, connection_from
from hashing.reading.table import cell_text, text_batches
from schemas.errors import AgreementInvalid, ExtractError, InputError, MappingError
from tests.conftest import run
from tests.governance.agreements import EXCLUDED, finish_draft

CANARY = "Quillcanary"


def columns(extract: Extract) -> dict[str, list[str | None]]:
    """The columns as plain lists."""
    return {name: column.to_pylist() for name, column in extract.columns.items()}


def read(source: Path | Query, **mapping: Any) -> Extract:
    """Read with a mapping of these entries."""
    return read_extract(source, agency="police", mapping=AgencyMapping(**mapping))


def refused(source: Path | Query, **mapping: Any) -> str:
    """Return the refusal, which holds no value."""
    with pytest.raises(InputError) as caught:
        read(source, **mapping)
    assert caught.value.__cause__ is None
    assert CANARY.lower() not in str(caught.value).lower()
    return str(caught.value)


# --- CSV ----------------------------------------------------------------------------------------------------

TEXT = "ref,surname,address\n1,Müller,12 High Street\n2,Łukasik,3 Low Road\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TEXT.encode(), "CSV, UTF-8, commas"),
        (TEXT.replace(",", ";").encode("utf-8-sig"), "CSV, UTF-8, semicolons"),
        (TEXT.replace(",", "\t").encode("utf-16"), "CSV, UTF-16, tabs"),
        (TEXT.replace(",", "\t").encode("utf-16-le"), "CSV, UTF-16, tabs"),
        (TEXT.replace(",", "|").encode("utf-16-be"), "CSV, UTF-16, bars"),
        (TEXT.replace(",", "^").encode(), "CSV, UTF-8, carets"),
        (TEXT.replace(",", "~").encode(), "CSV, UTF-8, tildes"),
        (TEXT.replace(",", "\x1f").encode(), "CSV, UTF-8, unit separators"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_encoding_and_delimiter_are_found_and_said(tmp_path: Path, content: bytes, said: str) -> None:
    """Whatever the export was made with, the text is the same, and the report says what it was taken for."""
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    extract = read(path)
    assert extract.read_as == said
    assert columns(extract)["surname"] == ["Müller", "Łukasik"]
    assert extract.first_row == 2


def test_windows_text_is_said(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are taken for Windows-1252, and that is said."""
    path = tmp_path / "x.csv"
    path.write_bytes("ref,surname\n1,Müller\n".encode("cp1252"))
    assert read(path).read_as == "CSV, Windows-1252, commas"


@pytest.mark.parametrize(
    "text",
    [
        "ref;address, full;dob\n1;12 High St, Leeds;x\n2;3 Low Rd, York;y\n",
        'ref;"a,b,c,d,e";surname\n1;"x,y";Smith\n',
        "ref|surname|note;note;note;note\n1|Smith|a\n",
        'ref;address\n1;"12 High St,\nLeeds, LS1"\n2;"3, Low, Rd"\n',
    ],
)
def test_delimiter_is_the_one_the_rows_agree_with(tmp_path: Path, text: str) -> None:
    """Commas and semicolons inside cells and headers do not mislead."""
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert read(path).read_as.split(", ")[-1] in {"semicolons", "bars"}
    assert columns(read(path))["ref"][0] == "1"


def test_mapping_states_encoding_and_delimiter(tmp_path: Path) -> None:
    """What nobody can find out from the file, a mapping states."""
    path = tmp_path / "x.csv"
    path.write_bytes("ref:surname\n1:Łukasik\n".encode("cp1250"))
    extract = read(path, encoding="cp1250", delimiter=":")
    assert columns(extract)["surname"] == ["Łukasik"]
    assert extract.read_as == "CSV, cp1250, its own delimiter"
    assert "no encoding of the name" in refused(path, encoding="nonsense")
    assert "encoding that the mapping gives" in refused(path, encoding="ascii", delimiter=":")


# --- Excel --------------------------------------------------------------------------------------------------


SHEET: list[list[str | float | date | None]] = [
    [None, None, None],
    ["Ref", "Surname", "DOB"],
    [7, "Smith & Sons", date(1990, 3, 4)],
    [None, None, None],
    [8.5, None, "04/03/1990"],
]


def test_workbook(tmp_path: Path) -> None:
    """Numbers lose their decimal point, dates become ISO, empty rows go, and the sheet read is said."""
    pytest.importorskip("python_calamine")
    path = workbook(tmp_path / "x.xlsx", SHEET, [["Code"], ["A"]])
    extract = read(path)
    assert columns(extract) == {
        "ref": ["7", "8.5"],
        "surname": ["Smith & Sons", None],
        "dob": ["1990-03-04", "04/03/1990"],
    }
    assert extract.read_as == "Excel, sheet 1 of 2"


def test_another_sheet(tmp_path: Path) -> None:
    """A mapping names the sheet; a name that is not there is refused."""
    pytest.importorskip("python_calamine")
    path = workbook(tmp_path / "x.xlsx", [["Code"], ["A"]], SHEET)
    assert columns(read(path, sheet="Sheet2"))["ref"] == ["7", "8.5"]
    assert "no sheet of the name" in refused(path, sheet="Sheet3")


@pytest.mark.parametrize(
    ("sheets", "words"),
    [
        ([[]], "sheet is empty"),
        ([[["ref", "surname"]]], "no rows"),
        ([[["ref", "surname", "SURNAME"], ["1", CANARY, CANARY]]], "columns 2 and 3"),
        ([[["surname"], [CANARY]]], "no column `ref`"),
    ],
)
def test_bad_workbooks(tmp_path: Path, sheets: list[list[list[Any]]], words: str) -> None:
    """The faults that CSV has are refused in workbooks too."""
    pytest.importorskip("python_calamine")
    assert words in refused(workbook(tmp_path / "x.xlsx", *sheets))


def test_what_only_pretends_to_be_a_workbook(tmp_path: Path) -> None:
    """Text under the name of a workbook, a workbook under the name of a text, and no file at all are refused."""
    pytest.importorskip("python_calamine")
    (tmp_path / "x.xlsx").write_text(f"ref,surname\n1,{CANARY}\n")
    assert "not a readable workbook" in refused(tmp_path / "x.xlsx")
    whole = workbook(tmp_path / "whole.xlsx", SHEET)
    with zipfile.ZipFile(whole) as archive, zipfile.ZipFile(tmp_path / "broken.xlsx", "w") as broken:
        for name in archive.namelist():
            broken.writestr(name, archive.read(name).replace(b"<row>", f'<row r="{CANARY}'.encode()))
    assert "not a readable workbook" in refused(tmp_path / "broken.xlsx")
    assert "ending .xlsx" in refused(workbook(tmp_path / "x.csv", SHEET))
    assert "cannot be read" in refused(tmp_path / "none.xlsx")


def test_workbook_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the reader the refusal names the extra."""
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    assert "tallystick[excel]" in refused(workbook(tmp_path / "x.xlsx", SHEET))


# --- SQL ----------------------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A SQLite file with one table."""
    path = tmp_path / "cases.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (id REAL, family TEXT, born TEXT, picture BLOB)")
    connection.executemany(
        "INSERT INTO people VALUES (?, ?, ?, ?)",
        [(7.0, "Smith", "1990-03-04", b"x"), (8, None, CANARY, None), (None, None, None, None)],
    )
    connection.commit()
    connection.close()
    return path


def sqlite(path: Path, sql: str) -> Query:
    """A query to a SQLite file."""
    return Query(sql=sql, connection=f"sqlite:///{path}")


def test_sqlite_query(database: Path) -> None:
    """A query reads like a file of its columns, and says so."""
    extract = read(sqlite(database, "SELECT id AS ref, family AS surname, born AS dob FROM people"))
    assert columns(extract) == {"ref": ["7", "8"], "surname": ["Smith", None], "dob": ["1990-03-04", CANARY]}
    assert extract.read_as.startswith("SQL query, SQLite")
    assert (extract.source, extract.first_row) == ("the SQL query", 1)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (f"SELECT '{CANARY}' FROM nowhere", "refused the query (OperationalError)"),
        (f"SELECT '{CANARY}", "refused the query"),
        (f"DELETE FROM people WHERE born = '{CANARY}'", "refused the query"),
        ("SELECT 1 AS ref; SELECT 2", "refused the query"),
        ("BEGIN", "returns no table"),
        ("SELECT id AS ref, picture FROM people", "column 2 of row 1 does not hold text"),
        ("SELECT id AS ref, born AS Ref FROM people", "same name"),
        ("SELECT id AS ref FROM people WHERE 0", "no rows"),
        ("SELECT family AS surname FROM people", "no column `ref`"),
    ],
)
def test_sqlite_refusals(database: Path, sql: str, words: str) -> None:
    """What the database refuses is refused by kind only, and nothing is ever changed."""
    before = database.read_bytes()
    assert words in refused(sqlite(database, sql))
    assert database.read_bytes() == before


def test_sqlite_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A wrong path makes no empty database."""
    assert "is not there" in refused(sqlite(tmp_path / "none.db", "SELECT 1 AS ref"))
    assert list(tmp_path.iterdir()) == []


def test_query_is_opaque(database: Path) -> None:
    """Neither the representation nor the text of a query shows the query or the connection."""
    query = sqlite(database, f"SELECT '{CANARY}'")
    assert CANARY not in f"{query!r} {query}"
    assert "cases.db" not in f"{query!r} {query}"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"nonsense://user:{CANARY}@host/x", "driver of this kind"),
        (CANARY, "not understood"),
        (f"postgresql://user:{CANARY}@127.0.0.1:1/x", "refused the connection"),
    ],
)
def test_bad_connections_are_not_quoted(address: str, words: str) -> None:
    """A connection string that does not work is refused without its password."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    assert words in refused(Query(sql="SELECT 1 AS ref", connection=address))


def test_database_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SQLAlchemy and ADBC the refusal names the extra."""
    for name in ("sqlalchemy", "adbc_driver_postgresql.dbapi"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "tallystick[sql]" in refused(Query(sql="SELECT 1 AS ref", connection="postgresql://host/x"))


def test_connection_comes_from_environment_or_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly one place gives the connection, and what was given by mistake is not repeated."""
    monkeypatch.setenv("CASES", " sqlite:///a.db\n")
    (tmp_path / "c").write_text("sqlite:///b.db\n")
    (tmp_path / "empty").write_text("\n")
    assert connection_from(variable="CASES") == "sqlite:///a.db"
    assert connection_from(file=tmp_path / "c") == "sqlite:///b.db"
    for wrong in (
        {},
        {"variable": "CASES", "file": tmp_path / "c"},
        {"variable": f"postgresql://{CANARY}@host/x"},
        {"file": tmp_path / "none"},
        {"file": tmp_path / "empty"},
    ):
        with pytest.raises(InputError) as caught:
            connection_from(**wrong)  # type: ignore[arg-type]
        assert CANARY not in str(caught.value)


def test_postgresql_query(postgres: str) -> None:
    """Numbers, dates, timestamps and nulls of a real PostgreSQL arrive as text."""
    sql = (
        "SELECT * FROM (VALUES (7::numeric, 'Smith', DATE '1990-03-04', TIMESTAMP '2026-01-02 00:00'), "
        "(8, NULL, NULL, NULL)) AS t (ref, surname, dob, record_date)"
    )
    extract = read(Query(sql=sql, connection=postgres))
    assert columns(extract) == {
        "ref": ["7", "8"],
        "surname": ["Smith", None],
        "dob": ["1990-03-04", None],
        "record_date": ["2026-01-02", None],
    }
    assert extract.read_as.startswith("SQL query, PostgreSQL, through ")


def test_postgresql_changes_nothing_and_quotes_nothing(postgres: str) -> None:
    """A statement that writes is refused by the server, and no refusal repeats the query."""
    for sql in (
        f"CREATE TABLE t AS SELECT '{CANARY}' AS x",
        f"SELECT '{CANARY}'::date AS ref",
        "SELECT 1 / 0 AS ref",
    ):
        assert "refused the connection or the query" in refused(Query(sql=sql, connection=postgres))


# --- cells --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None), ("", None), (" x ", " x "), (7, "7"), (7.0, "7"), (7.25, "7.25"), (float("nan"), None),
        (float("inf"), "inf"), (Decimal("7.00"), "7"), (Decimal("7.10"), "7.10"), (True, "TRUE"),
        (date(1990, 3, 4), "1990-03-04"), (datetime(1990, 3, 4), "1990-03-04"),
        (datetime(1990, 3, 4, 5), "1990-03-04 05:00:00"), (time(5), "05:00:00"), (9434765919.0, "9434765919"),
    ],
)  # fmt: skip
def test_cells_become_the_text_of_an_export(value: object, text: str | None) -> None:
    """References stay whole numbers and midnight is left off."""
    assert cell_text(value) == text


@settings(max_examples=100, deadline=None)
@given(st.integers(-(2**53), 2**53))
def test_whole_floats_are_whole_numbers(number: int) -> None:
    """A reference that a spreadsheet holds as a float reads as the number it shows."""
    assert cell_text(float(number)) == str(number)


# --- combine, split, constants ------------------------------------------------------------------------------


def test_combine_split_and_constants(tmp_path: Path) -> None:
    """Columns are joined without gaps, whole names are split, constants stand in every row."""
    path = tmp_path / "x.parquet"
    table = pa.table(
        {
            "ref": ["1", "2", "3"],
            "Client Name": ["SMITH John Paul", "de la Cruz Maria", None],
            "line 1": ["Flat 2 ", None, "  "],
            "line 2": ["12 High Street", "Leeds", ""],
        }
    )
    pq.write_table(table, path)
    extract = read(
        path,
        combine={"address": ("Line 1", "LINE 2")},
        split={"client name": "surname_first"},
        constants={"case_status": "open"},
    )
    assert columns(extract) == {
        "ref": ["1", "2", "3"],
        "forename": ["John Paul", "Maria", None],
        "surname": ["SMITH", "de la Cruz", None],
        "address": ["Flat 2, 12 High Street", "Leeds", None],
        "case_status": ["open", "open", "open"],
    }
    assert (extract.read_as, extract.first_row) == ("Parquet", 1)


def test_combined_forenames(tmp_path: Path) -> None:
    """First and middle names make one forename, also where one of them is missing."""
    path = tmp_path / "x.csv"
    path.write_text("ref,first,middle,forename\n1,Mary,Ann,z\n2,Mary,,z\n3,,Ann,z\n4,,,z\n")
    extract = read(path, combine={"forename": ("first", "middle")})
    assert columns(extract)["forename"] == ["Mary Ann", "Mary", "Ann", None]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Smith John", "Smith, John"),
        ("Mr Smith John", "Smith, John"),
        ("van der Berg Jan Piet", "van der Berg, Jan Piet"),
        ("Smith, John", "Smith, John"),
        ("Smith", "Smith"),
        ("", ""),
    ],
)
def test_surname_first(name: str, split: str) -> None:
    """The first word is the surname, with its particles and without a title before it."""
    assert with_comma(name) == split


def test_forename_first(tmp_path: Path) -> None:
    """Written as spoken, the last word is the surname."""
    path = tmp_path / "x.csv"
    path.write_text("ref,name\n1,Mary Ann Jones\n2,Cher\n")
    extract = read(path, split={"name": "forename_first"})
    assert columns(extract)["forename"] == ["Mary Ann", None]
    assert columns(extract)["surname"] == ["Jones", "Cher"]


def test_missing_parts_are_named(tmp_path: Path) -> None:
    """A column to combine or split that is not there is named, with those that are."""
    path = tmp_path / "x.csv"
    path.write_text(f"ref,first\n1,{CANARY}\n")
    for mapping in ({"combine": {"forename": ("first", "middle")}}, {"split": {"middle": "surname_first"}}):
        message = refused(path, **mapping)
        assert "'middle'" in message
        assert "ref, first" in message


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("combine: {forename: first}", r"combine\.forename: this must be a list"),
        ("combine: {forename: []}", "must be a list"),
        ("combine: {dob: [a, b]}", "'dob' cannot stand here.*forename, surname, address"),
        ("split: {name: first_surname}", "cannot stand here.*surname_first"),
        ("split: {a: surname_first, b: surname_first}", "only one column"),
        ("split: {a: surname_first}\n    columns: {surname: b}", "surname is to come from two places"),
        ("combine: {forename: [a]}\n    columns: {forename: b}", "forename is to come from two places"),
        ("constants: {nhs_number: '1'}", "'nhs_number' cannot stand here"),
        ("constants: {case_status: 1}", "must be text"),
        (
            "standards: {postcode: eircode}",
            "no such standard.*postcode: uk or generic; nhs_number: nhs or generic",
        ),
        ("standards: {dob: iso}", "no such standard"),
        ("delimiter: ab", "one character"),
        ("sheet: 1", "must be text"),
    ],
)
def test_bad_entries_of_a_mapping(tmp_path: Path, entry: str, words: str) -> None:
    """Each is refused with its place and with what may stand there."""
    path = tmp_path / "mapping.yaml"
    path.write_text(f"agencies:\n  police:\n    {entry}\n")
    with pytest.raises(MappingError, match=words):
        load_mapping(path)


def test_mapping_says_all_of_it(tmp_path: Path) -> None:
    """The entries of a mapping arrive as they are read."""
    path = tmp_path / "mapping.yaml"
    path.write_text(
        "agencies:\n  police:\n    combine: {forename: [first, middle]}\n    constants: {case_status: open}\n"
        "    delimiter: tab\n    encoding: cp1250\n    sheet: Cases\n"
    )
    assert load_mapping(path)["police"] == AgencyMapping(
        combine={"forename": ("first", "middle")},
        constants={"case_status": "open"},
        delimiter="\t",
        encoding="cp1250",
        sheet="Cases",
    )


# --- documents and commands ---------------------------------------------------------------------------------


def test_mapping_of_the_guide_is_read(tmp_path: Path) -> None:
    """The example of the guide is a mapping, once its two origins of a name are one."""
    guide = Path(__file__).parents[2] / "docs" / "guides" / "extracts.md"
    text = guide.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MappingError, match="forename is to come from two places"):
        load_mapping(path)
    one = "\n".join(
        line for line in text.splitlines() if "split:" not in line and "surname_first" not in line
    )
    path.write_text(one, encoding="utf-8")
    mapping = load_mapping(path)["housing"]
    check_formats(mapping.dates["dob"])
    assert (mapping.delimiter, mapping.sheet, mapping.constants) == (":", "Cases", {"case_status": "open"})


@pytest.mark.parametrize(
    ("field", "standard", "words"),
    [
        ("postcode", "eircode", r"fields\[5\]\.standard: is not known; known: uk or generic"),
        ("nhs_number", "uk", "known: nhs or generic"),
        ("dob", "iso", "none for this field"),
    ],
)
def test_agreement_with_an_unknown_standard(field: str, standard: str, words: str) -> None:
    """A standard that this release does not know is a fault of the agreement, told with the known ones."""
    document = draft_agreement(
        parties={"police": "police", "health": "health"},
        passes=("dob+forename.canonical+surname.canonical",),
        today=date(2026, 7, 1),
        standards={"postcode": "generic", "nhs_number": "nhs"},
    )
    parse_agreement(document)
    document["fields"] = [
        {**entry, "standard": standard} if entry["name"] == field else entry for entry in document["fields"]
    ]
    with pytest.raises(AgreementInvalid, match=words):
        parse_agreement(document)


def _into_sqlite(extract: Path, path: Path) -> None:
    """Put a CSV extract into a SQLite table of the same columns."""
    with extract.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = list(csv.reader(stream))
    connection = sqlite3.connect(path)
    named = ", ".join(f'"{name}"' for name in header)
    connection.execute(f"CREATE TABLE cases ({named})")
    connection.executemany(f"INSERT INTO cases VALUES ({', '.join('?' * len(header))})", rows)
    connection.commit()
    connection.close()


def test_sealed_and_opened_from_a_database(extracts: Path, tmp_path: Path) -> None:
    """An agency whose cases are in a database seals and opens without a file, and learns what the file would tell."""
    _into_sqlite(extracts / "police.csv", tmp_path / "cases.db")
    env = {"TALLYSTICK_PASSPHRASE": f"{CANARY} horse", "CASES": f"sqlite:///{tmp_path / 'cases.db'}"}
    said = []

    def do(*words: str | Path) -> str:
        result = run(*words, env=env)
        said.append(result.output)
        assert result.exit_code == 0, result.output
        return result.stdout

    keys = {name: tmp_path / f"{name}.key" for name in ("police", "health", "unit")}
    for name, key in keys.items():
        do("keys", "new", name, "--out", key)
    agreement = ("--agreement", tmp_path / "agreement.yaml")
    listed = [word for key in keys.values() for word in ("--keys", key)]
    do(
        "agreement",
        "new",
        "--party",
        "police",
        "--party",
        "health",
        *listed,
        "--unit",
        "unit",
        "--out",
        agreement[1],
    )
    finish_draft(agreement[1])
    for name in ("police", "health"):
        do("agreement", "sign", agreement[1], "--key", keys[name])
    (tmp_path / "exchange").mkdir()
    for step in ("contribute", "contribute", "combine"):
        for name in ("police", "health"):
            out = ("--out", tmp_path / f"{name}.secret") if step == "combine" else ()
            own = ("--folder", tmp_path / "exchange", "--own", tmp_path / f"{name}.own")
            do("keys", step, *agreement, "--key", keys[name], *own, *out)
    query = ("--sql", "SELECT * FROM cases", "--connection-env", "CASES")

    def role(name: str) -> tuple[str | Path, ...]:
        mapping = ("--mapping", extracts / "mapping.yaml", "--crosswalk", tmp_path / f"{name}.crosswalk")
        return (*agreement, "--key", keys[name], "--secret", tmp_path / f"{name}.secret", *mapping)

    sealing = ("--run", "r", *EXCLUDED, "--rejects", tmp_path / "rejects.csv", "--json")
    sealed = json.loads(do("seal", *query, *role("police"), *sealing, "--out", tmp_path / "police.tally"))
    assert sealed["read_as"].startswith("SQL query, SQLite")
    assert (tmp_path / "rejects.csv").read_text().startswith('"row","reason"\n')
    text = do(
        "seal", extracts / "health.csv", *role("health"), *sealing[:-3], "--out", tmp_path / "health.tally"
    )
    assert "read as CSV, UTF-8, commas." in text
    packages = (tmp_path / "police.tally", tmp_path / "health.tally")
    do("link", *packages, *agreement, "--key", keys["unit"], "--out", tmp_path / "run")
    package = tmp_path / "run" / "returns" / "police.tally"
    for name, source in (("file", ("--extract", extracts / "police.csv")), ("query", query)):
        do("open", package, *source, *role("police"), "--out", tmp_path / f"{name}.csv")
    rows = [sorted((tmp_path / f"{name}.csv").read_text().splitlines()) for name in ("file", "query")]
    assert rows[0] == rows[1]
    assert len(rows[0]) > 1
    assert "cases.db" not in "".join(said)
    assert CANARY not in "".join(said)


def test_a_query_in_many_chunks(tmp_path: Path) -> None:
    """Text, numbers, mixed cells, gaps and empty rows come out the same wherever the driver's chunks end."""
    rows: list[tuple[Any, ...]] = []
    for number in range(2500):
        name = None if number % 7 == 0 else "" if number % 11 == 0 else f"Jones{number}"
        mixed = (number, 2.0, "x", None)[number % 4]
        rows.append((None, "", None, None) if number % 500 == 499 else (number, name, mixed, 1.5))
    path = tmp_path / "cases.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (ref, surname, address, lead_contact)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    gathered = gc.isenabled()
    extract = read(Query(sql="SELECT * FROM t", connection=f"sqlite:///{path}"))
    assert gc.isenabled() == gathered
    kept = [row for row in rows if any(cell not in {None, ""} for cell in row)]
    assert extract.rows == len(kept) == 2495
    assert list(zip(*columns(extract).values(), strict=True)) == [
        tuple(cell_text(cell) for cell in row) for row in kept
    ]


def test_a_cell_that_is_no_text_is_found_in_a_later_chunk(tmp_path: Path) -> None:
    """The row of a cell that cannot be read is numbered from the first row of all."""
    path = tmp_path / "cases.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (ref, surname)")
        cells = [(str(number), b"\xff" if number == 2345 else "x") for number in range(1, 3000)]
        connection.executemany("INSERT INTO t VALUES (?, ?)", cells)
        connection.commit()
    with pytest.raises(ExtractError, match="column 2 of row 2345 "):
        read(Query(sql="SELECT * FROM t", connection=f"sqlite:///{path}"))


def test_rows_of_uneven_length() -> None:
    """A row of a workbook that is too short ends in empty cells; what lies beyond the headers is not read."""
    (batch,) = text_batches(["a", "b", "c"], [[["1"], ["2", "3", "4", "5"], []]], "x")
    assert batch.to_pylist() == [{"a": "1", "b": None, "c": None}, {"a": "2", "b": "3", "c": "4"}]


CELLS = st.sampled_from(
    [
        st.dates(),
        st.datetimes(),
        st.datetimes().map(lambda when: datetime.combine(when, time(0))),
        st.datetimes(timezones=st.just(UTC)),
        st.decimals(allow_nan=True, allow_infinity=False),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.text(st.characters(codec="utf-8")),
        st.times(),
        st.uuids(),
    ]
)


@settings(max_examples=200, deadline=None)
@given(CELLS.flatmap(lambda kind: st.lists(st.none() | kind, min_size=1, max_size=20)))
def test_a_column_reads_like_its_cells(cells: list[Any]) -> None:
    """However a column of one kind is turned into text, each cell is what it would be by itself."""
    expected = [cell_text(cell) for cell in cells]
    made = [
        row["x"]
        for batch in text_batches(["ref", "x"], [[("1", cell) for cell in cells]], "x")
        for row in batch.to_pylist()
    ]
    assert made == expected
