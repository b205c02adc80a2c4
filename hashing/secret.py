"""The linkage secret that all agencies share, and the ceremony it came from.

How it is made is in hashing/ceremony.py; the procedures are in docs/spec/keys-v1.md. Nothing under linkage/
may import this module: the linkage unit has no way to hold a linkage secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, NoReturn

from schemas.canonical import JSON, canonical_json
from schemas.errors import CeremonyError, SecretExpired
from schemas.identity import PARTY_ID, digit_groups
from schemas.keyfile import load_secret_file, read_public, save_secret_file
from schemas.labels import derive

SECRET_BYTES = 32
EXPIRING_AT = 0.8
"""Share of its life after which a secret counts as expiring (rule P06)."""

KeyState = Literal["not yet valid", "current", "expiring", "expired"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceremony:
    """What the agencies agree on before anyone contributes; every commitment covers it.

    Attributes:
        agreement_digest: Digest of the signed agreement.
        epoch: 1 for the first linkage secret of an agreement, one more for each later one.
        parties: Ids of the agencies, sorted. The linkage unit is never one of them.
        starts_on: First day on which the secret may be used.
        expires_on: Last day on which the secret may be used.
    """

    agreement_digest: str
    epoch: int
    parties: tuple[str, ...]
    starts_on: date
    expires_on: date

    def __post_init__(self) -> None:
        if len(self.parties) < 2 or tuple(sorted(set(self.parties))) != self.parties:
            raise CeremonyError("a ceremony has two or more agencies, each once, in alphabetical order.")
        if not all(PARTY_ID.fullmatch(party) for party in self.parties):
            raise CeremonyError("an agency's id is not a party id.")
        if self.epoch < 1 or self.expires_on < self.starts_on:
            raise CeremonyError("a ceremony has an epoch of 1 or more and ends no earlier than it starts.")

    @property
    def days(self) -> int:
        """Length of the secret's life in days, first and last day included."""
        return (self.expires_on - self.starts_on).days + 1

    def age(self, on: date) -> float:
        """Return the share of the secret's life that is over on a day: 0 on its first, 1 on the day after its last."""
        return (on - self.starts_on).days / self.days

    def state(self, on: date) -> KeyState:
        """Return whether the secret may be used on a day; it is expiring from 80% of its life."""
        age = self.age(on)
        if age < 0:
            return "not yet valid"
        if age >= 1:
            return "expired"
        return "expiring" if age >= EXPIRING_AT else "current"

    def require_usable(self, on: date) -> None:
        """Refuse a secret outside its days.

        Raises:
            SecretExpired: It is not yet valid, or expired.
        """
        state = self.state(on)
        if state in ("expired", "not yet valid"):
            raise SecretExpired(
                f"the linkage secret of epoch {self.epoch} is {state}.",
                remedy="Hold the next ceremony with every agency (tallystick keys rotate).",
            )

    def to_dict(self) -> dict[str, JSON]:
        """Return the JSON form."""
        return {
            "agreement": self.agreement_digest,
            "epoch": self.epoch,
            "parties": list(self.parties),
            "starts_on": self.starts_on.isoformat(),
            "expires_on": self.expires_on.isoformat(),
        }

    def to_bytes(self) -> bytes:
        """Return the canonical bytes that commitments and the secret are bound to."""
        return canonical_json(self.to_dict())

    @classmethod
    def from_dict(cls, value: JSON) -> Ceremony:
        """Read the JSON form.

        Raises:
            CeremonyError: A field is missing, unknown, of another type or in another spelling than `to_dict` gives.
        """
        try:
            if not isinstance(value, Mapping) or set(value) != _CEREMONY_FIELDS:
                raise TypeError
            epoch, parties = value["epoch"], value["parties"]
            if type(epoch) is not int or not isinstance(parties, list):
                raise TypeError
            ceremony = cls(
                agreement_digest=str(value["agreement"]),
                epoch=epoch,
                parties=tuple(str(party) for party in parties),
                starts_on=date.fromisoformat(str(value["starts_on"])),
                expires_on=date.fromisoformat(str(value["expires_on"])),
            )
            if ceremony.to_dict() != value:  # a number for text, or a date in another spelling
                raise TypeError
        except (TypeError, ValueError):
            raise CeremonyError("this does not describe a ceremony.") from None
        return ceremony


