"""Where day, month and year stand in a written date, worked out once a *shape*.

The shape of "03-Mar-2011" is "99-AAA-9999": digits as 9, letters as A. A column of a million dates has a
handful of shapes, so the reading of a shape may be slow and thorough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from schemas.errors import MappingError

Span = tuple[int, int]


class Order(Enum):
    """Which part comes first."""

    FIXED = "fixed"
    EITHER = "either"  # two numbers, then the year: 03/04/2011
    COMPACT = "compact"  # eight digits: 20110303 or 03032011
    YEAR_FIRST = "year first"  # 2011-03-31; 2011-31-03 when nothing else is possible
    SERIAL = "serial"  # spreadsheet day number


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Half-open character spans of the parts; `month_name` when the month is in letters.

    For `EITHER`, `day` is the first number and `month` the second. For `COMPACT` and `SERIAL`, `day` is all.
    """

    order: Order
    day: Span
    month: Span = (0, 0)
    year: Span = (0, 0)
    month_name: bool = False


_LONGEST = 64  # longer is a note, not a date
# A time of day and everything after it: "T10:00:00Z", " 10:00 AM", " 00:00:00.000+01:00".
_TIME = re.compile(r"(?:A| +|, *|-(?=99:99))9{1,2}[:.]99(?:[:.]99.*| ?AA| *|[+-].*|A)?$")
# A weekday: letters before a date that is whole without them.
_WEEKDAY = re.compile(r"^AA+[,.]? +(?=9+(?:AA)?[^9A]+(?:9+[^9A]+9|(?:AA )?AAA)|AAA+[., ]+9)")
_PART = re.compile(r"9+|A+")
# Digits that a two-part timestamp without separators carries after its date: yyyymmddHHMM, yyyymmddHHMMSS.
_STAMP_LENGTHS = (12, 14)


def _named(digits: list[Span], letters: list[Span]) -> Layout | None:
    months = [span for span in letters if span[1] - span[0] >= 3]
    if len(digits) != 2 or len(months) != 1:
        return None
    first, second = digits
    if first[1] - first[0] == 4:
        first, second = second, first
    if first[1] - first[0] > 2 or second[1] - second[0] not in (2, 4):
        return None
    return Layout(order=Order.FIXED, day=first, month=months[0], year=second, month_name=True)


def _numbered(digits: list[Span]) -> Layout | None:
    widths = [end - start for start, end in digits]
    if len(digits) != 3 or min(widths[1:]) < 1 or widths[1] > 2:
        return None
    if widths[0] == 4 and widths[2] <= 2:
        return Layout(order=Order.YEAR_FIRST, year=digits[0], month=digits[1], day=digits[2])
    if widths[0] <= 2 and widths[2] in (2, 4):
        return Layout(order=Order.EITHER, day=digits[0], month=digits[1], year=digits[2])
    return None


def _solid(start: int, width: int) -> Layout | None:
    if width == 8 or width in _STAMP_LENGTHS:
        return Layout(order=Order.COMPACT, day=(start, start + 8))
    if width == 6:
        return Layout(
            order=Order.EITHER,
            day=(start, start + 2),
            month=(start + 2, start + 4),
            year=(start + 4, start + 6),
        )
    if width == 5:
        return Layout(order=Order.SERIAL, day=(start, start + 5))
    return None


@lru_cache(maxsize=8192)
def detect(shape: str) -> Layout | None:
    """The layout of a shape, or None when it is no date.

    Args:
        shape: Digits as 9, letters as A, all else as it is; no value can be told from it.
    """
    if len(shape) > _LONGEST:
        return None
    if re.fullmatch(r"9{5}\.9+", shape):
        return _solid(0, 5)
    body = _TIME.sub("", shape)
    skipped = _WEEKDAY.match(body)
    start = skipped.end() if skipped else 0
    parts = [match.span() for match in _PART.finditer(body, start)]
    digits = [span for span in parts if body[span[0]] == "9"]
    letters = [span for span in parts if body[span[0]] == "A"]
    if letters:
        return _named(digits, letters)
    if len(digits) == 1:
        return _solid(digits[0][0], digits[0][1] - digits[0][0])
    return _numbered(digits)


_DIRECTIVES = {
    "d": "(?P<day>9{1,2})",
    "e": "(?P<day>9{1,2})",
    "m": "(?P<month>9{1,2})",
    "Y": "(?P<year>9{4})",
    "y": "(?P<year>9{2})",
    "b": "(?P<name>A{3,})",
    "B": "(?P<name>A{3,})",
    "H": "9{1,2}",
    "I": "9{1,2}",
    "M": "9{1,2}",
    "S": "9{1,2}",
    "f": "9{1,6}",
    "p": "AA",
    "a": "A+",
    "A": "A+",
    "Z": "A+",
    "z": "(?:[+-]9{2}:?9{2}|A)",
    "%": "%",
}
_PARTS_OF = {"T": ("H", ":", "M", ":", "S"), "D": ("m", "/", "d", "/", "y"), "F": ("Y", "-", "m", "-", "d")}


def _literal(character: str) -> str:
    if character.isdigit():
        return "9"
    return "A" if character.isalpha() else re.escape(character)


def _expand(text: str) -> str:
    for letter, parts in _PARTS_OF.items():
        text = text.replace(
            f"%{letter}", "".join(part if not part.isalpha() else f"%{part}" for part in parts)
        )
    return text


@lru_cache(maxsize=256)
def _pattern(text: str, position: int) -> re.Pattern[str]:
    where = f"date formats[{position}]"
    pieces = re.findall(r"%.?|[^%]", _expand(text), flags=re.DOTALL)
    try:
        rule = "".join(_DIRECTIVES[piece[1:]] if piece[0] == "%" else _literal(piece) for piece in pieces)
        pattern = re.compile(rule)
    except (KeyError, re.error):
        raise MappingError(
            "this date format has an unknown or a repeated part.",
            where=where,
            remedy="Use strptime codes such as %d/%m/%Y, each of day, month and year once.",
        ) from None
    names = set(pattern.groupindex)
    if not {"day", "year"} <= names or len(names & {"month", "name"}) != 1:
        raise MappingError(
            "this date format lacks a day, a month or a year.",
            where=where,
            remedy="Use codes such as %d/%m/%Y.",
        )
    return pattern


@lru_cache(maxsize=8192)
def explicit(shape: str, formats: tuple[str, ...]) -> tuple[Layout, ...]:
    """The layouts that the agreed formats give a shape, in the order of the formats.

    Raises:
        MappingError: A format is not understood (checked by `check_formats` before any data is read).
    """
    layouts = []
    for position, text in enumerate(formats if len(shape) <= _LONGEST else ()):
        match = _pattern(text, position).fullmatch(shape)
        if match:
            name = "name" in match.re.groupindex
            month = match.span("name" if name else "month")
            layouts.append(
                Layout(
                    order=Order.FIXED,
                    day=match.span("day"),
                    month=month,
                    year=match.span("year"),
                    month_name=name,
                )
            )
    return tuple(layouts)


def check_formats(formats: Sequence[str]) -> None:
    """Refuse date formats that cannot be read.

    Raises:
        MappingError: An unknown strptime code, or no day, month or year.
    """
    for position, text in enumerate(formats):
        _pattern(text, position)
