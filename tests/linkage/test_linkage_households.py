"""Households: SQL against a plain walk, with institutions left out."""

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
from linkage_oracle import households

from linkage.database import connect
from linkage.households import LARGEST_HOUSEHOLD, Households, find_households

AGENCIES = ("fire", "health", "police")
Inside = dict[tuple[int, str], tuple[int, date, date, bool | None, int | None]]


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database."""
    with connect(threads=1) as made:
        yield made


def _find(
    con: duckdb.DuckDBPyConnection,
    homes: list[tuple[int, int]],
    person_of: dict[int, int],
    inside: Inside,
    *,
    minimum: int,
) -> tuple[Households, dict[Any, Any], dict[Any, Any]]:
    for name in ("household_member", "household_in_window", "multi_household"):
        con.execute(f"DROP TABLE IF EXISTS {name}")
    tables = {
        "household_tokens": pa.table(
            {
                "subject": pa.array([s for s, _ in homes], pa.int32()),
                "household": pa.array([h for _, h in homes], pa.int64()),
            }
        ),
        "people": pa.table(
            {
                "subject": pa.array(list(person_of), pa.int32()),
                "person": pa.array(list(person_of.values()), pa.int32()),
            }
        ),
        "in_window": pa.Table.from_pylist(
            [
                {
                    "person": person,
                    "agency": agency,
                    "contact_count": row[0],
                    "first_date": row[1],
                    "last_date": row[2],
                    "open_case": row[3],
                }
                for (person, agency), row in inside.items()
            ],
            schema=pa.schema(
                [
                    ("person", pa.int32()),
                    ("agency", pa.string()),
                    ("contact_count", pa.int32()),
                    ("first_date", pa.date32()),
                    ("last_date", pa.date32()),
                    ("open_case", pa.bool_()),
                ]
            ),
        ),
    }
    for name, table in tables.items():
        con.register(name, table)
    found = find_households(con, minimum_agencies=minimum)
    rows = {
        (row[0], row[1]): row[2:]
        for row in con.execute(
            "SELECT household, agency, people, contact_count, first_date, last_date, open_case "
            "FROM household_in_window"
        ).fetchall()
    }
    multi = {row[0]: row[1:] for row in con.execute("FROM multi_household").fetchall()}
    for name in tables:
        con.unregister(name)
    return found, rows, multi


@st.composite
def _cases(draw: st.DrawFn) -> dict[str, Any]:
    subjects = draw(st.integers(1, 20))
    # One address draws most subjects, so that some cases have an institution.
    home = st.just(1) | st.just(1) | st.integers(-2, 4)
    day = date(2026, 1, 1)
    inside: Inside = {}
    for person in range(subjects):
        for agency in AGENCIES:
            if draw(st.booleans()):
                first = day + timedelta(days=draw(st.integers(0, 50)))
                last = first + timedelta(days=draw(st.integers(0, 50)))
                inside[person, agency] = (
                    draw(st.integers(1, 5)),
                    first,
                    last,
                    draw(st.none() | st.booleans()),
                    None,
                )
    return {
        "homes": draw(st.lists(st.tuples(st.integers(0, subjects - 1), home), unique=True, max_size=30)),
        "person_of": {s: draw(st.integers(0, subjects - 1)) for s in range(subjects)},
        "inside": inside,
    }


@given(_cases(), st.integers(2, 3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_households_equal_the_plain_oracle(
    con: duckdb.DuckDBPyConnection, case: dict[str, Any], minimum: int
) -> None:
    """People, contacts and days of a home are those of its members inside the window, agency by agency."""
    found, rows, multi = _find(con, **case, minimum=minimum)
    expected, known = households(**case, largest=LARGEST_HOUSEHOLD)
    assert rows == expected
    assert multi == {home: entry for home, entry in known.items() if entry[1] >= minimum}
    assert found.by_agencies == dict(Counter(agencies for _, agencies in multi.values()))
    assert found.households == len(multi)


@pytest.mark.parametrize(("people", "capped"), [(LARGEST_HOUSEHOLD, 0), (LARGEST_HOUSEHOLD + 1, 1)])
def test_institutions_are_left_out_and_counted(
    con: duckdb.DuckDBPyConnection, people: int, capped: int
) -> None:
    """An address with more people than a household has is no household, however many agencies know it."""
    day = date(2026, 1, 1)
    inside: Inside = {(n, AGENCIES[n % 3]): (1, day, day, None, None) for n in range(people)}
    found, rows, multi = _find(
        con, [(n, 5) for n in range(people)], {n: n for n in range(people)}, inside, minimum=2
    )
    assert (found.capped, found.capped_people) == (capped, people * capped)
    assert bool(rows) == bool(multi) == (not capped)
