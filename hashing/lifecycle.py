"""What happens to a linkage secret after it was made: the next epoch, a copy for an agency that lost its own.

The procedures that these steps belong to are in docs/guides/keys.md and docs/spec/keys-v1.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hashing.ceremony import Ceremony, LinkageSecret, read_handover
from hashing.exchange import read_ceremony
from schemas.canonical import JSON
from schemas.container import read_manifest
from schemas.errors import CeremonyError, KeyFileInvalid
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.keyfile import describe_secret_file


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """How the agencies of a ceremony differ from those of the one before."""

    stay: tuple[str, ...]
    join: tuple[str, ...]
    leave: tuple[str, ...]


def change_between(before: Ceremony, after: Ceremony) -> Change:
    """Return which agencies stay, join and leave."""
    old, new = set(before.parties), set(after.parties)
    return Change(
        stay=tuple(sorted(old & new)), join=tuple(sorted(new - old)), leave=tuple(sorted(old - new))
    )


def ceremony_of(path: Path) -> Ceremony:
    """Return the ceremony of a linkage secret, a contribution, or a folder's `ceremony.json`; no passphrase is needed.

    Raises:
        CeremonyError: The file is none of these.
    """
    try:
        holds, public = describe_secret_file(path)
    except KeyFileInvalid:
        return read_ceremony(path)
    return ceremony_in(holds, public, where=str(path))


def ceremony_in(holds: str, public: Mapping[str, JSON], *, where: str) -> Ceremony:
    """Return the ceremony that the public half of a key file names.

    Raises:
        CeremonyError: It holds neither a linkage secret nor a contribution, or describes no ceremony.
    """
    if holds not in {"linkage-secret", "contribution"}:
        raise CeremonyError("this key file belongs to no ceremony.", where=where)
    try:
        return Ceremony.from_dict(public.get("ceremony"))
    except CeremonyError as error:
        error.where = where
        raise


def require_agreement(
    ceremony: Ceremony, agreement_digest: str, parties: tuple[str, ...], *, where: str
) -> None:
    """Refuse a linkage secret that was made under another agreement than the one at hand.

    Raises:
        CeremonyError: Digest or agencies differ.
    """
    if ceremony.agreement_digest != agreement_digest or ceremony.parties != parties:
        raise CeremonyError(
            "this is the linkage secret of another agreement, or another version of it.",
            where=where,
            remedy="Compare the digests (tallystick agreement check). Under a new version: tallystick keys rotate.",
        )


def take_over(
    path: Path,
    *,
    recipient: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    agreement_digest: str,
    parties: tuple[str, ...],
    spoken: str,
) -> LinkageSecret:
    """Open the linkage secret that another agency handed over, for the ceremony that its file names.

    That the ceremony is the right one shows by the check value, which covers it.

    Args:
        path: The file of `write_handover`.
        recipient: The agency that lost its copy.
        known: Public identities of the agreement.
        agreement_digest: Digest of the agreement.
        parties: Its agencies, sorted.
        spoken: The check value, as read out by an agency other than the sender.

    Raises:
        PackageError: The file is not genuine.
        CeremonyError: It is of another agreement or other agencies, or the check value differs.
    """
    agencies = {party: identity for party, identity in known.items() if party in parties}
    manifest = read_manifest(path, recipient=recipient, known_senders=agencies)
    ceremony = Ceremony.from_dict(manifest.facts.get("ceremony"))
    require_agreement(ceremony, agreement_digest, parties, where=str(path))
    return read_handover(path, recipient=recipient, known=agencies, ceremony=ceremony, spoken=spoken)
