"""Figures of a result: pairs at thresholds, clusters, and the curve of precision and recall."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.found import Floats, Found, Ints
from benchmarks.accuracy.records import Records
from linkage.clusters import Evidence, cluster
from linkage.settling import settle
from linkage.ties import Ties, tie
from synthetic.evaluation_pairs import Pairs, pairs_of, together

LARGEST = 50
"""Most subjects of one person, as in drafted agreements, in every system."""

_STEPS = 60
_CLUSTERED = 12

Row = dict[str, Any]


def _bits(score: Floats) -> Floats:
    """Return log2 odds: a weight by which strong links are told apart when a cluster is cut."""
    held = np.clip(score, 1e-15, 1 - 1e-15)
    bits: Floats = np.log2(held / (1 - held))
    return bits


def _row(correct: float, predicted: float, actual: float, threshold: float) -> Row:
    return {
        "threshold": threshold,
        "precision": correct / predicted if predicted else None,
        "recall": correct / actual if actual else None,
        "f1": 2 * correct / (predicted + actual) if predicted + actual else None,
    }


class _Ranked:
    """Pairs of references from the highest score down, with running counts: any threshold is one look-up."""

    def __init__(self, pairs: Pairs) -> None:
        held = pairs.score >= 0
        self.met = int((pairs.true & held & ~pairs.implied).sum())
        order = np.argsort(-pairs.score[held], kind="stable")
        self.score = pairs.score[held][order]
        self.correct = np.concatenate([[0], np.cumsum(pairs.true[held][order])])
        self.actual = int(pairs.true.sum())

    def at(self, threshold: float) -> Row:
        predicted = int(np.searchsorted(-self.score, -threshold, side="right"))
        return _row(float(self.correct[predicted]), predicted, self.actual, threshold)

    def best(self) -> Row:
        bounds = np.unique(self.score)
        if len(bounds) == 0:
            return self.at(1.0)
        predicted = np.searchsorted(-self.score, -bounds, side="right")
        f1 = 2 * self.correct[predicted] / np.maximum(predicted + self.actual, 1)
        return self.at(float(bounds[np.argmax(f1)]))


def _evidence(found: Found, links: NDArray[np.bool_]) -> Evidence | None:
    """Return what speaks against joins, for some of the links."""
    against = found.evidence
    if against is None:
        return None
    return replace(against, numbers_differ=against.numbers_differ[links], relatives=against.relatives[links])


def _person(found: Found, records: Records, threshold: float) -> Ints:
    """Return who is one person at a threshold."""
    strong = found.score >= threshold
    weight = _bits(found.score) if found.weight is None else found.weight
    return cluster(
        found.left[strong],
        found.right[strong],
        weight[strong],
        found.score[strong],
        subjects=records.subjects,
        threshold=threshold,
        review_from=threshold,
        largest=LARGEST,
        evidence=_evidence(found, strong),
    ).person


def _clusters(found: Found, records: Records, threshold: float) -> Row:
    """Return figures of pairs of references that are put into one person at a threshold."""
    person, refs = _person(found, records, threshold), records.refs
    left, right = together(np.where(refs.subject >= 0, person[refs.subject], -1))
    correct = float((refs.person[left] == refs.person[right]).sum())
    return _row(correct, len(left), len(together(refs.person)[0]), threshold)


def _thresholds(found: Found, number: int) -> list[float]:
    """Return thresholds over the range of the scores, at most `number`."""
    scores = np.unique(found.score)
    if len(scores) <= number:
        return [float(score) for score in scores]
    # Probabilities crowd near 0 and 1, similarities do not: even steps of log odds, and quantiles too.
    bits = _bits(scores)
    steps = np.linspace(max(bits.min(), -12), min(bits.max(), 40), number // 2)
    wanted = np.concatenate([1 / (1 + 2.0**-steps), np.quantile(scores, np.linspace(0, 1, number // 2))])
    return [float(score) for score in np.unique(wanted)]


def settled_alike(found: Found, records: Records) -> Found:
    """Return a system's pairs after the last step of sealed linkage: weighed against each other, chains counted."""
    agencies = int(records.agency.max(initial=0)) + 1
    done = settle(found.left, found.right, _bits(found.score), agency=records.agency, agencies=agencies)
    return replace(found, score=done.probability, weight=done.weight, settled=True)


def ties_of(found: Found, records: Records) -> Ties:
    """Return every pair on which a system has an opinion: what it scored and, if it is settled, chains of those."""
    if not found.settled:
        every = np.ones(len(found.left), dtype=bool)
        return Ties(left=found.left, right=found.right, probability=found.score, compared=every)
    threshold = float(found.facts["threshold"])
    person = _person(found, records, threshold)
    return tie(found.left, found.right, found.score, person=person, threshold=threshold)


def figures(found: Found, records: Records) -> dict[str, Any]:
    """Return all figures of one system on one dataset."""
    pairs = pairs_of(ties_of(found, records), records.refs, subjects=records.subjects)
    ranked, default = _Ranked(pairs), float(found.facts["threshold"])
    best = ranked.best()
    asked = sorted({default, best["threshold"], *_thresholds(found, _CLUSTERED)})
    clusters = {threshold: _clusters(found, records, threshold) for threshold in asked}
    return {
        **found.facts,
        "default": {"pairs": ranked.at(default), "clusters": clusters[default]},
        "best": {"pairs": best, "clusters": max(clusters.values(), key=lambda row: row["f1"] or 0.0)},
        "true_pairs": ranked.actual,
        "blocking_recall": ranked.met / max(ranked.actual, 1),
        "curve": [ranked.at(threshold) for threshold in _thresholds(found, _STEPS)],
    }
