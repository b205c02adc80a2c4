"""Choose the blocking passes: the most true pairs found for the least that the sealed files show.

For each candidate pass two numbers count: λ, the expected non-matching candidate pairs a record (counted from the
agencies' own values, `hashing.counts`), and which true pairs it would find. True pairs are the likely ones of a pilot
on the plain records at hand (`hashing.pilot`) and, where those are few, simulated ones: versions paired with copies
that carry typical errors and another record's gaps. Passes are taken greedily by expected recall gained per unit of λ,
under the budget d = 2 Σλ. Nothing but counts leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from governance.agreement import Budget
from hashing.broad import fit_to
from hashing.coding import Column
from hashing.counts import all_people, chance_pairs, independent_rows, stranger_pairs
from hashing.derive import derive, with_rarity
from hashing.likeness import PairModel, model_of
from hashing.pairs import PairCounter, People
from hashing.perturb import ERRORS, perturb
from hashing.pilot import run_pilot
from hashing.subjects import Subjects
from schemas.rates import strangers_a_record
from schemas.scheme import HALVES, Pass, parse_pass

_KINDS = ("canonical", "phonetic", "letters", "consonants", "first3", "last3", "initial")
_DATES = ("", "dob", "dob.swap", "dob.month_year", "dob.day_year", "dob.day_month", "dob.year")
_FORENAMES = ("", *(f"forename.{kind}" for kind in _KINDS))
_SURNAMES = ("", *(f"surname.{kind}" for kind in _KINDS))
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
    others = [part for part in (*_DATES, *_FORENAMES, *_SURNAMES, "name_set", *_PLACES) if part]
    found += [parse_pass(f"{half}+{part}") for half, part in product(HALVES, others)]
    for day, (forename, surname), place in product(_DATES, _NAMES, _PLACES):
        parts = [part for part in (day, forename, surname, place) if part]
        if len(parts) >= 2:
            found.append(parse_pass("+".join(parts)))
        if parts and not (forename and surname) and forename != "name_set":
            found.append(parse_pass("+".join([*parts, "sex"])))
    return sorted(found, key=lambda blocking: len(blocking.parts))


AIM = 0.95
"""Share of the budget that a plan uses. The rest is room: λ is counted on samples of the agencies' own records."""

SIMULATED = 1500
"""Simulated true pairs."""

SIMULATED_WEIGHT = 300.0
"""Likely pairs of the pilot that all simulated ones together weigh as much as."""

MOST_PASSES = 30
"""Most passes of a plan: about 70 bytes of tokens a version each."""

SMALLEST_GAIN = 5e-5
"""A pass must add at least this much expected recall."""

DOUBT = 0.2
"""Chance that a pass misses a pair like one that it finds: the pairs of a plan are not those of the run. It makes a
pair that several passes find worth more than one that hangs by a thread."""

MORE_DOUBT = 0.35
"""The same where nearly all tried pairs are found: plans for FEBRL 1 and 4 stopped at d = 0.12 and 0.09, with true
pairs missed that were unlike any that was tried."""

ALL_FOUND = 0.9999
"""Share of the tried pairs that counts as nearly all."""

