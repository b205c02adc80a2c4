"""The truth of a chunk: which reference is which person, who the people are, and what was done to which record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthetic.agencies import IDENTIFIERS, Agency
from synthetic.contacts import Contacts
from synthetic.extracts import Extract
from synthetic.geography import Dwellings
from synthetic.households import KINDS, Bools, Floats, Ints
from synthetic.naming import COMMUNITIES
from synthetic.people import NEVER, NOWHERE, YEAR, People
from synthetic.pools import Strings
from synthetic.records import ErrorLog, Recorded, true_values

_BANDS = (
    (5, "00-04"),
    (11, "05-10"),
    (18, "11-17"),
    (25, "18-24"),
    (45, "25-44"),
    (65, "45-64"),
    (80, "65-79"),
    (999, "80+"),
)


def person_ids(numbers: Ints) -> Strings:
    """Return the person identifiers of person `numbers`."""
    return np.array([f"P{number:09d}" for number in numbers.tolist()], dtype=object)


def _band(age: Floats) -> Strings:
    labels: Strings = np.array([label for _, label in _BANDS], dtype=object)
    bands: Strings = labels[np.digitize(age, [edge for edge, _ in _BANDS[:-1]])]
    return bands


def _flag(values: Bools) -> pa.Array:
    return pc.if_else(pa.array(values), "yes", "no")


def people_table(people: People, dwellings: Dwellings, *, first_household: int, today: int) -> pa.Table:
    """Return one row a person: true present identity, household, and labels for evaluation by group.

    Args:
        people: The people of a chunk.
        dwellings: Their dwellings.
        first_household: Number of the chunk's first household.
        today: Reference date, as a day.
    """
    members, true = people.members, true_values(people, dwellings)
    recent = today - 3 * YEAR
    home = np.where(members.household >= 0, first_household + members.household, -1)
    return pa.table(
        {
            "person": pa.array(person_ids(people.number), pa.string()),
            "household": pa.array(
                np.array(["" if n < 0 else f"H{n:09d}" for n in home.tolist()], object), pa.string()
            ),
            "household_kind": pa.array(np.array(KINDS, object)[members.kind], pa.string()),
            "name_origin": pa.array(np.array(COMMUNITIES, object)[people.names.community], pa.string()),
            "sex": pa.array(true.sex, pa.string()),
            "age_band": pa.array(_band(members.age), pa.string()),
            "mover": _flag(people.moved[:, 0] > recent),
            "name_changer": _flag((people.renamed > NEVER) | (people.reforenamed > NEVER)),
            "twin": _flag(members.twin),
            "no_fixed_abode": _flag(people.address[:, 0] == NOWHERE),
            "looked_after": _flag(people.looked_after),
            "care_leaver": _flag(people.care_leaver),
            "adopted": pa.array(np.array(["no", "after", "before"], object)[people.adopted], pa.string()),
            "protected_address": _flag(people.protected),
            "nickname_in_use": _flag(people.uses_nickname),
            "died": _flag(people.died <= today),
            "resident": _flag(people.resident),
            "forename": pa.array(true.forename, pa.string()),
            "surname": pa.array(true.surname, pa.string()),
            "dob": pa.array(true.dob.astype("datetime64[D]").astype(str).astype(object), pa.string()),
            "postcode": pa.array(true.postcode, pa.string()),
            "uprn": pa.array(true.uprn, pa.string()),
            "nhs_number": pa.array(true.nhs_number, pa.string()),
        }
    )


def link_table(people: People, contacts: Contacts, extracts: Sequence[Extract]) -> pa.Table:
    """Return `agency, ref, person` for every reference of a chunk."""
    person = person_ids(people.number)
    parts = [
        pa.table(
            {
                "agency": pa.array([extract.agency] * extract.refs.size, pa.string()),
                "ref": pa.array(extract.names, pa.string()),
                "person": pa.array(person[contacts.person[extract.refs]], pa.string()),
            }
        )
        for extract in extracts
    ]
    return pa.concat_tables(parts)


def error_table(
    log: ErrorLog,
    values: Recorded,
    true: Recorded,
    *,
    contacts: Contacts,
    agencies: Sequence[Agency],
    extracts: Sequence[Extract],
) -> pa.Table:
    """Return `agency, ref, field, error`: only errors that made a difference, of fields that the agency holds.

    Args:
        log: Everything that was done, also what a later step undid or hid.
        values: Recorded values of each reference.
        true: True present values of each person.
        contacts: References of the chunk.
        agencies: Agencies, in the order of their codes.
        extracts: Their extracts.
    """
    ref, column, kind = log.arrays()
    row_only = np.isin(kind, ["miscopied_row", "earlier_row"])
    kept = row_only.copy()
    for number, name in enumerate(IDENTIFIERS):
        here = np.flatnonzero(column == number)
        mine = ref[here]
        kept[here] |= getattr(values, name)[mine] != getattr(true, name)[contacts.person[mine]]
        holds = np.array([name in agency.columns for agency in agencies])
        kept[here] &= holds[contacts.agency[mine]]
    kept &= ~_hidden(ref, column, kind, row_only)
    ref, column, kind = ref[kept], column[kept], kind[kept]
    order = np.lexsort((column, ref, contacts.agency[ref]))
    ref, column, kind = ref[order], column[order], kind[order]
    names = np.empty(contacts.person.size, dtype=object)
    agency = np.empty(contacts.person.size, dtype=object)
    for extract in extracts:
        names[extract.refs] = extract.names
        agency[extract.refs] = extract.agency
    return pa.table(
        {
            "agency": pa.array(agency[ref], pa.string()),
            "ref": pa.array(names[ref], pa.string()),
            "field": pa.array(np.array(IDENTIFIERS, object)[column], pa.string()),
            "error": pa.array(kind, pa.string()),
        }
    )


def _hidden(ref: Ints, column: Ints, kind: Strings, row_only: Bools) -> Bools:
    """Return which entries a missing or withheld value makes invisible."""
    cell = ref * len(IDENTIFIERS) + column
    gone = (kind == "missing") | ((kind == "protected") & (column != IDENTIFIERS.index("address")))
    hidden: Bools = np.isin(cell, cell[gone]) & ~gone & ~row_only
    return hidden
