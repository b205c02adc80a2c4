"""Exports as they lie on an analyst's laptop: read whole and right, or refused with the place and what to do."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbooks import workbook

from hashing.extract import Extract, read_extract, read_source
from hashing.guess import guess_mapping
from hashing.mapping import AgencyMapping
from hashing.order import Order
from hashing.preparing import require_possible
from hashing.reading import delimited
from hashing.reading.columns import as_text
from hashing.reading.table import cell_text
from schemas.errors import ExtractError, OutputError
from tests.conftest import run

CANARY = "Quillcanary"


def read(path: Path, **mapping: Any) -> Extract:
    """Read with a mapping of these entries."""
    return read_extract(path, agency="police", mapping=AgencyMapping(**mapping))


def refused(path: Path, **mapping: Any) -> str:
    """Return the refusal, which holds no value."""
    with pytest.raises(ExtractError) as caught:
        read(path, **mapping)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value)


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    """Write text as it is, line ends included."""
    path.write_bytes(text.encode(encoding))
    return path


# --- headers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("titles", ["", 'Übersicht;;\n"two\nlines";;\n'])
def test_line_break_in_a_header(tmp_path: Path, encoding: str, end: str, titles: str) -> None:
    """A quoted header with a line break is one header, below titles too, and rows are numbered from below it."""
    text = (
        titles
        + 'Person ID;"Surname\n(family)";"Date of\nBirth"\n7;Müller;31.12.20\n8;O\'Brien\n'
        + "9;Lee;x\n" * 30
    )
    path = written(tmp_path / "x.csv", text.replace("\n", end), encoding)
    source = read_source(path)
    assert source.names == ("Person ID", "Surname (family)", "Date of Birth")
    table = source.table()
    assert table.column("Surname (family)").to_pylist()[:2] == ["Müller", "Lee"]
    assert (table.num_rows, source.ragged) == (31, [1])
    assert source.first_row == (4 if titles else 2)
    columns = {"ref": "Person ID", "surname": "Surname (family)", "dob": "date of birth"}
    assert read(path, columns=columns).columns["dob"][0].as_py() == "31.12.20"


def test_header_broken_without_quotes(tmp_path: Path) -> None:
    """Where the line break is not quoted, the refusal says how wide header and rows are, and why that may be."""
    text = "Person ID;Surname;Date of\nBirth;Sex\n" + f"7;{CANARY};31.12.20;F\n" * 9
    said = refused(written(tmp_path / "x.csv", text), columns={"ref": "Person ID"})
    assert "the header has 3, most of them 4" in said
    assert "a line break in a column's name" in said


def test_quotation_mark_in_a_header(tmp_path: Path) -> None:
    """A mark that opens nothing, or is never closed, does not swallow the rows."""
    assert (
        read(written(tmp_path / "a.csv", 'ref,height 5",surname\n1,x,Smith\n')).columns["surname"][0].as_py()
        == "Smith"
    )
    assert read_source(written(tmp_path / "b.csv", 'ref,surname,"note\n' + "1,Smith,x\n" * 40)).names[:2] == (
        "ref",
        "surname",
    )


# --- rows ---------------------------------------------------------------------------------------------------

ROWS = "ref,surname,address\n" + "".join(f'{n},Smith,"{n} High Street, Leeds"\n' for n in range(60))


@pytest.mark.parametrize("cut", [3, 14, 26])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_file_that_was_cut_off(tmp_path: Path, cut: int, encoding: str) -> None:
    """A file that ends inside a cell, or with the first cells of a row, is refused: more may be missing."""
    said = refused(written(tmp_path / "x.csv", ROWS[:-cut], encoding))
    assert "the file ends in the middle of row 61" in said


@pytest.mark.parametrize(
    "end",
    ["", "\n", "\n59,Smith,Leeds", "\n59 rows", "\n\n59 rows\n", '\n59,Smith,"12"" pipe"', '\n59,5" nail,x'],
)
def test_file_that_is_complete(tmp_path: Path, end: str) -> None:
    """A last row without its line break is a row; a count below the table is told as a row that is not one."""
    extract = read(written(tmp_path / "x.csv", ROWS.rstrip("\n") + end))
    assert extract.rows == 60 + ("59," in end)
    assert len(extract.ragged) == ("rows" in end)


def test_a_row_larger_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of millions of characters costs no row: each is read once, in order; ragged ones keep their number."""
    monkeypatch.setattr(delimited, "_BLOCK", 1024)
    lines = [f"{n},Smith,{'long ' * 1000 if n in {150, 400} else 'x'}" for n in range(500)]
    lines[20] = lines[300] = "only one"
    source = read_source(written(tmp_path / "x.csv", "ref,surname,notes\n" + "\n".join(lines) + "\n"))
    assert source.table().column("ref").to_pylist() == [str(n) for n in range(500) if n not in {20, 300}]
    assert source.ragged == [20, 300]
    monkeypatch.setattr(delimited, "_LARGEST_BLOCK", 2048)
    assert "a row is longer than" in refused(tmp_path / "x.csv")


