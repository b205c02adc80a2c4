"""The linkage secret: every agency contributes, nobody chooses, the linkage unit never sees it.

In order: every agency makes a contribution and publishes a signed commitment to it; when an agency holds the
commitments of all, it reveals its contribution, sealed, to each other agency; when it holds all contributions
it combines them. All read the check value to each other. The steps, and what to do when an agency loses its
copy, leaves or stops answering, are in docs/spec/keys-v1.md.

Security: a contribution is fixed by its commitment before its owner sees any other, so no party, and no group
that leaves out one honest agency, can choose the result (Blum, "Coin flipping by telephone", 1981). A party
that refuses to reveal can stop a ceremony, in everybody's sight; the next one starts from new contributions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from hashing.contribution import (
    Commitment,
    Contribution,
    check_commitment,
    combine,
    contribute,
    one_of_each,
)
from hashing.secret import (
    SECRET_BYTES,
    Ceremony,
    KeyState,
    LinkageSecret,
    check_value,
    confirm,
    load_secret,
    next_ceremony,
    save_secret,
)
from schemas.canonical import JSON, canonical_json, digest, parse_canonical
from schemas.container import Expectation, open_package, write_package
from schemas.dsse import parse_envelope, sign_payload, verify_payload
from schemas.errors import CeremonyError, CommitmentBroken, NotCanonical
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.keyfile import load_secret_file, save_secret_file

__all__ = [
    "Ceremony",
    "Commitment",
    "Contribution",
    "KeyState",
    "LinkageSecret",
    "check_value",
    "combine",
    "confirm",
    "contribute",
    "load_contribution",
    "load_secret",
    "next_ceremony",
    "read_commitment",
    "read_handover",
    "read_reveal",
    "save_contribution",
    "save_secret",
    "sign_commitment",
    "write_handover",
    "write_reveal",
]

_COMMITMENT_TYPE = "application/vnd.tallystick.commitment.v1+json"
_PART = "secret"
_MEDIA_TYPE = "application/octet-stream"


def sign_commitment(contribution: Contribution, identity: PrivateIdentity) -> dict[str, JSON]:
    """Return the signed commitment (a DSSE envelope) to publish to every agency.

    Raises:
        CeremonyError: The identity is another party's.
    """
    _own(contribution, identity)
    body = canonical_json(
        {
            "ceremony": contribution.ceremony.to_dict(),
            "party": contribution.party,
            "commitment": contribution.commitment.value.hex(),
        }
    )
    return sign_payload(_COMMITMENT_TYPE, body, [identity])


def read_commitment(
    envelope: Mapping[str, JSON], *, known: Mapping[str, PublicIdentity], ceremony: Ceremony
) -> Commitment:
    """Return a commitment after verifying that its own party signed it, for this ceremony.

    Raises:
        EnvelopeInvalid: The envelope is not well formed.
        CeremonyError: It is not a commitment, not signed by its party, or for another ceremony.
    """
    signers = verify_payload(envelope, known, payload_type=_COMMITMENT_TYPE)
    try:
        value = parse_canonical(parse_envelope(envelope).payload)
        if not isinstance(value, Mapping) or set(value) != {"ceremony", "party", "commitment"}:
            raise ValueError
        party, commitment = str(value["party"]), bytes.fromhex(str(value["commitment"]))
    except (NotCanonical, ValueError):
        raise CeremonyError("this is not a commitment.") from None
    if party not in ceremony.parties or len(commitment) != SECRET_BYTES:
        # The name comes from an unverified file, so it is not repeated in the message.
        raise CeremonyError("this commitment names a party outside the ceremony, or is of another length.")
    if signers != {party}:
        raise CeremonyError("this commitment is not signed by the agency it names.", where=f"party {party}")
    if Ceremony.from_dict(value["ceremony"]) != ceremony:
        raise CeremonyError(
            "this commitment is for another ceremony.",
            where=f"party {party}",
            remedy="Compare agreement, epoch, agencies and dates with the other agencies.",
        )
    return Commitment(ceremony=ceremony, party=party, value=commitment)


def write_reveal(
    target: Path,
    contribution: Contribution,
    *,
    commitments: Iterable[Commitment],
    sender: PrivateIdentity,
    recipient: PublicIdentity,
    created_at: datetime,
) -> None:
    """Seal a contribution to one other agency. Refused until the commitments of all are there.

    Raises:
        CeremonyError: The recipient is no agency of this ceremony, or the sender is another party.
        ContributionMissing, ContributionDoubled: The commitments are not exactly one of each agency.
        CommitmentBroken: The own commitment among them is another one.
        OutputError: The file cannot be written.
    """
    _own(contribution, sender)
    ceremony = contribution.ceremony
    _check_recipient(ceremony, recipient)
    ordered = one_of_each(ceremony, commitments)
    if ordered[contribution.party] != contribution.commitment:
        raise CommitmentBroken("the published commitment is not the one to this contribution.")
    _write(
        target,
        "contribution",
        ceremony,
        secret=contribution._nonce + contribution._value,
        facts={"commitments": _commitments_digest(ordered)},
        sender=sender,
        recipient=recipient,
        created_at=created_at,
    )


def read_reveal(
    path: Path,
    *,
    recipient: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    ceremony: Ceremony,
    commitments: Iterable[Commitment],
) -> Contribution:
    """Open another agency's contribution and check it against its commitment.

    Raises:
        PackageError: The sealed file is not genuine, or not for this ceremony.
        CommitmentBroken: It is not what the agency committed to, or the agency saw other commitments.
    """
    ordered = one_of_each(ceremony, commitments)
    sender, secret, facts = _read(path, "contribution", ceremony, recipient, known)
    if facts.get("commitments") != _commitments_digest(ordered):
        raise CommitmentBroken(
            "this agency holds other commitments than you do.",
            where=f"party {sender}",
            remedy="Compare the commitment files with every agency; somebody sent two versions.",
        )
    contribution = Contribution(
        ceremony=ceremony, party=sender, nonce=secret[:SECRET_BYTES], value=secret[SECRET_BYTES:]
    )
    check_commitment(contribution, ordered)
    return contribution


def write_handover(
    target: Path,
    secret: LinkageSecret,
    *,
    sender: PrivateIdentity,
    recipient: PublicIdentity,
    created_at: datetime,
) -> None:
    """Seal the secret to an agency of its ceremony that lost its copy (and had it not stolen: then rotate).

    Raises:
        CeremonyError: The recipient was no agency of the ceremony.
        OutputError: The file cannot be written.
    """
    _check_recipient(secret.ceremony, recipient)
    _write(
        target,
        "handover",
        secret.ceremony,
        secret=secret._value,
        facts={},
        sender=sender,
        recipient=recipient,
        created_at=created_at,
    )


def read_handover(
    path: Path,
    *,
    recipient: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    ceremony: Ceremony,
    spoken: str,
) -> LinkageSecret:
    """Open a handed-over secret. `spoken` is the check value as read out by an agency other than the sender.

    Raises:
        PackageError: The sealed file is not genuine, or not for this ceremony.
        CeremonyError: The check value differs.
    """
    _, value, _ = _read(path, "handover", ceremony, recipient, known)
    secret = LinkageSecret(ceremony=ceremony, value=value)
    confirm(secret, spoken)
    return secret


def save_contribution(
    contribution: Contribution,
    path: Path,
    passphrase: bytes | None,
    profile: str = "interactive",
    *,
    unprotected: bool = False,
) -> None:
    """Save between commit and combine; delete the file when the secret is combined.

    Raises:
        IdentityError, OutputError: As for `schemas.keyfile.save_secret_file`.
    """
    save_secret_file(
        path,
        holds="contribution",
        secret=contribution._nonce + contribution._value,
        public={"ceremony": contribution.ceremony.to_dict(), "party": contribution.party},
        passphrase=passphrase,
        profile=profile,
        unprotected=unprotected,
    )


def load_contribution(path: Path, passphrase: bytes | None) -> Contribution:
    """Load what `save_contribution` wrote.

    Raises:
        KeyFileInvalid, WrongPassphrase: As for `schemas.keyfile.load_secret_file`.
    """
    raw, public = load_secret_file(path, holds="contribution", passphrase=passphrase)
    return Contribution(
        ceremony=Ceremony.from_dict(public.get("ceremony")),
        party=str(public.get("party")),
        nonce=raw[:SECRET_BYTES],
        value=raw[SECRET_BYTES:],
    )


def _own(contribution: Contribution, identity: PrivateIdentity) -> None:
    if identity.party != contribution.party:
        raise CeremonyError("this contribution belongs to another party than this identity.")


def _check_recipient(ceremony: Ceremony, recipient: PublicIdentity) -> None:
    if recipient.party not in ceremony.parties:
        raise CeremonyError(
            "this party is no agency of the ceremony, so nothing is sealed to it.",
            where=f"party {recipient.party}",
            remedy="The linkage unit and outsiders must never hold the linkage secret.",
        )


def _commitments_digest(ordered: Mapping[str, Commitment]) -> str:
    return digest({party: commitment.value.hex() for party, commitment in ordered.items()})


def _write(
    target: Path,
    kind: str,
    ceremony: Ceremony,
    *,
    secret: bytes,
    facts: Mapping[str, JSON],
    sender: PrivateIdentity,
    recipient: PublicIdentity,
    created_at: datetime,
) -> None:
    write_package(
        target,
        kind=kind,
        sender=sender,
        recipient=recipient,
        agreement_digest=ceremony.agreement_digest,
        run_id=f"epoch-{ceremony.epoch}",
        purpose="linkage-secret",
        created_at=created_at,
        counts={},
        facts={**facts, "ceremony": ceremony.to_dict()},
        parts=[(_PART, _MEDIA_TYPE, [secret])],
    )


def _read(
    path: Path,
    kind: str,
    ceremony: Ceremony,
    recipient: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
) -> tuple[str, bytes, Mapping[str, JSON]]:
    expect = Expectation(
        kind=kind,
        agreement_digest=ceremony.agreement_digest,
        run_id=f"epoch-{ceremony.epoch}",
        purpose="linkage-secret",
    )
    senders = {party: identity for party, identity in known.items() if party in ceremony.parties}
    with open_package(path, recipient=recipient, known_senders=senders, expect=expect) as package:
        facts = package.manifest.facts
        if facts.get("ceremony") != ceremony.to_dict():
            raise CeremonyError("this file is for another ceremony.", where=str(path))
        return package.manifest.sender, package.read_all(_PART, limit=2 * SECRET_BYTES), facts
