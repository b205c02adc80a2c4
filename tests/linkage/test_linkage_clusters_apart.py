"""Do-not-link pairs: from an agency's list, through the package, to a run that keeps them apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linkage_world import AGENCIES, AS_OF, NOW, World

from hashing.apart import NOBODY, Apart, read_apart
from linkage.database import connect
from linkage.intake import take_in
from linkage.run import RunResult, link
from schemas.errors import ExtractError, ManifestInvalid, PackageError, SchemaMismatch
from schemas.payload import APART

AGENCY = AGENCIES[1]


def _apart(*pairs: tuple[int, int]) -> Apart:
    return Apart(subjects=np.array(pairs, dtype=np.int32).reshape(-1, 2), listed=len(pairs), not_held=0)


def _link(world: World, out: Path, replaced: Path | None = None) -> RunResult:
    packages = [replaced if replaced and path.stem == AGENCY else path for path in world.packages]
    return link(
        packages,
        out,
        agreement=world.agreement,
        unit=world.unit,
        known=world.public,
        created_at=NOW,
        as_of=AS_OF,
    )


def test_a_pair_kept_apart_is_not_joined(world: World, unit: Any, tmp_path: Path) -> None:
    """Two records that would be one person are two when their agency says so, and stand in no file as a pair."""
    first = next(sender.first_subject for sender in unit.senders if sender.agency == AGENCY)
    count = next(sender.subjects for sender in unit.senders if sender.agency == AGENCY)
    person = unit.clusters.person[first : first + count]
    values, counts = np.unique(person, return_counts=True)
    several = values[counts > 1]
    assert len(several), "the invented agency holds nobody twice"
    one, other = np.flatnonzero(person == several[0])[:2].tolist()
    made = world.seal(AGENCY, tmp_path / f"{AGENCY}.tally", apart=_apart((one, other)))
    found = _link(world, tmp_path / "run", made)
    assert found.kept_apart == 1
    assert found.clusters.person[first + one] != found.clusters.person[first + other]
    for name, columns in (("links", ("subject_l", "subject_r")), ("review", ("record_a", "record_b"))):
        for row in pq.read_table(tmp_path / "run" / f"{name}.parquet").to_pylist():
            own = name == "review" or row["agency_l"] == row["agency_r"] == AGENCY
            texts = {str(row[column]).removeprefix(f"{AGENCY}:") for column in columns}
            assert not (own and texts == {str(one), str(other)})


@pytest.mark.parametrize("pair", [(3, 3), (0, 10**6), (-1, 2)])
def test_pairs_of_other_records_are_refused(world: World, tmp_path: Path, pair: tuple[int, int]) -> None:
    """A sender may keep apart two different records of its own, and nobody else's."""
    table = pa.table({"subject_l": [pair[0]], "subject_r": [pair[1]]}, schema=APART)
    forged = world.forge(AGENCY, tmp_path / "forged.tally", tables={"apart": table}, counts={"apart": 1})
    with connect(threads=1) as con, pytest.raises(SchemaMismatch):
        take_in(con, [forged], agreement=world.agreement, unit=world.unit, known=world.public)


def test_undeclared_pairs_are_refused(world: World, tmp_path: Path) -> None:
    """More pairs than the manifest declares are refused."""
    table = pa.table({"subject_l": [1], "subject_r": [2]}, schema=APART)
    forged = world.forge(AGENCY, tmp_path / "forged.tally", tables={"apart": table})
    with connect(threads=1) as con, pytest.raises(PackageError):
        take_in(con, [forged], agreement=world.agreement, unit=world.unit, known=world.public)
    assert issubclass(ManifestInvalid, PackageError)


@pytest.fixture
def refs(world: World) -> list[tuple[str, int]]:
    """References of the agency and their subjects."""
    subjects = world.subjects[AGENCY]
    return list(zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True))


def _write(path: Path, *rows: tuple[str, str], header: str = "ref,other_ref") -> Path:
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def test_a_list_is_read(world: World, refs: list[tuple[str, int]], tmp_path: Path) -> None:
    """Pairs are numbered as the package is, each once; a reference that the extract lacks is counted."""
    (a, first), (b, second) = refs[0], next(each for each in refs if each[1] != refs[0][1])
    path = _write(tmp_path / "apart.csv", (a, b), (f" {b} ", a), (a, "not-held"))
    found = read_apart(path, world.subjects[AGENCY])
    assert found.subjects.tolist() == [sorted((first, second))]
    assert (found.listed, found.not_held) == (3, 1)


def test_lists_that_cannot_be_kept(world: World, refs: list[tuple[str, int]], tmp_path: Path) -> None:
    """A pair that is one person, an empty reference and a missing column are refused, by row and without a value."""
    ref = refs[0][0]
    for path in (
        _write(tmp_path / "same.csv", (refs[1][0], refs[2][0]), (ref, ref)),
        _write(tmp_path / "empty.csv", (refs[1][0], refs[2][0]), (ref, "")),
        _write(tmp_path / "header.csv", (ref, refs[1][0]), header="ref,with"),
    ):
        with pytest.raises(ExtractError) as refused:
            read_apart(path, world.subjects[AGENCY])
        assert ref not in str(refused.value)
        assert "row 3" in str(refused.value) or "column" in str(refused.value)
    assert len(NOBODY.subjects) == 0
