"""One return an agency: for its own subjects only, which agencies are in contact with the same person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from governance.agreement import Agreement
from linkage.intake import Sender
from linkage.window import MultiAgency
from schemas.container import write_package
from schemas.errors import LinkageError
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.payload import RETURN, RETURN_HOUSEHOLDS
from schemas.tables import ARROW_STREAM, arrow_stream

_OPTIONAL = ("contact_count", "first_date", "last_date", "open_case")


def _return_sql(agency: str, outputs: frozenset[str]) -> str:
    """One row for each own subject of a multi-agency person and each agency in contact with this person.

    Only people whom the receiver itself is in contact with inside the window: it is told of nobody else.

    Persons are numbered anew in every return, so that two agencies cannot join their returns by them.
    """
    allowed = ",\n            ".join(
        f"in_window.{name}" if name in outputs else f"NULL AS {name}" for name in _OPTIONAL
    )
    lead = "leads.sealed" if "lead_contact" in outputs else "NULL"
    return f"""
        WITH own AS (
            SELECT subjects.number, people.person
            FROM subjects
            JOIN people USING (subject)
            SEMI JOIN multi_agency ON multi_agency.person = people.person
            SEMI JOIN in_window ON in_window.person = people.person AND in_window.agency = '{agency}'
            WHERE subjects.agency = '{agency}'
        ),
        renumbered AS (
            SELECT person, row_number() OVER (ORDER BY lot) AS shown
            FROM (SELECT person, any_value(uuid()) AS lot FROM own GROUP BY person)
        )
        SELECT
            own.number AS subject,
            renumbered.shown::INTEGER AS person,
            in_window.agency,
            in_window.agency = '{agency}' AS own,
            {allowed},
            {lead} AS lead_sealed,
            CASE WHEN {lead} IS NOT NULL THEN in_window.agency END AS lead_agency
        FROM own
        JOIN renumbered USING (person)
        JOIN in_window USING (person)
        LEFT JOIN leads ON leads.agency = in_window.agency AND leads.lead = in_window.lead
        ORDER BY subject, in_window.agency
    """


def return_table(con: duckdb.DuckDBPyConnection, agency: str, agreement: Agreement) -> pa.Table:
    """Return what goes back to `agency`, with the schema `schemas.payload.RETURN`."""
    table = con.sql(_return_sql(agency, agreement.outputs)).to_arrow_table()
    columns = [table.column(field.name).cast(field.type) for field in RETURN]
    return pa.Table.from_arrays(columns, schema=RETURN)


def _household_sql(agency: str, outputs: frozenset[str]) -> str:
    """One row for each own subject, home of theirs, and agency in contact with anybody of that home.

    Only homes of people whom the receiver itself is in contact with inside the window. Homes are numbered anew in
    every return.
    """
    allowed = ",\n            ".join(
        f"seen.{name}" if name in outputs else f"NULL AS {name}" for name in _OPTIONAL
    )
    return f"""
        WITH own AS (
            SELECT DISTINCT subjects.number, household_member.household
            FROM subjects
            JOIN people USING (subject)
            JOIN household_member USING (person)
            SEMI JOIN multi_household ON multi_household.household = household_member.household
            SEMI JOIN in_window ON in_window.person = people.person AND in_window.agency = '{agency}'
            WHERE subjects.agency = '{agency}'
        ),
        renumbered AS (
            SELECT household, row_number() OVER (ORDER BY lot) AS shown
            FROM (SELECT household, any_value(uuid()) AS lot FROM own GROUP BY household)
        )
        SELECT
            own.number AS subject,
            renumbered.shown AS household,
            seen.agency,
            seen.agency = '{agency}' AS own,
            seen.people,
            {allowed}
        FROM own
        JOIN renumbered USING (household)
        JOIN household_in_window AS seen USING (household)
        ORDER BY subject, renumbered.shown, seen.agency
    """


def household_table(con: duckdb.DuckDBPyConnection, agency: str, agreement: Agreement) -> pa.Table:
    """Return the homes that `agency` is told about, with the schema `schemas.payload.RETURN_HOUSEHOLDS`."""
    table = con.sql(_household_sql(agency, agreement.outputs)).to_arrow_table()
    columns = [table.column(field.name).cast(field.type) for field in RETURN_HOUSEHOLDS]
    return pa.Table.from_arrays(columns, schema=RETURN_HOUSEHOLDS)


def told_table(agency: str, returned: pa.Table) -> pa.Table:
    """Return which subject of `agency` was told of which other agency (columns agency, subject, about)."""
    others = returned.filter(pc.invert(returned.column("own")))
    return pa.table(
        {
            "agency": pa.array([agency] * others.num_rows, pa.string()),
            "subject": others.column("subject"),
            "about": others.column("agency"),
        }
    )


def write_returns(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    senders: Sequence[Sender],
    *,
    agreement: Agreement,
    window: MultiAgency,
    unit: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    run_id: str,
    created_at: datetime,
    approve: Callable[[pa.Table, str, int], None] = lambda _table, _agency, _people: None,
) -> dict[str, int]:
    """Write `folder/<agency>.tally` for each sender, encrypted to it; return agency -> people it is told about.

    Beside the folder it writes `told.parquet`: the unit cannot read a return, and an erasure has to know which
    agencies were told of a subject, and must tell no others (docs/guides/lifecycle.md).

    `approve` is asked about each return (table, agency, people told of) before it is written, and raises to stop it.

    Raises:
        LinkageError: An agency's receiving key is not known.
        OutputError: A return cannot be written.
    """
    told: dict[str, int] = {}
    rows: list[pa.Table] = []
    for sender in senders:
        recipient = known.get(sender.agency)
        if recipient is None:
            raise LinkageError(f"the agreement holds no receiving key of {sender.agency}.")
        table = return_table(con, sender.agency, agreement)
        told[sender.agency] = len(set(table.column("person").to_pylist()))
        approve(table, sender.agency, told[sender.agency])
        rows.append(told_table(sender.agency, table))
        counts = {"people": told[sender.agency], "rows": table.num_rows}
        parts = [("contacts", ARROW_STREAM, arrow_stream(RETURN, iter(table.to_batches())))]
        if agreement.households:
            homes = household_table(con, sender.agency, agreement)
            counts["household_rows"] = homes.num_rows
            stream = arrow_stream(RETURN_HOUSEHOLDS, iter(homes.to_batches()))
            parts.append(("households", ARROW_STREAM, stream))
        write_package(
            folder / f"{sender.agency}.tally",
            kind="return",
            sender=unit,
            recipient=recipient,
            agreement_digest=agreement.digest,
            run_id=run_id,
            purpose=agreement.purpose,
            created_at=created_at,
            counts=counts,
            facts={
                "window_months": window.months,
                "as_of": window.as_of.isoformat(),
                "seal_id": sender.manifest.facts.get("seal_id"),
            },
            parts=parts,
        )
    pq.write_table(pa.concat_tables(rows), folder.parent / "told.parquet")
    return told
