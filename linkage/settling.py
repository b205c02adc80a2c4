"""Settle which of several records is the partner: links are weighed against each other, not one by one.

A model of Fellegi and Sunter (1969) judges every pair as if it were alone, with one prior for all pairs. Three things
that it leaves out are known once all pairs are scored, and are counted here from the scores themselves:

* *how often two agencies share a person*: a prior for each pair of agencies, and for pairs inside an agency;
* *rivals*: where an agency holds nobody twice, a record has one partner there at most, so that a second candidate is as
  much less likely as the first is likelier (Jaro 1989 assigns one to one; here the share of people that an agency holds
  twice decides how strict that is). A rival that is taken elsewhere is none, so the ends of links tell each other in
  turns (sums and products of beliefs, as Huang and Jebara 2009 pass them on in matchings);
* *who is left*: where nearly every record of one agency has a partner in another, one that has none yet is likelier
  to be the partner of its only candidate (Sadinle 2017, "Bayesian estimation of bipartite matchings", section 3).

The counts depend on the scores and the scores on the counts, so both are found in turns (expectation and
maximisation) until they stay the same. No token is read. docs/adr/0021 holds the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROUNDS = 60
"""Turns at most; 10 to 25 are enough on all data tried."""

_STEADY = 1e-5
"""Largest change of a probability in a turn that counts as none."""

_LEAST_LEFT = 0.02
"""Share of records without a partner that is always believed possible."""

_LIMIT = 60.0
"""Weights beyond this many bits say nothing more, and their odds would overflow sums."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """Links after they were weighed against each other.

    Attributes:
        weight: Shape (links,): log2 of the odds.
        probability: Shape (links,).
        agencies: Shape (links,): the part of the weight that came from how often the two agencies share a person.
        shift: Shape (agencies, agencies), symmetric: the same for each pair of agencies, log2.
        covered: Shape (agencies, agencies): expected partners in agency *a* of a record of agency *b*.
        repeated: Shape (agencies,): expected further records of a person in the same agency.
    """

    weight: Floats
    probability: Floats
    agencies: Floats
    shift: Floats
    covered: Floats
    repeated: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rivals:
    """Links of one record to several records of one other agency.

    Attributes:
        seeker, holder: Shape (links,): agency of the far end, and of the end that the rivals share.
        one, other: Shape (pairs,): rival links, each pair once.
        between: Shape (pairs,): the link between the two far ends, -1 where they were not compared.
    """

    seeker: Ints
    holder: Ints
    one: Ints
    other: Ints
    between: Ints


def _rivals(far: Ints, near: Ints, agency: Ints, inside: Bools, position: dict[str, Ints]) -> _Rivals:
    """Return the rivals of each link at its `near` end."""
    across = np.flatnonzero(~inside)
    group = near[across] * (int(agency.max(initial=0)) + 1) + agency[far[across]]
    order = across[np.argsort(group, kind="stable")]
    group = np.sort(group, kind="stable")
    ones, others = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for step in range(1, len(group)):
        same = np.flatnonzero(group[step:] == group[:-step])
        if len(same) == 0:
            break
        ones.append(order[same])
        others.append(order[same + step])
    one, other = np.concatenate(ones), np.concatenate(others)
    return _Rivals(
        seeker=agency[far],
        holder=agency[near],
        one=one,
        other=other,
        between=_position(far[one], far[other], position, len(agency)),
    )


def _position(one: Ints, other: Ints, position: dict[str, Ints], subjects: int) -> Ints:
    """Return the number of the link between each two subjects, -1 where there is none."""
    if len(position["key"]) == 0:
        return np.full(len(one), -1, dtype=np.int64)
    key = np.minimum(one, other) * subjects + np.maximum(one, other)
    place = np.minimum(np.searchsorted(position["key"], key), len(position["key"]) - 1)
    return np.where(position["key"][place] == key, position["link"][place], -1)


def _inside_links(left: Ints, right: Ints, inside: Bools, subjects: int) -> dict[str, Ints]:
    """Return the links inside agencies, sorted by their subjects."""
    link = np.flatnonzero(inside)
    key = np.minimum(left[link], right[link]) * subjects + np.maximum(left[link], right[link])
    order = np.argsort(key, kind="stable")
    return {"key": key[order], "link": link[order]}


def _factor(rivals: _Rivals, odds: Floats, probability: Floats, twice: Floats, left_over: Floats) -> Floats:
    """Return by what the odds of each link change at one end.

    With the odds o of a link, those of its rivals r, k = how freely one record has two partners there, and n = the
    weight of having none: the link holds in {it alone, it and a rival}, and not in {none, a rival alone}, so that its
    odds are o (1 + sum k r) / (n + sum r).

    Args:
        rivals: Rivals at that end.
        odds: Odds of each link, as its other end sees them.
        probability: Present probabilities.
        twice: k for each pair of agencies (seeker, holder).
        left_over: n for each pair of agencies.
    """
    one, other = rivals.one, rivals.other
    # Two rivals that were compared and look like one person are no rivals.
    alike = np.where(rivals.between >= 0, probability[rivals.between], 0.0)
    free = twice[rivals.seeker[one], rivals.holder[one]]
    free = free * (1 - alike) + alike
    count = len(odds)

    def total(part: Floats | float) -> Floats:
        summed = np.zeros(count)
        summed += np.bincount(one, weights=part * odds[other], minlength=count)
        summed += np.bincount(other, weights=part * odds[one], minlength=count)
        return summed

    changed: Floats = (1 + total(free)) / (left_over[rivals.seeker, rivals.holder] + total(1.0))
    return changed


class _Settling:
    """The turns of `settle`."""

    def __init__(self, left: Ints, right: Ints, weight: Floats, agency: Ints, agencies: int) -> None:
        self._agencies, self._count = agencies, len(left)
        self._weight = np.clip(weight, -_LIMIT, _LIMIT)
        self._inside = agency[left] == agency[right]
        low, high = np.minimum(agency[left], agency[right]), np.maximum(agency[left], agency[right])
        self._kind = low * agencies + high
        self._ends = (agency[left], agency[right])
        self._sizes = np.bincount(agency, minlength=agencies).astype(np.float64)
        pairs = np.outer(self._sizes, self._sizes)
        np.fill_diagonal(pairs, self._sizes * (self._sizes - 1) / 2)
        self._pairs = np.triu(pairs).ravel()
        inside = _inside_links(left, right, self._inside, len(agency))
        self._rivals = (
            _rivals(left, right, agency, self._inside, inside),
            _rivals(right, left, agency, self._inside, inside),
        )
        self._factors = (np.ones(self._count), np.ones(self._count))
        self.probability = _probability(self._weight)
        self._prior = float(self.probability.sum() / max(self._pairs.sum(), 1.0))

    def shift(self) -> Floats:
        """Return by what the odds of a link of each pair of agencies differ from those of any link, log2."""
        matches = np.bincount(self._kind, weights=self.probability, minlength=len(self._pairs))
        # As if one match had been seen at the common rate, so that few records do not decide much.
        ratio = (matches + 1) / (self._pairs * self._prior + 1)
        return np.log2(ratio).reshape(self._agencies, self._agencies)

    def covered(self) -> Floats:
        """Return the expected partners in agency a (row) of a record of agency b (column)."""
        found, across = np.zeros(self._agencies**2), ~self._inside
        for far, near in (self._ends, self._ends[::-1]):
            cell = far[across] * self._agencies + near[across]
            found += np.bincount(cell, weights=self.probability[across], minlength=len(found))
        return found.reshape(self._agencies, self._agencies) / (self._sizes + 1)

    def repeated(self) -> Floats:
        """Return the expected further records of a person in its own agency."""
        believed = np.where((self.probability >= 0.5) & self._inside, self.probability, 0.0)
        links = np.bincount(self._ends[0], weights=believed, minlength=self._agencies)
        return 2 * links / (self._sizes + 1)

    def turn(self) -> float:
        """Count anew and weigh anew; return the largest change of a probability."""
        shift, covered = self.shift(), self.covered()
        free = np.clip(self.repeated()[:, None] / np.maximum(covered, 1e-9), 0.0, 1.0)
        none = np.maximum(1 - np.minimum(covered, 1.0) * (1 - free), _LEAST_LEFT)
        by_itself = self._weight + shift.ravel()[self._kind]
        self._factors = self._told(np.exp2(by_itself), free, none)
        weight = by_itself + np.log2(self._factors[0] * self._factors[1])
        before, self.probability = self.probability, _probability(weight)
        # The shift that went into the weight, not the one that would follow from it.
        self._last = weight, shift
        return float(np.abs(self.probability - before).max(initial=0.0))

    def result(self) -> Settled:
        """Return what the last turn came to."""
        weight, shift = self._last
        return Settled(
            weight=weight,
            probability=self.probability,
            agencies=shift.ravel()[self._kind],
            shift=np.triu(shift) + np.triu(shift, 1).T,
            covered=self.covered(),
            repeated=self.repeated(),
        )

    def _told(self, odds: Floats, free: Floats, none: Floats) -> tuple[Floats, Floats]:
        """Return what each end of the links makes of their odds: half what it did before, half anew (as logarithms)."""
        told = []
        for end, rivals in enumerate(self._rivals):
            # A rival counts by what its own far end makes of it: one that is taken elsewhere is none.
            strength = odds * self._factors[1 - end]
            # That a record has a partner at all is one observation of both ends: each counts for half (the root).
            fresh = _factor(rivals, strength, self.probability, free, np.sqrt(none))
            told.append(np.where(self._inside, 1.0, np.sqrt(fresh * self._factors[end])))
        return told[0], told[1]


def _probability(weight: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp2(-weight))
    return found


def settle(left: Ints, right: Ints, weight: Floats, *, agency: Ints, agencies: int) -> Settled:
    """Weigh scored links against each other.

    Args:
        left: One subject of each link.
        right: The other one.
        weight: log2 of the odds of each link by itself.
        agency: Agency of each subject, as a number from 0.
        agencies: How many agencies there are.
    """
    # Rivals are links of one side, so that all links between two agencies must have each on the same side.
    turned = agency[left] > agency[right]
    left, right = np.where(turned, right, left), np.where(turned, left, right)
    work = _Settling(left, right, weight, agency, agencies)
    for _ in range(ROUNDS):
        if work.turn() < _STEADY:
            break
    return work.result()
