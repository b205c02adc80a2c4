"""The quality report counts right, and shows counts only."""

from __future__ import annotations

import json
import sqlite3
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from governance.profile_report import findings, profile_html, profile_text
from hashing.mapping import AgencyMapping
from hashing.profile import Profile, profile_extract
from schemas.errors import MappingError
from tests.conftest import run

TODAY = date(2026, 7, 1)
CANARY = "Quillcanary"

EXTRACT = f"""\
ref,forename,surname,dob,postcode,record_date
7,Mary,{CANARY},1990-03-04,LS6 3AB,2026-01-05
7,Mary,{CANARY},1990-03-04,LS6 3AC,2026-02-05
8,Mary,{CANARY},1990-03-04,LS6 3AB,2025-01-05
9,Mary,{CANARY},1990-03-04,,2026-01-05
10,John,Brown,01/01/1900,LS6 3AB,soon
11,unknown,Green,1980-02-03/{CANARY},nowhere {CANARY},2026-06-30
,Anne,Grey,1980-02-03,LS6 3AB,2026-06-30
12,,,,LS6 3AB,2027-06-30
"""


def profiled(folder: Path, text: str = EXTRACT, **options: Any) -> Profile:
    """The report of an extract."""
    path = folder / "police.csv"
    path.write_text(text)
    settings: dict[str, Any] = {"agreement": None, "mapping": AgencyMapping(), **options}
    return profile_extract(path, agency="police", today=TODAY, **settings)


def test_counts(tmp_path: Path) -> None:
    """Rows, people, contacts, dates, duplicates and what each identifier is worth are counted."""
    report = profiled(tmp_path)
    assert report.read_as == "CSV, UTF-8, commas"
    assert (report.rows, report.contacts, report.subjects) == (8, 7, 5)
    assert report.unusable == {"no reference": 1, "no usable identifier": 0}
    assert (report.first_contact, report.last_contact) == ("2025-01-05", "2026-06-30")
    assert report.undated_contacts == 2  # "soon", and a day that has not come yet
    assert report.several_references == 1  # 7 and 8
    assert report.lookalikes == 1  # 9, who has no postcode
    assert report.absent == ("sex", "uprn", "nhs_number", "address")
    dob = report.fields["dob"]
    assert (dob.ok, dob.missing, dob.placeholder, dob.invalid) == (5, 1, 1, 1)
    assert report.fields["forename"].placeholder == 1
    assert report.fields["postcode"].invalid == 1


def test_who_can_take_part(tmp_path: Path) -> None:
    """A person without the parts of any pass is counted as one whom nobody can find."""
    report = profiled(tmp_path)
    assert report.passes["dob+forename.canonical+surname.canonical"] == 2
    assert report.passes["nhs_number"] == 0
    assert report.no_pass == 2  # 11 has one name only, 12 a postcode only
    assert report.few_passes == 1 == report.subjects - report.no_pass - 2  # 10 has names and a postcode


def test_recall_lost_by_missing_identifiers(tmp_path: Path) -> None:
    """Emptying half the dates of birth lowers the expected recall; without gaps nothing is lost."""
    header = "ref,forename,surname,dob,postcode\n"
    names = ("Mary", "John", "Anne", "Peter", "Susan", "Iris", "Karl")
    rows = [
        (
            n,
            names[n % 7],
            f"Sur{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}x",
            f"{1940 + n % 60}-0{n % 9 + 1}-1{n % 10}",
        )
        for n in range(300)
    ]
    whole = header + "".join(f"{n},{f},{s},{d},LS{n % 9 + 1} {n % 9}AB\n" for n, f, s, d in rows)
    holes = header + "".join(
        f"{n},{f},{s},{d if n % 2 else ''},LS{n % 9 + 1} {n % 9}AB\n" for n, f, s, d in rows
    )
    complete, gaps = profiled(tmp_path, whole).recall, profiled(tmp_path, holes).recall
    assert complete is not None
    assert gaps is not None
    assert complete.lost == 0
    assert gaps.lost > 0.02
    assert gaps.as_recorded < complete.as_recorded


def test_same_extract_same_report(tmp_path: Path) -> None:
    """The simulation is seeded: two runs give one report."""
    assert profiled(tmp_path).to_dict() == profiled(tmp_path).to_dict()


