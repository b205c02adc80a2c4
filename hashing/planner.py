"""Choose the blocking passes: the most true pairs found for the least that the sealed files show.

For each candidate pass two numbers count: λ, the expected non-matching candidate pairs a record (from value counts,
`hashing.counts`), and which true pairs it would find. True pairs are simulated: a sample of the agencies' own
versions is paired with copies that carry typical errors and another record's gaps, and both are derived by the real
code. Passes are taken greedily by pairs newly found per unit of λ, under the budget d = 2 Σλ. Nothing but counts
leaves this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.agreement import Budget
from hashing.coding import Coded
from hashing.counts import PairCounter, independent_rows
from hashing.derive import derive
from hashing.perturb import ERRORS, perturb
from hashing.subjects import Subjects
from schemas.scheme import Pass, parse_pass

CANDIDATES: tuple[str, ...] = (
    "nhs_number",
    "dob+forename.canonical+surname.canonical",
    "dob+forename.phonetic+surname.phonetic",
    "dob+name_set",
    "dob+surname.canonical",
    "dob+surname.phonetic+sex",
    "dob+surname.first3+sex",
    "dob+surname.last3+sex",
    "dob+forename.nickname",
    "dob+forename.canonical",
    "dob+forename.phonetic+surname.initial",
    "dob+forename.first3+surname.initial",
    "dob+forename.first3+surname.first3",
    "dob+forename.last3+surname.last3",
    "dob+forename.initial+surname.first3",
    "dob+forename.initial+surname.last3",
    "dob+forename.initial+postcode.sector",
    "dob+surname.initial+postcode.sector",
    "dob+forename.first3+postcode.district",
    "dob+surname.first3+postcode.district",
    "dob+forename.phonetic+postcode.district",
    "dob+sex+postcode",
    "dob+sex+postcode.sector",
    "dob+sex+uprn",
    "dob+sex+address.number_street",
    "dob+sex+address.street",
    "dob+forename.initial+address.street",
    "dob.swap+forename.canonical+surname.canonical",
    "dob.month_year+forename.canonical+surname.canonical",
    "dob.day_year+forename.canonical+surname.canonical",
    "dob.day_month+forename.canonical+surname.canonical",
    "dob.month_year+forename.phonetic+surname.phonetic+sex",
    "dob.day_month+forename.phonetic+surname.phonetic+sex",
    "dob.day_year+forename.phonetic+surname.phonetic+sex",
    "dob.year+forename.canonical+surname.canonical+postcode.district",
    "dob.year+forename.phonetic+surname.phonetic+postcode.sector",
    "dob.year+forename.canonical+postcode",
    "dob.year+forename.initial+surname.phonetic+postcode",
    "dob.year+forename.canonical+uprn",
    "dob.year+forename.canonical+address.number_street",
    "dob.month_year+forename.canonical+postcode.sector",
    "dob.month_year+forename.initial+surname.canonical+postcode.district",
    "dob.day_month+forename.canonical+postcode.sector",
    "dob.day_month+forename.initial+surname.canonical+postcode.district",
    "dob.day_year+forename.canonical+postcode.sector",
    "dob.month_year+sex+uprn",
    "dob.month_year+sex+postcode",
    "dob.day_month+sex+postcode",
    "dob.day_year+sex+postcode",
    "dob.month_year+surname.first3+postcode.sector",
    "dob.day_month+surname.first3+postcode.sector",
    "forename.canonical+surname.canonical+postcode",
    "forename.canonical+surname.canonical+uprn",
    "forename.canonical+surname.canonical+address.number_street",
    "forename.canonical+surname.canonical+postcode.sector",
    "forename.phonetic+surname.phonetic+postcode",
    "forename.first3+surname.first3+postcode",
    "forename.full+surname.full+dob.year",
    "name_set+postcode",
    "name_set+dob.year+postcode.district",
    "dob+address.number_street+forename.initial",
)
"""Candidate passes, all strong: each agrees on far more than a coincidence would."""

AIM = 0.75
"""Share of the budget that planning uses; the rest is room for what counts of unrelated records do not show
(families at one address agree on more than independence says)."""

SAMPLE = 6000
"""Simulated true pairs."""

MOST_PASSES = 28
SMALLEST_GAIN = 2e-4
"""A pass must find at least this share of true pairs that no chosen pass finds."""

_COST_FLOOR = 2e-4
"""Every pass costs tokens, so even one that no unrelated records meet in is not free (unit: λ)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedPass:
    """One chosen pass.

    Attributes:
        name: The pass.
        lambda_: Expected non-matching candidate pairs a record.
        gain: Share of simulated true pairs that it found first.
        recall: Share found by it and the passes chosen before it.
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
        population: Subjects the plan was made for.
        d: 2 Σλ.
    """

    passes: tuple[PlannedPass, ...]
    population: int
    d: float


