"""The register of gateways: the law as data, with a warning when nobody looked for a year."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from governance.register import NO_ADVICE, load_register, register_warnings, shipped_register
from schemas.errors import AgreementInvalid
from tests.conftest import run

ROW = """  - id: {id}
    type: gateway
    citation: An Act, section 1
    url: {url}
    kind: {kind}
    agency_types: [police]
    subjects: [children]
    in_force_from: "2020-01-01"
    checked_on: "2026-01-01"
"""


def written(path: Path, *rows: str) -> Path:
    """Write a register."""
    path.write_text("register: 1\nrows:\n" + "".join(rows), encoding="utf-8")
    return path


def row(**over: str) -> str:
    """A row."""
    return ROW.format(**{"id": "a", "url": "https://example.org", "kind": "duty", **over})


def test_shipped_register_has_the_law_that_agreements_cite() -> None:
    """Every gateway of the domain is there, with citation, address, kind, agencies, people and a day of checking."""
    register = shipped_register()
    assert {
        "ca1989-s17", "ca1989-s47", "ca2004-s10", "ca2004-s11", "ca2004-s16la", "ca2004-s16lc", "care-act-2014-s42",
        "care-act-2014-s45", "cda1998-s17a", "cda1998-s115", "hsca2012-s251b", "dea2017-s35", "ukgdpr-6-1-c",
        "ukgdpr-6-1-e", "ukgdpr-6-1-ea", "ukgdpr-9-2-g", "ukgdpr-9-2-h", "sch1-para-18", "sch8-para-4",
        "national-data-opt-out",
    } <= register.keys()  # fmt: skip
    assert register["cda1998-s115"].kind == "power"
    assert not register["cda1998-s17a"].personal_data
    assert not register["ca2004-s16la"].in_force(date(2026, 11, 22))
    assert register["ukgdpr-6-1-ea"].in_force(date(2026, 2, 5))
    assert not register["ukgdpr-6-1-ea"].in_force(date(2026, 2, 4))


def test_rows_fit_agencies_and_people() -> None:
    """A row is for the agency types and the people that it names, or for any."""
    register = shipped_register()
    assert register["care-act-2014-s42"].is_for("adults_social_care")
    assert not register["care-act-2014-s42"].is_for("police")
    assert register["cda1998-s115"].is_for("anything")
    assert not register["ca1989-s17"].covers(frozenset({"adults"}))
    assert register["ca1989-s17"].covers(frozenset({"adults", "children"}))


def test_row_unchecked_for_a_year_is_named() -> None:
    """A year and a day after its checking each row is named; on the day itself none is."""
    register = shipped_register()
    assert register_warnings(register, today=date(2027, 11, 1)) == []
    warnings = register_warnings(register, today=date(2027, 11, 2))
    assert len(warnings) == len(register)


def test_own_register_is_read(tmp_path: Path) -> None:
    """An organisation keeps its own rows."""
    register = load_register(written(tmp_path / "own.yaml", row(), row(id="b", kind="power")))
    assert list(register) == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ((row(), row()), "rows[1].id"),
        ((row(kind="right"),), "rows[0]"),
        ((row(url="http://x"),), "rows[0]"),
        ((row().replace("2020-01-01", "2020-13-01"),), "rows[0]"),
        ((row() + "    colour: red\n",), "rows[0]"),
        ((row().replace('    checked_on: "2026-01-01"\n', ""),), "rows[0]"),
    ],
)
def test_bad_register_is_refused(tmp_path: Path, rows: tuple[str, ...], where: str) -> None:
    """Two rows of one id, an unknown kind, an unsafe address, no date: each is refused with its place."""
    with pytest.raises(AgreementInvalid) as caught:
        load_register(written(tmp_path / "own.yaml", *rows))
    assert where in str(caught.value)


def test_command_lists_it_and_says_that_it_is_no_advice() -> None:
    """Text and JSON both begin with what the register is not."""
    text = run("agreement", "gateways").stdout
    assert text.startswith(NO_ADVICE)
    assert "Crime and Disorder Act 1998, section 115" in text
    assert "NOT in force" in text
    listed = json.loads(run("agreement", "gateways", "--for", "fire_and_rescue", "--json").stdout)
    assert listed["notice"] == NO_ADVICE
    assert "ca1989-s17" not in {entry["id"] for entry in listed["rows"]}


def test_own_register_counts_in_the_check(tmp_path: Path) -> None:
    """A gateway that the register at hand does not know blocks."""
    complete = Path(__file__).parent / "fixtures" / "agreements" / "good" / "complete.yaml"
    own = written(tmp_path / "own.yaml", row())
    result = run("agreement", "check", complete, "--on", "2026-11-22", "--register", own)
    assert result.exit_code == 1
    assert "is not in the register" in result.stdout
