"""A dozen exports as agencies make them: `mapping guess`, `profile` and `seal --dry-run` are right on each.

The same invented people are written in each way. What a careful analyst would say of a file stands beside it; the draft
must say the same, and the file under the draft must give the people that it holds.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from workbooks import workbook

from hashing.extract import read_extract
from hashing.guess import guess_formats
from hashing.mapping import AgencyMapping, load_mapping
from hashing.reading.headers import header_line, role_of
from hashing.subjects import Subjects, collapse
from tests.conftest import run
from tests.governance.agreements import finish_draft

TODAY = date(2026, 7, 1)
DOBS = [date(1951 + 3 * n, 1 + n % 12, 13 + n) for n in range(12)]
SEEN = [date(2025, 2, 14 + n) for n in range(12)]
FIRST = ["Zoë", "Mary", "John", "Aisha", "Piotr", "Mohammed", "Chloe", "Liam", "Grace", "Tom", "Ewa", "Sam"]
LAST = [
    "Brown",
    "O'Neil",
    "Smith",
    "Khan",
    "Nowak",
    "Ali",
    "Evans",
    "Murphy",
    "Green",
    "Hall",
    "Zając",
    "Ward",
]


def check_digit(nine: str) -> str:
    """Nine digits with their modulus-11 check digit; "" when there is none."""
    left = (
        11 - sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True)) % 11
    ) % 11
    return "" if left == 10 else f"{nine}{left}"


def numbers(start: str, wanted: int = 12) -> list[str]:
    """Valid ten-digit numbers that begin so."""
    made = (check_digit(f"{start}{n:0{9 - len(start)}d}") for n in range(200, 999, 7))
    return [number for number in made if number][:wanted]


NHS = numbers("4512")
CHI = [numbers(f"{born:%d%m%y}", 1)[0] for born in DOBS]
REFS = [f"R{100 + n}" for n in range(12)]
STREETS = ["High Street", "Mill Lane", "Station Road"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """A file and what an analyst says of it.

    `columns`, `combine`, `split`, `standards`, `dates` and `codes` are what the draft must hold (dates and codes: at
    least); `fields` are identifiers of which every person has a usable one; `says` is how the file is read.
    """

    name: str
    write: Callable[[Path], None]
    says: str
    columns: dict[str, str]
    fields: tuple[str, ...] = ("forename", "surname", "dob")
    combine: dict[str, tuple[str, ...]] = field(default_factory=dict)
    split: dict[str, str] = field(default_factory=dict)
    dates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    standards: dict[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    open_cases: int | None = None
    dated: bool = False
    remark: str = ""


def text(
    rows: list[list[str]],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    above: str = "",
    end: str = "\r\n",
) -> Callable[[Path], None]:
    """A CSV file of rows, the header the first, below some lines."""

    def write(path: Path) -> None:
        stream = io.StringIO()
        csv.writer(stream, delimiter=delimiter, lineterminator=end).writerows(rows)
        path.write_bytes((above + stream.getvalue()).encode(encoding))

    return write


def sheet(rows: list[list[Any]]) -> Callable[[Path], None]:
    """A workbook of one sheet."""
    return lambda path: workbook(path, rows) and None


def under(headers: list[str], *cells: list[Any]) -> list[list[Any]]:
    """Rows under headers."""
    return [headers, *map(list, zip(*cells, strict=True))]


def days(form: str, listed: list[date] = DOBS) -> list[str]:
    """Days in a format."""
    return [f"{day:{form}}" for day in listed]


PLACES = [f"{10 + n}" for n in range(12)]
ROADS = [STREETS[n % 3] for n in range(12)]
POSTCODES = [f"LS{1 + n} {n % 9 + 1}AB" for n in range(12)]
SEXES = ["F", "F", "M", "F", "M", "M", "F", "M", "F", "M", "F", "M"]

EXPORTS = [
    Export(
        name="titles.csv",
        write=text(
            under(
                [
                    "Client Surname",
                    "Given Names",
                    "D.O.B.",
                    "Gender",
                    "P/code",
                    "House No",
                    "Street",
                    "NHS No.",
                    "Sw Ref",
                    "Contact Dt",
                    "Closed?",
                ],
                [*LAST[:10], "Muller", "Ward"],
                FIRST,
                days("%d/%m/%Y"),
                SEXES,
                POSTCODES,
                PLACES,
                ROADS,
                NHS,
                REFS,
                days("%d/%m/%Y", SEEN),
                ["Y", "N", "N", "N"] * 3,
            ),
            delimiter=";",
            encoding="cp1252",
            above="Children's Services: people known\r\nMade on 1 November; for internal use only\r\n\r\n",
        ),
        says="CSV, Windows-1252, semicolons, header in row 4",
        columns={
            "ref": "Sw Ref",
            "forename": "Given Names",
            "surname": "Client Surname",
            "dob": "D.O.B.",
            "sex": "Gender",
            "postcode": "P/code",
            "nhs_number": "NHS No.",
            "record_date": "Contact Dt",
            "case_status": "Closed?",
        },
        combine={"address": ("House No", "Street")},
        dates={"dob": ("%d/%m/%Y",), "record_date": ("%d/%m/%Y",)},
        codes={"case_status": {"Y": "closed", "N": "open"}, "sex": {"F": "F", "M": "M"}},
        fields=("forename", "surname", "dob", "sex", "postcode", "address", "nhs_number"),
        open_cases=9,
        dated=True,
    ),
    Export(
        name="wide.csv",
        write=text(
            under(
                ["Fam Name", "Given Names", "DOB", "Person ID", "Home Postcode"],
                LAST,
                FIRST,
                days("%d-%b-%Y"),
                REFS,
                POSTCODES,
            ),
            delimiter="\t",
            encoding="utf-16",
        ),
        says="CSV, UTF-16, tabs",
        columns={
            "ref": "Person ID",
            "forename": "Given Names",
            "surname": "Fam Name",
            "dob": "DOB",
            "postcode": "Home Postcode",
        },
        dates={"dob": ("%d-%b-%Y",)},
        fields=("forename", "surname", "dob", "postcode"),
    ),
    Export(
        name="serials.xlsx",
        write=sheet(
            [
                ["Adult social care, all open referrals", None, None, None, None],
                [None] * 5,
                *under(
                    ["Client ID", "First Name", "Last Name", "Birth Dt", "Postcode"],
                    [float(700 + n) for n in range(12)],
                    FIRST,
                    LAST,
                    [float((born - date(1899, 12, 30)).days) for born in DOBS],
                    POSTCODES,
                ),
            ]
        ),
        says="Excel, sheet 1 of 1, header in row 3",
        columns={
            "ref": "Client ID",
            "forename": "First Name",
            "surname": "Last Name",
            "dob": "Birth Dt",
            "postcode": "Postcode",
        },
        fields=("forename", "surname", "dob", "postcode"),
        remark="day numbers of a spreadsheet",
    ),
    Export(
        name="dates.xlsx",
        write=sheet(
            under(
                ["Patient No", "Patient Name", "Date of Birth (dd/mm/yyyy)", "NHS Number"],
                [f"P{n}" for n in range(12)],
                [f"{a.upper()}, {b}" for a, b in zip(LAST, FIRST, strict=True)],
                DOBS,
                NHS,
            )
        ),
        says="Excel, sheet 1 of 1",
        columns={"ref": "Patient No", "dob": "Date of Birth (dd/mm/yyyy)", "nhs_number": "NHS Number"},
        split={"Patient Name": "surname_first"},
        dates={"dob": ("%Y-%m-%d",)},
        fields=("forename", "surname", "dob", "nhs_number"),
    ),
    Export(
        name="scottish.csv",
        write=text(
            under(
                ["CHI Number", "Forename(s)", "Surname/Family Name", "Address 2", "Address 1", "Case No"],
                CHI,
                FIRST,
                LAST,
                ["Perth"] * 12,
                [f"{a} {b}" for a, b in zip(PLACES, ROADS, strict=True)],
                REFS,
            ),
            delimiter="|",
        ),
        says="CSV, UTF-8, bars",
        columns={
            "ref": "Case No",
            "forename": "Forename(s)",
            "surname": "Surname/Family Name",
            "nhs_number": "CHI Number",
        },
        combine={"address": ("Address 1", "Address 2")},
        fields=("forename", "surname", "nhs_number", "address"),
    ),
    Export(
        name="febrl.csv",
        write=text(
            under(
                [
                    "rec_id",
                    "given_name",
                    "surname",
                    "street_number",
                    "address_1",
                    "address_2",
                    "suburb",
                    "postcode",
                    "state",
                    "date_of_birth",
                    "soc_sec_id",
                ],
                [f"rec-{n}-org" for n in range(12)],
                FIRST,
                LAST,
                PLACES,
                ROADS,
                [""] * 12,
                ["Hughes"] * 12,
                [str(2600 + n) for n in range(12)],
                ["act"] * 12,
                days("%Y%m%d"),
                [str(5304218 + 1234 * n) for n in range(12)],
            )
        ),
        says="CSV, UTF-8, commas",
        columns={
            "ref": "rec_id",
            "forename": "given_name",
            "surname": "surname",
            "dob": "date_of_birth",
            "postcode": "postcode",
            "nhs_number": "soc_sec_id",
        },
        combine={"address": ("street_number", "address_1", "address_2", "suburb")},
        dates={"dob": ("%Y%m%d",)},
        standards={"postcode": "generic", "nhs_number": "generic"},
        fields=("forename", "surname", "dob", "postcode", "nhs_number", "address"),
        unused=("state",),
    ),
    Export(
        name="zones.csv",
        write=text(
            under(
                ["event_date", "status", "subject_ref", "first_name", "last_name", "dob"],
                days("%Y-%m-%dT09:30:00+01:00", SEEN),
                ["Open", "Closed"] * 6,
                REFS,
                FIRST,
                LAST,
                days("%Y-%m-%dT00:00:00Z"),
            )
        ),
        says="CSV, UTF-8, commas",
        columns={
            "ref": "subject_ref",
            "forename": "first_name",
            "surname": "last_name",
            "dob": "dob",
            "record_date": "event_date",
            "case_status": "status",
        },
        dates={"record_date": ("%Y-%m-%dT%H:%M:%S%z",), "dob": ("%Y-%m-%dT%H:%M:%S%z",)},
        codes={"case_status": {"Open": "open", "Closed": "closed"}},
        open_cases=6,
        dated=True,
    ),
    Export(
        name="empty.csv",
        write=text(
            under(
                ["Ref", "NHS Number", "NHS No", "DOB", "Date of Birth", "Forename", "Surname"],
                REFS,
                [""] * 12,
                NHS,
                days("%d.%m.%Y"),
                [""] * 12,
                FIRST,
                LAST,
            )
        ),
        says="CSV, UTF-8, commas",
        columns={
            "ref": "Ref",
            "forename": "Forename",
            "surname": "Surname",
            "dob": "DOB",
            "nhs_number": "NHS No",
        },
        dates={"dob": ("%d.%m.%Y",)},
        fields=("forename", "surname", "dob", "nhs_number"),
        unused=("NHS Number", "Date of Birth"),
    ),
    Export(
        name="house.csv",
        write=text(
            under(
                [
                    "URN",
                    "Full Name",
                    "Flat",
                    "House Name",
                    "Address",
                    "Post Code",
                    "Date Of Birth",
                    "Key Worker",
                ],
                REFS,
                [f"{a} {b}" for a, b in zip(FIRST, LAST, strict=True)],
                [""] * 12,
                PLACES,
                ROADS,
                POSTCODES,
                days("%d %B %Y"),
                ["Team A", "Team B"] * 6,
            )
        ),
        says="CSV, UTF-8, commas",
        columns={"ref": "URN", "dob": "Date Of Birth", "postcode": "Post Code", "lead_contact": "Key Worker"},
        split={"Full Name": "forename_first"},
        combine={"address": ("House Name", "Flat", "Address")},
        dates={"dob": ("%d %B %Y",)},
        fields=("forename", "surname", "dob", "postcode", "address"),
    ),
    Export(
        name="quoted.csv",
        write=text(
            under(
                ["Notes", "UPRN", "Known Since", "Surname", "Middle Names", "First Name", "Sex", "DoB", "ID"],
                ['said "no", then left'] * 12,
                [str(10070000100 + n) for n in range(12)],
                ["2020"] * 12,
                LAST,
                ["Ann", ""] * 6,
                FIRST,
                ["Female", "Male"] * 6,
                days("%m/%d/%Y"),
                REFS,
            ),
            end="\n",
        ),
        says="CSV, UTF-8, commas",
        columns={"ref": "ID", "surname": "Surname", "uprn": "UPRN", "sex": "Sex", "dob": "DoB"},
        combine={"forename": ("First Name", "Middle Names")},
        dates={"dob": ("%m/%d/%Y",)},
        codes={"sex": {"Female": "F", "Male": "M"}},
        fields=("forename", "surname", "dob", "uprn", "sex"),
        unused=("Notes", "Known Since"),
    ),
    Export(
        name="bare.csv",
        write=text(
            under(
                ["Nominal Ref", "FORENAME 1", "SURNAME", "DATE OF BIRTH", "Is Closed"],
                REFS,
                FIRST,
                [name.upper() for name in LAST],
                days("%d/%m/%y"),
                ["1", "0", "0"] * 4,
            ),
            encoding="utf-8-sig",
            above="\r\n\r\n",
            delimiter="^",
        ),
        says="CSV, UTF-8, carets",
        columns={
            "ref": "Nominal Ref",
            "forename": "FORENAME 1",
            "surname": "SURNAME",
            "dob": "DATE OF BIRTH",
            "case_status": "Is Closed",
        },
        dates={"dob": ("%d/%m/%y",)},
        codes={"case_status": {"1": "closed", "0": "open"}},
        open_cases=8,
    ),
    Export(
        name="tilde.txt",
        write=text(
            under(
                ["Tenancy Ref", "Tenant Forename", "Tenant Surname", "Tenant DOB", "Case Closed"],
                REFS,
                FIRST,
                LAST,
                days("%Y/%m/%d"),
                ["01/02/2026", ""] * 6,
            ),
            delimiter="~",
            above="Housing; tenants, all\n" * 3,
            end="\n",
        ),
        says="CSV, UTF-8, tildes, header in row 4",
        columns={
            "ref": "Tenancy Ref",
            "forename": "Tenant Forename",
            "surname": "Tenant Surname",
            "dob": "Tenant DOB",
        },
        dates={"dob": ("%Y/%m/%d",)},
        unused=("Case Closed",),
        remark="no yes and no",
    ),
]


@pytest.fixture(scope="module")
def agreement(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An agreement in draft, and the key file of its agency `north`."""
    folder = tmp_path_factory.mktemp("agreement")
    keys = []
    for party in ("north", "south", "linkage-unit"):
        path = folder / f"{party}.key"
        made = run("keys", "new", party, "--out", path, env={"TALLYSTICK_PASSPHRASE": "a long passphrase"})
        assert made.exit_code == 0, made.output
        keys += ["--keys", path]
    parties = ("--party", "north", "--party", "south")
    draft = run("agreement", "new", *parties, *keys, "--out", folder / "agreement.yaml")
    assert draft.exit_code == 0, draft.output
    finish_draft(folder / "agreement.yaml")
    return folder / "agreement.yaml", folder / "north.key"


