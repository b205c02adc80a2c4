"""R01 to R05: the audit log says who did what, for whom and why, and is the log that it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from statistics import median

from governance.audit.entry import BEGIN, REPAIR, WITHHOLD, Entry
from governance.audit.verify import Problem
from governance.audit.words import identifiers_in, identifiers_in_id
from governance.rules.base import Fault, Finding, Moment, Rule, Severity, rule
from schemas.identity import PublicIdentity

_LOG = (Moment.LOG,)
_ACCOUNTABLE = "UK GDPR Art 5(2), accountability; Art 5(1)(f), integrity and confidentiality"
_OFFICER = "governance officer"


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLimits:
    """What counts as unusual (rule R05). The figures are choices of ours, to be changed by experience.

    Attributes:
        dormant_days: Days without an access after which a user's return is looked at.
        recent_days: Only what happened in these last days is reported.
        most_accesses: Accesses of one user on one day that are never unusual.
        factor: How many times the median of the other user-days is unusual.
    """

    dormant_days: int = 90
    recent_days: int = 31
    most_accesses: int = 20
    factor: float = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSubject:
    """A log as the rules see it.

    Attributes:
        where: File, for messages.
        entries: Its entries in their order; walked over once by each rule.
        problems: What `governance.audit.verify` found.
        compared: Checkpoints that it was compared with.
        today: Day of the check.
        limits: What counts as unusual.
    """

    where: str
    entries: Iterable[Entry]
    problems: Sequence[Problem]
    compared: int
    today: date
    limits: LogLimits = field(default_factory=LogLimits)


@rule("R01", Severity.BLOCK, _LOG, "The log is the one that the checkpoints signed", why=_ACCOUNTABLE)
def consistent(log: LogSubject) -> Iterator[Fault]:
    """No entry was edited, cut off, moved or replaced; amber when no checkpoint was at hand to tell."""
    for problem in log.problems:
        yield Fault(
            sentence=problem.sentence,
            where=problem.where,
            evidence=problem.kind,
            fix="Keep the file as it is, compare it with the checkpoints of the other parties, and find out who could "
            "write to it.",
            owner=_OFFICER,
        )
    if not log.compared:
        yield Fault(
            severity=Severity.AMBER,
            sentence="The log was compared with no checkpoint, so a log that was rewritten whole would pass.",
            where=log.where,
            fix="Sign one (tallystick audit checkpoint), send it to the other parties, and name it at the next check.",
            owner=_OFFICER,
        )


@rule(
    "R02", Severity.BLOCK, _LOG, "Each access names user, organisation, purpose and reason", why=_ACCOUNTABLE
)
def complete(log: LogSubject) -> Iterator[Fault]:
    """Each entry says who, for whom, for what and why; amber when an access began and its end is not recorded."""
    missing: dict[str, list[int]] = defaultdict(list)
    unfinished: set[int] = set()
    for entry in log.entries:
        event = entry.event
        for name in ("user", "organisation", "purpose", "reason"):
            excused = event.action in {BEGIN, REPAIR} or (event.action == WITHHOLD and name == "reason")
            if not excused and not getattr(event, name).strip():
                missing[name].append(entry.n)
        if event.outcome == "begun" and entry.time.date() < log.today:
            unfinished.add(entry.n)
        unfinished.discard(-1 if event.of is None else event.of)
    for name, numbers in missing.items():
        yield Fault(
            sentence=f"Accesses are recorded without {'an' if name == 'organisation' else 'a'} {name}.",
            where=f"{log.where}, entry {numbers[0]}",
            evidence=f"{len(numbers):,} entries",
            fix="Ask who made them, and record the answer under the same purpose. Set TALLYSTICK_REASON and "
            "TALLYSTICK_PURPOSE for work that runs by itself.",
            owner=_OFFICER,
        )
    if unfinished:
        yield Fault(
            severity=Severity.AMBER,
            sentence="Accesses began and the log does not say how they ended: the program was stopped from outside.",
            where=f"{log.where}, entry {min(unfinished)}",
            evidence=f"{len(unfinished):,} accesses",
            fix="Ask what happened, and whether anything was read or made.",
            owner=_OFFICER,
        )


@lru_cache(maxsize=4096)
def _found_in(reason: str, detail: str) -> tuple[str, ...]:
    return tuple(sorted({*identifiers_in(reason), *identifiers_in(detail)}))


@lru_cache(maxsize=4096)
def _found_in_id(text: str) -> tuple[str, ...]:
    return tuple(identifiers_in_id(text))


@rule(
    "R03",
    Severity.BLOCK,
    _LOG,
    "No raw identifier stands in the log",
    why="UK GDPR Art 5(1)(c), data minimisation",
)
def no_identifier(log: LogSubject) -> Iterator[Fault]:
    """No text of an entry seems to hold an NHS number, postcode, date of birth, name, address or key."""
    first: dict[str, int] = {}
    entries: dict[str, int] = defaultdict(int)
    for entry in log.entries:
        event = entry.event
        kinds = {*_found_in(event.reason, event.detail or "")}
        for text in (event.user, event.purpose, event.run or "", *event.counts):
            kinds.update(_found_in_id(text))
        for kind in kinds:
            first.setdefault(kind, entry.n)
            entries[kind] += 1
    for kind in sorted(first):
        yield Fault(
            sentence=f"The log seems to hold {kind}.",
            where=f"{log.where}, entry {first[kind]}",
            evidence=f"{entries[kind]:,} entries",
            fix="An entry cannot be changed: begin a new log, share this one with nobody, and purge it "
            "by its date. Tell whoever wrote it to name a case instead.",
            owner="data protection officer",
        )


@rule(
    "R04",
    Severity.AMBER,
    _LOG,
    "A decision not to share gives its reason",
    why="ICO data sharing code: record decisions not to share",
)
def withheld(log: LogSubject) -> Iterator[Fault]:
    """Each decision to leave people out says why, for each of them."""
    numbers, people = [], 0
    for entry in log.entries:
        event = entry.event
        if event.action != WITHHOLD:
            continue
        unstated = event.counts.get("unstated", 0)
        if unstated or not event.reason.strip():
            numbers.append(entry.n)
            people += unstated or event.counts.get("subjects", 0)
    if numbers:
        yield Fault(
            sentence="People were left out and the log does not say why.",
            where=f"{log.where}, entry {numbers[0]}",
            evidence=f"{len(numbers):,} decisions, {people:,} people",
            fix="Write the reason of each into the file of exclusions, and seal again.",
            owner="data protection officer",
        )


@dataclass(slots=True)
class _Use:
    """What a walk over the log learns of its users; it grows with users and days, not with entries."""

    last: dict[str, date]
    returns: list[int]
    days: dict[tuple[str, date], int]
    first: dict[tuple[str, date], int]


def _use_of(log: LogSubject) -> _Use:
    use = _Use(last={}, returns=[], days=defaultdict(int), first={})
    since = log.today - timedelta(days=log.limits.recent_days)
    for entry in log.entries:
        event, day = entry.event, entry.time.date()
        if event.of is not None or event.action in {BEGIN, REPAIR} or not event.user:
            continue
        before = use.last.get(event.user)
        if before is not None and (day - before).days > log.limits.dormant_days and day >= since:
            use.returns.append(entry.n)
        use.last[event.user] = max(day, before or day)
        use.days[event.user, day] += 1
        use.first.setdefault((event.user, day), entry.n)
    return use


@rule("R05", Severity.AMBER, _LOG, "Users and their number of accesses are as usual", why=_ACCOUNTABLE)
def usual(log: LogSubject) -> Iterator[Fault]:
    """Nobody comes back after a long silence, and nobody has many times the usual accesses on a day."""
    use, limits = _use_of(log), log.limits
    for number in use.returns:
        yield Fault(
            sentence="Somebody who had not used the system for long has used it again.",
            where=f"{log.where}, entry {number}",
            evidence=f"more than {limits.dormant_days} days apart",
            fix="Ask whether this user should still have access, and whether it was they.",
            owner=_OFFICER,
        )
    since = log.today - timedelta(days=limits.recent_days)
    counts = sorted(use.days.values())
    for key, count in use.days.items():
        if key[1] < since or count <= limits.most_accesses:
            continue
        others = list(counts)
        others.remove(count)
        most = max(limits.most_accesses, limits.factor * (median(others) if others else 0))
        if count > most:
            yield Fault(
                sentence="Somebody made many more accesses in a day than is usual.",
                where=f"{log.where}, from entry {use.first[key]}",
                evidence=f"{count:,} accesses, {most:,.0f} would not have stood out",
                fix="Ask what they were for.",
                owner=_OFFICER,
            )


RULES: tuple[Rule[LogSubject], ...] = (consistent, complete, no_identifier, withheld, usual)


class _Entries:
    """The entries of a log file, read anew for each rule so that memory stays flat."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Entry]:
        from governance.audit.entry import parse_line
        from governance.audit.log import AuditLog
        from schemas.errors import AuditError

        for line in AuditLog(self._path).lines():
            try:
                yield parse_line(line)
            except AuditError:  # R01 has named it
                continue


