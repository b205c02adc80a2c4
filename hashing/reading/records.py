"""A stream of rows to its distinct records, batch by batch: what is held grows with people, not with rows.

A *record* is one distinct set of reference and identifiers as written. A case system writes the same one in every
contact of a person, so only the first row of each is normalised; of the others the number of the record stays, and
what the contact says: its date, its status and whom to ring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing import normalise
from hashing.coding import Codes
from hashing.reading.cells import Cells, Hashed, hash_cells
from hashing.reading.hashes import Hashes
from hashing.reading.index import HashIndex
from hashing.reading.memory import give_back
from hashing.reading.normalising import Normaliser, Normalising, Others, Rule
from hashing.reading.vocabulary import Vocabulary

CONTACT_COLUMNS = ("record_date", "case_status", "lead_contact")
"""Logical columns that belong to a contact and say nothing of who the person is."""

_OTHERS: dict[str, Others] = {
    "forename": partial(normalise.alternative_names, kind="forename"),
    "surname": partial(normalise.alternative_names, kind="surname", parts=False),
}
"""Where known-as and previous names are written in the name itself. The parts of a double-barrelled surname are no
other names here: they would double the tokens of everybody who has one (docs/spec/normalisation.md)."""

_OF_ONE_PERSON = frozenset({"ref", "nhs_number"})
"""Numbers that one person has: hardly one comes again among distinct records."""

_TIDIED = 16
"""Batches after which free memory is given back to the system."""


@dataclass(slots=True)
class Records:
    """The distinct records of a stream, and the contacts of each.

    Attributes:
        rows: Number of rows read.
        record: Record of each row, shape (rows,), int32; records are numbered in the order of their first rows.
        size: Rows of each record, shape (records,), int64.
        codes: `ref` and identifiers -> code of each record in the column's vocabulary, -1 for a null.
        vocabularies: Column -> its texts.
        contacts: Contact columns -> codes of each row in batches, in the smallest type that holds them.
    """

    rows: int
    record: NDArray[np.int32]
    size: NDArray[np.int64]
    codes: dict[str, Codes]
    vocabularies: dict[str, Vocabulary]
    contacts: dict[str, list[NDArray[np.signedinteger]]]


def trimmed(texts: pa.StringArray) -> normalise.Normalised:
    """Return texts without the white space around them; what is empty then is missing."""
    values = pc.utf8_trim_whitespace(texts)
    empty = pc.equal(values, "")
    outcomes = np.where(empty.to_numpy(zero_copy_only=False), normalise.Outcome.MISSING, normalise.Outcome.OK)
    return normalise.Normalised(
        values=pc.if_else(empty, pa.scalar(None, pa.string()), values), outcomes=outcomes.astype(np.uint8)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """A batch with its hashes.

    Attributes:
        keys: The hashes of each row's reference and identifiers together.
        people: Reference and identifiers.
        visits: Contact columns, dictionary-coded.
    """

    keys: tuple[Hashes, Hashes]
    people: Mapping[str, Hashed]
    visits: Mapping[str, Hashed]


class RecordReader:
    """Takes in batches of logical columns.

    Args:
        rules: Identifier -> its normaliser, None for one that has to see the whole column.
        rows: Rows that are expected, as far as it is known: many are worth other processes.
    """

    def __init__(self, rules: Mapping[str, Normaliser | None], rows: int = 0) -> None:
        self._index = HashIndex()
        self._columns = ("ref", *rules)
        self._rows = rows
        self._rules = {
            name: Rule(normaliser=rule, others=_OTHERS.get(name))
            for name, rule in {"ref": trimmed, **rules}.items()
            if rule is not None
        }
        self._vocabularies: dict[str, Vocabulary] = {}
        self._codes: dict[str, list[Codes]] = {}
        self._record: list[NDArray[np.int32]] = []
        self._contacts: dict[str, list[NDArray[np.signedinteger]]] = {}

    def team(self) -> Normalising:
        """Return who normalises; to be begun before any other thread is at work in Arrow."""
        return Normalising(self._rules, self._rows)

    def read(self, batches: Iterable[Mapping[str, pa.Array]], team: Normalising) -> Records:
        """Return the records of a stream of batches, each logical column -> text (strings or dictionary-coded).

        Every batch must have the same columns, `ref` among them.

        Raises:
            OutputError: A process that shared the work was ended from outside.
        """
        for number, batch in enumerate(map(self._hashed, batches)):
            if not self._vocabularies:
                self._vocabularies = self._empty([*batch.people, *batch.visits], team)
            self._take(batch)
            if number % _TIDIED == _TIDIED - 1:
                give_back()
        self._index = HashIndex()
        give_back()
        for vocabulary in self._vocabularies.values():
            vocabulary.finish()
        records = self._finished()
        give_back()
        return records

    def _empty(self, names: Iterable[str], team: Normalising) -> dict[str, Vocabulary]:
        return {
            name: Vocabulary(
                partial(team.submit, name) if name in self._rules else None,
                repeats=name not in _OF_ONE_PERSON,
            )
            for name in names
        }

    def _hashed(self, batch: Mapping[str, pa.Array]) -> _Batch:
        people = {name: Hashed.of(Cells.of(batch[name])) for name in self._columns if name in batch}
        visits = {name: Hashed.of(Cells.repeated(batch[name])) for name in CONTACT_COLUMNS if name in batch}
        return _Batch(keys=hash_cells(people.values(), len(batch["ref"])), people=people, visits=visits)

    def _take(self, batch: _Batch) -> None:
        record, fresh = self._index.add(*batch.keys)
        self._record.append(record)
        for name, hashed in batch.visits.items():
            self._contacts.setdefault(name, []).append(self._vocabularies[name].add_cells(hashed))
        if len(fresh):
            for name, hashed in batch.people.items():
                self._codes.setdefault(name, []).append(self._vocabularies[name].add(hashed, fresh))

    def _finished(self) -> Records:
        record = np.concatenate([np.zeros(0, dtype=np.int32), *self._record])
        self._record = []
        codes = {name: np.concatenate(self._codes.pop(name)) for name in list(self._codes)}
        return Records(
            rows=len(record),
            record=record,
            size=np.bincount(record, minlength=len(codes.get("ref", ()))),
            codes=codes,
            vocabularies=self._vocabularies,
            contacts=self._contacts,
        )
