"""How likely two records of plain values are one person: the agency's own Fellegi-Sunter model.

It serves planning and counting only: which pairs that meet in a pass are different people, and which pairs of a pilot
are true ones. u probabilities are exact counts of the agency's own values (`hashing.counts.level_pairs`), m
probabilities the shipped priors, which `fit` can move (Fellegi and Sunter 1969; EM by Winkler 1988). No score leaves
the agency.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hashing.pairs import PairCounter, family_pairs, level_pairs
from schemas.rates import family_ratios, u_probabilities
from schemas.scheme import COMPARISONS, FAMILY_LEVELS, Comparison

Floats = NDArray[np.float64]

LEFT_OVER = 0.02
"""Duplicates a record that are still in an extract after its obvious ones were taken out: assumed."""

_COMPARED = tuple(
    dict.fromkeys(
        name
        for terms in (
            *(level.terms for comparison in COMPARISONS for level in comparison.levels),
            *(level.terms for level in FAMILY_LEVELS),
        )
        for term in terms
        for name in term
    )
)
"""Derived values that some level compares."""

PRIOR_WEIGHT = 50.0
"""Pairs that the m priors count for when they are fitted."""

_ITERATIONS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Levels:
    """Comparison levels of pairs.

    Attributes:
        comparisons: Shape (pairs, comparisons): position of the level, len(levels) for "else", -1 for null.
        family: Shape (pairs,): position of the family level, -1 for none.
    """

    comparisons: NDArray[np.int8]
    family: NDArray[np.int8]


def levels_of(counter: PairCounter, pairs: NDArray[np.int64]) -> Levels:
    """Return the levels at which each of `pairs`, shape (n, 2) of rows, agrees."""
    equal = counter.equal(_COMPARED, pairs)

    def any_term(terms: tuple[tuple[str, ...], ...]) -> NDArray[np.bool_]:
        found = np.zeros(len(pairs), dtype=bool)
        for first, *others in terms:
            agreed = equal[first]
            for name in others:
                agreed = agreed & equal[name]
            found |= agreed
        return found

    found = np.empty((len(pairs), len(COMPARISONS)), dtype=np.int8)
    for place, comparison in enumerate(COMPARISONS):
        column = np.full(len(pairs), len(comparison.levels), dtype=np.int8)
        for position in reversed(range(len(comparison.levels))):
            level = comparison.levels[position]
            column[any_term(level.terms)] = position
            for one, other in level.crossed:
                column[counter.crossed(one, other, pairs)] = position
        column[~_both(counter, comparison, pairs)] = -1
        found[:, place] = column
    family = np.full(len(pairs), -1, dtype=np.int8)
    for position in reversed(range(len(FAMILY_LEVELS))):
        family[any_term(FAMILY_LEVELS[position].terms)] = position
    return Levels(comparisons=found, family=family)


def _both(counter: PairCounter, comparison: Comparison, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    held = np.zeros(len(pairs), dtype=bool)
    for name in comparison.presence:
        codes = counter.codes(name)
        held |= (codes[pairs[:, 0]] >= 0) & (codes[pairs[:, 1]] >= 0)
    return held


def _m_priors() -> list[Floats]:
    return [
        np.array([*(level.m_prior for level in comparison.levels), comparison.else_prior])
        for comparison in COMPARISONS
    ]


@dataclass(kw_only=True, slots=True)
class PairModel:
    """Fellegi-Sunter parameters by comparison, in the order of `COMPARISONS`.

    Attributes:
        u: u probabilities of the levels, "else" last.
        family: By family level, how many times more often unrelated people are at it than single rates say.
        prior: P(two random records are one person).
        m: m probabilities of the levels, "else" last.
    """

    u: list[Floats]
    family: Floats
    prior: float
    m: list[Floats] = field(default_factory=_m_priors)

    def log_odds(self, levels: Levels) -> Floats:
        """Return the log odds that each pair is one person."""
        odds = np.full(len(levels.family), np.log(self.prior / (1 - self.prior)))
        odds -= np.log(np.append(self.family, 1.0))[levels.family]
        for place in range(len(COMPARISONS)):
            weights = np.append(np.log(self.m[place] / self.u[place]), 0.0)  # -1, null: the last entry
            odds += weights[levels.comparisons[:, place]]
        return odds

    def posterior(self, levels: Levels) -> Floats:
        """Return the probability that each pair is one person."""
        found: Floats = 1.0 / (1.0 + np.exp(np.clip(-self.log_odds(levels), -500, 500)))
        return found

    def stranger(self, levels: Levels) -> Floats:
        """Return the probability that each pair is two people, on the safe side.

        The model takes identifiers to be independent of each other. Where they are not (a street that was built and
        settled in one year), people of one surname and street can look like one. So a pair whose forenames
        have nothing in common counts as two people, unless the NHS number is the same.
        """
        return np.where(_other_forename(levels) & ~_same_number(levels), 1.0, 1.0 - self.posterior(levels))

    def fit(self, levels: Levels, *, of: float | None = None) -> None:
        """Move m to what pairs say, by EM; u stays.

        Args:
            levels: Pairs that hold nearly all true ones.
            of: All pairs that they were drawn from; given, the prior moves too.
        """
        priors = _m_priors()
        for _ in range(_ITERATIONS):
            weight = self.posterior(levels)
            moved = []
            for place, prior in enumerate(priors):
                known = levels.comparisons[:, place] >= 0
                seen = np.bincount(
                    levels.comparisons[known, place], weights=weight[known], minlength=len(prior)
                )
                counts = seen + PRIOR_WEIGHT * prior
                moved.append(counts / counts.sum())
            change = max(float(np.abs(new - old).max()) for new, old in zip(moved, self.m, strict=True))
            self.m = moved
            if of is not None:
                self.prior = float(np.clip(weight.sum() / max(of, 1.0), 1e-12, 0.5))
            if change < 1e-4:
                break


_PLACE = {comparison.name: place for place, comparison in enumerate(COMPARISONS)}


def _other_forename(levels: Levels) -> NDArray[np.bool_]:
    column = levels.comparisons[:, _PLACE["forename"]]
    found: NDArray[np.bool_] = column == len(COMPARISONS[_PLACE["forename"]].levels)
    return found


def _same_number(levels: Levels) -> NDArray[np.bool_]:
    column = levels.comparisons[:, _PLACE["nhs_number"]]
    same: NDArray[np.bool_] = (column >= 0) & (column < len(COMPARISONS[_PLACE["nhs_number"]].levels))
    return same


def model_of(counter: PairCounter, *, prior: float | None = None) -> PairModel:
    """Return the model of an agency's own records.

    Args:
        counter: Its records, one a person (`hashing.pairs.independent_rows`), with rarity classes.
        prior: P(two random records are one person); by default what is left of duplicates.
    """
    counts = [level_pairs(counter, comparison) for comparison in COMPARISONS]
    return model_from(counter, counts, family_pairs(counter), prior=prior)


def model_from(
    counter: PairCounter, counts: list[dict[str, int]], family: dict[str, int], *, prior: float | None = None
) -> PairModel:
    """Return the model from level counts, those of `COMPARISONS` in order, and family counts."""
    levels = {c.name: count for c, count in zip(COMPARISONS, counts, strict=True)}
    u = u_probabilities(levels)
    ratios = family_ratios(family, levels, u, pairs=counter.pairs)
    return PairModel(
        u=[
            np.array([u[c.name][name] for name in (*(level.name for level in c.levels), "else")])
            for c in COMPARISONS
        ],
        family=np.array([ratios[level.name] for level in FAMILY_LEVELS]),
        prior=prior if prior is not None else LEFT_OVER / max(counter.rows, 2),
    )
