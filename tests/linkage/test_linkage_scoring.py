"""Comparing and scoring: pattern scoring must lose nothing against Splink on all pairs."""

from __future__ import annotations

import logging
from typing import Any

import duckdb
import numpy as np
import pytest
from linkage_oracle import family_gamma, filled, gammas, token_rows
from splink import DuckDBAPI, Linker

from linkage.comparing import PATTERN_BITS, compare
from linkage.intake import token_table
from linkage.model import make_rows, score, splink_settings
from linkage.scoring import WEIGHT_DIGITS
from schemas.scheme import COMPARISONS, FAMILY


@pytest.fixture(scope="module")
def compared(unit: Any, world: Any) -> Any:
    """All candidates with their pattern."""
    compare(unit.con, world.agreement.passes, candidates="candidates", output="compared_again")
    yield "compared_again"
    unit.con.execute("DROP TABLE compared_again")


def _decoded(pattern: int) -> list[int]:
    mask = (1 << PATTERN_BITS) - 1
    return [(pattern >> (PATTERN_BITS * place) & mask) - 1 for place in range(len(COMPARISONS) + 1)]


def _patterns(con: duckdb.DuckDBPyConnection, table: str) -> dict[tuple[int, int], list[int]]:
    rows = con.execute(f"SELECT version_l, version_r, pattern FROM {table}").fetchall()
    assert len({row[:2] for row in rows}) == len(rows)
    return {(left, right): _decoded(pattern) for left, right, pattern in rows}


def test_patterns_equal_plain_python(unit: Any, world: Any, compared: str) -> None:
    """Each candidate's pattern is what a plain reading of the comparison ladders makes of its token rows."""
    passes = world.agreement.passes
    tokens = [
        {row["version"]: filled(row, blocking) for row in token_rows(unit.con, token_table(index))}
        for index, blocking in enumerate(passes)
    ]
    expected = {}
    for left, right, index in unit.con.execute(
        "SELECT version_l, version_r, pass FROM candidates"
    ).fetchall():
        a, b = tokens[index][left], tokens[index][right]
        expected[left, right] = [*gammas(a, b), family_gamma(a, b)]
    assert _patterns(unit.con, compared) == expected
    assert (
        len({tuple(pattern) for pattern in expected.values()}) > 100
    )  # the candidates are varied enough to tell


def test_patterns_equal_splinks_own_comparison(unit: Any, world: Any, compared: str) -> None:
    """Splink, given the model file and all candidates, finds the same gamma in every comparison of every pair."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    con = unit.con
    make_rows(con, world.agreement.passes, candidates="candidates", rows="all_rows")
    con.execute(
        "CREATE TABLE all_pairs AS SELECT '0' AS match_key, (pass::BIGINT << 32) + version_l AS join_key_l, "
        "(pass::BIGINT << 32) + version_r AS join_key_r FROM candidates"
    )
    api = DuckDBAPI(con)
    kept = {"retain_intermediate_calculation_columns": True, "retain_matching_columns": True}
    settings = splink_settings(unit.trained.parameters) | kept
    linker = Linker(api.register("all_rows"), settings)
    linker.table_management.register_blocked_pairs_for_predict(api.register("all_pairs"))
    predicted = linker.inference.predict(warning_mode="never").physical_name
    names = [comparison.name for comparison in COMPARISONS] + [FAMILY]
    shown = ", ".join(f"gamma_{name}" for name in names)
    rows = con.execute(
        f"SELECT row_id_l & 4294967295, row_id_r & 4294967295, {shown} FROM {predicted}"
    ).fetchall()
    for table in ("all_rows", "all_pairs", predicted):
        con.execute(f"DROP TABLE {table}")
    assert {(row[0], row[1]): list(row[2:]) for row in rows} == _patterns(con, compared)


def test_links_equal_a_full_splink_predict(unit: Any, world: Any) -> None:
    """Scoring one pair a pattern gives every link by itself the weight that scoring every pair gives, to 6 decimals."""
    con = unit.con
    score(con, unit.trained.parameters, world.agreement.passes, candidates="candidates", output="scored_all")
    rows = con.execute(
        """
        SELECT subject_l, subject_r, match_weight, found_by
        FROM candidates JOIN scored_all USING (version_l, version_r)
        """
    ).fetchall()
    candidates = con.execute("SELECT count(*) FROM candidates").fetchall()[0][0]
    con.execute("DROP TABLE scored_all")
    assert len(rows) == candidates
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for left, right, weight, found_by in rows:
        key = (min(left, right), max(left, right))
        before = best.get(key, (-np.inf, 0))
        best[key] = (max(before[0], round(weight, WEIGHT_DIGITS)), before[1] | found_by)
    links = {
        (left, right): (weight, found_by)
        for left, right, weight, found_by in con.execute(
            "SELECT subject_l, subject_r, pair_weight, found_by FROM links"
        ).fetchall()
    }
    assert links.keys() == best.keys()
    assert {key: value[1] for key, value in links.items()} == {key: value[1] for key, value in best.items()}
    for key, (weight, _) in links.items():
        assert weight == pytest.approx(best[key][0], abs=1.5e-6), key


def test_probability_follows_from_weight(unit: Any) -> None:
    """A match weight is log2 of the odds, and a link joins two different subjects once, in order."""
    links = unit.links
    np.testing.assert_allclose(links.probability, 1 / (1 + 2.0**-links.weight), rtol=1e-12)
    assert (links.left < links.right).all()
    assert len({*zip(links.left.tolist(), links.right.tolist(), strict=True)}) == len(links.left)


def test_weights_are_rounded(unit: Any) -> None:
    """Weights carry no more than 6 decimals, so that the last bits of a run decide nothing."""
    np.testing.assert_array_equal(np.round(unit.links.weight, WEIGHT_DIGITS), unit.links.weight)


def test_scoring_leaves_no_working_tables(unit: Any) -> None:
    """Only the tables that later stages read are left behind."""
    tables = {
        row[0] for row in unit.con.execute("SELECT table_name FROM information_schema.tables").fetchall()
    }
    assert not tables & {"compared", "representatives", "scored_patterns", "token_rows", "pair_ids", "met"}
