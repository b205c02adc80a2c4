"""How right a run was, where the truth is known: pairs, clusters and blocking.

A pair is two distinct `agency, ref` that are the same person by the truth, within and between agencies; refs that
an agency collapsed into one subject count as a predicted pair like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.coding import combine, encode
from hashing.extract import read_table
from linkage.ties import Ties
from schemas.errors import ExtractError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Precision, recall and F1 of pairs; a figure is None where it is not defined (nothing predicted, say)."""

    precision: float | None
    recall: float | None
    f1: float | None
    threshold: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """How right a run was.

    Attributes:
        agreement: Pairs at the agreement's threshold.
        best: Pairs at the threshold with the best F1, chosen with the truth.
        clusters: Pairs of refs in one cluster.
        blocking_recall: Share of true pairs among the candidates.
        false_candidates: Candidate pairs of subjects that are different people.
    """

    agreement: Figures
    best: Figures
    clusters: Figures
    blocking_recall: float | None
    false_candidates: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Refs:
    """Every distinct `agency, ref` of the truth that is in an extract.

    Attributes:
        subject: Subject of each ref in the run, -1 when its rows were unusable.
        person: Person of each ref by the truth, numbered.
    """

    subject: Ints
    person: Ints


def read_truth(path: Path) -> dict[str, dict[str, str]]:
    """Read `truth.csv` (agency, ref, person): agency -> ref -> person.

    Raises:
        ExtractError: The file cannot be read or lacks a column.
    """
    table = read_table(path)
    names = {name.strip().lower(): name for name in table.column_names}
    missing = [name for name in ("agency", "ref", "person") if name not in names]
    if missing:
        raise ExtractError(
            f"the column(s) {', '.join(missing)} are missing.",
            where=str(path),
            remedy="truth.csv has the columns agency, ref, person.",
        )
    truth: dict[str, dict[str, str]] = {}
    columns = [table.column(names[name]).to_pylist() for name in ("agency", "ref", "person")]
    for agency, ref, person in zip(*columns, strict=True):
        if agency is not None and ref is not None and person is not None:
            truth.setdefault(agency.strip(), {})[ref.strip()] = person.strip()
    return truth


def match_truth(
    truth: Mapping[str, Mapping[str, str]],
    crosswalks: Mapping[str, tuple[pa.StringArray, NDArray[np.int32]]],
    first_subject: Mapping[str, int],
    held: Mapping[str, frozenset[str]],
) -> Refs:
    """Bring truth and run together.

    Args:
        truth: agency -> ref -> person.
        crosswalks: agency -> refs and the subject number of each in the agency's package.
        first_subject: agency -> number of its first subject in the run.
        held: agency -> refs that stand in its extract, usable or not.
    """
    subjects: list[int] = []
    persons: list[str] = []
    for agency, (refs, numbers) in crosswalks.items():
        of_ref = dict(
            zip(refs.to_pylist(), (numbers.astype(np.int64) + first_subject[agency]).tolist(), strict=True)
        )
        for ref, person in truth.get(agency, {}).items():
            if ref in held[agency]:
                subjects.append(of_ref.get(ref, -1))
                persons.append(person)
    return Refs(
        subject=np.array(subjects, dtype=np.int64),
        person=encode(pa.array(persons, type=pa.string())).codes.astype(np.int64),
    )


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _figures(correct: float, predicted: float, actual: float, threshold: float | None = None) -> Figures:
    precision = float(correct / predicted) if predicted else None
    recall = float(correct / actual) if actual else None
    f1 = float(2 * correct / (predicted + actual)) if predicted + actual else None
    return Figures(precision=precision, recall=recall, f1=f1, threshold=threshold)


def _group_pairs(group: Ints, person: Ints) -> tuple[int, int]:
    """Return (pairs of one person inside groups, pairs inside groups)."""
    if len(group) == 0:
        return 0, 0
    both, count = combine([group, person])
    return _pairs(np.bincount(both, minlength=count)), _pairs(np.bincount(group))


def _expand(ties: Ties, refs: Refs, subjects: int) -> tuple[Floats, Floats]:
    """Return for each tie (pairs of refs of one person, pairs of refs)."""
    usable = refs.subject >= 0
    subject, person = refs.subject[usable], refs.person[usable]
    order = np.argsort(subject, kind="stable")
    subject, person = subject[order], person[order]
    starts = np.searchsorted(subject, np.arange(subjects + 1))
    sizes = np.diff(starts)
    left, right = ties.left, ties.right
    predicted = (sizes[left] * sizes[right]).astype(np.float64)
    correct = np.zeros(len(left))
    # Most subjects have one ref; the others are gone through by their position within the subject.
    for i in range(int(sizes.max(initial=0))):
        for j in range(int(sizes.max(initial=0))):
            both = np.flatnonzero((sizes[left] > i) & (sizes[right] > j))
            if len(both):
                same = person[starts[left[both]] + i] == person[starts[right[both]] + j]
                correct[both] += same
    return correct, predicted


def evaluate(ties: Ties, cluster_of: Ints, refs: Refs, *, subjects: int, threshold: float) -> Evaluation:
    """Evaluate a run.

    Args:
        ties: Pairs of subjects on which the run has an opinion.
        cluster_of: Person of each subject by the run.
        refs: Truth, brought together with the run.
        subjects: Number of subjects.
        threshold: The agreement's threshold on match probability.
    """
    actual = _pairs(np.bincount(refs.person)) if len(refs.person) else 0
    usable = refs.subject >= 0
    same_correct, same_predicted = _group_pairs(refs.subject[usable], refs.person[usable])
    correct, predicted = _expand(ties, refs, subjects)
    order = np.argsort(-ties.probability, kind="stable")
    ranked = ties.probability[order]
    cum_correct = np.concatenate([[0.0], np.cumsum(correct[order])]) + same_correct
    cum_predicted = np.concatenate([[0.0], np.cumsum(predicted[order])]) + same_predicted
    at = int(np.searchsorted(-ranked, -threshold, side="right"))
    # A threshold can only fall between distinct probabilities.
    ends = np.concatenate([[0], np.flatnonzero(np.diff(ranked, append=-1.0) != 0) + 1]).astype(np.int64)
    f1 = 2 * cum_correct[ends] / np.maximum(cum_predicted[ends] + actual, 1)
    best = int(ends[np.argmax(f1)])
    in_clusters = _group_pairs(cluster_of[refs.subject[usable]], refs.person[usable])
    return Evaluation(
        agreement=_figures(cum_correct[at], cum_predicted[at], actual, threshold),
        best=_figures(
            cum_correct[best], cum_predicted[best], actual, float(ranked[best - 1]) if best else 1.0
        ),
        clusters=_figures(*in_clusters, actual),
        blocking_recall=float((same_correct + correct[ties.compared].sum()) / actual) if actual else None,
        false_candidates=int(((predicted > 0) & (correct == 0) & ties.compared).sum()),
    )


def held_refs(columns: Sequence[str | None]) -> frozenset[str]:
    """Return the references that stand in an extract."""
    return frozenset(ref.strip() for ref in columns if ref is not None)
