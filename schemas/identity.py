"""Identities: a party's signing key (Ed25519) and receiving key (HPKE over ML-KEM-768 and X25519).

The formats are written down in docs/spec/keys-v1.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from schemas.canonical import JSON, from_base64, to_base64
from schemas.errors import BadSignature, IdentityError, KeyFileInvalid, NotCanonical, WrongRecipient
from schemas.keyfile import load_secret_file, read_public, save_secret_file
from schemas.labels import labelled_hash

PARTY_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""A party's id: lower-case letters, digits, dot, underscore and hyphen, at most 64."""

_MLKEM_PUBLIC, _MLKEM_SEED, _X25519, _ED25519 = 1184, 64, 32, 32  # bytes; FIPS 203, RFC 7748, RFC 8032
_HOLDS = "identity"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
SEALED_OVERHEAD = 1088 + 32 + 16
"""Bytes that `seal_to` adds: ML-KEM-768 ciphertext, X25519 share and AES-GCM tag."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicIdentity:
    """What everyone may know of a party; it goes into the agreement.

    Attributes:
        party: The party's id in the agreement.
        signing_key: Ed25519 public key, 32 bytes.
        receiving_key: ML-KEM-768 public key (1,184 bytes) followed by X25519 public key (32 bytes).
    """

    party: str
    signing_key: bytes
    receiving_key: bytes

    def __post_init__(self) -> None:
        if not PARTY_ID.fullmatch(self.party):
            raise IdentityError(
                "a party id has at most 64 lower-case letters, digits, dots, underscores and hyphens."
            )
        _receiving(self.receiving_key)
        if len(self.signing_key) != _ED25519:
            raise IdentityError("a signing key is 32 bytes.", where=f"party {self.party}")

    @property
    def signing_key_id(self) -> str:
        """`"sha256:"` and hexadecimal digest of the signing key alone, whoever claims it."""
        return "sha256:" + labelled_hash("tallystick/v1/signing-key-id", self.signing_key).hex()

    @property
    def receiving_key_id(self) -> bytes:
        """First 16 bytes of a digest of the receiving key; stands in the clear in a package header."""
        return labelled_hash("tallystick/v1/receiving-key-id", self.receiving_key)[:16]

    @property
    def fingerprint(self) -> str:
        """Eight groups of five digits (133 bits) over party id and both keys, to read out by telephone."""
        value = labelled_hash(
            "tallystick/v1/fingerprint", self.party.encode(), self.signing_key, self.receiving_key
        )
        return digit_groups(value, groups=8)

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form that the agreement holds."""
        return {
            "party": self.party,
            "signing_key": to_base64(self.signing_key),
            "receiving_key": to_base64(self.receiving_key),
        }

    @classmethod
    def from_dict(cls, value: JSON) -> Self:
        """Read the JSON form.

        Raises:
            IdentityError: A key is missing, unknown, not base64 or of the wrong length.
        """
        if (
            not isinstance(value, Mapping)
            or set(value) != {"party", "signing_key", "receiving_key"}
            or not isinstance(value["party"], str)
        ):
            raise IdentityError("an identity has exactly: party, signing_key, receiving_key.")
        return cls(
            party=value["party"],
            signing_key=_key(value["signing_key"], "signing_key"),
            receiving_key=_key(value["receiving_key"], "receiving_key"),
        )

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check an Ed25519 signature over `message`.

        Raises:
            BadSignature: It is not this party's signature over these bytes.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.signing_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise BadSignature(
                "the signature does not fit the bytes it stands for.",
                remedy="Do not use this file; ask the sender to send it again.",
            ) from None

    def seal_to(self, plaintext: bytes, *, info: bytes) -> bytes:
        """Encrypt a short message to this party: HPKE (RFC 9180), base mode; adds `SEALED_OVERHEAD`."""
        return _SUITE.encrypt(plaintext, _receiving(self.receiving_key), info=info)


