"""Choose the blocking passes: the most true pairs found for the least that the sealed files show.

For each candidate pass two numbers count: λ, the expected non-matching candidate pairs a record (from value counts,
`hashing.counts`), and which true pairs it would find. True pairs are simulated: a sample of the agencies' own
versions is paired with copies that carry typical errors and another record's gaps, and both are derived by the real
code. Passes are taken greedily by expected recall gained per unit of λ, under the budget d = 2 Σλ. Nothing but counts
leaves this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from governance.agreement import Budget
from hashing.coding import Column
from hashing.counts import PairCounter, independent_rows, stranger_pairs
from hashing.derive import derive
from hashing.perturb import ERRORS, perturb
from hashing.subjects import Subjects
from schemas.scheme import Pass, parse_pass

_DATES = ("", "dob", "dob.swap", "dob.month_year", "dob.day_year", "dob.day_month", "dob.year")
_FORENAMES = ("", *(f"forename.{kind}" for kind in ("canonical", "phonetic", "first3", "last3", "initial")))
_SURNAMES = ("", *(f"surname.{kind}" for kind in ("canonical", "phonetic", "first3", "last3", "initial")))
_NAMES = (*product(_FORENAMES, _SURNAMES), ("name_set", ""))
_PLACES = (
    "",
    "postcode",
    "postcode.sector",
    "postcode.district",
    "uprn",
    "address.number_street",
    "address.street",
)


def candidates() -> list[Pass]:
    """Return every combination of a date part, name parts and a place that could be a pass, fewest parts first.

    Sex halves a pass that has at most one name part; with two it would only lose the records that lack it.
    """
    found = [parse_pass("nhs_number")]
    for day, (forename, surname), place in product(_DATES, _NAMES, _PLACES):
        parts = [part for part in (day, forename, surname, place) if part]
        if len(parts) >= 2:
            found.append(parse_pass("+".join(parts)))
        if parts and not (forename and surname) and forename != "name_set":
            found.append(parse_pass("+".join([*parts, "sex"])))
    return sorted(found, key=lambda blocking: len(blocking.parts))


AIM = 0.75
"""Share of the budget that planning uses; the rest is room for what counts of unrelated records do not show
(families at one address agree on more than independence says)."""

SAFE = 0.95
"""Share of the budget that a finished plan may use on the records it was made for."""

SAMPLE = 6000
"""Simulated true pairs."""

MOST_PASSES = 30
"""Most passes of a plan: about 70 bytes of tokens a version each."""

SMALLEST_GAIN = 5e-5
"""A pass must add at least this much expected recall."""

DOUBT = 0.35
"""Chance that a pass misses a pair which the simulation says it finds: real errors are not quite the simulated
ones, and they come together. It makes a pair that several passes find worth more than one that hangs by a thread."""

COUNTED = 15_000
"""Most versions that planning counts: enough to tell a λ of 0.05 at a million records, and quick."""

_PASS_COSTS = (1e-4, 5e-4, 2e-3, 5e-3)
"""Every pass costs tokens, so even one in which no unrelated records meet is not free. What a pass is worth in λ
depends on whether passes or λ run out first, so planning tries these and keeps the best plan."""

_HARMLESS = 1e-6
"""A pass in which unrelated records meet no more often than this (λ) is as good as free: a stricter one with the
same parts and more finds less at the same price."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedPass:
    """One chosen pass.

    Attributes:
        name: The pass.
        lambda_: Expected non-matching candidate pairs a record.
        gain: Expected recall that it adds (`DOUBT` considered).
        recall: Share of simulated true pairs found by it and the passes chosen before it.
    """

    name: str
    lambda_: float
    gain: float
    recall: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The chosen passes, in order of choice.

    Attributes:
        passes: Chosen passes.
        d: 2 Σλ.
    """

    passes: tuple[PlannedPass, ...]
    d: float


def _counters(
    subjects: Sequence[Subjects], random: np.random.Generator, *, limit: int | None = None
) -> list[PairCounter]:
    sizes = np.array([len(each.version_subject) for each in subjects])
    share = 1.0 if limit is None else min(1.0, limit / max(int(sizes.sum()), 1))
    counters = []
    for each in subjects:
        derived = derive(each)
        rows = independent_rows(derived, each.version_subject)
        if share < 1:
            rows = random.choice(rows, size=max(int(len(rows) * share), min(len(rows), 1000)), replace=False)
        counters.append(PairCounter({name: coded.take(rows) for name, coded in derived.items()}))
    return counters


def affordable_passes(
    counters: Sequence[PairCounter], *, population: int, largest: float, crowded_cell: int
) -> dict[Pass, float]:
    """Return the candidate passes whose λ is within bounds, with their λ, but for those that others make useless.

    Args:
        counters: Value counts of each agency.
        population: Subjects of all agencies.
        largest: Largest λ.
        crowded_cell: Larger cells of one agency do not take part.
    """
    pairs = max(sum(counter.pairs for counter in counters), 1)
    kept: dict[Pass, float] = {}
    free: list[frozenset[str]] = []
    for blocking in candidates():
        parts = frozenset(blocking.parts)
        if any(other < parts for other in free):
            continue
        met = sum(stranger_pairs(counter, blocking, crowded_cell=crowded_cell) for counter in counters)
        lambda_ = met / pairs * max(population - 1, 0) / 2
        if lambda_ <= largest:
            kept[blocking] = lambda_
        if lambda_ <= _HARMLESS:
            free.append(parts)
    return kept


def simulated_hits(
    subjects: Sequence[Subjects], passes: Sequence[Pass], *, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Return, shape (pairs, passes), which simulated true pairs each pass finds."""
    original, copied = perturb(subjects, sample=SAMPLE, errors=ERRORS, random=random)
    left, right = derive(original), derive(copied)
    rows = len(original.version_subject)
    hits = np.zeros((rows, len(passes)), dtype=bool)
    equal: dict[str, NDArray[np.bool_]] = {}
    for place, blocking in enumerate(passes):
        found = np.ones(rows, dtype=bool)
        for part in blocking.parts:
            if part not in equal:
                equal[part] = _equal(left.get(part), right.get(part), rows)
            found &= equal[part]
        hits[:, place] = found
    return hits


