"""Run the rules D01 to D22 on an agreement's file, and refuse work under one that they block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

from governance.agreement import Agreement, agreement_faults, agreement_of
from governance.agreement_reading import Fault, Source, read_source
from governance.agreement_signatures import Signatures, read_signatures, signatures_folder
from governance.register import Register, shipped_register
from governance.rules.agreement import RULES
from governance.rules.agreement_subject import AgreementSubject, Job
from governance.rules.base import Finding, Moment, blocks, run_rules
from schemas.errors import AgreementInvalid, AgreementRefused

__all__ = ["Job", "agreement_findings", "agreement_subject", "require_agreement"]

Cover = Callable[[Sequence[Finding]], Sequence[Finding]]
"""Marks the findings that a signed exception covers."""


def _faults(source: Source) -> tuple[list[Fault], list[Fault]]:
    """Return the faults of the document as it stands, and those it would have as an active one."""
    faults = agreement_faults(source.document, source)
    if faults or source.document.get("status") != "draft":
        return faults, []
    return [], agreement_faults({**source.document, "status": "active"}, source)


def agreement_subject(
    path: Path,
    *,
    today: date,
    signatures: Path | None = None,
    register: Register | None = None,
    job: Job | None = None,
) -> tuple[Agreement | None, AgreementSubject]:
    """Read what the rules look at.

    Args:
        path: The agreement.
        today: The day of the check.
        signatures: Folder of the signature files; `<path>.sigs` when None.
        register: The law, as data; the one that comes with this release when None.
        job: What is about to be done under the agreement.

    Returns:
        The agreement, None when it has faults of form; and the subject of its rules.

    Raises:
        AgreementInvalid: The file cannot be read at all.
    """
    source = read_source(path)
    faults, wanting = _faults(source)
    agreement = None if faults else agreement_of(source.document)
    found = Signatures()
    if agreement is not None:
        found = read_signatures(signatures or signatures_folder(path), agreement)
    subject = AgreementSubject(
        document=source.document,
        today=today,
        register=shipped_register() if register is None else register,
        faults=tuple(faults),
        wanting=tuple(wanting),
        digest=agreement.digest if agreement else None,
        signatures=found,
        job=job,
        source=source,
        where=str(path),
    )
    return agreement, subject


def agreement_findings(
    path: Path,
    *,
    today: date,
    signatures: Path | None = None,
    register: Register | None = None,
    job: Job | None = None,
) -> tuple[Agreement | None, list[Finding]]:
    """Run the rules D01 to D22; arguments and errors as for `agreement_subject`."""
    agreement, subject = agreement_subject(
        path, today=today, signatures=signatures, register=register, job=job
    )
    return agreement, run_rules(RULES, subject, moment=Moment.AGREEMENT)


def refusal(findings: Iterable[Finding], *, where: str) -> AgreementRefused | None:
    """Return the error that names every block finding, None when there is none."""
    blocking = blocks(findings)
    if not blocking:
        return None
    lines = dict.fromkeys(f"{found.rule}: {found.sentence}" for found in blocking)
    listed = "\n  ".join(lines)
    return AgreementRefused(
        f"nothing may be done under this agreement: {len(lines)} block(s).\n  {listed}",
        where=where,
        remedy=f"See tallystick agreement check {where}.",
    )


def require_agreement(
    path: Path, *, today: date, job: Job | None = None, cover: Cover = lambda found: found
) -> Agreement:
    """Return the agreement at `path`, or refuse all work under it; every command that touches data comes here.

    Args:
        path: The agreement; its signatures stand in `<path>.sigs`.
        today: The day of the work.
        job: What is about to be done.
        cover: Marks the findings that a signed exception covers.

    Raises:
        AgreementInvalid: It has faults of form, all named with line and column.
        AgreementRefused: A rule blocks.
    """
    agreement, subject = agreement_subject(path, today=today, job=job)
    if agreement is None:
        listed = "\n  ".join(dict.fromkeys(map(str, subject.faults)))
        raise AgreementInvalid(
            f"the agreement has faults:\n  {listed}", where=str(path), remedy="Correct them and run again."
        )
    refused = refusal(cover(run_rules(RULES, subject, moment=Moment.AGREEMENT)), where=str(path))
    if refused is not None:
        raise refused
    return agreement
