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
from linkage.privacy import measure
from linkage.privacy_refinement import refine
from schemas.payload import pass_schema
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
    return start, draw(st.lists(st.lists(entry, max_size=16, unique=True), max_size=3))


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


@given(_hypergraphs())
@settings(max_examples=30, deadline=None)
def test_a_record_counts_once_a_token(graph: tuple[list[int], list[list[tuple[int, int]]]]) -> None:
    """A person who carries a token in two versions is no other carrier than one who carries it in one."""
    start, kinds = graph
    doubled = [kind + kind[::2] for kind in kinds]
    first = refine(np.array(start, dtype=np.uint64), _arrays(kinds))
    assert refine(np.array(start, dtype=np.uint64), _arrays(doubled)) == first


def _plain_reference(columns: list[list[int]]) -> int:
    """The measure as it is written down: every record has a token of every kind, sums and multiplications only."""
    golden = 0x9E3779B97F4A7C15

    def mix(value: int) -> int:
        value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) % 2**64
        value = ((value ^ value >> 27) * 0x94D049BB133111EB) % 2**64
        return value ^ value >> 31

    colour, before = [1] * len(columns[0]), 0
    while len(set(colour)) != before:
        before = len(set(colour))
        updated = [mix(each) for each in colour]
        for kind, column_of in enumerate(columns):
            carried: dict[int, int] = defaultdict(int)
            for each, token in zip(colour, column_of, strict=True):
                carried[token] = (carried[token] + mix((each + golden) % 2**64)) % 2**64
            told = {
                token: mix((total * 0xD6E8FEB86659FD93 + kind) % 2**64) for token, total in carried.items()
            }
            updated = [
                mix((each * golden + told[token]) % 2**64)
                for each, token in zip(updated, column_of, strict=True)
            ]
        colour = updated
    return len(set(colour))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_refinement_equals_the_plain_reference(data: st.DataObject) -> None:
    """Merging tokens with the same carriers and leaving lone records out changes no figure of the reference."""
    records = data.draw(st.integers(1, 14))
    token = st.integers(0, records)
    columns = data.draw(st.lists(st.lists(token, min_size=records, max_size=records), min_size=1, max_size=4))
    everyone = np.arange(records, dtype=np.int64)
    kinds = [(everyone, np.array(column_of, dtype=np.int64)) for column_of in columns]
    assert refine(np.ones(records, dtype=np.uint64), kinds)[0] == _plain_reference(columns)


@st.composite
def _token_tables(draw: st.DrawFn) -> tuple[list[int], list[list[dict[str, int | None]]]]:
    """Person of each version, and the token rows of each of two passes."""
    persons = draw(st.lists(st.integers(0, 4), min_size=1, max_size=10))
    tables = []
    for blocking in (parse_pass("dob+sex"), parse_pass("nhs_number")):
        names = [column(name) for name in blocking.tokens]
        rows = []
        for version in range(len(persons)):
            if draw(st.booleans()) or draw(st.booleans()):
                row: dict[str, int | None] = dict.fromkeys(names)
                for name in names[:3]:
                    row[name] = draw(st.none() | st.integers(0, 1))
                rows.append({"version": version, "block": draw(st.integers(0, 3)), **row})
        tables.append(rows)
    return persons, tables


def _plain_measure(persons: list[int], tables: list[list[dict[str, int | None]]]) -> tuple[int, int]:
    """Classes of people and of versions by the definition, from one row of tokens at a time."""
    counts = []
    for by_person in (True, False):
        owner_of = dict(enumerate(persons)) if by_person else {n: n for n in range(len(persons))}
        kinds: list[list[tuple[int, int]]] = []
        start: list[tuple[Any, ...]] = [() for _ in range(max(owner_of.values()) + 1)]
        for rows in tables:
            owners: dict[Any, set[int]] = defaultdict(set)
            for row in rows:
                owners[row["block"]].add(owner_of[row["version"]])
            names = list(rows[0])[1:] if rows else []
            carried: dict[str, set[tuple[int, int]]] = {name: set() for name in names}
            ids: dict[Any, int] = {}
            for row in rows:
                if len(owners[row["block"]]) > 1:
                    for name in names:
                        if row[name] is not None:
                            key = (row["block"], name, row[name])
                            carried[name].add((owner_of[row["version"]], ids.setdefault(key, len(ids))))
            kinds += [sorted(entries) for entries in carried.values()]
            shown = {row["version"]: tuple(row[name] is None for name in names) for row in rows}
            if not by_person:
                start = [(*before, shown.get(version)) for version, before in enumerate(start)]
        numbers = {shown: place for place, shown in enumerate(sorted(set(start), key=repr))}
        counts.append(_exact_classes([numbers[each] for each in start], kinds))
    return counts[0], counts[1]


@given(_token_tables())
@settings(max_examples=40, deadline=None)
def test_measure_equals_its_definition(case: tuple[list[int], list[list[dict[str, int | None]]]]) -> None:
    """Both figures are those of a plain refinement over every token of every shared block."""
    persons, tables = case
    renumbered = {person: number for number, person in enumerate(dict.fromkeys(persons))}
    persons = [renumbered[person] for person in persons]
    passes = [parse_pass("dob+sex"), parse_pass("nhs_number")]
    with connect(threads=1) as con:
        load_versions(con, list(range(len(persons))))
        for index, (blocking, rows) in enumerate(zip(passes, tables, strict=True)):
            load_tokens(con, index, pa.Table.from_pylist(rows, schema=pass_schema(blocking)))
        con.register("people", pa.table({"subject": range(len(persons)), "person": persons}))
        found = measure(con, passes, versions=len(persons), people=len(renumbered))
    people, versions = _plain_measure(persons, tables)
    assert found.people * len(renumbered) == pytest.approx(people)
    assert found.records * len(persons) == pytest.approx(versions)


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
