"""`tallystick agreement plan-passes` on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from governance.agreement import load_agreement
from schemas.scheme import parse_pass
from synthetic.generate import synthesise
from tests.conftest import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Extracts of five agencies about a few hundred people."""
    made = tmp_path_factory.mktemp("plan") / "extracts"
    synthesise(made, people=400, seed=3, profile="typical")
    return made


@pytest.fixture
def agreement(tmp_path: Path) -> Path:
    """A drafted agreement with a comment in it."""
    path = tmp_path / "agreement.yaml"
    made = run("agreement", "new", "--party", "police", "--party", "health", "--no-ask", "--out", path)
    assert made.exit_code == 0, made.output
    path.write_text("# ours: keep me\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def test_plan_is_written_and_comments_stay(folder: Path, agreement: Path) -> None:
    """The passes that are printed are those of the file afterwards; they fit the budget, and nothing else changed."""
    before = load_agreement(agreement)
    result = run("agreement", "plan-passes", agreement, "--extracts", folder, "--write", "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    after = load_agreement(agreement)
    names = [entry["name"] for entry in figures["passes"]]
    assert [each.name for each in after.passes] == names
    assert figures["d"] == pytest.approx(2 * sum(entry["lambda"] for entry in figures["passes"]))
    assert figures["d"] <= before.budget.d
    assert max(entry["lambda"] for entry in figures["passes"]) <= before.budget.lambda_
    assert agreement.read_text(encoding="utf-8").startswith("# ours: keep me\n")
    strip = {"sealing": None}
    assert {**before.document, **strip} == {**after.document, **strip}


def test_a_larger_run_needs_stronger_passes(folder: Path, agreement: Path) -> None:
    """λ is reckoned for the population that is stated; without --write the agreement stays as it is."""
    text = agreement.read_bytes()
    small, large = (
        json.loads(
            run(
                "agreement", "plan-passes", agreement, "--extracts", folder, "--population", n, "--json"
            ).stdout
        )
        for n in (500, 400_000)
    )
    assert agreement.read_bytes() == text
    assert large["population"] == 400_000
    assert large["passes"][-1]["recall"] <= small["passes"][-1]["recall"]
    parts = [
        sum(len(parse_pass(p["name"]).parts) for p in plan["passes"]) / len(plan["passes"])
        for plan in (small, large)
    ]
    assert parts[1] > parts[0]


def test_words_for_people(folder: Path, agreement: Path) -> None:
    """The table explains its figures and says that nothing was written."""
    result = run("agreement", "plan-passes", agreement, "--extracts", folder)
    assert result.exit_code == 0
    assert "recall so far" in result.stdout
    assert "Nothing was written" in result.stdout