def drafted(export: Export, folder: Path) -> tuple[Path, Path, AgencyMapping, str]:
    """The file, its drafted mapping.yaml, what that says, and the remarks."""
    path, out = folder / export.name, folder / "mapping.yaml"
    export.write(path)
    result = run("mapping", "guess", path, "--agency", "north", "--out", out)
    assert result.exit_code == 0, result.output
    return path, out, load_mapping(out)["north"], result.stdout


def people(path: Path, mapping: AgencyMapping) -> Subjects:
    """The people of a file."""
    return collapse(
        read_extract(path, agency="north", mapping=mapping),
        today=TODAY,
        mapping=mapping,
        standards=mapping.standards,
    )


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_draft_is_what_an_analyst_says(export: Export, tmp_path: Path) -> None:
    """Columns, parts, formats, codes and standards of the draft are those of the file, and nothing else is taken."""
    pytest.importorskip("python_calamine")
    _, _, mapping, remarks = drafted(export, tmp_path)
    assert export.says in remarks
    assert dict(mapping.columns) == export.columns
    assert dict(mapping.combine) == export.combine
    assert dict(mapping.split) == export.split
    assert dict(mapping.standards) == export.standards
    assert {name: mapping.dates.get(name) for name in export.dates} == export.dates
    assert {name: mapping.codes.get(name) for name in export.codes} == export.codes
    unused = ", ".join(export.unused)
    assert (f"Columns not made use of: {unused}." if unused else "Correct it") in remarks
    assert ("not made use of" in remarks) == bool(export.unused)
    assert export.remark in remarks


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_draft_reads_the_people(export: Export, tmp_path: Path) -> None:
    """Under its draft the file gives its twelve people with all that it holds of them, in the right form."""
    pytest.importorskip("python_calamine")
    path, _, mapping, _ = drafted(export, tmp_path)
    subjects = people(path, mapping)
    assert subjects.count == 12
    assert subjects.quality.rows == 12
    assert {name: subjects.quality.fields[name].ok for name in export.fields} == dict.fromkeys(
        export.fields, 12
    )
    if "dob" in export.fields:
        found = subjects.fields["dob"]
        assert sorted(found.values.to_pylist()) == days("%Y-%m-%d")
    if "postcode" in export.fields and not export.standards:
        assert set(subjects.fields["postcode"].values.to_pylist()) == {
            each.replace(" ", "") for each in POSTCODES
        }
    if export.open_cases is not None:
        assert subjects.contacts.is_open.tolist().count(1) == export.open_cases
        assert subjects.contacts.is_open.tolist().count(0) == 12 - export.open_cases
    if export.dated:
        assert (subjects.contacts.day == [(day - date(1970, 1, 1)).days for day in SEEN]).all()


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.name)
def test_report_and_dry_run(export: Export, tmp_path: Path, agreement: tuple[Path, Path]) -> None:
    """`profile` and `seal --dry-run` take the file with its draft, count it right and show nobody."""
    pytest.importorskip("python_calamine")
    path, mapping, _, _ = drafted(export, tmp_path)
    report = run("profile", path, "--mapping", mapping, "--json")
    assert report.exit_code == 0, report.output
    figures = json.loads(report.stdout)
    assert (figures["rows"], figures["subjects"], figures["unusable"]) == (
        12, 12, {"no reference": 0, "no usable identifier": 0},
    )  # fmt: skip
    assert figures["read_as"] == export.says
    dry = run(
        *("seal", path, "--mapping", mapping, "--agreement", agreement[0], "--key", agreement[1]),
        *("--secret", tmp_path / "none.secret", "--run", "1", "--out", tmp_path / "p.tally"),
        *("--crosswalk", tmp_path / "p.crosswalk", "--dry-run"),
    )
    assert dry.exit_code == 1, dry.output  # the agreement is a draft
    assert "12 rows: 12 people" in dry.stdout
    for shown in (report.output, dry.output, mapping.read_text(encoding="utf-8")):
        assert not [
            name
            for name in ("O'Neil", "Nowak", "Murphy", *NHS, *CHI, "Mill Lane")
            if name.lower() in shown.lower()
        ]


