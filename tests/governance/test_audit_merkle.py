"""The Merkle tree: the published vectors, and Hypothesis against a naive tree written from the RFC."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    range_roots,
    root_from_inclusion,
    roots_from_consistency,
)

# The reference data of Certificate Transparency (RFC 6962 and RFC 9162 trees), as published with its implementations
# (transparency-dev/merkle, testonly): eight leaves, the root after each, and proofs. Leaves count from 0 here.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
G = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
J = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
K = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSION = [(0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, F]), (2, 3, [G]), (1, 5, [J, B, D])]
CONSISTENCY = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [H, E, F]), (2, 5, [B, D]), (6, 7, [H, K, F])]
HASHES = [leaf_hash(data) for data in LEAVES]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH(D_n) of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = max(2**p for p in range(32) if 2**p < len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D_n) of RFC 9162, 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = max(2**p for p in range(32) if 2**p < len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: list[bytes], known: bool = True) -> list[bytes]:
    """SUBPROOF(m, D_n, b) of RFC 9162, 2.1.4.1."""
    if m == len(leaves):
        return [] if known else [naive_root(leaves)]
    k = max(2**p for p in range(32) if 2**p < len(leaves))
    if m <= k:
        return [*naive_proof(m, leaves[:k], known), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def hashed(leaves: list[bytes]) -> list[bytes]:
    """Return the leaf hashes."""
    return [leaf_hash(leaf) for leaf in leaves]


TREES = st.lists(st.binary(max_size=4), min_size=1, max_size=40)


def test_published_roots() -> None:
    """The root after each of the eight reference leaves is the published one."""
    grown = Frontier()
    assert grown.root() == EMPTY_ROOT == naive_root([])
    for leaf, root in zip(HASHES, ROOTS, strict=True):
        grown.add(leaf)
        assert grown.root().hex() == root


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_published_inclusion_proofs(index: int, size: int, path: list[str]) -> None:
    """The published inclusion proofs come out, and lead to the published root."""
    made = range_roots(HASHES, inclusion_ranges(index, size))
    assert [step.hex() for step in made] == path
    root = root_from_inclusion(index, size, HASHES[index], made)
    assert root is not None
    assert root.hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("old", "size", "path"), CONSISTENCY)
def test_published_consistency_proofs(old: int, size: int, path: list[str]) -> None:
    """The published consistency proofs come out, and lead to both published roots."""
    made = range_roots(HASHES, consistency_ranges(old, size))
    assert [step.hex() for step in made] == path
    roots = roots_from_consistency(old, size, bytes.fromhex(ROOTS[old - 1]), made)
    assert roots is not None
    assert [root.hex() for root in roots] == [ROOTS[old - 1], ROOTS[size - 1]]


@settings(deadline=None)
@given(TREES, st.data())
def test_proofs_are_those_of_the_naive_tree(leaves: list[bytes], data: st.DataObject) -> None:
    """Root and both kinds of proof equal those of a tree that follows the RFC word for word, and verify."""
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    root, hashes = naive_root(leaves), hashed(leaves)
    path = range_roots(hashes, inclusion_ranges(index, size))
    assert path == naive_path(index, leaves)
    assert root_from_inclusion(index, size, hashes[index], path) == root
    proof = range_roots(hashes, consistency_ranges(old, size))
    assert proof == naive_proof(old, leaves)
    earlier = naive_root(leaves[:old])
    assert roots_from_consistency(old, size, earlier, proof) == (earlier, root)


@settings(deadline=None)
@given(TREES, st.data())
def test_wrong_inclusion_proofs_do_not_verify(leaves: list[bytes], data: st.DataObject) -> None:
    """Another leaf, place or size, or a proof that is cut, extended, shuffled or altered, never leads to the root."""
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    hashes, root = hashed(leaves), naive_root(leaves)
    path = range_roots(hashes, inclusion_ranges(index, size))
    wrong = leaf_hash(b"some other leaf")
    assert root_from_inclusion(index, size, wrong, path) != root
    assert root_from_inclusion(index, size, hashes[index], [*path, wrong]) is None
    assert root_from_inclusion(size, size, hashes[index], path) is None
    if path:
        assert root_from_inclusion(index, size, hashes[index], path[:-1]) is None
        at = data.draw(st.integers(0, len(path) - 1))
        assert root_from_inclusion(index, size, hashes[index], [*path[:at], wrong, *path[at + 1 :]]) != root
    other = data.draw(st.integers(0, size - 1))
    if hashes[other] != hashes[index]:
        assert root_from_inclusion(other, size, hashes[index], path) != root


@settings(deadline=None)
@given(TREES, st.data())
def test_wrong_consistency_proofs_do_not_verify(leaves: list[bytes], data: st.DataObject) -> None:
    """A tree whose earlier part was rewritten has no proof that leads to both of the roots."""
    size = len(leaves)
    old = data.draw(st.integers(1, size))
    at = data.draw(st.integers(0, old - 1))
    rewritten = [*leaves[:at], leaves[at] + b"edited", *leaves[at + 1 :]]
    earlier = naive_root(leaves[:old])
    proof = range_roots(hashed(rewritten), consistency_ranges(old, size))
    assert roots_from_consistency(old, size, earlier, proof) != (earlier, naive_root(rewritten))
    assert roots_from_consistency(old, size, earlier, [*proof, earlier]) is None
    assert roots_from_consistency(0, size, earlier, proof) is None
    assert roots_from_consistency(size + 1, size, earlier, proof) is None


@settings(deadline=None)
@given(st.lists(st.binary(max_size=2), max_size=70))
def test_frontier_can_be_taken_up_anywhere(leaves: list[bytes]) -> None:
    """A frontier that is stored and taken up again after every leaf grows to the same root, in O(log n) hashes."""
    grown = Frontier()
    for leaf in hashed(leaves):
        grown = Frontier(grown.size, grown.hashes)
        grown.add(leaf)
        assert len(grown.hashes) == grown.size.bit_count()
    assert grown.root() == naive_root(leaves)


def test_frontier_refuses_what_is_none() -> None:
    """A stored frontier with too few hashes, or ones that are too short, is refused."""
    for size, hashes in ((1, []), (2, [b"x" * 31]), (3, [b"x" * 32]), (-1, [])):
        with pytest.raises(ValueError, match="subtree roots"):
            Frontier(size, hashes)


@settings(deadline=None)
@given(st.integers(1, 5000), st.data())
def test_proofs_are_short_and_do_not_overlap(size: int, data: st.DataObject) -> None:
    """A proof needs no more than log2 n + 1 subtrees, and they never overlap."""
    index = data.draw(st.integers(0, size - 1))
    for ranges in (inclusion_ranges(index, size), consistency_ranges(index + 1, size)):
        assert len(ranges) <= size.bit_length() + 1
        ordered = sorted(ranges)
        assert all(before[1] <= after[0] for before, after in pairwise(ordered))


def test_there_is_no_proof_of_what_is_not_there() -> None:
    """A leaf or an earlier tree outside the log, and a log that ends early, are refused."""
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_ranges(3, 3)
    with pytest.raises(ValueError, match="earlier tree"):
        consistency_ranges(0, 3)
    with pytest.raises(ValueError, match="end before"):
        range_roots(HASHES[:3], [(0, 4)])
