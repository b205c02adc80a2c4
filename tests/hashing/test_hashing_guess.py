"""A drafted mapping reads the extract that it was drafted from, and shows no person's data."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from hashing.extract import read_extract
from hashing.guess import Guess, guess_codes, guess_formats, guess_mapping
from hashing.guess_yaml import mapping_yaml, quoted
from hashing.mapping import AgencyMapping, load_mapping
from hashing.reading.headers import known_headers, role_of
from hashing.subjects import collapse
from schemas.errors import ExtractError
from tests.conftest import run

CANARY = "Quillcanary"


def guessed(columns: dict[str, list[str | None]]) -> Guess:
    """The draft of a small table."""
    return guess_mapping(pa.table(columns), agency="police", source="x.csv")


def loaded(folder: Path, guess: Guess) -> AgencyMapping:
    """The draft as it is read back from its YAML."""
    path = folder / "drafted.yaml"
    path.write_text(mapping_yaml(guess), encoding="utf-8")
    return load_mapping(path)[guess.agency]


@pytest.mark.parametrize("agency", ["police", "health", "childrens_social_care"])
def test_synthetic_extracts_are_understood(extracts: Path, tmp_path: Path, agency: str) -> None:
    """The draft finds what the mapping that came with the extract says, and gives the same people."""
    out = tmp_path / "mapping.yaml"
    result = run("mapping", "guess", extracts / f"{agency}.csv", "--out", out)
    assert result.exit_code == 0, result.output
    drafted, true = load_mapping(out)[agency], load_mapping(extracts / "mapping.yaml")[agency]
    missed = {name for name, header in true.columns.items() if drafted.columns.get(name) != header}
    assert missed <= {"contact_type"}
    today = date(2026, 7, 1)
    subjects = [
        collapse(
            read_extract(extracts / f"{agency}.csv", agency=agency, mapping=mapping),
            today=today,
            mapping=mapping,
        )
        for mapping in (drafted, true)
    ]
    assert subjects[0].quality == subjects[1].quality
    assert subjects[0].contacts.is_open.tolist() == subjects[1].contacts.is_open.tolist()


def test_whole_names_middle_names_and_address_lines(tmp_path: Path) -> None:
    """Names in one column are split, names and addresses in several are combined."""
    whole = guessed(
        {
            "Client ID": ["1", "2"],
            "Client Name": ["SMITH, John", "Brown, Mary"],
            "Address Line 2": ["Leeds", "York"],
            "Address Line 1": ["1 High St", "2 Low Rd"],
        }
    )
    mapping = loaded(tmp_path, whole)
    assert mapping.split == {"Client Name": "surname_first"}
    assert mapping.combine == {"address": ("Address Line 1", "Address Line 2")}
    assert mapping.columns == {"ref": "Client ID"}
    parts = guessed({"ref": ["1"], "First Name": ["John"], "Middle Name": ["Paul"], "Surname": ["Smith"]})
    assert loaded(tmp_path, parts).combine == {"forename": ("First Name", "Middle Name")}
    spoken = guessed({"ref": ["1"], "name": ["Mary Jones"]})
    assert loaded(tmp_path, spoken).split == {"name": "forename_first"}


@pytest.mark.parametrize(
    ("header", "role"),
    [
        ("NHS No.", "nhs_number"), ("D.O.B.", "dob"), ("Patient_DOB", "dob"), ("service user date of birth", "dob"),
        ("ClientFirstName", "forename"), ("Pupil Surname", "surname"), ("Home_Postcode", "postcode"),
        ("addr1", "address_line"), ("Address Line 3", "address_line"), ("OIC", "lead_contact"),
        ("shoe size", None), ("client", None), ("", None), ("Quillcanary", None),
    ],
)  # fmt: skip
def test_roles_of_headers(header: str, role: str | None) -> None:
    """Case, punctuation and words that say whose column it is do not matter."""
    found = role_of(header)
    assert (found and found[0]) == role


def test_no_header_has_two_roles() -> None:
    """The list holds each header once, however it is written."""
    lines = (Path(__file__).parents[2] / "hashing" / "data" / "headers.csv").read_text().splitlines()
    assert len(known_headers()) == len(lines) - 1


def test_the_likeliest_of_several_headers_is_taken(tmp_path: Path) -> None:
    """Of two columns with one role the likelier is used, and the other is said to be left."""
    guess = guessed({"id": ["1"], "Person ID": ["2"], "surname": ["x"], "shoe size": ["9"]})
    assert loaded(tmp_path, guess).columns == {"ref": "Person ID", "surname": "surname"}
    assert guess.unrecognised == ("id", "shoe size")


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%b-%Y", "%d %B %Y", "%Y/%m/%d"]),
    st.lists(st.dates(date(1930, 1, 1), date(2025, 1, 1)), min_size=1, max_size=30),
)
def test_date_formats(form: str, days: list[date]) -> None:
    """One format is found, and it reads back every day that was written (May is written alike in two formats)."""
    texts = [f"{day:{form}}" for day in days]
    formats, _ = guess_formats(texts)
    assert len(formats) == 1
    assert [datetime.strptime(text, formats[0]).date() for text in texts] == days


def test_months_in_full() -> None:
    """A month whose name is longer than its short form settles the format."""
    assert guess_formats(["01 May 2000", "02 June 2000"]) == (("%d %B %Y",), False)


def test_month_first_and_undecided_dates() -> None:
    """A day above 12 tells the order; without one day first is taken, and said."""
    assert guess_formats(["03/25/1990", "04/05/1990"]) == (("%m/%d/%Y",), False)
    assert guess_formats(["03/04/1990", "04/05/1990"]) == (("%d/%m/%Y",), True)
    assert guess_formats([f"{n}/01/1990" for n in range(1, 29)] + ["1990-01-01"] * 2) == (
        ("%d/%m/%Y", "%Y-%m-%d"),
        False,
    )
    assert guess_formats([CANARY, ""]) == ((), False)
    guess = guessed({"ref": ["1"], "dob": ["03/04/1990"]})
    assert any("day first" in note for note in guess.notes)


def codes(*values: str) -> tuple[dict[str, str], int]:
    """The codes shown of a status column, and how many are not."""
    return guess_codes("case_status", pa.array(values))


def test_codes_are_shown_only_when_they_are_codes() -> None:
    """Known words and repeated short codes are shown; names, long texts and codes that hardly repeat are not."""
    assert codes(*["Open", "C", "PND"] * 5) == ({"Open": "open", "C": "closed", "PND": ""}, 0)
    assert codes(*[CANARY, "Open"] * 5) == ({"Open": "open"}, 1)
    assert codes("Ali", "Eve", "Ian") == ({}, 3)
    assert codes(*[f"c{n}" for n in range(9)] * 5) == ({}, 9)
    assert guess_codes("sex", pa.array(["1", "2", "Q", "9"] * 4)) == (
        {"1": "M", "2": "F", "9": "U", "Q": ""},
        0,
    )


def test_unknown_codes_stand_as_comments(tmp_path: Path) -> None:
    """A code to be filled in is a comment, so that the draft loads as it is."""
    guess = guessed({"ref": ["1"] * 6, "sex": ["Q", "M", "W"] * 2, "status": ["PND", "XX", "PND"] * 2})
    assert '# "PND":   (fill in)' in mapping_yaml(guess)
    assert loaded(tmp_path, guess).codes == {"sex": {"M": "M"}, "case_status": {}}


def test_files_without_header_are_not_quoted(tmp_path: Path) -> None:
    """When the first line seems to be a person, the refusal shows none of it."""
    path = tmp_path / "police.csv"
    path.write_text(f"77,{CANARY},1990-03-04,name\n78,Smith,1990-03-04,x\n")
    result = run("mapping", "guess", path)
    assert result.exit_code == ExtractError.exit_code
    assert "may not be the header" in result.stderr
    assert CANARY.lower() not in result.output.lower()


def test_command_shows_no_cell(tmp_path: Path) -> None:
    """The draft, the remarks and the file hold headers and codes, no cell."""
    path, out = tmp_path / "police.csv", tmp_path / "mapping.yaml"
    path.write_text(
        "ref,surname,dob,sex,status,shoe size,lead contact\n"
        + f"R{CANARY},{CANARY},1990-03-04/{CANARY},{CANARY},{CANARY},{CANARY},{CANARY}\n" * 9
    )
    printed = run("mapping", "guess", path)
    assert printed.exit_code == 0
    assert YAML(typ="safe").load(printed.stdout)["agencies"]["police"]["columns"]["surname"] == "surname"
    assert "Columns not made use of: shoe size." in printed.stderr
    written = run("mapping", "guess", path, "--agency", "north", "--out", out)
    assert "shoe size" in written.stdout
    assert set(load_mapping(out)) == {"north"}
    for text in (printed.output, written.output, out.read_text()):
        assert CANARY.lower() not in text.lower()
        assert "1990" not in text
    assert run("mapping", "guess", path, "--out", out).exit_code == 2


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
@example("no")
@example("null")
@example("a: b")
@example("007")
@example("# x")
def test_any_header_can_be_written(header: str) -> None:
    """Whatever a column is called, its name reads back as the same text."""
    assert YAML(typ="safe", pure=True).load(f"{{x: {quoted(header)}}}")["x"] == header
    assert YAML(typ="safe", pure=True).load(f"{{{quoted(header)}: x}}") == {header: "x"}
