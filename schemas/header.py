"""The clear beginning of a package: magic, version, recipient key id, wrapped file key, commitment.

A thief of the file learns from it the format version and which key can open it, and nothing else.
The layout is written down in docs/spec/package-v1.md.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from schemas.errors import Corrupted, NotAPackage, Truncated, UnsupportedVersion, WrongRecipient
from schemas.identity import SEALED_OVERHEAD, PrivateIdentity, PublicIdentity
from schemas.labels import derive, encode

MAGIC = b"\x89TALLY\r\n"
"""First byte outside ASCII and a CR LF pair: a transfer in text mode breaks it at once."""
VERSION = 1
FILE_KEY_BYTES = 32
_PREFIX_BYTES = len(MAGIC) + 2 + 16
_WRAPPED_BYTES = FILE_KEY_BYTES + SEALED_OVERHEAD
HEADER_BYTES = _PREFIX_BYTES + _WRAPPED_BYTES + 32


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageHeader:
    """What stands in the clear.

    Attributes:
        version: Format version.
        recipient_key_id: `PublicIdentity.receiving_key_id` of the recipient, 16 bytes.
        raw: The header's bytes.
    """

    version: int
    recipient_key_id: bytes
    raw: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the whole header; the signed manifest and the stream key are bound to it."""
        return hashlib.sha256(self.raw).digest()


def make_header(recipient: PublicIdentity, file_key: bytes) -> PackageHeader:
    """Wrap `file_key` (32 fresh random bytes) to `recipient`."""
    prefix = MAGIC + VERSION.to_bytes(2, "big") + recipient.receiving_key_id
    wrapped = recipient.seal_to(file_key, info=_info(prefix))
    raw = prefix + wrapped + _commitment(file_key, prefix + wrapped)
    return PackageHeader(version=VERSION, recipient_key_id=recipient.receiving_key_id, raw=raw)


def parse_header(data: bytes, *, where: str) -> PackageHeader:
    """Read the header from the first `HEADER_BYTES` bytes of a file (fewer if the file is shorter).

    Raises:
        NotAPackage: The magic is not there.
        UnsupportedVersion: Another format version.
        Truncated: The header ends early.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise NotAPackage(
            "this file is not a .tally package.",
            where=where,
            remedy="Check the file name, and that the file was not converted or sent as text.",
        )
    version = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 2], "big")
    if len(data) >= len(MAGIC) + 2 and version != VERSION:
        raise UnsupportedVersion(
            f"this package is of format version {version}; this release reads version {VERSION}.",
            where=where,
            remedy="Update Tallystick, or ask the sender to.",
        )
    if len(data) < HEADER_BYTES:
        raise Truncated(
            "the package ends inside its header.", where=where, remedy="Ask for it to be sent again."
        )
    return PackageHeader(version=version, recipient_key_id=data[len(MAGIC) + 2 : _PREFIX_BYTES], raw=data)


def unwrap_file_key(header: PackageHeader, recipient: PrivateIdentity, *, where: str) -> bytes:
    """Return the file key.

    Raises:
        WrongRecipient: The header names another receiving key.
        Corrupted: The header names this key but was altered.
    """
    if header.recipient_key_id != recipient.public.receiving_key_id:
        raise WrongRecipient(
            "this package is encrypted to another receiving key than yours.",
            where=where,
            remedy="Check that it was meant for you, and that the agreement holds your current key.",
        )
    raw = header.raw
    try:
        file_key = recipient.open_sealed(raw[_PREFIX_BYTES:-32], info=_info(raw[:_PREFIX_BYTES]))
    except WrongRecipient:
        raise _altered(where) from None
    if not hmac.compare_digest(_commitment(file_key, raw[:-32]), raw[-32:]):
        raise _altered(where)
    return file_key


def stream_key(header: PackageHeader, file_key: bytes) -> bytes:
    """Return the AES-256 key of the chunks, bound to every byte of the header."""
    return derive(file_key, "tallystick/package/v1/stream", salt=header.digest)


def _info(prefix: bytes) -> bytes:
    return encode("tallystick/package/v1/file-key", prefix)


def _commitment(file_key: bytes, before: bytes) -> bytes:
    """AES-GCM does not commit to its key; this does, so that one file can never open to two contents."""
    return derive(file_key, "tallystick/package/v1/commitment", salt=hashlib.sha256(before).digest())


def _altered(where: str) -> Corrupted:
    return Corrupted(
        "the header of this package was altered.", where=where, remedy="Ask for it to be sent again."
    )
