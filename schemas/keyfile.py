"""Secrets at rest: one small JSON file, encrypted under a passphrase with Argon2id and AES-256-GCM.

The format is written down in docs/spec/keys-v1.md.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from schemas.atomic import atomic_write
from schemas.canonical import JSON, canonical_json, from_base64, parse_json, to_base64
from schemas.errors import IdentityError, KeyFileInvalid, NotCanonical, OutputError, WrongPassphrase

FORMAT = "tallystick-key-file"
VERSION = 1
MAX_BYTES = 64 * 1024
_FIELDS = {"format", "version", "holds", "public", "profile", "salt", "nonce", "secret"}
_UNPROTECTED = "unprotected"


@dataclass(frozen=True, kw_only=True, slots=True)
class Argon2Profile:
    """Cost of turning a passphrase into a key.

    A file stores the profile's name, never numbers, so that a doctored file cannot make a reader use all its
    memory.
    """

    iterations: int
    lanes: int
    memory_kib: int


PROFILES: Mapping[str, Argon2Profile] = {
    # RFC 9106, section 4, second recommended option: 64 MiB of memory.
    "interactive": Argon2Profile(iterations=3, lanes=4, memory_kib=64 * 1024),
    # RFC 9106, section 4, first recommended option: 2 GiB of memory.
    "high-memory": Argon2Profile(iterations=1, lanes=4, memory_kib=2 * 1024 * 1024),
    # Breakable in seconds. It exists so that a test suite can open hundreds of key files.
    "tests-only": Argon2Profile(iterations=1, lanes=1, memory_kib=8),
}


def save_secret_file(
    path: Path,
    *,
    holds: str,
    secret: bytes,
    public: Mapping[str, JSON],
    passphrase: bytes | None,
    profile: str = "interactive",
    unprotected: bool = False,
) -> None:
    """Write `secret` to `path`, whole or not at all, readable by its owner only.

    Args:
        path: The file to create or replace.
        holds: What the file holds, such as `"identity"`; a reader asks for it by name.
        secret: The bytes to protect.
        public: JSON values that may be read without the passphrase; they are authenticated with the secret.
        passphrase: The passphrase as bytes, or None together with `unprotected=True`.
        profile: A name from `PROFILES`.
        unprotected: Say yes to a file that anyone who has it can use.

    Raises:
        IdentityError: No passphrase without `unprotected=True`, or an unknown profile.
        OutputError: The file cannot be written.
    """
    _check_choice(passphrase, profile, unprotected)
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    atomic_write(
        path,
        encode_secret_file(
            holds=holds,
            secret=secret,
            public=public,
            passphrase=passphrase,
            profile=profile,
            salt=salt,
            nonce=nonce,
        ),
        private=True,
    )


def encode_secret_file(
    *,
    holds: str,
    secret: bytes,
    public: Mapping[str, JSON],
    passphrase: bytes | None,
    profile: str,
    salt: bytes,
    nonce: bytes,
) -> bytes:
    """Return the bytes of a key file. `salt` (16 bytes) and `nonce` (12 bytes) must be fresh random bytes."""
    head: dict[str, JSON] = {
        "format": FORMAT,
        "version": VERSION,
        "holds": holds,
        "public": public,
        "profile": _UNPROTECTED if passphrase is None else profile,
        "salt": to_base64(salt),
        "nonce": to_base64(nonce),
    }
    protected = (
        secret
        if passphrase is None
        else _cipher(passphrase, profile, salt).encrypt(nonce, secret, canonical_json(head))
    )
    return canonical_json({**head, "secret": to_base64(protected)}) + b"\n"


def load_secret_file(path: Path, *, holds: str, passphrase: bytes | None) -> tuple[bytes, Mapping[str, JSON]]:
    """Return the secret and the public values of a key file.

    Raises:
        KeyFileInvalid: The file is not a key file of this version, or holds something else than `holds`.
        WrongPassphrase: The passphrase does not open it, or the file was altered.
    """
    head = _read(path, holds)
    protected = _unb64(head.pop("secret"), path)
    salt, nonce = _unb64(head["salt"], path), _unb64(head["nonce"], path)
    public = head["public"]
    if not isinstance(public, Mapping) or len(nonce) != 12 or len(salt) != 16:
        raise _invalid(path)
    profile = head["profile"]
    if profile == _UNPROTECTED:
        return protected, public
    if not isinstance(profile, str) or profile not in PROFILES:
        raise _invalid(path)
    if not passphrase:
        raise WrongPassphrase("this key file needs its passphrase.", where=str(path))
    try:
        return _cipher(passphrase, profile, salt).decrypt(nonce, protected, canonical_json(head)), public
    except InvalidTag:
        raise WrongPassphrase(
            "the passphrase does not open this key file.",
            where=str(path),
            remedy="Try again. If you are sure of the passphrase, the file was altered: use your backup.",
        ) from None


def read_public(path: Path, *, holds: str) -> Mapping[str, JSON]:
    """Return the public values of a key file. Without the passphrase nothing vouches for them.

    Raises:
        KeyFileInvalid: As for `load_secret_file`.
    """
    public = _read(path, holds)["public"]
    if not isinstance(public, Mapping):
        raise _invalid(path)
    return public


def describe_secret_file(path: Path) -> tuple[str, Mapping[str, JSON]]:
    """Return what a key file holds, and its public values. Without the passphrase nothing vouches for them.

    Raises:
        KeyFileInvalid: The file is not a key file of this version.
    """
    head = _read_any(path)
    holds, public = head["holds"], head["public"]
    if not isinstance(holds, str) or not isinstance(public, Mapping):
        raise _invalid(path)
    return holds, public


def destroy_secret_file(path: Path) -> tuple[str, Mapping[str, JSON]]:
    """Overwrite a key file with random bytes and delete it; return what it held, and its public values.

    Copies that a file system, a backup or a flash disk made of it are out of reach. The passphrase still protects them.

    Raises:
        KeyFileInvalid: The file is not a key file, and was not touched.
        OutputError: It cannot be overwritten or deleted.
    """
    described = describe_secret_file(path)
    try:
        with path.open("r+b") as stream:
            stream.write(secrets.token_bytes(path.stat().st_size))
            stream.flush()
            os.fsync(stream.fileno())
        path.unlink()
    except OSError as error:
        raise OutputError(
            f"cannot be destroyed ({error.strerror}).", where=str(path), remedy="Delete it by hand."
        ) from None
    return described


def _check_choice(passphrase: bytes | None, profile: str, unprotected: bool) -> None:
    if profile not in PROFILES:
        raise IdentityError(
            "there is no such key-file profile.", remedy=f"Use one of: {', '.join(PROFILES)}."
        )
    if unprotected and passphrase is not None:
        raise IdentityError("a passphrase was given for a key file that was to be unprotected.")
    if not passphrase and not unprotected:
        raise IdentityError(
            "a key file needs a passphrase.",
            remedy="Give one, or ask for an unprotected file if you are sure that nobody else can read it.",
        )


def _read(path: Path, holds: str) -> dict[str, JSON]:
    head = _read_any(path)
    if head["holds"] != holds:
        raise KeyFileInvalid(
            f"this key file holds another kind of key than the {holds} asked for.", where=str(path)
        )
    return head


def _read_any(path: Path) -> dict[str, JSON]:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise KeyFileInvalid(f"cannot be read ({error.strerror}).", where=str(path)) from None
    try:
        head = parse_json(data) if len(data) <= MAX_BYTES else None
    except NotCanonical:
        head = None
    if not isinstance(head, dict) or set(head) != _FIELDS or head["format"] != FORMAT:
        raise _invalid(path)
    if head["version"] != VERSION:
        raise KeyFileInvalid(
            "this key file is of a version that this release does not read.",
            where=str(path),
            remedy="Update Tallystick.",
        )
    return head


def _cipher(passphrase: bytes, profile: str, salt: bytes) -> AESGCM:
    cost = PROFILES[profile]
    kdf = Argon2id(
        salt=salt, length=32, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    return AESGCM(kdf.derive(passphrase))


def _unb64(value: JSON, path: Path) -> bytes:
    try:
        return from_base64(value)
    except NotCanonical:
        raise _invalid(path) from None


def _invalid(path: Path) -> KeyFileInvalid:
    return KeyFileInvalid(
        "this is not a Tallystick key file.", where=str(path), remedy="Name the file that `keys` made."
    )
