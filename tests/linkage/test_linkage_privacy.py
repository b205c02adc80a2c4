"""The re-identification measure: known graphs, a slow exact refinement, and controls."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkage_world import AGENCIES, load_tokens, load_versions

from hashing.derive import derive
from linkage.database import connect
from linkage.privacy import measure, refine
from schemas.scheme import column, parse_pass

Incidence = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]


def _edges(edges: list[tuple[int, int]]) -> Incidence:
    """One token an edge, carried by both of its ends."""
    records = [end for edge in edges for end in edge]
    tokens = [number for number in range(len(edges)) for _ in range(2)]
    return np.array(records, dtype=np.int64), np.array(tokens, dtype=np.int64)


def _classes(records: int, *kinds: Incidence) -> int:
    return refine(np.ones(records, dtype=np.uint64), kinds)[0]


def test_isolated_records_are_interchangeable() -> None:
    """Records that share nothing are one class, however many there are."""
    assert _classes(1000) == 1
    alone = (np.arange(1000), np.arange(1000))
    assert _classes(1000, alone) == 1


def test_nobody_at_all() -> None:
    """A run without records has no class."""
    assert _classes(0) == 0


@pytest.mark.parametrize("length", [2, 3, 4, 9, 60])
def test_path(length: int) -> None:
    """On a path, records are told apart by their distance from the nearer end."""
    assert _classes(length, _edges(list(pairwise(range(length))))) == -(-length // 2)


def test_star() -> None:
    """On a star, the centre is told from the leaves and no leaf from another."""
    assert _classes(7, _edges([(0, leaf) for leaf in range(1, 7)])) == 2


def test_one_large_token_and_a_pair() -> None:
    """Records are told apart by how many others carry their token."""
    token = (np.array([0, 1, 2, 3, 4]), np.array([0, 0, 0, 1, 1]))
    assert _classes(6, token) == 3


def test_unique_ids() -> None:
    """Records that show an identifier of their own are a class each."""
    assert refine(np.arange(50, dtype=np.uint64), [])[0] == 50


def test_kinds_of_tokens_are_told_apart() -> None:
    """A pair that shares a token of one kind is not interchangeable with a pair that shares one of another."""
    first, second = _edges([(0, 1)]), (np.array([2, 3]), np.array([0, 0]))
    assert _classes(4, first, second) == 2
    both = (np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1] + 1]))
    assert _classes(4, both) == 1


def test_what_refinement_cannot_see() -> None:
    """Two triangles and a ring of six stay together: the figure can be slightly low, as the threat model says."""
    triangles = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    ring = [(6, 7), (7, 8), (8, 9), (9, 10), (10, 11), (11, 6)]
    assert _classes(12, _edges(triangles + ring)) == 1


@st.composite
def _hypergraphs(draw: st.DrawFn) -> tuple[list[int], list[list[tuple[int, int]]]]:
    """What each record shows by itself, and for each kind of token (record, token)."""
    start = draw(st.lists(st.integers(0, 1), min_size=1, max_size=12))
    entry = st.tuples(st.integers(0, len(start) - 1), st.integers(0, 5))
    return start, draw(st.lists(st.lists(entry, max_size=16), max_size=3))


def _arrays(kinds: list[list[tuple[int, int]]]) -> list[Incidence]:
    return [
        (np.array([r for r, _ in kind], dtype=np.int64), np.array([t for _, t in kind], dtype=np.int64))
        for kind in kinds
    ]


def _exact_classes(start: list[int], kinds: list[list[tuple[int, int]]]) -> int:
    """Colour refinement with colours spelled out and numbered, so that no two can collide."""
    colour: list[int] = start
    for _ in range(len(start) + 1):
        seen: list[list[Any]] = [[] for _ in start]
        for number, kind in enumerate(kinds):
            carried = defaultdict(list)
            for record, token in kind:
                carried[token].append(colour[record])
            for record, token in kind:
                seen[record].append((number, tuple(sorted(carried[token]))))
        spelled = [(colour[record], tuple(sorted(shown))) for record, shown in enumerate(seen)]
        numbers = {text: number for number, text in enumerate(sorted(set(spelled)))}
        colour = [numbers[text] for text in spelled]
    return len(set(colour))


@given(_hypergraphs())
@settings(max_examples=60, deadline=None)
def test_refinement_equals_an_exact_one(graph: tuple[list[int], list[list[tuple[int, int]]]]) -> None:
    """Hashed colours find exactly the classes that spelled-out colours find."""
    start, kinds = graph
    assert refine(np.array(start, dtype=np.uint64), _arrays(kinds))[0] == _exact_classes(start, kinds)


@given(_hypergraphs(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_renumbering_changes_nothing(
    graph: tuple[list[int], list[list[tuple[int, int]]]], random: Any
) -> None:
    """The number of classes does not depend on the numbers of records and tokens, nor on the order of rows."""
    start, kinds = graph
    records, tokens = list(range(len(start))), list(range(6))
    random.shuffle(records)
    random.shuffle(tokens)
    moved = [0] * len(start)
    for old, new in enumerate(records):
        moved[new] = start[old]
    renumbered = [[(records[r], tokens[t]) for r, t in kind] for kind in kinds]
    for kind in renumbered:
        random.shuffle(kind)
    first = refine(np.array(start, dtype=np.uint64), _arrays(kinds))
    assert refine(np.array(moved, dtype=np.uint64), _arrays(renumbered)) == first


def _global_tokens(world: Any, versions: int) -> pa.Table:
    """Field hashes that can be compared across the whole file: one block, tokens made from values alone."""
    blocking = parse_pass("sex")
    columns: dict[str, list[int | None]] = {column(name): [] for name in blocking.tokens}
    for agency in AGENCIES:
        subjects = world.subjects[agency]
        derived = derive(subjects)
        rows = len(subjects.version_subject)
        for name in blocking.tokens:
            if name not in derived:
                columns[column(name)] += [None] * rows
                continue
            coded = derived[name]
            hashed = [
                int.from_bytes(hashlib.sha256(f"{name}|{text}".encode()).digest()[:4], "little")
                for text in coded.values.to_pylist()
            ]
            columns[column(name)] += [hashed[code] if code >= 0 else None for code in coded.codes.tolist()]
    ids = {"version": pa.array(range(versions), pa.int32()), "block": pa.array([1] * versions, pa.int64())}
    return pa.table({**ids, **{name: pa.array(values, pa.uint32()) for name, values in columns.items()}})


def test_control_ordinary_field_hashes_give_everybody_away(world: Any, unit: Any) -> None:
    """Tokens that compare across the whole file tell nearly all records apart: the measure can find harm."""
    subject_of = [
        row[0] for row in unit.con.execute("SELECT subject FROM versions ORDER BY version").fetchall()
    ]
    with connect(threads=1) as con:
        load_versions(con, subject_of)
        load_tokens(con, 0, _global_tokens(world, unit.versions))
        people = pa.table({"subject": range(unit.subjects), "person": unit.clusters.person})
        con.register("people", people)
        found = measure(con, [parse_pass("sex")], versions=unit.versions, people=unit.clusters.count)
    assert found.people > 0.95
    assert found.records > 0.95


def test_control_strong_passes_give_few_away(world: Any, unit: Any) -> None:
    """Block-sealed tokens of strong passes leave nearly everybody interchangeable to a thief with a list of people."""
    strong = world.agreement.passes[:4]
    found = measure(unit.con, strong, versions=unit.versions, people=unit.clusters.count)
    assert 0 < found.people < 0.05
    assert found.people < found.records < 0.6


def test_more_passes_never_hide_anybody(world: Any, unit: Any) -> None:
    """A thief who holds the tokens of more passes tells at least as many apart."""
    shares = [
        measure(unit.con, world.agreement.passes[:n], versions=unit.versions, people=unit.clusters.count)
        for n in (1, 4, 8)
    ]
    assert [each.people for each in shares] == sorted(each.people for each in shares)
    assert [each.records for each in shares] == sorted(each.records for each in shares)
