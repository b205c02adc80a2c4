"""Which records are one subject, and which of a subject's records are sealed as its versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.coding import Coded, Codes, at, in_order, suspects
from hashing.components import components
from hashing.native import codes as native
from hashing.other_names import OtherNames
from hashing.reading.hashes import LANES, Hashes, hash_rows
from hashing.reading.index import HashIndex

VERSIONS_KEPT = 8
"""Most versions of one subject that are sealed, the latest first; more are counted and left out."""

RECORDED_FIRST = 4
"""Recorded versions of a subject that come before those with other names."""

_PLACES = ("postcode", "uprn", "nhs_number", "address")
_BLOCK = 1 << 18


Numbers = NDArray[np.int32]
"""Numbers of records or subjects, of which there are fewer than 2^31: half the memory of numpy's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Versions:
    """The versions of all subjects.

    Attributes:
        record: Record of each version that is sealed, by subject, the latest first.
        forename: Forename that it has instead of the record's, a code of the field; -1 where it has the record's.
            Empty where no version has another name.
        surname: Surname, likewise.
        left_out: Versions beyond the most that a subject may have.
    """

    record: Numbers
    forename: Codes
    surname: Codes
    left_out: int

    def of(self, name: str, field: Coded) -> Coded:
        """Return an identifier of each version, from that of each record."""
        taken = field.take(self.record)
        other = {"forename": self.forename, "surname": self.surname}.get(name)
        if other is None or not len(other):
            return taken
        return Coded(codes=np.where(other >= 0, other, taken.codes), values=taken.values)


def _blocks(columns: Sequence[Codes], rows: Numbers) -> Iterator[list[Hashes]]:
    """Yield the columns' codes of `rows` as words, some rows at a time: copies of whole columns would be large."""
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        yield [column[block].astype(np.int64).view(np.uint64) for column in columns]


def _distinct(columns: Sequence[Codes], rows: Numbers) -> Numbers:
    """Number `rows` of several columns of codes: equal rows have one number, in the order of their first rows."""
    index = HashIndex()
    numbers = [index.add(*(hash_rows(words, lane) for lane in LANES))[0] for words in _blocks(columns, rows)]
    return np.concatenate([np.zeros(0, dtype=np.int32), *numbers])


def _repeated(columns: Sequence[Codes], rows: Numbers) -> Numbers:
    """Return those of `rows` that may be equal to another of them."""
    hashed = np.concatenate(
        [np.zeros(0, dtype=np.uint64), *(hash_rows(words, LANES[0]) for words in _blocks(columns, rows))]
    )
    return at(rows, suspects(hashed, 1))


def _flagged(flags: NDArray[np.bool_]) -> Numbers:
    """Return where flags are set."""
    return np.flatnonzero(flags).astype(np.int32)


def _complete(fields: Mapping[str, Coded], records: int) -> Numbers:
    """Return the records that say who a person is: both names, the date of birth, and a home or an NHS number."""
    if not {"forename", "surname", "dob"} <= fields.keys():
        return np.zeros(0, dtype=np.int32)
    placed = np.zeros(records, dtype=bool)
    for name in _PLACES:
        if name in fields:
            placed |= fields[name].codes >= 0
    for name in ("forename", "surname", "dob"):
        placed &= fields[name].codes >= 0
    return _flagged(placed)


def _numbered(codes: Numbers) -> tuple[Numbers, int]:
    """Return codes numbered anew in the order of first appearance, and how many distinct ones there are."""
    dense, distinct = in_order(codes, int(codes.max(initial=-1)) + 1)
    return dense, len(distinct)


def subject_of_records(ref: Codes, fields: Mapping[str, Coded]) -> tuple[Numbers, int]:
    """Give each record its subject: the same for the same reference, and for the same complete identifiers.

    Subjects are numbered in the order of their first records.

    Returns:
        Subject of each record, and the number of subjects.
    """
    columns = [coded.codes for coded in fields.values()]
    rows = _repeated(columns, _complete(fields, len(ref)))
    if len(rows) == 0:
        return _numbered(ref)
    alike = _distinct(columns, rows)
    refs = int(ref.max(initial=-1)) + 1
    size = int(alike.max(initial=-1)) + 1
    return _numbered(components(ref[rows], alike + np.int32(refs), refs + size)[ref])


def of_several(subject: Numbers, count: int, last: NDArray[np.int64]) -> Numbers:
    """Return the records of subjects that have several, in the order of `last`, a number of each record."""
    several = np.bincount(subject, minlength=count) > 1
    some = _flagged(several[subject])
    return some[np.argsort(last[some], kind="stable")]


