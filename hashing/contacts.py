"""Contacts: when an agency saw a person, whether the case is open, and whom to ring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing.coding import Coded, encode
from hashing.mapping import AgencyMapping
from hashing.people import normalised_dates
from hashing.reading.records import Records

OPEN_WORDS = ("OPEN", "O", "ACTIVE", "CURRENT", "ONGOING", "LIVE", "Y", "YES", "TRUE", "1")
CLOSED_WORDS = ("CLOSED", "C", "CLOSE", "INACTIVE", "ENDED", "COMPLETED", "N", "NO", "FALSE", "0", "NFA")

NO_DAY = np.int32(-(2**31))

_EPOCH = date(1970, 1, 1)
_CHUNK = 1 << 17


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


_Number = TypeVar("_Number", np.int8, np.int32)


def _looked_up(
    table: NDArray[_Number], missing: _Number, batches: list[NDArray[np.signedinteger]] | None, rows: int
) -> NDArray[_Number]:
    """Return the entry of `table` for each row's code, `missing` for -1 or where there is no such column."""
    found = np.full(rows, missing, dtype=table.dtype)
    padded = np.append(table, missing)
    start = 0
    for codes in batches or ():
        found[start : start + len(codes)] = padded[codes]
        start += len(codes)
    return found


def _days(records: Records, mapping: AgencyMapping, today: date) -> NDArray[np.int32]:
    """Return the day of each row's contact; one that has not happened yet is a wrong date."""
    vocabulary, batches = (
        records.vocabularies.pop("record_date", None),
        records.contacts.pop("record_date", None),
    )
    if vocabulary is None or batches is None:
        return np.full(records.rows, NO_DAY, dtype=np.int32)
    counts = np.zeros(len(vocabulary), dtype=np.int64)
    for codes in batches:
        counts += np.bincount(codes[codes >= 0], minlength=len(counts))
    dates = normalised_dates(vocabulary.values(), "record_date", mapping, today, counts).values
    days = pc.cast(pc.cast(dates, pa.date32()), pa.int32()).fill_null(NO_DAY).to_numpy(zero_copy_only=False)
    days = np.where(days > (today - _EPOCH).days, NO_DAY, days).astype(np.int32)
    return _looked_up(days, NO_DAY, batches, records.rows)


def _open_flags(records: Records, mapping: AgencyMapping) -> NDArray[np.int8]:
    vocabulary, batches = (
        records.vocabularies.pop("case_status", None),
        records.contacts.pop("case_status", None),
    )
    codes = mapping.codes.get("case_status", {})
    known = {word: np.int8(1) for word in OPEN_WORDS} | {word: np.int8(0) for word in CLOSED_WORDS}
    texts = vocabulary.values().to_pylist() if vocabulary is not None else []
    flags = [known.get(codes.get(text.strip(), text).strip().upper(), np.int8(-1)) for text in texts]
    return _looked_up(np.array(flags, dtype=np.int8), np.int8(-1), batches, records.rows)


def _leads(records: Records) -> Coded:
    vocabulary, batches = (
        records.vocabularies.pop("lead_contact", None),
        records.contacts.pop("lead_contact", None),
    )
    texts = vocabulary.values() if vocabulary is not None else pa.array([], pa.string())
    trimmed = encode(pc.utf8_trim_whitespace(texts))
    return Coded(codes=_looked_up(trimmed.codes, np.int32(-1), batches, records.rows), values=trimmed.values)


def contacts_of(records: Records, mapping: AgencyMapping, today: date) -> Contacts:
    """Return the contact of each row, under the number of its record for a subject; uses up the contact columns."""
    return Contacts(
        subject=records.record,
        day=_days(records, mapping, today),
        is_open=_open_flags(records, mapping),
        lead=_leads(records),
    )


def last_rows(contacts: Contacts, records: int) -> NDArray[np.int64]:
    """Return for each record a number that orders records by their latest contact, then by the last row of it."""
    last = np.full(records, np.iinfo(np.int64).min, dtype=np.int64)
    for start in range(0, len(contacts.day), _CHUNK):
        day = contacts.day[start : start + _CHUNK].astype(np.int64)
        keys = (day << 32) + np.arange(start, start + len(day))
        np.maximum.at(last, contacts.subject[start : start + _CHUNK], keys)
    return last


def under_subjects(contacts: Contacts, subject: NDArray[np.int32]) -> Contacts:
    """Return the contacts under the subjects of their records, without those whose record has none.

    Args:
        contacts: From `contacts_of`.
        subject: Subject of each record, -1 for none.
    """
    of_rows = subject[contacts.subject]
    if (subject >= 0).all():
        return Contacts(subject=of_rows, day=contacts.day, is_open=contacts.is_open, lead=contacts.lead)
    kept = of_rows >= 0  # a flag a row takes an eighth of the row's number
    return Contacts(
        subject=of_rows[kept],
        day=contacts.day[kept],
        is_open=contacts.is_open[kept],
        lead=Coded(codes=contacts.lead.codes[kept], values=contacts.lead.values),
    )