_CEREMONY_FIELDS = {"agreement", "epoch", "parties", "starts_on", "expires_on"}


def next_ceremony(
    before: Ceremony,
    *,
    agreement_digest: str,
    starts_on: date,
    expires_on: date,
    parties: Iterable[str] | None = None,
) -> Ceremony:
    """Return the ceremony of the next epoch: to rotate, to shut out an agency that left, to take one in."""
    return Ceremony(
        agreement_digest=agreement_digest,
        epoch=before.epoch + 1,
        parties=before.parties if parties is None else tuple(sorted(parties)),
        starts_on=starts_on,
        expires_on=expires_on,
    )


class HiddenBytes:
    """Secret bytes that do not print, pickle or compare by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled; save it to a key file")


class LinkageSecret(HiddenBytes):
    """The secret that all agencies share. Use it through `derive` and `sealing_key`."""

    __slots__ = ("ceremony",)

    def __init__(self, *, ceremony: Ceremony, value: bytes) -> None:
        """Take the raw 32 bytes.

        Raises:
            CeremonyError: Not 32 bytes.
        """
        if len(value) != SECRET_BYTES:
            raise CeremonyError("a linkage secret is 32 bytes.")
        super().__init__(value)
        self.ceremony = ceremony

    def derive(self, label: str, *context: bytes, length: int = 32) -> bytes:
        """Return a key derived with HKDF-SHA-256 for one labelled use."""
        return derive(self._value, label, *context, length=length)

    def sealing_key(self) -> bytes:
        """Return the 32 bytes from which `hashing.keys.RunKeys` derives keys for an agreement and run."""
        return self.derive("tallystick/v1/sealing", self.ceremony.to_bytes())

    def state(self, on: date) -> KeyState:
        """Return whether the secret may be used on a day; as `Ceremony.state`."""
        return self.ceremony.state(on)

    def require_usable(self, on: date) -> None:
        """Refuse a secret outside its days; as `Ceremony.require_usable`."""
        self.ceremony.require_usable(on)

    def __repr__(self) -> str:
        return f"LinkageSecret(epoch={self.ceremony.epoch}, value hidden)"


def check_value(secret: LinkageSecret) -> str:
    """Return four groups of five digits (66 bits), which all agencies read to each other; no secret."""
    return digit_groups(
        secret.derive("tallystick/v1/linkage-secret-check", secret.ceremony.to_bytes()), groups=4
    )


def confirm(secret: LinkageSecret, spoken: str) -> None:
    """Compare a check value that another agency read out; spaces and hyphens do not matter.

    Raises:
        CeremonyError: It differs.
    """
    heard = "".join(character for character in spoken if character.isdigit())
    if not hmac.compare_digest(heard.encode(), check_value(secret).replace(" ", "").encode()):
        raise CeremonyError(
            "the check values differ: this is not the same linkage secret.",
            remedy="Compare epoch and agreement digest first; then repeat the ceremony.",
        )


def save_secret(
    secret: LinkageSecret,
    path: Path,
    passphrase: bytes | None,
    profile: str = "interactive",
    *,
    unprotected: bool = False,
) -> None:
    """Save to a passphrase-encrypted key file.

    Raises:
        IdentityError, OutputError: As for `schemas.keyfile.save_secret_file`.
    """
    save_secret_file(
        path,
        holds="linkage-secret",
        secret=secret._value,
        public={"ceremony": secret.ceremony.to_dict()},
        passphrase=passphrase,
        profile=profile,
        unprotected=unprotected,
    )


def load_secret(path: Path, passphrase: bytes | None) -> LinkageSecret:
    """Load what `save_secret` wrote.

    Raises:
        KeyFileInvalid, WrongPassphrase: As for `schemas.keyfile.load_secret_file`.
    """
    value, public = load_secret_file(path, holds="linkage-secret", passphrase=passphrase)
    return LinkageSecret(ceremony=Ceremony.from_dict(public.get("ceremony")), value=value)


def load_ceremony(path: Path) -> Ceremony:
    """Return what stands in the open in the file of a linkage secret: no passphrase is needed.

    Raises:
        KeyFileInvalid: The file cannot be read, or is no linkage secret's.
        CeremonyError: It describes no ceremony.
    """
    return Ceremony.from_dict(read_public(path, holds="linkage-secret").get("ceremony"))