def test_rows_below_titles_have_their_own_numbers(tmp_path: Path) -> None:
    """Where the header stands in row 4, the first rejected row is row 5, in CSV and in workbooks."""
    pytest.importorskip("python_calamine")
    rows: list[list[Any]] = [
        ["ref", "surname", "dob"],
        ["", "Smith", "1990-03-04"],
        ["7", "Jones", "1991-03-04"],
    ]
    (tmp_path / "x.csv").write_text(
        "People\n\nof the north\n"
        + "".join(",".join(row) + "\n" for row in rows)
        + "8\n"
        + "9,Hill,1980-01-02\n" * 30
    )
    workbook(tmp_path / "x.xlsx", [["People"], ["a"], ["of the north"], *rows])
    for name, expected in (
        ("x.csv", {5: "no reference", 7: "more or fewer columns than the header"}),
        ("x.xlsx", {5: "no reference"}),
    ):
        result = run("profile", tmp_path / name, "--rejects", tmp_path / f"{name}.rejects")
        assert result.exit_code == 0, result.output
        told = list(csv.DictReader((tmp_path / f"{name}.rejects").read_text().splitlines()))
        assert {int(line["row"]): line["reason"] for line in told} == expected


def test_what_is_a_header_line() -> None:
    """A line of known words is the header; a first line of unknown ones stays it when none is; data never is."""
    assert header_line([["ref", "surname"], ["name", "sex"]]) == 0
    assert header_line([["Report", "ref"], ["Ref", "Name", "Colour"]]) == 1
    assert header_line([["Report"], [], ["Ref", "Name"]]) == 2
    assert header_line([["Nr", "Familie"], ["77", "Open", "Owner", "1990-03-04"]]) is None
    assert header_line([["Nr", "Familie"], ["Nr.", "Familie"]], {"NR", "familie"}) == 0
    assert header_line([["x"], ["Nr", "Familie", "y"]], {"NR", "familie"}) == 1
    assert header_line([["x"]] * 20 + [["ref", "name"]]) is None
    assert header_line([]) is None


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("Date of Birth (dd/mm/yyyy)", "dob"), ("Contact Dt", "record_date"), ("Client Fam Name", "surname"),
        ("House No", "address_house"), ("House No.", "address_house"), ("Town", "address_town"), ("CHI", "nhs_number"),
        ("Patient [NHS Num]", "nhs_number"), ("(name)", "full_name"), ("no", None), ("()", None),
    ],
)  # fmt: skip
def test_headers_with_brackets_and_short_words(header: str, role: str | None) -> None:
    """Hints in brackets do not count, and short words are read as what they stand for."""
    found = role_of(header)
    assert (found and found[0]) == role


def test_times_with_zones_have_a_format() -> None:
    """A time with a zone, as web services write it, is read by one format."""
    assert guess_formats(["2026-03-04T10:11:12Z", "2026-03-04T10:11:12+01:00"]) == (
        ("%Y-%m-%dT%H:%M:%S%z",),
        False,
    )


def test_a_reference_that_tells_nobody_apart_is_told(tmp_path: Path) -> None:
    """A column of a few values under a name of a reference is questioned."""
    path = tmp_path / "x.csv"
    path.write_text("ref,surname\n" + "".join(f"{n % 2},Smith{n}\n" for n in range(200)))
    assert "few different values" in run("mapping", "guess", path).stderr
    path.write_text("ref,surname\n" + "".join(f"{n},Smith\n" for n in range(200)))
    assert "few different values" not in run("mapping", "guess", path).stderr
