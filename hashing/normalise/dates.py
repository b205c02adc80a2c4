"""Dates in every form that exports have, to ISO 8601."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashing.normalise import _date_shapes, _words
from hashing.normalise._arrays import (
    DIGITS,
    UPPER,
    Bytes,
    Column,
    Ints,
    Mask,
    fixed_strings,
    plain,
    same_character,
    start_outcomes,
)
from hashing.normalise._date_shapes import Layout, Order, Span
from hashing.normalise.outcome import Normalised, Outcome

_OLDEST_AGE = 130  # the oldest verified age is 122, and extracts keep records of the dead
_REGISTER_FROM = np.datetime64("1000-01-01", "D")
_REGISTER_SIZE = 20  # too few dates prove nothing about a column
_RECORD_YEARS = (1900, 2199)
_RECORD_FUTURE = 20  # a two-digit year of a record date is at most this many years ahead
_EXCEL_EPOCH = np.datetime64(
    "1899-12-30", "D"
)  # ECMA-376 part 1, 18.17.4.1: 1900 date base, after its leap-year bug
_SERIALS = (10_000, 80_000)  # 1927-05-18 to 2119-01-10; fewer digits would be a year
# Default dates of systems, never a birthday: start of 1900 and 1901, SQL Server, Excel and mainframe zeros.
_NEVER = np.array(
    ["1900-01-01", "1901-01-01", "1899-12-30", "1899-12-31", "1753-01-01", "1111-11-11"],
    dtype="datetime64[D]",
)
# Zero of a clock (Unix, SAS, DOS, many devices): real birthdays too, so only when they spike.
_EPOCHS = np.array(["1970-01-01", "1960-01-01", "1980-01-01", "2000-01-01"], dtype="datetime64[D]")
_SPIKE_MEAN, _SPIKE_SHARE = 20, 0.002
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def _shape_table() -> Bytes:
    table = np.arange(256, dtype=np.uint8)
    table[48:58] = ord("9")
    table[65:91] = ord("A")
    return table


_SHAPE = _shape_table()


def _month_table() -> Ints:
    table = np.zeros(26**3, dtype=np.int64)
    for number, name in enumerate(_MONTHS, start=1):
        a, b, c = (ord(letter) - 65 for letter in name)
        table[(a * 26 + b) * 26 + c] = number
    return table


_MONTH_BY_LETTERS = _month_table()


@dataclass(slots=True)
class _Parts:
    """Numbers read from n values; 0 where nothing was read.

    `either` marks an open order of day and month, `short` a year of two digits.
    """

    day: Ints
    month: Ints
    year: Ints
    either: Mask
    short: Mask

    @classmethod
    def empty(cls, size: int) -> _Parts:
        zero = np.zeros(size, dtype=np.int64)
        flag = np.zeros(size, dtype=bool)
        return cls(zero, zero.copy(), zero.copy(), flag, flag.copy())


def _number(column: Column, rows: Ints, span: Span) -> Ints:
    total = np.zeros(len(rows), dtype=np.int64)
    for position in range(*span):
        total = total * 10 + (column.at(position, rows).astype(np.int64) - 48)
    return total


def _month_name(column: Column, rows: Ints, span: Span) -> Ints:
    a, b, c = (column.at(span[0] + k, rows).astype(np.int64) - 65 for k in range(3))
    return np.asarray(_MONTH_BY_LETTERS[(a * 26 + b) * 26 + c])


def is_real(day: Ints, month: Ints, year: Ints) -> Mask:
    """Whether each date is in the (proleptic Gregorian) calendar, years 1 to 9999."""
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    inside = (month >= 1) & (month <= 12)
    longest = _MONTH_DAYS[np.where(inside, month, 0)] + (leap & (month == 2))
    return np.asarray(inside & (day >= 1) & (day <= longest) & (year >= 1) & (year <= 9999))


def _full_years(parts: _Parts, *, today: date, is_birth: bool) -> None:
    """Two-digit years: the latest birth not after today, or the latest record date not 20 years ahead."""
    full = parts.year + today.year // 100 * 100
    if is_birth:
        written = full * 10_000 + parts.month * 100 + parts.day
        later = written > today.year * 10_000 + today.month * 100 + today.day
    else:
        later = full > today.year + _RECORD_FUTURE
    parts.year = np.where(parts.short, np.where(later, full - 100, full), parts.year)


def _read_compact(
    column: Column, rows: Ints, start: int, plausible: Callable[[Ints], Mask]
) -> tuple[Ints, ...]:
    """Eight digits: year first when that is a plausible date, else the year last."""
    a, b, c = (_number(column, rows, (start + s, start + e)) for s, e in ((0, 4), (4, 6), (6, 8)))
    x, y, z = (_number(column, rows, (start + s, start + e)) for s, e in ((0, 2), (2, 4), (4, 8)))
    year_first = (is_real(c, b, a) & plausible(a)) | ~((is_real(x, y, z) | is_real(y, x, z)) & plausible(z))
    day, month, year = np.where(year_first, c, x), np.where(year_first, b, y), np.where(year_first, a, z)
    return day, month, year, np.asarray(~year_first)


def _read_serial(column: Column, rows: Ints, span: Span) -> tuple[Ints, Ints, Ints]:
    serial = _number(column, rows, span)
    inside = (serial >= _SERIALS[0]) & (serial < _SERIALS[1])
    when = _EXCEL_EPOCH + serial.astype("timedelta64[D]")
    month_start = when.astype("datetime64[M]")
    year = when.astype("datetime64[Y]").astype(np.int64) + 1970
    month = month_start.astype(np.int64) % 12 + 1
    day = (when - month_start).astype(np.int64) + 1
    return np.where(inside, day, 0), np.where(inside, month, 0), year


def _read(parts: _Parts, column: Column, rows: Ints, layout: Layout, *, today: date, is_birth: bool) -> None:
    """Fill `parts` at `rows`, whose values all have this layout."""
    if layout.order is Order.SERIAL:
        parts.day[rows], parts.month[rows], parts.year[rows] = _read_serial(column, rows, layout.day)
        return
    if layout.order is Order.COMPACT:
        low, high = (today.year - _OLDEST_AGE - 30, today.year + 1) if is_birth else _RECORD_YEARS
        read = _read_compact(column, rows, layout.day[0], lambda y: (y >= low) & (y <= high))
        parts.day[rows], parts.month[rows], parts.year[rows], parts.either[rows] = read
        return
    day = _number(column, rows, layout.day)
    month = (_month_name if layout.month_name else _number)(column, rows, layout.month)
    year = _number(column, rows, layout.year)
    if layout.order is Order.YEAR_FIRST:
        flip = ~is_real(day, month, year) & is_real(month, day, year)
        day, month = np.where(flip, month, day), np.where(flip, day, month)
    parts.day[rows], parts.month[rows], parts.year[rows] = day, month, year
    parts.either[rows] = layout.order is Order.EITHER
    parts.short[rows] = layout.year[1] - layout.year[0] == 2


def _shapes(column: Column) -> tuple[list[str], list[Ints]]:
    """The distinct shapes and, for each, the rows that have it."""
    coded = column.translate(_SHAPE).strings().dictionary_encode()
    codes = np.asarray(coded.indices)
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(coded.dictionary) + 1))
    rows = [order[start:end] for start, end in pairwise(bounds.tolist())]
    return coded.dictionary.to_pylist(), rows


def _settle_order(parts: _Parts) -> None:
    """Day first, unless the column proves that the month comes first."""
    # 29 February of a two-digit year: 1900 or 2000 is settled later, so any leap year stands in here.
    year = np.where(parts.short, parts.year + 2000, parts.year)
    day_first = is_real(parts.day, parts.month, year)
    month_first = is_real(parts.month, parts.day, year)
    proves_month = parts.either & month_first & ~day_first
    proves_day = parts.either & day_first & ~month_first
    column_is_month_first = proves_month.any() and not proves_day.any()
    flip = parts.either & month_first & (column_is_month_first | ~day_first)
    parts.day, parts.month = np.where(flip, parts.month, parts.day), np.where(flip, parts.day, parts.month)


def _read_all(column: Column, formats: tuple[str, ...], *, today: date, is_birth: bool) -> _Parts:
    parts = _Parts.empty(len(column))
    for shape, rows in zip(*_shapes(column), strict=True):
        open_rows = rows
        for layout in _date_shapes.explicit(shape, formats) if formats else ():
            _read(parts, column, open_rows, layout, today=today, is_birth=is_birth)
            year = parts.year[open_rows] + np.where(parts.short[open_rows], 2000, 0)
            open_rows = open_rows[~is_real(parts.day[open_rows], parts.month[open_rows], year)]
        detected = _date_shapes.detect(shape) if len(open_rows) else None
        if detected is not None:
            _read(parts, column, open_rows, detected, today=today, is_birth=is_birth)
    _settle_order(parts)
    _full_years(parts, today=today, is_birth=is_birth)
    return parts


def _iso(parts: _Parts, real: Mask) -> pa.StringArray:
    cells = np.full((len(real), 10), ord("-"), dtype=np.uint8)
    for positions, number in (((0, 1, 2, 3), parts.year), ((5, 6), parts.month), ((8, 9), parts.day)):
        for power, position in enumerate(reversed(positions)):
            cells[:, position] = number // 10**power % 10 + 48
    return fixed_strings(cells, ~real)


def _days(parts: _Parts, real: Mask) -> npt.NDArray[np.datetime64]:
    months = (parts.year - 1970) * 12 + parts.month - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") + (parts.day - 1).astype("timedelta64[D]")
    return np.asarray(np.where(real, days, np.datetime64("NaT", "D")))


def _spikes(days: npt.NDArray[np.datetime64], counts: npt.NDArray[np.int64]) -> Mask:
    """Clock zeros that are far too frequent: over 20 times the mean count of a date and over 0.2 % of rows."""
    flagged = np.zeros(len(days), dtype=bool)
    known = ~np.isnat(days)
    rows = int(counts[known].sum())
    mean = rows / max(len(np.unique(days[known])), 1)
    for epoch in _EPOCHS:
        here = days == epoch
        count = int(counts[here].sum())
        if count > _SPIKE_MEAN * mean and count > _SPIKE_SHARE * rows:
            flagged |= here
    return flagged


def normalise_date(
    raw: pa.StringArray,
    *,
    formats: Sequence[str] | None,
    today: date,
    is_birth: bool,
    counts: npt.NDArray[np.int64] | None = None,
) -> Normalised:
    """Normalise a column of dates. Times of day and offsets are dropped, never converted.

    Args:
        raw: n raw values; the whole column, since its values together settle day-first or month-first.
        formats: strptime formats to try first, in order; values that fit none are detected.
        today: The day of sealing; two-digit years turn on it, and later births are invalid.
        is_birth: A date of birth: not after `today`, not over 130 years before it (a column that is
            mostly older than that is a historical register's, and kept).
        counts: How many rows have each raw value; without it no clock zero counts as a spike.

    Returns:
        ISO dates "2011-03-03".

    Raises:
        MappingError: A format is not understood.
    """
    _date_shapes.check_formats(formats or ())
    text = plain(raw)
    column = Column.of(text)
    outcomes = start_outcomes(text)
    parts = _read_all(column, tuple(formats or ()), today=today, is_birth=is_birth)
    real = is_real(parts.day, parts.month, parts.year)
    days = _days(parts, real)
    if is_birth:
        now = np.datetime64(today, "D")
        plausible = (days <= now) & (days >= _oldest_birth(days[real & (days <= now)], today))
    else:
        plausible = (parts.year >= _RECORD_YEARS[0]) & (parts.year <= _RECORD_YEARS[1])
    outcomes[real & plausible] = Outcome.OK
    outcomes[_is_default(parts, days)] = Outcome.PLACEHOLDER
    unread = np.flatnonzero(outcomes == Outcome.INVALID)
    outcomes[unread[_is_filler(text.take(pa.array(unread)))]] = Outcome.PLACEHOLDER
    if counts is not None:
        outcomes[_spikes(days, counts)] = Outcome.PLACEHOLDER
    return Normalised(values=_iso(parts, outcomes == Outcome.OK), outcomes=outcomes)


def _oldest_birth(births: npt.NDArray[np.datetime64], today: date) -> np.datetime64:
    """The earliest birth to believe: 130 years ago, unless the column as a whole is a historical register's."""
    living = np.datetime64(f"{today.year - _OLDEST_AGE:04d}-01-01", "D")
    historical = len(births) >= _REGISTER_SIZE and 2 * int((births < living).sum()) > len(births)
    return _REGISTER_FROM if historical else living


def _is_default(parts: _Parts, days: npt.NDArray[np.datetime64]) -> Mask:
    """Default dates of systems, and any date in the years 1 to 1800 or 9999."""
    return np.asarray(
        np.isin(days, _NEVER) | (~np.isnat(days) & ((parts.year <= 1800) | (parts.year == 9999)))
    )


def _is_filler(text: pa.StringArray) -> Mask:
    """Values that stand for "no value": words, punctuation, or six and more zeros or nines and nothing else."""
    column = Column.of(text)
    digits = column.keep(DIGITS)
    filler = same_character(digits) & (digits.lengths >= 6) & ((digits.at(0) == 48) | (digits.at(0) == 57))
    return np.asarray((filler & (column.count(UPPER) == 0)) | _words.is_placeholder(text))


def derive_date(values: pa.StringArray) -> dict[str, pa.StringArray]:
    """Derived values of normalised dates.

    Args:
        values: n ISO dates or nulls.

    Returns:
        n values each: `exact`, `year` (YYYY), `month_year` (YYYY-MM), `day_year` (YYYY--DD), `day_month` (MM-DD)
        and `swap` (the year, then day and month in ascending order: equal for dates with the two swapped).
    """
    year, month, day = (
        pc.utf8_slice_codeunits(values, start, end) for start, end in ((0, 4), (5, 7), (8, 10))
    )
    lower, upper = (
        pc.min_element_wise(month, day, skip_nulls=False),
        pc.max_element_wise(month, day, skip_nulls=False),
    )
    return {
        "exact": values,
        "year": year,
        "month_year": pc.utf8_slice_codeunits(values, 0, 7),
        "day_year": pc.binary_join_element_wise(year, day, "--"),
        "day_month": pc.utf8_slice_codeunits(values, 5, 10),
        "swap": pc.binary_join_element_wise(year, lower, upper, "/"),
    }
