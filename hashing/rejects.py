"""Rows that cannot be used, by row number and reason only: what an agency corrects before it seals again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
from numpy.typing import NDArray

from schemas.atomic import atomic_file


def rejects_table(rejected: Mapping[str, NDArray[np.int64]], first_row: int) -> pa.Table:
    """Return one line for each row and reason, in the order of the extract.

    Args:
        rejected: Reason -> rows of the extract, from 0.
        first_row: Number that a person gives to the first row of the extract.

    Returns:
        `row` (int64) and `reason` (text). Empty lines of the source are not counted.
    """
    reasons = list(rejected)
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *rejected.values()]) + first_row
    which = np.repeat(np.arange(len(reasons)), [len(found) for found in rejected.values()])
    order = np.argsort(rows, kind="stable")
    names = pa.array(reasons, pa.string()).take(pa.array(which[order]))
    return pa.table({"row": pa.array(rows[order]), "reason": names})


def write_rejects(rejected: Mapping[str, NDArray[np.int64]], out: Path, *, first_row: int) -> int:
    """Write the CSV file `out` (row, reason), whole or not at all, and return how many lines it has.

    Raises:
        OutputError: It cannot be written.
    """
    table = rejects_table(rejected, first_row)
    with atomic_file(out, private=True) as stream:
        pc_csv.write_csv(table, stream)
    return int(table.num_rows)
