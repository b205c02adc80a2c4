"""The `.tally` package: written in one pass, read in two, never genuine before it is wholly verified.

The format, its limits and its security analysis are in docs/spec/package-v1.md.

Reading verifies in this order, and stops at the first failure: magic, version, recipient, file key, frames,
signature, sender, recipient inside the signature, what the caller expects, every byte of every part. Nothing
decrypted is ever written to disk: the first pass only verifies, the second decrypts for the consumer.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, BinaryIO, Self

from schemas.atomic import atomic_file
from schemas.canonical import JSON, canonical_json, parse_canonical
from schemas.dsse import Envelope, key_owners, pae, parse_envelope, sign_payload
from schemas.errors import (
    Corrupted,
    DecompressionBomb,
    EnvelopeInvalid,
    Forwarded,
    ManifestInvalid,
    NotCanonical,
    PackageError,
    SignerNotParty,
    UnknownPart,
    UnknownSigner,
)
from schemas.flushing import Flushing
from schemas.header import (
    FILE_KEY_BYTES,
    HEADER_BYTES,
    PackageHeader,
    make_header,
    parse_header,
    stream_key,
    unwrap_file_key,
)
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import MAX_MANIFEST_BYTES, PAYLOAD_TYPE, Manifest, Part, parse_manifest
from schemas.parts import PartReader, PartSink
from schemas.policies import Expectation, ReplayGuard
from schemas.stream import CHUNK_BYTES, ChunkReader, ChunkWriter

__all__ = [
    "Expectation",
    "Manifest",
    "OpenedPackage",
    "PackageHeader",
    "Part",
    "ReplayGuard",
    "inspect_header",
    "open_package",
    "read_manifest",
    "write_package",
]

MAX_ENVELOPE_BYTES = MAX_MANIFEST_BYTES * 4 // 3 + 1024
_LENGTH_BYTES = 4

PartContent = Iterable[bytes] | Callable[[BinaryIO], None]
"""The bytes of a part, or a function that writes them to the stream it is given."""


def write_package(
    target: Path,
    *,
    kind: str,
    sender: PrivateIdentity,
    recipient: PublicIdentity,
    agreement_digest: str,
    run_id: str,
    purpose: str,
    created_at: datetime,
    counts: Mapping[str, int],
    facts: Mapping[str, JSON],
    parts: Iterable[tuple[str, str, PartContent]],
) -> Manifest:
    """Write a signed package that only `recipient` can read; the file is complete or absent.

    Args:
        target: The file to create or replace.
        kind: Such as `sealed` or `return`.
        sender: Who signs.
        recipient: Who alone can read.
        agreement_digest: `"sha256:…"` of the signed agreement.
        run_id: The run this is for.
        purpose: A purpose id of the agreement.
        created_at: A time with a zone; kept to the second in UTC.
        counts: Whole numbers that describe the content.
        facts: Further JSON values, signed and encrypted with the rest as they are when `parts` is exhausted.
        parts: Name, media type and content of each part, in order. Memory does not grow with their size.

    Returns:
        The manifest that was signed.

    Raises:
        ManifestInvalid: An argument breaks a rule of the format.
        LimitExceeded: The parts are too large.
        OutputError: The file cannot be written.
    """
    if created_at.tzinfo is None:
        raise ManifestInvalid("the time needs a time zone.", where="created_at")
    file_key = secrets.token_bytes(FILE_KEY_BYTES)
    header = make_header(recipient, file_key)

    def manifest_of(done: tuple[Part, ...]) -> Manifest:
        return Manifest(
            kind=kind,
            agreement_digest=agreement_digest,
            run_id=run_id,
            sender=sender.party,
            sender_key_id=sender.public.signing_key_id,
            recipient=recipient.party,
            recipient_key_id=recipient.receiving_key_id.hex(),
            header_digest="sha256:" + header.digest.hex(),
            purpose=purpose,
            created_at=created_at.astimezone(UTC).replace(microsecond=0),
            counts=counts,
            facts=facts,
            parts=done,
        )

    manifest_of(()).to_bytes()  # refuse bad arguments before gigabytes are written
    with atomic_file(target) as stream:
        flushing = Flushing(stream)  # type: ignore[arg-type]
        flushing.write(header.raw)
        writer = ChunkWriter(flushing, stream_key(header, file_key))
        payload = manifest_of(tuple(_write_part(writer, *part) for part in parts)).to_bytes()
        envelope = canonical_json(sign_payload(PAYLOAD_TYPE, payload, [sender]))
        writer.write(envelope + len(envelope).to_bytes(_LENGTH_BYTES, "big"))
        writer.finish()
    return parse_manifest(payload)


def inspect_header(path: Path) -> PackageHeader:
    """Read the clear header and walk the frames, without any key: what a thief could do.

    Raises:
        NotAPackage, UnsupportedVersion, Truncated, TrailingBytes, ChunkReordered, Corrupted: As found. That
            none is raised says only that the file is whole in outline; nothing is verified without the key.
    """
    with _open(path) as stream:
        header = _header(stream, str(path))
        ChunkReader(stream, start=HEADER_BYTES, where=str(path))
    return header


def read_manifest(
    path: Path, *, recipient: PrivateIdentity, known_senders: Mapping[str, PublicIdentity]
) -> Manifest:
    """Return the manifest after verifying its signature, sender and recipient; the parts are not looked at.

    Raises:
        PackageError: As for `open_package`.
    """
    with _open(path) as stream:
        manifest, _ = _unlock(stream, str(path), recipient, known_senders)
    return manifest


def open_package(
    path: Path,
    *,
    recipient: PrivateIdentity,
    known_senders: Mapping[str, PublicIdentity],
    expect: Expectation,
) -> OpenedPackage:
    """Verify a whole package and return it for reading. Use it in a `with` block.

    Args:
        path: The file.
        recipient: The reader's own identity.
        known_senders: Party id to identity, of every party that may send, from the signed agreement.
        expect: What the manifest has to say.

    Raises:
        PackageError: One subclass a way of failing (`schemas.errors`). Nothing of the content was handed out.
    """
    stream = _open(path)
    try:
        manifest, chunks = _unlock(stream, str(path), recipient, known_senders)
        expect.check(manifest, where=str(path))
        package = OpenedPackage(stream, manifest, chunks, where=str(path))
        package._verify_parts()
    except BaseException:
        stream.close()
        raise
    return package


class OpenedPackage:
    """A package whose every byte was verified. `manifest` is genuine; parts are decrypted as they are read.

    Attributes:
        manifest: What the sender signed.
        where: The file's name, for messages.
    """

    def __init__(self, stream: BinaryIO, manifest: Manifest, chunks: ChunkReader, *, where: str) -> None:
        self.manifest = manifest
        self._stream, self._chunks, self.where = stream, chunks, where
        self._places: dict[str, tuple[int, Part]] = {}
        at = 0
        for part in manifest.parts:
            self._places[part.name] = (at, part)
            at += part.length

    def part(self, name: str) -> BinaryIO:
        """Return a readable, seekable binary stream over a part; it is valid until the package is closed.

        Raises:
            UnknownPart: There is no such part.
        """
        at, part = self._place(name)
        return PartReader(self._chunks, at, part.length)  # type: ignore[return-value]

    def read_all(self, name: str, limit: int) -> bytes:
        """Return a whole part of at most `limit` bytes.

        Raises:
            UnknownPart: There is no such part.
            DecompressionBomb: The part is longer than `limit`.
        """
        at, part = self._place(name)
        if part.length > limit:
            raise DecompressionBomb(
                f"part {name} has {part.length} bytes, more than the {limit} allowed here.", where=self.where
            )
        return self._chunks.read(at, part.length)

    def close(self) -> None:
        """Close the file. Streams from `part` can no longer be read."""
        self._chunks.lock()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _place(self, name: str) -> tuple[int, Part]:
        if name not in self._places:
            raise UnknownPart(
                f"the package has no part of that name; it has: {', '.join(self._places)}.", where=self.where
            )
        return self._places[name]

    def _verify_parts(self) -> None:
        buffer = memoryview(bytearray(CHUNK_BYTES))
        for name, (at, part) in self._places.items():
            hasher = hashlib.sha256()
            for begin in range(at, at + part.length, CHUNK_BYTES):
                got = self._chunks.read_into(begin, buffer[: min(CHUNK_BYTES, at + part.length - begin)])
                hasher.update(buffer[:got])
            if "sha256:" + hasher.hexdigest() != part.sha256:
                raise Corrupted(f"part {name} is not the one that was signed.", where=self.where)


def _write_part(writer: ChunkWriter, name: str, media_type: str, content: PartContent) -> Part:
    with PartSink(writer) as sink:
        if callable(content):
            content(sink)  # type: ignore[arg-type]
        else:
            for block in content:
                sink.write(block)
    return Part(name=name, media_type=media_type, length=sink.length, sha256=sink.sha256)


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise PackageError(f"cannot be read ({error.strerror}).", where=str(path)) from None


def _header(stream: IO[bytes], where: str) -> PackageHeader:
    stream.seek(0)
    return parse_header(stream.read(HEADER_BYTES), where=where)


def _unlock(
    stream: BinaryIO, where: str, recipient: PrivateIdentity, known: Mapping[str, PublicIdentity]
) -> tuple[Manifest, ChunkReader]:
    header = _header(stream, where)
    file_key = unwrap_file_key(header, recipient, where=where)
    chunks = ChunkReader(stream, start=HEADER_BYTES, where=where)
    chunks.unlock(stream_key(header, file_key))
    envelope, length = _envelope(chunks, where)
    signer = _verified_signer(envelope, known, where)
    manifest = _manifest(envelope.payload, where)
    if (manifest.sender, manifest.sender_key_id) != (signer.party, signer.signing_key_id):
        raise SignerNotParty("the signer is not the party that the package names as its sender.", where=where)
    addressed = (manifest.recipient, manifest.recipient_key_id, manifest.header_digest)
    public = recipient.public
    if addressed != (public.party, public.receiving_key_id.hex(), "sha256:" + header.digest.hex()):
        raise Forwarded(
            "what was signed was not made for this package and this recipient; somebody encrypted it anew.",
            where=where,
            remedy="Do not use it. Tell the sender and the governance officer.",
        )
    if sum(part.length for part in manifest.parts) + length != chunks.length:
        raise Corrupted("the parts do not add up to the length of the package.", where=where)
    return manifest, chunks


def _envelope(chunks: ChunkReader, where: str) -> tuple[Envelope, int]:
    """Return the envelope at the end of the plaintext and the bytes it takes with its length field."""
    tail = int.from_bytes(chunks.read(max(0, chunks.length - _LENGTH_BYTES), _LENGTH_BYTES), "big")
    if tail > min(MAX_ENVELOPE_BYTES, chunks.length - _LENGTH_BYTES):
        raise ManifestInvalid("the length of the signed manifest is out of its limits.", where=where)
    data = chunks.read(chunks.length - _LENGTH_BYTES - tail, tail)
    try:
        envelope = parse_envelope(parse_canonical(data))
    except (NotCanonical, EnvelopeInvalid):
        raise ManifestInvalid("the signed manifest is not a well-formed envelope.", where=where) from None
    if envelope.payload_type != PAYLOAD_TYPE or len(envelope.signatures) != 1:
        raise ManifestInvalid(
            "the signed manifest is of another type, or has not exactly one signature.", where=where
        )
    return envelope, tail + _LENGTH_BYTES


def _verified_signer(envelope: Envelope, known: Mapping[str, PublicIdentity], where: str) -> PublicIdentity:
    signature = envelope.signatures[0]
    signer = key_owners(known).get(signature.key_id)
    if signer is None:
        raise UnknownSigner(
            "the package is signed with a key that belongs to no party of the agreement.",
            where=where,
            remedy="Check that you hold the current agreement, and compare fingerprints with the sender.",
        )
    try:
        signer.verify(signature.value, pae(envelope.payload_type, envelope.payload))
    except PackageError as error:
        error.where = where
        raise
    return signer


def _manifest(payload: bytes, where: str) -> Manifest:
    try:
        return parse_manifest(payload)
    except ManifestInvalid as error:
        error.where = f"{where}: {error.where}" if error.where else where
        raise
