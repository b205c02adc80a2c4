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
        contacts_after: Every agency sent its contacts after this day; of what lies before, one or all sent none.
        people: Number of people.
        by_agencies: Most agencies inside one window -> number of people.
        cut: Those of the people whose worst window began before that day, so that it may have held more agencies.
    """

    months: int
    contacts_after: date
    people: int
    by_agencies: dict[int, int]
    cut: int


def _sql(months: int, as_of: date, contacts_after: date, minimum_agencies: int) -> str:
    """One row for each person whom enough agencies were in contact with inside some window: the worst, the latest."""
    return f"""
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
        ),
        worst AS (
            SELECT person, max(agencies)::INTEGER AS agencies, max_by(ends, (agencies, ends)) AS ends
            FROM counted
            GROUP BY person
            HAVING max(agencies) >= {minimum_agencies}
        )
        SELECT *, (ends - INTERVAL {months} MONTH)::DATE AS after, after >= DATE '{contacts_after}' AS whole
        FROM worst
        """


def find_worst_windows(
    con: duckdb.DuckDBPyConnection, *, months: int, as_of: date, contacts_after: date, minimum_agencies: int
) -> WorstWindows:
    """Fill the table `worst_window` (person, agencies, after, ends, whole) from `people`, `subjects` and `contacts`.

    A window is the `months` calendar months up to and including its last day, which lies no later than `as_of`. It is
    enough to look at windows that end on a day of contact: moving an end back to the last contact inside loses none.
    Of several windows with as many agencies the latest counts, so a whole one before one that is cut. `after` is the
    day before the window's first; the window is `whole` if every agency sent all its contacts inside
    (`contacts_after`), else it may have held more agencies than are counted.
    """
    con.execute(_sql(months, as_of, contacts_after, minimum_agencies))
    cut = con.execute("SELECT count(*) FROM worst_window WHERE NOT whole").fetchall()[0][0]
    rows = con.execute(
        "SELECT agencies, count(*) FROM worst_window GROUP BY agencies ORDER BY agencies"
    ).fetchall()
    by_agencies = {int(agencies): int(people) for agencies, people in rows}
    return WorstWindows(
        months=months,
        contacts_after=contacts_after,
        people=sum(by_agencies.values()),
        by_agencies=by_agencies,
        cut=int(cut),
    )
