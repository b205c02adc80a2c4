"""The linkage-secret ceremony over a shared folder: each agency runs one command twice, then combines.

The folder may be any place that all agencies can write to; nothing in it is secret but the reveals, and each of those
can be read by one agency only. File names: `<party>.commitment.json`, `<sender>-to-<recipient>.reveal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from hashing.ceremony import (
    Ceremony,
    Commitment,
    Contribution,
    LinkageSecret,
    combine,
    contribute,
    load_contribution,
    read_commitment,
    read_reveal,
    save_contribution,
    sign_commitment,
    write_reveal,
)
from schemas.atomic import atomic_write
from schemas.canonical import canonical_json, parse_json
from schemas.errors import CeremonyError, EnvelopeInvalid, NotCanonical, OutputError
from schemas.identity import PrivateIdentity, PublicIdentity


def _commitment_file(folder: Path, party: str) -> Path:
    return folder / f"{party}.commitment.json"


def _reveal_file(folder: Path, sender: str, recipient: str) -> Path:
    return folder / f"{sender}-to-{recipient}.reveal"


def _require_own_part(
    ceremony: Ceremony, identity: PrivateIdentity, known: Mapping[str, PublicIdentity]
) -> None:
    if identity.party not in ceremony.parties:
        raise CeremonyError(
            f"{identity.party} is no agency of this agreement, so it has no part in the ceremony.",
            remedy="Use the key file of one of its parties. The linkage unit must never hold the secret.",
        )
    without = [party for party in ceremony.parties if party not in known]
    if without:
        raise CeremonyError(
            f"the agreement holds no keys of {', '.join(without)}.",
            remedy="Put their public keys into the agreement first (tallystick keys show FILE --public).",
        )
    if known[identity.party] != identity.public:
        raise CeremonyError(
            "the agreement holds other keys of yours than this key file.", where=identity.party
        )


def _commitments(
    ceremony: Ceremony, folder: Path, known: Mapping[str, PublicIdentity]
) -> tuple[list[Commitment], list[str]]:
    """Return the verified commitments in the folder, and the agencies whose commitment is not there yet."""
    found, missing = [], []
    for party in ceremony.parties:
        path = _commitment_file(folder, party)
        if not path.exists():
            missing.append(party)
            continue
        try:
            envelope = parse_json(path.read_bytes())
        except (OSError, NotCanonical):
            envelope = None
        if not isinstance(envelope, dict):
            raise EnvelopeInvalid("is no commitment.", where=str(path), remedy="Ask its agency for it again.")
        commitment = read_commitment(envelope, known=known, ceremony=ceremony)
        if commitment.party != party:
            raise CeremonyError(f"holds the commitment of {commitment.party}.", where=str(path))
        found.append(commitment)
    return found, missing


def contribute_step(
    ceremony: Ceremony,
    *,
    identity: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    folder: Path,
    own: Path,
    passphrase: bytes,
    now: datetime,
) -> str:
    """Do the next step of the ceremony that can be done: commit, or reveal when all have committed.

    Args:
        ceremony: What all agencies agree on.
        identity: This agency's keys.
        known: Public keys of the parties.
        folder: The shared folder.
        own: Where this agency keeps its contribution until the secret is combined.
        passphrase: Locks `own`.
        now: Time, with a zone.

    Returns:
        A sentence that says what was done and what comes next.

    Raises:
        CeremonyError: The step does not fit the ceremony.
        OutputError: A file cannot be written.
    """
    _require_own_part(ceremony, identity, known)
    if not folder.is_dir():
        raise OutputError(
            "this is not a folder.", where=str(folder), remedy="Name the folder that all agencies share."
        )
    mine = _commitment_file(folder, identity.party)
    if not own.exists():
        if mine.exists():
            raise CeremonyError(
                "you have committed before, but your contribution is not at this place.",
                where=str(own),
                remedy="Name the file with --own, or agree with the others to start again with a new folder.",
            )
        contribution = contribute(ceremony, identity.party)
        save_contribution(contribution, own, passphrase)
    contribution = load_contribution(own, passphrase)
    if not mine.exists():
        atomic_write(mine, canonical_json(sign_commitment(contribution, identity)))
    commitments, missing = _commitments(ceremony, folder, known)
    if missing:
        return f"Committed. Run this command again when these have committed too: {', '.join(missing)}."
    for party in ceremony.parties:
        if party != identity.party:
            write_reveal(
                _reveal_file(folder, identity.party, party),
                contribution,
                commitments=commitments,
                sender=identity,
                recipient=known[party],
                created_at=now,
            )
    return "Revealed to each other agency. When all have, run: tallystick keys combine."


def combine_step(
    ceremony: Ceremony,
    *,
    identity: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    folder: Path,
    own: Path,
    passphrase: bytes,
) -> LinkageSecret:
    """Combine the contributions in the folder into the linkage secret.

    Raises:
        CeremonyError: A commitment or contribution is missing or does not fit.
        PackageError: A reveal is not genuine.
    """
    _require_own_part(ceremony, identity, known)
    commitments, _ = _commitments(ceremony, folder, known)
    contributions: list[Contribution] = [load_contribution(own, passphrase)]
    for party in ceremony.parties:
        path = _reveal_file(folder, party, identity.party)
        if party != identity.party and path.exists():
            contributions.append(
                read_reveal(path, recipient=identity, known=known, ceremony=ceremony, commitments=commitments)
            )
    return combine(ceremony, commitments=commitments, contributions=contributions)
