"""Compare all candidates: one comparison pattern a pair, straight from the token tables of its pass.

The conditions are those of the Splink model (`linkage.model`), written for one pass at a time so that values fixed
by the pass drop out and no joint token table has to be built. A test holds the result equal to Splink's own
comparison of the same pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from linkage.intake import token_table
from linkage.model import gamma_of
from schemas.scheme import COMPARISONS, FAMILY_LEVELS, Comparison, Level, Pass, column

PATTERN_BITS = 4
"""Bits of a comparison in a pattern: its gamma plus one (0: null)."""


def place_of(comparison: str) -> int:
    """Return the place of a comparison in a pattern."""
    return next(place for place, each in enumerate(COMPARISONS) if each.name == comparison)


def _agree(name: str, fixed: frozenset[str]) -> str:
    return "TRUE" if name in fixed else f"l.{column(name)} = r.{column(name)}"


def _both(name: str, fixed: frozenset[str]) -> str:
    return "TRUE" if name in fixed else f"(l.{column(name)} IS NOT NULL AND r.{column(name)} IS NOT NULL)"


def _crossed(one: str, other: str) -> str:
    return f"(l.{column(one)} = r.{column(other)}) OR (l.{column(other)} = r.{column(one)})"


def _condition(level: Level, blocking: Pass) -> str:
    """Return when two records are at a level; what has no token in the pass never agrees."""
    fixed, there = blocking.fixed, blocking.fixed | set(blocking.tokens)
    terms = [
        "(" + " AND ".join(_agree(name, fixed) for name in term) + ")"
        for term in level.terms
        if there.issuperset(term)
    ]
    terms += [_crossed(*pair) for pair in level.crossed if set(blocking.tokens).issuperset(pair)]
    return " OR ".join(terms) or "FALSE"


def _gamma(comparison: Comparison, blocking: Pass) -> str:
    """Return the CASE expression of a comparison's gamma: -1 null, 0 else, larger is stronger."""
    fixed = blocking.fixed
    present = " OR ".join(_both(name, fixed) for name in comparison.presence)
    whens = [f"WHEN NOT ({present}) THEN -1"]
    for position, level in enumerate(comparison.levels):
        whens.append(f"WHEN {_condition(level, blocking)} THEN {gamma_of(comparison, position)}")
    return "CASE " + " ".join(whens) + " ELSE 0 END"


def _family_gamma(fixed: frozenset[str]) -> str:
    whens = []
    for position, level in enumerate(FAMILY_LEVELS):
        terms = " OR ".join(
            "(" + " AND ".join(_agree(name, fixed) for name in term) + ")" for term in level.terms
        )
        whens.append(f"WHEN {terms} THEN {len(FAMILY_LEVELS) - position}")
    return "CASE " + " ".join(whens) + " ELSE 0 END"


def _pattern(blocking: Pass) -> str:
    """Return the expression of a pair's pattern. Products stand for shifts, which engines write differently."""
    gammas = [_gamma(comparison, blocking) for comparison in COMPARISONS]
    gammas.append(_family_gamma(blocking.fixed))
    return " + ".join(
        f"(({gamma}) + 1) * {1 << (PATTERN_BITS * place)}" for place, gamma in enumerate(gammas)
    )


def compared_in(index: int, blocking: Pass, *, candidates: str) -> str:
    """Return the query of the rows of `candidates` that are compared in pass number `index`, with their `pattern`.

    It is written in what SQL has in common: integers, equality, CASE.
    """
    return f"""
        SELECT pair.*, CAST({_pattern(blocking)} AS INTEGER) AS pattern
        FROM {candidates} AS pair
        JOIN {token_table(index)} AS l ON l.version = pair.version_l
        JOIN {token_table(index)} AS r ON r.version = pair.version_r
        WHERE pair.pass = {index}
    """


def create_compared(con: duckdb.DuckDBPyConnection, *, candidates: str, output: str) -> None:
    """Create the table `output`, empty: the columns of `candidates` and `pattern`."""
    con.execute(f"CREATE TABLE {output} AS SELECT *, 0::INTEGER AS pattern FROM {candidates} LIMIT 0")


def compare(con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, candidates: str, output: str) -> None:
    """Create the table `output`: the rows of `candidates` with their `pattern`.

    A pattern holds the gammas of all comparisons and of the family correction, `PATTERN_BITS` each, the first
    comparison in the lowest bits.
    """
    create_compared(con, candidates=candidates, output=output)
    for index, blocking in enumerate(passes):
        con.execute(f"INSERT INTO {output} {compared_in(index, blocking, candidates=candidates)}")
