"""Reading in batches: hashes, numbering, read-ahead, and the same subjects as when everything is held at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from collapse_oracle import collapse_slowly
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import TODAY, extract_of

from hashing.coding import Coded
from hashing.extract import Extract, open_extract
from hashing.reading.ahead import ahead
from hashing.reading.cells import Cells, Hashed, hash_cells
from hashing.reading.columns import cut_numbers
from hashing.reading.hashes import LANES, Lane, hash_rows, hash_texts, of_null
from hashing.reading.index import HashIndex
from hashing.subjects import NO_DAY, VERSIONS_KEPT, Subjects, collapse, collapse_stream
from schemas.errors import ExtractError

TEXTS = st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["", "a", "a" * 8, "a" * 9, "a\0", "\0"]))
ROW = st.fixed_dictionaries(
    {
        "ref": st.sampled_from(["1", "2", " 2", "3", "4", "", None]),
        "forename": st.sampled_from(["Mary", "mary", "John", "unknown", None]),
        "surname": st.sampled_from(["Jones", "JONES ", "Smith", "", None]),
        "dob": st.sampled_from(["1990-03-04", "04/03/1990", "1991-01-02", "01/01/1900", "nonsense", None]),
        "sex": st.sampled_from(["M", "F", None]),
        "postcode": st.sampled_from(["LS6 3AB", "ls63ab", "LS6 4AB", "ZZ99 3VZ", None]),
        "nhs_number": st.sampled_from(["943 476 5919", "450 557 7104", None]),
        "record_date": st.sampled_from(
            ["2026-01-01", "01/01/2026", "2025-06-30", "2031-01-01", "soon", None]
        ),
    }
)


@given(st.lists(TEXTS, max_size=60), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_hashes_tell_texts_apart(texts: list[str | None], skipped: int) -> None:
    """Equal texts have equal hashes wherever they stand, and different ones (null, empty, zero byte) differ."""
    array = pa.array(texts, pa.string())
    assert [lane.tolist() for lane in hash_texts(array.slice(skipped))] == [
        lane[skipped:].tolist() for lane in hash_texts(array)
    ]
    for hashed in hash_texts(array):
        pairs = {*zip(texts, hashed.tolist(), strict=True)}
        assert len(pairs) == len(set(texts)) == len(set(hashed.tolist()))


@given(st.lists(st.lists(TEXTS, min_size=3, max_size=3), max_size=40))
@settings(max_examples=100, deadline=None)
def test_cells_hash_alike_however_they_are_coded(rows: list[list[str | None]]) -> None:
    """Rows have the same hashes as strings and dictionary-coded, equal rows equal ones, and other rows others."""
    columns = [pa.array([row[at] for row in rows], pa.string()) for at in range(3)]
    plain = hash_cells([Hashed.of(Cells.of(column)) for column in columns], len(rows))
    coded = hash_cells([Hashed.of(Cells.repeated(column)) for column in columns], len(rows))
    for one, other in zip(plain, coded, strict=True):
        assert one.tolist() == other.tolist()
        pairs = {*zip(map(tuple, rows), one.tolist(), strict=True)}
        assert len(pairs) == len(set(map(tuple, rows))) == len(set(one.tolist()))


def test_a_null_in_a_dictionary_is_a_null() -> None:
    """A place whose value is null hashes as a null, and is one where texts are looked up."""
    values = pa.array(["a", None, "b"])
    coded = pa.DictionaryArray.from_arrays(pa.array([1, 0, None, 2], pa.int8()), values)
    cells = Cells.of(coded)
    low, high = hash_cells([Hashed.of(cells)], 4)
    assert (low[0], high[0]) == (low[2], high[2])
    assert len({*low.tolist()}) == len({*high.tolist()}) == 3
    assert cells.at().tolist() == [-1, 0, -1, 2]
    assert cells.at(np.array([3, 2])).tolist() == [2, -1]


def test_lanes_differ() -> None:
    """The two lanes give a text different hashes, as do other constants."""
    low, high = hash_texts(pa.array(["a", None, ""]))
    assert not {*low.tolist()} & {*high.tolist()}
    assert (low[1], high[1]) == (of_null(LANES[0]), of_null(LANES[1]))
    others = (Lane.of(bytes(range(24))), Lane.of(bytes(range(1, 25))))
    assert not {*hash_texts(pa.array(["a", None, ""]), others)[0].tolist()} & {*low.tolist(), *high.tolist()}


def test_hashes_of_long_columns_are_those_of_single_texts() -> None:
    """What a text hashes to does not depend on the texts around it, though they are hashed in blocks."""
    texts = ["x" * (number % 37) + str(number) for number in range(20_000)]
    whole = hash_texts(pa.array(texts))
    for row in (0, 36, 8191, 8192, 19_999):
        assert [lane[row] for lane in whole] == [lane[0] for lane in hash_texts(pa.array([texts[row]]))]
    assert all(len(set(lane.tolist())) == len(texts) for lane in whole)


def test_rows_hash_by_column() -> None:
    """The same texts in other columns are another row."""
    left, right = (hash_texts(pa.array(column))[0] for column in (["a", "b"], ["b", "a"]))
    first, second = hash_rows([left, right], LANES[0])
    assert first != second


@given(st.lists(st.lists(st.integers(0, 40), max_size=50), max_size=6), st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_numbers_in_order_of_first_appearance(batches: list[list[int]], crowding: int) -> None:
    """Keys are numbered like a dictionary does it, also when they crowd into a few slots and share a half."""
    index, seen = HashIndex(), dict[int, int]()
    for batch in batches:
        keys = np.array(batch, dtype=np.uint64)
        numbers, rows = index.add(keys % np.uint64(crowding), keys)
        fresh = [row for row, key in enumerate(batch) if key not in seen and batch.index(key) == row]
        for row in fresh:
            seen[batch[row]] = len(seen)
        assert numbers.tolist() == [seen[key] for key in batch]
        assert rows.tolist() == fresh
    assert len(index) == len(seen)


def test_index_grows() -> None:
    """Numbers stay when the table grows."""
    index = HashIndex()
    keys = np.arange(30_000, dtype=np.uint64)
    for start in range(0, 30_000, 1000):
        index.add(keys[start : start + 1000], keys[start : start + 1000])
    numbers, fresh = index.add(keys, keys)
    assert numbers.tolist() == list(range(30_000))
    assert len(fresh) == 0


def _texts(coded: Coded) -> list[str | None]:
    values = [*coded.values.to_pylist(), None]
    return [values[code] for code in coded.codes.tolist()]


def _told(subjects: Subjects, names: list[str]) -> dict[str, Any]:
    """What the oracle tells, of the real thing."""
    columns = [_texts(subjects.fields[name]) for name in names]
    versions = defaultdict(list)
    for at, owner in enumerate(subjects.version_subject.tolist()):
        versions[owner].append(tuple(column[at] for column in columns))
    days = [
        None if day == NO_DAY else (date(1970, 1, 1) + timedelta(days=day)).isoformat()
        for day in subjects.contacts.day.tolist()
    ]
    return {
        "names": names,
        "refs": dict(zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True)),
        "versions": dict(versions),
        "left_out": subjects.quality.versions_left_out,
        "contacts": list(zip(subjects.contacts.subject.tolist(), days, strict=True)),
        "rejected": {reason: rows.tolist() for reason, rows in subjects.rejected.items()},
    }


def _in_batches(extract: Extract, size: int, coded: bool) -> Iterator[dict[str, pa.Array]]:
    for start in range(0, extract.rows, size):
        batch = {name: column.slice(start, size) for name, column in extract.columns.items()}
        yield {name: column.dictionary_encode() if coded else column for name, column in batch.items()}


@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 12), st.booleans())
@settings(max_examples=120, deadline=None)
def test_batches_collapse_like_the_whole(rows: list[dict[str, str | None]], size: int, coded: bool) -> None:
    """Whatever the batches, subjects, versions, contacts and rejects are those of a plain collapse of all rows."""
    expected = collapse_slowly(rows, today=TODAY, versions_kept=VERSIONS_KEPT)
    extract = extract_of(rows)
    stream = replace(extract.stream(), batches=_in_batches(extract, size, coded))
    try:
        subjects = collapse_stream(stream, today=TODAY)
    except ExtractError:
        usable = {
            row for reason in ("no reference", "no usable identifier") for row in expected["rejected"][reason]
        }
        assert len(usable) == len(rows)
        return
    assert _told(subjects, expected["names"]) == expected
    assert subjects.quality == collapse(extract, today=TODAY).quality


def test_many_versions_in_many_batches() -> None:
    """The latest versions are kept although their subject's rows lie in different batches and out of order."""
    rows = [
        {
            "ref": str(number % 3),
            "forename": "Mary",
            "surname": "Jones",
            "dob": "1990-03-04",
            "postcode": f"LS{number // 3 + 1} 3AB",
            "record_date": (date(2026, 1, 1) + timedelta(days=number * 37 % 100)).isoformat(),
        }
        for number in range(60)
    ]
    expected = collapse_slowly(rows, today=TODAY, versions_kept=VERSIONS_KEPT)
    extract = extract_of(rows)
    stream = replace(extract.stream(), batches=_in_batches(extract, 7, False))
    assert _told(collapse_stream(stream, today=TODAY), expected["names"]) == expected
    assert expected["left_out"] > 0


