"""Households: which homes several agencies are in contact with, where the agreement lets them be reported."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

LARGEST_HOUSEHOLD = 12
"""Most people in one household. An address with more is taken for an institution (a care home, a hostel, a block whose
flats share a number): it says nothing of who lives with whom. An assumption, with room for people recorded twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Households:
    """Homes in contact with at least the agreed number of agencies, through any of their people.

    Attributes:
        households: Number of homes.
        by_agencies: Number of agencies -> homes.
        capped: Addresses with more than `LARGEST_HOUSEHOLD` people, which are left out.
        capped_people: Their people.
    """

    households: int
    by_agencies: dict[int, int]
    capped: int
    capped_people: int


_MEMBER = f"""
    CREATE TABLE household_member AS
    WITH member AS (
        SELECT DISTINCT household_tokens.household, people.person
        FROM household_tokens JOIN people USING (subject)
    ),
    sized AS (
        SELECT household, count(*)::INTEGER AS people FROM member GROUP BY household
    )
    SELECT member.household, member.person, sized.people, sized.people > {LARGEST_HOUSEHOLD} AS capped
    FROM member JOIN sized USING (household)
"""
"""Who lives where: everybody recorded at an address, and whether it has too many people for a household."""

_IN_WINDOW = """
    CREATE TABLE household_in_window AS
    SELECT
        household_member.household,
        in_window.agency,
        count(*)::INTEGER AS people,
        sum(in_window.contact_count)::INTEGER AS contact_count,
        min(in_window.first_date) AS first_date,
        max(in_window.last_date) AS last_date,
        bool_or(in_window.open_case) AS open_case
    FROM household_member JOIN in_window USING (person)
    WHERE NOT household_member.capped
    GROUP BY household_member.household, in_window.agency
"""
"""Which agencies are in contact with anybody of a home inside the window."""


def _multi(minimum_agencies: int) -> str:
    """Return the homes that enough agencies are in contact with."""
    return f"""
        CREATE TABLE multi_household AS
        WITH known AS (
            SELECT household, count(*)::INTEGER AS agencies
            FROM household_in_window
            GROUP BY household
            HAVING count(*) >= {minimum_agencies}
        )
        SELECT known.household, any_value(household_member.people) AS people, known.agencies
        FROM known JOIN household_member USING (household)
        GROUP BY known.household, known.agencies
        """


def find_households(con: duckdb.DuckDBPyConnection, *, minimum_agencies: int) -> Households:
    """Fill the tables `household_in_window` and `multi_household`, from `household_tokens`, `people` and `in_window`.

    `household_tokens`: (subject, household), a subject may have several. `household_in_window`: one row a household
    and agency: people (whom the agency is in contact with), contact_count, first_date, last_date, open_case.
    `multi_household`: one row for each household found: people (who live there, in contact or not), agencies.
    """
    con.execute(_MEMBER)
    con.execute(_IN_WINDOW)
    con.execute(_multi(minimum_agencies))
    rows = con.execute(
        "SELECT agencies, count(*) FROM multi_household GROUP BY agencies ORDER BY agencies"
    ).fetchall()
    capped = con.execute(
        "SELECT count(DISTINCT household), count(DISTINCT person) FROM household_member WHERE capped"
    ).fetchall()[0]
    by_agencies = {int(agencies): int(homes) for agencies, homes in rows}
    return Households(
        households=sum(by_agencies.values()),
        by_agencies=by_agencies,
        capped=int(capped[0]),
        capped_people=int(capped[1]),
    )
