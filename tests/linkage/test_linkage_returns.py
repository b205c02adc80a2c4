"""Returns: each agency hears about its own subjects only, what the agreement allows, and can join it to nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from linkage_oracle import Contact, window
from linkage_world import AGENCIES, NOW, UNIT, Unit, World

from hashing.subjects import NO_DAY
from linkage.returns import write_returns
from linkage.returns_tables import return_table
from schemas.container import open_package
from schemas.errors import LinkageError, WrongRecipient
from schemas.payload import RETURN
from schemas.policies import Expectation

OPTIONAL = {"contact_count", "first_date", "last_date", "open_case", "lead_contact"}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def tables(unit: Unit, world: World) -> dict[str, list[Row]]:
    """The rows of every agency's return."""
    return {name: return_table(unit.con, name, world.agreement).to_pylist() for name in AGENCIES}


def _contacts(unit: Unit, world: World) -> list[Contact]:
    """All contacts as the agencies hold them, with subjects numbered across the run and leads by their text."""
    found: list[Contact] = []
    for sender in unit.senders:
        contacts = world.subjects[sender.agency].contacts
        for subject, day, flag, lead in zip(
            contacts.subject.tolist(), contacts.day.tolist(), contacts.is_open.tolist(), contacts.lead.codes.tolist(),
            strict=True,
        ):  # fmt: skip
            found.append(
                (
                    subject + sender.first_subject,
                    None if day == NO_DAY else date(1970, 1, 1) + timedelta(days=day),
                    None if flag < 0 else flag == 1,
                    None if lead < 0 else lead,
                )
            )
    return found


@pytest.fixture(scope="module")
def expected(unit: Unit, world: World) -> dict[str, dict[tuple[int, str], tuple[Any, ...]]]:
    """For each agency: (own subject, agency) -> contacts, first, last, open case, and whether there is a lead."""
    agency_of = {
        number: sender.agency
        for sender in unit.senders
        for number in range(sender.first_subject, sender.first_subject + sender.subjects)
    }
    person_of = dict(enumerate(unit.clusters.person.tolist()))
    inside = window(_contacts(unit, world), agency_of, person_of, months=12, as_of=unit.window.as_of)
    agencies: dict[int, list[str]] = {}
    for person, agency in inside:
        agencies.setdefault(person, []).append(agency)
    result: dict[str, dict[tuple[int, str], tuple[Any, ...]]] = {name: {} for name in AGENCIES}
    for sender in unit.senders:
        for own in range(sender.subjects):
            person = person_of[own + sender.first_subject]
            known_to = agencies.get(person, [])
            if len(known_to) >= 2 and sender.agency in known_to:
                for agency in known_to:
                    *shown, lead = inside[person, agency]
                    result[sender.agency][own, agency] = (*shown, lead is not None)
    return result


def test_returns_equal_the_plain_oracle(tables: dict[str, list[Row]], expected: Any) -> None:
    """A multi-agency person whom the receiver is in contact with stands once for each agency, with its figures."""
    for agency, rows in tables.items():
        found = {
            (row["subject"], row["agency"]): (
                row["contact_count"],
                row["first_date"],
                row["last_date"],
                row["open_case"],
                row["lead_sealed"] is not None,
            )
            for row in rows
        }
        assert len(found) == len(rows)
        assert found == expected[agency]
        assert len(rows) > 20


def test_agencies_hear_only_of_people_they_are_in_contact_with(
    unit: Unit, tables: dict[str, list[Row]]
) -> None:
    """An agency with no contact of its own inside the window is not told about a person it once knew."""
    for rows in tables.values():
        in_contact = {row["subject"] for row in rows if row["own"]}
        assert {row["subject"] for row in rows} == in_contact
    kept_back = unit.con.execute(
        """
        SELECT count(*)
        FROM people JOIN subjects USING (subject) SEMI JOIN multi_agency USING (person)
        ANTI JOIN in_window ON in_window.person = people.person AND in_window.agency = subjects.agency
        """
    ).fetchall()[0][0]
    assert kept_back > 0  # there are such people among the three agencies


def test_own_rows_are_marked(tables: dict[str, list[Row]]) -> None:
    """A row says whether it is about the receiver itself."""
    for agency, rows in tables.items():
        assert all(row["own"] == (row["agency"] == agency) for row in rows)


def test_subject_numbers_are_the_receivers_own(unit: Unit, tables: dict[str, list[Row]]) -> None:
    """Subjects carry the number of the receiver's own package, never a number of the run or of another agency."""
    for sender in unit.senders:
        numbers = {row["subject"] for row in tables[sender.agency]}
        assert numbers <= set(range(sender.subjects))
    # No column has room for a subject of somebody else.
    assert {field.name for field in RETURN if pa.types.is_integer(field.type)} == {
        "subject",
        "person",
        "contact_count",
    }


