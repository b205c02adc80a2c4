"""Rows that cannot be used are written by number and reason, and by nothing else."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import TODAY, extract_of

from hashing.extract import read_extract
from hashing.rejects import rejects_table, write_rejects
from hashing.subjects import collapse
from schemas.errors import OutputError

REASONS = ("no reference", "no usable identifier", "no usable contact date")


def test_rows_are_numbered_as_a_person_counts_them(tmp_path: Path) -> None:
    """The first row under the header is row 2; each unusable row stands in the file with its reason."""
    path = tmp_path / "x.csv"
    path.write_text(
        "ref,surname,dob,record_date\n"
        "7,Smith,1990-03-04,2026-01-01\n"
        ",Jones,1990-03-04,2026-01-01\n"
        "8,unknown,01/01/1900,2026-01-01\n"
        "9,Brown,1990-03-05,soon\n"
        "10,,,\n"
    )
    extract = read_extract(path, agency="police")
    subjects = collapse(extract, today=TODAY)
    out = tmp_path / "rejects.csv"
    assert write_rejects(subjects.rejected, out, first_row=extract.first_row) == 5
    with out.open(encoding="utf-8", newline="") as stream:
        lines = [(int(line["row"]), line["reason"]) for line in csv.DictReader(stream)]
    assert lines == [(3, REASONS[0]), (4, REASONS[1]), (5, REASONS[2]), (6, REASONS[1]), (6, REASONS[2])]
    assert subjects.quality.unusable == {REASONS[0]: 1, REASONS[1]: 2}


def test_without_contact_dates_no_row_is_rejected_for_lacking_one() -> None:
    """An extract that has no date column at all is counted, not listed row by row."""
    subjects = collapse(extract_of([{"ref": "7", "surname": "Smith"}]), today=TODAY)
    assert subjects.quality.undated_contacts == 1
    assert rejects_table(subjects.rejected, 2).num_rows == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sets(st.integers(0, 50)), max_size=3), st.integers(1, 2))
def test_every_row_and_reason_is_there_once(found: list[set[int]], first: int) -> None:
    """The file holds exactly the rows given, in their order."""
    rejected = {
        name: np.array(sorted(rows), dtype=np.int64) for name, rows in zip(REASONS, found, strict=False)
    }
    table = rejects_table(rejected, first)
    lines = [(line["row"], line["reason"]) for line in table.to_pylist()]
    assert set(lines) == {(row + first, name) for name, rows in rejected.items() for row in rows.tolist()}
    assert len(set(lines)) == len(lines)
    assert [row for row, _ in lines] == sorted(row for row, _ in lines)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A place that cannot be written is refused and nothing is left."""
    with pytest.raises(OutputError):
        write_rejects({}, tmp_path / "nowhere" / "x.csv", first_row=2)
