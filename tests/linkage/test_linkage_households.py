"""Households: SQL against a plain walk, with institutions left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkage_oracle import households
from linkage_world import AGENCIES as WORLD_AGENCIES
from linkage_world import AS_OF, NOW, World

from linkage.database import connect
from linkage.households import LARGEST_HOUSEHOLD, Households, find_households
from linkage.privacy import measure
from linkage.run import RunResult, link
from schemas.container import open_package
from schemas.payload import RETURN_HOUSEHOLDS
from schemas.policies import Expectation

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


@pytest.fixture(scope="module")
def homes(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[World, RunResult, Path]:
    """A run under an agreement that lets households and rolling windows be reported."""
    folder = tmp_path_factory.mktemp("homes")
    agreed = replace(world, agreement=replace(world.agreement, households=True, rolling=True))
    packages = [agreed.seal(agency, folder / f"{agency}.tally") for agency in WORLD_AGENCIES]
    found = link(
        packages,
        folder / "run",
        agreement=agreed.agreement,
        unit=agreed.unit,
        known=agreed.public,
        created_at=NOW,
        as_of=AS_OF,
    )
    return agreed, found, folder


def _plain_homes(agreed: World, found: RunResult) -> dict[str, set[int]]:
    """Return the people recorded at each address, from the plain values; crowded addresses are left out."""
    first = {sender.agency: sender.first_subject for sender in found.senders}
    people: dict[str, set[int]] = {}
    for agency, subjects in agreed.subjects.items():
        own: dict[str, set[int]] = {}
        coded = subjects.fields["uprn"]
        for code, subject in zip(coded.codes.tolist(), subjects.version_subject.tolist(), strict=True):
            if code >= 0:
                own.setdefault(coded.values[code].as_py(), set()).add(subject)
        for uprn, held in own.items():
            if len(held) <= agreed.agreement.crowded_cell:
                members = {int(found.clusters.person[first[agency] + subject]) for subject in held}
                people.setdefault(uprn, set()).update(members)
    return people


def test_sealed_homes_are_the_addresses(homes: tuple[World, RunResult, Path]) -> None:
    """Homes joined by sealed tokens are those of the plain addresses, institutions counted and left out."""
    agreed, found, _ = homes
    plain = _plain_homes(agreed, found)
    capped = [people for people in plain.values() if len(people) > LARGEST_HOUSEHOLD]
    assert found.households is not None
    assert found.households.capped == len(capped)
    assert found.households.households > 20
    assert found.households.households <= len(plain) - len(capped)


def test_households_go_back_to_those_who_know_them(homes: tuple[World, RunResult, Path]) -> None:
    """Each agency is told of homes of people whom it is in contact with: enough others, and never itself."""
    agreed, _, folder = homes
    for agency in WORLD_AGENCIES:
        with open_package(
            folder / "run" / "returns" / f"{agency}.tally",
            recipient=agreed.identities[agency],
            known_senders=agreed.public,
            expect=Expectation(kind="return"),
        ) as package:
            rows = pa.ipc.open_stream(package.part("households")).read_all()
            assert package.manifest.counts["household_rows"] == rows.num_rows
        assert rows.schema.equals(RETURN_HOUSEHOLDS)
        told: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for row in rows.to_pylist():
            told.setdefault((row["subject"], row["household"]), []).append(row)
        assert told
        for each in told.values():
            assert agency not in {row["agency"] for row in each}
            assert len(each) + 1 >= agreed.agreement.minimum_agencies
            assert len({row["agency"] for row in each}) == len(each)
        shown = {home for _, home in told}
        assert shown == set(range(1, len(shown) + 1))


def test_homes_count_in_the_privacy_measure(homes: tuple[World, RunResult, Path], unit: Any) -> None:
    """Showing who lives with whom tells more people apart, and the run's figures say so."""
    _, found, folder = homes
    without = measure(unit.con, homes[0].agreement.passes, versions=unit.versions, people=unit.clusters.count)
    assert found.reidentification.people > without.people
    summary = json.loads((folder / "run" / "run.json").read_text())
    assert summary["privacy"]["expected_reidentification"] == found.reidentification.people
    assert summary["households"]["households"] == sum(summary["households"]["by_agencies"].values())


def test_rolling_windows_are_reported_when_agreed(homes: tuple[World, RunResult, Path], unit: Any) -> None:
    """At least as many people are found in some window as in the last one; without leave nothing is counted."""
    found = homes[1]
    assert found.rolling is not None
    assert found.rolling.people >= found.window.people
    assert unit.window.people == found.window.people


def test_no_home_leaves_without_leave(world: World) -> None:
    """Where the agreement does not report households, a package has no homes."""
    with world.opened(WORLD_AGENCIES[0]) as package:
        assert "homes" not in {part.name for part in package.manifest.parts}
