"""The pass planner: within budget, the same every time, and never without a plan where one is possible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import subjects_of

from governance.agreement import Budget
from hashing import planner
from hashing.perturb import ERRORS, Errors, perturb, typo
from hashing.pilot import pool, run_pilot
from hashing.planner import Lambdas, Plan, Trial, candidates, choose, plan_passes
from hashing.subjects import Subjects
from schemas.scheme import parse_pass

BUDGET = Budget(d=0.2, lambda_=0.05)
NEVER = Errors(**dict.fromkeys(Errors.__dataclass_fields__, 0.0))


def town(people: int, *, seed: int, without: tuple[str, ...] = ()) -> Subjects:
    """Return invented people with made-up names; some fields are missing here and there."""
    random = np.random.default_rng(seed)
    starts, ends = (
        ["Al", "Be", "Cor", "Da", "El", "Fra", "Gre", "Ha"],
        ["na", "mon", "rick", "tha", "lia", "son"],
    )

    def name() -> str:
        return str(random.choice(starts)) + str(random.choice(ends)) + str(random.choice(ends))

    rows = []
    for n in range(people):
        row: dict[str, str | None] = {
            "ref": str(n),
            "forename": name(),
            "surname": name(),
            "dob": f"{random.integers(1940, 2015)}-{random.integers(1, 13):02d}-{random.integers(1, 29):02d}",
            "sex": str(random.choice(["F", "M"])),
            "postcode": f"LS{random.integers(1, 20)} {random.integers(1, 9)}AB" if n % 7 else None,
            "uprn": str(random.integers(10**6, 10**7)) if n % 3 else None,
            "address": f"{random.integers(1, 90)} High Street",
        }
        rows.append({name: text for name, text in row.items() if name not in without})
    return subjects_of(rows)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate fewer pairs than a real plan does."""
    monkeypatch.setattr(planner, "SIMULATED", 200)


@pytest.fixture(scope="module")
def agencies() -> list[Subjects]:
    """Two agencies."""
    return [town(200, seed=1), town(150, seed=2)]


def within(plan: Plan, budget: Budget) -> None:
    """Check a plan against its budget."""
    assert plan.d <= budget.d
    assert plan.d == pytest.approx(2 * sum(planned.lambda_ for planned in plan.passes))
    assert all(planned.lambda_ <= budget.lambda_ for planned in plan.passes)
    assert len({planned.name for planned in plan.passes}) == len(plan.passes)
    for planned in plan.passes:
        assert parse_pass(planned.name).name == planned.name


@pytest.mark.parametrize("budget", [Budget(d=0.01, lambda_=0.002)])
def test_plan_is_within_budget_and_finds_people(agencies: list[Subjects], budget: Budget) -> None:
    """λ and d are within bounds, recall grows pass by pass to nearly everyone, and twice the plan is the same."""
    plan = plan_passes(agencies, budget=budget)
    assert plan_passes(agencies, budget=budget) == plan
    within(plan, budget)
    recalls = [planned.recall for planned in plan.passes]
    assert recalls == sorted(recalls)
    assert recalls[-1] > 0.9


def test_file_without_numbers_and_places_gets_a_plan() -> None:
    """Names, dates and sex alone make passes, and none of them needs what the file lacks."""
    plan = plan_passes([town(200, seed=4, without=("postcode", "uprn", "address"))], budget=BUDGET)
    within(plan, BUDGET)
    used = {field for planned in plan.passes for field in parse_pass(planned.name).fields}
    assert used <= {"forename", "surname", "dob", "sex"}
    assert plan.passes[-1].recall > 0.7


CANDIDATES = candidates()[:12]


def trial_of(hits: np.ndarray) -> Trial:
    """A trial in which every pair counts alike."""
    return Trial(hits=hits.T.astype(np.float32), weight=np.ones(len(hits)), pilot_pairs=0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.4))
def test_choice_never_exceeds_its_budget(seed: int, d: float) -> None:
    """Whatever the candidates find and cost, what is chosen stays under the limit by its best estimate."""
    random = np.random.default_rng(seed)
    hits = random.random((60, 12)) < random.random(12)
    true = random.choice([0.0, 1e-4, 0.01, 0.04], 12)
    flattered = true * random.random(12)
    lambdas = Lambdas((flattered / 2).tolist(), lambda n: iter((float(flattered[n]), float(true[n]))))
    plan = choose(CANDIDATES, trial_of(hits), lambdas, budget=Budget(d=d, lambda_=0.05))
    names = [blocking.name for blocking in CANDIDATES]
    chosen = [names.index(planned.name) for planned in plan.passes]
    assert [planned.lambda_ for planned in plan.passes] == true[chosen].tolist()
    assert 2 * true[chosen].sum() <= d * planner.AIM + 1e-12
    found = np.zeros(60, dtype=bool)
    for place, planned in zip(chosen, plan.passes, strict=True):
        found |= hits[:, place]
        assert planned.recall == pytest.approx(found.mean())