class PrivateIdentity:
    """A party's private keys. They leave this object only through `save_identity`."""

    __slots__ = ("_mlkem_seed", "_receiving", "_signing", "_x25519", "public")

    public: PublicIdentity

    def __init__(self, *, party: str, signing_seed: bytes, mlkem_seed: bytes, x25519_key: bytes) -> None:
        """Build from raw private keys: 32, 64 and 32 bytes.

        Raises:
            IdentityError: A key has the wrong length or the party id is not one.
        """
        try:
            self._signing = Ed25519PrivateKey.from_private_bytes(signing_seed)
            mlkem = MLKEM768PrivateKey.from_seed_bytes(mlkem_seed)
            x25519 = X25519PrivateKey.from_private_bytes(x25519_key)
        except ValueError:
            raise IdentityError("a private key has the wrong length.") from None
        self._mlkem_seed, self._x25519 = mlkem_seed, x25519_key
        self._receiving = MLKEM768X25519PrivateKey(mlkem, x25519)
        self.public = PublicIdentity(
            party=party,
            signing_key=self._signing.public_key().public_bytes_raw(),
            receiving_key=mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw(),
        )

    @classmethod
    def generate(cls, party: str) -> Self:
        """Make a new identity from the operating system's randomness."""
        return cls(
            party=party,
            signing_seed=Ed25519PrivateKey.generate().private_bytes_raw(),
            mlkem_seed=MLKEM768PrivateKey.generate().private_bytes_raw(),
            x25519_key=X25519PrivateKey.generate().private_bytes_raw(),
        )

    @property
    def party(self) -> str:
        """The party's id."""
        return self.public.party

    def sign(self, message: bytes) -> bytes:
        """Return the Ed25519 signature (64 bytes) over `message`. Callers frame messages with DSSE first."""
        return self._signing.sign(message)

    def open_sealed(self, sealed: bytes, *, info: bytes) -> bytes:
        """Decrypt what `PublicIdentity.seal_to` made for this party.

        Raises:
            WrongRecipient: It was made for another key or with other `info`, or was altered.
        """
        try:
            return _SUITE.decrypt(sealed, self._receiving, info=info)
        except InvalidTag:
            raise WrongRecipient("this was not encrypted to this key, or was altered.") from None

    def _secret_bytes(self) -> bytes:
        return self._signing.private_bytes_raw() + self._mlkem_seed + self._x25519

    def __repr__(self) -> str:
        return f"PrivateIdentity(party={self.party!r}, keys hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private identity is not pickled; use save_identity")


def save_identity(
    identity: PrivateIdentity,
    path: Path,
    passphrase: bytes | None,
    profile: str = "interactive",
    *,
    unprotected: bool = False,
) -> None:
    """Save to a passphrase-encrypted key file (`schemas.keyfile`).

    Raises:
        IdentityError: No passphrase without `unprotected=True`, or an unknown profile.
        OutputError: The file cannot be written.
    """
    save_secret_file(
        path,
        holds=_HOLDS,
        secret=identity._secret_bytes(),
        public=identity.public.to_dict(),
        passphrase=passphrase,
        profile=profile,
        unprotected=unprotected,
    )


def load_identity(path: Path, passphrase: bytes | None) -> PrivateIdentity:
    """Load what `save_identity` wrote.

    Raises:
        KeyFileInvalid: The file is not an identity's key file, or its two halves do not fit.
        WrongPassphrase: The passphrase does not open it.
    """
    secret, public = load_secret_file(path, holds=_HOLDS, passphrase=passphrase)
    stated = PublicIdentity.from_dict(public)
    if len(secret) != _ED25519 + _MLKEM_SEED + _X25519:
        raise KeyFileInvalid("this key file has keys of the wrong length.", where=str(path))
    identity = PrivateIdentity(
        party=stated.party,
        signing_seed=secret[:_ED25519],
        mlkem_seed=secret[_ED25519 : _ED25519 + _MLKEM_SEED],
        x25519_key=secret[_ED25519 + _MLKEM_SEED :],
    )
    if identity.public != stated:
        raise KeyFileInvalid("the public and private halves of this key file do not fit.", where=str(path))
    return identity


def load_public(path: Path) -> PublicIdentity:
    """Return the public half of an identity's key file without its passphrase.

    Raises:
        KeyFileInvalid: The file is not an identity's key file.
    """
    return PublicIdentity.from_dict(read_public(path, holds=_HOLDS))


def digit_groups(value: bytes, *, groups: int) -> str:
    """Return `groups` groups of five decimal digits of a 32-byte digest, for people to read to each other."""
    digits = f"{int.from_bytes(value, 'big') % 10 ** (5 * groups):0{5 * groups}d}"
    return " ".join(digits[at : at + 5] for at in range(0, len(digits), 5))


def _receiving(key: bytes) -> MLKEM768X25519PublicKey:
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(key[:_MLKEM_PUBLIC]),
            X25519PublicKey.from_public_bytes(key[_MLKEM_PUBLIC:]),
        )
    except ValueError:
        raise IdentityError("a receiving key is 1,216 bytes: ML-KEM-768, then X25519.") from None


def _key(value: JSON, name: str) -> bytes:
    try:
        return from_base64(value)
    except NotCanonical:
        raise IdentityError("this key is not base64.", where=name) from None
