"""Collapse an extract to subjects, the versions of their identifiers, and their contacts.

A *subject* is one person as one agency knows them: rows with the same local reference, or with the same
complete normalised identifiers, are one subject. A *version* is one distinct set of identifiers that a subject
was recorded with (a person who moved or married has several). Tokens are made once a version, contacts are
counted once a subject.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing import normalise
from hashing.coding import Coded, at
from hashing.contacts import (
    CLOSED_WORDS,
    NO_DAY,
    OPEN_WORDS,
    Contacts,
    contacts_of,
    last_rows,
    under_subjects,
)
from hashing.deriving import Deriving
from hashing.extract import Extract, Stream
from hashing.grouping import (
    VERSIONS_KEPT,
    fill_gaps,
    kept_versions,
    of_several,
    references,
    subject_of_records,
)
from hashing.mapping import AgencyMapping
from hashing.people import FieldQuality, People, identifier_rules, people_of
from hashing.reading.memory import give_back, reuse
from hashing.reading.records import RecordReader, Records
from hashing.reading.table import RAGGED
from schemas.errors import ExtractError
from schemas.scheme import FIELDS

__all__ = [
    "CLOSED_WORDS",
    "NO_DAY",
    "OPEN_WORDS",
    "STANDARD_ROWS",
    "VERSIONS_KEPT",
    "Contacts",
    "FieldQuality",
    "Quality",
    "Subjects",
    "collapse",
    "collapse_stream",
    "guess_standards",
]


UNDATED = "no usable contact date"
"""Reason why a row's contact is not sent; its identifiers are used."""

STANDARD_ROWS = 20_000
"""Rows of an extract from which the standard of its numbers is guessed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quality:
    """What was read, in counts."""

    rows: int
    subjects: int
    versions: int
    unusable: Mapping[str, int]
    versions_left_out: int
    fields: Mapping[str, FieldQuality]
    undated_contacts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Subjects:
    """An agency's subjects, ready to be derived and sealed.

    Attributes:
        agency: Name of the agency.
        count: Number of subjects; they are numbered from 0.
        refs: Local references that belong to a subject.
        ref_subject: Subject of each of `refs`, int32.
        version_subject: Subject of each version, int32.
        fields: Normalised identifiers of each version; a field that the extract lacks is left out.
        standards: Field -> standard it was normalised by, where there is a choice.
        contacts: Contacts.
        quality: Counts.
        rejected: Reason -> rows of the extract, from 0, that cannot be used or be placed in time.
        deriving: Derived values that are being made meanwhile (`hashing.derive.derive` waits for them).
    """

    agency: str
    count: int
    refs: pa.StringArray
    ref_subject: NDArray[np.int32]
    version_subject: NDArray[np.int32]
    fields: Mapping[str, Coded]
    standards: Mapping[str, str]
    contacts: Contacts
    quality: Quality
    rejected: Mapping[str, NDArray[np.int64]] = dataclass_field(default_factory=dict)
    deriving: Deriving = dataclass_field(default_factory=Deriving, repr=False, compare=False)


def guess_standards(extracts: Mapping[str, Extract]) -> dict[str, str]:
    """Return the standard of postcodes and NHS numbers that fits most values of these extracts together.

    A file from elsewhere (or a test file) may hold another kind of number under these columns; such a number is
    still evidence, but must not be held to UK rules.
    """
    standards: dict[str, str] = {}
    for field in ("postcode", "nhs_number"):
        arrays = [extract.columns[field] for extract in extracts.values() if field in extract.columns]
        if arrays:
            sample = pa.concat_arrays([array[:STANDARD_ROWS] for array in arrays])
            guess = normalise.guess_standards(field, sample)
            if guess == "generic":
                standards[field] = guess
    return standards


def _usable(people: People, source: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, for each record, whether it has a reference and whether it has a usable identifier (sex is none)."""
    has_ref = people.ref.codes >= 0
    anything = np.zeros(len(has_ref), dtype=bool)
    for name, coded in people.fields.items():
        if name != "sex":
            anything |= coded.codes >= 0
    if not (has_ref & anything).any():
        raise ExtractError(
            "no row has both a reference and a usable identifier.",
            where=source,
            remedy="Check the column names, or write a mapping.yaml.",
        )
    return has_ref, anything