def test_a_flattered_candidate_loses_its_place() -> None:
    """A pass whose sample shows nobody meeting, but whose count shows many, is not chosen before an honest one."""
    hits = np.ones((20, 2), dtype=bool)
    lambdas = Lambdas([0.0, 0.0], lambda n: iter(((0.0, 0.04), (0.001, 0.001))[n]))
    plan = choose(CANDIDATES[:2], trial_of(hits), lambdas, budget=BUDGET)
    assert plan.passes[0].name == CANDIDATES[1].name


@pytest.mark.parametrize("found", [True, False])
def test_budget_that_the_tried_pairs_do_not_need_is_spent_on_others(found: bool) -> None:
    """Where all tried pairs are found, more passes are taken for pairs unlike them; else no more than pay."""
    lambdas = Lambdas([1e-4] * 12, lambda _n: iter((1e-4,)))
    hits = np.ones((50, 12), dtype=bool)
    hits[0] = found
    plan = choose(CANDIDATES[:12], trial_of(hits), lambdas, budget=BUDGET)
    assert (len(plan.passes) > 8) == found


def test_nothing_affordable_gives_an_empty_plan() -> None:
    """Without any candidate within the limit the plan is empty, not over budget."""
    lambdas = Lambdas([0.5], lambda _n: iter((0.5,)))
    plan = choose(CANDIDATES[:1], trial_of(np.ones((5, 1), dtype=bool)), lambdas, budget=BUDGET)
    assert (plan.passes, plan.d) == ((), 0)


def test_pooling_keeps_every_value(agencies: list[Subjects]) -> None:
    """Pooled records are those of the agencies, one after the other, with one coding of their values."""
    pooled = pool([*agencies, town(20, seed=9, without=("uprn",))])
    assert len(pooled.version_subject) == 370
    assert pooled.version_subject.max() == pooled.count - 1
    assert texts(pooled, "surname")[:200] == texts(agencies[0], "surname")
    assert texts(pooled, "dob")[200:350] == texts(agencies[1], "dob")
    assert texts(pooled, "uprn")[350:] == [None] * 20


def test_pilot_finds_the_people_that_two_agencies_share() -> None:
    """Copies with errors are found as likely pairs; people who only share a street are not."""
    here = town(300, seed=11)
    _, there = perturb([here], sample=250, errors=ERRORS, random=np.random.default_rng(3))
    pilot = run_pilot([here, there], random=np.random.default_rng(4))
    surname, born = pilot.derived["surname.exact"].codes, pilot.derived["dob.exact"].codes
    alike = [(born[a] == born[b]) or (surname[a] == surname[b]) for a, b in pilot.pairs.tolist()]
    assert len(pilot.pairs) > 200
    assert np.mean(alike) > 0.97
    assert pilot.weight.min() > 0.5


def test_candidates_are_distinct_passes() -> None:
    """No combination is tried twice, and each has two parts or is the NHS number."""
    made = candidates()
    assert len({frozenset(blocking.parts) for blocking in made}) == len(made)
    assert all(len(blocking.parts) > 1 or blocking.name == "nhs_number" for blocking in made)


def texts(subjects: Subjects, field: str) -> list[str | None]:
    """A field as plain texts."""
    coded = subjects.fields[field]
    return [None if code < 0 else coded.values[int(code)].as_py() for code in coded.codes]


def test_copies_stand_in_the_rows_of_their_originals(agencies: list[Subjects]) -> None:
    """Without errors each copy is its original, but for values that a record with gaps would lack."""
    original, copied = perturb(agencies, sample=200, errors=NEVER, random=np.random.default_rng(5))
    assert original.fields.keys() == copied.fields.keys()
    for field in original.fields:
        left, right = texts(original, field), texts(copied, field)
        assert len(left) == len(right) == 200
        assert all(b is None or a == b for a, b in zip(left, right, strict=True))


def test_errors_come_at_about_their_rate(agencies: list[Subjects]) -> None:
    """With the usual rates most rows stay as they are, some differ, and no row is somebody else altogether."""
    original, copied = perturb(agencies, sample=1000, errors=ERRORS, random=np.random.default_rng(6))
    names = ("forename", "surname", "dob", "sex")
    columns = [(texts(original, name), texts(copied, name)) for name in names]
    differs = np.array([[a != b and b is not None for a, b in zip(*pair, strict=True)] for pair in columns])
    assert 0.02 < differs.mean() < 0.2
    assert differs.all(axis=0).mean() < 0.01
    assert original.version_subject.tolist() == copied.version_subject.tolist() == list(range(1000))


@given(st.text(alphabet="ABCXYZ", max_size=8), st.integers(0, 2**32 - 1))
def test_a_typo_is_one_edit(text: str, seed: int) -> None:
    """A typo changes the length by one at most and leaves most letters; nothing stays nothing."""
    made = typo(text, np.random.default_rng(seed))
    assert abs(len(made) - len(text)) <= 1
    assert bool(made) == bool(text)
    common = 0
    while common < min(len(made), len(text)) and made[common] == text[common]:
        common += 1
    rest = min(len(made), len(text)) - common
    tail = 0
    while tail < rest and made[-1 - tail] == text[-1 - tail]:
        tail += 1
    assert len(text) - common - tail <= 2
