"""How many people a thief of the sealed files could tell apart: the measured re-identification figure.

Two records are *interchangeable* when nothing in the sealed files distinguishes them but their random numbers. The
thief's best guess is uniform inside a class of interchangeable records, so the expected share of correct guesses,
even with a perfect population list, is classes / records. Classes are found by colour refinement to a fixed point
on the hypergraph of shared tokens (Weisfeiler and Leman 1968 for graphs): a record is coloured by its tokens, a token
by the records that carry it. Refinement may leave together a few records that a stronger test would tell apart, so
the figure can be slightly low; docs/threat-model.md says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
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
        records: Sealed versions.
        classes: Classes of interchangeable versions.
        expected: classes / records: share of records that a thief would name correctly.
        rounds: Rounds until the classes were stable.
    """

    records: int
    classes: int
    expected: float
    rounds: int


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


def _shared(
    con: duckdb.DuckDBPyConnection, index: int, value: str | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (version, token id) of one token column of a pass, or of its block ids when `value` is None.

    Only blocks of several versions count: a lone block, and the tokens in it, look like any other lone one.
    """
    token = "block" if value is None else f"hash(block, {value})"
    rows = con.execute(
        f"""
        WITH sizes AS (
            SELECT block FROM {token_table(index)} GROUP BY block HAVING count(*) > 1
        ),
        shared AS (
            SELECT t.version, {token} AS token
            FROM {token_table(index)} AS t SEMI JOIN sizes ON sizes.block = t.block
            WHERE {"TRUE" if value is None else f"{value} IS NOT NULL"}
        )
        SELECT version, dense_rank() OVER (ORDER BY token) - 1 AS token FROM shared
        """
    ).fetchnumpy()
    return np.asarray(rows["version"], dtype=np.int64), np.asarray(rows["token"], dtype=np.int64)


def measure(con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, versions: int) -> Reidentification:
    """Measure the expected re-identification from everything the token tables show, null patterns included."""
    start = np.ones(versions, dtype=np.uint64)
    incidences = []
    with np.errstate(over="ignore"):
        for index, blocking in enumerate(passes):
            version, shown = _presence(con, index, blocking)
            seen = np.zeros(versions, dtype=np.uint64)
            seen[version] = shown
            start = _mix(start * _PHI + seen)
            incidences.append(_shared(con, index, None))
            incidences += [_shared(con, index, column(name)) for name in blocking.tokens]
    classes, rounds = refine(start, [entry for entry in incidences if len(entry[0])])
    return Reidentification(
        records=versions, classes=classes, expected=classes / versions if versions else 0.0, rounds=rounds
    )