def test_parquet_with_dictionaries_dates_and_numbers(tmp_path: Path) -> None:
    """A Parquet file with typed and dictionary-coded columns in several row groups gives what its texts give."""
    rows = 1000
    texts = {
        "ref": [str(number % 400) for number in range(rows)],
        "forename": [("Mary", "John", None)[number % 3] for number in range(rows)],
        "surname": [f"Jones{'abcdefghij'[number % 10]}" for number in range(rows)],
        "dob": [(date(1990, 1, 2) + timedelta(days=number % 50)).isoformat() for number in range(rows)],
        "uprn": [str(1000 + number % 70) for number in range(rows)],
        "record_date": ["2026-01-05"] * rows,
    }
    table = pa.table(
        {
            "ref": pa.array(map(int, texts["ref"])),
            "forename": pa.array(texts["forename"]).dictionary_encode(),
            "surname": pa.array(texts["surname"], pa.large_string()),
            "dob": pa.array(texts["dob"]).cast(pa.date32()),
            "uprn": pa.array([float(text) for text in texts["uprn"]]),
            "record_date": pa.array(texts["record_date"]),
            "ignored": pa.array([b"\xff"] * rows),
        }
    )
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, row_group_size=130)
    plain = Extract(
        agency="a",
        columns={name: pa.array(column, pa.string()) for name, column in texts.items()},
        rows=rows,
        source="x",
    )
    made = collapse_stream(open_extract(path, agency="a"), today=TODAY)
    expected = collapse(plain, today=TODAY)
    names = list(expected.fields)
    assert _told(made, names) == _told(expected, names)
    assert made.quality == expected.quality


