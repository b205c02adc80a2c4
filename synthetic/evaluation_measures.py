"""All figures of `tallystick evaluate`: pairs, people, thresholds, agencies, groups, calibration. Counts and shares."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkage.ties import Ties
from synthetic.evaluation import Refs
from synthetic.evaluation_groups import Grouping
from synthetic.evaluation_pairs import (
    Counts,
    Pairs,
    Share,
    best_threshold,
    clustered_pairs,
    counts,
    pairs_of,
    ratio,
)

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

THRESHOLDS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Rows of the table by threshold, beside the agreement's own and the best."""

BINS = (0.0, 0.01, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 0.99, 1.0)
"""Edges of the calibration bins: tenths around 0.1, 0.2 … 0.9, and finer at both ends, where most pairs are."""

Figures = dict[str, Any]


def _share(share: Share) -> Figures:
    return {"value": share.value, "low": share.low, "high": share.high}


def as_figures(counted: Counts) -> Figures:
    """Return counts as JSON: numbers, and shares with their bounds."""
    return {
        "true_pairs": counted.true_pairs,
        "found": counted.found,
        "missed": counted.true_pairs - counted.found,
        "false": counted.false,
        **{name: _share(getattr(counted, name)) for name in ("precision", "recall", "f1")},
    }


def whole_people(cluster: Ints, refs: Refs) -> Figures:
    """Count people with several references by what became of them.

    `whole`: all references in one cluster, and nobody else's there; `split`: in several clusters; `mixed`: together
    with someone else. A person can be split and mixed.
    """
    found = np.where(refs.subject >= 0, cluster[refs.subject], -1 - np.arange(len(refs.subject)))
    _, found = np.unique(found, return_inverse=True)
    together = np.unique(np.stack([refs.person, found]), axis=1)
    clusters = np.bincount(together[0])
    people = np.bincount(together[1])
    references = np.bincount(refs.person)
    several = references > 1
    mixed = np.zeros(len(references), dtype=bool)
    mixed[together[0][people[together[1]] > 1]] = True
    split = clusters > 1
    return {
        "people": int(several.sum()),
        "whole": int((several & ~split & ~mixed).sum()),
        "split": int((several & split).sum()),
        "mixed": int((several & mixed).sum()),
    }


def _threshold_rows(pairs: Pairs, person: Ints, wanted: Sequence[float]) -> list[Figures]:
    return [{"threshold": bound, **as_figures(counts(pairs, person, bound))} for bound in sorted(set(wanted))]


def agency_rows(
    pairs: Pairs, clusters: Pairs, agency: Ints, names: Sequence[str], person: Ints, threshold: float
) -> list[Figures]:
    """Return figures by pair of agencies, within an agency too; pairs of agencies without any pair are left out."""

    def between(some: Pairs, a: int, b: int) -> Pairs:
        low = np.minimum(agency[some.left], agency[some.right])
        high = np.maximum(agency[some.left], agency[some.right])
        return some.take((low == a) & (high == b))

    rows = []
    for a, b in combinations_with_replacement(range(len(names)), 2):
        links, people = between(pairs, a, b), between(clusters, a, b)
        counted = counts(links, person, threshold)
        if counted.true_pairs or counted.false:
            rows.append(
                {
                    "agencies": [names[a], names[b]],
                    "links": as_figures(counted),
                    "clusters": as_figures(counts(people, person, threshold)),
                }
            )
    return rows


def group_rows(
    pairs: Pairs, clusters: Pairs, groupings: Sequence[Grouping], person: Ints, threshold: float
) -> list[Figures]:
    """Return figures by group, and for each the recall and precision of everyone else in the same grouping.

    A true pair belongs to the group of its person. A false pair belongs to the groups of both its people.
    """
    rows = []
    for grouping in groupings:
        group = grouping.of_person[person]
        for number, value in enumerate(grouping.values):
            inside, known = group == number, group >= 0

            def of(some: Pairs, inside: Bools = inside) -> Pairs:
                return some.take(inside[some.left] | inside[some.right])

            outside = known & ~inside
            others = counts(pairs.take(outside[pairs.left] & outside[pairs.right]), person, threshold)
            counted = counts(of(pairs), person, threshold)
            rows.append(
                {
                    "grouping": grouping.name,
                    "group": value,
                    "source": grouping.source,
                    "people": int((grouping.of_person == number).sum()),
                    "links": as_figures(counted),
                    "clusters": as_figures(counts(of(clusters), person, threshold)),
                    "others": {name: _share(getattr(others, name)) for name in ("precision", "recall", "f1")},
                    "effective": {
                        "recall": [counted.recall.effective, others.recall.effective],
                        "precision": [counted.precision.effective, others.precision.effective],
                    },
                }
            )
    return rows


