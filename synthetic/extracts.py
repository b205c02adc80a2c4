"""Extracts as the agencies would hand them over: their columns, cases, date formats and codes, as Arrow tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from faker import Faker

from synthetic.agencies import FIELDS, IDENTIFIERS, Agency
from synthetic.contacts import Contacts
from synthetic.households import Ints
from synthetic.pools import Strings
from synthetic.records import NO_DATE, Recorded
from synthetic.rows import Rows

WORKERS = 240
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """One agency's part of a chunk.

    Attributes:
        agency: Name of the agency.
        table: Contact rows; every column is text.
        refs: References of the chunk that belong to the agency, as indices into `Contacts`.
        names: The local reference of each of `refs`.
    """

    agency: str
    table: pa.Table
    refs: Ints
    names: Strings


@cache
def _workers(agency: str, seed: int) -> Strings:
    faker = Faker("en_GB")
    faker.seed_instance(f"{agency}:{seed}")
    team = agency.replace("_", " ")
    # 01632 960000 to 960999 is the range that Ofcom keeps for fiction.
    return np.array([f"{faker.name()}, {team} duty desk, 01632 960{n:03d}" for n in range(WORKERS)], object)


@cache
def _date_text(day: int, form: str) -> str:
    return "" if day == NO_DATE else (_EPOCH + timedelta(days=day)).strftime(form)


def _dates(days: Ints, form: str) -> Strings:
    values, back = np.unique(days, return_inverse=True)
    texts: Strings = np.array([_date_text(day, form) for day in values.tolist()], dtype=object)[back]
    return texts


def _styled(values: Strings, style: str, width: int | None) -> Strings:
    if style == "upper":
        values = np.array([value.upper() for value in values], dtype=object)
    elif style == "lower":
        values = np.array([value.lower() for value in values], dtype=object)
    elif style == "compact":
        values = np.array([value.replace(" ", "") for value in values], dtype=object)
    elif style == "spaced" and width is None:
        values = np.array([f"{v[:3]} {v[3:6]} {v[6:]}" if len(v) == 10 else v for v in values], dtype=object)
    if width is not None:
        values = np.array([value[:width] for value in values], dtype=object)
    return values


def _text(values: Strings) -> pa.Array:
    array = pa.array(values, pa.string())
    return pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)


def _identifier(agency: Agency, column: str, versions: Recorded, picked: Ints) -> pa.Array:
    values = getattr(versions, column)[picked]
    if column == "dob":
        values = _dates(values, agency.dates["dob"])
    elif column == "sex":
        values = np.array([agency.sex.get(value, "") for value in values], dtype=object)
    elif column in agency.style and not (column == "postcode" and agency.style[column] == "spaced"):
        values = _styled(values, agency.style[column], agency.width.get(column))
    elif column in agency.width:
        values = _styled(values, "plain", agency.width[column])
    return _text(values)


def make_extract(
    rng: np.random.Generator,
    agency: Agency,
    code: int,
    contacts: Contacts,
    rows: Rows,
    *,
    first_ref: int,
    seed: int,
) -> Extract:
    """Return the extract of one agency from a chunk, in order of record date.

    Args:
        rng: Decides the local references.
        agency: The agency.
        code: Its number in `contacts.agency`.
        contacts: References and contacts of the chunk.
        rows: What stands on each contact row.
        first_ref: Number of the first local reference; as many follow as there are references.
        seed: Seed of the whole population, for the names of the lead contacts.
    """
    refs = np.flatnonzero(contacts.agency == code)
    number = first_ref + rng.permutation(refs.size)
    names = np.array([f"{agency.prefix}-{n:08d}" for n in number.tolist()], dtype=object)
    mine = np.flatnonzero(contacts.agency[contacts.row_ref] == code)
    place = np.searchsorted(refs, contacts.row_ref[mine])
    order = np.lexsort((number[place], contacts.row_day[mine]))
    mine, place = mine[order], place[order]
    # Style each version once and repeat it by row: styling texts costs more than taking them.
    used, back = np.unique(rows.version[mine], return_inverse=True)
    status = np.array([agency.status["closed"], agency.status["open"]], dtype=object)
    types = np.array(list(agency.contact_types), dtype=object)
    columns = {
        "ref": pa.array(names[place], pa.string()),
        "record_date": pa.array(_dates(contacts.row_day[mine], agency.dates["record_date"]), pa.string()),
        "contact_type": pa.array(types[rows.contact_type[mine]], pa.string()),
        "case_status": pa.array(status[rows.open_case[mine].astype(int)], pa.string()),
        "lead_contact": pa.array(_workers(agency.name, seed)[rows.worker[mine]], pa.string()),
    }
    taken = pa.array(back)
    for column in IDENTIFIERS:
        if column in agency.columns:
            columns[column] = _identifier(agency, column, rows.versions, used).take(taken)
    present = [field for field in FIELDS if field in agency.columns]
    table = pa.table({agency.columns[field]: columns[field] for field in present})
    return Extract(agency=agency.name, table=table, refs=refs, names=names)
