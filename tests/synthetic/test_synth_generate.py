"""`synthesise`: same seed, same bytes; whole or not at all; independent of the code it is meant to test."""

from __future__ import annotations

import csv
import errno
import hashlib
import subprocess
import sys
from collections import Counter
from datetime import date

import pyarrow.csv
import pyarrow.parquet
import pytest

from schemas.errors import InputError, OutputError
from synthetic import generate
from synthetic.generate import synthesise
from synthetic.profile import load_profile, profile_names


def digests(folder):
    """Return the digest of every file by its path in the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def column(path, name):
    """Return one column of a CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [row[name] for row in csv.DictReader(stream)]


def test_same_seed_same_bytes(tmp_path):
    """Two runs with one seed write the same files; another seed writes others."""
    for name, seed in (("one", 4), ("two", 4), ("other", 5)):
        synthesise(tmp_path / name, people=800, seed=seed)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    other = digests(tmp_path / "other")
    assert all(
        other[name] != digest for name, digest in digests(tmp_path / "one").items() if name != "mapping.yaml"
    )


def test_same_bytes_with_one_process_or_two(tmp_path, monkeypatch):
    """Chunks do not depend on who makes them, and share no number or address."""
    monkeypatch.setattr(generate, "CHUNK", 700)
    synthesise(tmp_path / "one", people=2_000, seed=4, workers=1)
    synthesise(tmp_path / "two", people=2_000, seed=4, workers=2)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    people = tmp_path / "one" / "truth" / "truth-people.csv"
    assert len(set(column(people, "person"))) == len(column(people, "person"))
    assert len(set(column(people, "nhs_number"))) == len(column(people, "nhs_number"))
    homes = dict(zip(column(people, "household"), column(people, "uprn"), strict=True))
    homes.pop("", None)
    shared = Counter(uprn for uprn in homes.values() if uprn)
    assert max(shared.values()) == 1
    truth = tmp_path / "one" / "truth.csv"
    keys = list(zip(column(truth, "agency"), column(truth, "ref"), strict=True))
    assert len(set(keys)) == len(keys)


def test_parquet_holds_the_same_as_csv(tmp_path):
    """The two formats differ in their bytes only."""
    synthesise(tmp_path / "csv", people=600, seed=9)
    synthesise(tmp_path / "parquet", people=600, seed=9, file_format="parquet")
    assert (tmp_path / "parquet" / "truth.csv").read_bytes() == (tmp_path / "csv" / "truth.csv").read_bytes()
    for name in ("police", "health", "truth/truth-people", "truth/truth-errors"):
        table = pyarrow.parquet.read_table(tmp_path / "parquet" / f"{name}.parquet")
        types = dict.fromkeys(table.column_names, pyarrow.string())
        options = pyarrow.csv.ConvertOptions(
            column_types=types, strings_can_be_null=name in ("police", "health"), null_values=[""]
        )
        assert table.equals(
            pyarrow.csv.read_csv(tmp_path / "csv" / f"{name}.csv", convert_options=options)
        ), name


def test_summary_counts_what_was_written(tmp_path):
    """Rows and references of the summary are those of the files; progress ends at one."""
    told = []
    summary = synthesise(
        tmp_path / "out",
        people=500,
        seed=2,
        agencies=["health", "police"],
        progress=lambda s, d: told.append((s, d)),
    )
    assert [agency.name for agency in summary.agencies] == ["police", "health"]
    for agency in summary.agencies:
        mapping_ref = {"police": "nominal_ref", "health": "local_patient_id"}[agency.name]
        refs = column(tmp_path / "out" / f"{agency.name}.csv", mapping_ref)
        assert (len(refs), len(set(refs))) == (agency.rows, agency.refs)
    assert summary.errors == len(column(tmp_path / "out" / "truth" / "truth-errors.csv", "error"))
    assert told[-1][1] == 1.0
    assert column(tmp_path / "out" / "truth.csv", "agency")[0] == "police"
    header = (tmp_path / "out" / "truth.csv").read_text(encoding="utf-8").splitlines()[0]
    assert header.replace('"', "") == "agency,ref,person"


