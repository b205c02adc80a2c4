"""Figures of the clusters: sizes, how densely they are linked, and which hang together by a single link."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterMetrics:
    """Figures of the clusters of a run.

    Attributes:
        sizes: Subjects of a person -> people.
        density: Links inside people / pairs of subjects inside people; None when every person has one subject.
        bridged: People of three or more subjects who would fall apart if one link were cut.
    """

    sizes: dict[int, int]
    density: float | None
    bridged: int


def _has_bridge(edges: list[tuple[int, int]]) -> bool:
    """Say whether a connected graph has an edge whose loss splits it (Tarjan 1974), without recursion."""
    beside: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, (left, right) in enumerate(edges):
        beside[left].append((right, number))
        beside[right].append((left, number))
    first = edges[0][0]
    entered, low = {first: 0}, {first: 0}
    stack = [(first, -1, iter(beside[first]))]
    while stack:
        node, by, rest = stack[-1]
        for other, number in rest:
            if other not in entered:
                entered[other] = low[other] = len(entered)
                stack.append((other, number, iter(beside[other])))
                break
            if number != by:
                low[node] = min(low[node], entered[other])
        else:
            stack.pop()
            if stack:
                above = stack[-1][0]
                if low[node] > entered[above]:
                    return True
                low[above] = min(low[above], low[node])
    return False


def cluster_metrics(person: Ints, left: Ints, right: Ints) -> ClusterMetrics:
    """Measure clusters.

    Args:
        person: Person of each subject.
        left: One subject of each link inside a person.
        right: The other one.
    """
    size = np.bincount(person, minlength=1) if len(person) else np.zeros(1, dtype=np.int64)
    links = np.bincount(person[left], minlength=len(size))
    pairs = int((size * (size - 1) // 2).sum())
    tree = (size >= 3) & (links == size - 1)
    # A graph with a bridge has at most one edge more than all pairs of the other subjects.
    unclear = (size >= 4) & (links >= size) & (links <= (size - 1) * (size - 2) // 2 + 1)
    chosen = np.flatnonzero(unclear[person[left]])
    edges: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for link in chosen.tolist():
        edges[int(person[left[link]])].append((int(left[link]), int(right[link])))
    found = np.bincount(size[size > 0])
    return ClusterMetrics(
        sizes={n: int(count) for n, count in enumerate(found.tolist()) if count},
        density=float(links.sum()) / pairs if pairs else None,
        bridged=int(tree.sum()) + sum(_has_bridge(each) for each in edges.values()),
    )
