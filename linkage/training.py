"""Estimate the model: federated u, one EM session a pass for m, and the prior from all candidates.

Strong passes find almost only matches, and each selects pairs that agree on what it is made of. So every pass is
a session of its own, on *all* pairs it found, and updates only comparisons over identifiers that the pass does
not touch; the sessions are then averaged by the matches each has seen (docs/adr/0004-em-a-pass.md).

EM runs on counts of comparison patterns, of which there are a few thousand however many pairs there are. For one
session without priors it is the algorithm that Splink runs in SQL, and a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from linkage.comparing import PATTERN_BITS
from linkage.model import Parameters, level_names
from schemas.errors import UntrainedLevel
from schemas.rates import family_ratios, u_probabilities
from schemas.scheme import COMPARISONS, DERIVED, FAMILY_LEVELS, Comparison, Pass

Floats = NDArray[np.float64]

PRIOR_WEIGHT = 20.0
"""Pairs that the m priors count for: enough to keep an unseen level from 0, too few to outweigh data."""

_ITERATIONS = 200
_CONVERGED = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Patterns:
    """Distinct comparison patterns of the candidates.

    Attributes:
        codes: Shape (n,), the pattern codes.
        levels: Shape (n, comparisons): position of the level in `level_names`, -1 for null.
        family: Shape (n,): position of the family level, -1 for none.
        found_by: Shape (n,), uint64: the passes that found the pairs.
        pairs: Shape (n,), number of pairs.
    """

    codes: NDArray[np.int64]
    levels: NDArray[np.int64]
    family: NDArray[np.int64]
    found_by: NDArray[np.uint64]
    pairs: Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """The EM session of one pass.

    Attributes:
        name: The pass.
        pairs: Pairs it found.
        matches: How many of them it believes to be matches.
        iterations: EM steps until it settled.
        estimated: Comparisons whose m it updated.
    """

    name: str
    pairs: int
    matches: float
    iterations: int
    estimated: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The estimated parameters and how they came about."""

    parameters: Parameters
    sessions: tuple[Session, ...]


