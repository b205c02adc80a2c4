"""The officers' report of a linkage run: what may leave the linkage unit, with small counts suppressed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from governance.agreement import Agreement
from governance.audit.verify import Verification
from governance.check_moments import judge_output
from governance.disclosure import SUPPRESSED, safe_run, shown
from governance.exceptions import SignedException
from governance.gate import finding_dict
from governance.lifecycle.artefacts import run_summary
from governance.report import page_environment
from governance.rules.output import CountTable, OutputSubject, Request
from governance.summary import percent, privacy_sentence
from schemas.canonical import to_base64
from schemas.errors import InputError, WrongAgreement

NOT_SAID = (
    "whether the agencies may lawfully share anything: that is for their data protection officers, and this is no "
    "legal advice;",
    "whether two reports of the same people, made at different times, give away by their difference what each "
    "suppresses: do not publish runs that follow each other closely side by side;",
    "anything about a single person: tokens and row numbers are pseudonymised personal data in everyone's hands.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What the rules on outputs are told beside the figures: open requests (O06), and verified exceptions."""

    requests: Sequence[Request] = ()
    exceptions: Sequence[SignedException] = ()


def report_figures(
    run: Path,
    *,
    agreement: Agreement,
    now: datetime,
    log: Verification | None = None,
    told: Told | None = None,
) -> dict[str, Any]:
    """Return the figures of a run that may leave, suppressed by `outputs.min_cell`; a suppressed count is None.

    Args:
        run: The run folder.
        agreement: The agreement that it was made under.
        now: Time of the report, with a zone.
        log: The unit's audit log, verified, when it is to be named.
        told: Requests and exceptions.

    Raises:
        InputError: It is no run folder.
        WrongAgreement: It was made under another agreement, or another version of it.
        ComplianceBlocked: A request is past its date (rule O06), or a count could still be worked out (rule O02;
            that would be a fault of this program), and no exception covers it.
    """
    summary = run_summary(run)
    if summary is None:
        raise InputError(
            "this is no run folder.", where=str(run), remedy="Name the folder that `tallystick link` made."
        )
    if summary["agreement"]["digest"] != agreement.digest:
        raise WrongAgreement(
            "the run was made under another agreement, or another version of it.",
            where=str(run),
            remedy="Name the agreement of the run.",
        )
    figures = safe_run(summary, min_cell=agreement.min_cell)
    found = _require_safe(figures, agreement, now, str(run), told or Told())
    return {
        "report": "run",
        "made_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "min_cell": agreement.min_cell,
        "agreement": {**summary["agreement"], "status": agreement.status},
        "run": summary["run"],
        "created_at": summary.get("created_at"),
        **figures,
        "privacy": summary["privacy"],
        "compliance": [*summary.get("compliance", ()), *found],
        "audit_log": None if log is None else _log_facts(log),
    }


def report_tables(figures: Mapping[str, Any]) -> list[CountTable]:
    """Return the counts of people that a report shows, as rule O02 looks at them."""
    multi = figures["multi_agency"]
    windows = {"people by number of agencies": multi}
    if multi.get("rolling"):
        windows["people by number of agencies, busiest window"] = multi["rolling"]
    return [
        *(
            CountTable(name=name, cells=[list(window["by_agencies"].values())], row_totals=[window["people"]])
            for name, window in windows.items()
        ),
        CountTable(
            name="people by agency",
            cells=[list(figures["senders"].values())],
            row_totals=[figures["records"]],
        ),
        CountTable(name="people told of", cells=[list(figures["told"].values())]),
        CountTable(name="people and links", cells=[[figures["people"], figures["to_review"]]]),
    ]


def _require_safe(
    figures: Mapping[str, Any], agreement: Agreement, now: datetime, where: str, told: Told
) -> list[dict[str, str | None]]:
    """Return what the rules on outputs found that does not stop the report."""
    output = OutputSubject(
        where=where,
        agreement=agreement,
        today=now.astimezone(UTC).date(),
        tables=report_tables(figures),
        requests=told.requests,
    )
    found = judge_output(output, told.exceptions, party=agreement.unit_id)
    return [finding_dict(each) for each in found]


def _log_facts(log: Verification) -> dict[str, Any]:
    return {
        "log": log.log,
        "organisation": log.organisation,
        "entries": log.size,
        "root": to_base64(log.root),
        "checkpoints": log.compared,
        "problems": [found.sentence for found in log.problems],
    }


def verdict_of(figures: Mapping[str, Any]) -> str:
    """Return the verdict in one sentence."""
    found: Sequence[Mapping[str, Any]] = figures["compliance"]
    signed = sum(1 for entry in found if entry.get("exception"))
    look = len(found) - signed
    log = figures["audit_log"]
    if log is not None and log["problems"]:
        return (
            f"Do not rely on this run: its audit log is not what it was ({len(log['problems'])} problem(s))."
        )
    parts = [f"{look} to look at" if look else "nothing to look at"]
    parts += [f"{signed} under a signed exception"] if signed else []
    return f"The run was made, and no rule stopped it: {', '.join(parts)}."


def run_report_html(figures: Mapping[str, Any], agreement: Agreement) -> str:
    """Return the report as one HTML page.

    Args:
        figures: What `report_figures` returned.
        agreement: The agreement of the run.
    """
    return (
        page_environment()
        .get_template("run_report.html.j2")
        .render(
            f=figures,
            agreement=agreement,
            verdict=verdict_of(figures),
            privacy_sentence=privacy_sentence(figures["privacy"]),
            not_said=NOT_SAID,
            shown=shown,
            suppressed=SUPPRESSED,
            any_suppressed=_any_suppressed(figures),
            pct=percent,
        )
    )


def _any_suppressed(figures: Mapping[str, Any]) -> bool:
    counts = [
        *figures["multi_agency"]["by_agencies"].values(),
        *figures["senders"].values(),
        *figures["told"].values(),
    ]
    return None in [*counts, figures["multi_agency"]["people"], figures["people"], figures["to_review"]]
