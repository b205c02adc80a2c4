"""Calendar months: a window of months ends on a day, a request is due a month after it came."""

from __future__ import annotations

from calendar import monthrange
from datetime import date


def months_later(day: date, months: int) -> date:
    """Return the same day `months` calendar months later, the last of the month where there is no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def months_before(day: date, months: int) -> date:
    """Return the same day `months` calendar months earlier, the last of the month where there is no such day."""
    return months_later(day, -months)
