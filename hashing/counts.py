"""Exact counts of agreeing pairs from value counts: federated u probabilities and the size of passes.

The number of pairs that agree on a value is the sum of n(n-1)/2 over its counts n. The number that agree on
"this or that" follows by inclusion and exclusion over values that agree together. So an agency can say exactly
how often unrelated records of its own agree at each comparison level without comparing a single pair, and ships
only these numbers; the linkage unit pools them (it cannot sample pairs: unrelated records share no block).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hashing.coding import Coded, combine
from schemas.scheme import COMPARISONS, Comparison, Pass, closure

COUNTED_ROWS = 250_000
"""Most versions counted: beyond it a random sample gives the same rates to three digits."""


def _pairs(sizes: NDArray[np.int64]) -> int:
    return int((sizes * (sizes - 1) // 2).sum())


def _reduced(atoms: Iterable[str]) -> frozenset[str]:
    """Drop the values whose agreement follows from the agreement of another one."""
    kept = set(atoms)
    for atom in sorted(kept):
        if any(atom in closure([other]) for other in kept if other != atom):
            kept.discard(atom)
    return frozenset(kept)


class PairCounter:
    """Counts agreeing pairs of rows.

    Args:
        derived: Derived values by name, codes of equal length.
    """

    def __init__(self, derived: Mapping[str, Coded]) -> None:
        self._codes = {name: coded.codes for name, coded in derived.items()}
        self.rows = len(next(iter(self._codes.values()))) if self._codes else 0
        self._cells: dict[frozenset[str], NDArray[np.int64]] = {}

    def cells(self, atoms: Iterable[str]) -> NDArray[np.int64]:
        """Return the sizes of the groups of rows that agree on all of `atoms`; none when one is not held."""
        key = _reduced(atoms)
        if key not in self._cells:
            self._cells[key] = self._count(sorted(key))
        return self._cells[key]

    def _count(self, names: Sequence[str]) -> NDArray[np.int64]:
        if not names or any(name not in self._codes for name in names):
            return np.zeros(0, dtype=np.int64)
        present = np.all([self._codes[name] >= 0 for name in names], axis=0)
        rows = np.flatnonzero(present)
        if len(rows) == 0:
            return np.zeros(0, dtype=np.int64)
        keys, size = combine([self._codes[name][rows] for name in names])
        return np.bincount(keys, minlength=size)

    def agreeing(self, terms: Sequence[frozenset[str]]) -> int:
        """Return the number of pairs that agree on all values of at least one of `terms`."""
        absorbed = [
            term for term in terms if not any(other != term and other <= closure(term) for other in terms)
        ]
        unique = list(dict.fromkeys(absorbed))
        total = 0
        for size in range(1, len(unique) + 1):
            for chosen in combinations(unique, size):
                total += (-1) ** (size + 1) * _pairs(self.cells(frozenset().union(*chosen)))
        return total

    def comparable(self, presence: Sequence[str]) -> int:
        """Return the number of pairs in which both rows hold at least one common value of `presence`."""
        held = [name for name in presence if name in self._codes]
        total = 0
        for size in range(1, len(held) + 1):
            for chosen in combinations(held, size):
                rows = int(np.all([self._codes[name] >= 0 for name in chosen], axis=0).sum())
                total += (-1) ** (size + 1) * (rows * (rows - 1) // 2)
        return total


def level_pairs(counter: PairCounter, comparison: Comparison) -> dict[str, int]:
    """Return how many pairs are at each level of `comparison`, and under "comparable" how many could be."""
    counts = {"comparable": counter.comparable(comparison.presence)}
    seen: list[frozenset[str]] = []
    before = 0
    for level in comparison.levels:
        seen += [frozenset(term) for term in level.terms]
        upto = counter.agreeing(seen)
        counts[level.name] = upto - before
        before = upto
    return counts


def independent_rows(derived: Mapping[str, Coded], version_subject: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return one row a subject, without subjects that look like another one's duplicate.

    Duplicates within an agency are true matches; left in, they would be counted as chance agreement and swamp
    the rates of rare levels. Two subjects look alike when date of birth and both names agree.
    """
    _, first = np.unique(version_subject, return_index=True)
    names = [name for name in ("dob.exact", "forename.canonical", "surname.canonical") if name in derived]
    if len(names) == 3:
        codes = [derived[name].codes[first] for name in names]
        keys, count = combine(codes)
        known = np.all([column >= 0 for column in codes], axis=0)
        chosen = np.full(count, -1, dtype=np.int64)
        chosen[keys[::-1]] = np.arange(len(keys))[::-1]
        first = first[~known | (chosen[keys] == np.arange(len(keys)))]
    if len(first) > COUNTED_ROWS:
        # A fixed stride over an arbitrary numbering: any sample of rows does, and it needs no randomness.
        first = first[:: -(-len(first) // COUNTED_ROWS)]
    return first


def counts_of(
    derived: Mapping[str, Coded],
    version_subject: NDArray[np.int32],
    passes: Sequence[Pass],
    *,
    crowded_cell: int,
) -> dict[str, object]:
    """Return the aggregates that an agency ships: pairs by comparison level, and pairs by pass.

    Returns:
        `rows`: rows counted; `pairs`: pairs of them; `levels`: comparison -> level -> pairs;
        `passes`: pass name -> pairs that would meet in it, crowded cells left out.
    """
    rows = independent_rows(derived, version_subject)
    counter = PairCounter({name: coded.take(rows) for name, coded in derived.items()})
    return {
        "rows": counter.rows,
        "pairs": counter.rows * (counter.rows - 1) // 2,
        "levels": {comparison.name: level_pairs(counter, comparison) for comparison in COMPARISONS},
        "passes": {
            blocking.name: _pairs(cells[cells <= crowded_cell])
            for blocking in passes
            for cells in [counter.cells(blocking.parts)]
        },
    }
