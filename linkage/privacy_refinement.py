"""Colour refinement on a hypergraph: which records nothing but their number tells apart.

A record is coloured by the tokens it carries, a token by the colours of the records that carry it, until the number of
colours is stable (Weisfeiler and Leman 1968 for graphs; docs/threat-model.md on what it cannot see).

Most tokens of a run tell the same story: two records that are one person share the same dozens of tokens in every
pass. Tokens with the same carriers therefore become one *carrier set* whose weight is the sum of the random weights of
their kinds. What a record sees is the sum of weight times hashed colour over its sets, which is a linear hash of what
it sees by kind, so merging changes no class. A record that carries nothing shared is left out of the rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Incidence = tuple[Ints, Ints]
"""Parallel arrays: a record, and the id of a token that it carries."""

_GOLDEN, _MIX1, _MIX2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
_MOST_ROUNDS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class CarrierSets:
    """Sets of records that carry a token.

    Attributes:
        members: Shape (incidences,): the records of the first set, then of the second, and so on.
        starts: Shape (sets,): where each set begins in `members`. No set is empty.
        weight: Shape (sets,): sum of the weights of the kinds of its tokens.
    """

    members: Ints
    starts: Ints
    weight: Hashes


def mix(values: Hashes) -> Hashes:
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that scrambles all bits."""
    with np.errstate(over="ignore"):
        mixed = (values ^ (values >> np.uint64(30))) * _MIX1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX2
    return mixed ^ (mixed >> np.uint64(31))


def kind_weights(first: int, count: int) -> Hashes:
    """Return the weights of token kinds `first` up to `first + count`: odd numbers without a pattern."""
    return mix((np.arange(first, first + count, dtype=np.uint64) + np.uint64(1)) * _GOLDEN) | np.uint64(1)


def _sizes(starts: Ints, total: int) -> Ints:
    return np.diff(np.append(starts, total))


def starts_of(sorted_keys: NDArray[np.generic]) -> Ints:
    """Return where each run of equal values begins."""
    if len(sorted_keys) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.append(True, sorted_keys[1:] != sorted_keys[:-1])).astype(np.int64)


def empty_sets() -> CarrierSets:
    """Return no set at all."""
    none = np.zeros(0, dtype=np.int64)
    return CarrierSets(members=none, starts=none, weight=np.zeros(0, dtype=np.uint64))


def sets_of(record: Ints, token: Ints, weight: np.uint64, *, repeated: bool = True) -> CarrierSets:
    """Return the carriers of each token of one kind; a record counts once a token.

    Args:
        record: A record.
        token: A token that it carries.
        weight: Weight of the kind.
        repeated: Whether a record may carry one token several times.
    """
    order = np.lexsort((record, token)) if repeated else np.argsort(token)
    record, token = record[order], token[order]
    if repeated:
        fresh = np.ones(len(record), dtype=bool)
        fresh[1:] = (record[1:] != record[:-1]) | (token[1:] != token[:-1])
        record, token = record[fresh], token[fresh]
    starts = starts_of(token)
    return CarrierSets(members=record, starts=starts, weight=np.full(len(starts), weight, dtype=np.uint64))


def merge(parts: Sequence[CarrierSets]) -> CarrierSets:
    """Return all sets of `parts`, those with the same members as one with the sum of their weights."""
    parts = [part for part in parts if len(part.starts)]
    if not parts:
        return empty_sets()
    offsets = np.cumsum([0, *(len(part.members) for part in parts)])
    members = np.concatenate([part.members for part in parts])
    starts = np.concatenate([part.starts + offset for part, offset in zip(parts, offsets, strict=False)])
    weight = np.concatenate([part.weight for part in parts])
    with np.errstate(over="ignore"):
        # A sum of hashes is a hash of the set: 64 bits, so a million sets collide once in 37 million runs.
        name = np.add.reduceat(mix(members.astype(np.uint64) + _GOLDEN), starts)
        order = np.argsort(name)
        first = starts_of(name[order])
        weight = np.add.reduceat(weight[order], first)
    chosen = order[first]
    sizes = _sizes(starts, len(members))[chosen]
    ends = np.cumsum(sizes)
    # Member n of the chosen sets stands at its set's old start plus its place in the set.
    places = np.arange(ends[-1]) + np.repeat(starts[chosen] - (ends - sizes), sizes)
    return CarrierSets(members=members[places], starts=ends - sizes, weight=weight)


def classes(start: Hashes, sets: CarrierSets) -> tuple[int, int]:
    """Return the number of classes at the fixed point, and the rounds it took.

    Args:
        start: Shape (records,): first colour of each record, from what it shows by itself.
        sets: Who carries what.
    """
    active, member = np.unique(sets.members, return_inverse=True)
    alone = np.ones(len(start), dtype=bool)
    alone[active] = False
    # A record without shared tokens keeps its first colour, and differs from all that have some.
    lone = len(np.unique(start[alone]))
    if len(active) == 0:
        return lone, 0
    colour = start[active]
    member = member.astype(np.int64).reshape(-1)
    edge = np.repeat(np.arange(len(sets.starts)), _sizes(sets.starts, len(sets.members)))
    by_record = np.argsort(member)
    edge_by_record, record_starts = edge[by_record], starts_of(member[by_record])
    distinct = len(np.unique(colour))
    with np.errstate(over="ignore"):
        for rounds in range(1, _MOST_ROUNDS + 1):
            carried = np.add.reduceat(mix(colour + _GOLDEN)[member], sets.starts)
            told = sets.weight * mix(carried * _MIX1)
            seen = np.add.reduceat(told[edge_by_record], record_starts)
            colour = mix(mix(colour) * _MIX2 + seen)
            now = len(np.unique(colour))
            if now == distinct:
                return lone + distinct, rounds
            distinct = now
    return lone + distinct, _MOST_ROUNDS


def refine(start: Hashes, incidences: Sequence[Incidence]) -> tuple[int, int]:
    """Return the number of classes at the fixed point of colour refinement, and the rounds it took.

    Args:
        start: Shape (records,): first colour of each record, from what it shows by itself.
        incidences: For each kind of token, parallel arrays (record, token id); a record may carry several.
    """
    weights = kind_weights(0, len(incidences))
    kinds = [
        sets_of(record, token, weight) for (record, token), weight in zip(incidences, weights, strict=True)
    ]
    return classes(start, merge(kinds))
