"""The signed manifest of a package: who sent what to whom, under which agreement, for which run.

The fields are written down in docs/spec/package-v1.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.canonical import JSON, canonical_json, digest, parse_canonical
from schemas.errors import ManifestInvalid, NotCanonical
from schemas.identity import PARTY_ID

FORMAT = "tallystick-package"
VERSION = 1
PAYLOAD_TYPE = "application/vnd.tallystick.package.v1+json"
MAX_MANIFEST_BYTES = 2 * 1024 * 1024
MAX_PARTS = 4096
MAX_COUNTS = 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""Kinds, purposes, run ids, count names and part names. A name is no path: it has no slash."""
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX16 = re.compile(r"[0-9a-f]{32}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_MAX_INTEGER = 2**53 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One byte stream of a package.

    Attributes:
        name: Its name, unique in the package.
        media_type: Such as `application/vnd.apache.arrow.stream`.
        length: Bytes.
        sha256: `"sha256:"` and 64 hexadecimal digits.
    """

    name: str
    media_type: str
    length: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What the sender signed.

    Attributes:
        kind: `sealed`, `return`, `crosswalk` or another kind that the caller defines.
        agreement_digest: Digest of the signed agreement.
        run_id: The run.
        sender: Party id of the signer.
        sender_key_id: `PublicIdentity.signing_key_id` of the sender.
        recipient: Party id of the only reader.
        recipient_key_id: `PublicIdentity.receiving_key_id` of the reader, hexadecimal.
        header_digest: SHA-256 of the header of the one package that this manifest belongs to, `"sha256:…"`.
        purpose: Purpose id of the agreement.
        created_at: UTC, to the second.
        counts: What the package says it holds, such as `{"subjects": 4100}`.
        facts: Any JSON the caller adds.
        parts: The byte streams in their order.
    """

    kind: str
    agreement_digest: str
    run_id: str
    sender: str
    sender_key_id: str
    recipient: str
    recipient_key_id: str
    header_digest: str
    purpose: str
    created_at: datetime
    counts: Mapping[str, int]
    facts: Mapping[str, JSON]
    parts: tuple[Part, ...]

    @property
    def package_id(self) -> str:
        """Digest of the signed bytes, for a replay register. It is unique because `header_digest` is."""
        return digest(self.to_dict())

    def count(self, name: str) -> int:
        """Return a count that the reader relies on.

        Raises:
            ManifestInvalid: The sender did not give it.
        """
        if name not in self.counts:
            raise ManifestInvalid(f"the manifest has no count of {name}.", where="counts")
        return self.counts[name]

    def to_dict(self) -> dict[str, JSON]:
        """Return the JSON form."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "agreement": self.agreement_digest,
            "run": self.run_id,
            "sender": {"party": self.sender, "key": self.sender_key_id},
            "recipient": {"party": self.recipient, "key": self.recipient_key_id},
            "header": self.header_digest,
            "purpose": self.purpose,
            "created_at": self.created_at.astimezone(UTC).strftime(_TIME),
            "counts": dict(self.counts),
            "facts": self.facts,
            "parts": [
                {
                    "name": part.name,
                    "media_type": part.media_type,
                    "length": part.length,
                    "sha256": part.sha256,
                }
                for part in self.parts
            ],
        }

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, which are what is signed.

        Raises:
            ManifestInvalid: The manifest breaks a rule of the format; a reader would refuse it.
        """
        try:
            data = canonical_json(self.to_dict())
        except NotCanonical as error:
            raise ManifestInvalid(error.message, where="facts", remedy=error.remedy) from None
        parse_manifest(data)
        return data


def parse_manifest(data: bytes) -> Manifest:
    """Read the canonical bytes of a manifest. Callers verify the signature over `data` first.

    Raises:
        ManifestInvalid: A field is missing, unknown, of another type or out of its limits; `where` names it.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"a manifest has at most {MAX_MANIFEST_BYTES} bytes.")
    try:
        value = parse_canonical(data)
    except NotCanonical as error:
        raise ManifestInvalid(error.message) from None
    top = _object(value, "manifest", _FIELDS)
    if top["format"] != FORMAT or top["version"] is not VERSION:
        raise ManifestInvalid(f"this has to be {FORMAT!r}, version {VERSION}.", where="format")
    sender = _object(top["sender"], "sender", {"party", "key"})
    recipient = _object(top["recipient"], "recipient", {"party", "key"})
    return Manifest(
        kind=_text(top["kind"], "kind", NAME),
        agreement_digest=_text(top["agreement"], "agreement", _DIGEST),
        run_id=_text(top["run"], "run", NAME),
        sender=_text(sender["party"], "sender.party", PARTY_ID),
        sender_key_id=_text(sender["key"], "sender.key", _DIGEST),
        recipient=_text(recipient["party"], "recipient.party", PARTY_ID),
        recipient_key_id=_text(recipient["key"], "recipient.key", _HEX16),
        header_digest=_text(top["header"], "header", _DIGEST),
        purpose=_text(top["purpose"], "purpose", NAME),
        created_at=_time(top["created_at"]),
        counts=_counts(top["counts"]),
        facts=_facts(top["facts"]),
        parts=_parts(top["parts"]),
    )


_FIELDS = {
    *("format", "version", "kind", "agreement", "run", "sender", "recipient"),
    *("header", "purpose", "created_at", "counts", "facts", "parts"),
}


def _object(value: JSON, where: str, fields: set[str]) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise ManifestInvalid("this has to be an object.", where=where)
    if set(value) != fields:
        raise ManifestInvalid(f"this has exactly the fields: {', '.join(sorted(fields))}.", where=where)
    return value


def _text(value: JSON, where: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ManifestInvalid(f"this has to be text of the form {pattern.pattern}.", where=where)
    return value


def _integer(value: JSON, where: str) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_INTEGER:
        raise ManifestInvalid("this has to be a whole number from 0 to 2^53 - 1.", where=where)
    return value


def _time(value: JSON) -> datetime:
    try:
        parsed = datetime.strptime(value if isinstance(value, str) else "", _TIME).replace(tzinfo=UTC)
    except ValueError:
        parsed = None
    if parsed is None or parsed.strftime(_TIME) != value:
        raise ManifestInvalid("this has to be a UTC time such as 2026-06-30T12:00:00Z.", where="created_at")
    return parsed


def _counts(value: JSON) -> dict[str, int]:
    if not isinstance(value, Mapping) or len(value) > MAX_COUNTS:
        raise ManifestInvalid(f"this has to be an object of at most {MAX_COUNTS} counts.", where="counts")
    return {_text(name, "counts", NAME): _integer(count, "counts") for name, count in value.items()}


def _facts(value: JSON) -> Mapping[str, JSON]:
    if not isinstance(value, Mapping):
        raise ManifestInvalid("this has to be an object.", where="facts")
    return value


def _parts(value: JSON) -> tuple[Part, ...]:
    if not isinstance(value, list) or len(value) > MAX_PARTS:
        raise ManifestInvalid(f"this has to be a list of at most {MAX_PARTS} parts.", where="parts")
    parts = tuple(_part(item, f"parts[{index}]") for index, item in enumerate(value))
    if len({part.name for part in parts}) != len(parts):
        raise ManifestInvalid("two parts have the same name.", where="parts")
    return parts


def _part(value: JSON, where: str) -> Part:
    fields = _object(value, where, {"name", "media_type", "length", "sha256"})
    return Part(
        name=_text(fields["name"], f"{where}.name", NAME),
        media_type=_text(fields["media_type"], f"{where}.media_type", _MEDIA_TYPE),
        length=_integer(fields["length"], f"{where}.length"),
        sha256=_text(fields["sha256"], f"{where}.sha256", _DIGEST),
    )
