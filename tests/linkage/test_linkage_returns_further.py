"""Homes and worst windows in returns: SQL against plain Python, and nothing that the agreement does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkage_oracle import Contact, first_day, homes_told, window, worst_window

from governance.agreement import Agreement
from linkage.database import connect
from linkage.households import LARGEST_HOUSEHOLD, find_households
from linkage.returns_tables import ReturnTables, tables_of_return
from linkage.window import find_multi_agency
from linkage.window_rolling import find_worst_windows
from schemas.payload import RETURN_HOUSEHOLDS, RETURN_ROLLING
from tests.governance.rules_builders import AGREEMENT

AGENCIES = ("fire", "health", "police")
AS_OF = date(2026, 6, 30)
BEGIN = date(2025, 1, 1)
MONTHS = 6
MADE = (
    "in_window",
    "multi_agency",
    "household_member",
    "household_in_window",
    "multi_household",
    "worst_window",
)
Case = dict[str, Any]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database."""
    with connect(threads=1) as made:
        yield made


def _agreement(**changes: Any) -> Agreement:
    return replace(AGREEMENT, months=MONTHS, households=True, rolling=True, **changes)


def _tables(case: Case) -> dict[str, pa.Table]:
    """Return the tables of a run; a subject's number at its agency is its number in the run plus 100."""
    agency_of, person_of = case["agency_of"], case["person_of"]
    contacts = case["contacts"]
    leads = sorted({(agency_of[c[0]], c[3]) for c in contacts if c[3] is not None})
    types = [pa.int32(), pa.date32(), pa.bool_(), pa.int32()]
    columns = [pa.array([contact[at] for contact in contacts], kind) for at, kind in enumerate(types)]
    return {
        "contacts": pa.Table.from_arrays(columns, names=["subject", "day", "is_open", "lead"]),
        "subjects": pa.table(
            {
                "subject": pa.array(list(agency_of), pa.int32()),
                "agency": pa.array(list(agency_of.values()), pa.string()),
                "number": pa.array([subject + 100 for subject in agency_of], pa.int32()),
            }
        ),
        "people": pa.table(
            {
                "subject": pa.array(list(person_of), pa.int32()),
                "person": pa.array(list(person_of.values()), pa.int32()),
            }
        ),
        "leads": pa.table(
            {
                "agency": pa.array([agency for agency, _ in leads], pa.string()),
                "lead": pa.array([lead for _, lead in leads], pa.int32()),
                "sealed": pa.array([bytes([lead]) for _, lead in leads], pa.binary()),
            }
        ),
        "household_tokens": pa.table(
            {
                "subject": pa.array([s for s, _ in case["homes"]], pa.int32()),
                "household": pa.array([h for _, h in case["homes"]], pa.int64()),
            }
        ),
    }


def _told(con: duckdb.DuckDBPyConnection, case: Case, agreement: Agreement) -> dict[str, ReturnTables]:
    for name in MADE:
        con.execute(f"DROP TABLE IF EXISTS {name}")
    tables = _tables(case)
    for name, table in tables.items():
        con.register(name, table)
    least = agreement.minimum_agencies
    find_multi_agency(con, months=MONTHS, as_of=AS_OF, minimum_agencies=least)
    find_households(con, minimum_agencies=least)
    rolling = find_worst_windows(
        con, months=MONTHS, as_of=AS_OF, contacts_after=BEGIN, minimum_agencies=least
    )
    found = {name: tables_of_return(con, name, agreement, rolling) for name in AGENCIES}
    for name in tables:
        con.unregister(name)
    return found


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    subjects = draw(st.integers(1, 10))
    # Most contacts lie in the window and most subjects at one address, so that much is told.
    days = st.dates(date(2026, 1, 1), AS_OF) | st.dates(date(2024, 10, 1), date(2026, 8, 1)) | st.none()
    subject = st.integers(0, subjects - 1)
    contact = st.tuples(subject, days, st.none() | st.booleans(), st.none() | st.integers(0, 3))
    home = st.just(1) | st.integers(1, 3)
    contacts: list[Contact] = draw(st.lists(contact, max_size=25))
    return {
        "contacts": contacts,
        "agency_of": {s: draw(st.sampled_from(AGENCIES)) for s in range(subjects)},
        "person_of": {s: draw(st.integers(0, 5)) for s in range(subjects)},
        "homes": draw(st.lists(st.tuples(subject, home), unique=True, max_size=20)),
    }


def _alike(case: Case) -> Case:
    return {name: case[name] for name in ("contacts", "agency_of", "person_of")}