def test_texts_written_as_formulas(tmp_path: Path) -> None:
    """`="007"`, by which some systems keep leading zeros, is 007, so that lists of references find it."""
    extract = read(
        written(tmp_path / "x.csv", 'ref,surname,dob\n="007",="Lee","=""1990-03-04"""\n8,=Lee,x="y"\n')
    )
    assert [column.to_pylist() for column in extract.columns.values()] == [
        ["007", "8"],
        ["Lee", "=Lee"],
        ["1990-03-04", 'x="y"'],
    ]


@pytest.mark.parametrize("column", ["ref", "nhs_number"])
def test_numbers_that_a_spreadsheet_cut_short(tmp_path: Path, column: str) -> None:
    """Numbers with exponents would make one person of many: the column is named, and the file refused."""
    other = "nhs_number" if column == "ref" else "ref"
    path = written(tmp_path / "x.csv", f"{column},{other},surname\n12,1,{CANARY}\n9.43477E+09,2,{CANARY}\n")
    assert f"column '{column}': holds numbers that a spreadsheet has cut short" in refused(path)
    guess = guess_mapping(read_source(path).table(), agency="police", source="x")
    assert any(f"The column for {column} went through a spreadsheet" in note for note in guess.notes)
    assert "nhs_number" not in guess.standards


def test_letters_that_look_like_exponents(tmp_path: Path) -> None:
    """References such as E+1 or 12E4 stay."""
    extract = read(written(tmp_path / "x.csv", "ref,surname\nE+1,Lee\n12E4,Lee\n1E+2B,Lee\n"))
    assert extract.columns["ref"].to_pylist() == ["E+1", "12E4", "1E+2B"]


# --- Parquet ------------------------------------------------------------------------------------------------


