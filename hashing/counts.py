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
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hashing.coding import Column, combine
from schemas.scheme import COMPARISONS, FAMILY_LEVELS, Comparison, Pass, closure

COUNTED_ROWS = 60_000
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

    def __init__(self, derived: Mapping[str, Column]) -> None:
        self._codes = {name: coded.codes for name, coded in derived.items()}
        self.rows = len(next(iter(self._codes.values()))) if self._codes else 0
        self.pairs = self.rows * (self.rows - 1) // 2
        self._cells: dict[frozenset[str], NDArray[np.int64]] = {}

    def cells(self, atoms: Iterable[str], *, keep: bool = True) -> NDArray[np.int64]:
        """Return the sizes of the groups of rows that agree on all of `atoms`; none when one is not held.

        Args:
            atoms: Derived values.
            keep: Remember the answer.
        """
        key = _reduced(atoms)
        if key in self._cells:
            return self._cells[key]
        counted = self._count(sorted(key))
        if keep:
            self._cells[key] = counted
        return counted

    def _count(self, names: Sequence[str]) -> NDArray[np.int64]:
        if not names or any(name not in self._codes for name in names):
            return np.zeros(0, dtype=np.int64)
        present = np.all([self._codes[name] >= 0 for name in names], axis=0)
        rows = np.flatnonzero(present)
        if len(rows) == 0:
            return np.zeros(0, dtype=np.int64)
        keys, size = combine([self._codes[name][rows] for name in names])
        return np.bincount(keys, minlength=size)

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

    def agree(self, names: Sequence[str], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of `pairs`, shape (n, 2), agree on all of `names`."""
        agreed = np.ones(len(pairs), dtype=bool)
        for name in names:
            left, right = self.codes(name)[pairs[:, 0]], self.codes(name)[pairs[:, 1]]
            agreed &= (left >= 0) & (left == right)
        return agreed

    def rate(self, name: str) -> float:
        """Return the share of all pairs of rows that agree on one derived value."""
        return _pairs(self.cells([name])) / max(self.pairs, 1)

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
    rare = f"{comparison.name}.rare"
    if rare in counter.names:
        # A name that one person bears makes no pair, but is not impossible to meet again: at another agency it is
        # borne once in about as many. So the rare level counts n²/2 instead of n(n-1)/2 for each of its names.
        counts["rare"] += len(counter.complete([rare])) // 2
    return counts


_LARGEST_FAMILY = 40
"""Most rows in one group of one surname at one place that relatives are counted in (a care home is no family)."""


def _pairs_in_groups(
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
            listed.append(_pairs_in_groups(keys, complete))
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


_SAME_PERSON: tuple[tuple[str, ...], ...] = (
    ("nhs_number.exact",),
    ("dob.exact", "forename.canonical", "surname.canonical"),
    ("dob.exact", "forename.phonetic", "surname.phonetic"),
    ("dob.exact", "name_set"),
    ("dob.swap", "forename.canonical", "surname.canonical"),
    ("dob.month_year", "forename.canonical", "surname.canonical"),
    ("dob.day_year", "forename.canonical", "surname.canonical"),
    ("dob.day_month", "forename.canonical", "surname.canonical"),
    ("dob.exact", "forename.canonical", "postcode.district"),
    ("dob.exact", "forename.first3", "surname.first3"),
    ("dob.exact", "forename.initial", "surname.canonical", "postcode.district"),
    ("dob.month_year", "forename.canonical", "postcode.exact"),
    ("dob.day_year", "forename.canonical", "postcode.exact"),
    ("dob.day_month", "forename.canonical", "postcode.exact"),
)
"""Two subjects of one agency that agree on all of one of these are taken for one person, recorded twice. Twins do
not: they share neither forename nor NHS number."""

_IDENTIFYING = frozenset(name for names in _SAME_PERSON for name in names)


def _first_versions(version_subject: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the first version of each subject, in order of subjects."""
    first = np.full(int(version_subject.max(initial=-1)) + 1, -1, dtype=np.int64)
    first[version_subject[::-1]] = np.arange(len(version_subject) - 1, -1, -1)
    return first[first >= 0]


def people_rows(
    derived: Mapping[str, Column], version_subject: NDArray[np.int32], *, limit: int | None = None
) -> NDArray[np.int64]:
    """Return one row a person: of subjects that look like one person recorded twice, only the first.

    Args:
        derived: Derived values of every version.
        version_subject: Subject of each version.
        limit: Look at this many subjects only, drawn by a fixed stride over their (random) numbers.
    """
    first = _first_versions(version_subject)
    if limit is not None and len(first) > limit:
        first = first[:: -(-len(first) // limit)]
    rows = len(first)
    left, right = [], []
    held = {name: derived[name].take(first).codes for name in _IDENTIFYING if name in derived}
    for names in _SAME_PERSON:
        if any(name not in held for name in names):
            continue
        codes = [held[name] for name in names]
        complete = np.flatnonzero(np.all([column >= 0 for column in codes], axis=0))
        if len(complete):
            keys, count = combine([column[complete] for column in codes])
            chosen = np.empty(count, dtype=np.int64)
            chosen[keys[::-1]] = complete[::-1]
            left.append(complete)
            right.append(chosen[keys])
    if left:
        a, b = np.concatenate(left), np.concatenate(right)
        graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(rows, rows))
        _, person = connected_components(graph, directed=False)
        first = first[np.unique(person, return_index=True)[1]]
    return first


def independent_rows(derived: Mapping[str, Column], version_subject: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return `people_rows` of a sample of subjects that is large enough for rates.

    Duplicates within an agency are true matches; left in, they would be counted as chance agreement and swamp
    the rates of rare levels and of strong passes. Only duplicates of which both are in the sample matter.
    """
    return people_rows(derived, version_subject, limit=COUNTED_ROWS)


def pass_pairs(counter: PairCounter, parts: Sequence[str], *, crowded_cell: int) -> float:
    """Return how many pairs of unrelated rows meet in the pass made of `parts`.

    At least as many as chance alone would bring together if the identifiers were independent: `independent_rows`
    leaves out the very pairs that would meet in the strictest passes.
    """
    cells = counter.cells(parts, keep=False)
    counted = _pairs(cells[cells <= crowded_cell])
    return max(float(counted), counter.pairs * float(np.prod([counter.rate(part) for part in parts])))


ALL_PAIRS = 20_000
"""Most pairs of a pass that are looked at one by one."""

HOPELESS = 6.0
"""Pairs a row beyond which a pass brings together strangers whatever they look like: duplicates alone would need a
dozen records of every person at one agency."""

_LOOSE_NAME = ("canonical", "phonetic", "first3", "last3")
_LOOSE_DATE = ("exact", "swap", "month_year", "day_year", "day_month")
_LOOSE_PLACE = ("uprn.exact", "postcode.exact", "address.number_street")


def _strangers(counter: PairCounter, pairs: NDArray[np.int64], fields: frozenset[str]) -> NDArray[np.bool_]:
    """Return which of `pairs`, which agree on a pass over `fields`, are different people by what it leaves free.

    The first identifier decides that the pass does not use and both rows hold: forename (relatives and twins differ
    in it), then date of birth, then surname or place. Where none is left, the pair counts as strangers.
    """
    strangers = np.ones(len(pairs), dtype=bool)
    open_ = np.ones(len(pairs), dtype=bool)
    questions = (
        ("forename", [f"forename.{kind}" for kind in _LOOSE_NAME], "forename.exact"),
        ("dob", [f"dob.{kind}" for kind in _LOOSE_DATE], "dob.exact"),
        ("surname", [f"surname.{kind}" for kind in _LOOSE_NAME], "surname.exact"),
    )
    for field, alike, held in questions:
        if field in fields:
            continue
        known = open_ & np.all([counter.codes(held)[pairs[:, side]] >= 0 for side in (0, 1)], axis=0)
        same = np.any([counter.agree([name], pairs) for name in alike], axis=0)
        if field == "surname":
            same |= np.any([counter.agree([name], pairs) for name in _LOOSE_PLACE], axis=0)
        strangers[known & same] = False
        open_ &= ~known
    return strangers


def stranger_pairs(counter: PairCounter, blocking: Pass, *, crowded_cell: int) -> float:
    """Estimate how many pairs of *different* people meet in a pass.

    `independent_rows` cannot find every duplicate of a noisy extract, and a strong pass brings together almost only
    duplicates. So pairs that look like one person by the identifiers that the pass leaves free are not counted.
    Where there are very many, only neighbours in a cell of n rows are looked at, each for n/2 pairs. The answer
    is at least what chance alone would bring together, and at most `pass_pairs`.
    """
    rows = counter.complete(blocking.parts)
    chance = counter.pairs * float(np.prod([counter.rate(part) for part in blocking.parts]))
    if len(rows) < 2:
        return chance
    keys, count = combine([counter.codes(part)[rows] for part in blocking.parts])
    sizes = np.bincount(keys, minlength=count)
    upper = max(float(_pairs(sizes[sizes <= crowded_cell])), chance)
    if upper > HOPELESS * counter.rows:
        return upper
    beside = np.flatnonzero(sizes[keys] > 1)
    beside = beside[sizes[keys[beside]] <= crowded_cell]
    order = beside[np.argsort(keys[beside], kind="stable")]
    keys, rows = keys[order], rows[order]
    if upper <= ALL_PAIRS:
        pairs = _pairs_in_groups(keys, rows, largest=crowded_cell + 1)
        met = float(_strangers(counter, pairs, blocking.fields).sum())
    else:
        first = np.flatnonzero(keys[1:] == keys[:-1])
        pairs = np.stack([rows[first], rows[first + 1]], axis=1)
        weights = sizes[keys[first]] / 2
        met = float(weights[_strangers(counter, pairs, blocking.fields)].sum())
    return min(max(met, chance), upper)


def counts_of(
    derived: Mapping[str, Column],
    version_subject: NDArray[np.int32],
    passes: Sequence[Pass],
    *,
    crowded_cell: int,
) -> dict[str, object]:
    """Return the aggregates that an agency ships: pairs by comparison level, and pairs by pass.

    Returns:
        `rows`: rows counted; `pairs`: pairs of them; `levels`: comparison -> level -> pairs;
        `family`: level of the family correction -> pairs;
        `passes`: pass name -> pairs that would meet in it, crowded cells left out.
    """
    rows = independent_rows(derived, version_subject)
    counter = PairCounter({name: coded.take(rows) for name, coded in derived.items()})
    return {
        "rows": counter.rows,
        "pairs": counter.pairs,
        "levels": {comparison.name: level_pairs(counter, comparison) for comparison in COMPARISONS},
        "family": family_pairs(counter),
        "passes": {
            blocking.name: round(stranger_pairs(counter, blocking, crowded_cell=crowded_cell), 3)
            for blocking in passes
        },
    }
