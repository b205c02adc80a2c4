"""Settling, end to end: two files that hold nobody twice are linked better than pair by pair."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from linkage_world import AS_OF, NOW, World, world_of

from hashing.extract import Extract, read_extract
from hashing.mapping import load_mapping
from hashing.shuffling import shuffle
from hashing.subjects import collapse
from linkage.run import RunResult, link
from synthetic.generate import synthesise

NAMES = ("childrens_social_care", "health")


def _kept(extract: Extract, refs: list[str]) -> Extract:
    """Return the rows of some references."""
    rows = pc.is_in(extract.columns["ref"], value_set=pa.array(refs))
    columns = {name: column.filter(rows) for name, column in extract.columns.items()}
    return replace(extract, columns=columns, rows=len(columns["ref"]))


def _world(folder: Path) -> tuple[World, dict[tuple[str, int], str]]:
    """Return an agency that knows everybody and one that knows some children, and the person of each subject."""
    synthesise(folder / "area", people=6000, seed=4, profile="poor", agencies=NAMES, workers=1)
    mappings = load_mapping(folder / "area" / "mapping.yaml")
    refs: dict[str, dict[str, str]] = {name: {} for name in NAMES}
    with (folder / "area" / "truth.csv").open(encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            refs[row["agency"]].setdefault(row["person"], row["ref"])
    person: dict[tuple[str, int], str] = {}
    subjects, extracts = {}, {}
    for name in NAMES:
        of_ref = {ref: who for who, ref in refs[name].items()}
        whole = read_extract(folder / "area" / f"{name}.csv", agency=name, mapping=mappings[name])
        extracts[name] = _kept(whole, list(of_ref))
        subjects[name] = shuffle(collapse(extracts[name], today=NOW.date(), mapping=mappings[name]))
        pairs = zip(subjects[name].refs.to_pylist(), subjects[name].ref_subject.tolist(), strict=True)
        person |= {(name, number): of_ref[ref] for ref, number in pairs}
    return world_of(folder, extracts, subjects, run_id="two-files"), person


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The pairs of the run, which of them are right, and how many there are to find."""

    result: RunResult
    threshold: float
    rows: list[dict[str, Any]]
    right: list[bool]
    people: int

    def errors(self, column: str, least: float) -> tuple[int, int]:
        """Return (false, missed) pairs where those with `column` from `least` up are believed."""
        believed = [
            right
            for row, right in zip(self.rows, self.right, strict=True)
            if row[column] is not None and row[column] >= least
        ]
        return len(believed) - sum(believed), self.people - sum(believed)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> _Found:
    """A run over the two files."""
    folder = tmp_path_factory.mktemp("two-files")
    world, person = _world(folder)
    result = link(
        [world.seal(name, folder / f"{name}.tally") for name in NAMES],
        folder / "run",
        agreement=world.agreement,
        unit=world.unit,
        known=world.public,
        created_at=NOW,
        as_of=AS_OF,
    )
    rows = pq.read_table(folder / "run" / "links.parquet").to_pylist()
    held = [{who for (agency, _), who in person.items() if agency == name} for name in NAMES]
    return _Found(
        result=result,
        threshold=world.agreement.threshold,
        rows=rows,
        right=[
            person[row["agency_l"], row["subject_l"]] == person[row["agency_r"], row["subject_r"]]
            for row in rows
        ],
        people=len(held[0] & held[1]),
    )


def test_two_files_are_linked_better_than_pair_by_pair(found: _Found) -> None:
    """At the threshold fewer links are false than pair by pair, and no more are missed."""
    assert found.threshold == 0.5  # a weight of 0
    false, missed = found.errors("pair_weight", 0.0)
    assert false >= 5  # brothers and sisters, so that there is something to get right
    settled_false, settled_missed = found.errors("match_weight", 0.0)
    assert (settled_false, settled_missed) == found.errors("match_probability", 0.5)
    assert settled_false < false / 2
    assert settled_missed <= missed
    final_false, final_missed = found.errors("final_probability", 0.5)
    assert final_false <= settled_false
    assert final_missed <= settled_missed


def test_what_was_learnt_of_the_two_files(found: _Found) -> None:
    """Nobody is held twice by children's social care, and about as many of its children are known to health as are."""
    settled, sizes = found.result.settled, [sender.subjects for sender in found.result.senders]
    assert [sender.agency for sender in found.result.senders] == list(NAMES)
    assert settled.repeated.tolist() == pytest.approx([0.0, 0.0], abs=0.01)
    assert settled.covered[1, 0] == pytest.approx(found.people / sizes[0], abs=0.03)
    assert settled.covered[0, 1] == pytest.approx(found.people / sizes[1], abs=0.03)
    assert settled.shift[0, 1] > 0 > max(settled.shift[0, 0], settled.shift[1, 1])
