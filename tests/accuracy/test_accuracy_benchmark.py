"""The accuracy benchmark: every system on the same small records, its figures counted two ways, its page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from benchmarks.accuracy import clear, fingerprint, keys, page, sealed
from benchmarks.accuracy.datasets import all_datasets
from benchmarks.accuracy.errors import error_text, mistakes, true_pairs
from benchmarks.accuracy.figures import figures, settled_alike, ties_of
from benchmarks.accuracy.found import Clock, Found, load, save
from benchmarks.accuracy.plot import plot
from benchmarks.accuracy.records import Records, read_records
from benchmarks.accuracy.worker import NOW
from benchmarks.febrl import write_febrl
from linkage.clusters import Evidence, cluster
from linkage.ties import Ties
from synthetic.evaluation_run import read_run


@pytest.fixture(scope="module")
def records(extracts: Path) -> Records:
    """The records of the shared small population."""
    return read_records(extracts, today=NOW.date())


@pytest.fixture(scope="module")
def by_keys(records: Records) -> Found:
    """Hashed match keys on them."""
    clock = Clock()
    found = keys.link(records, clock=clock)
    return Found(
        left=found.left, right=found.right, score=found.score, facts={**found.facts, **clock.facts()}
    )


def test_records_are_those_of_the_truth(records: Records, extracts: Path) -> None:
    """Every reference of truth.csv has its person, and a version of every subject is there to compare."""
    lines = (extracts / "truth.csv").read_text(encoding="utf-8").splitlines()
    assert len(records.persons) == len(lines) - 1
    assert set(records.versions.column("subject").to_pylist()) == set(range(records.subjects))
    assert records.versions.column("dob").null_count < records.versions.num_rows


@pytest.mark.parametrize("threshold", [0.3, 0.75, 0.95])
def test_mistakes_and_figures_agree(records: Records, by_keys: Found, threshold: float) -> None:
    """Listed one by one, missed and false pairs give the precision and recall that the figures state."""
    facts = {**by_keys.facts, "threshold": threshold}
    found = Found(left=by_keys.left, right=by_keys.right, score=by_keys.score, facts=facts)
    made, stated = mistakes(found, records, threshold), figures(found, records)
    actual = len(true_pairs(records))
    missed = len(made.unusable) + len(made.unmet) + len(made.low)
    assert stated["true_pairs"] == actual
    assert stated["default"]["pairs"]["recall"] == pytest.approx(1 - missed / actual)
    right = actual - missed
    assert stated["default"]["pairs"]["precision"] == pytest.approx(right / (right + len(made.false)))
    assert stated["best"]["pairs"]["f1"] >= stated["default"]["pairs"]["f1"]
    assert stated["blocking_recall"] == pytest.approx(1 - (len(made.unusable) + len(made.unmet)) / actual)


def test_match_keys_are_right_but_miss_much(records: Records, by_keys: Found) -> None:
    """Exact keys hardly ever link strangers and do not find everyone, or the benchmark would be broken."""
    found = figures(by_keys, records)["default"]["pairs"]
    assert found["precision"] > 0.95
    assert 0.5 < found["recall"] < 0.99


def test_clear_text_is_a_strong_opponent(records: Records) -> None:
    """The clear-text model compares next to all true pairs and links them well: a weak one would flatter us."""
    found = figures(clear.link(records, clock=Clock()), records)
    assert found["blocking_recall"] > 0.985
    assert found["best"]["pairs"]["f1"] > 0.96
    assert found["rules"] >= 16


def test_errors_are_told_in_counts(records: Records, by_keys: Found, tmp_path: Path, extracts: Path) -> None:
    """The error analysis counts identifiers, groups and kinds of errors, and shows no value or reference."""
    (tmp_path / "extracts").symlink_to(extracts)
    found = figures(by_keys, records)
    for system in ("sealed", "clear"):
        save(by_keys, tmp_path / system)
    text = error_text(records, tmp_path, {"sealed": found, "clear": found})
    for told in ("never compared", "dob", "mover yes", "forename", "Missed by both"):
        assert told in text
    assert "by sealed only 0, by clear text only 0" in text
    held = {
        value
        for field in ("forename", "surname", "postcode", "nhs_number", "uprn")
        for value in records.versions.column(field).to_pylist()
        if value is not None and len(value) > 3
    }
    assert not held & set(re.findall(r"[A-Z0-9]+", text))


@pytest.fixture(scope="module")
def sealed_run(extracts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Found, Path]:
    """Sealed linkage of them, and the folder that its rehearsal left."""
    out = tmp_path_factory.mktemp("sealed") / "run"
    return sealed.link(extracts, out, now=NOW)[0], out


@pytest.fixture(scope="module")
def by_seal(sealed_run: tuple[Found, Path]) -> Found:
    """Sealed linkage of them."""
    return sealed_run[0]


def _persons(found: Found, records: Records, monkeypatch: pytest.MonkeyPatch) -> np.ndarray[Any, Any]:
    """Return the person of each subject when figures are counted at the system's own threshold."""
    held = {}

    def kept(*args: Any, **options: Any) -> Any:
        made = cluster(*args, **options)
        held[options["threshold"]] = made.person
        return made

    monkeypatch.setattr("benchmarks.accuracy.figures.cluster", kept)
    figures(found, records)
    return held[found.facts["threshold"]]