def _persons(unit: Unit, rows: list[Row], agency: str) -> dict[int, int]:
    """Return person of the run -> person number shown in a return."""
    first = next(sender.first_subject for sender in unit.senders if sender.agency == agency)
    shown: dict[int, set[int]] = {}
    for row in rows:
        shown.setdefault(int(unit.clusters.person[row["subject"] + first]), set()).add(row["person"])
    assert all(len(numbers) == 1 for numbers in shown.values())
    return {person: numbers.pop() for person, numbers in shown.items()}


def test_person_numbers_are_anew_in_every_return(
    unit: Unit, world: World, tables: dict[str, list[Row]]
) -> None:
    """Within a return a person has one number, from 1 up; two returns, or two runs, cannot be joined by it."""
    maps = {agency: _persons(unit, rows, agency) for agency, rows in tables.items()}
    for numbers in maps.values():
        assert sorted(numbers.values()) == list(range(1, len(numbers) + 1))
    common = 0
    for one, other in combinations(AGENCIES, 2):
        shared = sorted(maps[one].keys() & maps[other].keys())
        common += len(shared)
        order = [sorted(shared, key=maps[name].__getitem__) for name in (one, other)]
        assert len(shared) < 8 or order[0] != order[1]  # not even the order is common (by chance once in 8!)
    assert common > 20
    again = return_table(unit.con, AGENCIES[0], world.agreement).to_pylist()
    assert _persons(unit, again, AGENCIES[0]) != maps[AGENCIES[0]]


@pytest.mark.parametrize("allowed", [set(), {"contact_count"}, {"first_date", "open_case"}, {"lead_contact"}])
def test_outputs_that_are_not_allowed_are_empty(
    unit: Unit, world: World, allowed: set[str], expected: Any
) -> None:
    """What the agreement's outputs do not name is null in every row, and what they name is not."""
    agreement = replace(world.agreement, outputs=frozenset({"agencies", *allowed}))
    rows = return_table(unit.con, AGENCIES[0], agreement).to_pylist()
    assert {(row["subject"], row["agency"]) for row in rows} == set(expected[AGENCIES[0]])
    for name in OPTIONAL:
        columns = ("lead_sealed", "lead_agency") if name == "lead_contact" else (name,)
        for shown in columns:
            assert any(row[shown] is not None for row in rows) == (name in allowed)


def test_leads_are_passed_on_unread(world: World, tables: dict[str, list[Row]]) -> None:
    """A sealed lead contact is byte for byte one that the named agency sent."""
    sent = {name: set(world.table(name, "leads").column("sealed").to_pylist()) for name in AGENCIES}
    for rows in tables.values():
        for row in rows:
            if row["lead_sealed"] is not None:
                assert row["lead_agency"] == row["agency"]
                assert row["lead_sealed"] in sent[row["agency"]]


@pytest.fixture(scope="module")
def written(unit: Unit, world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The returns as files."""
    folder = tmp_path_factory.mktemp("returns")
    write_returns(
        unit.con,
        folder,
        unit.senders,
        agreement=world.agreement,
        window=unit.window,
        rolling=None,
        unit=world.unit,
        known=world.public,
        run_id=world.run_id,
        created_at=NOW,
    )
    return folder


@pytest.mark.parametrize("agency", AGENCIES)
def test_a_return_is_encrypted_to_its_receiver_only(
    world: World, written: Path, agency: str, tables: dict[str, list[Row]]
) -> None:
    """The receiver opens it; the other agencies and the unit that wrote it cannot."""
    path = written / f"{agency}.tally"
    expect = Expectation(
        kind="return", agreement_digest=world.agreement.digest, run_id=world.run_id, sender=UNIT
    )
    for name, identity in world.identities.items():
        if name != agency:
            with pytest.raises(WrongRecipient):
                open_package(path, recipient=identity, known_senders=world.public, expect=expect)
    with open_package(
        path, recipient=world.identities[agency], known_senders=world.public, expect=expect
    ) as package:
        manifest = package.manifest
        table = pa.ipc.open_stream(package.part("contacts")).read_all()
    assert table.schema.equals(RETURN)
    assert manifest.counts == {"people": len(set(table.column("person").to_pylist())), "rows": table.num_rows}
    same = ("subject", "agency", "contact_count", "lead_sealed")
    assert [[row[name] for name in same] for row in table.to_pylist()] == [
        [row[name] for name in same] for row in tables[agency]
    ]


def test_nobody_else_gets_a_file(written: Path) -> None:
    """There is one return an agency and nothing beside them."""
    assert sorted(path.name for path in written.iterdir()) == [f"{name}.tally" for name in sorted(AGENCIES)]


def test_unknown_receiving_key(unit: Unit, world: World, tmp_path: Path) -> None:
    """Without an agency's receiving key its return cannot be written."""
    known = {name: keys for name, keys in world.public.items() if name != AGENCIES[2]}
    with pytest.raises(LinkageError):
        write_returns(
            unit.con,
            tmp_path,
            unit.senders,
            agreement=world.agreement,
            window=unit.window,
            rolling=None,
            unit=world.unit,
            known=known,
            run_id=world.run_id,
            created_at=NOW,
        )
