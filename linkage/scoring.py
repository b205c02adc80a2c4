"""Compare all candidates, train, and score: Splink scores every comparison pattern once.

The score of a pair depends on its comparison pattern only. So after training, Splink scores one representative
pair of each pattern, and the others take its weight: the same result as scoring all pairs one by one (a test
holds the two equal) for a fraction of the cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from linkage.comparing import PATTERN_BITS, place_of
from linkage.engine import DuckDBEngine, Engine
from linkage.model import Parameters, score
from linkage.reuse import reuse
from linkage.training import Trained, read_patterns, train
from schemas.scheme import Pass

WEIGHT_DIGITS = 6
"""Weights differ in the last bit from run to run; they are rounded before anything is decided by them."""


_REPRESENTATIVES = """
    CREATE TABLE representatives AS
    SELECT
        min_by(version_l, (version_l, version_r)) AS version_l,
        min_by(version_r, (version_l, version_r)) AS version_r,
        min_by(pass, (version_l, version_r)) AS pass
    FROM compared
    GROUP BY pattern
"""

_LINKS = f"""
    CREATE TABLE links AS
    WITH weights AS (
        SELECT compared.pattern, round(scored_patterns.match_weight, {WEIGHT_DIGITS}) AS match_weight
        FROM scored_patterns JOIN compared USING (version_l, version_r)
    ),
    scored AS (
        SELECT
            least(compared.subject_l, compared.subject_r) AS subject_l,
            greatest(compared.subject_l, compared.subject_r) AS subject_r,
            weights.match_weight,
            compared.pattern,
            (compared.pattern >> {PATTERN_BITS * place_of("nhs_number")}) & {(1 << PATTERN_BITS) - 1} AS numbers,
            compared.found_by
        FROM compared JOIN weights USING (pattern)
    )
    SELECT
        subject_l,
        subject_r,
        max(match_weight) AS match_weight,
        1 / (1 + pow(2, -max(match_weight))) AS match_probability,
        bit_or(found_by) AS found_by,
        max_by(pattern, (match_weight, pattern)) AS pattern,
        bool_or(numbers = 1) AND NOT bool_or(numbers > 1) AS numbers_differ
    FROM scored
    GROUP BY subject_l, subject_r
"""


def score_candidates(
    con: duckdb.DuckDBPyConnection,
    passes: Sequence[Pass],
    counted: Sequence[Mapping[str, Any]],
    *,
    subjects: int,
    model: Parameters | None = None,
    engine: Engine | None = None,
) -> Trained:
    """Create the table `links` from `candidates`: one row a pair of subjects with the weight of its best versions.

    Its columns: subject_l < subject_r, match_weight (log2 of the odds), match_probability, found_by, pattern (of those
    versions), numbers_differ (both hold NHS numbers, and no two of them agree).

    Args:
        con: The database of the run.
        passes: Passes of the agreement.
        counted: What each agency counted.
        subjects: Subjects of the run.
        model: Parameters of an earlier run, to reuse instead of training.
        engine: Compares the candidates; the database itself when None.

    Returns:
        The trained model.
    """
    (engine or DuckDBEngine()).compare(con, passes, candidates="candidates", output="compared")
    patterns = read_patterns(con, compared="compared")
    if model is None:
        trained = train(patterns, passes, counted, subjects=subjects)
    else:
        trained = reuse(patterns, model, subjects=subjects)
    _link(con, passes, trained.parameters)
    return trained


def _link(con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], parameters: Parameters) -> None:
    """Create the table `links` from `compared`, and drop what only scoring needs."""
    con.execute(_REPRESENTATIVES)
    score(con, parameters, passes, candidates="representatives", output="scored_patterns")
    con.execute(_LINKS)
    for table in ("representatives", "scored_patterns", "compared"):
        con.execute(f"DROP TABLE {table}")
