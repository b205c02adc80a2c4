"""Broad passes on plain records: who is anything like whom. Far too weak to be sealed; they never leave the process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashing.coding import combine
from hashing.likeness import PairModel, levels_of
from hashing.pairs import PairCounter
from schemas.scheme import parse_pass

BROAD = tuple(
    parse_pass(name)
    for name in (
        "nhs_number",
        "nhs_number.head+dob.year",
        "nhs_number.tail+dob.year",
        "nhs_number.head+surname.initial",
        "nhs_number.tail+surname.initial",
        "nhs_number.head+forename.initial",
        "nhs_number.tail+forename.initial",
        "dob",
        "dob.swap+surname.initial",
        "dob.month_year+surname.first3",
        "dob.day_year+surname.first3",
        "dob.day_month+surname.first3",
        "dob.month_year+forename.first3",
        "dob.day_year+forename.first3",
        "dob.day_month+forename.first3",
        "dob.year+forename.first3+surname.first3",
        "dob.year+forename.last3+surname.last3",
        "dob.year+forename.letters",
        "dob.year+postcode",
        "dob.year+uprn",
        "dob.year+address.number_street",
        "dob.month_year+postcode.sector",
        "dob.day_year+postcode.sector",
        "dob.day_month+postcode.sector",
        "forename.canonical+surname.canonical",
        "forename.phonetic+surname.phonetic",
        "forename.letters+surname.letters",
        "forename.consonants+surname.consonants",
        "forename.first3+surname.last3",
        "forename.last3+surname.first3",
        "name_set",
        "forename.initial+postcode",
        "forename.initial+uprn",
        "forename.initial+address.number_street",
        "surname.first3+postcode",
        "surname.initial+uprn",
    )
)
"""Passes of the pilot: broad, so that a pair has to differ in nearly everything to be missed by all."""

BROAD_CELL = 60
"""Largest cell of a broad pass; beyond it a pass says little and costs much."""

FITTED_ROWS = 12_000
"""Records that an agency's own model is fitted to."""


def _partners(counter: PairCounter, parts: Sequence[str], sampled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the pairs of a cell of the pass of which at least one row is sampled, shape (n, 2)."""
    rows = counter.complete(parts)
    found = [np.zeros((0, 2), dtype=np.int64)]
    if len(rows):
        keys, count = combine([counter.codes(part)[rows] for part in parts])
        sizes = np.bincount(keys, minlength=count)
        wanted = np.zeros(count, dtype=bool)
        wanted[keys[sampled[rows]]] = True
        kept = wanted[keys] & (sizes[keys] > 1) & (sizes[keys] <= BROAD_CELL)
        rows, keys = rows[kept], keys[kept]
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        for distance in range(1, BROAD_CELL):
            same = np.flatnonzero(keys[distance:] == keys[:-distance])
            if len(same) == 0:
                break
            pairs = np.stack([rows[same], rows[same + distance]], axis=1)
            found.append(np.sort(pairs[sampled[pairs].any(axis=1)], axis=1))
    return np.concatenate(found)


def _unique(pairs: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    keys = np.unique(pairs[:, 0] * rows + pairs[:, 1])
    return np.stack([keys // rows, keys % rows], axis=1)


def broad_pairs(counter: PairCounter, sampled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the pairs of rows that meet in a broad pass and of which at least one is sampled, shape (n, 2)."""
    met = [_partners(counter, blocking.parts, sampled) for blocking in BROAD]
    return _unique(np.concatenate(met), max(counter.rows, 1))


def fit_to(counter: PairCounter, model: PairModel) -> PairModel:
    """Fit the model of an agency's own records to the duplicates that are left among them, and return it.

    Args:
        counter: Its records in random order; the first `FITTED_ROWS` are looked at.
        model: Its model.
    """
    rows = min(counter.rows, FITTED_ROWS)
    few = counter.first(rows)
    model.fit(levels_of(few, broad_pairs(few, np.ones(rows, dtype=bool))), of=few.pairs)
    return model