def _numbered_in_source(rows: NDArray[np.int64], ragged: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows' numbers in the source, from 0, where the rows `ragged` were left out in reading."""
    before = ragged - np.arange(len(ragged))  # rows kept before each that was left out
    return rows + np.searchsorted(before, rows, side="right")


def _rejected(
    records: Records,
    has_ref: NDArray[np.bool_],
    anything: NDArray[np.bool_],
    undated: NDArray[np.bool_] | None,
    ragged: Sequence[int],
) -> dict[str, NDArray[np.int64]]:
    """Return reason -> rows of the source, from 0; `undated` flags rows, the flags before it records."""
    flags = {"no reference": ~has_ref, "no usable identifier": has_ref & ~anything}
    rows = {
        reason: np.flatnonzero(flag[records.record]) if flag.any() else np.zeros(0, dtype=np.int64)
        for reason, flag in flags.items()
    }
    rows[UNDATED] = np.zeros(0, dtype=np.int64)
    if undated is not None:
        rows[UNDATED] = np.flatnonzero(undated & has_ref[records.record])
    left_out = np.asarray(ragged, dtype=np.int64)
    rejected = {reason: _numbered_in_source(found, left_out) for reason, found in rows.items()}
    return {**rejected, RAGGED: left_out} if len(left_out) else rejected


@dataclass(frozen=True, kw_only=True, slots=True)
class _Grouped:
    """The people of an extract under their subjects.

    Attributes:
        count: Number of subjects.
        of_record: Subject of each record; -1 for a record without a reference.
        refs: References, with the subject of each.
        ref_subject: See `refs`.
        version_subject: Subject of each version.
        fields: Identifiers of each version.
        left_out: Versions beyond the most that a subject may have.
    """

    count: int
    of_record: NDArray[np.int32]
    refs: pa.StringArray
    ref_subject: NDArray[np.int32]
    version_subject: NDArray[np.int32]
    fields: Mapping[str, Coded]
    left_out: int


def _grouped(people: People, has_ref: NDArray[np.bool_], last: NDArray[np.int64]) -> _Grouped:
    """Find subjects and versions; uses `people` up.

    Args:
        people: Records that have a reference.
        has_ref: Which of all records these are.
        last: Orders all records by their latest contact.
    """
    subject, count = subject_of_records(people.ref.codes, people.fields)
    give_back()
    some = of_several(subject, count, last[has_ref])
    refs, ref_subject = references(people.ref, subject)
    fields = dict(people.fields)
    for name in tuple(fields):
        fields[name] = fill_gaps(subject, count, fields.pop(name), some)
    versions = kept_versions(subject, count, fields, some, people.others)
    del people, some
    give_back()
    of_record = np.full(len(has_ref), -1, dtype=np.int32)
    of_record[has_ref] = subject
    return _Grouped(
        count=count,
        of_record=of_record,
        refs=refs,
        ref_subject=ref_subject,
        version_subject=at(subject, versions.record),
        fields={name: versions.of(name, fields.pop(name)) for name in tuple(fields)},
        left_out=versions.left_out,
    )


def collapse_stream(
    stream: Stream,
    *,
    today: date,
    mapping: AgencyMapping | None = None,
    standards: Mapping[str, str] | None = None,
    match_fields: frozenset[str] = frozenset(FIELDS),
) -> Subjects:
    """Read a stream to its end and collapse it to subjects, versions and contacts.

    What is held grows with people, not with rows: of a row only numbers stay (about 13 bytes).

    Args:
        stream: The extract, batch by batch.
        today: Dates after this day are invalid.
        mapping: Formats and codes of this agency.
        standards: Field -> standard, where it is not the UK one; the agreement's, so that all agencies agree.
        match_fields: Identifiers that the agreement allows to be matched on.

    Raises:
        ExtractError: No row of the extract can be used, or reading it fails.
        OutputError: A process that shared the work was ended from outside.
    """
    reuse()
    mapping = mapping or AgencyMapping()
    standards = {**(standards or {}), **mapping.standards}
    rules = identifier_rules(mapping, standards, match_fields)
    reader = RecordReader(rules, stream.expected)
    team = reader.team()
    try:
        records = reader.read(stream.batches, team)
        people = people_of(records, mapping, today)
        has_ref, anything = _usable(people, stream.source)
        deriving = Deriving.begin(team, people.fields, standards)
    except BaseException:
        team.close()
        raise
    quality, rows = people.quality, records.rows
    undated = "record_date" in records.contacts
    contacts = contacts_of(records, mapping, today)
    rejected = _rejected(
        records, has_ref, anything, contacts.day == NO_DAY if undated else None, stream.ragged
    )
    del records, anything
    last = last_rows(contacts, len(has_ref))
    people = people.take(np.flatnonzero(has_ref))
    give_back()
    grouped = _grouped(people, has_ref, last)
    del people, last
    contacts = under_subjects(contacts, grouped.of_record)
    give_back()
    subjects = _subjects(stream, standards, grouped, contacts, rejected, quality, rows)
    return replace(subjects, deriving=deriving)


def _subjects(
    stream: Stream,
    standards: Mapping[str, str],
    grouped: _Grouped,
    contacts: Contacts,
    rejected: Mapping[str, NDArray[np.int64]],
    fields: Mapping[str, FieldQuality],
    rows: int,
) -> Subjects:
    """Put the result together; `rows` are those that were as wide as the header."""
    return Subjects(
        agency=stream.agency,
        count=grouped.count,
        refs=grouped.refs,
        ref_subject=grouped.ref_subject,
        version_subject=grouped.version_subject,
        fields=grouped.fields,
        standards=standards,
        contacts=contacts,
        quality=Quality(
            rows=rows + len(stream.ragged),
            subjects=grouped.count,
            versions=len(grouped.version_subject),
            unusable={reason: len(found) for reason, found in rejected.items() if reason != UNDATED},
            versions_left_out=grouped.left_out,
            fields=fields,
            undated_contacts=int(np.count_nonzero(contacts.day == NO_DAY)),
        ),
        rejected=rejected,
    )


def collapse(
    extract: Extract,
    *,
    today: date,
    mapping: AgencyMapping | None = None,
    standards: Mapping[str, str] | None = None,
    match_fields: frozenset[str] = frozenset(FIELDS),
) -> Subjects:
    """Collapse an extract that was read as a whole; otherwise as `collapse_stream`."""
    return collapse_stream(
        extract.stream(), today=today, mapping=mapping, standards=standards, match_fields=match_fields
    )