def pass_rates(
    derived: Sequence[Mapping[str, Coded]],
    owners: Sequence[NDArray[np.int32]],
    passes: Sequence[Pass],
    *,
    crowded_cell: int,
) -> dict[str, float]:
    """Return for each pass the rate at which two unrelated records of one agency meet in it, pooled."""
    met: dict[str, int] = dict.fromkeys((blocking.name for blocking in passes), 0)
    pairs = 0
    for values, version_subject in zip(derived, owners, strict=True):
        rows = independent_rows(values, version_subject)
        counter = PairCounter({name: coded.take(rows) for name, coded in values.items()})
        pairs += counter.rows * (counter.rows - 1) // 2
        for blocking in passes:
            cells = counter.cells(blocking.parts)
            cells = cells[cells <= crowded_cell]
            met[blocking.name] += int((cells * (cells - 1) // 2).sum())
    return {name: count / max(pairs, 1) for name, count in met.items()}


def simulated_hits(subjects: Sequence[Subjects], passes: Sequence[Pass], *, seed: int) -> NDArray[np.bool_]:
    """Return, shape (pairs, passes), which simulated true pairs each pass finds."""
    random = np.random.default_rng(seed)
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


def _equal(left: Coded | None, right: Coded | None, rows: int) -> NDArray[np.bool_]:
    if left is None or right is None:
        return np.zeros(rows, dtype=bool)
    index = {text: code for code, text in enumerate(left.values.to_pylist())}
    mapped = np.array([index.get(text, -2) for text in right.values.to_pylist()] + [-2], dtype=np.int64)
    return (left.codes >= 0) & (left.codes == np.where(right.codes >= 0, mapped[right.codes], -2))


def choose(
    names: Sequence[str],
    hits: NDArray[np.bool_],
    rates: Mapping[str, float],
    *,
    population: int,
    budget: Budget,
) -> Plan:
    """Choose passes greedily under the budget.

    Args:
        names: Candidate passes.
        hits: Shape (pairs, candidates).
        rates: Pass -> rate at which unrelated records meet.
        population: Subjects of all agencies.
        budget: Largest d and λ.
    """
    lambdas = np.array([rates[name] * max(population - 1, 0) / 2 for name in names])
    limit = AIM * budget.d / 2
    allowed = lambdas <= budget.lambda_
    found = np.zeros(len(hits), dtype=bool)
    spent = 0.0
    chosen: list[PlannedPass] = []
    while len(chosen) < MOST_PASSES:
        gains = (hits & ~found[:, None]).mean(axis=0)
        affordable = allowed & (spent + lambdas <= limit) & (gains >= SMALLEST_GAIN)
        if not affordable.any():
            break
        worth = np.where(affordable, gains / (lambdas + _COST_FLOOR), -1.0)
        best = int(np.argmax(worth))
        found |= hits[:, best]
        allowed[best] = False
        spent += float(lambdas[best])
        chosen.append(
            PlannedPass(
                name=names[best],
                lambda_=float(lambdas[best]),
                gain=float(gains[best]),
                recall=float(found.mean()),
            )
        )
    return Plan(passes=tuple(chosen), population=population, d=2 * spent)


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
    passes = [parse_pass(name) for name in CANDIDATES]
    names = [blocking.name for blocking in passes]
    derived = [derive(each) for each in subjects]
    rates = pass_rates(
        derived, [each.version_subject for each in subjects], passes, crowded_cell=crowded_cell
    )
    hits = simulated_hits(subjects, passes, seed=seed)
    return choose(names, hits, rates, population=sum(each.count for each in subjects), budget=budget)
