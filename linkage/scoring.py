"""Compare all candidates, train, and score: Splink compares every pair once and scores every pattern once.

The score of a pair depends on its comparison pattern only. So after training, Splink scores one representative
pair of each pattern, and the others take its weight: the same result as scoring all pairs again, at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from linkage.model import Parameters, pattern_sql, score
from linkage.training import Trained, pool_u, prior_m, read_patterns, train
from schemas.scheme import Pass

WEIGHT_DIGITS = 6
"""Weights differ in the last bit from run to run; they are rounded before anything is decided by them."""


def score_candidates(
    con: duckdb.DuckDBPyConnection,
    passes: Sequence[Pass],
    counted: Sequence[Mapping[str, Any]],
    *,
    subjects: int,
) -> Trained:
    """Create the table `links` from `candidates`: one row a pair of subjects with the weight of its best versions.

    Its columns: subject_l < subject_r, match_weight (log2 of the odds), match_probability, found_by.

    Returns:
        The trained model.
    """
    untrained = Parameters(m=prior_m(), u=pool_u(counted), prior=1e-6)
    score(con, untrained, passes, candidates="candidates", output="compared")
    patterns = read_patterns(con, compared="compared", candidates="candidates")
    trained = train(patterns, passes, counted, subjects=subjects)
    con.execute(
        f"""
        CREATE TABLE representatives AS
        WITH patterned AS (
            SELECT version_l, version_r, {pattern_sql()} AS pattern FROM compared
        ),
        chosen AS (
            SELECT min_by(version_l, (version_l, version_r)) AS version_l,
                   min_by(version_r, (version_l, version_r)) AS version_r
            FROM patterned
            GROUP BY pattern
        )
        SELECT candidates.* FROM chosen JOIN candidates USING (version_l, version_r)
        """
    )
    score(con, trained.parameters, passes, candidates="representatives", output="scored_patterns")
    con.execute(
        f"""
        CREATE TABLE links AS
        WITH weights AS (
            SELECT {pattern_sql()} AS pattern, round(match_weight, {WEIGHT_DIGITS}) AS match_weight
            FROM scored_patterns
        ),
        scored AS (
            SELECT
                least(candidates.subject_l, candidates.subject_r) AS subject_l,
                greatest(candidates.subject_l, candidates.subject_r) AS subject_r,
                weights.match_weight,
                candidates.found_by
            FROM compared
            JOIN candidates USING (version_l, version_r)
            JOIN weights ON weights.pattern = {pattern_sql("compared.")}
        )
        SELECT
            subject_l,
            subject_r,
            max(match_weight) AS match_weight,
            1 / (1 + pow(2, -max(match_weight))) AS match_probability,
            bit_or(found_by) AS found_by
        FROM scored
        GROUP BY subject_l, subject_r
        """
    )
    for table in ("representatives", "scored_patterns", "compared"):
        con.execute(f"DROP TABLE {table}")
    return trained
