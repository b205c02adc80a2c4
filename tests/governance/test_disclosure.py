"""Suppression against two attackers: a linear program of its own, and one who tries every table there is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from governance.disclosure import (
    SafeTable,
    possible_values,
    shown,
    suppress_counts,
    suppress_table,
    table_lines,
)
from schemas.errors import InputError

COUNTS = st.lists(st.one_of(st.integers(0, 8), st.integers(0, 400)), min_size=1, max_size=7)
TABLES = st.integers(1, 4).flatmap(
    lambda columns: st.lists(
        st.lists(
            st.one_of(st.just(0), st.integers(0, 9), st.integers(0, 99)), min_size=columns, max_size=columns
        ),
        min_size=1,
        max_size=4,
    )
)


def attack(safe: SafeTable) -> dict[tuple[int, int], tuple[float, float]]:
    """Return what somebody who sees the table can work out of each suppressed count, totals at the last index.

    Written from the guarantee alone, with a variable for every count, shown ones fixed.
    """
    rows, columns = len(safe.cells), len(safe.column_totals)
    grid = [[*row, total] for row, total in zip(safe.cells, safe.row_totals, strict=True)]
    grid.append([*safe.column_totals, safe.total])
    names = list(itertools.product(range(rows + 1), range(columns + 1)))
    equations = []
    for row in range(rows + 1):
        equations.append([float(r == row) * (1 if c < columns else -1) for r, c in names])
    for column in range(columns + 1):
        equations.append([float(c == column) * (1 if r < rows else -1) for r, c in names])
    bounds = [(1, None) if grid[r][c] is None else (grid[r][c], grid[r][c]) for r, c in names]
    found = {}
    for number, (r, c) in enumerate(names):
        if grid[r][c] is None:
            ends = []
            for sign in (1, -1):
                goal = np.zeros(len(names))
                goal[number] = sign
                solved = linprog(goal, A_eq=equations, b_eq=np.zeros(len(equations)), bounds=bounds)
                ends.append(sign * solved.fun if solved.status == 0 else sign * -np.inf)
            found[r, c] = (ends[0], ends[1])
    return found


@settings(max_examples=35, deadline=None)
@given(TABLES, st.integers(2, 10))
def test_no_suppressed_count_of_a_table_can_be_worked_out(cells: list[list[int]], min_cell: int) -> None:
    """Each suppressed count keeps at least `min_cell` possible values, totals included, and no small one is shown."""
    safe = suppress_table(cells, min_cell=min_cell)
    for low, high in attack(safe).values():
        assert round(high - low) + 1 >= min_cell if np.isfinite(high) else True
    flat = [*itertools.chain(*safe.cells), *safe.row_totals, *safe.column_totals, safe.total]
    assert not any(value is not None and 0 < value < min_cell for value in flat)


@settings(max_examples=35, deadline=None)
@given(TABLES, st.integers(2, 10))
def test_what_is_shown_of_a_table_is_true(cells: list[list[int]], min_cell: int) -> None:
    """Shown counts are the counts, zeros are always shown, and a table without small counts is left alone."""
    safe = suppress_table(cells, min_cell=min_cell)
    for row, told in zip(cells, safe.cells, strict=True):
        assert all(
            told_ in {value, None} and (value or told_ == 0) for value, told_ in zip(row, told, strict=True)
        )
    assert all(told in {sum(row), None} for row, told in zip(cells, safe.row_totals, strict=True))
    if not any(0 < value < min_cell for value in itertools.chain(*cells)):
        assert safe.cells == tuple(map(tuple, cells))
        assert safe.total == sum(map(sum, cells))


def whole_solutions(counts: Sequence[int | None], total: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to fill in the suppressed counts of one line, one by one."""
    hidden = [at for at, count in enumerate(counts) if count is None]
    left = total - sum(count for count in counts if count is not None)
    for fill in itertools.product(range(1, left + 1), repeat=max(len(hidden) - 1, 0)):
        last = left - sum(fill)
        if hidden and last >= 1:
            yield (*fill, last)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(2, 6))
