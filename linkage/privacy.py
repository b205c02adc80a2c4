"""How many people a thief of the sealed files could tell apart: the measured re-identification figures.

Records are *interchangeable* when nothing in the sealed files distinguishes them but their random numbers. A
thief's best guess is uniform inside a class of interchangeable records, so the expected share of correct guesses
is classes / records. Classes are found by colour refinement to a fixed point on the hypergraph of shared tokens
(Weisfeiler and Leman 1968 for graphs): a record is coloured by its tokens, a token by the records that carry it.
Refinement may leave together a few records that a stronger test would tell apart, so a figure can be slightly
low; docs/threat-model.md says so. Two thieves are measured, neither of whom has a key:

- one with a *perfect list of the people*: what tells people apart is which other people they share tokens with;
- one who also has *every agency's records, with all their errors and gaps*: then it also counts which agencies
  know a person and where a person's own records agree. This is the upper bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from linkage.intake import HOMES_TABLE, token_table
from linkage.privacy_refinement import (
    CarrierSets,
    Hashes,
    Ints,
    classes,
    kind_weights,
    merge,
    mix,
    sets_of,
    starts_of,
)
from schemas.scheme import DERIVED, Pass, column

Bools = NDArray[np.bool_]

_ODD = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reidentification:
    """Result of the measure.

    Attributes:
        people: Share of people whom a thief with a perfect list of the people would name correctly.
        records: Share of records that a thief who also has all agencies' records would name correctly.
    """

    people: float
    records: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rows:
    """Token rows of the shared blocks of a pass, those of a block one after the other.

    Attributes:
        version: Version of each row.
        starts: Where each block begins.
        tokens: By column, the token of each row and whether it is present.
    """

    version: Ints
    starts: Ints
    tokens: tuple[tuple[NDArray[np.unsignedinteger[Any]], Bools], ...]

    @property
    def sizes(self) -> Ints:
        """Rows of each block."""
        return np.diff(np.append(self.starts, len(self.version)))

    def only(self, blocks: Bools) -> _Rows:
        """Return the rows of some of the blocks."""
        rows, sizes = np.repeat(blocks, self.sizes), self.sizes[blocks]
        return _Rows(
            version=self.version[rows],
            starts=np.cumsum(sizes) - sizes,
            tokens=tuple((token[rows], present[rows]) for token, present in self.tokens),
        )


def _read_shared(con: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]) -> _Rows:
    """Read the rows of blocks with several versions.

    Only these count: a lone block, and what is in it, looks like any other lone one.

    Args:
        con: The database of the run.
        table: A table with the columns version and block.
        names: Its token columns.
    """
    found = con.execute(
        f"""
        WITH shared AS (
            SELECT block FROM {table} GROUP BY block HAVING count(*) > 1
        )
        SELECT * FROM {table} SEMI JOIN shared USING (block)
        """
    ).fetchnumpy()
    block = np.asarray(found["block"], dtype=np.int64)
    order = np.argsort(block)
    columns = [np.ma.asarray(found[name]) for name in names]
    return _Rows(
        version=np.asarray(found["version"], dtype=np.int64)[order],
        starts=starts_of(block[order]),
        tokens=tuple((each.data[order], ~np.ma.getmaskarray(each)[order]) for each in columns),
    )


def _carriers(rows: _Rows, owner: Ints, weights: Hashes, *, lone: bool, repeated: bool) -> CarrierSets:
    """Return who carries the tokens of one pass: one set for what a whole block agrees on, and those within blocks.

    Args:
        rows: The rows.
        owner: Whose each row is.
        weights: Weight of the block id, then of each column.
        lone: Whether tokens with a single carrier count.
        repeated: Whether an owner may have several rows in a block.
    """
    block = np.repeat(np.arange(len(rows.starts)), rows.sizes)
    leader = rows.starts[block]
    dividing = lone | (rows.sizes > 2)  # two rows that do not agree are two lone ones
    weight = np.full(len(rows.starts), weights[0])
    within = []
    for (token, present), kind in zip(rows.tokens, weights[1:], strict=True):
        agree = ~np.logical_or.reduceat((token != token[leader]) | ~present, rows.starts)
        with np.errstate(over="ignore"):
            weight += np.where(agree, kind, np.uint64(0))
        left = np.flatnonzero((dividing & ~agree)[block] & present)
        key = (block[left] << 32) | token[left].astype(np.int64)
        within.append(sets_of(owner[left], key, kind, repeated=repeated))
    whole = sets_of(owner, block, weights[0], repeated=repeated)
    return merge([replace(whole, weight=weight), *within])


_COMPARED_WITH = {column(value.name): column(value.like) for value in DERIVED.values() if value.like}
"""Columns whose tokens can be equal to those of another one."""


def _across(rows: _Rows, owner: Ints, names: Sequence[str], weights: Hashes) -> Iterator[CarrierSets]:
    """Yield who carries one token in two columns of a pass, called `names`; other arguments as in `_carriers`."""
    block = np.repeat(np.arange(len(rows.starts)), rows.sizes)
    for place, name in enumerate(names):
        if _COMPARED_WITH.get(name) not in names:
            continue
        keys, owners = [], []
        for token, present in (rows.tokens[place], rows.tokens[names.index(_COMPARED_WITH[name])]):
            left = np.flatnonzero(present)
            keys.append((block[left] << 32) | token[left].astype(np.int64))
            owners.append(owner[left])
        both = [np.isin(keys[0], keys[1]), np.isin(keys[1], keys[0])]
        kind = mix(weights[1 + place : 2 + place])[0]
        chosen = [
            np.concatenate([each[kept] for each, kept in zip(of, both, strict=True)]) for of in (owners, keys)
        ]
        yield sets_of(chosen[0], chosen[1], kind)


Tables = Sequence[tuple[str, Sequence[str]]]
"""Tables with the columns version and block, and the names of their token columns."""


def carriers(con: duckdb.DuckDBPyConnection, tables: Tables, person: Ints) -> tuple[CarrierSets, CarrierSets]:
    """Return which people, and which versions, carry which tokens, over all tables.

    A token that only one version carries is left out of the second: which tokens a version has at all is part of its
    first colour.

    Args:
        con: The database of the run.
        tables: Its token tables.
        person: Person of each version.
    """
    people, versions, first = [], [], 0
    for table, names in tables:
        weights = kind_weights(first, 1 + len(names))
        first += len(weights)
        rows = _read_shared(con, table, names)
        if len(rows.starts) == 0:
            continue
        versions.append(_carriers(rows, rows.version, weights, lone=False, repeated=False))
        versions += _across(rows, rows.version, names, weights)
        held = person[rows.version]
        met = rows.only(np.maximum.reduceat(held, rows.starts) != np.minimum.reduceat(held, rows.starts))
        if len(met.starts):
            people.append(_carriers(met, person[met.version], weights, lone=True, repeated=True))
            people += _across(met, person[met.version], names, weights)
    return merge(people), merge(versions)


def _presence(con: duckdb.DuckDBPyConnection, table: str, names: Sequence[str]) -> tuple[Ints, Hashes]:
    """Return the versions of a table, and which of their tokens are present, as bits."""
    bits = " + ".join(["1", *(f"(({name} IS NOT NULL)::BIGINT << {n + 1})" for n, name in enumerate(names))])
    rows = con.execute(f"SELECT version, {bits} AS shown FROM {table}").fetchnumpy()
    return np.asarray(rows["version"], dtype=np.int64), np.asarray(rows["shown"]).astype(np.uint64)


def _shown_alone(con: duckdb.DuckDBPyConnection, tables: Tables, versions: int) -> Hashes:
    """Return a first colour of each version: in which tables it is, and which of its tokens are present."""
    start = np.ones(versions, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for table, names in tables:
            version, shown = _presence(con, table, names)
            seen = np.zeros(versions, dtype=np.uint64)
            seen[version] = shown
            start = mix(start * _ODD + seen)
    return start


def measure(
    con: duckdb.DuckDBPyConnection,
    passes: Sequence[Pass],
    *,
    versions: int,
    people: int,
    homes: bool = False,
) -> Reidentification:
    """Measure both thieves on the token tables and the table `people` (subject, person) of the run.

    Args:
        con: The database of the run.
        passes: Its passes.
        versions: Number of versions.
        people: Number of people.
        homes: Whether sealed homes are there for the thief to use too.
    """
    tables = [
        (token_table(index), [column(name) for name in blocking.tokens])
        for index, blocking in enumerate(passes)
    ]
    if homes:
        tables.append((HOMES_TABLE, []))
    held = con.execute(
        "SELECT person FROM versions JOIN people USING (subject) ORDER BY version"
    ).fetchnumpy()["person"]
    by_person, by_version = carriers(con, tables, np.asarray(held, dtype=np.int64))
    listed, _ = classes(np.ones(people, dtype=np.uint64), by_person)
    recorded, _ = classes(_shown_alone(con, tables, versions), by_version)
    return Reidentification(people=listed / max(people, 1), records=recorded / max(versions, 1))
