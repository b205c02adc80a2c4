"""Shared fixtures: a small invented population, and its rehearsal, made once a session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import cli


def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    """Run a command of the real command line in this process."""
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments], env=env)


@pytest.fixture(scope="session")
def extracts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Extracts of 1,500 invented residents with mapping.yaml and truth.csv."""
    folder = tmp_path_factory.mktemp("population") / "extracts"
    result = run("synth", folder, "--people", "1500", "--seed", "5")
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="session")
def rehearsed(extracts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The JSON of a rehearsal of `extracts`, and its output folder."""
    out = tmp_path_factory.mktemp("rehearsed") / "out"
    result = run("rehearse", extracts, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout), out