@given(_cases(), st.integers(2, 3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_homes_told_equal_the_plain_oracle(con: duckdb.DuckDBPyConnection, case: Case, minimum: int) -> None:
    """Each agency is told of everybody else at its people's homes whom others know, from the agreed number on."""
    inside = window(**_alike(case), months=MONTHS, as_of=AS_OF)
    for agency, told in _told(con, case, replace(_agreement(), minimum_agencies=minimum)).items():
        expected = homes_told(
            agency,
            case["homes"],
            case["agency_of"],
            case["person_of"],
            inside,
            largest=LARGEST_HOUSEHOLD,
            minimum=minimum,
        )
        assert told.households is not None
        assert told.households.schema == RETURN_HOUSEHOLDS
        rows = told.households.to_pylist()
        figures = [
            (
                row["subject"] - 100,
                row["agency"],
                (row["people"], row["contact_count"], row["first_date"], row["last_date"], row["open_case"]),
                None if row["lead_sealed"] is None else row["lead_sealed"][0],
                row["lead_agency"],
            )
            for row in rows
        ]
        assert sorted(map(repr, figures)) == sorted(
            repr((subject, other, row[:5], row[5], None if row[5] is None else other))
            for (subject, _, other), (row, _) in expected.items()
        )
        shown = {row["household"] for row in rows}
        assert shown == set(range(1, len(shown) + 1))
        assert len(shown) == len({home for _, home, _ in expected})
        assert told.told_homes is not None
        assert {tuple(row.values()) for row in told.told_homes.to_pylist()} == {
            (agency, subject + 100, other, number + 100)
            for (subject, _, other), (_, numbers) in expected.items()
            for number in numbers
        }


@given(_cases(), st.integers(2, 3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_worst_windows_told_equal_the_plain_oracle(
    con: duckdb.DuckDBPyConnection, case: Case, minimum: int
) -> None:
    """An agency is told of a worst window only of people whom it knew inside it, and how much of it was seen."""
    worst = worst_window(**_alike(case), months=MONTHS, as_of=AS_OF)
    agency_of, person_of = case["agency_of"], case["person_of"]
    for agency, told in _told(con, case, replace(_agreement(), minimum_agencies=minimum)).items():
        expected, about = set(), set()
        for subject, person in person_of.items():
            agencies, last = worst.get(person, (0, date.min))
            if agency_of[subject] != agency or agencies < minimum:
                continue
            before = first_day(last, MONTHS)
            within = {
                agency_of[s]
                for s, day, _, _ in case["contacts"]
                if person_of[s] == person and day is not None and before < day <= last
            }
            assert len(within) == agencies
            if agency in within:
                one = timedelta(days=1)
                expected.add((subject + 100, agencies, before + one, last, before >= BEGIN, BEGIN + one))
                about |= {(agency, subject + 100, other) for other in within - {agency}}
        assert told.rolling is not None
        assert told.rolling.schema == RETURN_ROLLING
        assert {tuple(row.values()) for row in told.rolling.to_pylist()} == expected
        assert about <= {tuple(row.values()) for row in told.told.to_pylist()}
        assert told.told.num_rows == len(set(map(tuple, map(dict.values, told.told.to_pylist()))))


HOME: Case = {
    "contacts": [
        (0, date(2026, 6, 1), None, None),
        (1, date(2026, 6, 2), True, 2),
        (2, date(2025, 6, 3), True, 1),
    ],
    "agency_of": {0: "police", 1: "health", 2: "health"},
    "person_of": {0: 0, 1: 1, 2: 0},
    "homes": [(0, 7), (1, 7)],
}
"""Police know a child; health knows the mother at the same home now, and knew the child a year ago."""


def test_somebody_else_is_not_the_person_herself(con: duckdb.DuckDBPyConnection) -> None:
    """A person whom one agency knows at a home is not told of as somebody else at it."""
    told = _told(con, HOME, _agreement())
    assert told["police"].households is not None
    assert [(row["subject"], row["agency"]) for row in told["police"].households.to_pylist()] == [
        (100, "health")
    ]
    alone = {**HOME, "person_of": {0: 0, 1: 0, 2: 0}}
    again = _told(con, alone, _agreement())["police"].households
    assert again is not None
    assert again.num_rows == 0


def test_outputs_hold_for_homes_and_worst_windows(con: duckdb.DuckDBPyConnection) -> None:
    """What the agreement does not let be told of a person is not told of those at home or of a worst window either."""
    case = {**HOME, "contacts": [*HOME["contacts"], (2, date(2026, 5, 3), True, 1)]}
    told = _told(con, case, _agreement(outputs=frozenset({"agencies"})))["police"]
    assert told.households is not None
    assert told.rolling is not None
    (home,), (busiest,) = told.households.to_pylist(), told.rolling.to_pylist()
    hidden = ("contact_count", "first_date", "last_date", "open_case", "lead_sealed", "lead_agency")
    assert [home[name] for name in hidden] == [None] * len(hidden)
    assert (busiest["first_date"], busiest["last_date"]) == (None, None)
    assert (home["people"], busiest["agencies"]) == (1, 2)


def test_without_leave_neither_is_there(con: duckdb.DuckDBPyConnection) -> None:
    """An agreement without homes and worst windows gets a return of one part."""
    _told(con, HOME, _agreement())
    tables = _tables(HOME)
    for name, table in tables.items():
        con.register(name, table)
    found = tables_of_return(con, "police", replace(_agreement(), households=False), None)
    for name in tables:
        con.unregister(name)
    assert list(found.parts) == ["contacts"]
    assert found.told_homes is None
