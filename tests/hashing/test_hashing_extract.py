"""Extracts as agencies really export them: each is read right or refused in one clear sentence."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hashing.extract import Extract, read_extract
from hashing.mapping import COLUMNS, AgencyMapping, load_mapping
from schemas.errors import ExtractError, InputError, MappingError

CANARY = "QUILLFEATHER"
"""Stands where a person's data would; no message may hold it in any case."""


def read(path: Path, content: bytes | str, mapping: AgencyMapping | None = None) -> Extract:
    """Write `content` to `path` and read it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_extract(path, agency="police", mapping=mapping)


def refusal(path: Path, content: bytes | str, mapping: AgencyMapping | None = None) -> InputError:
    """Return the refusal of `content`; it names the file and no value."""
    with pytest.raises(InputError) as caught:
        read(path, content, mapping)
    assert type(caught.value) in {ExtractError, MappingError}
    assert str(path) in str(caught.value)
    assert CANARY.lower() not in str(caught.value).lower()
    return caught.value


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place for an extract."""
    return tmp_path / "extract.csv"


TEXT = "ref,surname,dob\r\n1,Müller,1990-03-04\r\n2,,\r\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode("utf-8"),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
        TEXT.replace("\r\n", "\n").encode(),
        TEXT.replace("\r\n", "\r").encode(),
        TEXT.rstrip().encode(),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", "|").encode(),
        TEXT.replace("ref,surname,dob", " REF ,SurName,D.O.B").encode(),
        TEXT.replace("ref,surname,dob", '"ref","surname","dob"').encode(),
        ("\r\n\n" + TEXT).encode(),
        TEXT.replace("\r\n2", "\r\n\r\n2").encode(),
        TEXT.replace("Müller", '"Müller"').encode(),
    ],
    ids=[
        "utf-8", "byte-order-mark", "utf-16", "utf-16-be", "windows-1252", "lf", "cr", "no-last-newline",
        "semicolons", "tabs", "bars", "header-case", "quoted-header", "blank-first-lines", "blank-lines", "quoted",
    ],
)  # fmt: skip
def test_every_export_reads_the_same(file: Path, content: bytes) -> None:
    """Encoding, line ends, delimiter, quoting and the header's case make no difference."""
    extract = read(file, content)
    assert {name: column.to_pylist() for name, column in extract.columns.items()} == {
        "ref": ["1", "2"],
        "surname": ["Müller", None],
        "dob": ["1990-03-04", None],
    }
    assert (extract.rows, extract.agency, extract.source) == (2, "police", str(file))


def test_quoted_cells_may_hold_anything(file: Path) -> None:
    """Line breaks, delimiters and doubled quotation marks inside quotation marks belong to the cell."""
    extract = read(file, 'ref,address\n1,"12 High Street,\nLeeds"\n2,"The ""Old"" Mill"\n')
    assert extract.columns["address"].to_pylist() == ["12 High Street,\nLeeds", 'The "Old" Mill']


def test_values_stay_text(file: Path) -> None:
    """Nothing is taken for a number, a date or a missing value: leading zeros and the surname Null stay."""
    extract = read(file, "ref,surname,dob,uprn\n007,Null,04/03/1990,000100071\nTRUE,NA,1990-03-04,1e5\n")
    assert extract.columns["ref"].to_pylist() == ["007", "TRUE"]
    assert extract.columns["surname"].to_pylist() == ["Null", "NA"]
    assert extract.columns["dob"].to_pylist() == ["04/03/1990", "1990-03-04"]
    assert extract.columns["uprn"].to_pylist() == ["000100071", "1e5"]


def test_unused_and_unnamed_columns_do_no_harm(file: Path) -> None:
    """Columns of other names, and the unnamed ones that spreadsheets leave at the end, are passed over."""
    extract = read(file, "ref,1,true,2020-01-01,surname,,\n1,a,b,c,Smith,,\n")
    assert {name: column.to_pylist() for name, column in extract.columns.items()} == {
        "ref": ["1"],
        "surname": ["Smith"],
    }


