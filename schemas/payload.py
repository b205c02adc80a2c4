"""Arrow schemas of what a sealed package and a return carry. A reader refuses any other columns or types."""

from __future__ import annotations

import pyarrow as pa

from schemas.scheme import DERIVED, Pass, column

VERSIONS = pa.schema([pa.field("subject", pa.int32(), nullable=False)])
"""Row n: the subject of version n."""

CONTACTS = pa.schema(
    [
        pa.field("subject", pa.int32(), nullable=False),
        pa.field("day", pa.date32()),
        pa.field("is_open", pa.bool_()),
        pa.field("lead", pa.int32()),
    ]
)
"""One row a contact; `lead` indexes the part `leads`."""

LEADS = pa.schema([pa.field("sealed", pa.binary(), nullable=False)])
"""Lead contacts, encrypted between agencies; the linkage unit passes them on unread."""

APART = pa.schema(
    [pa.field("subject_l", pa.int32(), nullable=False), pa.field("subject_r", pa.int32(), nullable=False)]
)
"""Pairs of the sender's subjects that must never be one person; always there, mostly without rows."""

HOMES = pa.schema(
    [pa.field("version", pa.int32(), nullable=False), pa.field("block", pa.int64(), nullable=False)]
)
"""Sealed homes of versions; only where the agreement lets households be reported."""

RETURN_HOUSEHOLDS = pa.schema(
    [
        pa.field("subject", pa.int32(), nullable=False),
        pa.field("household", pa.int32(), nullable=False),
        pa.field("agency", pa.string(), nullable=False),
        pa.field("people", pa.int32(), nullable=False),
        pa.field("contact_count", pa.int32()),
        pa.field("first_date", pa.date32()),
        pa.field("last_date", pa.date32()),
        pa.field("open_case", pa.bool_()),
        pa.field("lead_sealed", pa.binary()),
        pa.field("lead_agency", pa.string()),
    ]
)
"""One row for each of the receiver's subjects, home of theirs, and other agency in contact with somebody else there."""

RETURN_ROLLING = pa.schema(
    [
        pa.field("subject", pa.int32(), nullable=False),
        pa.field("agencies", pa.int32(), nullable=False),
        pa.field("first_date", pa.date32()),
        pa.field("last_date", pa.date32()),
        pa.field("whole", pa.bool_(), nullable=False),
        pa.field("seen_from", pa.date32(), nullable=False),
    ]
)
"""One row for each of the receiver's subjects whose person several agencies were in contact with in some window: how
many in the worst one, its first and last day, whether every agency sent its contacts of all of it, and the first day
of which every agency did."""

RETURN = pa.schema(
    [
        pa.field("subject", pa.int32(), nullable=False),
        pa.field("person", pa.int32(), nullable=False),
        pa.field("agency", pa.string(), nullable=False),
        pa.field("own", pa.bool_(), nullable=False),
        pa.field("contact_count", pa.int32()),
        pa.field("first_date", pa.date32()),
        pa.field("last_date", pa.date32()),
        pa.field("open_case", pa.bool_()),
        pa.field("lead_sealed", pa.binary()),
        pa.field("lead_agency", pa.string()),
    ]
)
"""One row for each of the receiver's subjects and each agency in contact with the same person."""

RETURN_PARTS = {"contacts": RETURN, "households": RETURN_HOUSEHOLDS, "rolling": RETURN_ROLLING}
"""Part of a return -> its schema; `contacts` is in every return, the others where the agreement has them."""

RETURN_ROWS = {"contacts": "rows", "households": "household_rows", "rolling": "rolling_rows"}
"""Part of a return -> the count of its rows in the manifest."""

CROSSWALK = pa.schema(
    [pa.field("ref", pa.string(), nullable=False), pa.field("subject", pa.int32(), nullable=False)]
)
"""One row for each local reference; it never leaves the agency."""

ERASED = pa.schema(
    [pa.field("subject", pa.int32(), nullable=False), pa.field("about", pa.string(), nullable=False)]
)
"""One row for each subject to erase (part `subjects`); in a notice, of the receiver's subjects and the agency not to be
told of, as knowing the same person (part `subjects`) or somebody else at the same home (part `homes`)."""


def token_type(name: str) -> pa.DataType:
    """Return the Arrow type of the comparison token of a derived value."""
    return pa.uint16() if DERIVED[name].bits == 16 else pa.uint32()


def pass_schema(blocking: Pass) -> pa.Schema:
    """Return the schema of the token table of one pass."""
    return pa.schema(
        [
            pa.field("version", pa.int32(), nullable=False),
            pa.field("block", pa.int64(), nullable=False),
            *(pa.field(column(name), token_type(name)) for name in blocking.tokens),
        ]
    )


def pass_part(index: int) -> str:
    """Return the name of the package part that holds pass number `index`."""
    return f"tokens-{index:02d}"
