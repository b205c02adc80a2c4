"""Run the rules D01 to D22 on an agreement's file, and refuse work under one that they block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from governance.agreement import Agreement, agreement_faults, agreement_of, refuse_faults
from governance.agreement_reading import Fault, Source, read_source
from governance.agreement_signatures import Signatures, read_signatures, signatures_folder
from governance.exceptions import cover, load_exception
from governance.gate import gate
from governance.register import Register, shipped_register
from governance.rules.agreement_subject import AgreementSubject, Job
from governance.rules.base import Finding, Moment
from governance.rules.registry import Family, findings_of

__all__ = ["Job", "agreement_findings", "agreement_subject", "require_agreement", "require_read"]


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
    return agreement, _ask(subject)


def _ask(subject: AgreementSubject) -> list[Finding]:
    return findings_of(Family.AGREEMENT, subject, moment=Moment.AGREEMENT)


def require_agreement(
    path: Path,
    *,
    today: date,
    job: Job | None = None,
    exceptions: Sequence[Path] = (),
    party: str = "",
) -> Agreement:
    """Return the agreement at `path`, or refuse all work under it; every command that touches data comes here.

    Args:
        path: The agreement; its signatures stand in `<path>.sigs`.
        today: The day of the work.
        job: What is about to be done.
        exceptions: Signed exceptions.
        party: Who does the work; an exception has to concern it.

    Raises:
        AgreementInvalid: It has faults of form, all named with line and column.
        ComplianceBlocked: A rule blocks, and no exception covers it.
        ExceptionInvalid: An exception is not what it has to be.
    """
    read = agreement_subject(path, today=today)
    return require_read(*read, job=job, exceptions=exceptions, party=party)


def require_read(
    agreement: Agreement | None,
    subject: AgreementSubject,
    *,
    job: Job | None,
    exceptions: Sequence[Path],
    party: str,
) -> Agreement:
    """Judge what `agreement_subject` read before it was known for whom and for which job; as `require_agreement`."""
    if agreement is None:
        refuse_faults(subject.faults, subject.where)
    assert agreement is not None  # noqa: S101 - refused above
    granted = [load_exception(file, agreement) for file in exceptions]
    gate(cover(_ask(replace(subject, job=job)), granted, party=party, today=subject.today))
    return agreement
