"""Exceptions to rules: signed, for a time, by a role that the agreement names; shown on every report.

An exception lets the work go on although a rule blocks it. It is a DSSE envelope over canonical JSON, signed with the
key of the party whose role grants it. It never hides a finding: the finding stays, with the exception's reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from governance.agreement import Agreement
from governance.rules.base import Finding
from schemas.canonical import JSON, canonical_json, digest, parse_canonical, parse_json
from schemas.dsse import parse_envelope, sign_payload, verify_payload
from schemas.errors import EnvelopeInvalid, ExceptionInvalid, NotCanonical
from schemas.identity import PrivateIdentity

FORMAT = "tallystick-exception"
PAYLOAD_TYPE = "application/vnd.tallystick.exception.v1+json"
MAX_BYTES = 64 * 1024
NEVER = frozenset({"D01", "D03", "D04", "L02", "R01"})
"""Rules without exceptions: whether a document is whole, signed and the same is a fact and no judgement."""

_FIELDS = ("agreement", "rule", "concerns", "role", "granted_by", "reason", "from", "until")


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedException:
    """A verified exception.

    Attributes:
        rule: The rule that it sets aside.
        concerns: Party whose artefacts it holds for.
        role, granted_by: Who granted it: a role at a party.
        reason: Why, in plain words.
        starts_on, expires_on: First and last day.
        reference: Short name, from its digest.
    """

    rule: str
    concerns: str
    role: str
    granted_by: str
    reason: str
    starts_on: date
    expires_on: date
    reference: str

    def sign_off(self) -> str:
        """Return who signed off what until when, in one line."""
        return (
            f"{self.rule} for {self.concerns} until {self.expires_on.isoformat()}, granted by the {self.role} of "
            f"{self.granted_by}: {self.reason} [{self.reference}]"
        )


def new_exception(
    *,
    agreement: Agreement,
    rule: str,
    concerns: str,
    role: str,
    reason: str,
    starts_on: date,
    expires_on: date,
    identity: PrivateIdentity,
) -> dict[str, JSON]:
    """Return a signed exception (a DSSE envelope).

    Raises:
        ExceptionInvalid: The agreement does not let this role of this party grant it, or it lasts too long.
    """
    body: dict[str, JSON] = {
        "format": FORMAT,
        "version": 1,
        "agreement": agreement.digest,
        "rule": rule,
        "concerns": concerns,
        "role": role,
        "granted_by": identity.party,
        "reason": reason,
        "from": starts_on.isoformat(),
        "until": expires_on.isoformat(),
    }
    _parsed(body, agreement, where="exception")
    return sign_payload(PAYLOAD_TYPE, canonical_json(body), [identity])


def _parsed(body: JSON, agreement: Agreement, *, where: str) -> SignedException:
    """Return what a body says, if the agreement lets it."""
    if not isinstance(body, dict) or set(body) != {"format", "version", *_FIELDS} or body["format"] != FORMAT:
        raise ExceptionInvalid("this is not an exception as this release reads it.", where=where)
    texts = {name: str(body[name]) for name in _FIELDS}
    try:
        starts, ends = date.fromisoformat(texts["from"]), date.fromisoformat(texts["until"])
    except ValueError:
        raise ExceptionInvalid("its dates are no dates.", where=where) from None
    if texts["agreement"] != agreement.digest:
        raise ExceptionInvalid(
            "it was granted under another agreement, or another version of it.", where=where
        )
    if texts["rule"] in NEVER:
        raise ExceptionInvalid(
            f"rule {texts['rule']} has no exceptions.", where=where, remedy="Put right what it found."
        )
    parties = {party.id for party in agreement.parties} | {agreement.unit_id}
    if texts["concerns"] not in parties:
        raise ExceptionInvalid("it concerns nobody who is named in the agreement.", where=where)
    if not texts["reason"].strip():
        raise ExceptionInvalid("it gives no reason.", where=where, remedy="Say why in a sentence.")
    _require_role(texts, agreement, days=(ends - starts).days + 1, where=where)
    return SignedException(
        rule=texts["rule"],
        concerns=texts["concerns"],
        role=texts["role"],
        granted_by=texts["granted_by"],
        reason=texts["reason"],
        starts_on=starts,
        expires_on=ends,
        reference="exception " + digest(body).removeprefix("sha256:")[:12],
    )


def _require_role(texts: dict[str, str], agreement: Agreement, *, days: int, where: str) -> None:
    entry = next(
        (
            entry
            for entry in agreement.exceptions
            if (entry.role, entry.party) == (texts["role"], texts["granted_by"])
            and texts["rule"] in entry.rules
        ),
        None,
    )
    if entry is None:
        raise ExceptionInvalid(
            f"the agreement does not let this role grant exceptions to {texts['rule']}.",
            where=where,
            remedy="The agreement lists under `exceptions` which role of which party may.",
        )
    if not 1 <= days <= entry.longest_days:
        raise ExceptionInvalid(
            f"it lasts {days} days; the agreement allows {entry.longest_days} at most.", where=where
        )


def load_exception(path: Path, agreement: Agreement) -> SignedException:
    """Read and verify an exception.

    Raises:
        ExceptionInvalid: It is not well formed, not signed by the party that it names, or not allowed.
    """
    where = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        envelope = parse_json(data) if len(data) <= MAX_BYTES else None
        signed = verify_payload(envelope, agreement.identities, payload_type=PAYLOAD_TYPE)  # type: ignore[arg-type]
        body = parse_canonical(parse_envelope(envelope).payload)
    except OSError as error:
        raise ExceptionInvalid(f"cannot be read ({error.strerror}).", where=where) from None
    except (NotCanonical, EnvelopeInvalid, TypeError):
        raise ExceptionInvalid("this is no signed exception.", where=where) from None
    found = _parsed(body, agreement, where=where)
    if found.granted_by not in signed:
        raise ExceptionInvalid(
            "it is not signed with the key of the party that grants it.",
            where=where,
            remedy="Ask that party to sign it (tallystick exception new).",
        )
    return found


def load_exceptions(paths: Sequence[Path], agreement: Agreement) -> tuple[SignedException, ...]:
    """Read and verify several exceptions; errors as for `load_exception`."""
    return tuple(load_exception(path, agreement) for path in paths)


def cover(
    findings: Iterable[Finding], exceptions: Iterable[SignedException], *, party: str, today: date
) -> list[Finding]:
    """Mark the findings that an exception covers; where one is for the rule and does not count, say why.

    Args:
        findings: Findings about an artefact of `party`.
        exceptions: Verified exceptions.
        party: Whose artefact it is.
        today: An exception counts from its first to its last day.
    """
    granted = list(exceptions)
    covering = {each.rule: each for each in granted if _why_not(each, party=party, today=today) is None}
    found = []
    for each in findings:
        if each.rule in covering:
            found.append(replace(each, exception=covering[each.rule].sign_off()))
            continue
        shown = [_why_not(one, party=party, today=today) for one in granted if one.rule == each.rule]
        found.append(replace(each, fix=" ".join([each.fix, *filter(None, shown)]).strip()))
    return found


def _why_not(granted: SignedException, *, party: str, today: date) -> str | None:
    """Return why an exception does not count for an artefact of `party` today; None when it does."""
    if granted.concerns != party:
        return f"The exception shown concerns {granted.concerns}, not {party}."
    if today > granted.expires_on:
        return f"The exception shown counted until {granted.expires_on.isoformat()}."
    if today < granted.starts_on:
        return f"The exception shown counts from {granted.starts_on.isoformat()}."
    return None
