"""The verdict of `agreement check` in words and as JSON: whether work may go on, then why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from governance.agreement import Agreement
from governance.gate import finding_dict
from governance.rules.base import Finding, Severity, blocks

NOT_CHECKED = "Not checked: whether lawful basis, gateways and necessity are right. This is no legal advice."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def verdict(findings: Sequence[Finding]) -> str:
    """Return the verdict in one sentence."""
    blocking = len(blocks(findings))
    looking = len(findings) - blocking
    if blocking:
        return f"Do not run: {_count(blocking, 'block')}" + (f", {looking} to look at." if looking else ".")
    return f"Nothing blocks; {looking} to look at." if looking else "Nothing blocks."


def _facts(agreement: Agreement) -> dict[str, Any]:
    return {
        "id": agreement.id,
        "version": agreement.version,
        "status": agreement.status,
        "digest": agreement.digest,
        "parties": [party.id for party in agreement.parties],
        "passes": len(agreement.passes),
        "fingerprints": {name: keys.fingerprint for name, keys in agreement.identities.items()},
    }


def verdict_dict(
    agreement: Agreement | None,
    findings: Sequence[Finding],
    *,
    where: str,
    today: date,
    law: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the verdict, the agreement's facts and all findings as JSON values; `law` as for `verdict_text`."""
    return {
        "verdict": verdict(findings),
        "blocked": bool(blocks(findings)),
        "file": where,
        "checked_on": today.isoformat(),
        "agreement": _facts(agreement) if agreement else None,
        "findings": [finding_dict(found) for found in findings],
        "not_checked": NOT_CHECKED,
        "not_confirmed": list(law),
    }


def _alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Group findings that differ only in their place, and faults of form, blocks first: nothing is said twice."""
    groups: dict[Finding, list[Finding]] = {}
    for found in sorted(findings, key=lambda found: found.severity is not Severity.BLOCK):
        sentence = "" if found.rule == "D01" else found.sentence
        groups.setdefault(replace(found, where="", sentence=sentence), []).append(found)
    return list(groups.values())


def _lines(group: Sequence[Finding]) -> list[str]:
    found = group[0]
    mark = "BLOCK" if found.severity is Severity.BLOCK and found.exception is None else "LOOK "
    evidence = f" {found.evidence}" if found.evidence else ""
    due = f" Due: {found.due}." if found.due else ""
    same = len({each.sentence for each in group}) == 1
    said = found.sentence if same else f"The form has {_count(len(group), 'fault')}."
    return [
        f"{mark} {found.rule}  {said}{evidence}",
        *(f"           {each.where}{'' if same else f': {each.sentence}'}" for each in group),
        f"           {found.fix} Who: {found.owner or '-'}. Why: {found.why.rstrip('.') or '-'}.{due}",
        *([f"           {found.exception}"] if found.exception else []),
    ]


def verdict_text(
    agreement: Agreement | None,
    findings: Sequence[Finding],
    *,
    where: str,
    today: date,
    law: Sequence[str] = (),
) -> str:
    """Return the verdict first, then the agreement, then what blocks, then what is to be looked at.

    Args:
        agreement: The agreement; None when it has faults of form.
        findings: What the rules found.
        where: Its file.
        today: Day of the check.
        law: Rows of the register that it cites and that were not confirmed, a sentence each.
    """
    lines = [verdict(findings)]
    if agreement is None:
        lines.append(f"{where}, checked on {today.isoformat()}: the form has faults, so there is no digest.")
    else:
        lines.append(f"{where}, checked on {today.isoformat()}: {agreement.id} version {agreement.version} "
                     f"({agreement.status}).")  # fmt: skip
        lines.append(f"Digest: {agreement.digest}")
        lines += [f"Keys of {name}: {keys.fingerprint}" for name, keys in agreement.identities.items()]
    lines += [line for group in _alike(findings) for line in ("", *_lines(group))]
    if law:
        lines += ["", "The law that it cites, as far as the register of gateways was not confirmed:"]
        lines += [f"  {sentence}" for sentence in law]
    return "\n".join([*lines, "", NOT_CHECKED])
