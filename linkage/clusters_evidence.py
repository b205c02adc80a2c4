"""What speaks against joining two records, read from the tables of a run."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from linkage.clusters import Evidence
from linkage.comparing import PATTERN_BITS, place_of
from linkage.intake import token_table
from linkage.model import gamma_of
from schemas.scheme import COMPARISONS, Pass

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_SAME_SURNAME = ("rare", "mid", "exact", "canonical", "phonetic")
_SAME_PLACE = ("home", "number_street", "postcode")


def gammas(pattern: Ints, comparison: str) -> Ints:
    """Return the gamma of a comparison in each pattern: -1 null, 0 nothing agrees, larger is stronger."""
    mask = (1 << PATTERN_BITS) - 1
    return ((pattern >> (PATTERN_BITS * place_of(comparison))) & mask) - 1


def _at(pattern: Ints, comparison: str, levels: Sequence[str]) -> Bools:
    described = COMPARISONS[place_of(comparison)]
    listed = [
        gamma_of(described, place) for place, level in enumerate(described.levels) if level.name in levels
    ]
    found: Bools = np.isin(gammas(pattern, comparison), listed)
    return found


def relatives(pattern: Ints) -> Bools:
    """Return which links are what twins look like: surname, birth date and place agree, forenames in nothing.

    A link with the same NHS number is none: then one person was recorded under two forenames.
    """
    found: Bools = (
        (gammas(pattern, "forename") == 0)
        & _at(pattern, "surname", _SAME_SURNAME)
        & _at(pattern, "dob", ("exact",))
        & _at(pattern, "location", _SAME_PLACE)
        & (gammas(pattern, "nhs_number") <= 0)
    )
    return found


def _numbers(con: duckdb.DuckDBPyConnection, passes: Sequence[Pass]) -> tuple[Ints, Ints]:
    """Return (subject, number) where the agreement has a pass on the NHS number alone: its block ids are numbers.

    So the numbers of any two records can be compared, not only of those that meet in another pass.
    """
    index = next((n for n, each in enumerate(passes) if each.parts == ("nhs_number.exact",)), None)
    if index is None:
        none = np.zeros(0, dtype=np.int64)
        return none, none
    rows = con.execute(
        f"""
        WITH held AS (
            SELECT DISTINCT versions.subject, tokens.block
            FROM {token_table(index)} AS tokens JOIN versions USING (version)
        )
        SELECT subject, dense_rank() OVER (ORDER BY block) AS number FROM held ORDER BY subject, number
        """
    ).fetchnumpy()
    return np.asarray(rows["subject"], dtype=np.int64), np.asarray(rows["number"], dtype=np.int64)


def read_evidence(
    con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, numbers_checked: bool = True
) -> Evidence:
    """Read the evidence from `links`, from the pass on the NHS number and from `apart` (pairs to keep apart).

    Its per-link arrays are in the order of `links` by subjects.

    Args:
        con: The run.
        passes: Its passes.
        numbers_checked: Whether numbers have passed the NHS check digit. Numbers of another standard are as often
            mistyped as names are, so that two different ones speak against a pair (in its score) but forbid nothing.
    """
    rows = con.execute("SELECT pattern, numbers_differ FROM links ORDER BY subject_l, subject_r").fetchnumpy()
    subject, number = _numbers(con, passes if numbers_checked else ())
    apart = con.execute("SELECT subject_l, subject_r FROM apart ORDER BY ALL").fetchnumpy()
    return Evidence(
        numbers_differ=np.asarray(rows["numbers_differ"], dtype=bool) & numbers_checked,
        relatives=relatives(np.asarray(rows["pattern"], dtype=np.int64)),
        number_of=number,
        number_subject=subject,
        apart_left=np.asarray(apart["subject_l"], dtype=np.int64),
        apart_right=np.asarray(apart["subject_r"], dtype=np.int64),
    )
