"""`tallystick seal` opens its keys while it loads and reads: what it says, and leaves, is as if they came first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_county import EXCLUDED, RUN, SmallCounty

from tests.conftest import run


def _seal(county: SmallCounty, out: Path, words: str, **other: Path) -> list[str]:
    """Return the arguments of a seal of the police; `other` replaces a file by its option."""
    files = {
        "agreement": county.path("agreement.yaml"),
        "key": county.path("police.key"),
        "secret": county.path("police.secret"),
        "mapping": county.path("extracts") / "mapping.yaml",
        **other,
    }
    extract = files.pop("extract", county.path("extracts") / "police.csv")
    made = ("--out", out, "--crosswalk", out.with_suffix(".crosswalk"), "--run", RUN, *words.split())
    named = [
        word for name, path in files.items() if path.exists() or name in other for word in (f"--{name}", path)
    ]
    return [str(word) for word in ("seal", extract, *named, *made, *EXCLUDED)]


def _refused(arguments: list[str], words: str = "for tests") -> tuple[int, str]:
    done = run(*arguments, env={"TALLYSTICK_PASSPHRASE": words})
    assert done.stdout == ""
    return done.exit_code, done.stderr


@pytest.mark.parametrize(
    ("also", "sentence"),
    [
        ("agreement", "the agreement has"),
        ("extract", "cannot be read"),
        ("out", "this file already exists"),
    ],
)
def test_a_wrong_passphrase_is_told_before_all_else(
    small_county: SmallCounty, tmp_path: Path, also: str, sentence: str
) -> None:
    """With another fault beside it, and nothing is written; when the passphrase is right the other is told."""
    wrong = tmp_path / "wrong.csv"
    if also == "agreement":
        wrong.write_text("no: agreement\n", encoding="utf-8")
    out = small_county.path("police.tally") if also == "out" else tmp_path / "out.tally"
    other = {} if also == "out" else {also: wrong}
    log = ("--audit", small_county.path("police.audit"), "--reason", "Refresh", "--purpose", "safeguarding")
    arguments = [*_seal(small_county, out, "", **other), *map(str, log)]
    alone = _refused([*_seal(small_county, tmp_path / "out.tally", ""), *map(str, log)], "wrong")
    assert "the passphrase does not open this key file" in alone[1]
    assert _refused(arguments, "wrong") == alone
    code, told = _refused(arguments)
    assert code
    assert sentence in told
    assert "does not open" not in told
    assert not list(tmp_path.glob("out.*"))


_STOPPED = """
import os, signal, sys
import hashing.unlocking as unlocking

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
opened = unlocking.load_identity

def opening(*words):
    os.kill(os.getpid(), signal.SIGINT)
    return opened(*words)

unlocking.load_identity = opening
import cli
cli.main(sys.argv[1:])
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no signal to one process")
def test_ctrl_c_while_the_keys_are_opened(small_county: SmallCounty, tmp_path: Path) -> None:
    """It is told in a sentence, the command ends with 130 and leaves nothing, neither files nor a process."""
    log = ("--audit", small_county.path("police.audit"), "--reason", "Refresh")
    done = subprocess.run(
        [sys.executable, "-c", _STOPPED, *_seal(small_county, tmp_path / "out.tally", ""), *map(str, log)],
        env={**os.environ, "TALLYSTICK_PASSPHRASE": "for tests"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 130, done.stderr
    assert done.stderr == "Stopped. Nothing was left half-written.\n"
    assert not list(tmp_path.iterdir())
