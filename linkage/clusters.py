"""From links to people: connected components above the threshold, with oversized ones cut at their weakest links."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clusters:
    """Who is whom.

    Attributes:
        person: Shape (subjects,): person of each subject, numbered from 0.
        count: Number of people.
        largest: Subjects of the largest one.
        review: Links between the review bound and the threshold: for people to look at, not clustered.
        cut: Links above the threshold that were cut because their cluster was too large.
    """

    person: Ints
    count: int
    largest: int
    review: int
    cut: int


def _components(left: Ints, right: Ints, subjects: int) -> Ints:
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(subjects, subjects))
    component: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return component


def _cut_oversized(left: Ints, right: Ints, weight: Floats, subjects: int, largest: int) -> NDArray[np.bool_]:
    """Return which links to keep so that no component has more than `largest` subjects.

    Kruskal's order: links are taken from the strongest down, and a link that would join two groups into one that is
    too large is left out. Only the links of oversized components are looked at one by one.
    """
    keep = np.ones(len(left), dtype=bool)
    person = _components(left, right, subjects)
    oversized = np.bincount(person)[person[left]] > largest
    chosen = np.flatnonzero(oversized)
    parent: dict[int, int] = {}
    size: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for link in chosen[np.lexsort((right[chosen], left[chosen], -weight[chosen]))]:
        a, b = root(int(left[link])), root(int(right[link]))
        if a == b:
            continue
        joined = size.get(a, 1) + size.get(b, 1)
        if joined > largest:
            keep[link] = False
        else:
            parent[b] = a
            size[a] = joined
    # A link inside one group stays; a link between two groups that were kept apart goes.
    for link in chosen:
        keep[link] = root(int(left[link])) == root(int(right[link]))
    return keep


def cluster(
    left: Ints,
    right: Ints,
    weight: Floats,
    probability: Floats,
    *,
    subjects: int,
    threshold: float,
    review_from: float,
    largest: int,
) -> Clusters:
    """Cluster subjects into people.

    Args:
        left: One subject of each link.
        right: The other one.
        weight: Match weight of each link.
        probability: Match probability of each link.
        subjects: Number of subjects.
        threshold: Links at or above this probability are believed.
        review_from: Links from here up to the threshold are counted for review.
        largest: Most subjects in one person.
    """
    strong = probability >= threshold
    a, b, w = left[strong], right[strong], weight[strong]
    keep = _cut_oversized(a, b, w, subjects, largest)
    person = _components(a[keep], b[keep], subjects)
    sizes = np.bincount(person, minlength=1)
    return Clusters(
        person=person,
        count=len(sizes) if subjects else 0,
        largest=int(sizes.max(initial=0)),
        review=int(((probability >= review_from) & ~strong).sum()),
        cut=int((~keep).sum()),
    )
