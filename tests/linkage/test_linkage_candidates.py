"""Candidate pairs against a plain reading of the blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkage_oracle import met, token_rows
from linkage_world import load_tokens, load_versions

from linkage import candidates
from linkage.database import connect
from linkage.intake import token_table
from schemas.scheme import parse_pass

NAMES = ("dob+forename", "nhs_number", "uprn+surname", "postcode+dob.year")


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database."""
    with connect(threads=1) as made:
        yield made


def _tokens(rows: list[tuple[int, int]]) -> pa.Table:
    return pa.table(
        {
            "version": pa.array([version for version, _ in rows], pa.int32()),
            "block": pa.array([block for _, block in rows], pa.int64()),
        }
    )


@st.composite
def _blockings(draw: st.DrawFn) -> tuple[list[int], list[list[tuple[int, int]]]]:
    """Subject of each version, and for each pass some versions with their block."""
    subject_of = draw(st.lists(st.integers(0, 12), min_size=1, max_size=24))
    passes = []
    for _ in range(draw(st.integers(1, len(NAMES)))):
        versions = draw(st.lists(st.sampled_from(range(len(subject_of))), unique=True))
        passes.append(
            [(version, draw(st.sampled_from([-(2**63), -1, 0, 7, 2**63 - 1]))) for version in versions]
        )
    return subject_of, passes


@given(_blockings(), st.integers(2, 6))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_candidates_equal_the_plain_oracle(
    con: duckdb.DuckDBPyConnection, blockings: tuple[list[int], list[list[tuple[int, int]]]], cap: int
) -> None:
    """Versions of different subjects that meet are one pair, found by all their passes; large blocks are left out."""
    subject_of, passes = blockings
    expected, figures = met(passes, dict(enumerate(subject_of)), cap=cap)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "BLOCK_CAP", cap)
        con.execute("BEGIN")
        load_versions(con, subject_of)
        for index, rows in enumerate(passes):
            load_tokens(con, index, _tokens(rows))
        found = candidates.find_candidates(con, [parse_pass(name) for name in NAMES[: len(passes)]])
        rows_found = token_rows(con, "candidates")
        con.execute("ROLLBACK")
    assert [(each.pairs, each.capped_blocks, each.capped_versions) for each in found] == figures
    assert [each.name for each in found] == list(NAMES[: len(passes)])
    assert len(rows_found) == len(expected)
    for row in rows_found:
        pair = (row["version_l"], row["version_r"])
        assert row["version_l"] < row["version_r"]
        assert row["found_by"] == expected[pair]
        assert row["pass"] == (expected[pair] & -expected[pair]).bit_length() - 1
        assert (row["subject_l"], row["subject_r"]) == tuple(subject_of[version] for version in pair)


def test_as_many_passes_as_an_agreement_may_have() -> None:
    """The bits of `found_by` hold all 62 passes that the agreement's schema allows."""
    with connect(threads=1) as con:
        load_versions(con, [0, 1])
        for index in range(62):
            load_tokens(con, index, _tokens([(0, 5), (1, 5)]))
        candidates.find_candidates(con, [parse_pass("nhs_number")] * 62)
        assert con.execute("SELECT found_by, pass FROM candidates").fetchall() == [(2**62 - 1, 0)]


def test_capped_blocks_stay_for_the_privacy_measure() -> None:
    """A block that is too large to link is still in the files that a thief would hold."""
    rows = [(version, 1) for version in range(candidates.BLOCK_CAP + 1)]
    with connect(threads=1) as con:
        load_versions(con, list(range(len(rows))))
        load_tokens(con, 0, _tokens(rows))
        found = candidates.find_candidates(con, [parse_pass("nhs_number")])
        assert (found[0].pairs, found[0].capped_blocks, found[0].capped_versions) == (0, 1, len(rows))
        assert con.execute(f"SELECT count(*) FROM {token_table(0)}").fetchall() == [(len(rows),)]


def test_a_block_of_exactly_the_cap_is_linked() -> None:
    """The cap is the largest block that still takes part."""
    size = candidates.BLOCK_CAP
    with connect(threads=1) as con:
        load_versions(con, list(range(size)))
        load_tokens(con, 0, _tokens([(version, 1) for version in range(size)]))
        found = candidates.find_candidates(con, [parse_pass("nhs_number")])
    assert (found[0].pairs, found[0].capped_blocks) == (size * (size - 1) // 2, 0)


def test_candidates_of_sealed_packages(unit: Any, world: Any) -> None:
    """Real packages meet exactly where a plain join of their block ids says."""
    tables = [
        [(row["version"], row["block"]) for row in token_rows(unit.con, token_table(index))]
        for index in range(len(world.agreement.passes))
    ]
    subject_of = dict(unit.con.execute("SELECT version, subject FROM versions").fetchall())
    expected, figures = met(tables, subject_of, cap=candidates.BLOCK_CAP)
    found = {
        (left, right): bits
        for left, right, bits in unit.con.execute(
            "SELECT version_l, version_r, found_by FROM candidates"
        ).fetchall()
    }
    assert found == expected
    assert len(found) > 100
    assert [(each.pairs, each.capped_blocks, each.capped_versions) for each in unit.found] == figures
