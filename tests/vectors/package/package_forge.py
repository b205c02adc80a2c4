"""Build packages that no honest writer would: any layer can be changed before the next closes over it."""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from schemas.canonical import JSON, canonical_json
from schemas.container import Expectation, ReplayGuard, open_package
from schemas.dsse import sign_payload
from schemas.header import PackageHeader, make_header, stream_key
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import PAYLOAD_TYPE, Manifest, Part
from schemas.stream import CHUNK_BYTES, ChunkWriter
from schemas.tables import read_batches

FOLDER = Path(__file__).parent
AGREEMENT = "sha256:" + hashlib.sha256(b"agreement of the test vectors").hexdigest()
EXPECT = Expectation(
    kind="sealed",
    agreement_digest=AGREEMENT,
    run_id="2026-06",
    sender="police",
    purpose="safeguarding",
    key_check="right",
    normaliser="right",
)
SCHEMA = pa.schema(
    [pa.field("subject", pa.int32(), nullable=False), pa.field("block", pa.int64(), nullable=False)]
)
ROWS = 4
TABLE_PART = "table"

Parts = Sequence[tuple[str, str, bytes]]
Manifests = Callable[[dict[str, JSON]], JSON]
Bytes = Callable[[bytes], bytes]
Sealing = tuple[PackageHeader, bytes]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What to change on the way out: manifest, its bytes, envelope, whole plaintext, header, frames."""

    manifest: Manifests = lambda manifest: manifest
    payload: Bytes = lambda payload: payload
    envelope: Callable[[dict[str, JSON]], JSON] = lambda envelope: envelope
    plaintext: Bytes = lambda plaintext: plaintext
    frames: Callable[[list[bytes]], list[bytes]] = lambda frames: frames
    signers: Sequence[PrivateIdentity] | None = None


def table_bytes(schema: pa.Schema = SCHEMA, *, rows: int = ROWS, compression: str | None = None) -> bytes:
    """Return an Arrow stream of `rows` rows of small numbers."""
    columns = [pa.array([row % 10 for row in range(rows)], type=field.type) for field in schema]
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return sink.getvalue()


def forge(
    *,
    sender: PrivateIdentity,
    recipient: PublicIdentity,
    parts: Parts | None = None,
    changes: Changes = Changes(),
    sealed_to: PublicIdentity | None = None,
    sealing: Sealing | None = None,
    **fields: object,
) -> bytes:
    """Return the bytes of a package.

    `fields` replace fields of the manifest, `sealed_to` the real reader, `sealing` the fresh header and file key.
    """
    parts = (
        parts if parts is not None else [(TABLE_PART, "application/vnd.apache.arrow.stream", table_bytes())]
    )
    header, file_key = sealing or seal_for(sealed_to or recipient)
    manifest = changes.manifest(_manifest(header, sender.public, recipient, parts, fields).to_dict())
    payload = changes.payload(canonical_json(manifest))
    signers = [sender] if changes.signers is None else changes.signers
    envelope = changes.envelope(sign_payload(PAYLOAD_TYPE, payload, signers))
    tail = canonical_json(envelope)
    plaintext = b"".join(content for _, _, content in parts) + tail + len(tail).to_bytes(4, "big")
    return header.raw + b"".join(changes.frames(frames(header, file_key, changes.plaintext(plaintext))))


def seal_for(recipient: PublicIdentity) -> Sealing:
    """Return a new header and its file key."""
    file_key = secrets.token_bytes(32)
    return make_header(recipient, file_key), file_key


def frames(header: PackageHeader, file_key: bytes, plaintext: bytes) -> list[bytes]:
    """Encrypt and cut into frames."""
    sink = io.BytesIO()
    writer = ChunkWriter(sink, stream_key(header, file_key))
    writer.write(plaintext)
    writer.finish()
    size = 8 + CHUNK_BYTES + 16
    data = sink.getvalue()
    return [data[at : at + size] for at in range(0, len(data), size)]


def _manifest(
    header: PackageHeader,
    sender: PublicIdentity,
    recipient: PublicIdentity,
    parts: Parts,
    fields: Mapping[str, object],
) -> Manifest:
    values: dict[str, object] = {
        "kind": "sealed",
        "agreement_digest": AGREEMENT,
        "run_id": "2026-06",
        "sender": sender.party,
        "sender_key_id": sender.signing_key_id,
        "recipient": recipient.party,
        "recipient_key_id": recipient.receiving_key_id.hex(),
        "header_digest": "sha256:" + header.digest.hex(),
        "purpose": "safeguarding",
        "created_at": datetime(2026, 6, 30, 12, tzinfo=UTC),
        "counts": {"rows": ROWS},
        "facts": {"key_check": "right", "normaliser": "right"},
        "parts": tuple(
            Part(
                name=name,
                media_type=media_type,
                length=len(content),
                sha256="sha256:" + hashlib.sha256(content).hexdigest(),
            )
            for name, media_type, content in parts
        ),
    }
    return Manifest(**{**values, **fields})  # type: ignore[arg-type]


def identities(folder: Path = FOLDER) -> dict[str, PrivateIdentity]:
    """Read the test keys that stand beside the vectors."""
    stored = json.loads((folder / "keys.json").read_text())["identities"]
    return {
        name: PrivateIdentity(
            party=item["party"],
            signing_seed=bytes.fromhex(item["signing_seed"]),
            mlkem_seed=bytes.fromhex(item["mlkem_seed"]),
            x25519_key=bytes.fromhex(item["x25519_key"]),
        )
        for name, item in stored.items()
    }


def known_senders(people: Mapping[str, PrivateIdentity]) -> dict[str, PublicIdentity]:
    """Return the parties of the vectors' agreement that may send."""
    return {name: people[name].public for name in ("police", "health")}


def read_as_unit(
    path: Path, people: Mapping[str, PrivateIdentity], guard: ReplayGuard, expect: Expectation = EXPECT
) -> list[pa.RecordBatch]:
    """Take a package in as the linkage unit of the vectors does: open, admit once, read its table."""
    with open_package(
        path, recipient=people["unit"], known_senders=known_senders(people), expect=expect
    ) as package:
        guard.admit(package.manifest)
        rows = package.manifest.count("rows")
        return list(read_batches(package, TABLE_PART, schema=SCHEMA, max_rows=rows))
