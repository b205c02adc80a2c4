"""Small-number suppression: no count of people leaves that is small, or that can be worked out from the others.

A count from 1 to below the smallest agreed one (`outputs.min_cell`, 5 by default) is suppressed: *primary*
suppression. Where totals are shown, further counts are suppressed until nobody can narrow any suppressed one down:
*secondary* suppression. A suppressed count is None, and it is never told which of the two it was.

What is guaranteed: whoever knows every shown count, that suppressed counts are whole numbers of 1 or more (zeros are
always shown), and that lines add up to their totals, finds at least `min_cell` possible values for each suppressed
count. That is checked exactly, by the smallest and largest value that a linear program allows (the constraints of a
table with totals are those of a network, so these are whole numbers). Which further counts are chosen is a
heuristic: the smallest that help.

Sources: Hundepool et al., Statistical Disclosure Control (2012), chapter 4: primary and secondary suppression, the
auditing problem. What it cannot do: compare two reports of the same people made at different times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.errors import InputError

SUPPRESSED = "suppressed"
"""What people read in place of a suppressed count; never `fewer than 5`, which would tell which kind it was."""

STAYS_WITH_AGENCY = "Counts below 5 are shown: this report stays with your agency."
STAYS_HERE = (
    "Counts below 5 are shown: this report stays here, on the machine on which all roles were played."
)
STAYS_WITH_TRUTH = (
    "Counts below 5 are shown: this report stays with whoever may see the truth that it was measured by."
)
"""What is said of counts that are not suppressed, wherever they are printed or written."""

Cells = Sequence[int]
"""Positions of counts in a flat list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """Counts that add up: those at `parts` to the one at `total`."""

    parts: tuple[int, ...]
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SafeCounts:
    """One-way counts that may leave; None is suppressed."""

    counts: dict[str, int | None]
    total: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SafeTable:
    """A two-way table that may leave; None is suppressed."""

    cells: tuple[tuple[int | None, ...], ...]
    row_totals: tuple[int | None, ...]
    column_totals: tuple[int | None, ...]
    total: int | None


def shown(count: int | None) -> str:
    """Return a count as people read it."""
    return SUPPRESSED if count is None else f"{count:,}"


def suppress_counts(counts: Mapping[str, int], *, min_cell: int, with_total: bool = True) -> SafeCounts:
    """Return counts of people that may leave, such as people by number of agencies.

    Args:
        counts: Name -> count; nobody is counted twice when there is a total.
        min_cell: Smallest count that may be shown; 1 or less suppresses nothing.
        with_total: Whether the total of them is shown (here or anywhere else).

    Raises:
        InputError: A count is negative.
    """
    values = list(counts.values())
    if not with_total:
        hidden = _suppress(values, [], min_cell)
        return SafeCounts(counts=dict(zip(counts, _masked(values, hidden), strict=True)), total=None)
    flat = [*values, sum(values)]
    hidden = _suppress(flat, [Line(parts=tuple(range(len(values))), total=len(values))], min_cell)
    safe = _masked(flat, hidden)
    return SafeCounts(counts=dict(zip(counts, safe, strict=False)), total=safe[-1])


def suppress_table(cells: Sequence[Sequence[int]], *, min_cell: int) -> SafeTable:
    """Return a table that may leave with totals of its rows, of its columns, and of all.

    Raises:
        InputError: A count is negative, or the rows are of different lengths.
    """
    rows, columns = len(cells), len(cells[0]) if cells else 0
    if any(len(row) != columns for row in cells):
        raise InputError("the rows of a table have different lengths.")
    framed = [[*row, sum(row)] for row in cells]
    framed.append([sum(row[at] for row in framed) for at in range(columns + 1)])
    flat = [value for row in framed for value in row]
    hidden = _suppress(flat, table_lines(rows, columns), min_cell)
    safe, wide = _masked(flat, hidden), columns + 1
    grid = [tuple(safe[at * wide : (at + 1) * wide]) for at in range(rows + 1)]
    return SafeTable(
        cells=tuple(row[:-1] for row in grid[:-1]),
        row_totals=tuple(row[-1] for row in grid[:-1]),
        column_totals=grid[-1][:-1],
        total=grid[-1][-1],
    )


def table_lines(rows: int, columns: int) -> list[Line]:
    """Return the lines of a table with totals, stored row by row with each total at the end of its line."""
    wide = columns + 1
    across = [
        Line(parts=tuple(range(row * wide, row * wide + columns)), total=row * wide + columns)
        for row in range(rows + 1)
    ]
    down = [
        Line(parts=tuple(range(column, rows * wide, wide)), total=rows * wide + column)
        for column in range(wide)
    ]
    return across + down


def possible_values(
    values: Sequence[int],
    lines: Sequence[Line],
    hidden: Iterable[int],
    *,
    wanted: Iterable[int] | None = None,
) -> dict[int, tuple[float, float]]:
    """Return the smallest and the largest value that each suppressed count can have for somebody who sees the rest.

    Args:
        values: All counts; those at `hidden` are used only to know that they are not zero.
        lines: What adds up.
        hidden: Positions of the suppressed counts.
        wanted: Positions to answer for; all of `hidden` when None.
    """
    import numpy as np
    from scipy.optimize import linprog

    order = {at: number for number, at in enumerate(sorted(hidden))}
    coefficients, right = _equations(values, lines, order)
    equal = {"A_eq": np.array(coefficients), "b_eq": np.array(right)} if coefficients else {}
    found = {}
    for at in order if wanted is None else wanted:
        ends = []
        for sign in (1, -1):
            goal = np.zeros(len(order))
            goal[order[at]] = float(sign)
            solved = linprog(goal, bounds=(1, None), method="highs", **equal)
            free = sign * -math.inf if solved.status == _UNBOUNDED else float(values[at])
            ends.append(float(round(sign * solved.fun)) if solved.status == 0 else free)
        found[at] = (ends[0], ends[1])
    return found


