"""Who was in contact with several agencies inside the window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiAgency:
    """People in contact with at least the agreed number of agencies.

    Attributes:
        months: Length of the window.
        as_of: Its last day. The window is the `months` calendar months up to and including it.
        people: Number of people.
        by_agencies: Number of agencies -> number of people.
    """

    months: int
    as_of: date
    people: int
    by_agencies: dict[int, int]


def find_multi_agency(
    con: duckdb.DuckDBPyConnection, *, months: int, as_of: date, minimum_agencies: int
) -> MultiAgency:
    """Fill the tables `in_window` and `multi_agency`, from `people` (subject, person), `subjects` and `contacts`.

    `in_window`: one row a person and agency: contact_count, first_date, last_date, open_case, lead (of the latest
    contact that names one). `multi_agency`: one row for each person found, with the number of agencies.
    """
    con.execute(
        f"""
        CREATE TABLE in_window AS
        WITH contact AS (
            SELECT people.person, subjects.agency, contacts.day, contacts.is_open, contacts.lead
            FROM contacts
            JOIN subjects USING (subject)
            JOIN people USING (subject)
            WHERE contacts.day > DATE '{as_of.isoformat()}' - INTERVAL {months} MONTH
              AND contacts.day <= DATE '{as_of.isoformat()}'
        )
        SELECT
            person,
            agency,
            count(*)::INTEGER AS contact_count,
            min(day) AS first_date,
            max(day) AS last_date,
            bool_or(is_open) AS open_case,
            max_by(lead, (day, lead)) FILTER (WHERE lead IS NOT NULL) AS lead
        FROM contact
        GROUP BY person, agency
        """
    )
    con.execute(
        f"""
        CREATE TABLE multi_agency AS
        SELECT person, count(*)::INTEGER AS agencies
        FROM in_window
        GROUP BY person
        HAVING count(*) >= {minimum_agencies}
        """
    )
    rows = con.execute(
        "SELECT agencies, count(*) FROM multi_agency GROUP BY agencies ORDER BY agencies"
    ).fetchall()
    by_agencies = {int(agencies): int(people) for agencies, people in rows}
    return MultiAgency(months=months, as_of=as_of, people=sum(by_agencies.values()), by_agencies=by_agencies)
