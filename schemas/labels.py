"""Domain separation: every hash, derived key and signature starts from a label that is used nowhere else."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def encode(label: str, *fields: bytes) -> bytes:
    """Join a label and fields so that no two different lists give the same bytes.

    The number of items comes first, then every item after its length; both as eight bytes, big-endian.
    """
    items = (label.encode("ascii"), *fields)
    return len(items).to_bytes(8, "big") + b"".join(len(item).to_bytes(8, "big") + item for item in items)


def labelled_hash(label: str, *fields: bytes) -> bytes:
    """Return the SHA-256 (32 bytes) of `encode(label, *fields)`."""
    return hashlib.sha256(encode(label, *fields)).digest()


def derive(secret: bytes, label: str, *context: bytes, salt: bytes = b"", length: int = 32) -> bytes:
    """Return `length` bytes of HKDF-SHA-256 (RFC 5869) with `info = encode(label, *context)`."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt or None, info=encode(label, *context)).derive(
        secret
    )
