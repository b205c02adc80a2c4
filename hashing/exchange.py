"""The linkage-secret ceremony over a shared folder: each agency runs one command twice, then combines.

The folder may be any place that all agencies can write to; nothing in it is secret but the reveals, and each of those
can be read by one agency only. File names: `ceremony.json`, which says what the ceremony is,
`<party>.commitment.json`, `<sender>-to-<recipient>.reveal`. Nobody signs `ceremony.json`: every commitment covers what
it says, so agencies that read two versions of it do not come together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

CEREMONY_FILE = "ceremony.json"
_FORMAT, _VERSION = "tallystick-ceremony", 1
_LARGEST_FILE = 64 * 1024


def write_ceremony(folder: Path, ceremony: Ceremony) -> Path:
    """Write what a ceremony is into its folder, for all agencies to read; return the file.

    Raises:
        CeremonyError: The folder is another ceremony's.
        OutputError: The file cannot be written.
    """
    path = folder / CEREMONY_FILE
    if not folder.is_dir():
        raise OutputError(
            "this is not a folder.", where=str(folder), remedy="Name the folder that all agencies share."
        )
    if path.exists():
        if read_ceremony(path) != ceremony:
            raise CeremonyError(
                "this folder holds another ceremony.",
                where=str(path),
                remedy="Give the options that the other agencies gave, or take a new folder for a new ceremony.",
            )
        return path
    atomic_write(
        path,
        canonical_json({"format": _FORMAT, "version": _VERSION, "ceremony": ceremony.to_dict()}) + b"\n",
    )
    return path


def read_ceremony(path: Path) -> Ceremony:
    """Read what `write_ceremony` wrote.

    Raises:
        CeremonyError: The file cannot be read or describes no ceremony.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST_FILE + 1)
        value = parse_json(data) if len(data) <= _LARGEST_FILE else None
    except (OSError, NotCanonical):
        value = None
    if (
        not isinstance(value, dict)
        or set(value) != {"format", "version", "ceremony"}
        or value["format"] != _FORMAT
        or value["version"] is not _VERSION
    ):
        raise CeremonyError("this does not describe a ceremony.", where=str(path))
    try:
        return Ceremony.from_dict(value["ceremony"])
    except CeremonyError as error:
        error.where = str(path)
        raise


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a ceremony is, by what lies in its folder.

    Attributes:
        ceremony: The ceremony.
        uncommitted: Agencies without a commitment.
        unrevealed: For each agency those that it has not revealed to.
    """

    ceremony: Ceremony
    uncommitted: tuple[str, ...]
    unrevealed: Mapping[str, tuple[str, ...]]

    @property
    def awaited(self) -> tuple[str, ...]:
        """Agencies without which the ceremony cannot go on."""
        if self.uncommitted:
            return self.uncommitted
        return tuple(party for party, missing in self.unrevealed.items() if missing)


def progress(ceremony: Ceremony, *, known: Mapping[str, PublicIdentity], folder: Path) -> Progress:
    """Return how far a ceremony is. Commitments are verified; of reveals only the names are looked at.

    Raises:
        CeremonyError: A commitment does not fit.
    """
    _, missing = _commitments(ceremony, folder, known)
    unrevealed = {
        sender: tuple(
            party
            for party in ceremony.parties
            if party != sender and not _reveal_file(folder, sender, party).exists()
        )
        for sender in ceremony.parties
    }
    return Progress(ceremony=ceremony, uncommitted=tuple(missing), unrevealed=unrevealed)


def _commitment_file(folder: Path, party: str) -> Path:
    return folder / f"{party}.commitment.json"


def _reveal_file(folder: Path, sender: str, recipient: str) -> Path:
    return folder / f"{sender}-to-{recipient}.reveal"


def require_own_part(
    parties: tuple[str, ...], identity: PrivateIdentity, known: Mapping[str, PublicIdentity]
) -> None:
    """Refuse an identity that has no part in a ceremony of `parties`, or other keys than the agreement holds.

    Raises:
        CeremonyError: It is no agency, or keys are missing or differ.
    """
    if identity.party not in parties:
        raise CeremonyError(
            f"{identity.party} is no agency of this agreement, so it has no part in the ceremony.",
            remedy="Use the key file of one of its parties. The linkage unit must never hold the secret.",
        )
    without = [party for party in parties if party not in known]
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


def _own_contribution(own: Path, passphrase: bytes, ceremony: Ceremony) -> Contribution:
    contribution = load_contribution(own, passphrase)
    if contribution.ceremony != ceremony:
        raise CeremonyError(
            f"this contribution was made for another ceremony (epoch {contribution.ceremony.epoch}).",
            where=str(own),
            remedy="Name a new file with --own: no contribution is used twice.",
        )
    return contribution


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
    require_own_part(ceremony.parties, identity, known)
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
                remedy="Name the file with --own. If it is lost, this ceremony cannot end: begin the next one "
                "(tallystick keys rotate) in a new folder.",
            )
        contribution = contribute(ceremony, identity.party)
        save_contribution(contribution, own, passphrase)
    contribution = _own_contribution(own, passphrase, ceremony)
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
    require_own_part(ceremony.parties, identity, known)
    commitments, _ = _commitments(ceremony, folder, known)
    contributions: list[Contribution] = [_own_contribution(own, passphrase, ceremony)]
    for party in ceremony.parties:
        path = _reveal_file(folder, party, identity.party)
        if party != identity.party and path.exists():
            contributions.append(
                read_reveal(path, recipient=identity, known=known, ceremony=ceremony, commitments=commitments)
            )
    return combine(ceremony, commitments=commitments, contributions=contributions)
