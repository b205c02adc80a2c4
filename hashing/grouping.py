"""Which records are one subject, and which of a subject's records are sealed as its versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hashing.coding import Coded, Codes, factorize
from hashing.other_names import OtherNames
from hashing.reading.hashes import LANES, Hashes, hash_rows
from hashing.reading.index import HashIndex

VERSIONS_KEPT = 8
"""Most versions of one subject that are sealed, the latest first; more are counted and left out."""

RECORDED_FIRST = 4
"""Recorded versions of a subject that come before those with other names."""

_PLACES = ("postcode", "uprn", "nhs_number", "address")
_BLOCK = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Versions:
    """The versions of all subjects.

    Attributes:
        record: Record of each version that is sealed, by subject, the latest first.
        forename: Forename that it has instead of the record's, a code of the field; -1 where it has the record's.
        surname: Surname, likewise.
        left_out: Versions beyond the most that a subject may have.
    """

    record: NDArray[np.int64]
    forename: NDArray[np.int32]
    surname: NDArray[np.int32]
    left_out: int

    def of(self, name: str, field: Coded) -> Coded:
        """Return an identifier of each version, from that of each record."""
        taken = field.take(self.record)
        other = {"forename": self.forename, "surname": self.surname}.get(name)
        if other is None:
            return taken
        return Coded(codes=np.where(other >= 0, other, taken.codes), values=taken.values)


def _blocks(columns: Sequence[Codes], rows: NDArray[np.int64]) -> Iterator[list[Hashes]]:
    """Yield the columns' codes of `rows` as words, some rows at a time: copies of whole columns would be large."""
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        yield [column[block].astype(np.int64).view(np.uint64) for column in columns]


def _distinct(columns: Sequence[Codes], rows: NDArray[np.int64]) -> NDArray[np.int32]:
    """Number `rows` of several columns of codes: equal rows have one number, in the order of their first rows."""
    index = HashIndex()
    numbers = [index.add(*(hash_rows(words, lane) for lane in LANES))[0] for words in _blocks(columns, rows)]
    return np.concatenate([np.zeros(0, dtype=np.int32), *numbers])


