"""Checkpoints: a few lines that people can read, signed, which other parties keep.

A checkpoint says that at a time the log had so many entries with this root. Whoever holds one can later tell whether
the log was rewritten, cut or forked. The text is signed as the body of a DSSE envelope; the form is in
docs/spec/audit-v1.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from governance.audit.entry import LOG_ID
from governance.audit.merkle import HASH_BYTES
from schemas.atomic import atomic_write
from schemas.canonical import JSON, from_base64, to_base64
from schemas.dsse import parse_envelope, sign_payload, verify_payload
from schemas.errors import BadSignature, CheckpointInvalid, EnvelopeInvalid, NotCanonical
from schemas.identity import PARTY_ID, PrivateIdentity, PublicIdentity

PAYLOAD_TYPE = "application/vnd.tallystick.audit-checkpoint.v1+text"
MAX_BYTES = 64 * 1024
_TITLE = "Tallystick audit log checkpoint, version 1"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_BODY = re.compile(
    rf"{_TITLE}\n"
    rf"Log: (?P<log>{LOG_ID.pattern})\n"
    rf"Organisation: (?P<organisation>{PARTY_ID.pattern})\n"
    r"Entries: (?P<size>[1-9][0-9]{0,15})\n"
    r"Root: (?P<root>[A-Za-z0-9+/]{43}=)\n"
    r"Time: (?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n"
)
_SIGNED = re.compile(r"Signed: (?P<key>sha256:[0-9a-f]{64}) (?P<signature>[A-Za-z0-9+/]{86}==)\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """What a checkpoint says.

    Attributes:
        log: Id of the log.
        organisation: Whose log it is; its key signs.
        size: Number of entries.
        root: Root of the Merkle tree over them, 32 bytes.
        time: When it was made, UTC to the second.
    """

    log: str
    organisation: str
    size: int
    root: bytes
    time: datetime

    def body(self) -> bytes:
        """Return the bytes that are signed."""
        return (
            f"{_TITLE}\nLog: {self.log}\nOrganisation: {self.organisation}\nEntries: {self.size}\n"
            f"Root: {to_base64(self.root)}\nTime: {self.time.astimezone(UTC).strftime(_TIME)}\n"
        ).encode()


def sign_checkpoint(checkpoint: Checkpoint, signer: PrivateIdentity) -> str:
    """Return the text of a signed checkpoint.

    Raises:
        CheckpointInvalid: The signer is not the organisation whose log it is.
    """
    if signer.party != checkpoint.organisation:
        raise CheckpointInvalid(
            f"this is the log of {checkpoint.organisation}, and the key is one of {signer.party}.",
            remedy="Sign with the key of the organisation whose log it is.",
        )
    envelope = parse_envelope(sign_payload(PAYLOAD_TYPE, checkpoint.body(), [signer]))
    lines = [f"Signed: {made.key_id} {to_base64(made.value)}\n" for made in envelope.signatures]
    return checkpoint.body().decode() + "\n" + "".join(lines)


def parse_checkpoint(text: str, known: Mapping[str, PublicIdentity], *, where: str) -> Checkpoint:
    """Return what a signed checkpoint says, after verifying its signature.

    Args:
        text: The whole file.
        known: Party id to identity; the organisation's must be there.
        where: Named in errors.

    Raises:
        CheckpointInvalid: It is not well formed, or no signature of its organisation is good.
    """
    body, gap, signed = text.partition("\n\n")
    found = _BODY.fullmatch(body + "\n")
    signatures = [_SIGNED.fullmatch(line) for line in signed.splitlines(keepends=True)]
    if found is None or not gap or not signatures or any(each is None for each in signatures):
        raise CheckpointInvalid(
            "this is not a checkpoint.",
            where=where,
            remedy="Name a file that `tallystick audit checkpoint` made.",
        )
    checkpoint = _checkpoint(found, where)
    envelope: dict[str, JSON] = {
        "payloadType": PAYLOAD_TYPE,
        "payload": to_base64(checkpoint.body()),
        "signatures": [{"keyid": each["key"], "sig": each["signature"]} for each in signatures if each],
    }
    try:
        signers = verify_payload(envelope, known, payload_type=PAYLOAD_TYPE)
    except (EnvelopeInvalid, BadSignature):
        signers = set()
    if checkpoint.organisation not in signers:
        raise CheckpointInvalid(
            f"no signature on this checkpoint is one of {checkpoint.organisation} by the keys given.",
            where=where,
            remedy="Do not rely on it. Check that you named the current agreement, and ask its sender.",
        )
    return checkpoint


def read_checkpoint(path: Path, known: Mapping[str, PublicIdentity]) -> Checkpoint:
    """Read and verify the checkpoint in the file `path`.

    Raises:
        CheckpointInvalid: As for `parse_checkpoint`, or the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        raise CheckpointInvalid("this checkpoint cannot be read.", where=str(path)) from None
    return parse_checkpoint(text.replace("\r\n", "\n"), known, where=str(path))


def write_checkpoint(path: Path, checkpoint: Checkpoint, signer: PrivateIdentity) -> None:
    """Sign a checkpoint and write it to `path`.

    Raises:
        CheckpointInvalid: As for `sign_checkpoint`.
        OutputError: The file cannot be written.
    """
    atomic_write(path, sign_checkpoint(checkpoint, signer))


def _checkpoint(found: re.Match[str], where: str) -> Checkpoint:
    try:
        root = from_base64(found["root"])
        time = datetime.strptime(found["time"], _TIME).replace(tzinfo=UTC)
    except (NotCanonical, ValueError):
        root, time = b"", datetime.min
    if len(root) != HASH_BYTES:
        raise CheckpointInvalid("the root or the time of this checkpoint is not of its form.", where=where)
    return Checkpoint(
        log=found["log"], organisation=found["organisation"], size=int(found["size"]), root=root, time=time
    )