_PASS_COSTS = (3e-4, 2e-3, 1e-2, 4e-2)
"""Every pass costs tokens, so even one in which no unrelated records meet is not free. What a pass is worth in λ
depends on whether passes or λ run out first, so planning tries these and keeps the best plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedPass:
    """One chosen pass.

    Attributes:
        name: The pass.
        lambda_: Expected non-matching candidate pairs a record.
        gain: Expected recall that it adds (`DOUBT` considered).
        recall: Share of the tried true pairs found by it and the passes chosen before it.
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
        pilot_pairs: Likely pairs of the records at hand that the plan was tried on.
    """

    passes: tuple[PlannedPass, ...]
    d: float
    pilot_pairs: int = 0


class _Counters:
    """Counters of all agencies over at most so many rows of each.

    Args:
        made: Counter and model of each agency.
        sizes: Its subjects in a run.
        crowded_cell: Larger cells of one agency do not take part.
    """

    def __init__(
        self,
        made: Sequence[tuple[PairCounter | People, PairModel]],
        sizes: Sequence[int],
        *,
        crowded_cell: int,
    ) -> None:
        self._made = made
        self._sizes = sizes
        self._crowded_cell = crowded_cell

    def chance(self, blocking: Pass) -> float:
        """Return λ as if the parts of the pass were independent."""
        rates = [chance_pairs(counter, blocking.parts) / max(counter.pairs, 1) for counter, _ in self._made]
        return strangers_a_record(rates, self._sizes)

    def strangers(self, blocking: Pass) -> float:
        """Return λ."""
        rates = [
            stranger_pairs(counter, blocking, model, crowded_cell=self._crowded_cell) / max(counter.pairs, 1)
            for counter, model in self._made
        ]
        return strangers_a_record(rates, self._sizes)


class StrangerCounts:
    """Counts how many unrelated records meet in a pass, agency by agency.

    Args:
        subjects: Each agency's subjects.
        population: Subjects of all agencies together in a run; each agency's share of them is that of `subjects`.
        crowded_cell: Larger cells of one agency do not take part.
    """

    def __init__(self, subjects: Sequence[Subjects], *, population: int, crowded_cell: int) -> None:
        whole: list[tuple[PairCounter | People, PairModel]] = []
        part: list[tuple[PairCounter | People, PairModel]] = []
        few: list[tuple[PairCounter | People, PairModel]] = []
        for each in subjects:
            derived = with_rarity(derive(each))
            rows = independent_rows(derived, each.version_subject)
            counter = PairCounter({name: column.take(rows) for name, column in derived.items()})
            model = fit_to(counter, model_of(counter))
            whole.append((all_people(derived, each.version_subject, counted=counter), model))
            part.append((counter, model))
            # Rows are in random order, so the first ones are a random sample.
            few.append((counter.first(SAMPLED_ROWS), model))
        growth = population / max(sum(each.count for each in subjects), 1)
        sizes = [round(each.count * growth) for each in subjects]
        steps = [few, part, whole] if any(isinstance(each, People) for each, _ in whole) else [few, part]
        self._ever_more = [_Counters(made, sizes, crowded_cell=crowded_cell) for made in steps]

    def bound(self, blocking: Pass) -> float:
        """Return the λ that the pass would have if its parts were independent: a lower bound, and quick."""
        return self._ever_more[1].chance(blocking)

    def estimates(self, blocking: Pass) -> Iterator[float]:
        """Yield λ of the pass: first from a sample of the records, then a larger one, last from all of them."""
        for counters in self._ever_more[:-1]:
            yield max(counters.strangers(blocking), self.bound(blocking))
        yield self._ever_more[-1].strangers(blocking)


SAMPLED_ROWS = 12_000
"""Records of an agency that λ of a candidate is first judged by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """True pairs that passes are tried on.

    Attributes:
        hits: Shape (candidates, pairs), float32: 1 where the candidate finds the pair.
        weight: Shape (pairs,): what each pair counts.
        pilot_pairs: How many of them are likely pairs of real records.
    """

    hits: NDArray[np.float32]
    weight: NDArray[np.float64]
    pilot_pairs: int


def _hits(
    equal: Callable[[str], NDArray[np.bool_]], passes: Sequence[Pass], pairs: int
) -> NDArray[np.float32]:
    known: dict[str, NDArray[np.bool_]] = {}
    hits = np.empty((len(passes), pairs), dtype=np.float32)
    for place, blocking in enumerate(passes):
        found = np.ones(pairs, dtype=bool)
        for part in blocking.parts:
            if part not in known:
                known[part] = equal(part)
            found &= known[part]
        hits[place] = found
    return hits


