"""The accuracy that the first issue promises, measured through the real command, at the agreement's own threshold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.febrl import write_febrl4
from tests.conftest import run


def _figures(folder: Path) -> dict[str, Any]:
    result = run("rehearse", folder, "--json")
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def test_twenty_thousand_invented_people(tmp_path: Path) -> None:
    """On 20,000 invented residents and five agencies pair F1 is at least 0.98, within the privacy budget."""
    assert run("synth", tmp_path / "in", "--people", "20000", "--seed", "1").exit_code == 0
    figures = _figures(tmp_path / "in")
    assert figures["pairs"]["agreement"]["f1"] >= 0.98
    assert figures["pairs"]["agreement"]["threshold"] == 0.5
    assert 0 < figures["privacy"]["d"] <= 0.2


@pytest.mark.parametrize(
    ("with_number", "floor"), [(True, 0.985), (False, 0.965)], ids=["febrl4", "no-number"]
)
def test_febrl4(tmp_path: Path, with_number: bool, floor: float) -> None:
    """On FEBRL 4, Australian numbers and all, pair F1 is at least 0.985; without its number it holds up."""
    write_febrl4(tmp_path / "in", with_number=with_number)
    figures = _figures(tmp_path / "in")
    assert figures["pairs"]["agreement"]["f1"] >= floor
    assert 0 < figures["privacy"]["d"] <= 0.2
