"""R01 to R05, each with logs that pass and logs that fail. `pytest -k rules` lists them by id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from governance.audit.checkpoint import Checkpoint, write_checkpoint
from governance.audit.entry import Entry, Event
from governance.audit.log import AuditLog
from governance.audit.verify import Problem
from governance.rules.base import Severity
from governance.rules.log import RULES, LogSubject, log_findings
from schemas.identity import PrivateIdentity

TODAY = date(2026, 11, 22)
OPEN = Event(
    action="open", user="a.analyst", organisation="police", purpose="safeguarding", reason="Weekly refresh"
)
LEFT_OUT = replace(OPEN, action="withhold", counts={"subjects": 7})
BY_ID = {rule.id: rule for rule in RULES}


def log(*events: Event, days_ago: int = 1, spread: tuple[int, ...] = ()) -> LogSubject:
    """Return a log with these events, all `days_ago`, or each as many days ago as `spread` says."""
    begin = Event(action="begin", user="a", organisation="police", purpose="audit", reason="New log.")
    ago = spread or tuple(days_ago for _ in events)
    times = [datetime(2026, 11, 22, tzinfo=UTC) - timedelta(days=n) for n in ago]
    entries = [Entry(log="0" * 32, n=n + 1, time=times[n], event=event) for n, event in enumerate(events)]
    first = Entry(log="0" * 32, n=0, time=datetime(2026, 1, 1, tzinfo=UTC), event=begin)
    return LogSubject(where="police.audit", entries=(first, *entries), problems=(), compared=1, today=TODAY)


def tampered() -> LogSubject:
    """Return a log that a checkpoint contradicts."""
    problem = Problem(
        kind="edited", sentence="The first 5 entries are not the ones that were there.", where="c"
    )
    return replace(log(OPEN), problems=(problem,))


PASSES: list[tuple[str, str, Callable[[], LogSubject]]] = [
    ("R01", "compared", lambda: log(OPEN)),
    ("R02", "complete", lambda: log(replace(OPEN, outcome="begun"), replace(OPEN, of=1))),
    ("R02", "withheld-reason-is-for-R04", lambda: log(replace(LEFT_OUT, reason=""))),
    ("R02", "still-running", lambda: log(replace(OPEN, outcome="begun"), days_ago=0)),
    ("R03", "clean", lambda: log(replace(OPEN, reason="CASE-2026-0042, monthly refresh", run="2026-11-22"))),
    ("R04", "stated", lambda: log(replace(LEFT_OUT, reason="Upheld objections"))),
    ("R04", "nothing-withheld", lambda: log(replace(OPEN, reason=""))),
    ("R05", "usual", lambda: log(*[OPEN] * 12, spread=tuple(range(12)))),
    ("R05", "busy-but-always-so", lambda: log(*[OPEN] * 90, spread=tuple(n % 3 for n in range(90)))),
    ("R05", "silent-for-less", lambda: log(OPEN, OPEN, spread=(80, 1))),
    ("R05", "returned-long-ago", lambda: log(OPEN, OPEN, spread=(300, 100))),
]
FAILS: list[tuple[str, str, Callable[[], LogSubject], Severity, str]] = [
    ("R01", "tampered", tampered, Severity.BLOCK, "edited"),
    ("R01", "no-checkpoint", lambda: replace(log(OPEN), compared=0), Severity.AMBER, ""),
    ("R02", "no-user", lambda: log(OPEN, replace(OPEN, user=" ")), Severity.BLOCK, "1 entries"),
    ("R02", "no-organisation", lambda: log(replace(OPEN, organisation="")), Severity.BLOCK, "1 entries"),
    (
        "R02",
        "no-purpose",
        lambda: log(replace(OPEN, purpose=""), replace(OPEN, purpose="")),
        Severity.BLOCK,
        "2 entries",
    ),
    ("R02", "no-reason", lambda: log(replace(OPEN, reason="")), Severity.BLOCK, "1 entries"),
    ("R02", "never-ended", lambda: log(replace(OPEN, outcome="begun"), OPEN), Severity.AMBER, "1 accesses"),
    ("R03", "nhs-number", lambda: log(replace(OPEN, reason="for 943 476 5919")), Severity.BLOCK, "1 entries"),
    ("R03", "postcode", lambda: log(OPEN, replace(OPEN, reason="at LS6 3AB")), Severity.BLOCK, "1 entries"),
    ("R03", "birth-date", lambda: log(replace(OPEN, reason="born 04/03/1990")), Severity.BLOCK, "1 entries"),
    ("R03", "name", lambda: log(replace(OPEN, reason="see Mary Smith")), Severity.BLOCK, "1 entries"),
    ("R03", "in-the-run", lambda: log(replace(OPEN, run="9434765919")), Severity.BLOCK, "1 entries"),
    ("R03", "in-a-count", lambda: log(replace(OPEN, counts={"9434765919": 1})), Severity.BLOCK, "1 entries"),
    ("R04", "no-reason", lambda: log(replace(LEFT_OUT, reason="")), Severity.AMBER, "1 decisions, 7 people"),
    (
        "R04",
        "some-unstated",
        lambda: log(replace(LEFT_OUT, counts={"subjects": 7, "unstated": 2})),
        Severity.AMBER,
        "1 decisions, 2 people",
    ),
    ("R05", "dormant", lambda: log(OPEN, OPEN, spread=(200, 1)), Severity.AMBER, "more than 90 days apart"),
    (
        "R05",
        "many-accesses",
        lambda: log(*[OPEN] * 40, *[OPEN] * 3, spread=(*[1] * 40, 2, 3, 4)),
        Severity.AMBER,
        "40 accesses, 20 would not have stood out",
    ),
    (
        "R05",
        "many-from-a-new-user",
        lambda: log(*[OPEN] * 30),
        Severity.AMBER,
        "30 accesses, 20 would not have stood out",
    ),
]


@pytest.mark.parametrize(
    ("rule", "make"),
    [(rule, make) for rule, _, make in PASSES],
    ids=[f"rules-{r}-passes-{n}" for r, n, _ in PASSES],
)
def test_passes(rule: str, make: Callable[[], LogSubject]) -> None:
    """The rule finds nothing in a log that keeps it."""
    assert list(BY_ID[rule].ask(make())) == []


@pytest.mark.parametrize(
    ("rule", "make", "severity", "evidence"),
    [(rule, *rest) for rule, _, *rest in FAILS],
    ids=[f"rules-{case[0]}-fails-{case[1]}" for case in FAILS],
)
def test_fails(rule: str, make: Callable[[], LogSubject], severity: Severity, evidence: str) -> None:
    """The rule finds the one fault of a log, and says how many entries show it and what to do."""
    (found,) = BY_ID[rule].ask(make())
    assert (found.rule, found.severity, found.evidence) == (rule, severity, evidence)
    assert found.sentence.endswith(".")
    assert found.fix
    assert found.owner
    assert "9434765919" not in str(found)
    assert "943 476 5919" not in str(found)


def test_rules_of_a_log_file(tmp_path: Path) -> None:
    """A log on disk is judged with its checkpoint; an edit of it is R01, and the other rules still run."""
    signer = PrivateIdentity.generate("police")
    now = datetime(2026, 11, 21, tzinfo=UTC)
    made = AuditLog.create(tmp_path / "police.audit", organisation="police", user="a", now=now)
    made.append(OPEN, now=now)
    made.append(replace(LEFT_OUT, reason=""), now=now)
    size, root = made.head()
    checkpoint = tmp_path / "one.checkpoint"
    write_checkpoint(
        checkpoint, Checkpoint(log=made.log_id, organisation="police", size=size, root=root, time=now), signer
    )
    known = {"police": signer.public}
    before = log_findings(made.path, today=TODAY, checkpoints=[checkpoint], known=known)
    assert [found.rule for found in before] == ["R04"]
    made.path.write_bytes(made.path.read_bytes().replace(b"Weekly", b"Yearly"))
    after = log_findings(made.path, today=TODAY, checkpoints=[checkpoint], known=known)
    assert [found.rule for found in after] == ["R01", "R01", "R04"]
    made.path.write_bytes(made.path.read_bytes() + b"rubbish\n")
    assert "R04" in {found.rule for found in log_findings(made.path, today=TODAY)}