def fill_gaps(subject: Numbers, count: int, coded: Coded, some: Numbers) -> Coded:
    """Fill a missing value of a record with the latest value that its subject has elsewhere.

    Args:
        subject: Subject of each record.
        count: Number of subjects.
        coded: Values of each record.
        some: The records of subjects that have several, in the order of their latest contacts.
    """
    held = coded.codes[some]
    gaps, known = some[held < 0], held >= 0
    if not len(gaps):
        return coded
    latest = np.full(count, -1, dtype=np.int32)
    latest[subject[some[known]]] = held[known]  # in time order, so the last assignment is the latest
    filled = coded.codes.copy()
    filled[gaps] = latest[subject[gaps]]
    return Coded(codes=filled, values=coded.values)


def _ranks(owner: Numbers) -> Numbers:
    """Return the place of each row among the rows of its owner, from 0; rows of one owner stand together."""
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]]).astype(np.int32)
    sizes = np.diff(np.r_[starts, np.int32(len(owner))])
    return np.arange(len(owner), dtype=np.int32) - np.repeat(starts, sizes)


def _recorded(subject: Numbers, count: int, fields: Mapping[str, Coded], some: Numbers) -> Numbers:
    """Return the latest record of each version, by subject, the latest version first."""
    version = _distinct([subject, *(coded.codes for coded in fields.values())], some)
    last = np.empty(int(version.max(initial=-1)) + 1, dtype=np.int32)
    last[version] = np.arange(len(some), dtype=np.int32)
    latest = some[np.sort(last)[::-1]]
    alone = np.ones(len(subject), dtype=bool)
    alone[some] = False  # a subject with one record has one version
    return _by_subject(np.concatenate([latest, _flagged(alone)]), subject, count)


def _by_subject(records: Numbers, subject: Numbers, count: int) -> Numbers:
    """Return records by subject, those of one subject as they stand."""
    if native.available():
        return native.grouped(subject, count, records)
    return records[np.argsort(subject[records], kind="stable")]


def kept_versions(
    subject: Numbers, count: int, fields: Mapping[str, Coded], some: Numbers, others: OtherNames
) -> Versions:
    """Return the versions of all subjects, at most `VERSIONS_KEPT` of a subject.

    First come the `RECORDED_FIRST` latest that were recorded, then those with other names, then older ones.

    Args:
        subject: Subject of each record.
        count: Number of subjects.
        fields: Identifiers of each record, gaps filled.
        some: The records of subjects that have several, in the order of their latest contacts.
        others: Other names of records.
    """
    record = _recorded(subject, count, fields, some)
    forename = surname = np.zeros(0, dtype=np.int32)
    if len(others.record):
        record, forename, surname = _with_other_names(record, subject, count, fields, others)
    kept = _ranks(at(subject, record)) < VERSIONS_KEPT
    return Versions(
        record=record[kept],
        forename=forename[kept] if len(forename) else forename,
        surname=surname[kept] if len(surname) else surname,
        left_out=int(len(record) - np.count_nonzero(kept)),
    )


def _with_other_names(
    recorded: Numbers, subject: Numbers, count: int, fields: Mapping[str, Coded], others: OtherNames
) -> tuple[Numbers, Codes, Codes]:
    """Return record, other forename and other surname of the versions of all subjects, by subject, the first first."""
    rank = _ranks(subject[recorded])
    latest = np.empty(count, dtype=np.int32)
    latest[subject[recorded[rank == 0]]] = recorded[rank == 0]
    named = latest[subject[others.record]]
    record = np.concatenate([recorded, named])
    as_recorded = np.full(len(recorded), -1, dtype=np.int32)
    forename = np.concatenate([as_recorded, others.forename])
    surname = np.concatenate([as_recorded, others.surname])
    late = len(record)
    priority = np.concatenate(
        [np.where(rank < RECORDED_FIRST, rank, rank + late), np.arange(len(named)) + RECORDED_FIRST]
    )
    names = [
        np.where(other >= 0, other, fields[name].codes[record]) if name in fields else other
        for name, other in (("forename", forename), ("surname", surname))
    ]
    chosen = np.flatnonzero(_new_names([subject[record], *names], len(recorded)))
    chosen = chosen[np.lexsort((priority[chosen], subject[record[chosen]]))]
    return record[chosen], forename[chosen], surname[chosen]


def _new_names(columns: Sequence[Codes], recorded: int) -> NDArray[np.bool_]:
    """Flag the rows of versions that are recorded (the first ones), and of other names that are new to their subject.

    A name that the subject is recorded with, or that is listed twice, is no further version.
    """
    rows = np.arange(len(columns[0]), dtype=np.int32)
    number = _distinct(columns, rows)
    first = np.full(int(number.max()) + 1, len(rows), dtype=np.int32)
    first[number[::-1]] = rows[::-1]
    flags: NDArray[np.bool_] = (rows < recorded) | (first[number] == rows)
    return flags


def references(ref: Coded, subject: Numbers) -> tuple[pa.StringArray, Numbers]:
    """Return the references that records have, and the subject of each."""
    used = np.zeros(len(ref.values), dtype=bool)
    used[ref.codes] = True
    of_code = np.full(len(ref.values), -1, dtype=np.int32)
    of_code[ref.codes] = subject
    return ref.values.filter(pa.array(used)), of_code[used]
