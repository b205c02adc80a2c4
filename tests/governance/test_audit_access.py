"""Accesses are recorded before they happen, and how they end; without a log nothing is said unless it is demanded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from governance.audit.access import audited, note
from governance.audit.entry import Event
from governance.audit.log import AuditLog
from governance.audit.verify import verify_log
from governance.draft import DEFAULT_PASSES, agreement_yaml, draft_agreement
from schemas.errors import ExtractError
from schemas.identity import PrivateIdentity, save_identity
from schemas.terminal import FILE, Commands
from tests.conftest import run

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CANARY = "Quillcanary"


@click.group(cls=Commands)
def group() -> None:
    """Stand in for the command line."""


@group.command()
@click.option("agreement_file", "--agreement", type=FILE)
@click.option("key_file", "--key", type=FILE)
@click.option("--run", "run_id")
@click.option("--source", type=FILE)
@click.option("--out", type=FILE)
@click.option("--end", default="well")
@audited("open", reads={"source": "return"}, makes={"out": "result"})
def work(out: Path | None, end: str, **_others: object) -> None:
    """Do something that is recorded."""
    if out is not None:
        out.write_text(f"forename\n{CANARY}\n")
    note(counts={"people": 7})
    if end == "badly":
        raise ExtractError(f"row 3 holds {CANARY}")
    if end == "unforeseen":
        raise RuntimeError(CANARY)
    if end == "interrupted":
        raise KeyboardInterrupt
    if end == "blocked":
        raise click.exceptions.Exit(1)


def do(*words: object, env: dict[str, str] | None = None) -> Result:
    """Run the recorded command."""
    return CliRunner().invoke(
        group, ["work", *map(str, words)], env={"TALLYSTICK_USER": "a.analyst", **(env or {})}
    )


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    """An empty log."""
    return AuditLog.create(tmp_path / "police.audit", organisation="police", user="a.analyst", now=NOW)


@pytest.fixture
def agreement(tmp_path: Path) -> Path:
    """An agreement with one purpose."""
    document = draft_agreement(
        parties={"police": "police", "health": "health"}, passes=DEFAULT_PASSES, today=NOW.date()
    )
    path = tmp_path / "agreement.yaml"
    path.write_text(agreement_yaml(document), encoding="utf-8")
    return path


def events(log: AuditLog) -> list[Event]:
    """Return the events after the beginning."""
    return [entry.event for entry in log.entries()][1:]


def test_an_access_is_written_before_and_after(log: AuditLog, agreement: Path, tmp_path: Path) -> None:
    """Who, for whom, for what, why, under which agreement, with which files: before; counts and results: after."""
    key = tmp_path / "health.key"
    save_identity(PrivateIdentity.generate("health"), key, b"x", profile="tests-only")
    (tmp_path / "in.tally").write_bytes(b"sealed")
    words = ("--agreement", agreement, "--key", key, "--run", "2026-11", "--source", tmp_path / "in.tally")
    result = do(*words, "--out", tmp_path / "out.csv", "--audit", log.path, "--reason", " Monthly refresh ")
    assert result.exit_code == 0, result.output
    begun, done = events(log)
    for event in (begun, done):
        assert (event.action, event.user, event.organisation) == ("open", "a.analyst", "health")
        assert (event.purpose, event.reason, event.run) == ("safeguarding", "Monthly refresh", "2026-11")
        assert event.agreement is not None
    assert (begun.outcome, begun.of, dict(begun.counts)) == ("begun", None, {})
    assert (done.outcome, done.of, dict(done.counts)) == ("done", 1, {"people": 7})
    assert [made.kind for made in begun.artefacts] == ["return"]
    assert [(made.kind, made.digest[:7]) for made in done.artefacts] == [("result", "salted:")]
    assert CANARY not in log.path.read_text()


@pytest.mark.parametrize(
    ("end", "outcome", "detail"),
    [
        ("badly", "failed", "ExtractError"),
        ("unforeseen", "failed", "RuntimeError"),
        ("interrupted", "stopped", None),
        ("blocked", "failed", "exit code 1"),
    ],
)
def test_failures_are_recorded_without_their_words(
    log: AuditLog, end: str, outcome: str, detail: str | None
) -> None:
    """A command that fails is recorded as failed, by the class of its error and never its message."""
    result = do("--end", end, "--audit", log.path, "--purpose", "safeguarding", "--reason", "Refresh")
    assert result.exit_code != 0
    assert (events(log)[1].outcome, events(log)[1].detail) == (outcome, detail)
    assert CANARY not in log.path.read_text()


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ([], "reason"),
        (["--reason", "  "], "reason"),
        (["--reason", "Refresh"], "purpose"),
        (["--reason", "For 943 476 5919", "--purpose", "safeguarding"], "a long number"),
    ],
)
def test_an_incomplete_access_does_not_happen(
    log: AuditLog, tmp_path: Path, words: list[str], missing: str
) -> None:
    """Without a reason or purpose, or with an identifier in it, nothing is done and nothing is written."""
    before = log.path.read_bytes()
    result = do("--out", tmp_path / "out.csv", "--audit", log.path, *words)
    assert result.exit_code == 2
    assert missing in result.stderr
    assert not (tmp_path / "out.csv").exists()
    assert log.path.read_bytes() == before


def test_a_purpose_is_one_of_the_agreement(log: AuditLog, agreement: Path) -> None:
    """A purpose that the agreement does not have is refused, and its purposes are named."""
    result = do(
        "--agreement", agreement, "--audit", log.path, "--reason", "Refresh", "--purpose", "marketing"
    )
    assert result.exit_code == 2
    assert "one of safeguarding" in result.stderr


def test_a_damaged_log_stops_the_access(log: AuditLog, tmp_path: Path) -> None:
    """When nothing can be recorded, nothing is done."""
    log.append(Event(action="open", user="x", organisation="police", purpose="p", reason="r"), now=NOW)
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(lines[0])
    result = do(
        "--out", tmp_path / "out.csv", "--audit", log.path, "--reason", "Refresh", "--purpose", "safeguarding"
    )
    assert result.exit_code == 1
    assert "some of them are gone" in result.stderr
    assert not (tmp_path / "out.csv").exists()
    assert do("--audit", tmp_path / "none", "--reason", "r", "--purpose", "p").exit_code == 1


def test_the_environment_says_it_too(log: AuditLog) -> None:
    """A scheduled job sets log, purpose and reason once."""
    env = {
        "TALLYSTICK_AUDIT": str(log.path),
        "TALLYSTICK_PURPOSE": "safeguarding",
        "TALLYSTICK_REASON": "Nightly refresh",
    }
    assert do(env=env).exit_code == 0
    assert [event.reason for event in events(log)] == ["Nightly refresh"] * 2


def test_without_a_log_nothing_is_said(agreement: Path, tmp_path: Path) -> None:
    """No log, no options, no questions: the command runs as before."""
    result = do("--agreement", agreement, "--out", tmp_path / "out.csv")
    assert (result.exit_code, result.output) == (0, "")


def test_an_agreement_can_demand_a_log(log: AuditLog, agreement: Path, tmp_path: Path) -> None:
    """Under an agreement that demands a log nothing is done without one."""
    agreement.write_text(agreement.read_text() + "x-audit-required: true\n", encoding="utf-8")
    result = do("--agreement", agreement, "--out", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "tallystick audit new" in result.stderr
    assert not (tmp_path / "out.csv").exists()
    assert do("--agreement", agreement, "--audit", log.path, "--reason", "Refresh").exit_code == 0


def test_the_commands_of_the_audit_log(tmp_path: Path) -> None:
    """new, checkpoint, verify, prove and show, one after the other, as an organisation and its partners use them."""
    env = {"TALLYSTICK_PASSPHRASE": "x"}
    key, log = tmp_path / "police.key", tmp_path / "police.audit"
    save_identity(PrivateIdentity.generate("police"), key, b"x", profile="tests-only")
    assert run("audit", "new", log, "--organisation", "police").exit_code == 0
    points = []
    for name in ("one", "two"):
        points.append(tmp_path / name)
        previous = [word for path in points[:-1] for word in ("--previous", path)]
        assert (
            run("audit", "checkpoint", log, "--key", key, *previous, "--out", points[-1], env=env).exit_code
            == 0
        )
    held = [word for path in points for word in ("--checkpoint", path)]
    said = json.loads(run("audit", "verify", log, *held, "--keys", key, "--json").stdout)
    assert (said["valid"], said["entries"], said["checkpoints"]) == (True, 3, 2)
    entry, grew = tmp_path / "entry.proof", tmp_path / "grew.proof"
    to = ("--to", points[1], "--keys", key)
    assert run("audit", "prove", log, "--entry", "1", *to, "--out", entry).exit_code == 0
    assert run("audit", "prove", log, "--from", points[0], *to, "--out", grew).exit_code == 0
    kept = log.read_bytes()
    log.unlink()  # a partner has the proofs and the checkpoints only
    one = ("audit", "verify", "--proof", entry, "--checkpoint", points[1], "--keys", key, "--json")
    assert json.loads(run(*one).stdout)["entry"]["action"] == "sign"
    assert json.loads(run("audit", "verify", "--proof", grew, *held, "--keys", key, "--json").stdout)["valid"]
    swapped = ("audit", "verify", "--proof", entry, "--checkpoint", points[0], "--keys", key)
    assert run(*swapped).exit_code == 1
    assert run("audit", "verify", "--proof", grew, "--checkpoint", points[1], "--keys", key).exit_code == 2
    log.write_bytes(kept.replace(b"Checkpoint of this log.", b"Checkpoint of that log."))
    tampered = run("audit", "verify", log, *held, "--keys", key)
    assert tampered.exit_code == 1
    assert "is NOT what it was" in tampered.stdout
    assert run("audit", "checkpoint", log, "--key", key, "--out", tmp_path / "three", env=env).exit_code == 1
    assert not (tmp_path / "three").exists()
    shown = [
        json.loads(line)
        for line in run("audit", "show", log, "--action", "sign", "--json").stdout.splitlines()
    ]
    assert [entry["n"] for entry in shown] == [1, 2]


def test_filters_of_show(log: AuditLog) -> None:
    """Entries are found by user, outcome, run and day, both days included."""
    for day, user in ((1, "a"), (2, "b"), (3, "b")):
        event = Event(
            action="open", user=user, organisation="police", purpose="p", reason="r", run=f"run{day}"
        )
        log.append(event, now=datetime(2026, 12, day, tzinfo=UTC))

    def found(*words: str) -> list[int]:
        return [
            json.loads(line)["n"]
            for line in run("audit", "show", log.path, *words, "--json").stdout.splitlines()
        ]

    assert found("--user", "b") == [2, 3]
    assert found("--run", "run1") == [1]
    assert found("--since", "2026-12-02", "--until", "2026-12-02") == [2]
    assert found("--outcome", "failed") == []
    assert verify_log(log).problems == ()
