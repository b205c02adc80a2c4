"""A careful clear-text Splink model on DuckDB, as an analyst with every identifier in hand would build it.

Broad blocking (whole birth dates, whole homes, whole names), fuzzy levels with term frequencies, u from random pairs,
several EM sessions. It is given every advantage that clear text has, the nickname list of the normalisers included.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import splink.comparison_level_library as levels
import splink.comparison_library as comparisons
from splink import DuckDBAPI, Linker

from benchmarks.accuracy.found import Clock, Found
from benchmarks.accuracy.records import Records

THRESHOLD = 0.95
"""Where Splink's own tutorials cluster."""

RULES: tuple[tuple[str, ...], ...] = (
    ("nhs_number",),
    ("dob",),
    ("dob_swap", "surname_exact"),
    ("forename_exact", "surname_exact"),
    ("forename_exact", "postcode"),
    ("surname_exact", "postcode"),
    ("forename_exact", "uprn"),
    ("surname_exact", "uprn"),
    ("uprn", "dob_year"),
    ("uprn", "dob_day_month"),
    ("uprn", "sex"),
    ("postcode", "dob_year"),
    ("postcode", "dob_day_month"),
    ("postcode", "dob_month_year"),
    ("postcode", "dob_day_year"),
    ("postcode", "address_house"),
    ("address_number_street", "forename_initial"),
    ("forename_nickname", "surname_phonetic", "dob_year"),
    ("forename_phonetic", "surname_phonetic", "dob_day_month"),
    ("forename_phonetic", "surname_phonetic", "postcode_district"),
    ("forename_exact", "dob_month_year"),
    ("surname_exact", "dob_month_year"),
    ("forename_exact", "dob_day_month"),
    ("surname_exact", "dob_day_month"),
    ("forename_exact", "dob_day_year"),
    ("surname_exact", "dob_day_year"),
)
"""Blocking rules: columns that must all agree."""

SWAPPED = "l.forename_exact = r.surname_exact AND l.surname_exact = r.forename_exact"

TRAINED_ON: tuple[tuple[str, ...], ...] = (
    ("dob",),
    ("forename_exact", "surname_exact"),
    ("surname_exact", "postcode"),
    ("forename_exact", "uprn"),
    ("nhs_number",),
    ("address_number_street",),
)
"""EM sessions, of which those with columns that the data holds take place."""


def _rule(columns: Sequence[str]) -> str:
    agree = " AND ".join(f"l.{column} = r.{column}" for column in columns)
    return f"{agree} AND l.subject <> r.subject"


def _agree(column: str) -> str:
    return f'"{column}_l" = "{column}_r"'


def _name(column: str, *between: Any) -> comparisons.CustomComparison:
    other = "surname" if column == "forename" else "forename"
    reversed_ = f'"{column}_exact_l" = "{other}_exact_r" AND "{other}_exact_l" = "{column}_exact_r"'
    # Random pairs never show swapped names, so u is set. Both names swapped is one observation: the surname's level is
    # neutral, the forename's counts.
    m, u = (0.005, 1e-5) if column == "forename" else (0.005, 0.005)
    swapped = levels.CustomLevel(reversed_, label_for_charts="names swapped").configure(
        m_probability=m, u_probability=u, fix_m_probability=column == "surname", fix_u_probability=True
    )
    part = (
        f'"{column}_second_l" = "{column}_exact_r" OR "{column}_exact_l" = "{column}_second_r" '
        f'OR "{column}_second_l" = "{column}_second_r"'
    )
    return comparisons.CustomComparison(
        output_column_name=column,
        comparison_levels=[
            levels.NullLevel(column),
            levels.ExactMatchLevel(column).configure(tf_adjustment_column=column),
            levels.ExactMatchLevel(f"{column}_exact").configure(tf_adjustment_column=f"{column}_exact"),
            *between,
            swapped,
            levels.CustomLevel(part, label_for_charts="a part of the name agrees"),
            levels.JaroWinklerLevel(column, 0.92),
            levels.JaroWinklerLevel(column, 0.85),
            levels.JaroWinklerLevel(column, 0.7),
            levels.ElseLevel(),
        ],
    )


def _dob() -> comparisons.CustomComparison:
    parts = " OR ".join(_agree(f"dob_{part}") for part in ("month_year", "day_year", "day_month"))
    return comparisons.CustomComparison(
        output_column_name="dob",
        comparison_levels=[
            levels.NullLevel("dob"),
            levels.ExactMatchLevel("dob"),
            levels.CustomLevel(_agree("dob_swap"), label_for_charts="day and month swapped"),
            levels.DamerauLevenshteinLevel("dob", 1),
            levels.CustomLevel(parts, label_for_charts="two parts agree"),
            levels.CustomLevel(_agree("dob_year"), label_for_charts="same year"),
            levels.ElseLevel(),
        ],
    )


