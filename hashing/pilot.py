"""Likely true pairs among plain records that one machine may see together: what a pass plan is tried on.

An agency alone has its own duplicates; a rehearsal has the extracts of all. Broad passes, each far too weak to be
sealed, bring a sample of records together with everybody who is anything like them; the agency's own model
(`hashing.likeness`), fitted to those pairs, says which are one person. No truth is looked at and no pair is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.broad import broad_pairs
from hashing.coding import Coded, Column, encode
from hashing.counts import independent_rows
from hashing.derive import derive, with_rarity
from hashing.likeness import levels_of, model_of
from hashing.pairs import PairCounter
from hashing.subjects import Subjects
from schemas.scheme import FIELDS

SAMPLED_ROWS = 12_000
"""Records whose partners are looked for."""

MOST_PAIRS = 5_000
"""Likely pairs that a plan is tried on."""

EXPECTED_DUPLICATES = 0.2
"""True pairs a record that the pilot's prior expects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pilot:
    """Likely true pairs.

    Attributes:
        derived: Derived values of the pooled records.
        pairs: Shape (n, 2): rows of `derived`, one pair of records a pair of subjects.
        weight: Shape (n,): the probability that the pair is one person.
    """

    derived: dict[str, Column]
    pairs: NDArray[np.int64]
    weight: NDArray[np.float64]


def pool(subjects: Sequence[Subjects]) -> Subjects:
    """Return all subjects as if one agency had them (identifiers only)."""
    first = np.cumsum([0, *(each.count for each in subjects)])
    fields: dict[str, Coded] = {}
    for field in FIELDS:
        held = [each.fields.get(field) for each in subjects]
        if any(coded is not None for coded in held):
            fields[field] = _pooled(held, [len(each.version_subject) for each in subjects])
    numbered = [each.version_subject + np.int32(start) for each, start in zip(subjects, first, strict=False)]
    return replace(subjects[0], count=int(first[-1]), version_subject=np.concatenate(numbered), fields=fields)


def _pooled(held: Sequence[Coded | None], rows: Sequence[int]) -> Coded:
    """Give the values of several columns one coding."""
    values = encode(pa.concat_arrays([coded.values for coded in held if coded is not None]))
    codes, start = [], 0
    for coded, size in zip(held, rows, strict=True):
        if coded is None:
            codes.append(np.full(size, -1, dtype=np.int32))
            continue
        end = start + len(coded.values)
        table = np.append(values.codes[start:end], np.int32(-1)).astype(np.int32, copy=False)
        codes.append(np.take(table, coded.codes, mode="wrap"))
        start = end
    return Coded(codes=np.concatenate(codes), values=values.values)


def _one_a_subject_pair(
    pairs: NDArray[np.int64], weight: NDArray[np.float64], owner: NDArray[np.int32]
) -> NDArray[np.int64]:
    """Return the positions of the likeliest pair of records of each pair of subjects."""
    owners = np.sort(owner[pairs].astype(np.int64), axis=1)
    order = np.lexsort((-weight, owners[:, 1], owners[:, 0]))
    sorted_owners = owners[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (sorted_owners[1:] != sorted_owners[:-1]).any(axis=1)
    chosen: NDArray[np.int64] = order[first]
    return chosen


def run_pilot(subjects: Sequence[Subjects], *, random: np.random.Generator) -> Pilot:
    """Find likely true pairs among `subjects` of one or several agencies.

    Args:
        subjects: Each agency's subjects.
        random: Draws the sample.
    """
    pooled = pool(subjects)
    derived = with_rarity(derive(pooled))
    counter = PairCounter(derived)
    rows = counter.rows
    sampled = np.zeros(rows, dtype=bool)
    sampled[random.permutation(rows)[:SAMPLED_ROWS]] = True
    pairs = broad_pairs(counter, sampled)
    owner = pooled.version_subject
    pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    one_each = independent_rows(derived, owner)
    people = PairCounter({name: column.take(one_each) for name, column in derived.items()})
    model = model_of(people, prior=2 * EXPECTED_DUPLICATES / max(rows, 2))
    levels = levels_of(counter, pairs)
    model.fit(levels)
    weight = model.posterior(levels)
    likely = np.flatnonzero(weight > 0.5)
    likely = likely[_one_a_subject_pair(pairs[likely], weight[likely], owner)]
    likely = random.permutation(likely)[:MOST_PAIRS]
    return Pilot(derived=derived, pairs=pairs[likely], weight=weight[likely])
