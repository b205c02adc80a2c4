"""Which days a window has: its last one, and whether the agencies' contacts reach back to its first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import duckdb

from linkage.intake import Sender, latest_contact
from schemas.errors import LinkageError, SchemaMismatch


def _begin(sender: Sender) -> date | None:
    """Return the day after which an agency sent its contacts, None when it sent none.

    Raises:
        SchemaMismatch: It is no date.
    """
    since = sender.manifest.facts.get("contacts_after")
    try:
        return None if since is None else date.fromisoformat(str(since))
    except ValueError:
        raise SchemaMismatch(
            "does not say in a date which contacts it carries.", where=sender.agency
        ) from None


def _shifted(con: duckdb.DuckDBPyConnection, day: date, months: int) -> date:
    """Return the same day `months` calendar months later, the last of the month where there is none."""
    found: date = con.execute("SELECT (?::DATE + to_months(?))::DATE", [day, months]).fetchall()[0][0]
    return found


def last_day(
    senders: Sequence[Sender], con: duckdb.DuckDBPyConnection, *, contact_months: int, created_at: datetime
) -> date:
    """Return the last day of the window when nobody names one: the latest day that contacts reach or were sealed for.

    It never lies after the day of the run, whatever a sender says.

    Raises:
        SchemaMismatch: An agency's statement of which contacts it sent is no date.
    """
    sealed_for = [
        _shifted(con, begin, contact_months) for sender in senders if (begin := _begin(sender)) is not None
    ]
    last = max([latest_contact(con) or date.min, *sealed_for])
    return created_at.date() if last == date.min else min(last, created_at.date())


def require_contacts_from(
    senders: Sequence[Sender], con: duckdb.DuckDBPyConnection, *, months: int, as_of: date
) -> None:
    """Refuse a window that begins before the contacts that an agency sent.

    Agencies send only contacts of the agreed months up to the day that they sealed for, so an earlier window would
    silently miss some.

    Raises:
        LinkageError: An agency's contacts begin too late.
        SchemaMismatch: An agency's statement of which contacts it sent is no date.
    """
    start = _shifted(con, as_of, -months)
    for sender in senders:
        begin = _begin(sender)
        if begin is not None and begin > start:
            raise LinkageError(
                f"{sender.agency} sent no contacts before {begin}, but the window begins after {start}.",
                remedy="Link without --as-of, or let every agency seal again with the same --as-of.",
            )


def contacts_after(
    senders: Sequence[Sender], con: duckdb.DuckDBPyConnection, *, contact_months: int, as_of: date
) -> date:
    """Return the day after which every agency sent all its contacts; windows that begin before are cut.

    Raises:
        SchemaMismatch: An agency's statement of which contacts it sent is no date.
    """
    begun = [begin for sender in senders if (begin := _begin(sender)) is not None]
    return max(begun, default=_shifted(con, as_of, -contact_months))
