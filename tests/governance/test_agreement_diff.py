"""What widens and what narrows an agreement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.agreement_diff import Direction, difference
from tests.governance.agreements import complete_document

Change = Callable[[dict[str, Any]], Any]
W, N, X = Direction.WIDER, Direction.NARROWER, Direction.OTHER

CASES: list[tuple[Change, Direction, str]] = [
    (lambda d: d["window"].update(months=24), W, "from 12 to 24"),
    (lambda d: d["window"].update(months=6), N, "from 12 to 6"),
    (lambda d: d["window"].update(minimum_agencies=3), N, "from 2 to 3"),
    (lambda d: d["window"].update(rolling=True), W, "rolling window is now allowed"),
    (lambda d: d["window"].update(rolling=True, contact_months=24), W, "agencies send goes from 12 to 24"),
    (lambda d: d["window"].update(everyone=True), W, "without a contact in the window are now sealed too"),
    (lambda d: d["window"].update(clock="run_day"), X, "window.clock was changed"),
    (lambda d: d["outputs"].update(households=True), W, "households is now allowed"),
    (lambda d: d["outputs"].update(min_cell=3), W, "from 5 to 3"),
    (lambda d: d["outputs"]["allowed"].remove("lead_contact"), N, "output removed: lead_contact"),
    (lambda d: d["parties"].pop(), N, "party removed"),
    (lambda d: d["parties"][0].update(agency_type="housing"), X, "agency_type was changed"),
    (lambda d: d["fields"].pop(), N, "field removed: lead_contact"),
    (lambda d: d["fields"][0].update(use="match"), W, "ref is now used to match"),
    (lambda d: d["fields"][1].update(leaves_in_clear=True), W, "forename leaving in the clear is now"),
    (lambda d: d["fields"][1].update(suppliers=["police"]), N, "only named parties supply forename"),
    (lambda d: d["purposes"][0].update(subjects=["children"]), N, "kind of people removed: adults."),
    (lambda d: d["purposes"][0]["prohibited_uses"].pop(), W, "prohibited uses removed: 1"),
    (lambda d: d["purposes"][0]["prohibited_uses"].append("x"), N, "prohibited uses added: 1"),
    (lambda d: d["purposes"].append({**d["purposes"][0], "id": "research"}), W, "purpose added: research"),
    (lambda d: d["matching"].update(threshold=0.9), N, "from 0.5 to 0.9"),
    (lambda d: d["sealing"]["passes"].append("dob+forename.initial+surname.initial+sex"), W, "pass added"),
    (lambda d: d["sealing"]["passes"].reverse(), X, "another order"),
    (lambda d: d["sealing"]["budget"].update(d=0.1), N, "d goes from 0.2 to 0.1"),
    (lambda d: d["retention"][0].update(days=31), W, "package is kept, in days, goes from 30 to 31"),
    (lambda d: d["retention"][0].update(method="destroy_key"), X, "retention.package.method was changed"),
    (
        lambda d: d["exclusions"][0].update(how="Otherwise."),
        X,
        "exclusions.protected_address.how was changed",
    ),
    (lambda d: d["parties"].reverse(), X, "another order"),
    (lambda d: d["in_force"].update(to="2028-01-01"), W, "in force to goes from"),
    (lambda d: d["exclusions"].pop(), W, "exclusion removed: protected_person"),
    (
        lambda d: d.update(exceptions=[{"role": "siro", "party": "police", "rules": ["P13"]}]),
        W,
        "right to sign exceptions added: siro at police for P13",
    ),
    (lambda d: d["transfers"].update(outside_uk=True), W, "outside the United Kingdom is now allowed"),
    (lambda d: d.update(title="Another"), X, "title was changed"),
    (lambda d: d.update({"x-local": 1}), X, "x-local was added"),
]


@pytest.mark.parametrize(("change", "direction", "words"), CASES, ids=[case[2] for case in CASES])
def test_change_is_found_with_its_direction(change: Change, direction: Direction, words: str) -> None:
    """Each change is told in the direction it goes, and the way back goes the other way."""
    before, after = complete_document(), complete_document()
    change(after)
    found = difference(before, after)
    assert found.signing_needed
    assert [c.direction for c in found.changes if words in c.sentence] == [direction], found.changes
    opposite = {W: N, N: W, X: X}[direction]
    assert {c.direction for c in difference(after, before).changes} >= {opposite}


def test_nothing_changed() -> None:
    """Equal content needs no new signatures, whatever the order of the keys."""
    document = complete_document()
    turned = {key: document[key] for key in reversed(document)}
    found = difference(document, turned)
    assert found.changes == ()
    assert not found.signing_needed


@given(st.lists(st.sampled_from(range(len(CASES))), unique=True, max_size=4))
def test_no_change_of_content_goes_unmentioned(numbers: list[int]) -> None:
    """Whenever the digest differs, at least one change is named; whenever it does not, none is."""
    before, after = complete_document(), complete_document()
    for number in numbers:
        CASES[number][0](after)
    found = difference(before, after)
    assert found.signing_needed == bool(found.changes)
