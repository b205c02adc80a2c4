"""A check's report for a terminal, and as SARIF for tools that read findings."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from governance.check import Report, Status, line_of, status_of
from governance.rules.base import Finding
from governance.rules.registry import all_rules

_WIDTH = 110


def _finding_lines(found: Finding) -> list[str]:
    status = status_of(found)
    lines = [f"  {status.symbol} {found.rule} {status.words}: {found.sentence}"]
    for label, text in (
        ("Where", found.where),
        ("Evidence", found.evidence),
        ("Why", found.why),
        ("Do", found.fix),
        ("Owner", found.owner + (f", by {found.due}" if found.due else "")),
        ("Signed off", found.exception or ""),
    ):
        if text:
            lines.append(
                textwrap.fill(
                    text,
                    _WIDTH,
                    initial_indent=f"      {label}: ",
                    subsequent_indent=" " * 10,
                    break_on_hyphens=False,
                )
            )
    return lines


def report_text(report: Report) -> str:
    """Return the report for a terminal: the verdict first, then the findings by section."""
    lines = [
        f"{report.status.symbol} {report.verdict}",
        f"{report.subject}: {report.kind.value}, checked on {report.checked_on.isoformat()}",
    ]
    lines += [f"  {name}: {value}" for name, value in report.facts.items()]
    if report.owners:
        lines.append(f"  who must act: {', '.join(report.owners)}")
    for section in report.sections:
        lines += ["", f"{section.title}: {section.status.words.lower()}"]
        for found in section.findings:
            lines += _finding_lines(found)
    if report.unchecked:
        lines += ["", "Not checked:"]
        lines += [
            textwrap.fill(text, _WIDTH, initial_indent="  - ", subsequent_indent="    ")
            for text in report.unchecked
        ]
    return "\n".join(lines)


_LEVELS = {Status.BLOCK: "error", Status.AMBER: "warning", Status.EXCEPTION: "error"}


def _result(report: Report, found: Finding) -> dict[str, Any]:
    place = line_of(found)
    region = {} if place is None else {"region": {"startLine": place[0], "startColumn": place[1]}}
    result: dict[str, Any] = {
        "ruleId": found.rule,
        "level": _LEVELS[status_of(found)],
        "message": {"text": " ".join(filter(None, (found.sentence, found.evidence, found.fix)))},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _uri(report.subject)}, **region},
                "logicalLocations": [{"fullyQualifiedName": found.where or report.subject}],
            }
        ],
    }
    if found.exception is not None:
        result["suppressions"] = [{"kind": "external", "justification": found.exception}]
    return result


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path.replace("\\", "/"))


def sarif(reports: Sequence[Report]) -> dict[str, Any]:
    """Return the reports in the Static Analysis Results Interchange Format 2.1.0 (OASIS)."""
    used = sorted({found.rule for report in reports for found in report.findings})
    known = all_rules()
    rules = []
    for rule_id in used:
        entry: dict[str, Any] = {"id": rule_id}
        if rule_id in known:
            rule = known[rule_id][1]
            entry |= {"shortDescription": {"text": rule.title}, "help": {"text": rule.why}}
        rules.append(entry)
    return {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "Tallystick", "version": version("tallystick"), "rules": rules}},
                "results": [_result(report, found) for report in reports for found in report.findings],
            }
        ],
    }
