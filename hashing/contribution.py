"""Contributions to the linkage secret, their commitments, and how they are combined: no files, no clock.

The whole ceremony is described in hashing/ceremony.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from hashing.secret import SECRET_BYTES, Ceremony, HiddenBytes, LinkageSecret
from schemas.errors import (
    CeremonyError,
    CommitmentBroken,
    ContributionDoubled,
    ContributionMissing,
    WeakContribution,
)
from schemas.labels import derive, encode, labelled_hash


class Contribution(HiddenBytes):
    """One agency's secret contribution: 32 random bytes, and 32 more that blind its commitment."""

    __slots__ = ("_nonce", "ceremony", "party")

    def __init__(self, *, ceremony: Ceremony, party: str, value: bytes, nonce: bytes) -> None:
        """Take the raw bytes.

        Raises:
            CeremonyError: The party has no part in the ceremony.
            WeakContribution: A value is not 32 bytes, or is one byte repeated.
        """
        if party not in ceremony.parties:
            raise CeremonyError("this party has no part in the ceremony.", where=f"party {party}")
        if len(value) != SECRET_BYTES or len(nonce) != SECRET_BYTES or len(set(value)) == 1:
            raise WeakContribution(
                "this contribution is not 32 random bytes.",
                where=f"party {party}",
                remedy="Start a new epoch; ask this agency how it made its contribution.",
            )
        super().__init__(value)
        self.ceremony, self.party, self._nonce = ceremony, party, nonce

    @property
    def commitment(self) -> Commitment:
        """What may be published: it fixes the contribution and shows nothing of it."""
        value = labelled_hash(
            "tallystick/v1/contribution-commitment",
            self.ceremony.to_bytes(),
            self.party.encode(),
            self._nonce,
            self._value,
        )
        return Commitment(ceremony=self.ceremony, party=self.party, value=value)

    def __repr__(self) -> str:
        return f"Contribution(party={self.party!r}, epoch={self.ceremony.epoch}, value hidden)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Commitment:
    """SHA-256 (32 bytes) over ceremony, party, blinding nonce and contribution."""

    ceremony: Ceremony
    party: str
    value: bytes


def contribute(
    ceremony: Ceremony, party: str, *, random: Callable[[int], bytes] = secrets.token_bytes
) -> Contribution:
    """Make one agency's contribution from the operating system's randomness.

    Raises:
        CeremonyError: The party has no part in the ceremony.
    """
    return Contribution(
        ceremony=ceremony, party=party, value=random(SECRET_BYTES), nonce=random(SECRET_BYTES)
    )


def combine(
    ceremony: Ceremony, *, commitments: Iterable[Commitment], contributions: Iterable[Contribution]
) -> LinkageSecret:
    """Derive the linkage secret. The same inputs give the same secret at every agency.

    HKDF-SHA-256 (RFC 5869) over all contributions in order of party id, salted with the ceremony and all
    commitments.

    Raises:
        ContributionMissing, ContributionDoubled: Not exactly one of each agency, or two are identical.
        CommitmentBroken: A contribution is not what its agency committed to.
    """
    ordered = one_of_each(ceremony, commitments)
    given: dict[str, Contribution] = {}
    for contribution in contributions:
        if contribution.party in given:
            raise ContributionDoubled(
                "this agency's contribution is there twice.", where=f"party {contribution.party}"
            )
        check_commitment(contribution, ordered)
        given[contribution.party] = contribution
    _complete(ceremony, given, "contribution")
    values = [given[party]._value for party in ceremony.parties]
    if len(set(values)) != len(values):
        raise ContributionDoubled(
            "two agencies gave the same contribution.", remedy="Start a new epoch; ask how they were made."
        )
    salt = labelled_hash(
        "tallystick/v1/linkage-secret-salt",
        ceremony.to_bytes(),
        *(ordered[party].value for party in ceremony.parties),
    )
    value = derive(encode("tallystick/v1/contributions", *values), "tallystick/v1/linkage-secret", salt=salt)
    return LinkageSecret(ceremony=ceremony, value=value)


def one_of_each(ceremony: Ceremony, commitments: Iterable[Commitment]) -> dict[str, Commitment]:
    """Return the commitments by party.

    Raises:
        CeremonyError: One is for another ceremony.
        ContributionMissing, ContributionDoubled: There is not exactly one of each agency.
    """
    found: dict[str, Commitment] = {}
    for commitment in commitments:
        if commitment.ceremony != ceremony or commitment.party not in ceremony.parties:
            raise CeremonyError("a commitment is for another ceremony.", where=f"party {commitment.party}")
        if commitment.party in found:
            raise ContributionDoubled(
                "this agency's commitment is there twice.", where=f"party {commitment.party}"
            )
        found[commitment.party] = commitment
    _complete(ceremony, found, "commitment")
    return found


def _complete(ceremony: Ceremony, found: Mapping[str, object], what: str) -> None:
    missing = [party for party in ceremony.parties if party not in found]
    if missing:
        raise ContributionMissing(
            f"the {what} is missing of: {', '.join(missing)}.",
            remedy="Wait for it. If it will not come, hold a new ceremony without that agency.",
        )


def check_commitment(contribution: Contribution, commitments: Mapping[str, Commitment]) -> None:
    """Compare a contribution with what its agency committed to.

    Raises:
        CommitmentBroken: It is another one.
    """
    if commitments.get(contribution.party) != contribution.commitment:
        raise CommitmentBroken(
            "this contribution is not the one that the agency committed to.",
            where=f"party {contribution.party}",
            remedy="Stop the ceremony and tell the other agencies.",
        )