def _repeated(columns: Sequence[Codes], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return those of `rows` that may be equal to another of them: the others have a hash of their own."""
    hashed = np.concatenate(
        [np.zeros(0, dtype=np.uint64), *(hash_rows(words, LANES[0]) for words in _blocks(columns, rows))]
    )
    in_order = np.sort(hashed)
    return rows[np.isin(hashed, np.unique(in_order[1:][in_order[1:] == in_order[:-1]]))]


def _complete(fields: Mapping[str, Coded], records: int) -> NDArray[np.int64]:
    """Return the records that say who a person is: both names, the date of birth, and a home or an NHS number."""
    if not {"forename", "surname", "dob"} <= fields.keys():
        return np.zeros(0, dtype=np.int64)
    placed = np.zeros(records, dtype=bool)
    for name in _PLACES:
        if name in fields:
            placed |= fields[name].codes >= 0
    for name in ("forename", "surname", "dob"):
        placed &= fields[name].codes >= 0
    return np.flatnonzero(placed)


def subject_of_records(ref: Codes, fields: Mapping[str, Coded]) -> tuple[NDArray[np.int64], int]:
    """Give each record its subject: the same for the same reference, and for the same complete identifiers.

    Subjects are numbered in the order of their first records.

    Returns:
        Subject of each record, and the number of subjects.
    """
    columns = [coded.codes for coded in fields.values()]
    rows = _repeated(columns, _complete(fields, len(ref)))
    alike = _distinct(columns, rows)
    refs = int(ref.max(initial=-1)) + 1
    size = int(alike.max(initial=-1)) + 1
    edges = coo_array(
        (np.ones(len(rows), dtype=np.int8), (ref[rows], refs + alike.astype(np.int64))),
        shape=(refs + size, refs + size),
    )
    if len(rows) == 0:
        return factorize(ref.astype(np.int64))
    _, component = connected_components(edges, directed=False)
    return factorize(component[ref].astype(np.int64))


def fill_gaps(subject: NDArray[np.int64], count: int, coded: Coded, order: NDArray[np.int64]) -> Coded:
    """Fill a missing value of a record with the latest value that its subject has elsewhere."""
    missing = coded.codes < 0
    if not missing.any():
        return coded
    known = order[~missing[order]]
    latest = np.full(count, -1, dtype=np.int32)
    latest[subject[known]] = coded.codes[known]  # in time order, so the last assignment is the latest
    return Coded(codes=np.where(missing, latest[subject], coded.codes), values=coded.values)


def _ranks(owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each row among the rows of its owner, from 0; rows of one owner stand together."""
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    return np.arange(len(owner)) - np.repeat(starts, np.diff(np.r_[starts, len(owner)]))


def _recorded(
    subject: NDArray[np.int64], count: int, fields: Mapping[str, Coded], order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the latest record of each version, by subject, the latest version first."""
    position = np.empty(len(order), dtype=np.int64)
    position[order] = np.arange(len(order))
    several = np.bincount(subject, minlength=count)[subject] > 1
    some = order[several[order]]  # a subject with one record has one version
    columns = [subject.astype(np.int32), *(coded.codes for coded in fields.values())]
    version = _distinct(columns, some)
    last_record = np.empty(int(version.max(initial=-1)) + 1, dtype=np.int64)
    last_record[version] = some
    last_record = np.concatenate([last_record, np.flatnonzero(~several)])
    return last_record[np.lexsort((-position[last_record], subject[last_record]))]


def kept_versions(
    subject: NDArray[np.int64],
    count: int,
    fields: Mapping[str, Coded],
    order: NDArray[np.int64],
    others: OtherNames,
) -> Versions:
    """Return the versions of all subjects, at most `VERSIONS_KEPT` of a subject.

    First come the `RECORDED_FIRST` latest that were recorded, then those with other names, then older ones.

    Args:
        subject: Subject of each record.
        count: Number of subjects.
        fields: Identifiers of each record, gaps filled.
        order: The records in the order of their latest contacts.
        others: Other names of records.
    """
    recorded = _recorded(subject, count, fields, order)
    rank = _ranks(subject[recorded])
    latest = np.empty(count, dtype=np.int64)
    latest[subject[recorded[rank == 0]]] = recorded[rank == 0]
    named = latest[subject[others.record]]
    record = np.concatenate([recorded, named])
    as_recorded = np.full(len(recorded), -1, dtype=np.int32)
    forename = np.concatenate([as_recorded, others.forename])
    surname = np.concatenate([as_recorded, others.surname])
    if len(named):
        names = [
            np.where(other >= 0, other, fields[name].codes[record]) if name in fields else other
            for name, other in (("forename", forename), ("surname", surname))
        ]
        number = _distinct([subject[record].astype(np.int32), *names], np.arange(len(record)))
        first = np.full(int(number.max()) + 1, len(record), dtype=np.int64)
        first[number[::-1]] = np.arange(len(record))[::-1]
        # A name that the subject is recorded with, or that is listed twice, is no further version.
        new = (np.arange(len(record)) < len(recorded)) | (first[number] == np.arange(len(record)))
        late = len(record)
        priority = np.concatenate(
            [np.where(rank < RECORDED_FIRST, rank, rank + late), np.arange(len(named)) + RECORDED_FIRST]
        )
        chosen = np.flatnonzero(new)
        chosen = chosen[np.lexsort((priority[chosen], subject[record[chosen]]))]
        record, forename, surname = record[chosen], forename[chosen], surname[chosen]
    kept = _ranks(subject[record]) < VERSIONS_KEPT
    return Versions(
        record=record[kept],
        forename=forename[kept],
        surname=surname[kept],
        left_out=int(len(record) - kept.sum()),
    )


def references(ref: Coded, subject: NDArray[np.int64]) -> tuple[pa.StringArray, NDArray[np.int32]]:
    """Return the references that records have, and the subject of each."""
    used = np.zeros(len(ref.values), dtype=bool)
    used[ref.codes] = True
    of_code = np.full(len(ref.values), -1, dtype=np.int32)
    of_code[ref.codes] = subject
    return ref.values.filter(pa.array(used)), of_code[used]