class _Page(HTMLParser):
    """Collects what a page loads, and that its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "br", "link", "img"}:
            self.open.append(tag)
        self.loaded += [str(value) for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_text_and_page_hold_no_value(tmp_path: Path) -> None:
    """Both forms of the report hold the counts and no cell, and the page loads nothing."""
    figures = profiled(tmp_path).to_dict()
    page = _Page()
    page.feed(profile_html(figures))
    assert page.open == page.loaded == []
    for text in (profile_text(figures), profile_html(figures), json.dumps(figures)):
        assert CANARY.lower() not in text.lower()
        assert "LS6" not in text
        assert "1990" not in text
    assert "2 people lack the identifiers for every pass" in profile_text(figures)


def test_findings_name_what_is_wrong(tmp_path: Path) -> None:
    """A column whose values are all unusable is named with what to do; a clean extract has no findings."""
    rows = "".join(f"{n},Smith{n},2/2/{n},2026-01-01\n" for n in range(5))
    report = profiled(tmp_path, f"ref,surname,dob,record_date\n{rows}")
    assert any("No value of dob is usable" in finding for finding in findings(report.to_dict()))
    clean = "ref,forename,surname,dob,postcode,record_date\n7,Mary,Jones,1990-03-04,LS6 3AB,2026-01-05\n"
    assert findings(profiled(tmp_path, clean).to_dict()) == []


def test_command_reads_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`profile --sql` reports on a query; the connection comes from the environment and is not shown."""
    connection = sqlite3.connect(tmp_path / "secretplace.db")
    connection.execute("CREATE TABLE n AS SELECT 7 AS nominal, 'Smith' AS surname, '1990-03-04' AS dob")
    connection.commit()
    connection.close()
    monkeypatch.setenv("CASES", f"sqlite:///{tmp_path}/secretplace.db")
    (tmp_path / "mapping.yaml").write_text("agencies: {police: {columns: {ref: nominal}}}\n")
    options = ("--mapping", tmp_path / "mapping.yaml", "--sql", "SELECT * FROM n")
    result = run("profile", *options, "--connection-env", "CASES", "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["read_as"].startswith("SQL query, SQLite")
    assert (figures["agency"], figures["subjects"]) == ("police", 1)
    assert "secretplace" not in result.output
    for wrong in (options, ("--connection-env", "CASES"), (tmp_path / "x.csv", *options), ()):
        assert run("profile", *wrong).exit_code == 2


def test_command_writes_page_and_rejects(tmp_path: Path) -> None:
    """`profile` prints the report and writes the page and the rejects, none of which holds a value."""
    (tmp_path / "police.csv").write_text(EXTRACT)
    result = run(
        *("profile", tmp_path / "police.csv", "--html", tmp_path / "q.html", "--rejects", tmp_path / "r.csv")
    )
    assert result.exit_code == 0, result.output
    assert "read as CSV, UTF-8, commas" in result.stdout
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 4
    for text in (result.output, (tmp_path / "q.html").read_text(), (tmp_path / "r.csv").read_text()):
        assert CANARY.lower() not in text.lower()


def test_agency_is_found_in_the_mapping(tmp_path: Path) -> None:
    """One entry is the agency's; of several the one named like the file counts; otherwise the entries are named."""
    (tmp_path / "police.csv").write_text("nominal,surname\n7,Smith\n")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("agencies: {police: {columns: {ref: nominal}}, health: {}}\n")
    assert run("profile", tmp_path / "police.csv", "--mapping", mapping).exit_code == 0
    other = run("profile", tmp_path / "police.csv", "--mapping", mapping, "--agency", "fire")
    assert other.exit_code == MappingError.exit_code
    assert "police, health" in other.stderr


def test_dry_run_makes_nothing_and_needs_no_passphrase(tmp_path: Path) -> None:
    """`seal --dry-run` reports on the extract under a draft's fields and passes, refuses a draft, makes nothing."""
    (tmp_path / "police.csv").write_text(EXTRACT)
    key = tmp_path / "police.key"
    env = {"TALLYSTICK_PASSPHRASE": "correct horse battery staple"}
    assert run("keys", "new", "police", "--out", key, env=env).exit_code == 0
    parties = ("--party", "police", "--party", "health", "--keys", key)
    agreement = tmp_path / "agreement.yaml"
    assert run("agreement", "new", *parties, "--out", agreement).exit_code == 0
    before = sorted(tmp_path.iterdir())
    call = (
        *("seal", tmp_path / "police.csv", "--agreement", agreement, "--key", key),
        *("--secret", tmp_path / "police.secret", "--run", "1", "--out", tmp_path / "p.tally"),
        *("--crosswalk", tmp_path / "p.crosswalk", "--dry-run"),
    )
    result = run(*call, "--json")
    assert result.exit_code == 1, result.output
    foreseen = json.loads(result.stdout)
    assert foreseen["passes_of"] == "draft-agreement"
    assert "police.secret: cannot be read" in foreseen["would_refuse"][0]
    assert "D02" in foreseen["would_refuse"][1]
    text = run(*call).stdout
    assert "people, recorded in" in text
    assert "more lines; see: tallystick agreement check" in text
    assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "p.tally").write_text("")
    assert "already exists" in run(*call).stderr
