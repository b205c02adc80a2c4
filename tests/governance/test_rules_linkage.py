"""L01 to L07: each rule passes an honest run and finds what is wrong with a spoilt one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rules_builders import AGREEMENT, run, stated

from governance.rules.base import Moment, Severity
from governance.rules.linkage import RULES, LinkageSubject, settings_of
from schemas.identity import PrivateIdentity

BY_ID = {rule.id: rule for rule in RULES}
Case = tuple[str, Callable[[], LinkageSubject]]
UNIT = PrivateIdentity.generate(AGREEMENT.unit_id).public


def _sent(*, also: Any = None, **changes: Any) -> LinkageSubject:
    return run(packages=(stated(), also or stated(**{"sender": "health", **changes})))


def _sharing_key() -> LinkageSubject:
    police, health = AGREEMENT.parties
    same = PrivateIdentity.generate("police").public
    shared = replace(same, receiving_key=UNIT.receiving_key)
    return run(agreement=replace(AGREEMENT, parties=(replace(police, keys=shared), health), unit_keys=UNIT))


def _settings(**changes: Any) -> LinkageSubject:
    return run(settings={**settings_of(AGREEMENT), **changes})


FAILING: list[Case] = [
    ("L01", lambda: _sent(sender="housing")),
    ("L01", lambda: _sent(recipient="police")),
    ("L01", lambda: _sent(purpose="research")),
    ("L02", lambda: run(taken_in=frozenset({"sha256:2"}))),
    ("L02", lambda: run(package_ids=("sha256:1", "sha256:1"))),
    ("L02", lambda: _sent(also=stated())),
    ("L03", lambda: _sent(agreement_digest="sha256:" + "0" * 64)),
    ("L03", lambda: _sent(run_id="2026-05")),
    ("L03", lambda: _sent(facts_linkage_secret={"epoch": 2})),
    ("L03", lambda: _sent(facts_key_check="other")),
    ("L04", lambda: _settings(threshold=0.4)),
    ("L04", lambda: _settings(passes=["dob"])),
    ("L04", lambda: run(summary={"agreement": {"digest": "sha256:0"}})),
    ("L05", lambda: run(do_not_link=((("police", 0), ("health", 0)),))),
    ("L06", lambda: run(readable_keys=("unit/police.secret",))),
    ("L06", _sharing_key),
    ("L07", lambda: run(summary={"clusters": {"largest": 51, "cut": 0}})),
    ("L07", lambda: run(summary={"clusters": {"largest": 9, "cut": 2}})),
]
PASSING: list[Case] = [
    *((rule_id, run) for rule_id in BY_ID),
    ("L02", lambda: run(taken_in=frozenset({"sha256:9"}))),
    ("L04", lambda: run(settings=None)),
    ("L05", lambda: run(do_not_link=((("police", 7), ("health", 7)),))),
    ("L05", lambda: run(person=None)),
    ("L06", lambda: run(agreement=replace(AGREEMENT, unit_keys=UNIT))),
    ("L07", lambda: run(summary={"clusters": {"largest": 50, "cut": 0}})),
]


def _ids(cases: list[Case], outcome: str) -> list[str]:
    return [f"rules-{rule_id}-{outcome}" for rule_id, _ in cases]


@pytest.mark.parametrize(("rule_id", "make"), FAILING, ids=_ids(FAILING, "fails"))
def test_fails(rule_id: str, make: Callable[[], LinkageSubject]) -> None:
    """A spoilt run is found by its rule, in a sentence with a fix."""
    found = list(BY_ID[rule_id].ask(make()))
    assert found
    assert all(finding.rule == rule_id and finding.why and finding.fix and finding.owner for finding in found)


@pytest.mark.parametrize(("rule_id", "make"), PASSING, ids=_ids(PASSING, "passes"))
def test_passes(rule_id: str, make: Callable[[], LinkageSubject]) -> None:
    """An honest run is not found by the rule."""
    assert list(BY_ID[rule_id].ask(make())) == []


def test_every_rule_has_a_pass_and_a_fail() -> None:
    """L01 to L07 are there, each with fixtures for both outcomes; only the last is amber."""
    wanted = [f"L{number:02d}" for number in range(1, 8)]
    assert [rule.id for rule in RULES] == wanted
    assert sorted({rule_id for rule_id, _ in FAILING}) == wanted
    assert [rule.id for rule in RULES if rule.severity is Severity.AMBER] == ["L07"]


def test_moments() -> None:
    """What needs a result is asked after linking only, and everything is asked after linking."""
    assert all(Moment.AFTER_LINK in rule.moments for rule in RULES)
    assert {rule.id for rule in RULES if Moment.BEFORE_LINK not in rule.moments} == {"L05", "L07"}
