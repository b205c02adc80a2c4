"""DSSE envelopes: signatures over the bytes of a document together with its type.

Source: DSSE 1.0 protocol (github.com/secure-systems-lab/dsse), pre-authentication encoding "DSSEv1".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.canonical import JSON, from_base64, to_base64
from schemas.errors import BadSignature, EnvelopeInvalid, NotCanonical
from schemas.identity import PrivateIdentity, PublicIdentity

MAX_SIGNATURES = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """One signature of an envelope: the id of the key it claims to be from (only a hint), and 64 bytes."""

    key_id: str
    value: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A parsed envelope. Nothing in it is genuine before a signature was verified over `payload`."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


def pae(payload_type: str, body: bytes) -> bytes:
    """Return the pre-authentication encoding: what is in fact signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def sign_payload(payload_type: str, body: bytes, identities: Iterable[PrivateIdentity]) -> dict[str, JSON]:
    """Return an envelope (JSON-able) over `body` with one signature of each identity."""
    message = pae(payload_type, body)
    return {
        "payloadType": payload_type,
        "payload": to_base64(body),
        "signatures": [_signature(identity, message) for identity in identities],
    }


def countersign(envelope: Mapping[str, JSON], identities: Iterable[PrivateIdentity]) -> dict[str, JSON]:
    """Return a copy of `envelope` with more signatures over the same bytes; a key signs once.

    Raises:
        EnvelopeInvalid: The envelope is not well formed.
    """
    parsed = parse_envelope(envelope)
    present = {signature.key_id for signature in parsed.signatures}
    added = sign_payload(
        parsed.payload_type,
        parsed.payload,
        [identity for identity in identities if identity.public.signing_key_id not in present],
    )
    before, after = envelope["signatures"], added["signatures"]
    assert isinstance(before, list | tuple)  # noqa: S101 - parse_envelope checked it
    assert isinstance(after, list)  # noqa: S101
    return {**envelope, "signatures": [*before, *after]}


def verify_payload(
    envelope: Mapping[str, JSON],
    known: Mapping[str, PublicIdentity],
    *,
    payload_type: str | None = None,
    body: bytes | None = None,
) -> set[str]:
    """Return the ids of the parties that really signed; signatures that do not verify do not count.

    A key counts once: when two parties list the same signing key, only the first of their ids, in
    alphabetical order, is returned, so one key holder can never make up a quorum alone.

    Args:
        envelope: The envelope as JSON.
        known: Party id to identity, from the agreement.
        payload_type: The type the caller expects, checked when given.
        body: The bytes the caller holds (a detached signature), checked against the payload when given.

    Raises:
        EnvelopeInvalid: The envelope is not well formed or is of another payload type.
        BadSignature: The envelope is over other bytes than `body`.
    """
    parsed = parse_envelope(envelope)
    if payload_type is not None and parsed.payload_type != payload_type:
        raise EnvelopeInvalid("this signature is over another type of document.", where="payloadType")
    if body is not None and parsed.payload != body:
        raise BadSignature("the signature is over another version of this document.")
    message = pae(parsed.payload_type, parsed.payload)
    owners = key_owners(known)
    return {
        owners[signature.key_id].party
        for signature in parsed.signatures
        if signature.key_id in owners and _verifies(owners[signature.key_id], signature, message)
    }


def key_owners(known: Mapping[str, PublicIdentity]) -> dict[str, PublicIdentity]:
    """Return signing key id to the identity that owns it; a key claimed twice belongs to the first id."""
    owners: dict[str, PublicIdentity] = {}
    for identity in sorted(known.values(), key=lambda item: item.party):
        owners.setdefault(identity.signing_key_id, identity)
    return owners


def parse_envelope(value: JSON) -> Envelope:
    """Check the shape of an envelope and decode it.

    Raises:
        EnvelopeInvalid: A field is missing, unknown or of another type, or not base64.
    """
    if not isinstance(value, Mapping) or set(value) != {"payloadType", "payload", "signatures"}:
        raise EnvelopeInvalid("an envelope has exactly: payloadType, payload, signatures.")
    payload_type, signatures = value["payloadType"], value["signatures"]
    if not isinstance(payload_type, str):
        raise EnvelopeInvalid("this has to be text.", where="payloadType")
    if not isinstance(signatures, list | tuple) or len(signatures) > MAX_SIGNATURES:
        raise EnvelopeInvalid(f"this has to be a list of at most {MAX_SIGNATURES}.", where="signatures")
    return Envelope(
        payload_type=payload_type,
        payload=_b64(value["payload"], "payload"),
        signatures=tuple(_parse_signature(item, index) for index, item in enumerate(signatures)),
    )


def _parse_signature(value: JSON, index: int) -> Signature:
    where = f"signatures[{index}]"
    if (
        not isinstance(value, Mapping)
        or set(value) != {"keyid", "sig"}
        or not isinstance(value["keyid"], str)
    ):
        raise EnvelopeInvalid("a signature has exactly: keyid, sig.", where=where)
    return Signature(key_id=value["keyid"], value=_b64(value["sig"], f"{where}.sig"))


def _signature(identity: PrivateIdentity, message: bytes) -> dict[str, JSON]:
    return {
        "keyid": identity.public.signing_key_id,
        "sig": to_base64(identity.sign(message)),
    }


def _verifies(identity: PublicIdentity, signature: Signature, message: bytes) -> bool:
    try:
        identity.verify(signature.value, message)
    except BadSignature:
        return False
    return True


def _b64(value: JSON, where: str) -> bytes:
    try:
        return from_base64(value)
    except NotCanonical:
        raise EnvelopeInvalid("this has to be base64.", where=where) from None
