"""The window: SQL against a plain walk over the contacts, with its first and last days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkage_oracle import Contact, first_day, window, worst_window

from linkage.database import connect
from linkage.window import MultiAgency, find_multi_agency
from linkage.window_rolling import find_worst_windows

AGENCIES = ("fire", "health", "police")
MONTH_ENDS = (date(2024, 2, 29), date(2025, 2, 28), date(2026, 3, 31), date(2026, 5, 31), date(2026, 4, 30))
CONTACTS = pa.schema(
    [
        pa.field("subject", pa.int32()),
        pa.field("day", pa.date32()),
        pa.field("is_open", pa.bool_()),
        pa.field("lead", pa.int32()),
    ]
)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database."""
    with connect(threads=1) as made:
        yield made


@pytest.fixture(scope="module")
def bare(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """The same, under the name that non-Hypothesis tests use."""
    return con


def _find(
    con: duckdb.DuckDBPyConnection,
    contacts: list[Contact],
    agency_of: dict[int, str],
    person_of: dict[int, int],
    *,
    months: int,
    as_of: date,
    minimum: int = 2,
) -> tuple[MultiAgency, dict[tuple[int, str], tuple[Any, ...]], dict[int, int]]:
    tables = _register(con, contacts, agency_of, person_of)
    for name in ("in_window", "multi_agency"):
        con.execute(f"DROP TABLE IF EXISTS {name}")
    found = find_multi_agency(con, months=months, as_of=as_of, minimum_agencies=minimum)
    inside = {
        (row[0], row[1]): row[2:]
        for row in con.execute(
            "SELECT person, agency, contact_count, first_date, last_date, open_case, lead FROM in_window"
        ).fetchall()
    }
    multi = dict(con.execute("SELECT person, agencies FROM multi_agency").fetchall())
    for name in tables:
        con.unregister(name)
    return found, inside, multi


def _register(
    con: duckdb.DuckDBPyConnection,
    contacts: list[Contact],
    agency_of: dict[int, str],
    person_of: dict[int, int],
) -> list[str]:
    """Give the database the tables of a run; return their names."""
    subjects = sorted(agency_of)
    tables = {
        "contacts": pa.Table.from_pylist(
            [dict(zip(CONTACTS.names, contact, strict=True)) for contact in contacts], schema=CONTACTS
        ),
        "subjects": pa.table(
            {"subject": pa.array(subjects, pa.int32()), "agency": pa.array([agency_of[s] for s in subjects])}
        ),
        "people": pa.table(
            {
                "subject": pa.array(subjects, pa.int32()),
                "person": pa.array([person_of[s] for s in subjects], pa.int32()),
            }
        ),
    }
    for name, table in tables.items():
        con.register(name, table)
    return list(tables)


@st.composite
def _cases(draw: st.DrawFn) -> dict[str, Any]:
    as_of = draw(st.sampled_from(MONTH_ENDS) | st.dates(date(2023, 1, 1), date(2027, 12, 31)))
    months = draw(st.integers(1, 36))
    edge = first_day(as_of, months)
    near = [bound + timedelta(days=n) for bound in (edge, as_of) for n in (-1, 0, 1)]
    days = st.none() | st.sampled_from(near) | st.dates(edge - timedelta(days=20), as_of + timedelta(days=20))
    subjects = draw(st.integers(1, 9))
    contact = st.tuples(
        st.integers(0, subjects - 1), days, st.none() | st.booleans(), st.none() | st.integers(0, 4)
    )
    return {
        "contacts": draw(st.lists(contact, max_size=25)),
        "agency_of": {s: draw(st.sampled_from(AGENCIES)) for s in range(subjects)},
        "person_of": {s: draw(st.integers(0, 3)) for s in range(subjects)},
        "months": months,
        "as_of": as_of,
    }


@given(_cases(), st.integers(2, 3))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_window_equals_the_plain_oracle(
    con: duckdb.DuckDBPyConnection, case: dict[str, Any], minimum: int
) -> None:
    """Counts, first and last day, open case and whom to ring are those of the contacts inside the window."""
    found, inside, multi = _find(con, **case, minimum=minimum)
    expected = window(**case)
    assert inside == expected
    agencies = Counter(person for person, _ in expected)
    assert multi == {person: count for person, count in agencies.items() if count >= minimum}
    assert found.people == len(multi)
    assert found.by_agencies == dict(Counter(multi.values()))
    assert (found.months, found.as_of) == (case["months"], case["as_of"])


@pytest.mark.parametrize(
    ("as_of", "months", "first"),
    [
        (date(2026, 6, 30), 12, date(2025, 7, 1)),
        (date(2026, 3, 31), 1, date(2026, 3, 1)),
        (date(2026, 2, 28), 1, date(2026, 1, 29)),
        (date(2024, 2, 29), 12, date(2023, 3, 1)),
        (date(2025, 2, 28), 12, date(2024, 2, 29)),
        (date(2026, 12, 31), 6, date(2026, 7, 1)),
    ],
)
def test_first_and_last_day(bare: duckdb.DuckDBPyConnection, as_of: date, months: int, first: date) -> None:
    """The window begins the day after the same day of the month `months` earlier, and ends with its last day."""
    one = timedelta(days=1)
    contacts: list[Contact] = [(0, day, None, None) for day in (first - one, first, as_of, as_of + one, None)]
    _, inside, _ = _find(bare, contacts, {0: "police"}, {0: 0}, months=months, as_of=as_of)
    assert inside == {(0, "police"): (2, first, as_of, None, None)}


def test_subjects_of_one_person_at_one_agency_count_once(bare: duckdb.DuckDBPyConnection) -> None:
    """Two references of the police for one person are one agency, with the contacts of both."""
    day = date(2026, 6, 1)
    contacts: list[Contact] = [
        (0, day, False, 1),
        (1, day + timedelta(days=2), None, 3),
        (2, day, True, None),
    ]
    found, inside, multi = _find(
        bare,
        contacts,
        {0: "police", 1: "police", 2: "health"},
        {0: 5, 1: 5, 2: 5},
        months=12,
        as_of=date(2026, 6, 30),
    )
    assert inside[5, "police"] == (2, day, day + timedelta(days=2), False, 3)
    assert multi == {5: 2}
    assert found.by_agencies == {2: 1}


def test_whom_to_ring_is_of_the_latest_contact_that_names_one(bare: duckdb.DuckDBPyConnection) -> None:
    """A later contact that names nobody, or lies outside the window, does not hide the lead of an earlier one."""
    as_of = date(2026, 6, 30)
    contacts: list[Contact] = [
        (0, date(2026, 1, 1), True, 9),
        (0, date(2026, 5, 1), None, 2),
        (0, date(2026, 6, 1), None, None),
        (0, date(2026, 7, 1), None, 7),
    ]
    _, inside, _ = _find(bare, contacts, {0: "police"}, {0: 0}, months=12, as_of=as_of)
    assert inside[0, "police"] == (3, date(2026, 1, 1), date(2026, 6, 1), True, 2)


@given(_cases(), st.integers(2, 3), st.integers(0, 800))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_worst_window_equals_the_plain_oracle(
    con: duckdb.DuckDBPyConnection, case: dict[str, Any], minimum: int, back: int
) -> None:
    """The most agencies inside one window, and its last day, are those found by trying every day as an end.

    A window that reaches back before the first day of the contacts is told to be cut.
    """
    case["months"] = min(case["months"], 7)
    names = _register(con, case["contacts"], case["agency_of"], case["person_of"])
    con.execute("DROP TABLE IF EXISTS worst_window")
    begin = case["as_of"] - timedelta(days=back)
    found = find_worst_windows(
        con, months=case["months"], as_of=case["as_of"], contacts_after=begin, minimum_agencies=minimum
    )
    columns = "person, agencies, ends, after, whole"
    rows = {row[0]: row[1:] for row in con.execute(f"SELECT {columns} FROM worst_window").fetchall()}
    for name in names:
        con.unregister(name)
    expected = {}
    for person, (agencies, ends) in worst_window(**case).items():
        after = first_day(ends, case["months"])
        if agencies >= minimum:
            expected[person] = (agencies, ends, after, after >= begin)
    assert rows == expected
    assert found.by_agencies == dict(Counter(agencies for agencies, *_ in expected.values()))
    assert found.cut == sum(not whole for *_, whole in expected.values())
    assert (found.people, found.months) == (len(expected), case["months"])


def test_worst_window_lies_in_the_past(bare: duckdb.DuckDBPyConnection) -> None:
    """Three agencies in one spring outweigh two today, and the window is named by its last contact."""
    contacts: list[Contact] = [
        (0, date(2025, 3, 1), None, None),
        (1, date(2025, 4, 10), None, None),
        (2, date(2025, 5, 2), None, None),
        (0, date(2026, 6, 1), None, None),
        (1, date(2026, 6, 2), None, None),
    ]
    names = _register(bare, contacts, dict(enumerate(AGENCIES)), {0: 7, 1: 7, 2: 7})
    bare.execute("DROP TABLE IF EXISTS worst_window")
    found = find_worst_windows(
        bare, months=3, as_of=date(2026, 6, 30), contacts_after=date(2025, 2, 3), minimum_agencies=2
    )
    last, before = date(2025, 5, 2), date(2025, 2, 2)
    assert bare.execute("FROM worst_window").fetchall() == [(7, 3, last, before, False)]
    assert (found.by_agencies, found.cut) == ({3: 1}, 1)
    for name in names:
        bare.unregister(name)
