"""Derived values that are made beside other work are those that are made later, of the same people."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sealing_builders import LIMITS, TODAY, extract_of, person

from hashing import deriving
from hashing.coding import Mapped
from hashing.derive import derive
from hashing.deriving import Deriving
from hashing.exclusions import leave_out
from hashing.native.library import kernels
from hashing.shuffling import shuffle
from hashing.subjects import Subjects, collapse_stream
from hashing.workers import FORK_ROWS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who is left")


@pytest.fixture(params=["thread", "processes"], autouse=True)
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have them made by another thread, as kernels allow, or by other processes."""
    monkeypatch.setattr("hashing.workers.cores", lambda: 2)
    if request.param == "processes":
        monkeypatch.setattr("hashing.reading.normalising.kernels", lambda: None)
    elif kernels() is None:
        pytest.skip("there are no compiled kernels here, so no thread makes them")


def _collapsed() -> Subjects:
    """Collapse forty people as if they were many."""
    rows = [
        person(str(number), [number * step % (limit + 1) for step, limit in enumerate(LIMITS, start=3)])
        for number in range(40)
    ]
    return collapse_stream(replace(extract_of(rows).stream(), expected=FORK_ROWS), today=TODAY)


def _children() -> set[str]:
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


def _same(left: Subjects, right: Subjects) -> bool:
    one, two = derive(left), derive(right)
    assert list(one) == list(two)
    return all(
        np.array_equal(column.table, other.table) and column.values.equals(other.values)
        for column, other in zip(one.values(), two.values(), strict=True)
        if isinstance(column, Mapped) and isinstance(other, Mapped)
    )


@pytest.mark.parametrize("shuffled", [False, True])
def test_values_made_early_are_those_made_late(shuffled: bool) -> None:
    """Numbered as the subjects number them now, whatever was numbered anew since; no process is left."""
    before = _children()
    subjects = _collapsed()
    assert subjects.deriving._made.keys() == subjects.fields.keys()
    subjects = shuffle(subjects) if shuffled else subjects
    assert subjects.deriving.tables("dob", subjects.fields["dob"].values)
    assert _same(subjects, replace(subjects, deriving=Deriving()))
    assert _children() <= before


def test_nothing_of_people_left_out_is_carried_along() -> None:
    """When somebody is left out, what was made early serves those who stay; no process is left."""
    before = _children()
    subjects, told = leave_out(_collapsed(), {"3": "objection"})
    assert told.people == 1
    assert subjects.deriving.tables("surname", subjects.fields["surname"].values) is not None
    shuffled = shuffle(subjects)
    assert _same(shuffled, replace(shuffled, deriving=Deriving()))
    assert _children() <= before


def test_values_that_others_put_in_place_are_derived_anew() -> None:
    """Tables count only for the very values they were made of."""
    subjects = _collapsed()
    surname = subjects.fields["surname"]
    copied = replace(surname, values=surname.values.take(pa.array(range(len(surname.values)))))
    assert subjects.deriving.tables("surname", copied.values) is None
    subjects.deriving.close()


def test_many_values_wait_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take much memory is not made early."""
    monkeypatch.setattr(deriving, "_MOST", 3)
    subjects = _collapsed()
    assert set(subjects.deriving._made) == {
        name for name, coded in subjects.fields.items() if len(coded.values) <= 3
    }
    assert _same(subjects, replace(subjects, deriving=Deriving()))
