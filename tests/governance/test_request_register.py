"""The register of requests: what it holds, what it refuses, and what rule O06 makes of it."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_builders import output

from governance.lifecycle.request_register import RequestRegister, register_for
from governance.rules.base import Severity
from governance.rules.output import requests as rule_o06
from schemas.dates import months_later
from schemas.errors import InputError, OutputError
from tests.conftest import run

DAY = date(2026, 6, 1)


@pytest.fixture
def register(tmp_path: Path) -> RequestRegister:
    """An empty register."""
    return RequestRegister.create(tmp_path / "agreement.yaml.requests", random_bytes=lambda n: b"s" * n)


def judged(register: RequestRegister, *, today: date, refs: tuple[str, ...] = ()) -> list[Severity]:
    """Return the weights of what rule O06 finds at the police."""
    asked = register.asking("police")(refs)
    return [found.severity for found in rule_o06.ask(output(today=today, requests=asked))]


def add(register: RequestRegister, **changes: object) -> str:
    """Add a request of a person with two references, received on `DAY`, and return its number."""
    values: dict[str, object] = {
        "kind": "erasure",
        "agency": "police",
        "received": DAY,
        "refs": ["P-1", "P-2"],
    }
    return register.add(**{**values, **changes}).case  # type: ignore[arg-type]


def test_holds_no_reference(register: RequestRegister) -> None:
    """Neither the register nor its salt holds a reference, and the salt is not in the register."""
    add(register)
    written = [path.read_text() for path in register.path.parent.iterdir() if path.suffix != ".lock"]
    assert not any("P-1" in text or "P-2" in text for text in written)
    assert (b"s" * 32).hex() not in register.path.read_text()


def test_a_commitment_is_what_the_specification_says(register: RequestRegister) -> None:
    """docs/spec/requests-v1.md, computed here from nothing but lengths and SHA-256."""

    def joined(label: str, *fields: bytes) -> bytes:
        items = (label.encode(), *fields)
        return len(items).to_bytes(8, "big") + b"".join(len(item).to_bytes(8, "big") + item for item in items)

    add(register, refs=["P-1"])
    subject = joined("tallystick/v1/audit-subject-ref", b"police", b"P-1")
    wanted = hashlib.sha256(joined("tallystick/v1/request-person", b"s" * 32, subject)).hexdigest()
    assert register.entries()[0].people == (f"salted:{wanted}",)


def test_dates_follow_the_law(register: RequestRegister) -> None:
    """A month from receipt; up to three with a reason; never more, and never before it came."""
    add(register)
    assert register.entries()[0].due == date(2026, 7, 1)
    add(register, due=date(2026, 9, 1), why_longer="Records of three systems have to be searched")
    for wrong in (
        {"due": date(2026, 9, 2), "why_longer": "long"},
        {"due": date(2026, 8, 1)},
        {"due": date(2026, 5, 1)},
    ):
        with pytest.raises(InputError):
            add(register, **wrong)
    assert len(register.entries()) == 2


@given(st.dates(date(2000, 1, 1), date(2099, 1, 1)), st.integers(1, 3))
def test_a_month_is_a_calendar_month(day: date, months: int) -> None:
    """The corresponding day of a later month, or its last one: never in the month after, never 4 days short."""
    later = months_later(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


def test_open_past_its_date_blocks(register: RequestRegister) -> None:
    """On its last day nothing is found; on the next one it blocks, until it is applied, refused or withdrawn."""
    case = add(register)
    assert judged(register, today=date(2026, 7, 1)) == []
    assert judged(register, today=date(2026, 7, 2)) == [Severity.BLOCK]
    register.close(case, "withdrawn", on=date(2026, 7, 2))
    assert judged(register, today=date(2026, 7, 3)) == []


def test_applied_late_is_amber(register: RequestRegister) -> None:
    """What was applied after its date stops nothing any more, but stays to be accounted for."""
    late, early = add(register), add(register, refs=[])
    register.close(late, "applied", on=date(2026, 7, 2))
    register.close(early, "applied", on=date(2026, 7, 1))
    assert judged(register, today=date(2026, 8, 1)) == [Severity.AMBER]


@pytest.mark.parametrize(("kind", "weight"), [("objection", Severity.BLOCK), ("erasure", Severity.AMBER)])
def test_told_of_again(register: RequestRegister, kind: str, weight: Severity) -> None:
    """Somebody who is told of although it was applied is found by the references, and others are not."""
    register.close(add(register, kind=kind), "applied", on=DAY)
    assert judged(register, today=DAY, refs=("P-2", "P-9")) == [weight]
    assert judged(register, today=DAY, refs=("P-9",)) == []
    assert register.asking("health")(["P-2"])[0].back is False


def test_an_erasure_answers_whole_requests_only(register: RequestRegister) -> None:
    """A request is answered when all its references are erased, and not by half of them."""
    add(register)
    assert register.matching("police", ["P-1"]) == []
    assert [entry.case for entry in register.matching("police", ["P-2", "P-1", "P-3"])] == ["request-1"]
    assert register.matching("health", ["P-1", "P-2"]) == []


@pytest.mark.parametrize("case", ["943 476 5919", "9434765919", "Mary-Jones 1990-01-01", "../x", "request-1"])
def test_numbers_that_are_refused(register: RequestRegister, case: str) -> None:
    """A number that is taken, out of form, or holds what looks like an identifier, is not written down."""
    add(register)
    with pytest.raises(InputError) as caught:
        add(register, case=case)
    assert case == "request-1" or case not in str(caught.value)
    assert len(register.entries()) == 1


def test_files_that_are_refused(register: RequestRegister, tmp_path: Path) -> None:
    """A register is never overwritten; a damaged one, or one without its salt, is refused and not taken for empty."""
    add(register)
    with pytest.raises(OutputError):
        RequestRegister.create(register.path)
    register.path.with_name(register.path.name + ".salt").unlink()
    with pytest.raises(InputError, match="salt"):
        register.asking("police")(["P-1"])
    for text in ("", "[]", "{}", '{"format": "tallystick-requests", "version": 2, "requests": []}'):
        (tmp_path / "bad").write_text(text)
        with pytest.raises(InputError, match="not a register"):
            RequestRegister(tmp_path / "bad").entries()
    document = json.loads(register.path.read_text())
    for change in (
        {"colour": "red"},
        {"outcome": "lost"},
        {"outcome": "applied"},
        {"people": ["P-1"]},
        {"due": "soon"},
    ):
        spoilt = {**document, "requests": [{**document["requests"][0], **change}]}
        (tmp_path / "bad").write_text(json.dumps(spoilt))
        with pytest.raises(InputError, match="not a register"):
            RequestRegister(tmp_path / "bad").entries()
    with pytest.raises(InputError, match="cannot be read"):
        RequestRegister(tmp_path / "none").entries()


def test_found_beside_the_agreement(register: RequestRegister, tmp_path: Path) -> None:
    """The file AGREEMENT.requests is found by itself; a named one goes before it."""
    agreement = tmp_path / "agreement.yaml"
    beside, named = register_for(None, agreement), register_for(tmp_path / "other", agreement)
    assert beside is not None
    assert beside.path == register.path
    assert named is not None
    assert named.path == tmp_path / "other"
    assert register_for(None, tmp_path / "elsewhere.yaml") is None
    assert register_for(None, None) is None


def test_commands(tmp_path: Path) -> None:
    """An officer begins a register, adds, lists with exit code 1 when one is late, and closes."""
    path, refs = tmp_path / "a.requests", tmp_path / "refs.txt"
    refs.write_text("P-1\nP-2\n")
    assert run("requests", "new", path).exit_code == 0
    words = ("--agency", "police", "--received", "2026-06-01", "--refs", refs)
    added = run("requests", "add", path, "--kind", "objection", *words)
    assert added.stdout == "request-1: objection, to be applied by 2026-07-01.\n"
    listed = run("requests", "list", path, "--on", "2026-06-21")
    assert (listed.exit_code, "10 days left" in listed.stdout) == (0, True)
    late = run("requests", "list", path, "--on", "2026-07-03", "--json")
    assert (late.exit_code, json.loads(late.stdout)["late"]) == (1, ["request-1"])
    assert "PAST ITS DATE by 2 days" in run("requests", "list", path, "--on", "2026-07-03").stdout
    closed = run("requests", "close", path, "request-1", "--on", "2026-07-03")
    assert (
        closed.stdout
        == "request-1: objection at police, received 2026-06-01; applied on 2026-07-03, after its date.\n"
    )
    assert run("requests", "list", path, "--on", "2026-08-03").exit_code == 0
    again = run("requests", "close", path, "request-1")
    assert again.exit_code == 2
    assert "no open request" in again.stderr
