"""The Splink model over tokens: its settings, its two scoring steps, and how it is saved.

Every comparison is a ladder of plain equalities between tokens. A value that a pass fixes has no token in it:
both records of a pair have it in common by definition, so the row is given the same constant on both sides.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
from splink import DuckDBAPI, Linker

from linkage.intake import token_table
from schemas.scheme import COMPARISONS, FAMILY, FAMILY_LEVELS, TOKENS, Comparison, Pass, column

_SHIFT = 32
"""A token row is known by pass and version: `pass << 32 | version`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """What is estimated: m and u probabilities by comparison and level ("else" is the last), and the prior.

    Attributes:
        m, u: comparison -> level -> probability.
        prior: P(two random subjects are the same person).
        family: Family level -> how many times more often unrelated people are at it than single rates say.
    """

    m: Mapping[str, Mapping[str, float]]
    u: Mapping[str, Mapping[str, float]]
    prior: float
    family: Mapping[str, float]


def level_names(comparison: Comparison) -> list[str]:
    """Return the level names of a comparison, the implicit "else" included, from the strongest."""
    return [*(level.name for level in comparison.levels), "else"]


def gamma_of(comparison: Comparison, level: int) -> int:
    """Return Splink's gamma of the level at position `level`: the number of levels below it."""
    return len(comparison.levels) - level


def _agree(name: str) -> str:
    return f'"{column(name)}_l" = "{column(name)}_r"'


def _null_condition(comparison: Comparison) -> str:
    both = " OR ".join(
        f'("{column(name)}_l" IS NOT NULL AND "{column(name)}_r" IS NOT NULL)' for name in comparison.presence
    )
    return f"NOT ({both})"


def _level_condition(terms: Sequence[Sequence[str]], crossed: Sequence[tuple[str, str]] = ()) -> str:
    conditions = ["(" + " AND ".join(_agree(name) for name in term) + ")" for term in terms]
    for one, other in crossed:
        conditions += [
            f'("{column(left)}_l" = "{column(right)}_r")' for left, right in ((one, other), (other, one))
        ]
    return " OR ".join(conditions)


def _comparison_settings(comparison: Comparison, parameters: Parameters) -> dict[str, Any]:
    def probabilities(name: str) -> dict[str, float]:
        return {
            "m_probability": parameters.m[comparison.name][name],
            "u_probability": parameters.u[comparison.name][name],
        }

    levels: list[dict[str, Any]] = [
        {
            "sql_condition": _null_condition(comparison),
            "label_for_charts": "not held by both",
            "is_null_level": True,
        },
        *(
            {
                "sql_condition": _level_condition(level.terms, level.crossed),
                "label_for_charts": level.label,
                **probabilities(level.name),
            }
            for level in comparison.levels
        ),
        {"sql_condition": "ELSE", "label_for_charts": "nothing agrees", **probabilities("else")},
    ]
    return {"output_column_name": comparison.name, "comparison_levels": levels}


def _family_settings(parameters: Parameters) -> dict[str, Any]:
    """The correction as a Splink comparison: only the ratio u/m counts, so both are scaled to stay below one."""
    scale = 2 * max([1.0, *parameters.family.values()])
    levels: list[dict[str, Any]] = [
        {
            "sql_condition": _level_condition(level.terms),
            "label_for_charts": f"correction: {level.label}",
            "m_probability": 1 / scale,
            "u_probability": parameters.family[level.name] / scale,
        }
        for level in FAMILY_LEVELS
    ]
    levels.append(
        {
            "sql_condition": "ELSE",
            "label_for_charts": "no correction",
            "m_probability": 1 / scale,
            "u_probability": 1 / scale,
        }
    )
    return {"output_column_name": FAMILY, "comparison_levels": levels}


def splink_settings(parameters: Parameters) -> dict[str, Any]:
    """Return the Splink settings of the model; with trained parameters this is the model file of a run."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "row_id",
        "probability_two_random_records_match": parameters.prior,
        "comparisons": [
            *(_comparison_settings(comparison, parameters) for comparison in COMPARISONS),
            _family_settings(parameters),
        ],
        "blocking_rules_to_generate_predictions": [],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
        "additional_columns_to_retain": [],
    }


def _row_select(index: int, blocking: Pass) -> str:
    def value(name: str) -> str:
        if name in blocking.fixed:
            return "1"
        return f"t.{column(name)}" if name in blocking.tokens else "NULL"

    columns = ",\n            ".join(f"{value(name)}::UINTEGER AS {column(name)}" for name in TOKENS)
    return f"""
        SELECT
            ({index}::BIGINT << {_SHIFT}) + t.version AS row_id,
            {columns}
        FROM {token_table(index)} AS t
        SEMI JOIN needed ON needed.pass = {index} AND needed.version = t.version
    """


def make_rows(con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, candidates: str, rows: str) -> None:
    """Create the table `rows` with the token rows that the pairs of `candidates` are compared in."""
    union = "\nUNION ALL\n".join(_row_select(index, blocking) for index, blocking in enumerate(passes))
    con.execute(
        f"""
        CREATE TABLE {rows} AS
        WITH needed AS (
            SELECT pass, version_l AS version FROM {candidates}
            UNION
            SELECT pass, version_r AS version FROM {candidates}
        ),
        filled AS ({union})
        SELECT * FROM filled ORDER BY row_id
        """
    )


@contextmanager
def silent() -> Iterator[None]:
    """Keep Splink's progress messages off the terminal; what matters of them is in the run's report."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def score(
    con: duckdb.DuckDBPyConnection,
    parameters: Parameters,
    passes: Sequence[Pass],
    *,
    candidates: str,
    output: str,
) -> None:
    """Let Splink compare and score the pairs of `candidates` and create the table `output`.

    Its columns: version_l, version_r, match_weight (log2 of the odds), match_probability.
    """
    make_rows(con, passes, candidates=candidates, rows="token_rows")
    con.execute(
        f"""
        CREATE TABLE pair_ids AS
        SELECT
            '0' AS match_key,
            (pass::BIGINT << {_SHIFT}) + version_l AS join_key_l,
            (pass::BIGINT << {_SHIFT}) + version_r AS join_key_r
        FROM {candidates}
        """
    )
    with silent():
        api = DuckDBAPI(con)
        linker = Linker(api.register("token_rows"), splink_settings(parameters))
        linker.table_management.register_blocked_pairs_for_predict(api.register("pair_ids"))
        predicted = linker.inference.predict(warning_mode="never").physical_name
    con.execute(
        f"""
        CREATE TABLE {output} AS
        SELECT
            (row_id_l & ((1::BIGINT << {_SHIFT}) - 1))::INTEGER AS version_l,
            (row_id_r & ((1::BIGINT << {_SHIFT}) - 1))::INTEGER AS version_r,
            match_weight,
            match_probability
        FROM {predicted}
        """
    )
    for table in (predicted, "pair_ids", "token_rows"):
        con.execute(f"DROP TABLE IF EXISTS {table}")
