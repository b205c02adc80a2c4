"""Whom a person belongs with: groups to measure error by, from a file about people or from the extracts themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.extract import read_table
from hashing.subjects import Subjects
from schemas.errors import ExtractError

Ints = NDArray[np.int64]

GROUPS = (
    *("name_origin", "sex", "age_band", "mover", "name_changer", "twin", "no_fixed_abode", "looked_after"),
    *("care_leaver", "protected_address", "nickname_in_use"),
)
"""Columns of the synthetic generator's `truth-people` that error is measured by."""

PEOPLE_FILES = ("truth/truth-people.csv", "truth/truth-people.parquet")
"""Where `synth` leaves the labels, seen from truth.csv."""

BANDS = ((18, "under 18"), (65, "18-64"), (999, "65 and over"))
"""Age bands of groups that are read from the extracts."""

_MOST_VALUES = 40
"""A column with more distinct values is no grouping."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouping:
    """One way to group people.

    Attributes:
        name: For example `age_band`.
        values: The groups.
        of_person: Group of each person, -1 where it is not known.
        source: "people file" or "extracts".
    """

    name: str
    values: tuple[str, ...]
    of_person: Ints
    source: str


def _grouping(name: str, labels: Sequence[str | None], source: str) -> Grouping:
    values = tuple(sorted({label for label in labels if label}))
    number = {value: place for place, value in enumerate(values)}
    codes = np.array([number.get(label or "", -1) for label in labels], dtype=np.int64)
    return Grouping(name=name, values=values, of_person=codes, source=source)


def from_people(path: Path, persons: Sequence[str], *, only: Sequence[str] = ()) -> list[Grouping]:
    """Read groups from a file with a row a person.

    Args:
        path: CSV or Parquet with the column `person` and columns of labels.
        persons: Person ids, in the order of their numbers.
        only: Columns to use; the usual ones (`GROUPS`) that the file has when empty.

    Raises:
        ExtractError: The file cannot be read, or lacks a column.
    """
    table = read_table(path)
    missing = [name for name in ("person", *only) if name not in table.column_names]
    if missing:
        raise ExtractError(
            f"the column(s) {', '.join(missing)} are missing.",
            where=str(path),
            remedy="The file has a row for each person of truth.csv: person, and columns to group by.",
        )
    place = {person: row for row, person in enumerate(table.column("person").to_pylist())}
    rows = [place.get(person, -1) for person in persons]
    wanted = only or [name for name in GROUPS if name in table.column_names]
    found = []
    for name in wanted:
        column = [None if value is None else str(value) for value in table.column(name).to_pylist()]
        grouping = _grouping(name, [column[row] if row >= 0 else None for row in rows], "people file")
        if len(grouping.values) > _MOST_VALUES:
            raise ExtractError(
                f"the column {name} has more than {_MOST_VALUES} values.",
                where=str(path),
                remedy="Group by a column with fewer, such as a band.",
            )
        found.append(grouping)
    return found


def _texts(subjects: Subjects, field: str) -> list[str | None]:
    coded = subjects.fields.get(field)
    if coded is None:
        return [None] * len(subjects.version_subject)
    texts: list[str | None] = coded.values.take(pa.array(coded.codes, mask=coded.codes < 0)).to_pylist()
    return texts


def _values_by_person(
    parts: Mapping[str, Subjects], first: Mapping[str, int], person_of_subject: Mapping[int, int], field: str
) -> dict[int, dict[str, int]]:
    """Return person -> value -> how many versions carry it."""
    found: dict[int, dict[str, int]] = {}
    for agency, subjects in parts.items():
        for number, text in zip(subjects.version_subject.tolist(), _texts(subjects, field), strict=True):
            person = person_of_subject.get(first[agency] + number)
            if person is not None and text is not None:
                counted = found.setdefault(person, {})
                counted[text] = counted.get(text, 0) + 1
    return found


def _band(born: str, today: date) -> str:
    age = (today - date.fromisoformat(born)).days / 365.25
    return next(name for bound, name in BANDS if age < bound)


def from_extracts(
    parts: Mapping[str, Subjects],
    first: Mapping[str, int],
    *,
    subject: Ints,
    person: Ints,
    today: date,
) -> list[Grouping]:
    """Return groups that the recorded identifiers themselves tell: who is hard to link shows in how they are recorded.

    Args:
        parts: agency -> its subjects.
        first: agency -> number of its first subject in the run.
        subject: Subject of each reference, -1 without one.
        person: Person of each reference, numbered from 0.
        today: Day on which ages are taken.
    """
    of_subject = {s: p for s, p in zip(subject.tolist(), person.tolist(), strict=True) if s >= 0}
    people = range(int(person.max(initial=-1)) + 1)
    held = {
        field: _values_by_person(parts, first, of_subject, field)
        for field in ("sex", "dob", "postcode", "surname", "nhs_number")
    }

    def usual(field: str, one: int) -> str | None:
        counted = held[field].get(one)
        return max(sorted(counted), key=lambda text: counted[text]) if counted else None

    def several(field: str, one: int) -> str:
        return "yes" if len(held[field].get(one, ())) > 1 else "no"

    born = [usual("dob", one) for one in people]
    made: dict[str, list[str | None]] = {
        "sex": [usual("sex", one) for one in people],
        "age_band": [_band(day, today) if day else None for day in born],
        "several_postcodes": [several("postcode", one) for one in people],
        "several_surnames": [several("surname", one) for one in people],
        "several_birth_dates": [several("dob", one) for one in people],
        "nhs_number_held": ["yes" if held["nhs_number"].get(one) else "no" for one in people],
    }
    return [_grouping(name, labels, "extracts") for name, labels in made.items()]
