"""The tables of a return, in SQL: people, homes and worst windows that one agency is told of, and what was told."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from governance.agreement import Agreement
from linkage.window_rolling import WorstWindows
from schemas.payload import RETURN, RETURN_HOUSEHOLDS, RETURN_ROLLING

_OPTIONAL = ("contact_count", "first_date", "last_date", "open_case")

TOLD = pa.schema([("agency", pa.string()), ("subject", pa.int32()), ("about", pa.string())])
"""Which subject of an agency it was told of, and about which other agency."""

TOLD_HOMES = pa.schema([*TOLD, ("about_subject", pa.int32())])
"""Of which subject of an agency it was told that somebody else at the same home is known to which other agency, and the
subjects there whom that agency knows. An erasure needs it: the homes themselves are not kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReturnTables:
    """What one agency is told.

    Attributes:
        contacts: Schema `RETURN`.
        households: Schema `RETURN_HOUSEHOLDS`; None where the agreement does not let homes be reported.
        rolling: Schema `RETURN_ROLLING`; None where it does not let worst rolling windows be reported.
        told: Schema `TOLD`: the agencies of which rows of `contacts` and `rolling` tell.
        told_homes: Schema `TOLD_HOMES`; None like `households`.
    """

    contacts: pa.Table
    households: pa.Table | None
    rolling: pa.Table | None
    told: pa.Table
    told_homes: pa.Table | None

    @property
    def parts(self) -> dict[str, pa.Table]:
        """The tables of the return by the name of their part."""
        named = {"contacts": self.contacts, "households": self.households, "rolling": self.rolling}
        return {name: table for name, table in named.items() if table is not None}

    @property
    def people(self) -> int:
        """People that the agency is told are known to enough agencies inside the window."""
        return len(set(self.contacts.column("person").to_pylist()))


def _cast(found: duckdb.DuckDBPyRelation, schema: pa.Schema) -> pa.Table:
    table = found.to_arrow_table()
    return pa.Table.from_arrays([table.column(each.name).cast(each.type) for each in schema], schema=schema)


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
    return _cast(con.sql(_return_sql(agency, agreement.outputs)), RETURN)


def _home_contact(agency: str, minimum_agencies: int) -> str:
    """Return the CTEs `own`, `contact` and `told` of the homes that `agency` is told of.

    `own`: its subjects that it is in contact with inside the window, with their homes. `contact`: one row for each of
    them, home, and contact of another agency with another person there. `told`: which subjects and homes reach the
    agreed number of agencies, the receiver included; nothing is told of fewer.
    """
    return f"""
        own AS (
            SELECT DISTINCT subjects.number, people.person, household_member.household
            FROM subjects
            JOIN people USING (subject)
            JOIN household_member USING (person)
            SEMI JOIN multi_household ON multi_household.household = household_member.household
            SEMI JOIN in_window ON in_window.person = people.person AND in_window.agency = '{agency}'
            WHERE subjects.agency = '{agency}'
        ),
        contact AS (
            SELECT own.number, own.household, in_window.*
            FROM own
            JOIN household_member AS other ON other.household = own.household AND other.person <> own.person
            JOIN in_window ON in_window.person = other.person AND in_window.agency <> '{agency}'
        ),
        told AS (
            SELECT number, household
            FROM contact
            GROUP BY number, household
            HAVING count(DISTINCT agency) + 1 >= {minimum_agencies}
        )"""


def _household_sql(agency: str, agreement: Agreement) -> str:
    """One row for each own subject, home of theirs, and other agency in contact with somebody else of that home.

    Only homes of people whom the receiver itself is in contact with inside the window. Homes are numbered anew in
    every return. The lead is that of the latest contact.
    """
    allowed = ",\n            ".join(
        f"seen.{name}" if name in agreement.outputs else f"NULL AS {name}" for name in _OPTIONAL
    )
    lead = "leads.sealed" if "lead_contact" in agreement.outputs else "NULL"
    return f"""
        WITH {_home_contact(agency, agreement.minimum_agencies)},
        renumbered AS (
            SELECT household, row_number() OVER (ORDER BY lot) AS shown
            FROM (SELECT household, any_value(uuid()) AS lot FROM told GROUP BY household)
        ),
        seen AS (
            SELECT
                number,
                household,
                agency,
                count(*) AS people,
                sum(contact_count) AS contact_count,
                min(first_date) AS first_date,
                max(last_date) AS last_date,
                bool_or(open_case) AS open_case,
                max_by(lead, (last_date, lead)) FILTER (WHERE lead IS NOT NULL) AS lead
            FROM contact SEMI JOIN told USING (number, household)
            GROUP BY number, household, agency
        )
        SELECT
            seen.number AS subject,
            renumbered.shown AS household,
            seen.agency,
            seen.people,
            {allowed},
            {lead} AS lead_sealed,
            CASE WHEN {lead} IS NOT NULL THEN seen.agency END AS lead_agency
        FROM seen
        JOIN renumbered USING (household)
        LEFT JOIN leads ON leads.agency = seen.agency AND leads.lead = seen.lead
        ORDER BY subject, household, seen.agency
    """


