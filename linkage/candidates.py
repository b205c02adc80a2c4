"""Candidate pairs: versions that meet in at least one pass, each pair once, with the passes that found it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from linkage.intake import token_table
from schemas.scheme import Pass

BLOCK_CAP = 200
"""Largest number of versions in one block. Strong passes make blocks of one person; a block this large is a
placeholder or an institution that slipped through, and would cost more pairs than all the others."""


PAIRED = """
    SELECT pairs.*, l.subject AS subject_l, r.subject AS subject_r
    FROM pairs
    JOIN versions AS l ON l.version = pairs.version_l
    JOIN versions AS r ON r.version = pairs.version_r
    WHERE l.subject <> r.subject
"""
"""From `pairs` of versions to candidates, in SQL that every engine reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassPairs:
    """What one pass found: pairs of versions, and the blocks (and their versions) that were too large."""

    name: str
    pairs: int
    capped_blocks: int
    capped_versions: int


def _capped(con: duckdb.DuckDBPyConnection, index: int) -> tuple[int, int]:
    """Fill the table `too_large` with the blocks of a pass that do not take part; return blocks and versions."""
    con.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE too_large AS
        SELECT block, count(*) AS versions
        FROM {token_table(index)}
        GROUP BY block
        HAVING count(*) > {BLOCK_CAP}
        """
    )
    row = con.execute("SELECT count(*), coalesce(sum(versions), 0) FROM too_large").fetchall()[0]
    return int(row[0]), int(row[1])


def find_candidates(con: duckdb.DuckDBPyConnection, passes: Sequence[Pass]) -> list[PassPairs]:
    """Fill the table `candidates` and return what each pass found.

    The table has one row a pair of versions of different subjects: `version_l < version_r`, `found_by` (bit n is
    set when pass n found the pair) and `pass` (the first of them, in whose tokens the pair is compared). The token
    tables stay as they are: the privacy measure counts capped blocks too.
    """
    con.execute("CREATE TABLE met (version_l INTEGER, version_r INTEGER, pass UTINYINT)")
    found = []
    for index, blocking in enumerate(passes):
        capped = _capped(con, index)
        con.execute(
            f"""
            INSERT INTO met
            WITH usable AS (
                SELECT version, block FROM {token_table(index)} AS tokens ANTI JOIN too_large USING (block)
            )
            SELECT l.version, r.version, {index}
            FROM usable AS l
            JOIN usable AS r ON l.block = r.block AND l.version < r.version
            """
        )
        pairs = con.execute(f"SELECT count(*) FROM met WHERE pass = {index}").fetchall()[0][0]
        found.append(
            PassPairs(name=blocking.name, pairs=pairs, capped_blocks=capped[0], capped_versions=capped[1])
        )
    con.execute(
        f"""
        CREATE TABLE candidates AS
        WITH pairs AS (
            SELECT version_l, version_r, bit_or(1::UBIGINT << pass::UBIGINT) AS found_by, min(pass) AS pass
            FROM met
            GROUP BY version_l, version_r
        )
        {PAIRED}
        """
    )
    con.execute("DROP TABLE met")
    con.execute("DROP TABLE IF EXISTS too_large")
    return found
