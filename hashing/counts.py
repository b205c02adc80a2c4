"""What an agency counts of its own records: one row a person, level agreements for federated u, strangers by pass.

It ships only these numbers; the linkage unit pools them (it cannot sample pairs: unrelated records share no block).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hashing.broad import fit_to
from hashing.coding import Codes, Column, Rows, codes_at, shared
from hashing.components import components
from hashing.likeness import PairModel, levels_of, model_from
from hashing.pairs import PairCounter, People, family_pairs, level_pairs, pairs_in, pairs_in_groups
from hashing.reading.memory import give_back
from schemas.scheme import COMPARISONS, Pass

COUNTED_ROWS = 60_000
"""Most versions whose levels are counted: beyond it a random sample gives the same rates to three digits. Strangers in
a pass are far fewer, so they are counted among all."""

MOST_PEOPLE = 1_000_000
"""Most subjects among whom strangers in a pass are counted, to bound memory. Of a larger agency a sample is counted,
whose cells look less crowded than they are: the count is then too high rather than too low."""


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


def _first_versions(version_subject: NDArray[np.int32]) -> Codes:
    """Return the first version of each subject, in order of subjects."""
    first = np.full(int(version_subject.max(initial=-1)) + 1, -1, dtype=np.int32)
    first[version_subject[::-1]] = np.arange(len(version_subject) - 1, -1, -1, dtype=np.int32)
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
    left: list[Rows] = []
    right: list[Rows] = []
    held = {name: codes_at(derived[name], first) for name in _IDENTIFYING if name in derived}
    for names in _SAME_PERSON:
        if any(name not in held for name in names):
            continue
        places, keys, count, _ = shared([held[name] for name in names])
        chosen = np.empty(count, dtype=np.int64)
        chosen[keys[::-1]] = places[::-1]
        left.append(places)
        right.append(chosen[keys])
    if left:
        a, b = (np.concatenate(side).astype(np.int32) for side in (left, right))
        first = first[
            components(a, b, rows) == np.arange(rows, dtype=np.int32)
        ]  # the first of those connected
    return first.astype(np.int64)


def independent_rows(derived: Mapping[str, Column], version_subject: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return `people_rows` of a sample of subjects that is large enough for rates.

    Duplicates within an agency are true matches; left in, they would be counted as chance agreement and swamp
    the rates of rare levels and of strong passes. Only duplicates of which both are in the sample matter.
    """
    return people_rows(derived, version_subject, limit=COUNTED_ROWS)


def all_people(
    derived: Mapping[str, Column], version_subject: NDArray[np.int32], *, counted: PairCounter
) -> PairCounter | People:
    """Return all records, one a person: `counted` itself, the counter of `independent_rows`, where these are all."""
    if len(version_subject) <= COUNTED_ROWS:
        return counted
    return People(derived, people_rows(derived, version_subject, limit=MOST_PEOPLE))


ALL_PAIRS = 20_000
"""Most pairs of a pass that are looked at one by one."""

HOPELESS = 6.0
"""Pairs a row beyond which a pass brings together strangers whatever they look like: duplicates alone would need a
dozen records of every person at one agency."""


def chance_pairs(counter: PairCounter | People, parts: Sequence[str]) -> float:
    """Return how many pairs of rows would agree on all of `parts` if the parts were independent of each other."""
    return counter.pairs * float(np.prod([counter.rate(part) for part in parts]))


def stranger_pairs(
    counter: PairCounter | People, blocking: Pass, model: PairModel, *, crowded_cell: int
) -> float:
    """Estimate how many pairs of *different* people meet in a pass: the sum of P(two people) over its pairs.

    `independent_rows` cannot find every duplicate of a noisy extract, and a strong pass brings together almost only
    duplicates, so every pair is judged by all that both records hold. Where there are very many, only neighbours in a
    cell of n rows are looked at, each for n/2 pairs, and of these `ALL_PAIRS` at even distances. The answer is at least
    what chance alone would bring together.
    """
    chance = chance_pairs(counter, blocking.parts)
    rows, keys, count, complete = shared([counter.codes(part) for part in blocking.parts])
    if complete < 2:
        return chance
    sizes = np.bincount(keys, minlength=count)
    upper = max(float(pairs_in(sizes[sizes <= crowded_cell])), chance)
    if upper > HOPELESS * counter.rows:
        return upper
    roomy = sizes[keys] <= crowded_cell
    rows, keys = rows[roomy].astype(np.int64), keys[roomy]
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    if upper <= ALL_PAIRS:
        pairs = pairs_in_groups(keys, rows, largest=crowded_cell + 1)
        weights = np.ones(len(pairs))
    else:
        first = np.flatnonzero(keys[1:] == keys[:-1])
        step = -(-len(first) // ALL_PAIRS)
        weights = step * sizes[keys[first[::step]]] / 2
        first = first[::step]
        pairs = np.stack([rows[first], rows[first + 1]], axis=1)
    strangers = model.stranger(levels_of(*counter.few(pairs)))
    return min(max(float((weights * strangers).sum()), chance), upper)


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
        `passes`: pass name -> of `pairs`, those that would meet in it, crowded cells left out (all rows count).
    """
    rows = independent_rows(derived, version_subject)
    counter = PairCounter({name: coded.take(rows) for name, coded in derived.items()})
    levels = [level_pairs(counter, comparison) for comparison in COMPARISONS]
    family = family_pairs(counter)
    model = fit_to(counter, model_from(counter, levels, family))
    people = all_people(derived, version_subject, counted=counter)
    give_back()  # this is done beside the sealing, whose memory comes on top
    scale = counter.pairs / max(people.pairs, 1)

    def strangers(blocking: Pass) -> float:
        return scale * stranger_pairs(people, blocking, model, crowded_cell=crowded_cell)

    return {
        "rows": counter.rows,
        "pairs": counter.pairs,
        "levels": {comparison.name: counts for comparison, counts in zip(COMPARISONS, levels, strict=True)},
        "family": family,
        "passes": {blocking.name: round(strangers(blocking), 3) for blocking in passes},
    }
