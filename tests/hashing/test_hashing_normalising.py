"""Vocabularies of a stream: numbered texts, normalised in pieces, here or in other processes, with the same outcome."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sealing_builders import TODAY, extract_of

from hashing import normalise
from hashing.extract import open_extract
from hashing.native.library import kernels
from hashing.reading import vocabulary as vocabularies
from hashing.reading.cells import Cells, Hashed
from hashing.reading.normalising import Normaliser, Normalising, Rule, ruled
from hashing.reading.vocabulary import Vocabulary
from hashing.subjects import collapse_stream
from hashing.workers import FORK_ROWS
from schemas.errors import ExtractError, OutputError

forks = pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="does not fork here")

SURNAME = Rule(
    normaliser=normalise.normalise_surname,
    others=partial(normalise.alternative_names, kind="surname", parts=False),
)


def submit(rule: Rule):  # type: ignore[no-untyped-def]
    """Have it done at once."""

    def done(texts: pa.StringArray):  # type: ignore[no-untyped-def]
        made = ruled(rule, texts)
        return lambda: made

    return done


def cells(texts: list[str | None]) -> Hashed:
    """Texts as cells of a batch."""
    return Hashed.of(Cells.of(pa.array(texts, pa.string())))


def test_texts_are_numbered_and_normalised_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes follow the first appearance, nulls have none, and each text is normalised once, whatever the pieces."""
    monkeypatch.setattr(vocabularies, "_RULED_AT_ONCE", 3)
    seen: list[str] = []

    def rule(texts: pa.StringArray) -> normalise.Normalised:
        seen.extend(texts.to_pylist())
        return normalise.normalise_surname(texts)

    vocabulary = Vocabulary(submit(Rule(normaliser=rule, others=SURNAME.others)))
    batches = [
        ["Jones", None, "SMITH", "Jones"],
        [None],
        ["Smith", "Brown née Green", "Jones"],
        ["Khan", "Lee"],
    ]
    codes = [vocabulary.add(cells(batch)).tolist() for batch in batches]
    assert codes == [[0, -1, 1, 0], [-1], [2, 3, 0], [4, 5]]
    vocabulary.finish()
    assert seen == ["Jones", "SMITH", "Smith", "Brown née Green", "Khan", "Lee"]
    assert len(vocabulary) == 6
    assert vocabulary.beside == {3: ("GREEN",)}
    assert vocabulary.values().to_pylist() == ["JONES", "SMITH", "SMITH", "BROWN", "KHAN", "LEE"]
    assert vocabulary.outcomes().tolist() == [int(normalise.Outcome.OK)] * 6
    coded = vocabulary.coded(np.array([0, 1, 2, -1, 5], dtype=np.int32))
    assert coded.values.take(pa.array(coded.codes[[0, 1, 2, 4]])).to_pylist() == [
        "JONES",
        "SMITH",
        "SMITH",
        "LEE",
    ]
    assert coded.codes[3] == -1
    assert coded.codes[1] == coded.codes[2]


def test_texts_that_do_not_repeat_have_a_code_each() -> None:
    """Where texts are not looked for again, two equal ones have two codes and one value."""
    vocabulary = Vocabulary(submit(SURNAME), repeats=False)
    codes = np.concatenate(
        [vocabulary.add(cells(batch)) for batch in (["Jones", None, "Jones"], ["jones", "Lee"])]
    )
    assert codes.tolist() == [0, -1, 1, 2, 3]
    vocabulary.finish()
    coded = vocabulary.coded(codes)
    assert coded.codes.tolist() == [0, -1, 0, 0, 1]
    assert coded.values.to_pylist() == ["JONES", "LEE"]


def test_an_empty_vocabulary() -> None:
    """A column of nothing but nulls has no values."""
    vocabulary = Vocabulary(submit(SURNAME))
    codes = vocabulary.add(cells([None, None]))
    vocabulary.finish()
    coded = vocabulary.coded(codes)
    assert (coded.codes.tolist(), len(coded.values), len(vocabulary)) == ([-1, -1], 0, 0)


