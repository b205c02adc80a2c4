"""O01 to O06: each rule passes an honest return and finds what is wrong with a spoilt one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_builders import TODAY, agreement_of, output

from governance.rules.base import Severity
from governance.rules.output import RULES, Artefact, CountTable, OutputSubject, Request, recoverable

BY_ID = {rule.id: rule for rule in RULES}
Case = tuple[str, Callable[[], OutputSubject]]


def _table(*cells: int | None, total: int | None = None) -> OutputSubject:
    return output(tables=(CountTable(name="people", cells=(cells,), row_totals=(total,)),))


def _fewer() -> OutputSubject:
    allowed = {"allowed": ["agencies", "contact_count", "first_date", "last_date"]}
    return output(agreement=agreement_of(outputs=allowed))


FAILING: list[Case] = [
    ("O01", lambda: output(columns={"subject": 5, "dob": 5})),
    ("O01", _fewer),
    ("O02", lambda: _table(12, 4, total=16)),
    ("O02", lambda: _table(12, None, total=16)),
    ("O02", lambda: _table(12, 8, total=3)),
    ("O03", lambda: output(people=4)),
    ("O04", lambda: output(first=date(2025, 6, 30))),
    ("O04", lambda: output(last=date(2026, 7, 1))),
    ("O04", lambda: output(as_of=date(2026, 7, 30), last=None, first=None)),
    ("O05", lambda: output(artefacts=(Artefact(kind="return", where="x", made=date(2026, 5, 1)),))),
    ("O06", lambda: output(requests=(Request(kind="erasure", reference="case 1", due=date(2026, 6, 29)),))),
    (
        "O06",
        lambda: output(
            requests=(
                Request(kind="objection", reference="case 2", due=date(2026, 5, 1), applied=date(2026, 5, 2)),
            )
        ),
    ),
]
PASSING: list[Case] = [
    *((rule_id, output) for rule_id in BY_ID),
    ("O01", lambda: output(columns={"subject": 5, "dob": 0})),
    ("O02", lambda: _table(12, 0, total=12)),
    ("O02", lambda: _table(None, None, total=16)),
    ("O02", lambda: _table(12, None)),
    ("O03", lambda: output(people=5)),
    ("O03", lambda: output(people=0)),
    ("O04", lambda: output(as_of=None)),
    ("O05", lambda: output(artefacts=(Artefact(kind="return", where="x", made=date(2026, 5, 31)),))),
    (
        "O06",
        lambda: output(
            requests=(
                Request(kind="erasure", reference="case 3", due=date(2026, 5, 1), applied=date(2026, 5, 1)),
            )
        ),
    ),
]


def _ids(cases: list[Case], outcome: str) -> list[str]:
    return [f"rules-{rule_id}-{outcome}" for rule_id, _ in cases]


@pytest.mark.parametrize(("rule_id", "make"), FAILING, ids=_ids(FAILING, "fails"))
def test_fails(rule_id: str, make: Callable[[], OutputSubject]) -> None:
    """A spoilt output is found by its rule, in a sentence with a fix and an owner."""
    found = list(BY_ID[rule_id].ask(make()))
    assert found
    assert all(finding.rule == rule_id and finding.why and finding.fix and finding.owner for finding in found)


@pytest.mark.parametrize(("rule_id", "make"), PASSING, ids=_ids(PASSING, "passes"))
def test_passes(rule_id: str, make: Callable[[], OutputSubject]) -> None:
    """An honest output, and one just inside a limit, are not found by the rule."""
    assert list(BY_ID[rule_id].ask(make())) == []


def test_every_rule_has_a_pass_and_a_fail() -> None:
    """O01 to O06 are there, each with fixtures for both outcomes; only O03 is amber."""
    wanted = [f"O{number:02d}" for number in range(1, 7)]
    assert [rule.id for rule in RULES] == wanted
    assert sorted({rule_id for rule_id, _ in FAILING}) == wanted
    assert [rule.id for rule in RULES if rule.severity is Severity.AMBER] == ["O03"]
    assert output().today == TODAY


@given(
    hidden=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8),
    rows=st.lists(st.booleans(), min_size=4, max_size=4),
    columns=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_recoverable_is_what_elimination_finds(
    hidden: set[tuple[int, int]], rows: list[bool], columns: list[bool]
) -> None:
    """What the rule calls recoverable is found by filling in lines with one gap until nothing more follows."""
    table = CountTable(
        name="grid",
        cells=[[None if (r, c) in hidden else 9 for c in range(4)] for r in range(4)],
        row_totals=[36 if shown else None for shown in rows],
        column_totals=[36 if shown else None for shown in columns],
    )
    left = set(hidden)
    for _ in range(len(hidden) + 1):
        for at in sorted(left):
            in_row = sum(r == at[0] for r, _ in left)
            in_column = sum(c == at[1] for _, c in left)
            if (in_row == 1 and rows[at[0]]) or (in_column == 1 and columns[at[1]]):
                left.discard(at)
                break
    assert recoverable(table) == len(hidden) - len(left)