def test_parquet_of_a_statistics_package(tmp_path: Path) -> None:
    """Floats with gaps are whole numbers, timestamps are the days of their own zone, dictionaries are read."""
    times = pa.array([datetime(1960, 6, 1), None, datetime(1970, 1, 1)], pa.timestamp("us"))
    table = pa.table(
        {
            "ref": pa.array([9434765919.0, 100000000000.0, 7.0]),
            "uprn": pa.array([100023336956.0, None, float("nan")]).dictionary_encode(),
            "surname": pa.array(["Lee", "Lee", None]).cast(pa.dictionary(pa.int8(), pa.large_string())),
            "dob": pc.assume_timezone(times, "Europe/London"),
            "record_date": pa.array(
                [datetime(2026, 1, 2, 9, 30), None, datetime(2026, 1, 2)], pa.timestamp("ns")
            ),
        }
    )
    pq.write_table(table, tmp_path / "données.parquet")
    columns = read(tmp_path / "données.parquet").columns
    assert {name: column.to_pylist() for name, column in columns.items()} == {
        "ref": ["9434765919", "100000000000", "7"],
        "surname": ["Lee", "Lee", None],
        "dob": ["1960-06-01", None, "1970-01-01"],
        "uprn": ["100023336956", None, None],
        "record_date": ["2026-01-02 09:30:00", None, "2026-01-02 00:00:00"],
    }


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.lists(st.none() | st.floats()),
        st.lists(st.none() | st.integers(-(10**15), 10**15).map(float)),
        st.lists(st.none() | st.booleans(), min_size=1),
        st.lists(st.none() | st.decimals(-1000, 1000, places=2), min_size=1),
    )
)
def test_numbers_become_the_text_of_a_workbook(cells: list[float | bool | Decimal | None]) -> None:
    """A number reads the same whether a Parquet file, a workbook or a database holds it."""
    array = pa.array(cells, pa.float64() if cells and isinstance(cells[0], float) else None)
    assert as_text(array, "x", "x").to_pylist() == [cell_text(cell) for cell in cells]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), min_size=1),
    st.sampled_from(["ms", "us"]),
)
def test_timestamps_keep_their_day(times: list[datetime], unit: str) -> None:
    """Whatever the fraction of a second, before 1970 too, the day is the day that was written."""
    texts = as_text(
        pa.array(times, pa.timestamp("us")).cast(pa.timestamp(unit), safe=False), "x", "x"
    ).to_pylist()
    assert [text[:10] for text in texts] == [time.date().isoformat() for time in times]
    assert as_text(pa.array([datetime(1960, 6, 1, tzinfo=UTC)]), "x", "x").to_pylist() == ["1960-06-01"]


# --- workbooks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"<html><table><td>{CANARY}".encode(), "a web page or XML"),
        (f"\ufeff<?xml version='1.0'?>{CANARY}".encode(), "a web page or XML"),
        (f"ref\tsurname\n1\t{CANARY}\n".encode(), "give its name the ending .csv"),
        (f"ref\tsurname\n1\t{CANARY}\n".encode("utf-16"), "give its name the ending .csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0\0\0", "If it has a password"),
        (b"PK\x03\x04", "If it has a password"),
    ],
)
def test_what_is_called_a_workbook(tmp_path: Path, content: bytes, words: str) -> None:
    """Systems write web pages and text under the name of a workbook: the remedy says which it is."""
    pytest.importorskip("python_calamine")
    (tmp_path / "x.xls").write_bytes(content)
    assert words in refused(tmp_path / "x.xls")


def test_line_break_in_a_header_of_a_workbook(tmp_path: Path) -> None:
    """A header of two lines is written in one in the draft, which reads the sheet; merged references are rejected."""
    pytest.importorskip("python_calamine")
    rows: list[list[Any]] = [
        ["Quarterly extract"],
        [None],
        ["Person\nID", "Surname", "Date of\nBirth"],
        ["7", "Lee", 33000],
        [None, "Lee", 33001],
    ]
    path = workbook(tmp_path / "Fälle März.xlsx", rows)
    drafted = run("mapping", "guess", path, "--agency", "police", "--out", tmp_path / "m.yaml")
    assert drafted.exit_code == 0, drafted.output
    assert "dob: Date of Birth" in (tmp_path / "m.yaml").read_text(encoding="utf-8")
    told = run("profile", path, "--mapping", tmp_path / "m.yaml", "--rejects", tmp_path / "r.csv")
    assert "header in row 3" in told.stdout
    assert '5,"no reference"' in (tmp_path / "r.csv").read_text()