@pytest.mark.parametrize(
    ("texts", "cut"),
    [
        (["1.23E+11"], True),
        (["+44", "7E", None], False),
        (["X1.2E+3", "1E + 3"], False),
        ([None, "12", " 9E+10 "], True),
        ([], False),
        ([None], False),
    ],
)
def test_cut_numbers_are_found_however_they_are_coded(texts: list[str | None], cut: bool) -> None:
    """An exponent is found in strings and among distinct ones, and not where only a plus sign is."""
    array = pa.array(texts, pa.string())
    assert cut_numbers(array) is cut
    assert cut_numbers(array.dictionary_encode()) is cut


def test_cut_numbers_outside_a_slice_do_not_count() -> None:
    """Of a batch that is part of a column only its own cells are looked at."""
    array = pa.array(["1E+5", "1", "2E+5"])
    assert [cut_numbers(array.slice(row, 1)) for row in range(3)] == [True, False, True]


def test_ahead_passes_errors_on() -> None:
    """What goes wrong in the reading thread is raised where the batches are used, after the batches before it."""

    def items() -> Iterator[int]:
        yield 1
        raise ExtractError("is broken.", where="x")

    made = ahead(items())
    assert next(made) == 1
    with pytest.raises(ExtractError, match="is broken"):
        next(made)


def test_ahead_stops_when_it_is_not_wanted() -> None:
    """Closing the reader ends its thread and closes what it reads from, though more could be read."""
    closed = []

    def items() -> Iterator[int]:
        try:
            number = 0
            while True:
                number += 1
                yield number
        finally:
            closed.append(True)

    made = ahead(items())
    assert [next(made), next(made)] == [1, 2]
    made.close()
    assert closed == [True]