def pool_u(counted: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Pool the level counts that the agencies shipped into u probabilities ("federated u").

    u of a level = agreeing pairs of unrelated records / comparable pairs, summed over agencies; see
    `schemas.rates.u_probabilities`.
    """
    return u_probabilities(_summed(counted))


def _summed(counted: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Add up the level counts of all agencies."""
    summed: dict[str, dict[str, float]] = {}
    for comparison in COMPARISONS:
        totals = dict.fromkeys(("comparable", *(level.name for level in comparison.levels)), 0.0)
        for entry in counted:
            for level, pairs in entry["levels"][comparison.name].items():
                totals[level] += float(pairs)
        summed[comparison.name] = totals
    return summed


def pool_family(
    counted: Sequence[Mapping[str, Any]], u: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Return, by family level, how many times more often unrelated people are at it than single rates say.

    See `schemas.rates.family_ratios`.
    """
    family = {
        level.name: sum(float(entry["family"][level.name]) for entry in counted) for level in FAMILY_LEVELS
    }
    return family_ratios(family, _summed(counted), u, pairs=sum(float(entry["pairs"]) for entry in counted))


def prior_m() -> dict[str, dict[str, float]]:
    """Return the shipped m priors."""
    return {
        comparison.name: {
            **{level.name: level.m_prior for level in comparison.levels},
            "else": comparison.else_prior,
        }
        for comparison in COMPARISONS
    }


def read_patterns(con: duckdb.DuckDBPyConnection, *, compared: str) -> Patterns:
    """Count the comparison patterns in the table `compared` (`linkage.comparing`), by the passes that found them."""
    rows = con.execute(
        f"""
        SELECT pattern, found_by, count(*) AS pairs
        FROM {compared}
        GROUP BY pattern, found_by
        ORDER BY pattern, found_by
        """
    ).fetchnumpy()
    codes = np.asarray(rows["pattern"], dtype=np.int64)
    levels = np.empty((len(codes), len(COMPARISONS)), dtype=np.int64)
    for place, comparison in enumerate(COMPARISONS):
        gamma = ((codes >> (PATTERN_BITS * place)) & ((1 << PATTERN_BITS) - 1)) - 1
        levels[:, place] = np.where(gamma < 0, -1, len(comparison.levels) - gamma)
    family = ((codes >> (PATTERN_BITS * len(COMPARISONS))) & ((1 << PATTERN_BITS) - 1)) - 1
    return Patterns(
        codes=codes,
        levels=levels,
        family=np.where(family > 0, len(FAMILY_LEVELS) - family, -1),
        found_by=np.asarray(rows["found_by"], dtype=np.uint64),
        pairs=np.asarray(rows["pairs"], dtype=np.float64),
    )


def _vector(table: Mapping[str, float], comparison: Comparison) -> Floats:
    return np.array([table[name] for name in level_names(comparison)])


def _log_factor(levels: NDArray[np.int64], values: Floats) -> Floats:
    """Return log(values[level]), 0 for null."""
    return np.where(levels >= 0, np.log(values)[levels], 0.0)


def free_comparisons(blocking: Pass) -> list[int]:
    """Return the positions of the comparisons over none of the identifiers that `blocking` is made of."""
    return [
        place
        for place, comparison in enumerate(COMPARISONS)
        if not {field for name in comparison.tokens for field in DERIVED[name].fields} & blocking.fields
    ]


def session(
    levels: NDArray[np.int64],
    pairs: Floats,
    *,
    free: Sequence[int],
    u: Mapping[str, Mapping[str, float]],
    start: Mapping[str, Mapping[str, float]],
    prior_weight: float = PRIOR_WEIGHT,
    match_share: float = 0.9,
) -> tuple[dict[int, Floats], Floats, float, int]:
    """Run EM over the pairs of one pass (Winkler 1988; Fellegi and Sunter 1969 for the model).

    Args:
        levels: Shape (patterns, comparisons), -1 for null.
        pairs: Pairs of each pattern.
        free: Positions of the comparisons that take part; the others are left out altogether.
        u: u probabilities, kept fixed.
        start: m probabilities to begin with, and the prior that `prior_weight` pairs are counted for.
        prior_weight: Pseudo-pairs at the prior; 0 for plain EM.
        match_share: Share of matches to begin with.

    Returns:
        Position -> m of its levels; posterior of each pattern; share of matches; iterations.
    """
    priors = {place: _vector(start[COMPARISONS[place].name], COMPARISONS[place]) for place in free}
    log_u = sum(
        (
            _log_factor(levels[:, place], _vector(u[COMPARISONS[place].name], COMPARISONS[place]))
            for place in free
        ),
        start=np.zeros(len(levels)),
    )
    m = dict(priors)
    share = match_share
    posterior = np.zeros(len(levels))
    iteration = 0
    while iteration < _ITERATIONS:
        iteration += 1
        log_m = sum((_log_factor(levels[:, place], m[place]) for place in free), start=np.zeros(len(levels)))
        posterior = 1.0 / (1.0 + np.exp(np.clip(log_u - log_m, -500, 500)) * (1.0 - share) / share)
        weight = posterior * pairs
        updated = {}
        for place in free:
            known = levels[:, place] >= 0
            seen = np.bincount(levels[known, place], weights=weight[known], minlength=len(m[place]))
            counts = seen + prior_weight * priors[place]
            updated[place] = np.maximum(counts / max(counts.sum(), 1e-12), 1e-12)
        new_share = float(np.clip(weight.sum() / pairs.sum(), 1e-6, 1 - 1e-6))
        change = max([abs(new_share - share), *(float(np.abs(updated[p] - m[p]).max()) for p in free)])
        m, share = updated, new_share
        if change < _CONVERGED:
            break
    return m, posterior, share, iteration


def _combine_sessions(
    patterns: Patterns, passes: Sequence[Pass], u: Mapping[str, Mapping[str, float]]
) -> tuple[dict[str, dict[str, float]], list[Session]]:
    priors = prior_m()
    totals = {c.name: PRIOR_WEIGHT * _vector(priors[c.name], c) for c in COMPARISONS}
    sessions = []
    for index, blocking in enumerate(passes):
        mine = (patterns.found_by >> np.uint64(index)) & np.uint64(1) == 1
        free = free_comparisons(blocking)
        if not mine.any() or not free:
            continue
        levels, pairs = patterns.levels[mine], patterns.pairs[mine]
        _, posterior, _, steps = session(levels, pairs, free=free, u=u, start=priors)
        weight = posterior * pairs
        for place in free:
            known = levels[:, place] >= 0
            name = COMPARISONS[place].name
            totals[name] += np.bincount(
                levels[known, place], weights=weight[known], minlength=len(totals[name])
            )
        sessions.append(
            Session(
                name=blocking.name,
                pairs=int(pairs.sum()),
                matches=float(weight.sum()),
                iterations=steps,
                estimated=tuple(COMPARISONS[place].name for place in free),
            )
        )
    m = {
        c.name: dict(zip(level_names(c), (totals[c.name] / totals[c.name].sum()).tolist(), strict=True))
        for c in COMPARISONS
    }
    return m, sessions


def estimate_prior(
    patterns: Patterns,
    m: Mapping[str, Mapping[str, float]],
    u: Mapping[str, Mapping[str, float]],
    family: Mapping[str, float],
    *,
    subjects: int,
) -> float:
    """Return P(two random subjects match): the value at which the candidates hold as many matches as it predicts.

    The passes reach nearly all matches (their recall is reported), so the expected number of matches among the
    candidates, over all pairs of subjects, is the prior; it is found by fixed-point iteration.
    """
    correction = np.log(np.array([*(family[level.name] for level in FAMILY_LEVELS), 1.0]))
    log_odds = -correction[patterns.family]
    for place, comparison in enumerate(COMPARISONS):
        log_odds += _log_factor(patterns.levels[:, place], _vector(m[comparison.name], comparison))
        log_odds -= _log_factor(patterns.levels[:, place], _vector(u[comparison.name], comparison))
    all_pairs = max(subjects * (subjects - 1) / 2, 1.0)
    prior = min(max(float(patterns.pairs.sum()), 1.0) / all_pairs, 0.5)
    for _ in range(_ITERATIONS):
        odds = prior / (1 - prior)
        posterior = 1.0 / (1.0 + np.exp(np.clip(-log_odds, -500, 500)) / odds)
        updated = float(np.clip((posterior * patterns.pairs).sum() / all_pairs, 1e-12, 0.5))
        if abs(updated - prior) < _CONVERGED * prior:
            return updated
        prior = updated
    return prior


def train(
    patterns: Patterns, passes: Sequence[Pass], counted: Sequence[Mapping[str, Any]], *, subjects: int
) -> Trained:
    """Estimate all parameters.

    Args:
        patterns: Comparison patterns of all candidates.
        passes: Passes of the agreement.
        counted: What each agency counted (`hashing.counts.counts_of`).
        subjects: Subjects of the run.

    Raises:
        UntrainedLevel: A level is left without a probability.
    """
    u = pool_u(counted)
    m, sessions = _combine_sessions(patterns, passes, u)
    for name in m:
        for level in m[name]:
            if not (0 < m[name][level] <= 1 and 0 < u[name][level] <= 1):
                raise UntrainedLevel(
                    f"level {level} of comparison {name} has no probability.",
                    remedy="Check the extracts: is this identifier empty at every agency?",
                )
    family = pool_family(counted, u)
    prior = estimate_prior(patterns, m, u, family, subjects=subjects) if len(patterns.codes) else 1e-6
    return Trained(parameters=Parameters(m=m, u=u, prior=prior, family=family), sessions=tuple(sessions))
