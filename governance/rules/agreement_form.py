"""Rules D01 to D05 and D22: form, force, signatures, and whether the work is what was signed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from governance.agreement_diff import difference
from governance.agreement_reading import Path_, path_text
from governance.rules.agreement_subject import AgreementSubject, block, is_todo
from governance.rules.base import Finding

OWNER = "owner of the agreement"


def _todos(value: Any, path: Path_) -> Iterator[Path_]:
    if is_todo(value):
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _todos(item, (*path, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _todos(item, (*path, number))


def d01_form(subject: AgreementSubject) -> Iterator[Finding]:
    """Schema-invalid, an unknown or a duplicate key, or a placeholder that was never filled in."""
    for fault in (*subject.faults, *subject.wanting):
        if fault.rule != "D01":
            continue
        yield block(
            "D01",
            f"{path_text(fault.path)}: {fault.message}",
            where=subject.fault_place(fault),
            fix="Correct that line." if fault.place else "Correct it.",
            owner=OWNER,
        )
    for path in _todos(subject.document, ()):
        yield block(
            "D01",
            "A placeholder (TODO) was never filled in.",
            where=subject.place(*path),
            fix="Write what was agreed.",
            owner=OWNER,
        )


def d02_in_force(subject: AgreementSubject) -> Iterator[Finding]:
    """Not active, or not in force today."""
    status = subject.document.get("status")
    if subject.sound("status") and status != "active":
        said = "is a draft and binds nobody" if status == "draft" else f"is {status}"
        fix = (
            "When all agree, set status to active and have every controller sign."
            if status == "draft"
            else "Do not use it."
        )
        yield block("D02", f"The agreement {said}.", where=subject.place("status"), fix=fix, owner=OWNER)
    force = subject.section("in_force")
    if subject.sound("in_force") and not force["from"] <= subject.today.isoformat() <= force["to"]:
        yield block(
            "D02",
            f"The agreement is in force from {force['from']} to {force['to']}, not today.",
            where=subject.place("in_force"),
            evidence=f"Checked on {subject.today.isoformat()}.",
            fix="Renew it and have it signed again.",
            owner=OWNER,
        )


def _shared_signing_keys(subject: AgreementSubject) -> Iterator[Finding]:
    held: dict[str, str] = {}
    for number, party in subject.controllers:
        key = party.get("keys", {}).get("signing_key")
        if key is None:
            continue
        if key in held:
            yield block(
                "D03",
                f"{held[key]} and {party['id']} have the same signing key, so one signature would count as two.",
                where=subject.place("parties", number, "keys", "signing_key"),
                fix="Let each party make keys of its own (tallystick keys new).",
                owner=party["id"],
            )
        held.setdefault(key, party["id"])


def d03_signatures(subject: AgreementSubject) -> Iterator[Finding]:
    """A controller's signature missing or invalid, or keys not distinct."""
    yield from _shared_signing_keys(subject)
    if subject.digest is None:
        return  # what has faults cannot be signed; D01 says so
    for number, party in subject.controllers:
        if party["id"] in subject.signatures.signers:
            continue
        keyless = "keys" not in party
        yield block(
            "D03",
            f"{party['id']} has not signed this version"
            + (", and the agreement holds no keys of it." if keyless else "."),
            where=subject.place("parties", number),
            fix="Put its public keys in, then: tallystick agreement sign"
            if keyless
            else "tallystick agreement sign FILE --key its key file.",
            owner=party["id"],
        )
    for name, reason in subject.signatures.broken.items():
        yield block(
            "D03",
            f"The signature file {name} {reason}.",
            where=subject.where,
            fix="Take the file out, or ask the signer for it again.",
            owner=OWNER,
        )


def d04_same_agreement(subject: AgreementSubject) -> Iterator[Finding]:
    """The job's agreement digest is not the one that was signed."""
    bound = subject.job.agreement_digest if subject.job else None
    if bound is not None and subject.digest is not None and bound != subject.digest:
        yield block(
            "D04",
            "This job is bound to another agreement, or to another version of it.",
            where=subject.where,
            fix="Use the agreement that was signed, or hold a key ceremony and seal again under this one.",
            owner=OWNER,
        )


def d05_purpose(subject: AgreementSubject) -> Iterator[Finding]:
    """No agreed purpose."""
    purposes = [purpose["id"] for _, purpose in subject.items("purposes")]
    if not purposes and subject.sound("purposes"):
        yield block(
            "D05", "No purpose is agreed.", where=subject.place("purposes"), fix="Name one.", owner=OWNER
        )
    asked = subject.job.purpose if subject.job else None
    if asked is not None and purposes and asked not in purposes:
        yield block(
            "D05",
            "This job is for a purpose that the agreement does not name.",
            where=subject.place("purposes"),
            evidence=f"{len(purposes)} agreed purpose(s).",
            fix="Do it for an agreed purpose only, or have the agreement changed and signed.",
            owner=OWNER,
        )


def d22_not_wider(subject: AgreementSubject) -> Iterator[Finding]:
    """Wider than the version that was signed, without new signatures of all controllers."""
    if subject.digest is None or not subject.signatures.earlier:
        return
    if {party["id"] for _, party in subject.controllers} <= subject.signatures.signers:
        return
    signed = subject.signatures.earlier[-1]
    for change in difference(signed, subject.document).wider:
        yield block(
            "D22",
            f"Wider than what was signed: {change.sentence}",
            where=subject.place(*change.path),
            evidence=f"The signed version is {signed['version']}.",
            fix="Take the change back, or have every controller sign this version.",
            owner=OWNER,
        )