def _told_homes_sql(agency: str, minimum_agencies: int) -> str:
    return f"""
        WITH {_home_contact(agency, minimum_agencies)}
        SELECT DISTINCT
            '{agency}' AS agency,
            contact.number AS subject,
            contact.agency AS about,
            known.number AS about_subject
        FROM contact
        SEMI JOIN told ON told.number = contact.number AND told.household = contact.household
        JOIN people ON people.person = contact.person
        JOIN subjects AS known ON known.subject = people.subject AND known.agency = contact.agency
        ORDER BY ALL
    """


def _rolling_contact(agency: str) -> str:
    """Return the CTEs `own` and `within`: whom `agency` is told a worst window of, and who was in contact inside it.

    Only people whom the receiver itself was in contact with inside that window.
    """
    return f"""
        within_window AS (
            SELECT DISTINCT worst_window.person, subjects.agency
            FROM worst_window
            JOIN people USING (person)
            JOIN subjects USING (subject)
            JOIN contacts USING (subject)
            WHERE contacts.day > worst_window.after AND contacts.day <= worst_window.ends
        ),
        own AS (
            SELECT subjects.number, people.person
            FROM subjects
            JOIN people USING (subject)
            SEMI JOIN within_window
                ON within_window.person = people.person AND within_window.agency = '{agency}'
            WHERE subjects.agency = '{agency}'
        )"""


def _rolling_sql(agency: str, outputs: frozenset[str], rolling: WorstWindows) -> str:
    days = {"first_date": "(after + INTERVAL 1 DAY)::DATE", "last_date": "ends"}
    allowed = ",\n            ".join(
        f"{day if name in outputs else 'NULL'} AS {name}" for name, day in days.items()
    )
    return f"""
        WITH {_rolling_contact(agency)}
        SELECT
            own.number AS subject,
            worst_window.agencies,
            {allowed},
            worst_window.whole,
            DATE '{rolling.contacts_after.isoformat()}' + INTERVAL 1 DAY AS seen_from
        FROM own JOIN worst_window USING (person)
        ORDER BY subject
    """


def _told_rolling_sql(agency: str) -> str:
    return f"""
        WITH {_rolling_contact(agency)}
        SELECT DISTINCT '{agency}' AS agency, own.number AS subject, within_window.agency AS about
        FROM own JOIN within_window USING (person)
        WHERE within_window.agency <> '{agency}'
    """


def _told_contacts(agency: str, returned: pa.Table) -> pa.Table:
    others = returned.filter(pc.invert(returned.column("own")))
    columns = [
        pa.array([agency] * others.num_rows, pa.string()),
        others.column("subject"),
        others.column("agency"),
    ]
    return pa.Table.from_arrays(columns, schema=TOLD)


def tables_of_return(
    con: duckdb.DuckDBPyConnection, agency: str, agreement: Agreement, rolling: WorstWindows | None
) -> ReturnTables:
    """Return what goes back to `agency`, and what the unit has to remember of it.

    Args:
        con: The run, with the tables of `linkage.window`, `linkage.households` and `linkage.window_rolling`.
        agency: The receiver.
        agreement: What it may be told.
        rolling: The worst windows; None when they may not be reported.
    """
    contacts = return_table(con, agency, agreement)
    told = [_told_contacts(agency, contacts)]
    homes = windows = told_homes = None
    if agreement.households:
        homes = _cast(con.sql(_household_sql(agency, agreement)), RETURN_HOUSEHOLDS)
        told_homes = _cast(con.sql(_told_homes_sql(agency, agreement.minimum_agencies)), TOLD_HOMES)
    if rolling is not None:
        windows = _cast(con.sql(_rolling_sql(agency, agreement.outputs, rolling)), RETURN_ROLLING)
        told.append(_cast(con.sql(_told_rolling_sql(agency)), TOLD))
    return ReturnTables(
        contacts=contacts,
        households=homes,
        rolling=windows,
        told=_distinct(pa.concat_tables(told)),
        told_homes=told_homes,
    )


def _distinct(told: pa.Table) -> pa.Table:
    return told.group_by(told.column_names, use_threads=False).aggregate([]).select(told.column_names)
