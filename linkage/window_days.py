"""Which days a window has: its last one, and whether the agencies' contacts reach back to its first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import duckdb

from linkage.intake import Sender, latest_contact
from schemas.errors import LinkageError, SchemaMismatch


def last_day(
    senders: Sequence[Sender], con: duckdb.DuckDBPyConnection, *, months: int, created_at: datetime
) -> date:
    """Return the last day of the window when nobody names one: the latest day that contacts reach or were sealed for.

    It never lies after the day of the run, whatever a sender says.

    Raises:
        SchemaMismatch: An agency's statement of which contacts it sent is no date.
    """
    found = [latest_contact(con) or date.min]
    for sender in senders:
        since = sender.manifest.facts.get("contacts_after")
        if since is not None:
            try:
                after = date.fromisoformat(str(since))
            except ValueError:
                raise SchemaMismatch(
                    "does not say in a date which contacts it carries.", where=sender.agency
                ) from None
            found.append(
                con.execute("SELECT (?::DATE + to_months(?))::DATE", [after, months]).fetchall()[0][0]
            )
    last = max(found)
    return created_at.date() if last == date.min else min(last, created_at.date())


def require_contacts_from(
    senders: Sequence[Sender], con: duckdb.DuckDBPyConnection, *, months: int, as_of: date
) -> None:
    """Refuse a window that begins before the contacts that an agency sent.

    Agencies send only contacts inside the window that they sealed for, so an earlier one would silently miss some.

    Raises:
        LinkageError: An agency's contacts begin too late.
    """
    start: date = con.execute(
        f"SELECT (DATE '{as_of.isoformat()}' - INTERVAL {months} MONTH)::DATE"
    ).fetchall()[0][0]
    for sender in senders:
        since = sender.manifest.facts.get("contacts_after")
        if since is not None and str(since) > start.isoformat():
            raise LinkageError(
                f"{sender.agency} sent no contacts before {since}, but the window begins after {start}.",
                remedy="Link without --as-of, or let every agency seal again with the same --as-of.",
            )
