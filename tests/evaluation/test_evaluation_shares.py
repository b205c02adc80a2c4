"""Pairs, shares with intervals, groups and calibration, against counting by hand and known formulas."""

from __future__ import annotations

from collections.abc import Collection
from itertools import combinations
from math import isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.ties import Ties
from synthetic.evaluation import Refs, evaluate
from synthetic.evaluation_groups import Grouping
from synthetic.evaluation_measures import calibration, group_rows, measure, whole_people
from synthetic.evaluation_pairs import (
    NEVER,
    Pairs,
    best_threshold,
    clustered_pairs,
    counts,
    pairs_of,
    ratio,
    together,
    wilson,
)

Case = tuple[Ties, np.ndarray, Refs]


@st.composite
def _runs(draw: st.DrawFn) -> Case:
    """A small run: ties, some only implied, clusters, and references of which some have no subject."""
    subjects = draw(st.integers(1, 7))
    linked = [pair for pair in combinations(range(subjects), 2) if draw(st.booleans())]
    scores = [draw(st.sampled_from([0.02, 0.3, 0.5, 0.7, 0.97])) for _ in linked]
    refs = draw(
        st.lists(st.tuples(st.integers(-1, subjects - 1), st.integers(0, 4)), min_size=1, max_size=14)
    )
    people = {person: number for number, person in enumerate(dict.fromkeys(person for _, person in refs))}
    ties = Ties(
        left=np.array([a for a, _ in linked], dtype=np.int64),
        right=np.array([b for _, b in linked], dtype=np.int64),
        probability=np.array(scores, dtype=np.float64),
        compared=np.array([draw(st.booleans()) for _ in linked], dtype=bool),
    )
    cluster = np.array([draw(st.integers(0, 3)) for _ in range(subjects)], dtype=np.int64)
    return (
        ties,
        cluster,
        Refs(
            subject=np.array([subject for subject, _ in refs], dtype=np.int64),
            person=np.array([people[person] for _, person in refs], dtype=np.int64),
        ),
    )


@given(st.lists(st.integers(-1, 4), max_size=12))
def test_together_finds_every_pair_once(group: list[int]) -> None:
    """Every pair of positions with one group is returned once, smaller first, and nothing of negative groups."""
    left, right = together(np.array(group, dtype=np.int64))
    expected = {(a, b) for a, b in combinations(range(len(group)), 2) if group[a] == group[b] >= 0}
    found = list(zip(left.tolist(), right.tolist(), strict=True))
    assert set(found) == expected
    assert len(found) == len(expected)


@given(_runs())
def test_pairs_agree_with_the_evaluation_of_a_rehearsal(case: Case) -> None:
    """Counted pair by pair, links, best, people and blocking are what the rehearsal reports."""
    ties, cluster, refs = case
    known = evaluate(ties, cluster, refs, subjects=len(cluster), threshold=0.5)
    pairs = pairs_of(ties, refs, subjects=len(cluster))
    at = counts(pairs, refs.person, 0.5)
    assert (at.precision.value, at.recall.value) == pytest.approx(
        (known.agreement.precision, known.agreement.recall)
    )
    best = counts(pairs, refs.person, best_threshold(pairs)).f1.value
    assert (best or 0.0) == pytest.approx(known.best.f1 or 0.0)
    people = counts(clustered_pairs(cluster, refs), refs.person, 0.5)
    assert (people.precision.value, people.recall.value) == pytest.approx(
        (known.clusters.precision, known.clusters.recall)
    )
    assert not (pairs.compared & pairs.implied).any()
    met = int((pairs.true & (pairs.score > NEVER) & ~pairs.implied).sum())
    figures = measure(
        ties,
        cluster,
        refs,
        agency=np.zeros(len(refs.person), dtype=np.int64),
        agencies=["a"],
        groupings=[],
        threshold=0.5,
    )
    assert figures["blocking"]["recall"]["value"] == pytest.approx(known.blocking_recall)
    assert known.blocking_recall is None or met / max(int(pairs.true.sum()), 1) == pytest.approx(
        known.blocking_recall
    )


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 5))
def test_copies_of_a_pair_tell_nothing_new(found: int, missed: int, copies: int) -> None:
    """People whose pairs all share one fate give the interval of that many independent trials, however many pairs."""
    people = found + missed
    part = np.array([copies] * found + [0] * missed, dtype=np.float64)
    share = ratio(part, np.full(people, copies, dtype=np.float64))
    assert share.value == pytest.approx(found / people)
    # The variance is estimated with people - 1, so slightly fewer trials than people; all found: exactly people.
    trials = people if missed == 0 else max(people - 1, 1)
    low, high = wilson(found / people, trials)
    assert (share.low, share.high) == pytest.approx((low, high))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=20))