_UNBOUNDED = 3
"""`linprog`'s status; any other but success counts as *known exactly*, so that a failing solver hides more."""


def _equations(
    values: Sequence[int], lines: Sequence[Line], order: Mapping[int, int]
) -> tuple[list[list[float]], list[float]]:
    """Return each line with a suppressed count as coefficients of these, and what they add up to."""
    coefficients, right = [], []
    for line in lines:
        row, known = [0.0] * len(order), 0
        for at, side in [*((part, 1) for part in line.parts), (line.total, -1)]:
            if at in order:
                row[order[at]] += side
            else:
                known += side * values[at]
        if any(row):
            coefficients.append(row)
            right.append(float(-known))
    return coefficients, right


def safe_multi_agency(found: Mapping[str, Any], *, min_cell: int) -> dict[str, Any]:
    """Return the figures of people by number of agencies (as in `run.json`) with small counts suppressed."""
    safe = {**found, **_safe_people(found["by_agencies"], min_cell)}
    if rolling := found.get("rolling"):
        cut = suppress_counts({"cut": int(rolling["cut"])}, min_cell=min_cell, with_total=False).counts["cut"]
        safe["rolling"] = {**rolling, **_safe_people(rolling["by_agencies"], min_cell), "cut": cut}
    return safe


def safe_run(summary: Mapping[str, Any], *, min_cell: int) -> dict[str, Any]:
    """Return the counts of people of a run (`run.json`) that may leave, with small ones suppressed."""
    senders = suppress_counts(
        {name: int(entry["subjects"]) for name, entry in summary["senders"].items()}, min_cell=min_cell
    )
    told = suppress_counts(
        {name: int(count) for name, count in summary.get("returns", {}).items()},
        min_cell=min_cell,
        with_total=False,  # a person is told of to several agencies, so there is no total
    )
    found = summary["clusters"]
    # Everything in the review file: links between the bounds, and believed or cut ones that a person has to see.
    review = sum(map(int, found.get("to_review", {"band": found["review"]}).values()))
    clusters = suppress_counts(
        {"count": int(found["count"]), "review": review},
        min_cell=min_cell,
        with_total=False,
    )
    return {
        "multi_agency": safe_multi_agency(summary["multi_agency"], min_cell=min_cell),
        "senders": senders.counts,
        "records": senders.total,
        "told": told.counts,
        "people": clusters.counts["count"],
        "to_review": clusters.counts["review"],
    }


def _safe_people(by_agencies: Mapping[str, int], min_cell: int) -> dict[str, Any]:
    safe = suppress_counts({str(k): int(v) for k, v in by_agencies.items()}, min_cell=min_cell)
    return {"by_agencies": safe.counts, "people": safe.total}


def _masked(values: Sequence[int], hidden: set[int]) -> list[int | None]:
    return [None if at in hidden else value for at, value in enumerate(values)]


def _suppress(values: Sequence[int], lines: Sequence[Line], min_cell: int) -> set[int]:
    """Return the positions to suppress."""
    if any(value < 0 for value in values):
        raise InputError("a count of people is negative.")
    hidden = {at for at, value in enumerate(values) if 0 < value < min_cell}
    totals = {line.total for line in lines}
    safe: set[int] = set()
    while exposed := _first_exposed(values, lines, hidden, safe, min_cell):
        helper = _helper(values, lines, hidden, exposed[0], totals)
        if helper is None:  # all that could help is suppressed; every count that is not zero goes
            return {at for at, value in enumerate(values) if value}
        hidden.add(helper)
    return hidden


def _first_exposed(
    values: Sequence[int], lines: Sequence[Line], hidden: set[int], safe: set[int], min_cell: int
) -> list[int]:
    """Return the first suppressed count with fewer than `min_cell` possible values, in a list, or an empty one.

    A count that is safe stays safe when more are suppressed, so it is asked about once.
    """
    for at in sorted(hidden - safe, key=lambda position: values[position]):
        ((low, high),) = possible_values(values, lines, hidden, wanted=[at]).values()
        if high - low + 1 < min_cell:
            return [at]
        safe.add(at)
    return []


def _helper(
    values: Sequence[int], lines: Sequence[Line], hidden: set[int], exposed: int, totals: set[int]
) -> int | None:
    """Return the count to suppress next: in the line of the exposed one with fewest suppressed, the smallest part.

    A total goes only when no part can. Zeros are always shown, so they cannot help. When the lines of the exposed
    count have nothing left, the lines of the other suppressed counts follow.
    """
    for reach in ({exposed}, hidden):
        candidates = []
        for line in lines:
            cells = {*line.parts, line.total}
            if cells.isdisjoint(reach):
                continue
            candidates += [
                (len(cells & hidden), at in totals, values[at], at) for at in cells - hidden if values[at]
            ]
        if candidates:
            return min(candidates)[-1]
    return None
