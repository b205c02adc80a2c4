"""The worst rolling window: when, within the contacts held, most agencies were in contact with a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import duckdb


@dataclass(frozen=True, kw_only=True, slots=True)
class WorstWindows:
    """People whom at least the agreed number of agencies were in contact with inside some window.

    Attributes:
        months: Length of each window.
        people: Number of people.
        by_agencies: Most agencies inside one window -> number of people.
    """

    months: int
    people: int
    by_agencies: dict[int, int]


def find_worst_windows(
    con: duckdb.DuckDBPyConnection, *, months: int, as_of: date, minimum_agencies: int
) -> WorstWindows:
    """Fill the table `worst_window` (person, agencies, ends) from `people`, `subjects` and `contacts`.

    A window is the `months` calendar months up to and including its last day, which lies no later than `as_of`. It is
    enough to look at windows that end on a day of contact: moving an end back to the last contact inside loses none.
    Of several windows with as many agencies the latest counts. Contacts are those the agencies sent, so a window that
    ends early in them may miss what lies before.
    """
    con.execute(
        f"""
        CREATE TABLE worst_window AS
        WITH contact AS (
            SELECT DISTINCT people.person, subjects.agency, contacts.day
            FROM contacts
            JOIN subjects USING (subject)
            JOIN people USING (subject)
            WHERE contacts.day <= DATE '{as_of.isoformat()}'
        ),
        known AS (
            SELECT person FROM contact GROUP BY person HAVING count(DISTINCT agency) >= {minimum_agencies}
        ),
        window_end AS (
            SELECT DISTINCT person, day AS ends FROM contact SEMI JOIN known USING (person)
        ),
        counted AS (
            SELECT window_end.person, window_end.ends, count(DISTINCT contact.agency) AS agencies
            FROM window_end
            JOIN contact
                ON contact.person = window_end.person
                AND contact.day > window_end.ends - INTERVAL {months} MONTH
                AND contact.day <= window_end.ends
            GROUP BY window_end.person, window_end.ends
        )
        SELECT person, max(agencies)::INTEGER AS agencies, max_by(ends, (agencies, ends)) AS ends
        FROM counted
        GROUP BY person
        HAVING max(agencies) >= {minimum_agencies}
        """
    )
    rows = con.execute(
        "SELECT agencies, count(*) FROM worst_window GROUP BY agencies ORDER BY agencies"
    ).fetchall()
    by_agencies = {int(agencies): int(people) for agencies, people in rows}
    return WorstWindows(months=months, people=sum(by_agencies.values()), by_agencies=by_agencies)
