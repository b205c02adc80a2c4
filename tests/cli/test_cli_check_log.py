"""`tallystick check` of an audit log, good and spoilt in each way, on the terminal, as JSON, SARIF and HTML."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.identity import PrivateIdentity, save_identity
from tests.conftest import run

DAY = ("--on", "2026-11-22")


@dataclass(frozen=True, kw_only=True, slots=True)
class Logs:
    """A log with five entries, its checkpoint at five, and the key of its organisation."""

    folder: Path
    log: Path
    key: Path
    checkpoint: Path

    def lines(self) -> list[str]:
        """Return the entries as they stand in the file."""
        return self.log.read_text(encoding="utf-8").splitlines(keepends=True)

    def check(self, log: Path, *words: str | Path) -> Any:
        """Check a log, with the checkpoint that another party kept."""
        named = ("--checkpoint", self.checkpoint, *DAY)
        return run("check", log, *named, *words)


def record(log: Path, table: Path, reason: str) -> None:
    """Write two entries into a log by checking a harmless table under it."""
    env = {"TALLYSTICK_USER": "a.analyst", "TALLYSTICK_PURPOSE": "safeguarding"}
    done = run("check", table, "--audit", log, "--reason", reason, env=env)
    assert done.exit_code == 0, done.output


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    """A log of the police, with two uses of a command."""
    log, table = tmp_path / "police.audit", tmp_path / "counts.csv"
    table.write_text("ward,value\nNorth,12\n", encoding="utf-8")
    identity = PrivateIdentity.generate("police")
    save_identity(identity, tmp_path / "police.key", None, unprotected=True)
    (tmp_path / "check.yaml").write_text("check_version: 1\nparties: [police.key]\n", encoding="utf-8")
    assert run("audit", "new", log, "--organisation", "police").exit_code == 0
    for reason in ("Monthly refresh", "Strategy meeting"):
        record(log, table, reason)
    made = Logs(folder=tmp_path, log=log, key=tmp_path / "police.key", checkpoint=tmp_path / "nov.checkpoint")
    sign(made, log, made.checkpoint)
    return made


def sign(logs: Logs, log: Path, out: Path) -> None:
    """Sign a checkpoint of `log` as the police."""
    done = run(
        "audit", "checkpoint", log, "--key", logs.key, "--out", out, env={"TALLYSTICK_PASSPHRASE": "x"}
    )
    assert done.exit_code == 0, done.output


def write(logs: Logs, lines: list[str]) -> Path:
    """Put other lines into the log, as somebody would who can write all of its files."""
    logs.log.write_text("".join(lines), encoding="utf-8")
    logs.log.with_name("police.audit.state").unlink(missing_ok=True)
    return logs.log


def edited(logs: Logs) -> Path:
    """A word of the third entry is another one."""
    lines = logs.lines()
    lines[2] = lines[2].replace("Monthly refresh", "Quarterly check")
    return write(logs, lines)


def truncated(logs: Logs) -> Path:
    """The last two entries are gone."""
    return write(logs, logs.lines()[:-2])


def reordered(logs: Logs) -> Path:
    """Two entries changed places."""
    lines = logs.lines()
    lines[2], lines[3] = lines[3], lines[2]
    return write(logs, lines)


def forked(logs: Logs) -> Path:
    """There are two logs that were one until the third entry, and each went on."""
    copy = logs.folder / "copy"
    copy.mkdir()
    for path in logs.folder.glob("police.audit*"):
        shutil.copy(path, copy)
    other = copy / "police.audit"
    other.write_text("".join(logs.lines()[:3]), encoding="utf-8")
    (copy / "police.audit.state").unlink()
    record(other, logs.folder / "counts.csv", "Another story")
    shutil.copy(logs.folder / "check.yaml", copy)
    shutil.copy(logs.key, copy)
    sign(logs, other, copy / "their.checkpoint")
    return other


SPOILT: dict[str, tuple[Callable[[Logs], Path], str]] = {
    "edited": (edited, "some were edited, moved or replaced"),
    "truncated": (truncated, "Entries were cut off"),
    "reordered": (reordered, "The entry has another number than its place"),
    "forked": (forked, "another branch of the log"),
}


def test_a_good_log(logs: Logs) -> None:
    """A log that is what its checkpoint says passes, in each form."""
    page, sarif = logs.folder / "r.html", logs.folder / "r.sarif"
    said = logs.check(logs.log, "--html", page, "--sarif", sarif)
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith("✔ Nothing found that stops it\n")
    assert "organisation: police" in said.stdout
    report = json.loads(logs.check(logs.log, "--json").stdout)["reports"][0]
    assert (report["kind"], report["blocked"], report["findings"]) == ("audit log", False, [])
    assert json.loads(sarif.read_text())["runs"][0]["results"] == []
    assert "Nothing found that stops it" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_log(how: str, logs: Logs) -> None:
    """Each way of spoiling a log is found by rule R01 and told in words, in each form, with what to do."""
    spoil, sentence = SPOILT[how]
    log = spoil(logs)
    page, sarif = logs.folder / "r.html", logs.folder / "r.sarif"
    said = logs.check(log, "--html", page, "--sarif", sarif)
    assert said.exit_code == 1, said.output
    assert said.stdout.startswith("✖ Do not run: ")
    assert "✖ R01 Blocked: " in said.stdout
    assert sentence in said.stdout
    report = json.loads(logs.check(log, "--json").stdout)["reports"][0]
    blocks = [found for found in report["findings"] if found["severity"] == "block"]
    assert {found["rule"] for found in blocks} == {"R01"}
    assert all(found["fix"] and found["owner"] and found["why"] for found in blocks)
    results = json.loads(sarif.read_text())["runs"][0]["results"]
    assert [result["level"] for result in results].count("error") == len(blocks)
    assert sentence in page.read_text(encoding="utf-8")


def test_a_moved_entry_is_named_by_its_line(logs: Logs) -> None:
    """Whoever reads SARIF in an editor is taken to the line."""
    sarif = logs.folder / "r.sarif"
    logs.check(reordered(logs), "--sarif", sarif)
    places = [
        result["locations"][0]["physicalLocation"].get("region", {}).get("startLine")
        for result in json.loads(sarif.read_text())["runs"][0]["results"]
    ]
    assert {3, 4} <= set(places)


def test_two_checkpoints_that_cannot_both_be_true(logs: Logs) -> None:
    """When the other parties hold checkpoints of both branches, the fork is proved by their maker's signatures."""
    other = forked(logs)
    said = run(
        "check",
        logs.log,
        *DAY,
        "--checkpoint",
        logs.checkpoint,
        "--checkpoint",
        other.parent / "their.checkpoint",
    )
    assert said.exit_code == 1
    assert "police has signed two versions of its log" in said.stdout


def test_without_a_checkpoint_it_says_what_it_cannot_know(logs: Logs) -> None:
    """A log that was rewritten whole looks good by itself: the report says that a checkpoint is needed."""
    lines = [line.replace("Monthly refresh", "Quarterly check") for line in logs.lines()]
    said = run("check", write(logs, lines), *DAY)
    assert said.exit_code == 0
    assert "a log that was rewritten whole would pass" in " ".join(said.stdout.split())
    assert logs.check(logs.log).exit_code == 1


def test_a_log_under_any_name(logs: Logs) -> None:
    """A log is known by its first line, whatever the file is called."""
    renamed = logs.log.rename(logs.folder / "entries.txt")
    assert json.loads(run("check", renamed, *DAY, "--json").stdout)["reports"][0]["kind"] == "audit log"