def test_a_share_lies_in_its_interval(people: list[tuple[int, int]]) -> None:
    """The interval holds the share, stays within 0 and 1, and is nothing where nothing can be counted."""
    part = np.array([a for a, _ in people], dtype=np.float64)
    whole = part + np.array([b for _, b in people], dtype=np.float64)
    share = ratio(part, whole)
    if whole.sum() == 0:
        assert (share.value, share.low, share.high) == (None, None, None)
    else:
        assert share.value is not None
        assert share.low is not None
        assert share.high is not None
        assert 0 <= share.low <= share.value + 1e-12
        assert share.value - 1e-12 <= share.high <= 1


def test_wilson_against_a_published_example() -> None:
    """81 of 263: 0.2553 to 0.3662 (Newcombe 1998, Statistics in Medicine 17, table I, method 3)."""
    low, high = wilson(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_pairs_of_one_person_widen_the_interval() -> None:
    """Errors that come together in a few people leave more doubt than the same number spread over many."""
    spread = ratio(np.array([2.0] * 80 + [1.0] * 20), np.full(100, 2.0))
    heaped = ratio(np.array([2.0] * 90 + [0.0] * 10), np.full(100, 2.0))
    assert spread.value == heaped.value
    assert spread.low is not None
    assert heaped.low is not None
    assert heaped.low < spread.low


@given(_runs())
def test_pairs_equal_a_loop_over_all_pairs(case: Case) -> None:
    """Every pair of references has the score of its two subjects, and is told as compared, implied, or neither."""
    ties, cluster, refs = case
    pairs = pairs_of(ties, refs, subjects=len(cluster))
    parts = [part.tolist() for part in (ties.left, ties.right, ties.probability, ties.compared)]
    known = {frozenset(tied[:2]): tied[2:] for tied in zip(*parts, strict=True)}
    expected = {}
    for i, j in combinations(range(len(refs.person)), 2):
        a, b, true = int(refs.subject[i]), int(refs.subject[j]), bool(refs.person[i] == refs.person[j])
        if a == b >= 0:
            expected[i, j] = (1.0, true, False, False)
        elif min(a, b) >= 0 and frozenset((a, b)) in known:
            score, compared = known[frozenset((a, b))]
            expected[i, j] = (score, true, compared, not compared)
        elif true:
            expected[i, j] = (NEVER, true, False, False)
    columns = (pairs.score, pairs.true, pairs.compared, pairs.implied)
    found = list(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    rows = zip(*(part.tolist() for part in columns), strict=True)
    assert dict(zip(found, rows, strict=True)) == expected
    assert len(found) == len(expected)


def _pairs(rows: list[tuple[int, int, float, bool]], implied: Collection[int] = ()) -> Pairs:
    through = np.isin(np.arange(len(rows)), list(implied))
    return Pairs(
        left=np.array([row[0] for row in rows], dtype=np.int64),
        right=np.array([row[1] for row in rows], dtype=np.int64),
        score=np.array([row[2] for row in rows], dtype=np.float64),
        true=np.array([row[3] for row in rows], dtype=bool),
        compared=np.array([row[2] >= 0 for row in rows], dtype=bool) & ~through,
        implied=through,
    )


def test_a_false_pair_counts_in_the_groups_of_both_people() -> None:
    """A wrong link between two groups lowers the precision of both, and of nobody else."""
    # References 0,1 are person 0; 2,3 person 1; 4,5 person 2.
    person = np.array([0, 0, 1, 1, 2, 2], dtype=np.int64)
    pairs = _pairs([(0, 1, 0.9, True), (2, 3, NEVER, True), (4, 5, 0.9, True), (1, 2, 0.8, False)])
    grouping = Grouping(
        name="kind", values=("a", "b", "c"), of_person=np.array([0, 1, 2]), source="people file"
    )
    rows = {row["group"]: row for row in group_rows(pairs, pairs, [grouping], person, 0.5)}
    assert [rows[name]["links"]["false"] for name in "abc"] == [1, 1, 0]
    assert [rows[name]["links"]["recall"]["value"] for name in "abc"] == [1.0, 0.0, 1.0]
    assert rows["c"]["others"]["recall"]["value"] == 0.5
    assert rows["c"]["links"]["precision"]["value"] == 1.0


def test_people_are_whole_split_or_mixed() -> None:
    """Of four people with two references: one whole, one split, two mixed together; a lone one counts nowhere."""
    refs = Refs(
        subject=np.array([0, 1, 2, 3, 4, 5, 6, 7, 8], dtype=np.int64),
        person=np.array([0, 0, 1, 1, 2, 2, 3, 3, 4], dtype=np.int64),
    )
    cluster = np.array([0, 0, 1, 2, 3, 3, 3, 3, 4], dtype=np.int64)
    assert whole_people(cluster, refs) == {"people": 4, "whole": 1, "split": 1, "mixed": 2}


def test_a_reference_without_a_subject_is_split_off() -> None:
    """A person one of whose references has no usable row was not put together."""
    refs = Refs(subject=np.array([0, -1], dtype=np.int64), person=np.array([0, 0], dtype=np.int64))
    assert whole_people(np.array([0]), refs)["split"] == 1


def test_calibration_of_honest_scores() -> None:
    """Scores drawn so that each is right as often as it says have next to no error, and promise what comes."""
    rng = np.random.default_rng(1)
    score = rng.random(4000)
    true = rng.random(4000) < score
    rows = [(2 * n, 2 * n + 1, float(s), bool(t)) for n, (s, t) in enumerate(zip(score, true, strict=True))]
    found = calibration(_pairs(rows), np.arange(8000) // 2)
    assert found["error"] < 0.03
    assert isclose(found["expected"], found["right"], rel_tol=0.04)
    assert sum(entry["pairs"] for entry in found["bins"]) == 4000


def test_calibration_leaves_out_what_was_never_scored() -> None:
    """A pair that was never compared has no score of its own, so it is no matter of calibration."""
    person = np.array([0, 0, 1, 1, 2, 2], dtype=np.int64)
    rows = [(0, 1, NEVER, True), (2, 3, 1.0, True), (4, 5, 0.9, True)]
    found = calibration(_pairs(rows, implied=[2]), person)
    assert (found["pairs"], found["right"]) == (1, 1)
    assert found["bins"][-1]["to"] == 1.0


@given(_runs())
def test_figures_add_up(case: Case) -> None:
    """Pairs by agencies add up to all pairs, and recall never rises with the threshold."""
    ties, cluster, refs = case
    agency = np.arange(len(refs.person)) % 2
    found = measure(ties, cluster, refs, agency=agency, agencies=["a", "b"], groupings=[], threshold=0.5)
    for name in ("true_pairs", "found", "false"):
        assert sum(row["links"][name] for row in found["agencies"]) == found["links"][name]
    kept = [row["found"] for row in found["thresholds"]]
    assert kept == sorted(kept, reverse=True)
    assert 0.5 in [row["threshold"] for row in found["thresholds"]]