def test_a_full_disk_is_reported_in_words(tmp_path, monkeypatch):
    """A failure of the operating system becomes an OutputError, and nothing is left behind."""

    def full(_job):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(generate, "write_chunk", full)
    with pytest.raises(OutputError, match="No space left"):
        synthesise(tmp_path / "out", people=50, seed=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("people", [1, 2, 3, 40])
def test_very_small_populations(tmp_path, people):
    """A handful of people works, with files whose headers are complete even where no row follows."""
    for seed in range(4):
        out = tmp_path / str(seed)
        assert synthesise(out, people=people, seed=seed, profile="poor").people == people
        assert len(column(out / "truth" / "truth-people.csv", "person")) >= people
        assert (out / "police.csv").read_text(encoding="utf-8").startswith('"nominal_ref"')


def test_as_of_moves_the_window(tmp_path):
    """Contacts end at the reference date that was asked for."""
    synthesise(tmp_path / "out", people=400, seed=3, agencies=["health"], as_of=date(2024, 1, 31))
    days = column(tmp_path / "out" / "health.csv", "attendance_date")
    assert max(days) <= "2024-01-31"
    assert min(days) >= "2021-01-30"


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"people": 0}, "people"),
        ({"seed": -1}, "seed"),
        ({"profile": "perfect"}, "profile"),
        ({"agencies": ["police", "coastguard"]}, "agencies"),
        ({"agencies": []}, "agencies"),
        ({"as_of": date(1850, 1, 1)}, "as_of"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, changed, where):
    """The message names the argument, and nothing is written."""
    with pytest.raises(InputError) as refusal:
        synthesise(tmp_path / "out", **{"people": 10, "seed": 1, **changed})
    assert refusal.value.where == where
    assert refusal.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_refused(tmp_path):
    """Existing results are never overwritten."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(OutputError):
        synthesise(tmp_path / "out", people=10, seed=1)
    assert (tmp_path / "out" / "mine.txt").read_text(encoding="utf-8") == "keep"


def test_nothing_is_left_behind_on_failure(tmp_path):
    """An exception half-way leaves neither the folder nor a part of it."""

    def fail(_stage, _share):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        synthesise(tmp_path / "out", people=50, seed=1, progress=fail)
    assert not list(tmp_path.iterdir())


def test_profiles_are_ordered_and_sourced():
    """Poor has more of every error than typical, typical more than low; every rate names a source or "assumed"."""
    low, typical, poor = (load_profile(name) for name in ("low", "typical", "poor"))
    assert profile_names() == ("low", "poor", "typical")
    for field, rate in typical.missing.items():
        assert low.missing[field] < rate < poor.missing[field]
    for field, kinds in typical.errors.items():
        for kind, rate in kinds.items():
            assert low.errors[field][kind] <= rate <= poor.errors[field][kind]
    for profile in (low, typical, poor):
        assert all(source for source in profile.sources.values())


def test_poor_records_differ_more(tmp_path):
    """The share of references with a wrong value grows from low to typical to poor."""
    shares = []
    for name in ("low", "typical", "poor"):
        summary = synthesise(tmp_path / name, people=1_500, seed=6, profile=name)
        shares.append(summary.errors / sum(agency.refs for agency in summary.agencies))
    assert shares[0] < 0.7 * shares[1]
    assert shares[1] < 0.7 * shares[2]


def test_the_generator_knows_nothing_of_the_normalisers():
    """Importing the generator loads no module of hashing or linkage, so it cannot flatter them."""
    code = (
        "import sys, synthetic.generate, synthetic.describe;"
        "print([m for m in sys.modules if m.split('.')[0] in ('hashing', 'linkage')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