def test_notes_before_the_data(tmp_path: Path) -> None:
    """The first sheet that has a header is read, also one that the mapping names; which one is said."""
    pytest.importorskip("python_calamine")
    data: list[list[Any]] = [["ref", "surname"], ["7", "Lee"]]
    notes: list[list[Any]] = [["This workbook was made by"], ["the case system"]]
    assert read(workbook(tmp_path / "a.xlsx", notes, [], data, data)).read_as == "Excel, sheet 3 of 4"
    own: list[list[Any]] = [["Fall", "Nachname"], ["7", "Lee"]]
    mapped = read(workbook(tmp_path / "b.xlsx", notes, own), columns={"ref": "Fall", "surname": "Nachname"})
    assert (mapped.read_as, mapped.columns["ref"].to_pylist()) == ("Excel, sheet 2 of 2", ["7"])
    assert read(workbook(tmp_path / "c.xlsx", data, notes), sheet="Sheet1").rows == 1
    assert "no column `ref`" in refused(workbook(tmp_path / "d.xlsx", notes, own))


def test_durations_in_a_column_that_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a call took is no reason to refuse a workbook."""
    calamine = pytest.importorskip("python_calamine")
    path = workbook(tmp_path / "x.xlsx", [["ref", "surname"], ["7", "Lee"]])
    rows = [["ref", "surname", "took"], ["7", "Lee", timedelta(hours=30)]]

    class Sheet:
        def to_python(self, **_: Any) -> list[list[Any]]:
            return rows

    class Workbook:
        sheet_names = ("Calls",)

        @staticmethod
        def from_path(_: Path) -> Workbook:
            return Workbook()

        def get_sheet_by_index(self, _: int) -> Sheet:
            return Sheet()

    monkeypatch.setattr(calamine, "CalamineWorkbook", Workbook)
    assert read_source(path).table().to_pylist() == [{"ref": "7", "surname": "Lee", "took": "1 day, 6:00:00"}]


def test_a_file_that_is_open_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that another program locks, or that is closed to the user, is told with what to do."""
    path = written(tmp_path / "x.csv", "ref,surname\n1,Lee\n")

    def held(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", held)
    assert "cannot be read (Permission denied). Check the path and your permissions, and close it" in refused(
        path
    )


# --- commands -----------------------------------------------------------------------------------------------


def test_many_columns(tmp_path: Path) -> None:
    """Of 200 columns those that are not made use of are counted, and twenty named."""
    header = ["ref", "surname", *(f"x{n}" for n in range(198))]
    path = written(tmp_path / "x.csv", ",".join(header) + "\n" + ",".join(["1"] * 200) + "\n")
    told = run("mapping", "guess", path)
    assert "x0, x1, " in told.stderr
    assert "x19 and 178 more." in told.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\r\n\r\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"ref,surname", "no rows"),
        (b"ref,surname\r\n", "no rows"),
        (b'ref,"sur\nname"\r\n\r\n', "no rows"),
        (b"ref,surname,SURNAME\n1,2,3\n", "columns 2 and 3 have the same name"),
    ],
)
@pytest.mark.parametrize("command", [("profile",), ("mapping", "guess")])
def test_nothing_to_read(tmp_path: Path, content: bytes, words: str, command: tuple[str, ...]) -> None:
    """What holds no rows, or two columns of one name, is said in a sentence by each command."""
    path = tmp_path / "leer im März.csv"
    path.write_bytes(content)
    told = run(*command, path)
    assert told.exit_code == 2
    assert words in told.stderr
    assert "unexpected" not in told.stderr


def test_folder_that_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written, seal and its dry run say so before they read anything."""

    def order(**files: Path) -> Order:
        usual = {
            "out": tmp_path / "p.tally",
            "crosswalk": tmp_path / "p.crosswalk",
            "rejects": tmp_path / "r.csv",
        }
        return Order(
            extract=tmp_path / "x.csv",
            agreement_file=tmp_path / "a.yaml",
            mapping_file=None,
            run_id="r",
            **{**usual, **files},  # type: ignore[arg-type]
        )

    require_possible(order(), datetime.now(UTC))
    closed = tmp_path / "closed"
    closed.mkdir()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and real(path, mode))
    for name in ("out", "crosswalk", "rejects"):
        for folder in (closed, tmp_path / "none"):
            with pytest.raises(OutputError, match=r"cannot write here.*Choose a folder"):
                require_possible(order(**{name: folder / "f"}), datetime.now(UTC))
