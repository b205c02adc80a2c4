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

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.intake import token_table
from schemas.scheme import Pass, column

Hashes = NDArray[np.uint64]

_C1, _C2, _PHI = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MOST_ROUNDS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Reidentification:
    """Result of the measure.

    Attributes:
        people: Share of people whom a thief with a perfect list of the people would name correctly.
        records: Share of records that a thief who also has all agencies' records would name correctly.
    """

    people: float
    records: float


def _mix(values: Hashes) -> Hashes:
    """Finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that scrambles all bits."""
    mixed = (values ^ (values >> np.uint64(30))) * _C2
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _PHI
    return mixed ^ (mixed >> np.uint64(31))


def refine(
    start: Hashes, incidences: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
) -> tuple[int, int]:
    """Return the number of classes at the fixed point of colour refinement, and the rounds it took.

    Args:
        start: Shape (records,): first colour of each record, from what it shows by itself.
        incidences: For each kind of token, parallel arrays (record, token id); a record may carry several.
    """
    colour, records = start, len(start)
    distinct = len(np.unique(colour))
    with np.errstate(over="ignore"):
        for rounds in range(1, _MOST_ROUNDS + 1):
            updated = _mix(colour)
            for kind, (record, token) in enumerate(incidences):
                carried = np.zeros(int(token.max(initial=-1)) + 1, dtype=np.uint64)
                np.add.at(carried, token, _mix(colour[record] + _C1))  # a sum is a hash of the multiset
                seen = np.zeros(records, dtype=np.uint64)
                np.add.at(seen, record, _mix(carried * _C2 + np.uint64(kind + 1))[token])
                updated = _mix(updated * _PHI + seen)
            colour = updated
            now = len(np.unique(colour))
            if now == distinct:
                return distinct, rounds
            distinct = now
    return distinct, _MOST_ROUNDS


def _presence(con: duckdb.DuckDBPyConnection, index: int, blocking: Pass) -> tuple[NDArray[np.int64], Hashes]:
    """Return the versions of a pass, and which of their tokens are present, as bits."""
    bits = " + ".join(
        [
            "1",
            *(f"(({column(name)} IS NOT NULL)::BIGINT << {n + 1})" for n, name in enumerate(blocking.tokens)),
        ]
    )
    rows = con.execute(f"SELECT version, {bits} AS shown FROM {token_table(index)}").fetchnumpy()
    return np.asarray(rows["version"], dtype=np.int64), np.asarray(rows["shown"]).astype(np.uint64)


def _dense(values: Hashes) -> tuple[NDArray[np.int64], int]:
    """Return dense codes of `values` and how many distinct ones there are."""
    encoded = pa.array(values).dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


def _shared(
    con: duckdb.DuckDBPyConnection, index: int, blocking: Pass, owner: str
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return (owner, token id) of the block ids of a pass and of each of its token columns.

    Only blocks of several owners count: a lone block, and what is in it, looks like any other lone one.

    Args:
        con: The database of the run.
        index: Number of the pass.
        blocking: The pass.
        owner: Column of the table `holders` that says whose a version is: `version` or `person`.
    """
    columns = [column(name) for name in blocking.tokens]
    rows = con.execute(
        f"""
        WITH held AS (
            SELECT holders.{owner} AS owner, tokens.* EXCLUDE (version)
            FROM {token_table(index)} AS tokens JOIN holders USING (version)
        ),
        sizes AS (
            SELECT block FROM held GROUP BY block HAVING min(owner) <> max(owner)
        )
        SELECT held.* FROM held SEMI JOIN sizes ON sizes.block = held.block
        """
    ).fetchnumpy()
    owners = np.asarray(rows["owner"], dtype=np.int64)
    if len(owners) == 0:
        return []
    block = np.asarray(rows["block"], dtype=np.int64).view(np.uint64)
    found = [(owners, _dense(block)[0])]
    for name in columns:
        values = np.ma.asarray(rows[name])
        present = ~np.ma.getmaskarray(values)
        with np.errstate(over="ignore"):
            key = _mix(block[present]) + values.data[present].astype(np.uint64)
        tokens, size = _dense(key)
        if owner == "person" and size:
            # One person counts once a token, however many of their versions carry it.
            pairs = pa.array(owners[present] * size + tokens).unique().to_numpy()
            found.append((pairs // size, pairs % size))
        elif size:
            found.append((owners[present], tokens))
    return found


def _all_shared(
    con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], owner: str
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    return [entry for index, blocking in enumerate(passes) for entry in _shared(con, index, blocking, owner)]


def _shown_alone(con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], versions: int) -> Hashes:
    """Return a first colour of each version: in which passes it is, and which of its tokens are present."""
    start = np.ones(versions, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for index, blocking in enumerate(passes):
            version, shown = _presence(con, index, blocking)
            seen = np.zeros(versions, dtype=np.uint64)
            seen[version] = shown
            start = _mix(start * _PHI + seen)
    return start


def measure(
    con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, versions: int, people: int
) -> Reidentification:
    """Measure both thieves on the token tables and the table `people` (subject, person) of the run."""
    con.execute(
        "CREATE TEMP TABLE holders AS SELECT version, person FROM versions JOIN people USING (subject)"
    )
    listed, _ = refine(np.ones(people, dtype=np.uint64), _all_shared(con, passes, "person"))
    recorded, _ = refine(_shown_alone(con, passes, versions), _all_shared(con, passes, "version"))
    con.execute("DROP TABLE holders")
    return Reidentification(people=listed / max(people, 1), records=recorded / max(versions, 1))
