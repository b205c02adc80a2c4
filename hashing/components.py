"""Connected components of a graph, in whole arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int32]


def components(left: Numbers, right: Numbers, size: int) -> Numbers:
    """Return for each of the nodes 0 to `size` - 1 the smallest node that edges connect it with.

    Every root joins its smallest neighbour and paths are then cut short, round by round; a root that has a smaller
    neighbour is none in the next round, so the rounds are at most log2 of the nodes (Shiloach and Vishkin, "An O(log n)
    parallel connectivity algorithm", J. Algorithms 3, 1982).

    Args:
        left: Shape (edges,), int32: one end of each edge.
        right: The other end.
        size: Number of nodes.
    """
    root = np.arange(size, dtype=np.int32)
    touched = np.flatnonzero(np.bincount(left, minlength=size) + np.bincount(right, minlength=size))
    while True:
        one, two = root[left], root[right]
        apart = np.flatnonzero(one != two)
        if not len(apart):
            return root
        left, right, one, two = left[apart], right[apart], one[apart], two[apart]
        np.minimum.at(root, np.maximum(one, two), np.minimum(one, two))
        while True:
            further = root[root[touched]]
            if np.array_equal(further, root[touched]):
                break
            root[touched] = further
