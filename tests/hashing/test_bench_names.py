"""The benchmark of several names a person: what it adds to extracts, and the page that keeps its table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks import bench_names
from benchmarks.accuracy.page import OTHERS, kept_below
from hashing.mapping import load_mapping
from tests.conftest import run


@pytest.fixture(scope="module")
def area(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small invented area as the benchmark makes it."""
    folder = tmp_path_factory.mktemp("names") / "extracts"
    assert run("synth", folder, "--people", "600", "--seed", "5").exit_code == 0
    return folder


def test_spellings_are_no_other_names() -> None:
    """A keying error is the same name, a maiden name is another."""
    assert not bench_names.far("Smith", "SMIHT")
    assert bench_names.far("Smith", "Kowalska")


def test_names_are_noted_beside_the_name_of_today(area: Path, tmp_path: Path) -> None:
    """Only people who changed a name get one noted, and only in rows that hold the name of today; the file says who."""
    noted = bench_names.note_names(area, 1.0, 5)
    people = {row["person"]: row for row in bench_names.rows_of(area / bench_names.PEOPLE)}
    assert noted
    assert {people[who]["name_changer"] for who in noted} == {"yes"}
    person, mapping, found = bench_names.persons_of(area), load_mapping(area / "mapping.yaml"), set()
    for agency in bench_names.AGENCIES:
        columns = mapping[agency].columns
        for row in bench_names.rows_of(area / f"{agency}.csv"):
            if row[bench_names.COLUMN]:
                who = person[(agency, row[columns["ref"]])]
                assert not bench_names.far(row[columns["surname"]], people[who]["surname"])
                found.add(who)
    assert found == noted
    bench_names.write_groups(area, noted, tmp_path / "people.csv")
    rows = list(csv.DictReader((tmp_path / "people.csv").read_text().splitlines()))
    assert {row["person"] for row in rows if row["noted"] == "yes"} == noted
    (tmp_path / "mapping.yaml").write_text(bench_names.with_also(area / "mapping.yaml"))
    assert load_mapping(tmp_path / "mapping.yaml")["police"].also == {"surname": (bench_names.COLUMN,)}


def test_the_page_keeps_other_benchmarks(tmp_path: Path) -> None:
    """What stands below the heading of other benchmarks is kept when the page is written anew."""
    page = tmp_path / "benchmarks.md"
    assert kept_below(page) == ""
    page.write_text(f"# Accuracy\n\n{OTHERS}\na table\n", encoding="utf-8")
    assert kept_below(page) == f"{OTHERS}\na table\n"
