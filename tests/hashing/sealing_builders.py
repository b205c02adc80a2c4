"""Small invented extracts for the tests of the agency core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import pyarrow as pa

from hashing.extract import Extract
from hashing.mapping import AgencyMapping
from hashing.subjects import Subjects, collapse

TODAY = date(2026, 6, 30)

Row = Mapping[str, str | None]


def extract_of(rows: Sequence[Row], *, agency: str = "police") -> Extract:
    """Return an extract with a column for every name that some row has."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    return Extract(agency=agency, columns=columns, rows=len(rows), source="extract.csv")


def subjects_of(
    rows: Sequence[Row], *, mapping: AgencyMapping | None = None, standards: Mapping[str, str] | None = None
) -> Subjects:
    """Collapse `rows` as on 30 June 2026."""
    return collapse(extract_of(rows), today=TODAY, mapping=mapping, standards=standards or {})


FORENAMES = ("MARY", "MARIE", "JOHN", "JACK", "LI", "SIOBHAN", "MUHAMMAD", "MOHAMED", "JAMES", "LI JOHN")
SURNAMES = ("JONES", "SMITH", "SMYTH", "JAMES", "LI", "OBRIEN", "BRIEN", "DE SOUZA", "THOMAS")
DATES = ("1990-03-04", "1990-04-03", "1990-03-05", "1991-03-04", "2004-11-30", "1990-04-04")
POSTCODES = ("LS6 3AB", "LS6 3AD", "LS6 4AB", "BD1 1AA", "LS6")
ADDRESSES = (
    "12 High Street",
    "12 High Road",
    "Flat 2, 12 High Street",
    "Rose Cottage, Mill Lane",
    "14 Low Lane",
)
NHS_NUMBERS = ("612 345 1782", "623 981 7457", "634 017 8294")
"""Invented; right check digits, not among the numbers that are printed as examples."""


def person(ref: str, choice: Iterable[int]) -> dict[str, str | None]:
    """Return a row whose identifiers are picked from the short lists by `choice` (a number past the end: missing)."""
    lists = {
        "forename": FORENAMES,
        "surname": SURNAMES,
        "dob": DATES,
        "sex": ("F", "M"),
        "postcode": POSTCODES,
        "uprn": ("100071", "100082", "100093"),
        "nhs_number": NHS_NUMBERS,
        "address": ADDRESSES,
    }
    row: dict[str, str | None] = {"ref": ref}
    for (name, values), number in zip(lists.items(), choice, strict=True):
        row[name] = values[number] if number < len(values) else None
    return row


LIMITS = (len(FORENAMES), len(SURNAMES), len(DATES), 2, len(POSTCODES), 3, len(NHS_NUMBERS), len(ADDRESSES))
"""Largest choice of each field; it stands for a missing value."""
