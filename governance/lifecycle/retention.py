"""How long an artefact may be kept, by the agreement's `retention`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

ARTEFACTS = ("package", "run", "return", "crosswalk", "result", "log")
"""Kinds of artefact that an agreement sets a time for; rule D16 asks for all of them."""


def retention_days(artefact: str, document: Mapping[str, Any]) -> int | None:
    """Return the days that `document` (an agreement) lets an artefact of this kind be kept; None if it says nothing.

    Where a kind stands twice, the shorter time counts.
    """
    days = [
        int(entry["days"]) for entry in document.get("retention", ()) if entry.get("artefact") == artefact
    ]
    return min(days, default=None)


def due_date(artefact: str, made: date, document: Mapping[str, Any]) -> date | None:
    """Return the last day on which an artefact may be kept; None if the agreement sets no time for its kind.

    It is overdue (rule O05) on any later day: `today > due`.

    Args:
        artefact: One of `ARTEFACTS`.
        made: The day on which it was made.
        document: The agreement document.
    """
    days = retention_days(artefact, document)
    return None if days is None else made + timedelta(days=days)
