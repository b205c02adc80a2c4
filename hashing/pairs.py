"""Exact counts of agreeing pairs from value counts, and agreement of listed pairs.

The number of pairs that agree on a value is the sum of n(n-1)/2 over its counts n. The number that agree on
"this or that" follows by inclusion and exclusion over values that agree together. So an agency can say exactly
how often unrelated records of its own agree at each comparison level without comparing a single pair, and ships
only these numbers; the linkage unit pools them (it cannot sample pairs: unrelated records share no block).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing.coding import Column, codes_at, combine
from schemas.scheme import CROSSED, FAMILY_LEVELS, Comparison, closure


def pairs_in(sizes: NDArray[np.int64]) -> int:
    """Return how many pairs groups of these sizes make, Σ n(n-1)/2."""
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

    def __init__(self, derived: Mapping[str, Column]) -> None:
        self._codes = {name: coded.codes for name, coded in derived.items()}
        self._texts = {name: derived[name].values for name in CROSSED if name in derived}
        self.rows = len(next(iter(self._codes.values()))) if self._codes else 0
        self.pairs = self.rows * (self.rows - 1) // 2
        self._agreeing: dict[frozenset[str], int] = {}
        self._rates: dict[str, float] = {}
        self._place: dict[str, int] = {}
        self._matrix: NDArray[np.int32] | None = None

    def cells(self, atoms: Iterable[str]) -> NDArray[np.int64]:
        """Return the sizes of the groups of rows that agree on all of `atoms`; none when one is not held."""
        return self._count(sorted(_reduced(atoms)))

    def agreeing_on(self, atoms: Iterable[str]) -> int:
        """Return the number of pairs that agree on all of `atoms`, remembered; the groups would take much memory."""
        key = _reduced(atoms)
        if key not in self._agreeing:
            self._agreeing[key] = pairs_in(self._count(sorted(key)))
        return self._agreeing[key]

    def _count(self, names: Sequence[str]) -> NDArray[np.int64]:
        if not names or any(name not in self._codes for name in names):
            return np.zeros(0, dtype=np.int64)
        present = np.all([self._codes[name] >= 0 for name in names], axis=0)
        rows = np.flatnonzero(present)
        if len(rows) == 0:
            return np.zeros(0, dtype=np.int64)
        keys, size = combine([self._codes[name][rows] for name in names])
        return np.bincount(keys, minlength=size)

    def first(self, rows: int) -> PairCounter:
        """Return a counter of the first `rows` rows."""
        other = PairCounter({})
        other._codes = {name: codes[:rows] for name, codes in self._codes.items()}
        other._texts = self._texts
        other.rows = min(rows, self.rows)
        other.pairs = other.rows * (other.rows - 1) // 2
        return other

    def few(self, pairs: NDArray[np.int64]) -> tuple[PairCounter, NDArray[np.int64]]:
        """Return a counter that knows all about the rows of `pairs`, and their numbers in it: this one."""
        return self, pairs

    @property
    def names(self) -> frozenset[str]:
        """The derived values that are held."""
        return frozenset(self._codes)

    def codes(self, name: str) -> NDArray[np.int32]:
        """Return the codes of a derived value; all missing when it is not held."""
        return self._codes.get(name, np.full(self.rows, -1, dtype=np.int32))

    def complete(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows that hold all of `names`."""
        return np.flatnonzero(np.all([self.codes(name) >= 0 for name in names], axis=0))

    def equal(self, names: Sequence[str], pairs: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """Return for each of `names`, always the same ones, which of `pairs`, shape (n, 2), agree on it."""
        if self._matrix is None:
            self._place = {name: place for place, name in enumerate(names)}
            # Row by row in memory: one access brings all values of a record.
            self._matrix = np.stack([self.codes(name) for name in names], axis=1)
        left = self._matrix[pairs[:, 0]]
        agreed = (left == self._matrix[pairs[:, 1]]) & (left >= 0)
        return {name: agreed[:, self._place[name]] for name in names}

    def agree(self, names: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of `pairs`, shape (n, 2), agree on all of `names`."""
        agreed = np.ones(len(pairs), dtype=bool)
        for name in names:
            left, right = self.codes(name)[pairs[:, 0]], self.codes(name)[pairs[:, 1]]
            agreed &= (left >= 0) & (left == right)
        return agreed

    def _same_coding(self, first: str, second: str) -> NDArray[np.int64] | None:
        """Return the codes that the texts of `second` have as texts of `first`, -1 for none and at the end."""
        if first not in self._texts or second not in self._texts:
            return None
        found = pc.index_in(self._texts[second], value_set=self._texts[first])
        return np.append(found.fill_null(-1).to_numpy(zero_copy_only=False), -1).astype(np.int64)

    def crossing(self, first: str, second: str) -> int:
        """Return the number of pairs in which `first` of one row is `second` of the other."""
        coding = self._same_coding(first, second)
        if coding is None:
            return 0
        ones = np.bincount(self.codes(first) + 1, minlength=len(self._texts[first]) + 1)[1:]
        others = np.bincount(self.codes(second) + 1, minlength=len(coding))[1:]
        known = coding[:-1] >= 0
        return int((ones[coding[:-1][known]] * others[known]).sum())

    def crossed(self, first: str, second: str, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for which of `pairs`, shape (n, 2), `first` of one row is `second` of the other."""
        coding = self._same_coding(first, second)
        if coding is None:
            return np.zeros(len(pairs), dtype=bool)
        ones, others = self.codes(first)[pairs].astype(np.int64), coding[self.codes(second)[pairs]]
        agreed: NDArray[np.bool_] = ((others >= 0) & (ones[:, ::-1] == others)).any(axis=1)
        return agreed

    def rate(self, name: str) -> float:
        """Return the share of all pairs of rows that agree on one derived value."""
        if name not in self._rates:
            self._rates[name] = self.agreeing_on([name]) / max(self.pairs, 1)
        return self._rates[name]

    def agreeing(self, terms: Sequence[frozenset[str]]) -> int:
        """Return the number of pairs that agree on all values of at least one of `terms`."""
        absorbed = [
            term for term in terms if not any(other != term and other <= closure(term) for other in terms)
        ]
        unique = list(dict.fromkeys(absorbed))
        total = 0
        for size in range(1, len(unique) + 1):
            for chosen in combinations(unique, size):
                total += (-1) ** (size + 1) * self.agreeing_on(frozenset().union(*chosen))
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


_KEPT_CODES = 8
"""Columns of codes that are kept: the parts of the passes that were counted last."""


class People:
    """The records of an agency, one a person, however many there are: codes are made when they are asked for.

    Args:
        derived: Derived values of every version by name.
        rows: One version a person.
    """

    def __init__(self, derived: Mapping[str, Column], rows: NDArray[np.int64]) -> None:
        self._derived, self._at = derived, rows
        self.rows = len(rows)
        self.pairs = self.rows * (self.rows - 1) // 2
        self._kept: OrderedDict[str, NDArray[np.int32]] = OrderedDict()
        self._rates: dict[str, float] = {}

    def codes(self, name: str) -> NDArray[np.int32]:
        """Return the codes of a derived value; all missing when it is not held."""
        if name not in self._kept:
            held = self._derived.get(name)
            codes = np.full(self.rows, -1, dtype=np.int32) if held is None else codes_at(held, self._at)
            self._kept[name] = codes
        self._kept.move_to_end(name)
        if len(self._kept) > _KEPT_CODES:
            self._kept.popitem(last=False)
        return self._kept[name]

    def complete(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows that hold all of `names`."""
        return np.flatnonzero(np.all([self.codes(name) >= 0 for name in names], axis=0))

    def rate(self, name: str) -> float:
        """Return the share of all pairs of rows that agree on one derived value."""
        if name not in self._rates:
            codes = self.codes(name)
            agreeing = pairs_in(np.bincount(codes[codes >= 0])) if (codes >= 0).any() else 0
            self._rates[name] = agreeing / max(self.pairs, 1)
        return self._rates[name]

    def few(self, pairs: NDArray[np.int64]) -> tuple[PairCounter, NDArray[np.int64]]:
        """Return a counter of the rows of `pairs` only, and the pairs by their numbers in it."""
        rows, places = np.unique(pairs, return_inverse=True)
        chosen = self._at[rows]
        counter = PairCounter({name: column.take(chosen) for name, column in self._derived.items()})
        return counter, places.reshape(pairs.shape)


def level_pairs(counter: PairCounter, comparison: Comparison) -> dict[str, int]:
    """Return how many pairs are at each level of `comparison`, and under "comparable" how many could be."""
    counts = {"comparable": counter.comparable(comparison.presence)}
    seen: list[frozenset[str]] = []
    before = 0
    for level in comparison.levels:
        if level.crossed:
            # The few of them that are at another level too do not matter.
            counts[level.name] = sum(counter.crossing(*pair) for pair in level.crossed)
            continue
        # A value that nobody has is not implied by a finer one either.
        seen += [frozenset(term) for term in level.terms if counter.names.issuperset(term)]
        upto = counter.agreeing(seen)
        counts[level.name] = max(upto - before, 0)
        before = max(upto, before)
    rare = f"{comparison.name}.rare"
    if rare in counter.names:
        # A name that one person bears makes no pair, but is not impossible to meet again: at another agency it is
        # borne once in about as many. So the rare level counts n²/2 instead of n(n-1)/2 for each of its names.
        counts["rare"] += len(counter.complete([rare])) // 2
    return counts


_LARGEST_FAMILY = 40
"""Most rows in one group of one surname at one place that relatives are counted in (a care home is no family)."""


def pairs_in_groups(
    keys: NDArray[np.int64], rows: NDArray[np.int64], *, largest: int | None = None
) -> NDArray[np.int64]:
    """Return all pairs of `rows` with equal `keys` in groups of at most `largest` rows, shape (pairs, 2)."""
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    found = [np.zeros((0, 2), dtype=np.int64)]
    for distance in range(1, largest or _LARGEST_FAMILY):
        same = np.flatnonzero(keys[distance:] == keys[:-distance])
        if len(same) == 0:
            break
        found.append(np.sort(np.stack([rows[same], rows[same + distance]], axis=1), axis=1))
    return np.concatenate(found)


def family_pairs(counter: PairCounter) -> dict[str, int]:
    """Return how many pairs of unrelated rows are at each level of the family correction.

    Pairs of one surname at one place are few, so they are listed and compared one by one.
    """
    listed = []
    for place in ("uprn.exact", "postcode.exact", "address.number_street"):
        complete = counter.complete(["surname.canonical", place])
        if len(complete):
            keys, _ = combine([counter.codes("surname.canonical")[complete], counter.codes(place)[complete]])
            listed.append(pairs_in_groups(keys, complete))
    counts = dict.fromkeys((level.name for level in FAMILY_LEVELS), 0)
    if not listed:
        return counts
    pairs = np.unique(np.concatenate(listed), axis=0)
    open_ = np.ones(len(pairs), dtype=bool)
    for level in FAMILY_LEVELS:
        at = open_ & np.any([counter.agree(term, pairs) for term in level.terms], axis=0)
        counts[level.name] = int(at.sum())
        open_ &= ~at
    return counts