def test_trying_every_line_finds_no_suppressed_count(counts: list[int], min_cell: int) -> None:
    """By brute force: of all whole numbers that fit the shown total, each suppressed count has enough values left."""
    safe = suppress_counts({str(n): count for n, count in enumerate(counts)}, min_cell=min_cell)
    told = list(safe.counts.values())
    if safe.total is not None and None in told:
        solutions = list(whole_solutions(told, safe.total))
        for place in range(told.count(None)):
            assert len({solution[place] for solution in solutions}) >= min_cell


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), min_size=2, max_size=2), st.integers(2, 3)
)
def test_trying_every_table_finds_no_suppressed_count(cells: list[list[int]], min_cell: int) -> None:
    """By brute force on two by two tables: with all four totals of lines shown or not, enough tables fit."""
    safe = suppress_table(cells, min_cell=min_cell)
    most = 14  # beyond the largest total that four counts of at most 4, with slack for a free one, can have
    fits = []
    ranges = [range(most + 1) if told is None else (told,) for told in itertools.chain(*safe.cells)]
    for fill in itertools.product(*ranges):
        grid = ((fill[0], fill[1]), (fill[2], fill[3]))
        shown_ = [(safe.cells[r][c], grid[r][c]) for r in (0, 1) for c in (0, 1)]
        shown_ += [(safe.row_totals[r], sum(grid[r])) for r in (0, 1)]
        shown_ += [(safe.column_totals[c], grid[0][c] + grid[1][c]) for c in (0, 1)]
        shown_ += [(safe.total, sum(fill))]
        if all(value == told if told is not None else value >= 1 for told, value in shown_):
            fits.append(grid)
    for r, c in itertools.product((0, 1), (0, 1)):
        if safe.cells[r][c] is None:
            assert len({grid[r][c] for grid in fits}) >= min_cell


@settings(max_examples=35, deadline=None)
@given(COUNTS, st.integers(2, 10))
def test_a_line_without_a_total_hides_only_small_counts(counts: list[int], min_cell: int) -> None:
    """Where no total is shown nothing can be worked out, so only small counts are suppressed."""
    safe = suppress_counts({str(n): c for n, c in enumerate(counts)}, min_cell=min_cell, with_total=False)
    assert [count is None for count in safe.counts.values()] == [0 < count < min_cell for count in counts]
    assert safe.total is None


def test_examples() -> None:
    """What happens to a few lines that people know from reports."""
    agencies = {"2": 1437, "3": 255, "4": 20, "5": 4}
    assert suppress_counts(agencies, min_cell=5).counts == {"2": 1437, "3": 255, "4": None, "5": None}
    assert suppress_counts(agencies, min_cell=5).total == 1716
    alone = suppress_counts({"2": 3, "3": 0}, min_cell=5)
    assert (alone.counts, alone.total) == ({"2": None, "3": 0}, None)
    ones = suppress_counts({"2": 30, "3": 1, "4": 1}, min_cell=5)
    assert ones.counts == {"2": None, "3": None, "4": None}, "two ones that add up to two would be known"
    assert suppress_counts({}, min_cell=5).total == 0
    assert suppress_counts({"2": 1}, min_cell=1).counts == {"2": 1}
    assert shown(None) == "suppressed"
    assert shown(1716) == "1,716"


def test_the_usual_trap_of_a_single_hidden_count_is_avoided() -> None:
    """One small count in a table takes others of its row and its column with it."""
    safe = suppress_table([[3, 20, 30], [40, 50, 60], [70, 80, 90]], min_cell=5)
    for line in (*safe.cells, tuple(row[0] for row in safe.cells)):
        assert line.count(None) != 1
    assert safe.total == 443


def test_possible_values_are_what_the_lines_leave() -> None:
    """The audit gives exact ends: a line of two unknowns that add up to 8, each at least 1, leaves 1 to 7."""
    lines = table_lines(1, 2)
    values = [3, 5, 8, 3, 5, 8]
    assert possible_values(values, lines, {0, 1, 3, 4}) == dict.fromkeys((0, 1, 3, 4), (1.0, 7.0))


def test_refusals() -> None:
    """Negative counts and ragged tables are no counts of people."""
    with pytest.raises(InputError, match="negative"):
        suppress_counts({"2": -1}, min_cell=5)
    with pytest.raises(InputError, match="different lengths"):
        suppress_table([[1], [1, 2]], min_cell=5)


def test_a_large_table_stays_quick() -> None:
    """A table of twelve rows and ten columns, half of it small, is settled without trying everything."""
    cells = [[(7 * r + 3 * c) % 11 for c in range(10)] for r in range(12)]
    safe = suppress_table(cells, min_cell=5)
    assert safe.total == sum(map(sum, cells))
