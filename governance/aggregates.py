"""Find the counts of people in what is about to leave, so that rule O02 can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from governance.disclosure import SUPPRESSED
from governance.rules.output import CountTable

COUNT_NAMES = frozenset(
    {
        "people",
        "persons",
        "person_count",
        "count",
        "number",
        "n",
        "total",
        "children",
        "adults",
        "cases",
        "households",
    }
)
"""Headers that say that a column holds counts of people."""

RECORD_NAMES = frozenset({"ref", "subject", "person", "other_ref", "nhs_number", "uprn", "lead_contact"})
"""Headers of tables about single people, where a number is not a count of people."""

_TOTALS = frozenset({"total", "all", "sum"})
RETURN_COUNTS = frozenset({"people", "rows", "household_rows", "rolling_rows"})
"""Counts that a return states of its own rows: its reader can count them, and rule O03 asks whether they are few."""

RETURN_NUMBERS = frozenset({"window_months"})
"""Numbers that a return states and that count nobody."""


def count_columns(columns: Mapping[str, Sequence[str]]) -> list[CountTable]:
    """Return the columns of a table that hold counts of people; a row called total is the total of each.

    Args:
        columns: Header -> cells as text, all of one length.
    """
    names = {name.strip().casefold() for name in columns}
    if names & RECORD_NAMES:
        return []
    labels = list(next(iter(columns.values()), ()))
    found = []
    for number, (name, cells) in enumerate(columns.items(), 1):
        counts = [_count(cell) for cell in cells]
        if name.strip().casefold() not in COUNT_NAMES or not any(count is not None for count in counts):
            continue
        totals = [at for at, label in enumerate(labels) if label.strip().casefold() in _TOTALS]
        found.append(
            CountTable(
                name=f"column {number}",
                cells=[[count for at, count in enumerate(counts) if at not in totals]],
                row_totals=[counts[totals[0]]] if totals else [],
            )
        )
    return found


def _count(cell: str) -> int | None:
    """Return a count; None for a suppressed or empty cell, and for text."""
    text = cell.strip().replace(",", "")
    return int(text) if text.isascii() and text.isdecimal() and text != SUPPRESSED else None


def tables_of_return(counts: Mapping[str, int], facts: Mapping[str, Any]) -> list[CountTable]:
    """Return the counts that a return states beside its rows: an honest one has none.

    Args:
        counts: Counts of its manifest.
        facts: Facts of its manifest.
    """
    named = {**{f"counts.{name}": value for name, value in counts.items() if name not in RETURN_COUNTS}}
    named |= {f"facts.{name}": value for name, value in facts.items() if name not in RETURN_NUMBERS}
    return [table for name, value in named.items() for table in _tables(name, value)]


def _tables(name: str, value: Any) -> list[CountTable]:
    """Return each number, list or mapping of numbers in a JSON value as a table of counts."""
    if type(value) is int:
        return [CountTable(name=name, cells=[[value]])]
    entries = (
        value if isinstance(value, Mapping) else dict(enumerate(value)) if isinstance(value, list) else {}
    )
    whole = {key: each for key, each in entries.items() if type(each) is int}
    totals = [each for key, each in whole.items() if str(key).casefold() in _TOTALS]
    parts = [each for key, each in whole.items() if str(key).casefold() not in _TOTALS]
    found = [CountTable(name=name, cells=[parts], row_totals=totals[:1])] if whole else []
    deeper = [(f"{name}[{at}]", each) for at, (key, each) in enumerate(entries.items()) if key not in whole]
    return found + [table for place, each in deeper for table in _tables(place, each)]