def calibration(pairs: Pairs, person: Ints) -> Figures:
    """Compare scores with how often they were right, over the pairs that were compared.

    Returns:
        `bins` (from, to, pairs, mean score, share right with interval; empty ones left out), `expected` (sum of
        scores), `right` (pairs of one person) and `error`: the mean distance between a bin's score and its share
        right, weighted by pairs ("expected calibration error", Naeini, Cooper and Hauskrecht 2015).
    """
    scored = pairs.take(pairs.compared)
    place = np.clip(np.searchsorted(BINS, scored.score, side="right") - 1, 0, len(BINS) - 2)
    size = int(person.max(initial=-1)) + 1
    bins: list[Figures] = []
    for number in range(len(BINS) - 1):
        here = scored.take(place == number)
        if len(here.score) == 0:
            continue
        ends = np.concatenate([person[here.left], person[here.right]])
        every = np.bincount(ends, minlength=size) / 2.0
        right = np.bincount(ends[np.tile(here.true, 2)], minlength=size) / 2.0
        bins.append(
            {
                "from": BINS[number],
                "to": BINS[number + 1],
                "pairs": len(here.score),
                "score": float(here.score.mean()),
                "right": _share(ratio(right, every)),
            }
        )
    total = max(len(scored.score), 1)
    error = sum(entry["pairs"] * abs(entry["score"] - entry["right"]["value"]) for entry in bins) / total
    return {
        "bins": bins,
        "pairs": len(scored.score),
        "expected": float(scored.score.sum()),
        "right": int(scored.true.sum()),
        "error": error if bins else None,
    }


def measure(
    ties: Ties,
    cluster: Ints,
    refs: Refs,
    *,
    agency: Ints,
    agencies: Sequence[str],
    groupings: Sequence[Grouping],
    threshold: float,
) -> Figures:
    """Return all figures of a run as one JSON object (docs/guides/evaluation.md says what each means).

    Args:
        ties: Pairs of subjects on which the run has an opinion.
        cluster: Person of each subject by the run.
        refs: References with subject and person by the truth.
        agency: Agency of each reference, as a position in `agencies`.
        agencies: Their names.
        groupings: Groups to measure by.
        threshold: The agreement's.
    """
    person = refs.person
    pairs = pairs_of(ties, refs, subjects=len(cluster))
    clusters = clustered_pairs(cluster, refs)
    best = best_threshold(pairs)
    size = int(person.max(initial=-1)) + 1
    met = np.bincount(
        person[pairs.left[pairs.true & (pairs.score >= 0) & ~pairs.implied]], minlength=size
    ).astype(float)
    every = np.bincount(person[pairs.left[pairs.true]], minlength=size).astype(float)
    return {
        "references": len(person),
        "unusable": int((refs.subject < 0).sum()),
        "people": size,
        "threshold": threshold,
        "links": as_figures(counts(pairs, person, threshold)),
        "best": {"threshold": best, **as_figures(counts(pairs, person, best))},
        "clusters": {**as_figures(counts(clusters, person, threshold)), **whole_people(cluster, refs)},
        "blocking": {"recall": _share(ratio(met, every))},
        "thresholds": _threshold_rows(pairs, person, [*THRESHOLDS, threshold]),
        "agencies": agency_rows(pairs, clusters, agency, agencies, person, threshold),
        "groups": group_rows(pairs, clusters, groupings, person, threshold),
        "calibration": calibration(pairs, person),
    }
