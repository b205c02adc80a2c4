"""Evaluation against a loop over all pairs of references."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.ties import Ties
from schemas.errors import ExtractError
from synthetic.evaluation import Figures, Refs, evaluate, held_refs, match_truth, read_truth
from synthetic.stages import Stages

Case = dict[str, Any]


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    """A small run: ties between subjects, some of them only implied, people, and references, some without subject."""
    subjects = draw(st.integers(1, 8))
    pairs = [(a, b) for a, b in combinations(range(subjects), 2) if draw(st.booleans())]
    return {
        "subjects": subjects,
        "links": [
            (a, b, draw(st.sampled_from([0.05, 0.3, 0.5, 0.7, 0.95, 1.0])), draw(st.booleans()))
            for a, b in pairs
        ],
        "cluster_of": [draw(st.integers(0, 3)) for _ in range(subjects)],
        "refs": draw(st.lists(st.tuples(st.integers(-1, subjects - 1), st.integers(0, 4)), max_size=14)),
        "threshold": draw(st.sampled_from([0.3, 0.5, 0.6, 0.95])),
    }


def _figures(predicted: set[tuple[int, int]], true: set[tuple[int, int]]) -> tuple[float | None, ...]:
    both = len(predicted & true)
    return (
        both / len(predicted) if predicted else None,
        both / len(true) if true else None,
        2 * both / (len(predicted) + len(true)) if predicted or true else None,
    )


def _brute(case: Case) -> dict[str, Any]:
    refs = case["refs"]
    probability = {(a, b): p for a, b, p, _ in case["links"]}
    compared = {(a, b) for a, b, _, met in case["links"] if met}
    every = list(combinations(range(len(refs)), 2))
    true = {(i, j) for i, j in every if refs[i][1] == refs[j][1]}

    def predicted(bound: float) -> set[tuple[int, int]]:
        found = set()
        for i, j in every:
            a, b = sorted((refs[i][0], refs[j][0]))
            if a >= 0 and (a == b or probability.get((a, b), -1.0) >= bound):
                found.add((i, j))
        return found

    in_clusters = {
        (i, j)
        for i, j in every
        if min(refs[i][0], refs[j][0]) >= 0
        and case["cluster_of"][refs[i][0]] == case["cluster_of"][refs[j][0]]
    }
    candidates = set()
    for i, j in every:
        a, b = sorted((refs[i][0], refs[j][0]))
        if a >= 0 and (a == b or (a, b) in compared):
            candidates.add((i, j))
    false = 0
    for a, b in compared:
        met = [(p, q) for s, p in refs if s == a for t, q in refs if t == b]
        false += bool(met) and not any(p == q for p, q in met)
    bounds = [2.0, *sorted(set(probability.values()), reverse=True)]
    return {
        "agreement": _figures(predicted(case["threshold"]), true),
        "best": max((_figures(predicted(bound), true)[2] or 0.0) for bound in bounds),
        "at": lambda bound: _figures(predicted(bound), true),
        "clusters": _figures(in_clusters, true),
        "blocking": len(candidates & true) / len(true) if true else None,
        "false": false,
    }


def _evaluate(case: Case) -> Any:
    links = case["links"]
    return evaluate(
        Ties(
            left=np.array([link[0] for link in links], dtype=np.int64),
            right=np.array([link[1] for link in links], dtype=np.int64),
            probability=np.array([link[2] for link in links], dtype=np.float64),
            compared=np.array([link[3] for link in links], dtype=bool),
        ),
        np.array(case["cluster_of"], dtype=np.int64),
        Refs(
            subject=np.array([ref[0] for ref in case["refs"]], dtype=np.int64),
            person=np.array([ref[1] for ref in case["refs"]], dtype=np.int64),
        ),
        subjects=case["subjects"],
        threshold=case["threshold"],
    )


def _shown(figures: Figures) -> tuple[float | None, ...]:
    return (figures.precision, figures.recall, figures.f1)


@given(_cases())
@settings(max_examples=150, deadline=None)
def test_evaluation_equals_a_loop_over_all_pairs(case: Case) -> None:
    """All figures of pairs, clusters and blocking are those of a plain loop."""
    found, expected = _evaluate(case), _brute(case)
    assert _shown(found.agreement) == pytest.approx(expected["agreement"])
    assert _shown(found.clusters) == pytest.approx(expected["clusters"])
    assert found.blocking_recall == pytest.approx(expected["blocking"])
    assert found.false_candidates == expected["false"]
    assert found.agreement.threshold == case["threshold"]


@given(_cases())
@settings(max_examples=150, deadline=None)
def test_best_threshold_is_the_best(case: Case) -> None:
    """No threshold has a higher F1 than the best one, and its figures are those that its threshold gives."""
    found, expected = _evaluate(case), _brute(case)
    assert (found.best.f1 or 0.0) == pytest.approx(expected["best"])
    assert (found.agreement.f1 or 0.0) <= (found.best.f1 or 0.0) + 1e-12
    assert found.best.threshold is not None
    if found.best.threshold < 1.0:
        assert _shown(found.best) == pytest.approx(expected["at"](found.best.threshold))


def test_unusable_references_count_as_missed() -> None:
    """A reference whose rows could not be used still has true pairs, which nothing can find."""
    case = {
        "subjects": 2,
        "links": [(0, 1, 0.99, True)],
        "cluster_of": [0, 0],
        "refs": [(0, 0), (1, 0), (-1, 0)],
        "threshold": 0.5,
    }
    found = _evaluate(case)
    assert _shown(found.agreement) == pytest.approx((1.0, 1 / 3, 0.5))
    assert found.blocking_recall == pytest.approx(1 / 3)


def test_a_pair_through_others_is_predicted_and_no_candidate() -> None:
    """A pair that is one person through others counts by its probability; in blocking it neither helps nor harms."""
    case: Case = {
        "subjects": 3,
        "links": [(0, 1, 0.9, True), (1, 2, 0.9, True), (0, 2, 0.81, False)],
        "cluster_of": [0, 0, 0],
        "refs": [(0, 0), (1, 0), (2, 0)],
        "threshold": 0.8,
    }
    right = _evaluate(case)
    assert _shown(right.agreement) == (1.0, 1.0, 1.0)
    assert right.blocking_recall == pytest.approx(2 / 3)
    assert _evaluate({**case, "threshold": 0.85}).agreement.recall == pytest.approx(2 / 3)
    wrong = _evaluate({**case, "refs": [(0, 0), (1, 1), (2, 2)]})
    assert wrong.agreement.precision == 0.0
    assert wrong.false_candidates == 2


def test_references_collapsed_by_the_agency_are_a_predicted_pair() -> None:
    """Two references in one subject are predicted to be one person, rightly or wrongly."""
    case: Case = {"subjects": 1, "links": [], "cluster_of": [0], "threshold": 0.5}
    right = _evaluate({**case, "refs": [(0, 0), (0, 0)]})
    wrong = _evaluate({**case, "refs": [(0, 0), (0, 1)]})
    assert _shown(right.agreement) == (1.0, 1.0, 1.0)
    assert (wrong.agreement.precision, wrong.agreement.recall) == (0.0, None)


def test_truth_and_run_brought_together() -> None:
    """References get the subject of the run, or -1 when unusable; those of no extract are left out."""
    truth = {
        "police": {"P1": "a", "P2": "b", "P9": "c", "P5": "a"},
        "health": {"H1": "a"},
        "fire": {"F1": "a"},
    }
    refs = match_truth(
        truth,
        {"police": (pa.array(["P2", "P1"]), np.array([0, 1], dtype=np.int32)),
         "health": (pa.array(["H1"]), np.array([0], dtype=np.int32))},
        {"police": 0, "health": 2},
        {"police": held_refs(["P1", " P2 ", "P5", None]), "health": held_refs(["H1"])},
    )  # fmt: skip
    assert refs.subject.tolist() == [1, 0, -1, 2]
    person = refs.person.tolist()
    assert person[0] == person[2] == person[3] != person[1]


def test_truth_file(tmp_path: Path) -> None:
    """Headers may be written in capitals and values padded; rows that lack a value are left out."""
    path = tmp_path / "truth.csv"
    path.write_text("Agency,REF,person\npolice, P1 ,7\npolice,,8\nhealth,0012,7\n", encoding="utf-8")
    assert read_truth(path) == {"police": {"P1": "7"}, "health": {"0012": "7"}}


def test_truth_file_without_a_column(tmp_path: Path) -> None:
    """The missing column is named."""
    path = tmp_path / "truth.csv"
    path.write_text("agency,person\npolice,7\n", encoding="utf-8")
    with pytest.raises(ExtractError, match="ref"):
        read_truth(path)


def test_stages_are_announced_and_kept_in_order() -> None:
    """Each stage is announced when it begins and kept with its figures when it has ended."""
    announced: list[str] = []
    stages = Stages(announce=announced.append)
    with stages("first"):
        assert announced == ["first"]
        assert stages.done == []
    with stages("second"):
        pass
    assert announced == [each.name for each in stages.done] == ["first", "second"]
    for each in stages.done:
        assert each.seconds >= 0
        assert each.cpu_seconds >= 0
        assert each.peak_mb is None or each.peak_mb > 0


def test_a_stage_that_fails_is_not_kept() -> None:
    """A stage that raised has no figures, and the exception goes on."""
    stages = Stages()
    with pytest.raises(ValueError, match="stop"), stages("failing"):
        raise ValueError("stop")
    assert stages.done == []
