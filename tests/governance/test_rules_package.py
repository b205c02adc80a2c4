"""P01 to P15: each rule passes an honest package and finds the one thing that is wrong with a spoilt one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from rules_builders import AGREEMENT, agreement_of, days, package, stated, with_part

from governance.detect.patterns import Hit, Kind
from governance.detect.watch import ColumnFacts, PartFacts
from governance.rules.base import Moment, Severity
from governance.rules.package import RULES
from governance.rules.package_subject import PackageSubject

BY_ID = {rule.id: rule for rule in RULES}
Case = tuple[str, Callable[[], PackageSubject]]


def _without_part() -> PackageSubject:
    good = package()
    assert good.parts is not None
    return replace(good, parts={name: part for name, part in good.parts.items() if name != "tokens-01"})


def _with_more() -> PackageSubject:
    good = package()
    assert good.parts is not None
    more = PartFacts(name="notes", rows=1, columns={"note": ColumnFacts(type="string")})
    return replace(good, parts={**good.parts, "notes": more})


def _hit(kind: Kind, place: str) -> PackageSubject:
    return package(hits=(Hit(kind=kind, place=place),))


def _excluding() -> PackageSubject:
    return package(agreement=agreement_of(exclusions=[{"kind": "protected_address"}]))


def _secret(starts: str, ends: str) -> PackageSubject:
    return package(stated=stated(facts_linkage_secret={"epoch": 1, "starts_on": starts, "expires_on": ends}))


def _quality(**counts: int) -> PackageSubject:
    return package(stated=stated(facts_quality={"fields": {"dob": counts}}))


def _older(months: int, first: date) -> PackageSubject:
    """Return a package with contacts from `first` on, under an agreement to send `months` of them."""
    window = {"months": 12, "minimum_agencies": 2, "rolling": True, "contact_months": months}
    return replace(
        with_part("contacts", column_day={"low": days(first)}),
        agreement=agreement_of(window=window),
        stated=stated(facts_contacts_after=None),
    )


def _everyone(without: int) -> PackageSubject:
    """Return a package with people without a contact, under an agreement that lets everybody be sealed."""
    return replace(
        package(stated=stated(facts_people_without_contact=without)),
        agreement=agreement_of(window={"months": 12, "minimum_agencies": 2, "everyone": True}),
    )


FAILING: list[Case] = [
    ("P01", _without_part),
    ("P01", _with_more),
    ("P01", lambda: with_part("tokens-00", column_note={"type": "string"})),
    ("P01", lambda: with_part("versions", column_subject={"type": "int64"})),
    ("P02", lambda: with_part("tokens-00", column_forename_exact={"uneven": True})),
    ("P02", lambda: with_part("tokens-01", rows=10_000, column_block={"small": 9, "different": 9})),
    ("P02", lambda: with_part("tokens-01", rows=10_000, column_block={"small": 10_000, "different": 2})),
    *(
        ("P03", lambda kind=kind: _hit(kind, "file name"))  # type: ignore[misc]
        for kind in Kind
        if kind not in (Kind.UNKEYED_HASH, Kind.FREE_TEXT)
    ),
    ("P03", lambda: with_part("leads", hits=(Hit(kind=Kind.EMAIL, place="part leads, column x", cells=4),))),
    ("P04", lambda: with_part("tokens-00", hits=(Hit(kind=Kind.UNKEYED_HASH, place="column block"),))),
    ("P05", lambda: package(key_check="other")),
    ("P05", lambda: package(normaliser="other")),
    ("P05", lambda: package(stated=stated(facts_key_check=None))),
    ("P06", lambda: _secret("2025-01-01", "2026-06-29")),
    ("P06", lambda: _secret("2026-07-01", "2026-12-31")),
    ("P06", lambda: _secret("2026-01-01", "2029-12-31")),
    ("P06", lambda: _secret("soon", "later")),
    ("P06", lambda: _secret("2025-08-01", "2026-07-15")),
    ("P07", lambda: package(stated=stated(facts_scheme="block-sealed-v2"))),
    ("P08", lambda: with_part("contacts", column_day={"high": days(date(2026, 7, 1))})),
    ("P08", lambda: with_part("contacts", column_day={"low": days(date(2025, 6, 30))})),
    (
        "P08",
        lambda: replace(
            with_part("contacts", column_day={"low": days(date(2024, 1, 1))}),
            stated=stated(facts_contacts_after=None),
        ),
    ),
    ("P08", lambda: _older(24, date(2023, 1, 1))),
    ("P08", lambda: package(stated=stated(facts_people_without_contact=3))),
    ("P08", lambda: package(stated=stated(facts_people_without_contact=None))),
    ("P09", lambda: package(stated=stated(sender="housing"))),
    ("P09", lambda: package(signer="health")),
    ("P10", lambda: with_part("versions", column_subject={"high": 100})),
    ("P10", lambda: with_part("tokens-00", column_version={"low": -1})),
    ("P10", lambda: package(stated=stated(run_id="run-9434765919"))),
    ("P10", lambda: package(stated=stated(run_id="100012345678"))),
    ("P11", lambda: with_part("leads", column_sealed={"high": 12 + 16 + 320})),
    ("P11", lambda: with_part("leads", hits=(Hit(kind=Kind.FREE_TEXT, place="column sealed", cells=2),))),
    ("P12", _excluding),
    ("P12", lambda: replace(_excluding(), stated=stated(facts_exclusions={"protected_address": "some"}))),
    ("P13", lambda: _quality(ok=40, missing=30, placeholder=25, invalid=0)),
    ("P13", lambda: _quality(ok=94, missing=0, placeholder=0, invalid=6)),
    ("P14", lambda: with_part("tokens-00", heaviest=10 * AGREEMENT.crowded_cell + 1)),
    ("P15", lambda: package(last_rows=60)),
    ("P15", lambda: package(last_rows=150)),
]
PASSING: list[Case] = [
    *((rule_id, package) for rule_id in BY_ID),
    ("P01", lambda: package(parts=None)),
    ("P02", lambda: with_part("tokens-01", rows=10_000, column_block={"small": 8, "different": 8})),
    ("P02", lambda: with_part("tokens-01", rows=10_000, column_block={"small": 20, "different": 1})),
    ("P06", lambda: package(stated=stated(facts_linkage_secret=None))),
    ("P08", lambda: _older(24, date(2024, 7, 2))),
    ("P08", lambda: _everyone(3)),
    ("P08", lambda: package(stated=stated(created_at=datetime(2026, 6, 29, tzinfo=UTC)))),
    ("P10", lambda: package(stated=stated(run_id="2026-06-30T1200"))),
    ("P12", lambda: replace(_excluding(), stated=stated(facts_exclusions={"protected_address": 0}))),
    ("P13", lambda: _quality(ok=51, missing=44, placeholder=0, invalid=5)),
    ("P13", lambda: replace(_quality(ok=90, missing=0, placeholder=0, invalid=10), limits={"invalid": 0.1})),
    ("P14", lambda: with_part("tokens-00", heaviest=10 * AGREEMENT.crowded_cell)),
    ("P15", lambda: package(last_rows=80)),
    ("P15", lambda: package(last_rows=None)),
]


def _ids(cases: list[Case], outcome: str) -> list[str]:
    return [f"rules-{rule_id}-{outcome}" for rule_id, _ in cases]


@pytest.mark.parametrize(("rule_id", "make"), FAILING, ids=_ids(FAILING, "fails"))
def test_fails(rule_id: str, make: Callable[[], PackageSubject]) -> None:
    """A spoilt package is found by its rule, in a sentence with an owner, at both moments."""
    rule = BY_ID[rule_id]
    found = list(rule.ask(make()))
    assert found
    assert rule.moments == {Moment.RELEASE, Moment.INTAKE}
    assert all(finding.rule == rule_id and finding.why and finding.owner for finding in found)
    assert all(finding.sentence.endswith(".") and finding.fix for finding in found)


@pytest.mark.parametrize(("rule_id", "make"), PASSING, ids=_ids(PASSING, "passes"))
def test_passes(rule_id: str, make: Callable[[], PackageSubject]) -> None:
    """An honest package, and one just inside a limit, are not found by the rule."""
    assert list(BY_ID[rule_id].ask(make())) == []


def test_only_the_spoilt_thing_is_found() -> None:
    """A package that is wrong in one way meets no other rule, so that a report names causes and not echoes."""
    for rule_id, make in FAILING:
        subject = make()
        others = [rule.id for rule in RULES if rule.id != rule_id and list(rule.ask(subject))]
        assert others == [], rule_id


def test_every_rule_has_a_pass_and_a_fail() -> None:
    """P01 to P15 are there, each with fixtures for both outcomes."""
    wanted = [f"P{number:02d}" for number in range(1, 16)]
    assert [rule.id for rule in RULES] == wanted
    assert sorted({rule_id for rule_id, _ in FAILING}) == wanted


def test_weights() -> None:
    """P13 to P15 are amber, the others block; a secret near its end is amber too."""
    amber = {rule.id for rule in RULES if rule.severity is Severity.AMBER}
    assert amber == {"P13", "P14", "P15"}
    (expiring,) = BY_ID["P06"].ask(_secret("2025-08-01", "2026-07-15"))
    assert expiring.severity is Severity.AMBER
    assert expiring.due == "2026-07-15"
    (expired,) = BY_ID["P06"].ask(_secret("2025-01-01", "2026-06-29"))
    assert expired.severity is Severity.BLOCK


def test_unknown_names_are_not_shown() -> None:
    """The name of a part that nobody agreed is not repeated: it may be somebody's name."""
    (found,) = BY_ID["P01"].ask(_with_more())
    assert "notes" not in f"{found.sentence} {found.where} {found.evidence}"
