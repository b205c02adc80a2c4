"""Check what a run leaves: its folder, its report for officers, and the audit log beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from governance.audit.log import AuditLog
from governance.check import LEGAL_BASIS, Kind, Report
from governance.check_context import Context
from governance.check_errors import finding_of
from governance.check_moments import open_keys
from governance.check_tables import hit_findings, scan_table
from governance.exceptions import cover
from governance.lifecycle.artefacts import find_artefacts
from governance.rules.base import Finding, Moment, Severity
from governance.rules.linkage import LinkageSubject
from governance.rules.log import log_findings
from governance.rules.output import Artefact
from governance.rules.registry import Family, findings_of
from governance.run_report import report_tables
from schemas.container import inspect_header
from schemas.errors import InputError, TallystickError

RUN_COLUMNS = frozenset({"agency", "agency_l", "agency_r", "about", "found_by", "pattern", "reason", "group"})
"""Text columns of a run's tables that hold names of agencies, passes and levels, and so are not scanned."""

_EXACT = (
    "Small counts in run.json: they are exact, so the folder stays at the linkage unit. What may leave is made by "
    "tallystick report."
)


def _object(path: Path, sentence: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        InputError: It holds none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise InputError(sentence, where=str(path))
    return value


def _made(summary: Mapping[str, Any]) -> date | None:
    try:
        return datetime.fromisoformat(str(summary.get("created_at"))).date()
    except ValueError:
        return None


def _run_findings(path: Path, summary: Mapping[str, Any], context: Context) -> list[Finding]:
    agreement = context.agreement
    if agreement is None:
        return []
    made = _made(summary)
    run = LinkageSubject(
        where=str(path),
        agreement=agreement,
        settings=summary.get("settings"),
        summary=summary,
        readable_keys=open_keys([path, path.parent]),
    )
    asked = findings_of(Family.LINKAGE, run, moment=Moment.AFTER_LINK, own=context.own)
    found = cover(asked, context.exceptions, party=agreement.unit_id, today=context.today)
    kept = () if made is None else (Artefact(kind="run", where=str(path), made=made),)
    return found + context.output_findings(path, artefacts=kept)


def _granted(summary: Mapping[str, Any]) -> list[Finding]:
    """Return what the run's own rules found when it was made, so that its exceptions stay on every report."""
    entries = summary.get("compliance", [])
    names = Finding.__dataclass_fields__
    return [
        Finding(
            **{
                **{name: entry[name] for name in names if name in entry},
                "severity": Severity(entry["severity"]),
            }
        )
        for entry in entries
        if isinstance(entry, dict) and entry.get("exception")
    ]


def check_run(path: Path, context: Context) -> Report:
    """Check a run folder.

    Raises:
        InputError: Its run.json, or one of its tables, cannot be read.
    """
    summary = _object(path / "run.json", "run.json of this run cannot be read.")
    findings = [*_granted(summary), *_run_findings(path, summary, context)]
    for table in sorted(path.glob("*.parquet")):
        findings += hit_findings(scan_table(table, context.today, RUN_COLUMNS), str(table), "linkage unit")
    for package in sorted(path.glob("returns/*.tally")):
        try:
            inspect_header(package)
        except TallystickError as error:
            findings.append(finding_of(error, owner="linkage unit"))
    unchecked = [
        "What the returns say: each is encrypted to its agency, which checks it with its own key.",
        _EXACT,
        LEGAL_BASIS,
    ]
    if context.agreement is None:
        unchecked.insert(0, "Whether the run was done as agreed: name the agreement with --agreement.")
    agreed = summary.get("agreement", {})
    return context.report(
        path,
        Kind.RUN,
        findings,
        families="PL" + ("O" if context.agreement is not None else ""),
        facts={
            "run": str(summary.get("run")),
            "agreement": f"{agreed.get('id')} {agreed.get('version')}",
            "digest": str(agreed.get("digest")),
            "senders": ", ".join(summary.get("senders", {})),
        },
        unchecked=unchecked,
    )


def check_run_report(path: Path, context: Context) -> Report:
    """Check the JSON that `tallystick report --json` prints: whether it tells a count that is too small.

    Raises:
        InputError: It cannot be read.
    """
    figures = _object(path, "this report of a run cannot be read.")
    try:
        tables = report_tables(figures)
        agreed = dict(figures["agreement"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError("this report of a run is not whole.", where=str(path)) from None
    unchecked = [LEGAL_BASIS]
    if context.agreement is None:
        unchecked.insert(0, "Whether its counts are too small: name the agreement with --agreement.")
    return context.report(
        path,
        Kind.REPORT,
        context.output_findings(path, tables=tables),
        families="O" if context.agreement is not None else "",
        facts={"run": str(figures.get("run")), "agreement": f"{agreed.get('id')} {agreed.get('version')}"},
        unchecked=unchecked,
        partial=context.agreement is None,
    )


def check_log(path: Path, context: Context) -> Report:
    """Check an audit log; with an agreement also how long it was kept, and the requests of the register."""
    unchecked = [LEGAL_BASIS, "Whether the reasons that people gave are true."]
    known = context.agreement.identities if context.agreement is not None else context.known
    facts: dict[str, str] = {}
    try:
        found = log_findings(path, today=context.today, checkpoints=context.checkpoints, known=known)
        log = AuditLog(path)
        facts = {"log": log.log_id, "organisation": log.organisation}
        found = cover(found, context.exceptions, party=log.organisation, today=context.today)
    except TallystickError as error:
        found = [finding_of(error, owner="governance officer")]
    kept = [
        Artefact(kind="log", where=str(path), made=each.made)
        for each in find_artefacts([path])
        if each.kind == "log"
    ]
    return context.report(
        path,
        Kind.LOG,
        found + context.output_findings(path, artefacts=kept),
        families="R" + ("O" if context.agreement is not None else ""),
        facts=facts,
        unchecked=unchecked,
    )
