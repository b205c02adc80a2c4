"""The records that every system is given: normalised, collapsed to subjects and numbered alike.

So a difference between systems is one of blocking, comparing and scoring, never of reading a date or a postcode.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from governance.agreement import Agreement
from hashing.derive import derive
from hashing.subjects import Subjects
from schemas.scheme import FIELDS
from synthetic.evaluation import Refs
from synthetic.evaluation_run import crosswalks_of, numbered_again

Ints = NDArray[np.int64]

DERIVED = (
    *("forename.exact", "forename.second", "forename.nickname", "forename.phonetic", "forename.initial"),
    *("surname.exact", "surname.second", "surname.phonetic", "surname.initial"),
    *("dob.swap", "dob.month_year", "dob.day_year", "dob.day_month", "dob.year"),
    *("postcode.sector", "postcode.district", "address.house", "address.number_street", "address.street"),
)
"""Values derived by the normalisers that a clear-text analyst would have as columns too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """The records of one dataset.

    Attributes:
        versions: One row a version (a distinct set of identifiers of a subject): `version`, `subject`, `agency`, every
            identifier and the derived columns; text, null where missing.
        subjects: Number of subjects.
        agency: Shape (subjects,): agency of each subject, as a number from 0.
        refs: Every local reference with its subject and its person by the truth.
        names: (agency, reference) of each of `refs`.
        persons: Person id of each of `refs`, as in truth.csv.
    """

    versions: pa.Table
    subjects: int
    agency: Ints
    refs: Refs
    names: list[tuple[str, str]]
    persons: list[str]


def _column(parts: list[Subjects], derived: list[dict[str, pa.Array]], name: str) -> pa.ChunkedArray:
    chunks = []
    for subjects, extra in zip(parts, derived, strict=True):
        coded = subjects.fields.get(name) or extra.get(name)
        if coded is None:
            chunks.append(pa.nulls(len(subjects.version_subject), pa.string()))
        else:
            chunks.append(coded.values.take(pa.array(coded.codes, mask=coded.codes < 0)))
    return pa.chunked_array(chunks, type=pa.string())


def _versions(parts: list[Subjects]) -> pa.Table:
    derived = [derive(subjects) for subjects in parts]
    first = np.cumsum([0, *(subjects.count for subjects in parts)])
    subject = [part.version_subject + start for part, start in zip(parts, first[:-1], strict=True)]
    agency = [name for part in parts for name in [part.agency] * len(part.version_subject)]
    columns = {name: _column(parts, derived, name) for name in (*FIELDS, *DERIVED)}
    return pa.table(
        {
            "version": pa.array(np.arange(len(agency), dtype=np.int32)),
            "subject": pa.array(np.concatenate(subject).astype(np.int32)),
            "agency": pa.array(agency, pa.string()),
            **{name.replace(".", "_"): column for name, column in columns.items()},
        }
    )


def read_records(folder: Path, *, today: date, agreement: Agreement | None = None) -> Records:
    """Read the extracts and the truth in `folder`.

    Args:
        folder: Extracts, mapping.yaml and truth.csv.
        today: Day of the run, for the normalisers.
        agreement: The agreement the sealed run went by, if any.
    """
    inputs, subjects = numbered_again(folder, today=today, agreement=agreement)
    crosswalks, parts = crosswalks_of(inputs, subjects), list(subjects.values())
    starts = dict(zip(subjects, np.cumsum([0, *(part.count for part in parts)])[:-1].tolist(), strict=True))
    names: list[tuple[str, str]] = []
    numbers: list[int] = []
    persons: list[str] = []
    for agency, walk in crosswalks.items():
        for ref, person in (inputs.truth or {}).get(agency, {}).items():
            if ref in walk:
                names.append((agency, ref))
                numbers.append(starts[agency] + walk[ref] if walk[ref] >= 0 else -1)
                persons.append(person)
    _, person_codes = np.unique(np.array(persons, dtype=object), return_inverse=True)
    return Records(
        versions=_versions(parts),
        subjects=sum(part.count for part in parts),
        agency=np.repeat(np.arange(len(parts)), [part.count for part in parts]),
        refs=Refs(subject=np.array(numbers, dtype=np.int64), person=person_codes.astype(np.int64)),
        names=names,
        persons=persons,
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a small CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
