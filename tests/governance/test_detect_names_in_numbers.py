"""Random numbers in metadata spell short names by chance; that is no identifier."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from governance.detect.names import holds_name
from governance.rules.package_subject import Stated, metadata_hits

TODAY = date(2026, 11, 22)


def _stated(**facts: str | None) -> Stated:
    return Stated(
        kind="sealed",
        agreement_digest="sha256:" + "0" * 64,
        run_id="2026-11",
        sender="police",
        recipient="linkage-unit",
        purpose="safeguarding",
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        counts={},
        facts=facts,
    )


@pytest.mark.parametrize("fact", ["key_check", "seal_id"])
def test_a_key_check_that_spells_names_is_let_through(fact: str) -> None:
    """One in some hundred key checks has a forename beside a surname in its letters; no package may fail by that."""
    spelt = "ada4dee0" * 4
    assert metadata_hits(_stated(**{fact: spelt}), "police.tally", today=TODAY) == ()


def test_a_name_in_place_of_a_number_is_found() -> None:
    """A fact that has not its fixed form is read like any other text."""
    assert metadata_hits(_stated(key_check="Mary Jones"), "police.tally", today=TODAY)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("run-20261122-0ada1dee", False),
        ("mary_jones_2026", True),
        ("Mary Jones", True),
        ("mary-jones-12345678", True),
    ],
)
def test_names_beside_numbers(text: str, found: bool) -> None:
    """Hexadecimal numbers are not read for names; names beside numbers are."""
    assert holds_name(text) is found
