"""`tallystick --version` says which version it is, and whether the compiled kernels are in use."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import cli
from hashing.native import library


@pytest.mark.parametrize(
    ("held", "switch", "told"),
    [
        (object(), "", "compiled kernels: in use\n"),
        (None, "OFF", "compiled kernels: switched off by TALLYSTICK_KERNELS\n"),
        (
            None,
            "",
            "compiled kernels: none for this machine; NumPy does their work, several times as slowly\n",
        ),
    ],
)
def test_version_tells_of_kernels(
    held: object, switch: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is slow for want of kernels says so."""
    monkeypatch.setattr(library, "kernels", lambda: held)
    monkeypatch.setenv("TALLYSTICK_KERNELS", switch)
    done = CliRunner().invoke(cli.main, ["--version"])
    assert done.exit_code == 0
    first, second = done.output.splitlines(keepends=True)
    assert first.startswith("tallystick, version 0.")
    assert second == told


def test_version_without_the_agency_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the agency's side is not installed there are no kernels to tell of."""
    monkeypatch.setattr(cli, "_load", lambda _place: None)
    assert CliRunner().invoke(cli.main, ["--version"]).output.count("\n") == 1
