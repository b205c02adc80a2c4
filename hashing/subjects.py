"""Collapse an extract to subjects, the versions of their identifiers, and their contacts.

A *subject* is one person as one agency knows them: rows with the same local reference, or with the same
complete normalised identifiers, are one subject. A *version* is one distinct set of identifiers that a subject
was recorded with (a person who moved or married has several). Tokens are made once a version, contacts are
counted once a subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hashing import normalise
from hashing.coding import Coded, Codes, combine, encode, recode
from hashing.extract import Extract
from hashing.mapping import AgencyMapping
from schemas.errors import ExtractError
from schemas.scheme import FIELDS

VERSIONS_KEPT = 8
"""Most versions of one subject that are sealed, the latest first; more are counted and left out."""

OPEN_WORDS = ("OPEN", "O", "ACTIVE", "CURRENT", "ONGOING", "LIVE", "Y", "YES", "TRUE", "1")
CLOSED_WORDS = ("CLOSED", "C", "CLOSE", "INACTIVE", "ENDED", "COMPLETED", "N", "NO", "FALSE", "0", "NFA")


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldQuality:
    """Counts of rows by what normalising made of one field; counts only, never a value."""

    ok: int
    missing: int
    placeholder: int
    invalid: int


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
class Contacts:
    """Contacts of subjects, one row each.

    Attributes:
        subject: Shape (contacts,), int32.
        day: Days since 1970-01-01, int32; -2**31 where the date is missing.
        is_open: 1 open, 0 closed, -1 not known.
        lead: Whom to ring, coded.
    """

    subject: NDArray[np.int32]
    day: NDArray[np.int32]
    is_open: NDArray[np.int8]
    lead: Coded


NO_DAY = np.int32(-(2**31))


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


def _normaliser(
    field: str, mapping: AgencyMapping, standards: Mapping[str, str], today: date, counts: NDArray[np.int64]
) -> Callable[[pa.StringArray], normalise.Normalised]:
    match field:
        case "forename":
            return normalise.normalise_forename
        case "surname":
            return normalise.normalise_surname
        case "dob" | "record_date":
            return lambda raw: normalise.normalise_date(
                raw, formats=mapping.dates.get(field), today=today, is_birth=field == "dob", counts=counts
            )
        case "sex":
            return lambda raw: normalise.normalise_sex(raw, codes=mapping.codes.get("sex"))
        case "postcode":
            return lambda raw: normalise.normalise_postcode(
                raw, standard="generic" if standards.get("postcode") == "generic" else "uk"
            )
        case "nhs_number":
            return lambda raw: normalise.normalise_nhs_number(
                raw, standard="generic" if standards.get("nhs_number") == "generic" else "nhs"
            )
        case "uprn":
            return normalise.normalise_uprn
        case _:
            return normalise.normalise_address


def _normalise_column(
    field: str, raw: pa.StringArray, mapping: AgencyMapping, standards: Mapping[str, str], today: date
) -> tuple[Coded, FieldQuality]:
    source = encode(raw)
    counts = np.bincount(source.codes[source.codes >= 0], minlength=len(source.values)).astype(np.int64)
    result = _normaliser(field, mapping, standards, today, counts)(source.values)
    by_outcome = np.bincount(result.outcomes, weights=counts, minlength=4).astype(int)
    empty = int((source.codes < 0).sum())
    quality = FieldQuality(
        ok=int(by_outcome[normalise.Outcome.OK]),
        missing=int(by_outcome[normalise.Outcome.MISSING]) + empty,
        placeholder=int(by_outcome[normalise.Outcome.PLACEHOLDER]),
        invalid=int(by_outcome[normalise.Outcome.INVALID]),
    )
    return recode(source, result.values), quality


def _subject_of_rows(ref: Codes, fields: Mapping[str, Coded]) -> tuple[NDArray[np.int64], int]:
    """Give each row its subject: same reference, or same complete identifiers."""
    tuples, size = combine([coded.codes for coded in fields.values()])
    place = [name for name in ("postcode", "uprn", "nhs_number", "address") if name in fields]
    complete = np.ones(len(ref), dtype=bool)
    for name in ("forename", "surname", "dob"):
        complete &= fields[name].codes >= 0 if name in fields else False
    complete &= np.any([fields[name].codes >= 0 for name in place], axis=0) if place else False
    refs = int(ref.max(initial=-1)) + 1
    rows = np.flatnonzero(complete)
    edges = coo_array(
        (np.ones(len(rows), dtype=np.int8), (ref[rows], refs + tuples[rows])),
        shape=(refs + size, refs + size),
    )
    _, component = connected_components(edges, directed=False)
    return combine([component[ref].astype(np.int64)])


def _fill_gaps(subject: NDArray[np.int64], count: int, coded: Coded, order: NDArray[np.int64]) -> Coded:
    """Fill a missing value of a row with the latest value that its subject has elsewhere."""
    known = order[coded.codes[order] >= 0]
    latest = np.full(count, -1, dtype=np.int32)
    latest[subject[known]] = coded.codes[
        known
    ]  # rows are in time order, so the last assignment is the latest
    return Coded(codes=np.where(coded.codes >= 0, coded.codes, latest[subject]), values=coded.values)


def _versions(
    subject: NDArray[np.int64], fields: Mapping[str, Coded], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """Return one row number for each version kept (latest first, at most VERSIONS_KEPT) and how many were cut."""
    version, count = combine([subject, *(coded.codes for coded in fields.values())])
    last_row = np.empty(count, dtype=np.int64)
    last_row[version[order]] = order
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    # Newest first within each subject; the rank in that order decides which versions stay.
    by_subject = last_row[np.lexsort((-position[last_row], subject[last_row]))]
    owner = subject[by_subject]
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    rank = np.arange(len(owner)) - np.repeat(starts, np.diff(np.r_[starts, len(owner)]))
    kept = by_subject[rank < VERSIONS_KEPT]
    return kept, count - len(kept)


def _days(coded: Coded) -> NDArray[np.int32]:
    """Return days since 1970-01-01 of ISO dates, NO_DAY where missing."""
    if len(coded.values) == 0:
        return np.full(len(coded.codes), NO_DAY, dtype=np.int32)
    days = pc.cast(pc.cast(coded.values, pa.date32()), pa.int32()).to_numpy(zero_copy_only=False)
    return np.where(coded.codes >= 0, days[coded.codes], NO_DAY).astype(np.int32)


def _open_flags(raw: pa.StringArray | None, mapping: AgencyMapping, rows: int) -> NDArray[np.int8]:
    if raw is None:
        return np.full(rows, -1, dtype=np.int8)
    source = encode(raw)
    codes = mapping.codes.get("case_status", {})
    known = {word: np.int8(1) for word in OPEN_WORDS} | {word: np.int8(0) for word in CLOSED_WORDS}
    flags = np.array(
        [
            known.get(codes.get(text.strip(), text).strip().upper(), np.int8(-1))
            for text in source.values.to_pylist()
        ]
        or [np.int8(-1)],
        dtype=np.int8,
    )
    return np.where(source.codes >= 0, flags[source.codes], np.int8(-1)).astype(np.int8)


def _contacts(
    extract: Extract, rows: NDArray[np.int64], subject: NDArray[np.int64], mapping: AgencyMapping, today: date
) -> Contacts:
    def column(name: str) -> pa.StringArray:
        return extract.columns.get(name, pa.nulls(extract.rows, pa.string()))

    dates, _ = _normalise_column("record_date", column("record_date"), mapping, {}, today)
    lead = encode(pc.utf8_trim_whitespace(column("lead_contact")))
    day = _days(dates)
    day[day > (today - date(1970, 1, 1)).days] = NO_DAY  # a contact that has not happened yet is a wrong date
    return Contacts(
        subject=subject.astype(np.int32),
        day=day[rows],
        is_open=_open_flags(extract.columns.get("case_status"), mapping, extract.rows)[rows],
        lead=lead.take(rows),
    )


def guess_standards(extracts: Mapping[str, Extract]) -> dict[str, str]:
    """Return the standard of postcodes and NHS numbers that fits most values of these extracts together.

    A file from elsewhere (or a test file) may hold another kind of number under these columns; such a number is
    still evidence, but must not be held to UK rules.
    """
    standards: dict[str, str] = {}
    for field in ("postcode", "nhs_number"):
        arrays = [extract.columns[field] for extract in extracts.values() if field in extract.columns]
        if arrays:
            sample = pa.concat_arrays([array[: min(len(array), 20_000)] for array in arrays])
            guess = normalise.guess_standards(field, sample)
            if guess == "generic":
                standards[field] = guess
    return standards


def collapse(
    extract: Extract,
    *,
    today: date,
    mapping: AgencyMapping | None = None,
    standards: Mapping[str, str] | None = None,
    match_fields: frozenset[str] = frozenset(FIELDS),
) -> Subjects:
    """Normalise an extract and collapse it to subjects, versions and contacts.

    Args:
        extract: The extract as read.
        today: Dates after this day are invalid.
        mapping: Formats and codes of this agency.
        standards: Field -> standard, where it is not the UK one; the agreement's, so that all agencies agree.
        match_fields: Identifiers that the agreement allows to be matched on.

    Raises:
        ExtractError: No row of the extract can be used.
    """
    mapping = mapping or AgencyMapping()
    standards = {**(standards or {}), **mapping.standards}
    ref = encode(pc.utf8_trim_whitespace(extract.columns["ref"]))
    has_ref = (ref.codes >= 0) & (ref.codes != _code_of_empty(ref))
    normalised: dict[str, Coded] = {}
    quality: dict[str, FieldQuality] = {}
    for field in FIELDS:
        if field in match_fields and field in extract.columns:
            normalised[field], quality[field] = _normalise_column(
                field, extract.columns[field], mapping, standards, today
            )
    anything = np.zeros(extract.rows, dtype=bool)
    for name, coded in normalised.items():
        if name != "sex":
            anything |= coded.codes >= 0
    rows = np.flatnonzero(has_ref)
    if len(rows) == 0 or not anything[rows].any():
        raise ExtractError(
            "no row has both a reference and a usable identifier.",
            where=extract.source,
            remedy="Check the column names, or write a mapping.yaml.",
        )
    row_fields = {name: coded.take(rows) for name, coded in normalised.items()}
    row_ref = encode(ref.values.take(pa.array(ref.codes[rows])))
    subject, count = _subject_of_rows(row_ref.codes, row_fields)
    contacts = _contacts(extract, rows, subject, mapping, today)
    order = np.argsort(contacts.day, kind="stable")
    filled = {name: _fill_gaps(subject, count, coded, order) for name, coded in row_fields.items()}
    kept, left_out = _versions(subject, filled, order)
    ref_subject = np.empty(len(row_ref.values), dtype=np.int32)
    ref_subject[row_ref.codes] = subject
    unusable = {
        "no reference": np.flatnonzero(~has_ref),
        "no usable identifier": np.flatnonzero(has_ref & ~anything),
    }
    undated = rows[contacts.day == NO_DAY] if "record_date" in extract.columns else rows[:0]
    return Subjects(
        agency=extract.agency,
        count=count,
        refs=row_ref.values,
        ref_subject=ref_subject,
        version_subject=subject[kept].astype(np.int32),
        fields={name: coded.take(kept) for name, coded in filled.items()},
        standards=standards,
        contacts=contacts,
        quality=Quality(
            rows=extract.rows,
            subjects=count,
            versions=len(kept),
            unusable={reason: len(found) for reason, found in unusable.items()},
            versions_left_out=left_out,
            fields=quality,
            undated_contacts=int((contacts.day == NO_DAY).sum()),
        ),
        rejected={**unusable, "no usable contact date": undated},
    )


def _code_of_empty(coded: Coded) -> int:
    index = pc.index(coded.values, "").as_py()
    return int(index) if index >= 0 else -2
