"""CSV files of many blocks, and rows that are not as wide as the header."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from hashing.extract import open_extract, read_extract
from hashing.reading import delimited, encoded
from hashing.reading.table import RAGGED
from hashing.rejects import rejects_table
from hashing.subjects import collapse, collapse_stream
from schemas.errors import ExtractError

CANARY = "Quillcanary"


def _with_ragged(path: Path, rows: int, ragged: Sequence[int]) -> Path:
    """Write a CSV file of `rows` rows with a cell too many or too few in the rows `ragged`, counted from 0."""
    lines = [f"{row},Smith,1990-03-{row % 28 + 1:02d},2026-01-01" for row in range(rows)]
    for place, row in enumerate(ragged):
        lines[row] = f"{CANARY},{CANARY}" if place % 2 else lines[row] + f",{CANARY}"
    lines[0] = lines[0].replace("Smith", '"Smith\nof the two lines"')
    path.write_text("ref,surname,dob,record_date\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_ragged_rows_are_rejected_by_number(tmp_path: Path) -> None:
    """A row that is not as wide as the header is left out and listed under its number, and moves no other's number."""
    path = _with_ragged(tmp_path / "x.csv", 100, [3, 50, 99])
    text = path.read_text(encoding="utf-8").replace("\n60,Smith", "\n,Smith").replace("\n2,Smith", "\n,Smith")
    path.write_text(text, encoding="utf-8")
    stream = open_extract(path, agency="police")
    subjects = collapse_stream(stream, today=date(2026, 6, 30))
    table = rejects_table(subjects.rejected, stream.first_row).to_pylist()
    assert [(line["row"], line["reason"]) for line in table] == [
        (4, "no reference"),
        (5, RAGGED),
        (52, RAGGED),
        (62, "no reference"),
        (101, RAGGED),
    ]
    assert subjects.quality.rows == 100
    assert subjects.quality.unusable == {"no reference": 2, "no usable identifier": 0, RAGGED: 3}
    assert len(subjects.contacts.day) == 95
    assert CANARY not in str(table)


def test_ragged_rows_of_a_whole_extract(tmp_path: Path) -> None:
    """An extract that is read as a whole tells the same of its ragged rows."""
    path = _with_ragged(tmp_path / "x.csv", 100, [3, 50, 99])
    whole = collapse(read_extract(path, agency="police"), today=date(2026, 6, 30))
    streamed = collapse_stream(open_extract(path, agency="police"), today=date(2026, 6, 30))
    assert whole.quality == streamed.quality
    assert whole.rejected[RAGGED].tolist() == streamed.rejected[RAGGED].tolist() == [3, 50, 99]


def test_many_ragged_rows_are_a_wrong_delimiter(tmp_path: Path) -> None:
    """Five rows in a hundred are left out, six are a file that is read in a wrong way; no cell is told."""
    assert read_extract(_with_ragged(tmp_path / "a.csv", 100, range(1, 6)), agency="police").rows == 95
    with pytest.raises(
        ExtractError, match=r"6 row\(s\) have more or fewer columns.*\(row 3, 4, 5, 6, 7 …\)"
    ) as told:
        read_extract(_with_ragged(tmp_path / "b.csv", 100, range(1, 7)), agency="police")
    assert CANARY not in str(told.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_large_files_are_read_in_parts(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of many blocks and chunks, in whatever encoding, gives every row once and in its order."""
    monkeypatch.setattr(encoded, "_CHUNK", 1009)
    monkeypatch.setattr(delimited, "_BLOCK", 2048)
    monkeypatch.setattr(encoded, "_HEAD", 500)
    rows = [f'{number},"Smïth, {number % 7}\nJr"' for number in range(2000)]
    path = tmp_path / "x.csv"
    path.write_bytes(("ref,surname\n" + "\n".join(rows) + "\n").encode(encoding))
    read = read_extract(path, agency="police")
    assert read.columns["ref"].to_pylist() == [str(number) for number in range(2000)]
    assert read.columns["surname"].to_pylist() == [f"Smïth, {number % 7}\nJr" for number in range(2000)]


def test_quotation_mark_open_over_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quotation mark that swallows more than one block of the file is told as what it is."""
    monkeypatch.setattr(delimited, "_BLOCK", 2048)
    lines = [f"{number},Smith" for number in range(2000)]
    lines[3] = f'3,"{CANARY}'
    path = tmp_path / "x.csv"
    path.write_text("ref,surname\n" + "\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(ExtractError, match=r"a quotation mark .*is never closed") as told:
        read_extract(path, agency="police")
    assert CANARY not in str(told.value)
