"""Dates: every written form, the order of day and month, placeholders."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashing import normalise as norm
from hashing.normalise import Normalised, Outcome
from schemas.errors import MappingError

TODAY = date(2026, 6, 30)
BIRTHS = st.dates(date(1907, 1, 2), TODAY).filter(lambda day: (day.month, day.day) != (1, 1))


def births(
    *raw: str | None, formats: list[str] | None = None, today: date = TODAY, counts: np.ndarray | None = None
) -> Normalised:
    """A column of births."""
    return norm.normalise_date(
        pa.array(raw, pa.string()), formats=formats, today=today, is_birth=True, counts=counts
    )


def values(*raw: str | None, formats: list[str] | None = None) -> list[str | None]:
    """Normalised births."""
    return births(*raw, formats=formats).values.to_pylist()


def records(*raw: str) -> list[str | None]:
    """Normalised record dates."""
    return norm.normalise_date(pa.array(raw), formats=None, today=TODAY, is_birth=False).values.to_pylist()


@pytest.mark.parametrize(
    "form",
    [
        *(
            "%Y-%m-%d",
            "%d/%m/%Y",
            "%d.%m.%Y",
            "%Y%m%d",
            "%d %b %Y",
            "%d-%b-%Y",
            "%d%b%Y",
            "%d %B %Y",
            "%B %d, %Y",
        ),
        *(
            "%A, %d %B %Y",
            "%a %d/%m/%Y",
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%SZ",
            "%d/%m/%Y %H:%M",
            "%Y/%m/%d",
        ),
        *("%d-%m-%Y %I:%M %p", "%Y-%m-%d %H:%M:%S.%f", "%d. %m. %Y"),
    ],
)
@settings(max_examples=15, deadline=None)
@given(days=st.lists(BIRTHS, min_size=1, max_size=20))
def test_written_dates_are_read_back(form: str, days: list[date]) -> None:
    """Every form of an export gives back the date that was written."""
    written = [datetime(day.year, day.month, day.day, 14, 5, 9).strftime(form) for day in days]
    assert values("31/12/1990", *written)[1:] == [day.isoformat() for day in days]
    assert values("31/12/1990", *[text.lower() for text in written])[1:] == [day.isoformat() for day in days]


@settings(max_examples=30, deadline=None)
@given(day=st.dates(date(1927, 6, 1), TODAY))
def test_spreadsheet_serials(day: date) -> None:
    """A serial counts days from 30 December 1899 (1900 date system, after its leap-year bug)."""
    serial = (day - date(1899, 12, 30)).days
    assert values(str(serial), f"{serial}.0", f"{serial}.75") == [day.isoformat()] * 3


@settings(max_examples=60, deadline=None)
@given(
    day=st.dates(date(1927, 1, 1), date(2060, 12, 31)), today=st.dates(date(1990, 1, 1), date(2060, 12, 31))
)
def test_two_digit_years_of_birth_are_the_latest_not_in_the_future(day: date, today: date) -> None:
    """A birth with a two-digit year is within the hundred years up to today."""
    written = f"{day.day:02d}/{day.month:02d}/{day.year % 100:02d}"
    (value,) = births(written, today=today).values.to_pylist()
    if value is None:
        # 29 February 2000 has no counterpart in 1900; the placeholder dates are no birthdays.
        assert (day.month, day.day) in ((2, 29), (1, 1))
        return
    read = date.fromisoformat(value)
    assert read <= today < date(read.year + 100, read.month, min(read.day, 28)) + timedelta(days=3)
    assert (read.year - day.year) % 100 == 0


@given(text=st.text(alphabet="0123456789/-. ", max_size=12))
@settings(max_examples=200, deadline=None)
def test_only_real_dates_come_out(text: str) -> None:
    """Whatever is read is a date of the calendar within 130 years."""
    (value,) = values(text)
    assert value is None or date(1906, 1, 1) <= date.fromisoformat(value) <= TODAY


def test_day_first_unless_the_column_proves_month_first() -> None:
    """An open order is day first; one value that can only be month first turns a column that has no day-first one."""
    assert values("03/04/2011") == ["2011-04-03"]
    assert values("03/04/2011", "12/31/2010") == ["2011-03-04", "2010-12-31"]
    assert values("03/04/2011", "12/31/2010", "31/12/2010") == ["2011-04-03", "2010-12-31", "2010-12-31"]
    assert values("2011-03-04", "12/31/2010") == ["2011-03-04", "2010-12-31"]


def test_agreed_formats_come_first_and_detection_helps_out() -> None:
    """Formats of the mapping decide; a value that does not fit them is still read."""
    assert values("03/04/2011", "31/12/2010", formats=["%m/%d/%Y"]) == ["2011-03-04", "2010-12-31"]
    assert values("11.03.04", formats=["%y.%m.%d"]) == ["2011-03-04"]
    assert values("04032011", "2011-03-04", formats=["%m%d%Y"]) == ["2011-04-03", "2011-03-04"]
    assert values("2011-03-04 10:11:12", formats=["%Y-%d-%m %H:%M:%S"]) == ["2011-04-03"]
    assert values("29.02.00", formats=["%d.%m.%y"]) == ["2000-02-29"]


@pytest.mark.parametrize("text", ["%d/%m", "%Q", "%d/%m/%Y %d", "", "%j %Y", "100%"])
def test_formats_that_make_no_date_are_refused(text: str) -> None:
    """A format is checked before any value is read."""
    with pytest.raises(MappingError) as caught:
        births("01/02/1990", formats=["%d/%m/%Y", text])
    assert caught.value.where == "date formats[1]"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "01/01/1900",
            "1901-01-01",
            "31/12/9999",
            "1/1/1800",
            "00/00/0000",
            "99/99/9999",
            "01/01/0001",
            "unknown",
        ),
        *("n/a", "-", "1753-01-01", "00000000", "1899-12-30", "11/11/1111"),
    ],
)
def test_placeholder_dates(text: str) -> None:
    """Default dates of systems are placeholders."""
    assert births(text).outcomes.tolist() == [Outcome.PLACEHOLDER]


@pytest.mark.parametrize(
    "text",
    [
        "31/02/2011",
        "01/07/2026",
        "2027-01-01",
        "30/06/1890",
        "2011",
        "March 2011",
        "soon",
        "1/2/3",
        "12345678901",
    ],
)
def test_invalid_births(text: str) -> None:
    """No such day, not yet, over 130 years ago, not a whole date."""
    assert births(text).outcomes.tolist() == [Outcome.INVALID]


def test_a_spike_at_a_clock_zero_is_a_placeholder() -> None:
    """1 January 1970 counts as a birthday until it is far too frequent."""
    days = [(date(1950, 1, 2) + timedelta(days=40 * k)).isoformat() for k in range(400)]
    raw = ["1970-01-01", *days]
    few, many = np.array([3, *[2] * 400]), np.array([90, *[2] * 400])
    assert births(*raw).outcomes[0] == Outcome.OK
    assert births(*raw, counts=few).outcomes[0] == Outcome.OK
    assert births(*raw, counts=many).outcomes[0] == Outcome.PLACEHOLDER
    assert births(*raw, counts=many).outcomes[1:].max() == Outcome.OK
    other = births("1971-05-05", *days, counts=many)
    assert other.outcomes[0] == Outcome.OK


def test_a_spike_counts_all_ways_to_write_the_date() -> None:
    """The counts of 01/01/1970 and 1970-01-01 are one count."""
    days = [(date(1950, 1, 2) + timedelta(days=40 * k)).isoformat() for k in range(400)]
    result = births("1970-01-01", "01/01/1970", *days, counts=np.array([25, 25, *[2] * 400]))
    assert result.outcomes[:2].tolist() == [Outcome.PLACEHOLDER] * 2


def test_record_dates() -> None:
    """Record dates may lie ahead; their two-digit years reach twenty years ahead."""
    assert records("01/07/2026", "01/07/30", "01/07/60", "1/1/1900") == [
        "2026-07-01",
        "2030-07-01",
        "1960-07-01",
        None,
    ]


def test_derived_dates() -> None:
    """Parts of a date, and the form that forgives swapped day and month."""
    parts = {
        name: part.to_pylist()
        for name, part in norm.derive_date(pa.array(["2011-03-04", "2011-04-03"])).items()
    }
    assert parts["year"] == ["2011", "2011"]
    assert parts["month_year"] == ["2011-03", "2011-04"]
    assert parts["day_month"] == ["03-04", "04-03"]
    assert parts["day_year"] == ["2011--04", "2011--03"]
    assert parts["swap"][0] == parts["swap"][1]


def test_historical_register_keeps_its_births() -> None:
    """A column that is mostly older than any living person is a register's; one old date among many is an error."""
    register = pa.array([f"1861-0{month}-{day:02d}" for month in range(1, 6) for day in range(1, 29)])
    kept = norm.normalise_date(register, formats=None, today=date(2026, 6, 30), is_birth=True)
    assert (kept.outcomes == Outcome.OK).all()
    today = pa.array(
        [f"1961-0{month}-{day:02d}" for month in range(1, 6) for day in range(2, 29)] + ["1861-01-02"]
    )
    mixed = norm.normalise_date(today, formats=None, today=date(2026, 6, 30), is_birth=True)
    assert mixed.outcomes.tolist()[-1] == Outcome.INVALID
    assert (mixed.outcomes[:-1] == Outcome.OK).all()