def log_subject(
    path: Path,
    *,
    today: date,
    checkpoints: Sequence[Path] = (),
    known: Mapping[str, PublicIdentity] | None = None,
    limits: LogLimits | None = None,
) -> LogSubject:
    """Read the log `path` and compare it with checkpoints.

    Args:
        path: The log.
        today: Day of the check.
        checkpoints: Checkpoints that anybody kept.
        known: Party id to identity, to verify them with.
        limits: What counts as unusual.

    Raises:
        AuditError: It is no log, or a checkpoint is not genuine.
    """
    from governance.audit.checkpoint import read_checkpoint
    from governance.audit.log import AuditLog
    from governance.audit.verify import verify_log

    read = [(str(each), read_checkpoint(each, known or {})) for each in checkpoints]
    found = verify_log(AuditLog(path), read)
    return LogSubject(
        where=str(path),
        entries=_Entries(path),
        problems=found.problems,
        compared=found.compared,
        today=today,
        limits=limits or LogLimits(),
    )


def log_findings(
    path: Path,
    *,
    today: date,
    checkpoints: Sequence[Path] = (),
    known: Mapping[str, PublicIdentity] | None = None,
) -> list[Finding]:
    """Return what the rules on logs find in the log `path`, the organisation's own rules included.

    Raises:
        AuditError: It is no log, or a checkpoint is not genuine.
    """
    from governance.rules.registry import Family, findings_of

    subject = log_subject(path, today=today, checkpoints=checkpoints, known=known)
    return findings_of(Family.LOG, subject, moment=Moment.LOG)
