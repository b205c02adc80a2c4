"""Do-not-link lists: pairs of an agency's own references that must never be one person (adoption)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.extract import read_table
from hashing.subjects import Subjects
from schemas.errors import ExtractError
from schemas.payload import APART

COLUMNS = ("ref", "other_ref")


@dataclass(frozen=True, kw_only=True, slots=True)
class Apart:
    """Pairs to keep apart.

    Attributes:
        subjects: Shape (pairs, 2): numbers of the two subjects, the smaller first; no pair stands twice.
        listed: Rows of the list.
        not_held: Rows with a reference that the extract does not hold: nothing of theirs is sealed.
    """

    subjects: NDArray[np.int32]
    listed: int
    not_held: int


NOBODY = Apart(subjects=np.zeros((0, 2), dtype=np.int32), listed=0, not_held=0)


def _numbers(refs: pa.ChunkedArray, subjects: Subjects) -> NDArray[np.int64]:
    """Return the subject of each reference, -1 where the extract does not hold it."""
    trimmed = pa.compute.utf8_trim_whitespace(refs.cast(pa.string()))
    place = pa.compute.index_in(trimmed, value_set=subjects.refs).fill_null(-1).to_numpy()
    return np.where(place >= 0, np.append(subjects.ref_subject, -1)[place], -1).astype(np.int64)


def read_apart(path: Path, subjects: Subjects) -> Apart:
    """Read a do-not-link list: a table with the columns `ref` and `other_ref`.

    Args:
        path: CSV, or another format that extracts may have.
        subjects: The agency's shuffled subjects.

    Raises:
        ExtractError: A column is missing, a reference is empty, or a pair is one subject (the same reference, or the
            same identifiers): such records cannot be kept apart.
    """
    table = read_table(path)
    names = {name.strip().lower(): name for name in table.column_names}
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ExtractError(f"the column(s) {', '.join(missing)} are missing.", where=str(path))
    columns = [table.column(names[name]) for name in COLUMNS]
    for column, name in zip(columns, COLUMNS, strict=True):
        if column.null_count:
            row = pa.compute.index(pa.compute.is_null(column), True).as_py() + 2
            raise ExtractError("a reference is missing.", where=f"{path}, row {row}, column {name}")
    left, right = (_numbers(column, subjects) for column in columns)
    held = (left >= 0) & (right >= 0)
    same = np.flatnonzero(held & (left == right))
    if len(same):
        raise ExtractError(
            "both references stand for one person in the extract: they are the same, or have the same identifiers.",
            where=f"{path}, row {int(same[0]) + 2}",
            remedy="Correct the list, or leave one of the two records out of the extract.",
        )
    pairs = np.sort(np.column_stack([left[held], right[held]]), axis=1)
    distinct = np.unique(pairs, axis=0).astype(np.int32).reshape(-1, 2)
    return Apart(subjects=distinct, listed=table.num_rows, not_held=int((~held).sum()))


def apart_batch(apart: Apart) -> pa.RecordBatch:
    """Return the pairs as a package carries them, schema `APART`."""
    return pa.RecordBatch.from_arrays([pa.array(apart.subjects[:, n]) for n in (0, 1)], schema=APART)