def test_sealed_people_are_those_of_the_run(
    records: Records, sealed_run: tuple[Found, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the agreed threshold the benchmark puts the same records together as the run did, repair included."""
    found, out = sealed_run
    person, by_link = _persons(found, records, monkeypatch), read_run(out).cluster
    assert found.evidence is not None
    assert len(set(zip(person.tolist(), by_link.tolist(), strict=True))) == by_link.max() + 1


def test_the_repair_is_part_of_the_figures(records: Records, by_seal: Found) -> None:
    """What speaks against joins changes who is one person: without it, or with all of it, other records go together."""
    assert by_seal.evidence is not None
    nothing = figures(replace(by_seal, evidence=None), records)["default"]["clusters"]
    numbers = replace(by_seal.evidence, numbers_differ=np.ones(len(by_seal.left), dtype=bool))
    parted = figures(replace(by_seal, evidence=numbers, score=by_seal.score * 0.9), records)
    joined = figures(replace(by_seal, evidence=None, score=by_seal.score * 0.9), records)
    assert parted["default"]["clusters"]["recall"] < joined["default"]["clusters"]["recall"]
    assert nothing["recall"] >= figures(by_seal, records)["default"]["clusters"]["recall"]


def test_benchmark_and_run_hold_the_same_pairs(records: Records, sealed_run: tuple[Found, Path]) -> None:
    """Every pair of the run, those that are one person through others included, has its probability on the page."""
    found, out = sealed_run
    ours, run = ties_of(found, records), read_run(out).ties
    assert (~ours.compared).any()

    def held(ties: Ties) -> dict[tuple[int, int], float]:
        pairs = zip(ties.left.tolist(), ties.right.tolist(), strict=True)
        return dict(zip(pairs, ties.probability.tolist(), strict=True))

    assert held(ours) == pytest.approx(held(run))
    assert ours.compared.sum() == run.compared.sum()


def test_our_last_step_is_given_to_others_too(records: Records, by_keys: Found) -> None:
    """Another system's pairs can be weighed and chained as ours are, and only pairs it found can be chained."""
    alike = settled_alike(by_keys, records)
    assert figures(alike, records)["blocking_recall"] == figures(by_keys, records)["blocking_recall"]
    ties = ties_of(alike, records)
    assert ties.compared.sum() == len(by_keys.left)
    assert set(ties.left[~ties.compared]) <= {*by_keys.left, *by_keys.right}


def test_evidence_is_kept_whole(by_seal: Found, tmp_path: Path) -> None:
    """What speaks against joins, and the weights, read back as they were."""
    save(by_seal, tmp_path / "sealed")
    back = load(tmp_path / "sealed")
    assert back.evidence is not None
    assert by_seal.evidence is not None
    for name in Evidence.__dataclass_fields__:
        assert np.array_equal(getattr(back.evidence, name), getattr(by_seal.evidence, name)), name
    assert np.array_equal(back.weight, by_seal.weight)


def test_results_are_kept_whole(by_keys: Found, tmp_path: Path) -> None:
    """A kept result reads back as it was."""
    save(by_keys, tmp_path / "keys")
    back = load(tmp_path / "keys")
    assert np.array_equal(back.left, by_keys.left)
    assert np.array_equal(back.score, by_keys.score)
    assert back.facts == by_keys.facts


def test_the_page_and_its_plots(
    records: Records, by_keys: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page has a table and a plot a dataset; the plot is well-formed and says in words what it shows."""
    found = {**figures(by_keys, records), "d": 0.1, "d_observed": 0.05}
    systems = {"sealed": found, "clear": found, "alike": found, "keys": found}
    image = plot("A <dataset>", systems)
    root = ET.fromstring(image)  # noqa: S314  our own text
    assert root.tag.endswith("svg")
    assert "F1" in "".join(root.itertext())
    monkeypatch.setattr(page, "DOCS", tmp_path)
    dataset = all_datasets(seed=2)["febrl1"]
    written = page.write_page({"febrl1": (dataset, systems)}, seed=2)
    text = written.read_text(encoding="utf-8")
    assert (tmp_path / "benchmarks" / "febrl1.svg").exists()
    assert text.count("| **Tallystick, sealed** |") == 1
    assert f"| {dataset.title} | {found['best']['pairs']['f1']:.4f} |" in text
    assert "benchmarks/febrl1.svg" in text
    assert f"{found['best']['pairs']['f1']:.4f}" in text


def test_stale_results_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of a result changes with the code that made it, and with no other."""
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)
    monkeypatch.setattr(fingerprint, "CODE", {"one": ("a",), "two": ("b.py",)})
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("1", encoding="utf-8")
    (tmp_path / "b.py").write_text("1", encoding="utf-8")
    before = fingerprint.fingerprint("one"), fingerprint.fingerprint("two")
    (tmp_path / "a" / "x.py").write_text("2", encoding="utf-8")
    assert fingerprint.fingerprint("one") != before[0]
    assert fingerprint.fingerprint("two") == before[1]


@pytest.mark.parametrize(("number", "refs", "people"), [(1, 1000, 500), (3, 5000, 2000)])
def test_febrl_files(tmp_path: Path, number: int, refs: int, people: int) -> None:
    """FEBRL 1 and 3 are one agency each, with as many records and people as their description says."""
    write_febrl(number, tmp_path / "in", with_number=False)
    truth = [line.split(",") for line in (tmp_path / "in" / "truth.csv").read_text().splitlines()[1:]]
    assert len(truth) == refs
    assert len({person for _, _, person in truth}) == people
    assert "nhs_number" not in (tmp_path / "in" / "records.csv").read_text().splitlines()[0]