def _equal(left: Column | None, right: Column | None, rows: int) -> NDArray[np.bool_]:
    if left is None or right is None:
        return np.zeros(rows, dtype=bool)
    index = {text: code for code, text in enumerate(left.values.to_pylist())}
    mapped = np.array([index.get(text, -2) for text in right.values.to_pylist()] + [-2], dtype=np.int64)
    equal: NDArray[np.bool_] = (left.codes >= 0) & (
        left.codes == np.where(right.codes >= 0, mapped[right.codes], -2)
    )
    return equal


def _greedy(
    weights: NDArray[np.float64], lambdas: NDArray[np.float64], *, limit: float, cost: float
) -> tuple[list[int], list[float], float]:
    """Choose passes by expected recall gained per unit of λ and cost; return them, their gains and what is found."""
    missed = np.ones(len(weights))  # chance that each pair is still not found
    allowed = np.ones(len(lambdas), dtype=bool)
    spent = 0.0
    chosen: list[int] = []
    gained: list[float] = []
    while len(chosen) < MOST_PASSES:
        gains = (1 - DOUBT) * (missed @ weights) / len(weights)
        affordable = allowed & (spent + lambdas <= limit) & (gains >= SMALLEST_GAIN)
        if not affordable.any():
            break
        best = int(np.argmax(np.where(affordable, gains / (lambdas + cost), -1.0)))
        missed[weights[:, best] > 0] *= DOUBT
        allowed[best] = False
        spent += float(lambdas[best])
        chosen.append(best)
        gained.append(float(gains[best]))
    return chosen, gained, float(1 - missed.mean())


def choose(
    names: Sequence[str], hits: NDArray[np.bool_], lambdas: Sequence[float], *, budget: Budget
) -> Plan:
    """Choose passes under the budget.

    Args:
        names: Candidate passes.
        hits: Shape (pairs, candidates): which simulated true pairs each finds.
        lambdas: λ of each candidate.
        budget: Largest d and λ.
    """
    weights, costs = hits.astype(np.float64), np.asarray(lambdas, dtype=np.float64)
    plans = [_greedy(weights, costs, limit=AIM * budget.d / 2, cost=cost) for cost in _PASS_COSTS]
    chosen, gained, _ = max(plans, key=lambda plan: plan[2])
    found = np.zeros(len(hits), dtype=bool)
    passes = []
    for index, gain in zip(chosen, gained, strict=True):
        found |= hits[:, index]
        passes.append(
            PlannedPass(name=names[index], lambda_=float(costs[index]), gain=gain, recall=float(found.mean()))
        )
    return Plan(passes=tuple(passes), d=2 * sum(planned.lambda_ for planned in passes))


def _within_budget(
    plan: Plan, counters: Sequence[PairCounter], population: int, budget: Budget, crowded_cell: int
) -> Plan:
    """Count the chosen passes on all records, and give up those that a sample made look better than they are."""
    pairs = max(sum(counter.pairs for counter in counters), 1)
    counted = []
    for planned in plan.passes:
        blocking = parse_pass(planned.name)
        met = sum(stranger_pairs(counter, blocking, crowded_cell=crowded_cell) for counter in counters)
        counted.append(replace(planned, lambda_=met / pairs * max(population - 1, 0) / 2))
    kept = [planned for planned in counted if planned.lambda_ <= budget.lambda_]
    while kept and 2 * sum(planned.lambda_ for planned in kept) > SAFE * budget.d:
        kept.remove(min(kept, key=lambda planned: planned.gain / max(planned.lambda_, _HARMLESS)))
    return Plan(passes=tuple(kept), d=2 * sum(planned.lambda_ for planned in kept))


def plan_passes(
    subjects: Sequence[Subjects], *, budget: Budget, crowded_cell: int = 20, seed: int = 1
) -> Plan:
    """Plan the passes for these extracts together.

    Args:
        subjects: Each agency's subjects.
        budget: Privacy budget.
        crowded_cell: Largest cell of one agency that takes part in a pass.
        seed: Seed of the simulated errors; the plan is a function of data and seed.
    """
    population = sum(each.count for each in subjects)
    random = np.random.default_rng(seed)
    kept = affordable_passes(
        _counters(subjects, random, limit=COUNTED),
        population=population,
        largest=AIM * budget.lambda_,
        crowded_cell=crowded_cell,
    )
    hits = simulated_hits(subjects, list(kept), random=random)
    plan = choose([blocking.name for blocking in kept], hits, list(kept.values()), budget=budget)
    return _within_budget(plan, _counters(subjects, random), population, budget, crowded_cell)
