"""The receipt of an erasure: what was changed or deleted, with digests before and after, signed by who did it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from governance.audit.access import path_digest
from governance.lifecycle.rewriting import Rows
from schemas.atomic import atomic_write
from schemas.canonical import JSON, canonical_json, from_base64, parse_canonical, parse_json
from schemas.dsse import sign_payload, verify_payload
from schemas.errors import EnvelopeInvalid, ErasureError, NotCanonical
from schemas.identity import PrivateIdentity, PublicIdentity

FORMAT, VERSION = "tallystick-erasure-receipt", 1
PAYLOAD_TYPE = "application/vnd.tallystick.erasure-receipt.v1+json"
MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One artefact that an erasure touches.

    Attributes:
        kind: Its kind, as in `artefacts.Found`, or `table` for a table of a run.
        name: Its name within the folder that was searched.
        path: The file.
        before: Its digest.
        rows: Rows before and after; None when it goes whole.
        why: Why it goes whole; empty when rows are taken out.
    """

    kind: str
    name: str
    path: Path
    before: str
    rows: Rows | None
    why: str = ""

    def to_dict(self) -> dict[str, JSON]:
        """Return the JSON form, with the digest that the file has now."""
        return {
            "kind": self.kind,
            "name": self.name,
            "before": self.before,
            "after": path_digest(self.path) if self.path.exists() else None,
            "rows_before": self.rows.before if self.rows else None,
            "rows_after": self.rows.after if self.rows else None,
            "why": self.why,
        }


def receipt_body(
    *,
    agreement: str,
    organisation: str,
    scope: Mapping[str, JSON],
    changes: Sequence[Change],
    remaining: int,
    unread: Sequence[str],
    sent: Sequence[Mapping[str, JSON]],
    now: datetime,
) -> dict[str, JSON]:
    """Return the body of a receipt: digests and counts, never a reference.

    Args:
        agreement: Digest of the agreement.
        organisation: Who erased.
        scope: What was asked for: kind, counts, runs.
        changes: What was changed.
        remaining: Rows about the subjects that a second search found; an erasure fails unless it is 0.
        unread: Files that hold a reference in another form than those that are known, for people to look at.
        sent: Digests of the requests or notices that were written for others.
        now: Time, with a zone.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "agreement": agreement,
        "organisation": organisation,
        "made_at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "scope": dict(scope),
        "artefacts": [change.to_dict() for change in changes],
        "remaining": remaining,
        "look_at": list(unread),
        "sent": [dict(each) for each in sent],
    }


def write_receipt(path: Path, body: Mapping[str, JSON], signer: PrivateIdentity) -> None:
    """Sign a receipt and write it.

    Raises:
        OutputError: It cannot be written.
    """
    atomic_write(path, canonical_json(sign_payload(PAYLOAD_TYPE, canonical_json(body), [signer])))


def read_receipt(path: Path, known: Mapping[str, PublicIdentity]) -> dict[str, Any]:
    """Return what a receipt says, after verifying that its organisation signed it.

    Raises:
        ErasureError: It is no receipt, or no signature of its organisation is good.
    """
    try:
        with path.open("rb") as stream:
            envelope = parse_json(stream.read(MAX_BYTES))
        assert isinstance(envelope, dict)  # noqa: S101 - caught below
        signers = verify_payload(envelope, known, payload_type=PAYLOAD_TYPE)
        body = parse_canonical(from_base64(envelope["payload"]))
    except (OSError, NotCanonical, EnvelopeInvalid, AssertionError):
        body, signers = None, set()
    if not isinstance(body, dict) or body.get("format") != FORMAT or body.get("version") != VERSION:
        raise ErasureError("this is not a receipt of an erasure.", where=str(path))
    if body["organisation"] not in signers:
        raise ErasureError(
            "no signature on this receipt is one of its organisation by the keys given.", where=str(path)
        )
    return body


def departures(body: Mapping[str, Any], places: Sequence[Path]) -> list[str]:
    """Return the names of artefacts that are not as the receipt left them; empty when all are.

    A file that was deleted must be gone, one that was rewritten must have the digest of the receipt (or be gone).
    """
    wrong = []
    for each in body["artefacts"]:
        for place in places:
            path = (place if place.is_dir() else place.parent) / each["name"]
            if path.exists() and path_digest(path) != each["after"]:
                wrong.append(str(each["name"]))
                break
    return wrong
