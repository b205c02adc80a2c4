"""Every pair of records on which a run has an opinion: those compared, and those that are one person through others.

Two records that met in no pass, or look unlike each other, may both be beside a third one. Being the same person is
transitive, so such a pair is as likely as the strongest chain of links between the two: the product of its
probabilities, as if the links were right or wrong independently of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CUT = 0.1
"""What is left of the probability of a link that the repair cut. Of 394 such links among 200,000 synthetic people
(typical recording) one in ten was right; an assumption elsewhere. Such links stand in the review file."""

_CELLS = 1 << 22
"""Entries of the matrices of chains that are worked on at a time: 32 MB."""

_PAIR = 2
"""Subjects of a person who has no chains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ties:
    """Pairs of subjects, numbered across the run.

    Attributes:
        left, right: Shape (pairs,): the two subjects; first the links in their order, then the pairs not compared.
        probability: Shape (pairs,): that they are one person, when all is known.
        compared: Shape (pairs,): whether they met in a pass.
    """

    left: Ints
    right: Ints
    probability: Floats
    compared: Bools


def _chains(direct: Floats) -> Floats:
    """Return the strongest chain between every two members of each group (Floyd 1962, with products and maxima).

    Args:
        direct: Shape (groups, members, members): probability of each link, 0 where there is none.
    """
    best = direct.copy()
    for via in range(best.shape[1]):
        np.maximum(best, best[:, :, via, None] * best[:, via, None, :], out=best)
    return best


@dataclass(frozen=True, kw_only=True, slots=True)
class _Portion:
    """People of equally many subjects, and the links inside them.

    Attributes:
        members: Shape (people, size): their subjects.
        link: Shape (links,): positions of the links.
        group: Shape (links,): whose link each is, as a row of `members`.
        one, other: Shape (links,): its ends, as columns of `members`.
    """

    members: Ints
    link: Ints
    group: Ints
    one: Ints
    other: Ints


def _portions(left: Ints, right: Ints, person: Ints) -> Iterator[_Portion]:
    """Yield all people of three or more subjects, in portions whose matrices of chains fit in memory."""
    order = np.argsort(person, kind="stable")
    sizes = np.bincount(person, minlength=1)
    begin = np.cumsum(sizes) - sizes
    rank = np.empty(len(person), dtype=np.int64)
    rank[order] = np.arange(len(person)) - np.repeat(begin, sizes)
    inside = np.flatnonzero((person[left] == person[right]) & (sizes[person[left]] > _PAIR))
    inside = inside[np.argsort(person[left[inside]], kind="stable")]
    owner = person[left[inside]]
    for size in np.unique(sizes[sizes > _PAIR]).tolist():
        people, links = np.flatnonzero(sizes == size), inside[sizes[owner] == size]
        step = max(_CELLS // (size * size), 1)
        for start in range(0, len(people), step):
            chosen = people[start : start + step]
            first, last = np.searchsorted(person[left[links]], [chosen[0], chosen[-1] + 1])
            mine = links[first:last]
            yield _Portion(
                members=order[begin[chosen][:, None] + np.arange(size)],
                link=mine,
                group=np.searchsorted(chosen, person[left[mine]]),
                one=rank[left[mine]],
                other=rank[right[mine]],
            )


def _chained(portion: _Portion, probability: Floats) -> tuple[Floats, tuple[Ints, Ints, Floats]]:
    """Return the strongest chain along each link of the portion, and the pairs without a link: left, right, chain."""
    people, size = portion.members.shape
    direct, linked = np.zeros((people, size, size)), np.zeros((people, size, size), dtype=bool)
    for a, b in ((portion.one, portion.other), (portion.other, portion.one)):
        direct[portion.group, a, b] = probability[portion.link]
        linked[portion.group, a, b] = True
    best = _chains(direct)
    upper = np.triu(np.ones((size, size), dtype=bool), 1)
    group, one, other = np.nonzero(~linked & upper)
    a, b = portion.members[group, one], portion.members[group, other]
    fresh = np.minimum(a, b), np.maximum(a, b), best[group, one, other]
    return best[portion.group, portion.one, portion.other], fresh


def tie(left: Ints, right: Ints, probability: Floats, *, person: Ints, threshold: float) -> Ties:
    """Bring links and people together.

    Args:
        left: One subject of each link.
        right: The other one.
        probability: Match probability of each link.
        person: Person of each subject.
        threshold: Links at or above it are believed: one whose ends are two people was cut.
    """
    told = probability.copy()
    told[(person[left] != person[right]) & (probability >= threshold)] *= CUT
    nothing = np.empty(0, dtype=np.int64)
    found: list[tuple[Ints, Ints, Floats]] = [(nothing, nothing, np.empty(0))]
    for portion in _portions(left, right, person):
        told[portion.link], fresh = _chained(portion, probability)
        found.append(fresh)
    fresh_left, fresh_right, chance = map(np.concatenate, zip(*found, strict=True))
    order = np.lexsort((fresh_right, fresh_left))
    return Ties(
        left=np.concatenate([left, fresh_left[order]]),
        right=np.concatenate([right, fresh_right[order]]),
        probability=np.concatenate([told, chance[order]]),
        compared=np.arange(len(left) + len(order)) < len(left),
    )