def test_mapping_renames_columns(file: Path) -> None:
    """A mapped column is found under its own header, whatever its case; the rest under logical names."""
    mapping = AgencyMapping(columns={"ref": "Person ID", "dob": "date_of_birth"})
    extract = read(file, "person id,Date Of Birth,surname\n9,1990-03-04,Smith\n", mapping)
    assert {name: column.to_pylist() for name, column in extract.columns.items()} == {
        "ref": ["9"],
        "surname": ["Smith"],
        "dob": ["1990-03-04"],
    }


REFUSED = [
    (b"", "empty"),
    (b"\r\n\n  \n", "empty"),
    ("ref,surname\n", "no rows"),
    ("ref,surname", "no rows"),
    ("ref,surname\n\n\r\n", "no rows"),
    (f"ref,surname\n1,{CANARY}\n2,{CANARY},extra\n3\n", r"2 row\(s\) .* \(row 3, 4\)"),
    (f'ref,surname,dob\n1,"{CANARY}\n2,Smith,1990-03-04\n', "row"),
    (f'ref,surname\n1,Smith\n2,"{CANARY}\n3,Jones\n', "row 3 is never closed"),
    (f"ref,surname,Surname\n1,{CANARY},{CANARY}\n", "columns 2 and 3 have the same name"),
    (f"77,{CANARY},{CANARY}\n78,Smith,Jones\n", "columns 2 and 3"),
    (f"77,{CANARY},1990-03-04\n78,Smith,1990-03-04\n", "no column `ref`"),
    (f"surname,dob\n{CANARY},1990-03-04\n", "no column `ref`"),
    (b"PK\x03\x04\x14\0\0\0" + CANARY.encode(), "not a text file"),
    (b"ref,surname\n1,Q\x81\n", "not text in UTF-8"),
    (b"\xff\xfer\0e", "not text in UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), REFUSED)
def test_bad_files_are_refused(file: Path, content: bytes | str, words: str) -> None:
    """Each gives one clear error that says what is wrong and holds no value."""
    error = refusal(file, content)
    assert type(error) is ExtractError
    assert re.search(words, error.message)


def test_bad_rows_are_counted_and_the_first_named(file: Path) -> None:
    """Of many incomplete rows the number and the first five are told."""
    error = refusal(file, "ref,surname\n" + f"{CANARY}\n" * 8)
    assert error.message.startswith("8 row(s)")
    assert "(row 2, 3, 4, 5, 6 …)" in error.message


def test_mapping_to_a_column_that_is_not_there(file: Path) -> None:
    """The missing column is named, and so are the columns there are."""
    error = refusal(file, f"ref,name\n1,{CANARY}\n", AgencyMapping(columns={"surname": "family_name"}))
    assert type(error) is MappingError
    assert "surname" in error.message
    assert "family_name" in error.message
    assert "ref, name" in str(error.remedy)


def test_a_file_without_header_is_not_quoted(file: Path) -> None:
    """When the first line may be a person, a wrong mapping is refused without showing it."""
    refusal(file, f"1,{CANARY},1990-03-04\n", AgencyMapping(columns={"ref": "person_id"}))


def test_file_that_is_not_there(file: Path, tmp_path: Path) -> None:
    """A missing file and a folder are refused like any other bad extract."""
    for path in (file, tmp_path):
        with pytest.raises(ExtractError, match="cannot be read"):
            read_extract(path, agency="police")


def parquet(path: Path, table: pa.Table) -> Path:
    """Write a Parquet file."""
    pq.write_table(table, path)
    return path


def test_parquet_of_any_plain_type(tmp_path: Path) -> None:
    """Numbers, dates, dictionaries and large strings become text; nulls stay null."""
    table = pa.table(
        {
            "ref": pa.array([7, 8], pa.int64()),
            "surname": pa.array(["Smith", None]).dictionary_encode(),
            "forename": pa.array(["Mary", None], pa.large_string()),
            "dob": pa.array([date(1990, 3, 4), None]),
        }
    )
    extract = read_extract(parquet(tmp_path / "x.parquet", table), agency="health")
    assert {name: column.to_pylist() for name, column in extract.columns.items()} == {
        "ref": ["7", "8"],
        "forename": ["Mary", None],
        "surname": ["Smith", None],
        "dob": ["1990-03-04", None],
    }


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"ref": [[CANARY]]}),
        pa.table({"ref": [b"\xff" + CANARY.encode()]}),
        pa.table({"surname": [CANARY]}),
        pa.table({"ref": pa.array([], pa.string())}),
        pa.table({"ref": ["1"], "surname": [CANARY], "Surname": [CANARY]}),
    ],
    ids=["nested", "bytes", "no-ref", "no-rows", "repeated"],
)
def test_bad_parquet_is_refused(tmp_path: Path, table: pa.Table) -> None:
    """Columns that hold no text, and the faults that CSV has too, are refused without a value."""
    with pytest.raises(ExtractError) as caught:
        read_extract(parquet(tmp_path / "x.parquet", table), agency="health")
    assert CANARY not in str(caught.value)


