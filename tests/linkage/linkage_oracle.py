"""Slow, plain restatements of what the linkage unit does in SQL, to hold the two equal."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import combinations
from typing import Any

import duckdb

from schemas.scheme import COMPARISONS, FAMILY_LEVELS, Pass, column

TokenRow = Mapping[str, Any]
"""Column name -> token, None where it is missing."""


def filled(row: TokenRow, blocking: Pass) -> dict[str, Any]:
    """Return a token row with the values that its pass fixes: equal, and present, on both sides."""
    return {**row, **{column(name): "fixed" for name in blocking.fixed}}


def _agrees(left: TokenRow, right: TokenRow, term: Sequence[str]) -> bool:
    values = [(left.get(column(name)), right.get(column(name))) for name in term]
    return all(a is not None and b is not None and a == b for a, b in values)


def _crosses(left: TokenRow, right: TokenRow, one: str, other: str) -> bool:
    return any(
        a.get(column(one)) is not None and a.get(column(one)) == b.get(column(other))
        for a, b in ((left, right), (right, left))
    )


def gammas(left: TokenRow, right: TokenRow) -> list[int]:
    """Return the gamma of each comparison: -1 null, 0 nothing agrees, larger is stronger."""
    found = []
    for comparison in COMPARISONS:
        names = [column(name) for name in comparison.presence]
        if not any(left.get(name) is not None and right.get(name) is not None for name in names):
            found.append(-1)
            continue
        at = (
            n
            for n, level in enumerate(comparison.levels)
            if any(_agrees(left, right, t) for t in level.terms)
            or any(_crosses(left, right, one, other) for one, other in level.crossed)
        )
        found.append(len(comparison.levels) - next(at, len(comparison.levels)))
    return found


def family_gamma(left: TokenRow, right: TokenRow) -> int:
    """Return the gamma of the family correction, 0 for none."""
    at = (n for n, level in enumerate(FAMILY_LEVELS) if any(_agrees(left, right, t) for t in level.terms))
    return len(FAMILY_LEVELS) - next(at, len(FAMILY_LEVELS))


def token_rows(con: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table as dictionaries."""
    cursor = con.execute(f"SELECT * FROM {table}")
    names = [entry[0] for entry in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def met(
    passes: Sequence[Sequence[tuple[int, int]]], subject_of: Mapping[int, int], *, cap: int
) -> tuple[dict[tuple[int, int], int], list[tuple[int, int, int]]]:
    """Return the candidate pairs with the passes that found them as bits, and (pairs, capped blocks, capped versions).

    Args:
        passes: For each pass, (version, block).
        subject_of: Subject of each version.
        cap: Largest block that takes part.
    """
    found: dict[tuple[int, int], int] = {}
    figures = []
    for index, rows in enumerate(passes):
        blocks: dict[int, list[int]] = {}
        for version, block in rows:
            blocks.setdefault(block, []).append(version)
        large = [members for members in blocks.values() if len(members) > cap]
        pairs = [
            pair
            for members in blocks.values()
            if len(members) <= cap
            for pair in combinations(sorted(members), 2)
        ]
        figures.append((len(pairs), len(large), sum(map(len, large))))
        for left, right in pairs:
            if subject_of[left] != subject_of[right]:
                found[left, right] = found.get((left, right), 0) | 1 << index
    return found, figures


def components(links: Iterable[tuple[int, int]], nodes: int) -> set[frozenset[int]]:
    """Return the connected components of a graph, by walking it."""
    beside: dict[int, set[int]] = {node: set() for node in range(nodes)}
    for left, right in links:
        beside[left].add(right)
        beside[right].add(left)
    seen: set[int] = set()
    found = set()
    for node in range(nodes):
        if node in seen:
            continue
        group, waiting = set(), [node]
        while waiting:
            here = waiting.pop()
            if here not in group:
                group.add(here)
                waiting.extend(beside[here])
        seen |= group
        found.add(frozenset(group))
    return found


def first_day(as_of: date, months: int) -> date:
    """Return the last day that is *outside* a window of `months` calendar months up to `as_of`."""
    total = as_of.year * 12 + as_of.month - 1 - months
    year, month = divmod(total, 12)
    return date(year, month + 1, min(as_of.day, calendar.monthrange(year, month + 1)[1]))


Contact = tuple[int, date | None, bool | None, int | None]
"""Subject, day, open or not, whom to ring."""


def window(
    contacts: Sequence[Contact],
    agency_of: Mapping[int, str],
    person_of: Mapping[int, int],
    *,
    months: int,
    as_of: date,
) -> dict[tuple[int, str], tuple[int, date, date, bool | None, int | None]]:
    """Return for each person and agency (contacts, first day, last day, open case, lead) inside the window."""
    outside = first_day(as_of, months)
    groups: dict[tuple[int, str], list[Contact]] = {}
    for contact in contacts:
        subject, day = contact[0], contact[1]
        if day is not None and outside < day <= as_of:
            groups.setdefault((person_of[subject], agency_of[subject]), []).append(contact)
    found = {}
    for key, group in groups.items():
        days = [day for _, day, _, _ in group if day is not None]
        flags = [flag for _, _, flag, _ in group if flag is not None]
        leads = [(day, lead) for _, day, _, lead in group if day is not None and lead is not None]
        found[key] = (
            len(group),
            min(days),
            max(days),
            any(flags) if flags else None,
            max(leads)[1] if leads else None,
        )
    return found


def worst_window(
    contacts: Sequence[Contact],
    agency_of: Mapping[int, str],
    person_of: Mapping[int, int],
    *,
    months: int,
    as_of: date,
) -> dict[int, tuple[int, date]]:
    """Return for each person (agencies, last day) of the latest window with most agencies, trying every day."""
    days: dict[int, list[tuple[date, str]]] = {}
    for subject, day, _, _ in contacts:
        if day is not None and day <= as_of:
            days.setdefault(person_of[subject], []).append((day, agency_of[subject]))
    found = {}
    for person, met in days.items():
        first, best = min(day for day, _ in met), (0, date.min)
        for ordinal in range(first.toordinal(), as_of.toordinal() + 1):
            end = date.fromordinal(ordinal)
            outside = first_day(end, months)
            agencies = {agency for day, agency in met if outside < day <= end}
            # Counted at a day of contact: later days with as many say no more.
            if any(day == end for day, _ in met):
                best = max(best, (len(agencies), end))
            else:
                assert len(agencies) <= best[0]
        found[person] = best
    return found


def households(
    homes: Iterable[tuple[int, int]],
    person_of: Mapping[int, int],
    inside: Mapping[tuple[int, str], tuple[int, date, date, bool | None, int | None]],
    *,
    largest: int,
) -> tuple[dict[tuple[int, str], tuple[int, int, date, date, bool | None]], dict[int, tuple[int, int]]]:
    """Return for each home and agency (people, contacts, first day, last day, open), and its (people, agencies).

    Args:
        homes: (subject, home).
        person_of: Person of each subject.
        inside: What `window` found.
        largest: Most people of a home that counts.
    """
    members: dict[int, set[int]] = {}
    for subject, home in homes:
        members.setdefault(home, set()).add(person_of[subject])
    found, known = {}, {}
    for home, people in members.items():
        if len(people) > largest:
            continue
        agencies = sorted({agency for person, agency in inside if person in people})
        for agency in agencies:
            rows = [inside[person, agency] for person in people if (person, agency) in inside]
            flags = [row[3] for row in rows if row[3] is not None]
            found[home, agency] = (
                len(rows),
                sum(row[0] for row in rows),
                min(row[1] for row in rows),
                max(row[2] for row in rows),
                any(flags) if flags else None,
            )
        if agencies:
            known[home] = (len(people), len(agencies))
    return found, known


Inside = Mapping[tuple[int, str], tuple[int, date, date, bool | None, int | None]]
"""What `window` found: (person, agency) -> contacts, first day, last day, open case, lead."""


def homes_told(
    agency: str,
    homes: Iterable[tuple[int, int]],
    agency_of: Mapping[int, str],
    person_of: Mapping[int, int],
    inside: Inside,
    *,
    largest: int,
    minimum: int,
) -> dict[tuple[int, int, str], tuple[tuple[int, int, date, date, bool | None, int | None], frozenset[int]]]:
    """Return what `agency` is told of homes: (own subject, home, other agency) -> figures, and that agency's subjects.

    The figures are (people, contacts, first day, last day, open case, lead) of everybody else at the home.
    """
    members: dict[int, set[int]] = {}
    for subject, home in homes:
        members.setdefault(home, set()).add(person_of[subject])
    found = {}
    for subject, owner in agency_of.items():
        person = person_of[subject]
        if owner != agency or (person, agency) not in inside:
            continue
        for home, people in members.items():
            if person not in people or len(people) > largest:
                continue
            others = sorted({name for one, name in inside if one in people - {person} and name != agency})
            if len(others) + 1 < minimum:
                continue
            for other in others:
                known = [one for one in people - {person} if (one, other) in inside]
                rows = [inside[one, other] for one in known]
                flags = [row[3] for row in rows if row[3] is not None]
                leads = [(row[2], row[4]) for row in rows if row[4] is not None]
                figures = (
                    len(rows),
                    sum(row[0] for row in rows),
                    min(row[1] for row in rows),
                    max(row[2] for row in rows),
                    any(flags) if flags else None,
                    max(leads)[1] if leads else None,
                )
                subjects = frozenset(
                    each for each, name in agency_of.items() if name == other and person_of[each] in known
                )
                found[subject, home, other] = (figures, subjects)
    return found
