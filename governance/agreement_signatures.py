"""Detached signatures of an agreement: one DSSE file a signer, over the canonical bytes of the document.

`agreement.yaml` has its signatures in the folder `agreement.yaml.sigs`, as `<party>.dsse.json`. An envelope carries
the bytes it was made over, so an earlier signed version stays known when the document is changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.agreement import Agreement
from schemas.atomic import atomic_write
from schemas.canonical import canonical_json, digest, parse_canonical, parse_json
from schemas.dsse import Envelope, parse_envelope, sign_payload, verify_payload
from schemas.errors import AgreementInvalid, BadSignature, EnvelopeInvalid, NotCanonical, OutputError
from schemas.identity import PrivateIdentity, PublicIdentity

PAYLOAD_TYPE = "application/vnd.tallystick.agreement.v1+json"
"""What a signature says it is over; a signature over any other type never counts for an agreement."""

ENDING = ".dsse.json"
_LARGEST = 8 * 1024 * 1024  # bytes: twice the largest document, as base64 grows it by a third
_MOST = 256  # files in the folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Signatures:
    """What the signature files of an agreement prove.

    Attributes:
        signers: Parties whose valid signature over exactly this document was found; a key counts once.
        broken: File name -> why the file proves nothing, in words.
        earlier: Documents that these parties signed before, latest version last.
    """

    signers: frozenset[str] = frozenset()
    broken: Mapping[str, str] = field(default_factory=dict)
    earlier: tuple[Mapping[str, Any], ...] = ()


def signatures_folder(agreement_file: Path) -> Path:
    """Return the folder where the signatures of `agreement_file` stand."""
    return agreement_file.with_name(agreement_file.name + ".sigs")


def require_own_keys(
    agreement: Agreement, identity: PrivateIdentity | PublicIdentity, *, remedy: str
) -> None:
    """Refuse an identity that is no party, or whose keys are not the ones that the agreement holds of it.

    Args:
        agreement: The agreement.
        identity: Who wants to work under it.
        remedy: What to do when the keys differ.

    Raises:
        AgreementInvalid: As said.
    """
    party = agreement.party(identity.party)
    if party is None:
        raise AgreementInvalid(
            f"{identity.party} is no party to this agreement.", remedy="Use the key file of a party."
        )
    public = identity if isinstance(identity, PublicIdentity) else identity.public
    if party.keys != public:
        raise AgreementInvalid(
            f"the agreement holds other keys of {identity.party} than this key file.", remedy=remedy
        )


def sign_agreement(agreement: Agreement, identity: PrivateIdentity) -> dict[str, Any]:
    """Return the envelope by which `identity` signs the agreement.

    Raises:
        AgreementInvalid: The signer is no party, or the agreement holds other keys of it.
    """
    remedy = "Put the public keys into the agreement first (tallystick keys show FILE --public)."
    require_own_keys(agreement, identity, remedy=remedy)
    return sign_payload(PAYLOAD_TYPE, canonical_json(agreement.document), [identity])


def write_signature(agreement_file: Path, agreement: Agreement, identity: PrivateIdentity) -> Path:
    """Sign the agreement and put the signature where the commands look for it; return its path.

    Raises:
        AgreementInvalid: As for `sign_agreement`.
        OutputError: The folder cannot be written.
    """
    envelope = sign_agreement(agreement, identity)
    folder = signatures_folder(agreement_file)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write here ({error.strerror}).", where=str(folder)) from None
    target = folder / f"{identity.party}{ENDING}"
    atomic_write(target, json.dumps(envelope, indent=1) + "\n")
    return target


def _read(path: Path) -> tuple[Mapping[str, Any], Envelope]:
    """Raises OSError, NotCanonical or EnvelopeInvalid when the file is no signature of an agreement."""
    if path.stat().st_size > _LARGEST:
        raise EnvelopeInvalid("is larger than any agreement.")
    value = parse_json(path.read_bytes())
    envelope = parse_envelope(value)
    if envelope.payload_type != PAYLOAD_TYPE or not isinstance(value, Mapping):
        raise EnvelopeInvalid("is a signature over another type of document.")
    return value, envelope


def _earlier(envelope: Envelope, agreement: Agreement) -> Mapping[str, Any] | None:
    """Return the document of an envelope over other bytes, when it is one of this agreement's earlier versions."""
    try:
        document = parse_canonical(envelope.payload)
    except NotCanonical:
        return None
    return document if isinstance(document, Mapping) and document.get("id") == agreement.id else None


def read_signatures(folder: Path, agreement: Agreement) -> Signatures:
    """Verify every signature file in `folder` over the canonical bytes of the agreement.

    A file that proves nothing is listed in `broken`; one over an earlier version, validly signed, only in `earlier`. An
    earlier version under keys that nobody holds any more (a party left, or has new keys) is passed over.
    """
    body = canonical_json(agreement.document)
    known = {party.id: party.keys for party in agreement.parties if party.keys is not None}
    signers: set[str] = set()
    broken: dict[str, str] = {}
    earlier: dict[str, Mapping[str, Any]] = {}
    files = sorted(folder.glob(f"*{ENDING}"))[:_MOST] if folder.is_dir() else []
    for path in files:
        try:
            value, envelope = _read(path)
            found = verify_payload(value, known, payload_type=PAYLOAD_TYPE)
            document = None if envelope.payload == body else _earlier(envelope, agreement)
            if envelope.payload == body:
                signers |= found
            elif document is not None and found:
                earlier[digest(document)] = document
            if not found and document is None:
                broken[path.name] = "holds no valid signature of a party's key"
        except OSError:
            broken[path.name] = "cannot be read"
        except (NotCanonical, EnvelopeInvalid, BadSignature):
            broken[path.name] = "is no signature of an agreement"
    ordered = sorted(earlier.values(), key=lambda document: _version(document.get("version")))
    return Signatures(signers=frozenset(signers), broken=broken, earlier=tuple(ordered))


def _version(text: object) -> tuple[int, ...]:
    parts = str(text).split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