def simulated_hits(
    subjects: Sequence[Subjects], passes: Sequence[Pass], *, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return, shape (passes, pairs), which simulated true pairs each pass finds."""
    original, copied = perturb(subjects, sample=SIMULATED, errors=ERRORS, random=random)
    left, right = derive(original), derive(copied)
    rows = len(original.version_subject)
    return _hits(lambda part: _equal(left.get(part), right.get(part), rows), passes, rows)


def _equal(left: Column | None, right: Column | None, rows: int) -> NDArray[np.bool_]:
    if left is None or right is None:
        return np.zeros(rows, dtype=bool)
    index = {text: code for code, text in enumerate(left.values.to_pylist())}
    mapped = np.array([index.get(text, -2) for text in right.values.to_pylist()] + [-2], dtype=np.int64)
    codes = left.codes
    equal: NDArray[np.bool_] = (codes >= 0) & (codes == mapped[right.codes])
    return equal


def try_passes(subjects: Sequence[Subjects], passes: Sequence[Pass], *, random: np.random.Generator) -> Trial:
    """Try `passes` on the likely pairs of a pilot and on simulated ones."""
    simulated = simulated_hits(subjects, passes, random=random)
    pilot = run_pilot(subjects, random=random)
    counter = PairCounter(pilot.derived)
    real = _hits(lambda part: counter.agree([part], pilot.pairs), passes, len(pilot.pairs))
    share = SIMULATED_WEIGHT / simulated.shape[1]
    return Trial(
        hits=np.concatenate([real, simulated], axis=1),
        weight=np.concatenate([pilot.weight, np.full(simulated.shape[1], share)]),
        pilot_pairs=len(pilot.pairs),
    )


class Lambdas:
    """λ of candidates, known ever better: a lower bound, then estimates, the last of which is kept.

    Args:
        bounds: A lower bound of each candidate's λ.
        estimates: Gives the estimates of candidate number n, from the quickest to the best.
    """

    def __init__(self, bounds: Sequence[float], estimates: Callable[[int], Iterator[float]]) -> None:
        self.known = np.array(bounds, dtype=np.float64)
        self._estimates = estimates
        self._open: dict[int, Iterator[float] | None] = {}

    def settle(self, place: int) -> bool:
        """Return whether the best estimate of candidate `place` is known; if not, make a better one."""
        if place not in self._open:
            self._open[place] = self._estimates(place)
        estimates = self._open[place]
        if estimates is None:
            return True
        better = next(estimates, None)
        if better is None:
            self._open[place] = None
            return True
        self.known[place] = better
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Aim:
    """What a greedy choice goes by.

    Attributes:
        doubt: As `DOUBT`.
        smallest_gain: As `SMALLEST_GAIN`.
        cost: What a pass costs beside its λ, in λ.
    """

    doubt: float
    smallest_gain: float
    cost: float


def _greedy(
    trial: Trial, lambdas: Lambdas, *, budget: Budget, aim: _Aim
) -> tuple[list[int], list[float], float]:
    """Choose passes by expected recall gained per unit of λ and cost; return them, their gains and what is found.

    λ is counted only for the candidate that looks best with what is known so far, and a candidate is chosen only by its
    count over all records: one that a sample flatters loses its place.
    """
    missed = np.ones(trial.hits.shape[1])  # chance that each pair is still not found
    total = trial.weight.sum()
    allowed = np.ones(len(trial.hits), dtype=bool)
    spent, most = 0.0, AIM * budget.d / 2
    chosen: list[int] = []
    gained: list[float] = []

    def gains_now() -> NDArray[np.float64]:
        found = trial.hits @ (missed * trial.weight).astype(np.float32)
        return np.asarray((1 - aim.doubt) * found / total, dtype=np.float64)

    gains = gains_now()
    while len(chosen) < MOST_PASSES:
        known = lambdas.known
        affordable = allowed & (spent + known <= most) & (known <= AIM * budget.lambda_)
        affordable &= gains >= aim.smallest_gain
        if not affordable.any():
            break
        best = int(np.argmax(np.where(affordable, gains / (known + aim.cost), -1.0)))
        if not lambdas.settle(best):
            continue
        missed[trial.hits[best] > 0] *= aim.doubt
        allowed[best] = False
        spent += float(known[best])
        chosen.append(best)
        gained.append(float(gains[best]))
        gains = gains_now()
    return chosen, gained, float(1 - (missed * trial.weight).sum() / total)


def _best(
    trial: Trial, lambdas: Lambdas, *, budget: Budget, doubt: float, smallest_gain: float
) -> tuple[list[int], list[float]]:
    """Return the best of the greedy choices over `_PASS_COSTS`, and its gains."""
    aims = [_Aim(doubt=doubt, smallest_gain=smallest_gain, cost=cost) for cost in _PASS_COSTS]
    plans = [_greedy(trial, lambdas, budget=budget, aim=aim) for aim in aims]
    chosen, gained, _ = max(plans, key=lambda plan: plan[2])
    return chosen, gained


def choose(passes: Sequence[Pass], trial: Trial, lambdas: Lambdas, *, budget: Budget) -> Plan:
    """Choose among `passes` under the budget.

    Args:
        passes: Candidate passes.
        trial: Which true pairs each finds.
        lambdas: λ of each.
        budget: Largest d and λ.
    """
    chosen, gained = _best(trial, lambdas, budget=budget, doubt=DOUBT, smallest_gain=SMALLEST_GAIN)
    if chosen and trial.weight[trial.hits[chosen].any(axis=0)].sum() > ALL_FOUND * trial.weight.sum():
        # The tried pairs are too easy to tell plans apart, so this one is for pairs unlike them.
        chosen, gained = _best(
            trial, lambdas, budget=budget, doubt=MORE_DOUBT, smallest_gain=SMALLEST_GAIN / 10
        )
    found = np.zeros(trial.hits.shape[1], dtype=bool)
    planned = []
    for index, gain in zip(chosen, gained, strict=True):
        found |= trial.hits[index] > 0
        planned.append(
            PlannedPass(
                name=passes[index].name,
                lambda_=float(lambdas.known[index]),
                gain=gain,
                recall=float(trial.weight[found].sum() / trial.weight.sum()),
            )
        )
    return Plan(
        passes=tuple(planned), d=2 * sum(each.lambda_ for each in planned), pilot_pairs=trial.pilot_pairs
    )


def plan_passes(
    subjects: Sequence[Subjects],
    *,
    budget: Budget,
    crowded_cell: int = 20,
    seed: int = 1,
    population: int | None = None,
) -> Plan:
    """Plan the passes for these extracts together.

    Args:
        subjects: Each agency's subjects.
        budget: Privacy budget.
        crowded_cell: Largest cell of one agency that takes part in a pass.
        seed: Seed of samples and simulated errors; the plan is a function of data and seed.
        population: Subjects of all agencies in a run; those of `subjects` unless told.
    """
    size = population if population is not None else sum(each.count for each in subjects)
    random = np.random.default_rng(seed)
    counts = StrangerCounts(subjects, population=size, crowded_cell=crowded_cell)
    bounds = {blocking: counts.bound(blocking) for blocking in candidates()}
    passes = [blocking for blocking, bound in bounds.items() if bound <= AIM * budget.lambda_]
    trial = try_passes(subjects, passes, random=random)
    useful = np.flatnonzero(trial.hits.any(axis=1))
    passes = [passes[place] for place in useful]
    trial = Trial(hits=trial.hits[useful], weight=trial.weight, pilot_pairs=trial.pilot_pairs)
    lambdas = Lambdas([bounds[blocking] for blocking in passes], lambda n: counts.estimates(passes[n]))
    return choose(passes, trial, lambdas, budget=budget)
