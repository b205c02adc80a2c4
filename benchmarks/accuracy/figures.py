"""Figures of a result: pairs at thresholds, clusters, and the curve of precision and recall."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.accuracy.found import Found
from benchmarks.accuracy.records import Records
from linkage.clusters import cluster
from linkage.run import Links
from synthetic.evaluation import evaluate

LARGEST = 50
"""Most subjects of one person, as in drafted agreements; every system is clustered alike."""

_STEPS = 20


def _bits(score: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return log2 odds: a weight by which strong links are told apart when a cluster is cut."""
    held = np.clip(score, 1e-15, 1 - 1e-15)
    return np.log2(held / (1 - held))


def _clusters(found: Found, records: Records, threshold: float) -> np.ndarray[Any, np.dtype[np.int64]]:
    return cluster(
        found.left,
        found.right,
        _bits(found.score),
        found.score,
        subjects=records.subjects,
        threshold=threshold,
        review_from=threshold,
        largest=LARGEST,
    ).person


def _at(found: Found, records: Records, threshold: float) -> dict[str, Any]:
    links = Links(left=found.left, right=found.right, weight=_bits(found.score), probability=found.score)
    made = evaluate(
        links,
        _clusters(found, records, threshold),
        records.refs,
        subjects=records.subjects,
        threshold=threshold,
    )
    return {"pairs": asdict(made.agreement), "clusters": asdict(made.clusters), "whole": made}


def _thresholds(found: Found) -> list[float]:
    """Return thresholds for the curve, from the lowest."""
    scores = np.unique(found.score)
    if len(scores) <= 2 * _STEPS:
        return scores.tolist()
    # Probabilities crowd near 0 and 1, similarities do not: even steps of log odds for the ones, quantiles for the others.
    bits = _bits(scores)
    steps = np.linspace(max(bits.min(), -12), min(bits.max(), 40), _STEPS)
    wanted = np.concatenate([1 / (1 + 2.0**-steps), np.quantile(found.score, np.linspace(0, 1, _STEPS))])
    return np.unique(wanted).tolist()


def figures(found: Found, records: Records) -> dict[str, Any]:
    """Return all figures of one system on one dataset."""
    default = _at(found, records, found.facts["threshold"])
    whole = default["whole"]
    curve = []
    asked = {found.facts["threshold"], whole.best.threshold, *_thresholds(found)}
    for threshold in sorted(asked):
        here = _at(found, records, threshold)
        curve.append({"threshold": threshold, **{key: here[key] for key in ("pairs", "clusters")}})
    best_clusters = max(curve, key=lambda point: point["clusters"]["f1"] or 0.0, default=None)
    return {
        **found.facts,
        "default": {"pairs": default["pairs"], "clusters": default["clusters"]},
        "best": {
            "pairs": asdict(whole.best),
            "clusters": best_clusters["clusters"] if best_clusters else default["clusters"],
            "clusters_threshold": best_clusters["threshold"] if best_clusters else None,
        },
        "blocking_recall": whole.blocking_recall,
        "false_candidates": whole.false_candidates,
        "curve": curve,
    }
