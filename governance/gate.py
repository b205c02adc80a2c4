"""Where the rules stop the work: `seal`, `link` and `open` pass through here."""

from __future__ import annotations

from collections.abc import Iterable

from governance.rules.base import Finding, Severity, blocks
from schemas.errors import ComplianceBlocked


def sentence_of(found: Finding) -> str:
    """Return a finding in one line: rule, place, sentence, evidence, fix."""
    evidence = f" ({found.evidence})" if found.evidence else ""
    where = f"{found.where}: " if found.where else ""
    return f"{found.rule}: {where}{found.sentence.rstrip('.')}{evidence}. {found.fix}".rstrip()


def gate(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings when none of them stops the work; the audit log counts those that an exception set aside.

    Raises:
        ComplianceBlocked: Lists every block, each with its rule and what to do.
    """
    found = list(findings)
    stopping = blocks(found)
    if stopping:
        listed = "\n  ".join(map(sentence_of, stopping))
        number = f"{len(stopping)} block{'' if len(stopping) == 1 else 's'}"
        raise ComplianceBlocked(
            f"the rules stop this: {number}.\n  {listed}\n",
            remedy="Put it right, or show an exception that a role of the agreement has signed (--exception FILE).",
        )
    if excepted := [each.rule for each in found if each.exception is not None]:
        from governance.audit.access import note_exceptions  # which loads what looks for identifiers in texts

        note_exceptions(excepted)
    return found


def finding_dict(found: Finding) -> dict[str, str | None]:
    """Return a finding as JSON values, for `run.json`, reports and the log."""
    return {
        "rule": found.rule,
        "severity": found.severity.value,
        "sentence": found.sentence,
        "where": found.where,
        "why": found.why,
        "evidence": found.evidence,
        "fix": found.fix,
        "owner": found.owner,
        "due": found.due,
        "exception": found.exception,
    }


def remarks(findings: Iterable[Finding]) -> list[str]:
    """Return what a person has to be told although the work went on: ambers, and blocks under an exception."""
    return [
        f"{'Exception' if found.exception else 'Look at'} {sentence_of(found)}"
        + (f" Signed off: {found.exception}" if found.exception else "")
        for found in findings
        if found.severity is Severity.AMBER or found.exception
    ]
