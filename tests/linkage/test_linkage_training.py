"""Training: EM is Splink's own, u is pooled from the agencies, and a pass updates only what it leaves free."""

from __future__ import annotations

import logging
import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from linkage_oracle import gammas
from splink import DuckDBAPI, Linker

from linkage import training
from linkage.database import connect
from linkage.intake import counted
from linkage.model import Parameters, gamma_of, level_names, splink_settings
from linkage.training import (
    Patterns,
    estimate_prior,
    free_comparisons,
    pool_family,
    pool_u,
    prior_m,
    session,
    train,
)
from schemas.errors import UntrainedLevel
from schemas.rates import TWINS, UNSEEN_RELATIVES
from schemas.scheme import COMPARISONS, DERIVED, FAMILY_LEVELS, TOKENS, column, parse_pass

PLACES = {comparison.name: place for place, comparison in enumerate(COMPARISONS)}


def _toy_pairs(pairs: int, seed: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of token rows, two in three of one person; values agree at random, some are missing."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(pairs):
        same = random.random() < 0.67
        left: dict[str, Any] = {}
        right: dict[str, Any] = {}
        for name in TOKENS:
            agree = random.random() < (0.55 if same else 0.06)
            value = int(random.integers(1, 1000))
            left[column(name)] = value
            right[column(name)] = value if agree else value + 1000
            for side in (left, right):
                if random.random() < 0.04:
                    side[column(name)] = None
        if random.random() < (0.05 if same else 0.01):
            right["forename_second"] = left["forename_exact"]
        made.append((left, right))
    return made


@pytest.fixture(scope="module")
def toy() -> Any:
    """Toy pairs, the levels of each (position, -1 null), and a table with one block a pair."""
    pairs = _toy_pairs(2000, seed=8)
    levels = np.array(
        [
            [
                -1 if gamma < 0 else gamma_of(c, 0) - gamma
                for gamma, c in zip(gammas(*pair), COMPARISONS, strict=True)
            ]
            for pair in pairs
        ]
    )
    rows = [
        {"row_id": 2 * number + side, "block": number, **pair[side]}
        for number, pair in enumerate(pairs)
        for side in (0, 1)
    ]
    return levels, pa.Table.from_pylist(rows)


def _toy_u() -> dict[str, dict[str, float]]:
    u = {}
    for comparison in COMPARISONS:
        names = level_names(comparison)
        share = [0.02] * (len(names) - 1)
        u[comparison.name] = dict(zip(names, [*share, 1 - sum(share)], strict=True))
    return u


@pytest.mark.parametrize(
    "free", [tuple(PLACES), ("dob", "sex", "location", "nhs_number"), ("forename", "surname", "dob")]
)
def test_session_equals_splinks_em(toy: Any, free: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without priors a session arrives where Splink's own EM does, from the same start values, within 1e-4."""
    levels, table = toy
    logging.getLogger("splink").setLevel(logging.ERROR)
    u, start = _toy_u(), prior_m()
    parameters = Parameters(m=start, u=u, prior=0.9, family={level.name: 1.0 for level in FAMILY_LEVELS})
    settings = splink_settings(parameters)
    settings["comparisons"] = [c for c in settings["comparisons"] if c["output_column_name"] in free]
    settings |= {"em_convergence": 1e-8, "max_iterations": 2000}
    with connect(threads=1) as con:
        con.register("toy", table)
        con.execute("CREATE TABLE toy_rows AS SELECT * FROM toy")
        con.unregister("toy")
        linker = Linker(DuckDBAPI(con).register("toy_rows"), settings)
        trained = linker.training.estimate_parameters_using_expectation_maximisation(
            "l.block = r.block", fix_u_probabilities=True
        )
        theirs = {
            comparison.output_column_name: [
                level.m_probability for level in comparison.comparison_levels if not level.is_null_level
            ]
            for comparison in trained.core_model_settings.comparisons
        }
        their_share = trained.core_model_settings.probability_two_random_records_match
    monkeypatch.setattr(training, "_CONVERGED", 1e-8)
    monkeypatch.setattr(training, "_ITERATIONS", 2000)
    places = [PLACES[name] for name in free]
    unique, pairs = np.unique(levels, axis=0, return_counts=True)
    m, posterior, share, _ = session(
        unique, pairs.astype(np.float64), free=places, u=u, start=start, prior_weight=0, match_share=0.9
    )
    assert theirs.keys() == set(free)
    assert share == pytest.approx(their_share, abs=1e-4)
    for name in free:
        np.testing.assert_allclose(m[PLACES[name]], theirs[name], atol=1e-4)
    assert float(posterior @ pairs) / pairs.sum() == pytest.approx(share, abs=1e-4)


def test_session_with_a_prior_stays_nearer_to_it(toy: Any) -> None:
    """Pseudo-pairs draw m towards the prior, and a level that no pair is at keeps a probability."""
    levels, _ = toy
    kept = levels[levels[:, PLACES["dob"]] != 1]  # nobody has day and month swapped
    unique, pairs = np.unique(kept, axis=0, return_counts=True)
    start = prior_m()
    target = np.array([start["dob"][name] for name in level_names(COMPARISONS[PLACES["dob"]])])
    distance = []
    for weight in (0.0, 20.0, 20_000.0):
        m, *_ = session(
            unique,
            pairs.astype(np.float64),
            free=list(PLACES.values()),
            u=_toy_u(),
            start=start,
            prior_weight=weight,
        )
        dob = m[PLACES["dob"]]
        assert dob.sum() == pytest.approx(1)
        assert (dob[1] > 1e-6) == (weight > 0)
        distance.append(float(np.abs(dob - target).sum()))
    assert distance[0] > distance[1] > distance[2]


def _counted(comparable: float, **levels: float) -> dict[str, Any]:
    """Counts of an agency that knows of agreement on the date of birth only."""
    empty = {c.name: {"comparable": comparable} | {level.name: 0 for level in c.levels} for c in COMPARISONS}
    empty["dob"] |= levels
    return {
        "pairs": comparable,
        "levels": empty,
        "family": {level.name: 0 for level in FAMILY_LEVELS},
        "passes": {},
    }


def test_u_is_pooled_over_agencies() -> None:
    """Rates of u are agreeing pairs over comparable pairs, agencies together; a level nobody saw gets half a pair."""
    u = pool_u([_counted(1000, exact=4, year=20), _counted(9000, exact=6, year=80)])
    assert u["dob"]["exact"] == pytest.approx(10 / 10_000)
    assert u["dob"]["year"] == pytest.approx(100 / 10_000)
    assert u["dob"]["swap"] == pytest.approx(0.5 / 10_000)
    assert u["nhs_number"]["exact"] == pytest.approx(1e-7)
    for name, levels in u.items():
        assert math.fsum(levels.values()) == pytest.approx(1), name
        assert all(0 < value < 1 for value in levels.values())


def test_u_does_not_depend_on_the_order_of_agencies(unit: Any) -> None:
    """Pooling sums, so the order of packages cannot matter."""
    counts = counted(unit.senders)
    there, back = pool_u(counts), pool_u(counts[::-1])
    for name, levels in there.items():
        assert levels == pytest.approx(back[name], rel=1e-12)


def test_family_correction_is_the_joint_rate_over_the_single_ones() -> None:
    """The correction is never below one, and counts how much more often relatives agree than strangers would."""
    entry = _counted(10_000)
    entry["levels"]["surname"]["rare"] = 10
    entry["levels"]["location"]["home"] = 20
    entry["family"]["family_home_rare"] = 5
    u = pool_u([entry])
    single = u["surname"]["rare"] * u["location"]["home"] * (1 - u["dob"]["exact"])
    ratios = pool_family([entry], u)
    assert ratios["family_home_rare"] == pytest.approx(5 / 10_000 / single, rel=UNSEEN_RELATIVES / 5)
    assert min(ratios.values()) >= 1


def test_a_small_file_without_relatives_is_not_taken_for_families() -> None:
    """Where no relatives were seen, a tenth of a pair is believed unseen, not half a pair at every level."""
    entry = _counted(10_000, exact=3)
    for comparison, levels in (("surname", ("rare", "mid", "exact")), ("location", ("home", "postcode"))):
        entry["levels"][comparison] |= dict.fromkeys(levels, 5)
    u = pool_u([entry])
    ratios = pool_family([entry], u)

    def believed(twin: bool) -> float:
        return sum(
            ratio
            * 10_000
            * u["surname"][level.surname]
            * u["location"]["home"]
            * (u["dob"]["exact"] if twin else 1)
            for level in FAMILY_LEVELS
            if level.location == "home" and level.twin == twin
            for ratio in (ratios[level.name],)
        )

    assert believed(False) == pytest.approx(UNSEEN_RELATIVES, rel=0.05)
    assert believed(True) == pytest.approx(UNSEEN_RELATIVES * TWINS, rel=0.05)


@pytest.mark.parametrize(
    "name", ["dob+surname.phonetic", "nhs_number", "name_set+dob.month_year", "forename.first3+uprn"]
)
def test_free_comparisons_share_no_identifier_with_the_pass(name: str) -> None:
    """A comparison is free only when none of its tokens is derived from an identifier the pass is made of."""
    blocking = parse_pass(name)
    for place, comparison in enumerate(COMPARISONS):
        touched = {field for token in comparison.tokens for field in DERIVED[token].fields}
        assert (place in free_comparisons(blocking)) == touched.isdisjoint(blocking.fields)


def test_swapped_names_tie_both_name_comparisons() -> None:
    """Both name comparisons look at forename and surname, so a pass on either leaves neither free."""
    for name in ("forename+dob", "surname+dob"):
        free = {COMPARISONS[place].name for place in free_comparisons(parse_pass(name))}
        assert free == {"sex", "location", "nhs_number"}


def _patterns(levels: Any, found_by: int) -> Patterns:
    unique, pairs = np.unique(levels, axis=0, return_counts=True)
    size = len(unique)
    return Patterns(
        codes=np.arange(size),
        levels=unique,
        family=np.full(size, -1),
        found_by=np.full(size, found_by, dtype=np.uint64),
        pairs=pairs.astype(np.float64),
    )


def test_a_pass_updates_only_what_it_leaves_free(toy: Any) -> None:
    """One pass on date and surname moves m of sex, location and NHS number, and nothing else."""
    levels, _ = toy
    passes = [parse_pass("dob+surname")]
    trained = train(_patterns(levels, 1), passes, [_counted(1e6)], subjects=4000)
    before, after = prior_m(), trained.parameters.m
    free = {COMPARISONS[place].name for place in free_comparisons(passes[0])}
    for name, m in after.items():
        assert (m == pytest.approx(before[name], abs=1e-9)) == (name not in free)
        assert math.fsum(m.values()) == pytest.approx(1)
    (only,) = trained.sessions
    assert set(only.estimated) == free
    assert only.pairs == len(levels)


def test_pairs_count_in_every_pass_that_found_them(toy: Any) -> None:
    """A pair that two passes found takes part in both sessions; one of neither takes part in none."""
    levels, _ = toy
    passes = [parse_pass("dob+surname"), parse_pass("nhs_number"), parse_pass("uprn+forename")]
    trained = train(_patterns(levels, 0b011), passes, [_counted(1e6)], subjects=4000)
    assert {each.name: each.pairs for each in trained.sessions} == {
        "dob+surname": len(levels),
        "nhs_number": len(levels),
    }


def test_sessions_of_real_packages(unit: Any, world: Any) -> None:
    """Each pass with pairs has a session over as many pairs as it found between subjects."""
    found: Counter[str] = Counter()
    for bits, pairs in unit.con.execute(
        "SELECT found_by, count(*) FROM candidates GROUP BY found_by"
    ).fetchall():
        for index, blocking in enumerate(world.agreement.passes):
            found[blocking.name] += pairs * (bits >> index & 1)
    assert {each.name: each.pairs for each in unit.trained.sessions} == {n: p for n, p in found.items() if p}
    for each in unit.trained.sessions:
        assert 0 < each.matches <= each.pairs


def test_prior_predicts_the_matches_it_is_estimated_from(toy: Any) -> None:
    """At the estimated prior, the candidates hold as many expected matches as the prior says there are."""
    levels, _ = toy
    patterns, subjects = _patterns(levels, 1), 4000
    family = {level.name: 1.0 for level in FAMILY_LEVELS}
    m, u = prior_m(), _toy_u()
    prior = estimate_prior(patterns, m, u, family, subjects=subjects)
    matches = 0.0
    for row, pairs in zip(patterns.levels, patterns.pairs, strict=True):
        odds = prior / (1 - prior)
        for place, comparison in enumerate(COMPARISONS):
            if row[place] >= 0:
                level = level_names(comparison)[row[place]]
                odds *= m[comparison.name][level] / u[comparison.name][level]
        matches += pairs * odds / (1 + odds)
    assert matches / (subjects * (subjects - 1) / 2) == pytest.approx(prior, rel=1e-3)


def test_a_level_without_a_probability_is_refused(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A level that no data and no prior speaks for stops the run instead of scoring at an arbitrary weight."""
    levels, _ = toy
    kept = levels[levels[:, PLACES["sex"]] == 0]  # everybody of the same sex: "else" is never seen
    for comparison in COMPARISONS:  # each other level is seen
        names = level_names(comparison)
        for position in range(len(names) if comparison.name != "sex" else 0):
            row = kept[0].copy()
            row[PLACES[comparison.name]] = position
            kept = np.vstack([kept, np.tile(row, (20, 1))])
    monkeypatch.setattr(training, "PRIOR_WEIGHT", 0.0)
    passes = [parse_pass("dob+surname"), parse_pass("nhs_number"), parse_pass("uprn+forename")]
    with pytest.raises(UntrainedLevel) as caught:
        train(_patterns(kept, 0b111), passes, [_counted(1e6)], subjects=4000)
    assert "sex" in caught.value.message


def test_no_candidates_leave_the_priors(unit: Any, world: Any) -> None:
    """A run whose passes find nobody is trained on priors alone."""
    trained = train(
        _patterns(np.empty((0, len(COMPARISONS)), dtype=np.int64), 0),
        world.agreement.passes,
        counted(unit.senders),
        subjects=10,
    )
    assert trained.sessions == ()
    for name, m in trained.parameters.m.items():
        assert m == pytest.approx(prior_m()[name])
