"""The Merkle tree of RFC 9162 over SHA-256: roots from a stream of leaves, and proofs.

Nothing here holds more than O(log n) hashes, however long the stream is. Hashes are 32 bytes.
Source: RFC 9162 (Certificate Transparency 2.0), section 2.1; the tree is that of RFC 6962.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 || data). Source: RFC 9162, 2.1.1."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 || left || right). Source: RFC 9162, 2.1.1."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """The roots of the complete subtrees that a list of leaves divides into, largest first.

    A tree of n leaves has one for each 1 in the binary form of n, so a leaf is added in O(log n) at most and in
    constant time on average.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Take up a tree of `size` leaves where it was left.

        Raises:
            ValueError: The hashes are not those of a tree of this size, by number or length.
        """
        self.size, self.hashes = size, list(hashes)
        if size < 0 or len(self.hashes) != size.bit_count() or any(len(h) != HASH_BYTES for h in self.hashes):
            raise ValueError("these are not the subtree roots of a tree of this size")

    def add(self, leaf: bytes) -> None:
        """Add the hash of the next leaf."""
        hashes, size = self.hashes, self.size
        while size & 1:
            leaf = hashlib.sha256(b"\1" + hashes.pop() + leaf).digest()
            size >>= 1
        hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> Frontier:
        """Return a copy that grows on its own."""
        return Frontier(self.size, self.hashes)


Range = tuple[int, int]
"""First leaf, and the one after the last, of a subtree."""


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """Return the subtrees whose roots prove that leaf `index` stands in the tree of `size` leaves.

    Source: RFC 9162, 2.1.3.1, PATH(m, D_n), in its order.

    Raises:
        ValueError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError("there is no such leaf in this tree")
    first, last, path = 0, size, []
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append((middle, last))
            last = middle
        else:
            path.append((first, middle))
            first = middle
    return path[::-1]


def consistency_ranges(old: int, size: int) -> list[Range]:
    """Return the subtrees whose roots prove that the tree of `size` leaves continues that of its first `old`.

    Source: RFC 9162, 2.1.4.1, PROOF(m, D_n), in its order.

    Raises:
        ValueError: `old` is not between 1 and `size`.
    """
    if not 1 <= old <= size:
        raise ValueError("an earlier tree has between 1 and all of the leaves")
    first, last, path, known = 0, size, [], True
    while old < last:
        middle = first + _split(last - first)
        if old <= middle:
            path.append((middle, last))
            last = middle
        else:
            path.append((first, middle))
            first, known = middle, False
    if not known:
        path.append((first, last))
    return path[::-1]


def range_roots(leaves: Iterable[bytes], ranges: Sequence[Range]) -> list[bytes]:
    """Return the root of each of `ranges`, which do not overlap, in one walk over all leaf hashes.

    Raises:
        ValueError: The leaves end before the last range does.
    """
    order = sorted(range(len(ranges)), key=lambda at: ranges[at][0])
    roots: list[bytes] = [b""] * len(ranges)
    waiting = iter(order)
    at = next(waiting, None)
    grown = Frontier()
    for number, leaf in enumerate(leaves):
        if at is None:
            break
        first, last = ranges[at]
        if number >= first:
            grown.add(leaf)
        if number + 1 == last:
            roots[at], grown, at = grown.root(), Frontier(), next(waiting, None)
    if at is not None:
        raise ValueError("the leaves end before the last range does")
    return roots


def root_from_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an inclusion proof leads to; None when the proof has the wrong length.

    Source: RFC 9162, 2.1.3.2.
    """
    if not 0 <= index < size:
        return None
    here, end, root = index, size - 1, leaf
    for step in path:
        if end == 0:
            return None
        if here & 1 or here == end:
            root = node_hash(step, root)
            while not here & 1 and here:
                here, end = here >> 1, end >> 1
        else:
            root = node_hash(root, step)
        here, end = here >> 1, end >> 1
    return root if end == 0 else None


def roots_from_consistency(
    old: int, size: int, old_root: bytes, path: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    """Return the two roots that a consistency proof leads to, the old one first; None when its length is wrong.

    Source: RFC 9162, 2.1.4.2.
    """
    if not 1 <= old <= size:
        return None
    if old == size:
        return (old_root, old_root) if not path else None
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_root)
    if not steps:
        return None
    here, end = old - 1, size - 1
    while here & 1:
        here, end = here >> 1, end >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if end == 0:
            return None
        if here & 1 or here == end:
            before, after = node_hash(step, before), node_hash(step, after)
            while not here & 1 and here:
                here, end = here >> 1, end >> 1
        else:
            after = node_hash(after, step)
        here, end = here >> 1, end >> 1
    return (before, after) if end == 0 else None
