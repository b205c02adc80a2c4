"""Records with their identifiers normalised, and counts of what normalising made of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing import normalise
from hashing.coding import Coded, Codes, recode
from hashing.mapping import ALSO, AgencyMapping
from hashing.native import codes as native
from hashing.other_names import OtherNames, other_names
from hashing.reading.memory import give_back
from hashing.reading.normalising import Normaliser
from hashing.reading.records import Records
from schemas.scheme import FIELDS


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldQuality:
    """Counts of rows by what normalising made of one field; counts only, never a value."""

    ok: int
    missing: int
    placeholder: int
    invalid: int


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Records with normalised identifiers.

    Attributes:
        ref: Local reference of each record.
        fields: Identifier -> its normalised value in each record.
        quality: Identifier -> what became of the rows.
        others: Other names of records.
    """

    ref: Coded
    fields: Mapping[str, Coded]
    quality: Mapping[str, FieldQuality]
    others: OtherNames

    def take(self, records: NDArray[np.int64]) -> People:
        """Return the people of `records` only."""
        if len(records) == len(self.ref.codes):
            return self
        number = np.full(len(self.ref.codes), -1, dtype=np.int64)
        number[records] = np.arange(len(records))
        return People(
            ref=self.ref.take(records),
            fields={name: coded.take(records) for name, coded in self.fields.items()},
            quality=self.quality,
            others=self.others.under(number),
        )


def identifier_rules(
    mapping: AgencyMapping, standards: Mapping[str, str], fields: frozenset[str]
) -> dict[str, Normaliser | None]:
    """Return the normaliser of each of `fields`, None for a date, whose column has to be seen whole.

    The columns of other names of these fields have none either: they hold lists.
    """

    def standard(field: str, native: str) -> str:
        return "generic" if standards.get(field) == "generic" else native

    rules: dict[str, Normaliser | None] = {
        "forename": normalise.normalise_forename,
        "surname": normalise.normalise_surname,
        "dob": None,
        "sex": partial(normalise.normalise_sex, codes=mapping.codes.get("sex")),
        "postcode": partial(normalise.normalise_postcode, standard=standard("postcode", "uk")),  # type: ignore[arg-type]
        "uprn": normalise.normalise_uprn,
        "nhs_number": partial(normalise.normalise_nhs_number, standard=standard("nhs_number", "nhs")),  # type: ignore[arg-type]
        "address": normalise.normalise_address,
    }
    also = {"forename", "surname"} & fields
    listed = dict.fromkeys(name for kind, name in ALSO.items() if kind in also or (kind == "name" and also))
    return {name: rules[name] for name in FIELDS if name in fields} | listed


def normalised_dates(
    texts: pa.StringArray, field: str, mapping: AgencyMapping, today: date, counts: NDArray[np.int64]
) -> normalise.Normalised:
    """Normalise the distinct dates of a column; `counts` says how many rows have each."""
    return normalise.normalise_date(
        texts, formats=mapping.dates.get(field), today=today, is_birth=field == "dob", counts=counts
    )


def _weighed(codes: Codes, size: NDArray[np.int64], values: int) -> NDArray[np.int64]:
    """Return how many rows each value has, from the rows of each record."""
    if native.available():
        return native.weigh(codes, size, values)
    present = codes >= 0
    # Weights are floats; whole numbers of rows below 2^53 stay exact in them.
    return np.bincount(codes[present], weights=size[present], minlength=values).astype(np.int64)


def _identifier(
    name: str, records: Records, mapping: AgencyMapping, today: date
) -> tuple[Coded, FieldQuality]:
    vocabulary, codes = records.vocabularies.pop(name), records.codes.pop(name)
    counts = _weighed(codes, records.size, len(vocabulary))
    if name == "dob":
        result = normalised_dates(vocabulary.values(), name, mapping, today, counts)
        coded, outcomes = recode(Coded(codes=codes, values=result.values), result.values), result.outcomes
    else:
        coded, outcomes = vocabulary.coded(codes), vocabulary.outcomes()
    rows = np.bincount(outcomes, weights=counts, minlength=4).astype(int)
    return coded, FieldQuality(
        ok=int(rows[normalise.Outcome.OK]),
        missing=int(rows[normalise.Outcome.MISSING]) + records.rows - int(counts.sum()),
        placeholder=int(rows[normalise.Outcome.PLACEHOLDER]),
        invalid=int(rows[normalise.Outcome.INVALID]),
    )


def people_of(records: Records, mapping: AgencyMapping, today: date) -> People:
    """Return the records' people; the records' vocabularies are used up, so that they can be let go of."""
    written: dict[str, tuple[Codes, Mapping[int, tuple[str, ...]]]] = {
        kind: (records.codes[kind], records.vocabularies[kind].beside)
        for kind in ("forename", "surname")
        if kind in records.codes and records.vocabularies[kind].beside
    }
    columns = {
        kind: (records.codes.pop(name), records.vocabularies.pop(name).values().to_pylist())
        for kind, name in ALSO.items()
        if name in records.codes
    }
    ref, _ = _identifier("ref", records, mapping, today)
    fields: dict[str, Coded] = {}
    quality: dict[str, FieldQuality] = {}
    for name in FIELDS:
        if name in records.codes:
            fields[name], quality[name] = _identifier(name, records, mapping, today)
            give_back()
    others = other_names(written, columns, fields, mapping.list_delimiter)
    return People(ref=ref, fields=fields, quality=quality, others=others)
