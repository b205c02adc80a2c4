"""Parts of a return beside its main one: rules asked of them, rows made of them, and what is left after an erasure."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv
import pytest

from governance.agreement import Agreement
from governance.lifecycle.rewriting import Told, reduce_parts, rewrite_result
from governance.return_parts import part_subjects
from governance.rules.base import Moment
from governance.rules.registry import Family, findings_of
from hashing.results import Leads, columns_of, result_table
from schemas.payload import CROSSWALK, RETURN_PARTS
from schemas.results import BUSIEST, SAME_HOME, THIS_PERSON
from tests.governance.rules_builders import AGREEMENT

AS_OF, TODAY = date(2026, 6, 30), date(2026, 7, 1)
ALLOWED = replace(AGREEMENT, households=True, rolling=True, contact_months=24)
DAY = date(2026, 3, 1)


def _told(**more: Any) -> dict[str, Any]:
    return {"contact_count": 2, "first_date": DAY, "last_date": DAY, "open_case": True, **more}


def _parts(
    *, home: dict[str, Any] | None = None, busiest: dict[str, Any] | None = None
) -> dict[str, pa.Table]:
    """Return a return for police: subject 1 is known to health, and so is somebody else at each of its two homes."""
    homes = [
        {"subject": 1, "household": 1, "agency": "health", "people": 1, **_told()},
        {"subject": 1, "household": 1, "agency": "fire", "people": 2, **_told()},
        {"subject": 1, "household": 2, "agency": "health", "people": 1, **_told()},
        {"subject": 2, "household": 2, "agency": "health", "people": 1, **_told(**(home or {}))},
    ]
    windows = [
        {
            "agencies": 3,
            "first_date": date(2024, 6, 1),
            "last_date": date(2025, 5, 31),
            **seen,
            **(busiest or {}),
        }
        for seen in (
            {"subject": 1, "whole": False, "seen_from": date(2024, 7, 1)},
            {"subject": 2, "whole": True, "seen_from": date(2024, 5, 1)},
        )
    ]
    rows = {
        "contacts": [
            {"subject": 1, "person": 1, "agency": name, "own": name == "police", **_told()}
            for name in ("health", "police")
        ],
        "households": homes,
        "rolling": windows,
    }
    return {part: pa.Table.from_pylist(rows[part], schema=schema) for part, schema in RETURN_PARTS.items()}


def _rules(parts: dict[str, pa.Table], agreement: Agreement) -> set[tuple[str, str]]:
    subjects = part_subjects(parts, agreement, where="police.tally", as_of=AS_OF, today=TODAY)
    return {
        (found.rule, found.where)
        for subject in subjects
        for found in findings_of(Family.OUTPUT, subject, moment=Moment.OUTPUT)
    }


def test_honest_parts_pass() -> None:
    """Homes inside the window, and worst windows that end within the months of contacts, are what was agreed."""
    assert _rules(_parts(), ALLOWED) == set()


@pytest.mark.parametrize(
    ("agreement", "place"),
    [
        (replace(ALLOWED, households=False), "police.tally, households: column household"),
        (replace(ALLOWED, rolling=False), "police.tally, rolling: column whole"),
        (
            replace(ALLOWED, outputs=ALLOWED.outputs - {"open_case"}),
            "police.tally, households: column open_case",
        ),
        (
            replace(ALLOWED, outputs=ALLOWED.outputs - {"last_date"}),
            "police.tally, rolling: column last_date",
        ),
    ],
)
def test_a_part_or_column_that_is_not_agreed_blocks(agreement: Agreement, place: str) -> None:
    """O01 holds for homes and worst windows as for the main part."""
    assert ("O01", place) in _rules(_parts(), agreement)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"home": {"first_date": date(2025, 6, 30)}}, "households"),
        ({"home": {"last_date": date(2026, 7, 1)}}, "households"),
        ({"busiest": {"last_date": date(2024, 6, 30)}}, "rolling"),
        ({"busiest": {"last_date": date(2026, 7, 1)}}, "rolling"),
    ],
)
def test_a_day_beyond_what_was_agreed_blocks(changes: dict[str, Any], part: str) -> None:
    """O04: a home tells of no day outside the window, a worst window ends on none outside the contacts sent."""
    assert _rules(_parts(**changes), ALLOWED) == {("O04", f"police.tally, {part}")}


LEADS = Leads(key=bytes(32), agreement_digest="sha256:0", run_id="run", where="police.tally")
REFS = pa.Table.from_pylist(
    [{"ref": "P-1", "subject": 1}, {"ref": "P-1b", "subject": 1}, {"ref": "P-2", "subject": 2}],
    schema=CROSSWALK,
)


def _result(parts: dict[str, pa.Table]) -> pa.Table:
    return result_table(parts, refs=REFS, names={"P-1": {"forename": "Ann"}}, leads=LEADS)


def test_rows_say_whom_they_are_about() -> None:
    """Every reference has its rows together: the person, then the homes one by one, then the busiest months."""
    rows = _result(_parts()).to_pylist()
    shown = [(row["ref"], row["who"], row["home"], row["agency"], row["agencies"]) for row in rows]
    one = [
        (THIS_PERSON, None, "health", 2),
        (SAME_HOME, 1, "fire", 3),
        (SAME_HOME, 1, "health", 3),
        (SAME_HOME, 2, "health", 2),
        (BUSIEST, None, None, 3),
    ]
    assert shown == [
        *(("P-1", *row) for row in one),
        *(("P-1b", *row) for row in one),
        ("P-2", SAME_HOME, 2, "health", 2),
        ("P-2", BUSIEST, None, None, 3),
    ]
    assert [row["contacts_seen"] for row in rows if row["who"] == BUSIEST] == [
        "only those since 2024-07-01",
        "only those since 2024-07-01",
        "all of these months",
    ]
    assert [row["people_there"] for row in rows[1:4]] == [2, 1, 1]
    assert rows[0]["forename"] == "Ann"


def test_without_further_parts_a_result_is_as_ever() -> None:
    """Agreements without homes and worst windows have a result without their columns."""
    contacts = {"contacts": _parts()["contacts"]}
    assert "who" not in columns_of(contacts)
    assert [row["ref"] for row in _result(contacts).to_pylist()] == ["P-1", "P-1b"]


NOTICES = {
    "the person herself": Told(whose=frozenset({1}), about={}),
    "her, at fire": Told(about={}, homes={1: frozenset({"fire"})}),
    "her, at health": Told(about={}, homes={1: frozenset({"health"})}),
    "the same person, at health": Told(about={1: frozenset({"health"})}),
    "an agency left": Told(about={}, agencies=frozenset({"health"})),
    "three agencies at least": Told(about={}, homes={1: frozenset({"fire"})}, minimum=3),
}


@pytest.mark.parametrize("told", NOTICES.values(), ids=NOTICES)
def test_an_erasure_leaves_the_same_in_the_return_and_in_the_result(told: Told, tmp_path: Path) -> None:
    """What is left of an opened result is what opening the rest of the return gives."""
    path = tmp_path / "results.csv"
    pc_csv.write_csv(_result(_parts()), path)
    refs = {1: ("P-1", "P-1b"), 2: ("P-2",)}

    def by_ref(numbers: Any) -> dict[str, Any]:
        return {ref: numbers[number] for number in numbers for ref in refs[number]}

    rewrite_result(
        path,
        replace(
            told,
            whose=frozenset(ref for number in told.whose for ref in refs[number]),
            about=by_ref(told.about),
            homes=by_ref(told.homes),
        ),
        act=True,
    )
    left = reduce_parts(_parts(), told)
    opened = tmp_path / "opened.csv"
    pc_csv.write_csv(_result(left), opened)
    lines = [each.read_text(encoding="utf-8").splitlines() for each in (path, opened)]
    assert sorted(line.replace('"', "") for line in lines[0]) == sorted(
        line.replace('"', "") for line in lines[1]
    )
    assert sum(table.num_rows for table in left.values()) < sum(table.num_rows for table in _parts().values())


def test_a_home_known_to_too_few_goes_whole() -> None:
    """When too few agencies are left at a home, the others' rows of it go too."""
    left = reduce_parts(_parts(), NOTICES["three agencies at least"])["households"].to_pylist()
    assert left == []
    left = reduce_parts(_parts(), NOTICES["her, at fire"])["households"].to_pylist()
    assert [(row["subject"], row["household"], row["agency"]) for row in left] == [
        (1, 1, "health"),
        (1, 2, "health"),
        (2, 2, "health"),
    ]