def _location() -> comparisons.CustomComparison:
    null = " AND ".join(
        f'("{name}_l" IS NULL OR "{name}_r" IS NULL)' for name in ("postcode", "uprn", "address")
    )
    house = f"{_agree('postcode')} AND {_agree('address_house')}"
    return comparisons.CustomComparison(
        output_column_name="location",
        comparison_levels=[
            levels.CustomLevel(null, label_for_charts="no place").configure(is_null_level=True),
            levels.CustomLevel(f"{_agree('uprn')} OR ({house})", label_for_charts="same home"),
            levels.CustomLevel(
                f'{_agree("address_number_street")} OR jaro_winkler_similarity("address_l", "address_r") >= 0.95',
                label_for_charts="same or nearly the same address",
            ),
            levels.CustomLevel(_agree("postcode"), label_for_charts="same postcode"),
            levels.CustomLevel(
                f"{_agree('postcode_sector')} OR {_agree('address_street')} "
                'OR jaro_winkler_similarity("address_l", "address_r") >= 0.85',
                label_for_charts="same sector or street",
            ),
            levels.CustomLevel(_agree("postcode_district"), label_for_charts="same district"),
            levels.ElseLevel(),
        ],
    )


def _number() -> comparisons.CustomComparison:
    # Nearly all random agreements of a near-unique number are true matches, so u of equality is fixed, not sampled.
    exact = levels.ExactMatchLevel("nhs_number").configure(u_probability=1e-7, fix_u_probability=True)
    return comparisons.CustomComparison(
        output_column_name="nhs_number",
        comparison_levels=[
            levels.NullLevel("nhs_number"),
            exact,
            levels.DamerauLevenshteinLevel("nhs_number", 2),
            levels.ElseLevel(),
        ],
    )


def _nickname() -> Any:
    return levels.CustomLevel(_agree("forename_nickname"), label_for_charts="nickname of the same name")


def _comparisons(held: set[str]) -> list[Any]:
    """Return the comparisons over columns that the data holds."""
    made = {
        "forename": _name("forename", _nickname()),
        "surname": _name("surname"),
        "dob": _dob(),
        "sex": comparisons.ExactMatch("sex"),
        "nhs_number": _number(),
    }
    listed = [comparison for column, comparison in made.items() if column in held]
    return [*listed, _location()] if held & {"postcode", "uprn", "address"} else listed


def _linker(con: duckdb.DuckDBPyConnection, versions: pa.Table, held: set[str]) -> Linker:
    con.register("versions_in", versions)
    con.execute("CREATE TABLE versions AS SELECT * FROM versions_in")
    settings = {
        "link_type": "dedupe_only",
        "unique_id_column_name": "version",
        "comparisons": _comparisons(held),
        "blocking_rules_to_generate_predictions": [
            *(_rule(columns) for columns in RULES if held.issuperset(columns)),
            SWAPPED + " AND l.subject <> r.subject",
        ],
        "additional_columns_to_retain": ["subject"],
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
    }
    api = DuckDBAPI(con)
    return Linker(api.register("versions"), settings)


def _train(linker: Linker, held: set[str], seed: int) -> None:
    certain: list[Any] = [
        _rule(columns)
        for columns in (("nhs_number",), ("forename_exact", "surname_exact", "dob"))
        if held.issuperset(columns)
    ]
    linker.training.estimate_probability_two_random_records_match(certain, recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e7, seed=seed)
    for columns in TRAINED_ON:
        if held.issuperset(columns):
            linker.training.estimate_parameters_using_expectation_maximisation(
                _rule(columns), estimate_without_term_frequencies=True, max_pairs=5e6
            )


def link(records: Records, *, clock: Clock, seed: int = 1) -> Found:
    """Link `records` in the clear.

    Args:
        records: The records.
        clock: Measures the stages.
        seed: Of the random pairs for u.
    """
    logging.disable(logging.CRITICAL)  # Splink tells every chunk; this process does nothing else
    versions = records.versions
    held = {name for name in versions.column_names if versions.column(name).null_count < versions.num_rows}
    con = duckdb.connect()
    con.execute("SET threads = 2; SET preserve_insertion_order = false")
    with clock("train"):
        linker = _linker(con, versions, held)
        _train(linker, held, seed)
    with clock("predict"):
        scored = linker.inference.predict(warning_mode="never").physical_name
        rows = con.execute(
            f"""
            SELECT least(subject_l, subject_r) AS a, greatest(subject_l, subject_r) AS b, max(match_probability) AS p
            FROM {scored}
            GROUP BY ALL
            ORDER BY a, b
            """
        ).fetchnumpy()
        compared = con.execute(f"SELECT count(*) FROM {scored}").fetchall()[0][0]
    rules = sum(held.issuperset(columns) for columns in RULES) + 1
    return Found(
        left=np.asarray(rows["a"], dtype=np.int64),
        right=np.asarray(rows["b"], dtype=np.int64),
        score=np.asarray(rows["p"], dtype=np.float64),
        facts={
            "threshold": THRESHOLD,
            "rules": rules,
            "candidates": len(rows["a"]),
            "compared": int(compared),
        },
    )
