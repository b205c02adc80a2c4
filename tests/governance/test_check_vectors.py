"""`tallystick check` on every vector of the package format says the right failure in a sentence and exits 1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas import errors
from tests.conftest import run

FOLDER = Path(__file__).parents[1] / "vectors" / "package"
VECTORS = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["file"])
def test_vector_is_told_apart(vector: dict[str, Any]) -> None:
    """The report blocks with exactly the failure that the list names, in one sentence; an honest file passes."""
    result = run("check", FOLDER / vector["file"], "--json")
    report = json.loads(result.stdout)["reports"][0]
    if vector["failure"] is None:
        assert result.exit_code == 0
        assert report["findings"] == []
        return
    assert result.exit_code == 1
    (found,) = report["findings"]
    assert found["evidence"] == f"failure class {vector['failure']}"
    assert issubclass(getattr(errors, vector["failure"]), errors.PackageError)
    assert found["sentence"].endswith(".")
    assert found["sentence"].count(". ") == 0
    assert found["fix"]
    assert report["verdict"] == "Do not run: 1 block"


def test_text_begins_with_the_verdict() -> None:
    """On a terminal the first line is the verdict, in words and with a sign."""
    result = run("check", FOLDER / "wrong-run.tally")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0] == "✖ Do not run: 1 block"
    assert "✖ L03 Blocked: This package was made for another run." in result.stdout


def test_all_at_once() -> None:
    """Several files are checked in one call, which fails when one of them does."""
    result = run("check", FOLDER / "good.tally", FOLDER / "truncated.tally", "--json")
    assert result.exit_code == 1
    assert [report["blocked"] for report in json.loads(result.stdout)["reports"]] == [False, True]


def test_says_that_expectations_lay_beside() -> None:
    """Whoever can write check.yaml decides what passes, so the report names it."""
    report = json.loads(run("check", FOLDER / "good.tally", "--json").stdout)["reports"][0]
    assert any("check.yaml is yours" in text for text in report["not_checked"])


@pytest.mark.parametrize("name", ["not-a-package", "unsupported-version", "truncated", "trailing-bytes"])
def test_without_a_key_the_outline_is_checked(name: str, tmp_path: Path) -> None:
    """A copy with nothing beside it: what is visible from outside is still found."""
    (tmp_path / "copy.tally").write_bytes((FOLDER / f"{name}.tally").read_bytes())
    assert run("check", tmp_path / "copy.tally").exit_code == 1


def test_without_a_key_it_says_what_was_not_checked(tmp_path: Path) -> None:
    """A whole package that cannot be opened passes, but its verdict claims nothing of its content."""
    (tmp_path / "copy.tally").write_bytes((FOLDER / "wrong-run.tally").read_bytes())
    result = run("check", tmp_path / "copy.tally")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].endswith("which is not its content")
    assert "Not checked:\n  - Signature, manifest and cells" in result.stdout