def rows(count: int) -> list[dict[str, str | None]]:
    """Rows with repeated people, other names, gaps and what is no date."""
    return [
        {
            "ref": str(number % 700),
            "forename": ("Mary (Polly)", "John", None)[number % 3],
            "surname": f"Jones{'abcdefghij'[number % 10]}" + (" née Green" if number % 70 == 0 else ""),
            "dob": f"19{50 + number % 40}-0{1 + number % 9}-11",
            "nhs_number": "943 476 5919" if number % 5 else "000 000 0000",
            "postcode": f"LS{1 + number % 20} 3AB",
            "record_date": "2026-01-01" if number % 9 else "soon",
        }
        for number in range(count)
    ]


@pytest.mark.parametrize(
    "by",
    [
        pytest.param("thread", marks=pytest.mark.skipif(kernels() is None, reason="no kernels: no thread")),
        pytest.param("processes", marks=forks),
    ],
)
def test_other_threads_and_processes_change_nothing(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same subjects come out when the normalisers run in another thread, or in other processes."""
    monkeypatch.setattr("hashing.workers.cores", lambda: 2)
    if by == "processes":
        monkeypatch.setattr("hashing.reading.normalising.kernels", lambda: None)
    team = Normalising({}, FORK_ROWS)
    assert team._workers is not None
    assert team._workers._forks == (by == "processes")
    team.close()
    extract = extract_of(rows(2000))
    here = collapse_stream(extract.stream(), today=TODAY)
    there = collapse_stream(replace(extract.stream(), expected=FORK_ROWS), today=TODAY)
    assert there.quality == here.quality
    assert there.refs.to_pylist() == here.refs.to_pylist()
    assert there.version_subject.tolist() == here.version_subject.tolist()
    for name, coded in here.fields.items():
        assert there.fields[name].codes.tolist() == coded.codes.tolist()
        assert there.fields[name].values.to_pylist() == coded.values.to_pylist()


@pytest.mark.skipif(kernels() is None, reason="no kernels: no thread")
def test_no_thread_is_left_when_reading_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a source breaks off while texts are being normalised, the thread that does it ends."""
    monkeypatch.setattr("hashing.workers.cores", lambda: 2)
    stream = extract_of(rows(200)).stream()

    def broken() -> Iterator[dict[str, pa.Array]]:
        yield from stream.batches
        assert [thread for thread in threading.enumerate() if thread.name.startswith("seal")]
        raise ExtractError("is broken.", where="x")

    with pytest.raises(ExtractError, match="is broken"):
        collapse_stream(replace(stream, expected=FORK_ROWS, batches=broken()), today=TODAY)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("seal")]


def _killed(_texts: pa.StringArray) -> normalise.Normalised:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@forks
def test_a_killed_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system ends the other process, sealing stops with a sentence, not for ever."""
    monkeypatch.setattr("hashing.workers.cores", lambda: 2)
    monkeypatch.setattr("hashing.reading.normalising.kernels", lambda: None)
    rule: Normaliser = _killed
    team = Normalising({"surname": Rule(normaliser=rule)}, FORK_ROWS)
    try:
        wanted = team.submit("surname", pa.array(["x"]))
        with pytest.raises(OutputError, match="ended from outside"):
            wanted()
    finally:
        team.close()


def test_a_large_parquet_file_is_not_held(tmp_path: Path) -> None:
    """While a file of many row groups is read, Arrow holds a part of it only."""
    count = 200_000
    random = np.random.default_rng(1)
    noise = [f"{number:032x}" for number in random.integers(0, 1 << 62, count)]
    path = tmp_path / "x.parquet"
    table = pa.table({"ref": pa.array([str(number) for number in range(count)]), "surname": pa.array(noise)})
    pq.write_table(table, path, row_group_size=5000, use_dictionary=False, compression="none")
    del table, noise
    before = pa.total_allocated_bytes()
    stream = open_extract(path, agency="a")
    assert stream.expected == count
    most = 0
    for _ in stream.batches:
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < path.stat().st_size


def test_rows_of_a_csv_file_are_estimated(tmp_path: Path) -> None:
    """What decides on other processes is near the number of rows of a CSV file, whatever its encoding."""
    text = "ref,surname\n" + "".join(f"{number:05d},Jones\n" for number in range(30_000))
    for encoding in ("utf-8", "utf-16"):
        path = tmp_path / f"{encoding}.csv"
        path.write_text(text, encoding=encoding)
        assert 29_000 < open_extract(path, agency="a").expected < 31_000