def test_what_only_pretends_to_be_parquet(tmp_path: Path) -> None:
    """Text under the name of a Parquet file is refused."""
    refusal(tmp_path / "x.parquet", f"ref,surname\n1,{CANARY}\n")


# --- mapping.yaml ------------------------------------------------------------------------------------------

MAPPING = """\
mapping_version: 1
agencies:
  police:
    agency_type: police
    columns: {ref: Person ID, dob: DOB}
    dates: {dob: "%d/%m/%Y", record_date: ["%d.%m.%Y", "%Y"]}
    codes:
      case_status: {NO: CLOSED, "01": OPEN}
    standards: {postcode: generic}
  health:
"""


def test_mapping_file(file: Path) -> None:
    """Every entry arrives, a lone format is a list of one, and NO is no truth value."""
    file.write_text(MAPPING)
    assert load_mapping(file) == {
        "police": AgencyMapping(
            agency_type="police",
            columns={"ref": "Person ID", "dob": "DOB"},
            dates={"dob": ("%d/%m/%Y",), "record_date": ("%d.%m.%Y", "%Y")},
            codes={"case_status": {"NO": "CLOSED", "01": "OPEN"}},
            standards={"postcode": "generic"},
        ),
        "health": AgencyMapping(),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- police\n", "list of"),
        ("agencies: [police]\n", "agencies: this must be a list"),
        ("agencies: {police: yes}\n", "agencies.police"),
        ("agencies: {police: {colums: {}}}\n", "'colums' is no part"),
        ("agencies: {police: {columns: {family_name: x}}}\n", "'family_name' is no column"),
        ("agencies: {police: {columns: {dob: 7}}}\n", r"columns\.dob: this must be text"),
        ("agencies: {police: {dates: {dob: 7}}}\n", r"dates\.dob"),
        ("agencies: {police: {dates: {dob: [7]}}}\n", r"dates\.dob"),
        ("agencies: {police: {agency_type: [a]}}\n", r"agency_type"),
        ("agencies: {police: {codes: {sex: M}}}\n", r"codes\.sex"),
        ("agencies: {police: {codes: {sex: {01: M}}}}\n", "a code is not text.*in quotes"),
        ("agencies: {police: {codes: {sex: {M: 1}}}}\n", r"codes\.sex\.M: this must be text"),
        ("mapping_version: 2\nagencies: {}\n", "mapping_version 1 only"),
        ("agency: {}\n", "'agency' is no part"),
        ("agencies: {}\nagencies: {}\n", "line 2.*twice"),
        ("agencies: {police: {\n", "YAML"),
        ("", "list of"),
    ],
)
def test_bad_mappings_are_refused(file: Path, text: str, words: str) -> None:
    """Each fault is a MappingError that names the place."""
    file.write_text(text)
    with pytest.raises(MappingError, match=words) as caught:
        load_mapping(file)
    assert str(file) in str(caught.value)


def test_unknown_columns_are_told_the_known_ones(file: Path) -> None:
    """The remedy lists every logical column."""
    file.write_text("agencies: {police: {columns: {birth: x}}}\n")
    with pytest.raises(MappingError) as caught:
        load_mapping(file)
    assert all(name in str(caught.value.remedy) for name in COLUMNS)
