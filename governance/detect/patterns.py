"""Patterns of raw identifiers in text, each *bounded*: nothing that is a letter or digit may stand on either side.

Unbounded, a postcode pattern meets most hexadecimal tokens; bounded, none. The patterns are read by RE2 (pyarrow),
which has no look-around, so a boundary is a character of its own; `find_in_text` and the column scan share them.

Sources: NHS Data Dictionary (NHS number, modulus 11); BS 7666 and the Royal Mail's Programmers' Guide (postcode);
GeoPlace (UPRN, at most 12 digits); HMRC manual NIM39110 (National Insurance number); Ofcom's National Telephone
Numbering Plan (UK numbers have 9 or 10 digits after the 0).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import lru_cache

from governance.detect.names import holds_name

OLDEST = 120
"""Years: no living person's date of birth is plausible before that."""

RECENT = 3
"""Years: a date in a header, file name or metadata that is no older than this is a date of the work."""


class Kind(Enum):
    """What sort of identifier a pattern stands for."""

    NHS_NUMBER = "NHS number"
    POSTCODE = "postcode"
    UPRN = "UPRN"
    DATE_OF_BIRTH = "date of birth"
    EMAIL = "e-mail address"
    PHONE = "telephone number"
    NATIONAL_INSURANCE = "National Insurance number"
    PERSON_NAME = "person's name"
    FREE_TEXT = "free text"
    UNKEYED_HASH = "hash of an identifier made without a key"

    @property
    def phrase(self) -> str:
        """The sort with its article, for a sentence."""
        article = {Kind.FREE_TEXT: "", Kind.NHS_NUMBER: "an ", Kind.EMAIL: "an "}.get(self, "a ")
        return article + self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """That something looks like an identifier, never what it says.

    Attributes:
        kind: Of which sort.
        place: Column, header, file name or path of the metadata field.
        cells: Number of cells.
    """

    kind: Kind
    place: str
    cells: int = 1


_LEFT, _RIGHT = "(?:^|[^0-9A-Za-z])", "(?:$|[^0-9A-Za-z])"


def _bounded(pattern: str) -> str:
    return f"{_LEFT}(?:{pattern}){_RIGHT}"


_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY, _MON, _YEAR = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])", "(?:18|19|20)[0-9]{2}"
_DATES = "|".join(
    (
        rf"{_YEAR}([-/. ]){_MON}[-/. ]{_DAY}(?:[T ][0-9:.]*Z?)?",
        rf"{_DAY}[-/. ]{_MON}[-/. ]{_YEAR}(?:[T ][0-9:.]*)?",
        rf"{_MON}[-/. ]{_DAY}[-/. ]{_YEAR}",
        rf"{_DAY}[-/]{_MON}[-/][0-9]{{2}}",
        rf"{_DAY}(?:st|nd|rd|th)?[-/ ,]+{_MONTH}[-/ ,]+(?:{_YEAR}|[0-9]{{2}})",
        rf"{_MONTH}[-/ ,]+{_DAY}(?:st|nd|rd|th)?[-/ ,]+{_YEAR}",
        rf"{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])",
        rf"(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2]){_YEAR}",
    )
).replace("([-/. ])", "[-/. ]")

PATTERNS: dict[Kind, str] = {
    Kind.NHS_NUMBER: _bounded(r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}"),
    Kind.POSTCODE: "(?i)"
    + _bounded(
        r"gir ?0aa|[a-pr-uwyz](?:[0-9]{1,2}|[a-hk-y][0-9][0-9]?|[0-9][a-hjkpstuw]|[a-hk-y][0-9][abehmnprv-y])"
        r"\s{0,2}[0-9][abd-hjlnp-uw-z]{2}"
    ),
    Kind.UPRN: r"^\s*0{0,3}[1-9][0-9]{4,11}\s*$|" + _bounded("[1-9][0-9]{10,11}|0[0-9]{11}"),
    Kind.DATE_OF_BIRTH: "(?i)" + _bounded(_DATES),
    Kind.EMAIL: r"[0-9A-Za-z._%+'-]+@[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)+",
    Kind.PHONE: r"(?:^|[^0-9A-Za-z+])(?:(?:\+|00)44[ -]?(?:\(0\)|0)?|\(?0)[ -]?[1-9](?:\)?[ -]?[0-9]){8,9}"
    + _RIGHT,
    Kind.NATIONAL_INSURANCE: "(?i)"
    + _bounded(r"[abceghj-prstw-z][abceghj-nprstw-z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[abcd]"),
}
"""RE2 pattern of each kind. A match of an NHS number or a date has still to be verified."""

_COMPILED = {kind: re.compile(pattern) for kind, pattern in PATTERNS.items()}
_NHS = re.compile(r"(?<![0-9A-Za-z])([0-9]{3})[ -]?([0-9]{3})[ -]?([0-9]{4})(?![0-9A-Za-z])")
_YEARS = re.compile(
    r"(?<![0-9])((?:18|19|20)[0-9]{2})(?![0-9])|(?<![0-9])((?:18|19|20)[0-9]{2})(?=[0-9]{4}(?![0-9]))"
)
_EIGHT = re.compile(r"(?<![0-9])[0-9]{4}((?:18|19|20)[0-9]{2})(?![0-9])")
_NOT_ISSUED = re.compile(r"(?i)(?:^|[^0-9a-z])(?:bg|gb|kn|nk|nt|tn|zz)")


def valid_nhs_number(digits: str) -> bool:
    """Return whether ten digits pass the modulus-11 check and are no dummy (all the same, or from 999)."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False))
    check = (11 - total % 11) % 11
    return check == int(digits[9]) and len(set(digits)) > 1 and not digits.startswith("999")


def _has_nhs_number(text: str) -> bool:
    return any(valid_nhs_number("".join(match.groups())) for match in _NHS.finditer(text))


def _years_in(text: str) -> Iterable[int]:
    for match in _YEARS.finditer(text):
        yield int(match.group(1) or match.group(2))
    for match in _EIGHT.finditer(text):
        yield int(match.group(1))


def _has_birth_date(text: str, today: date, recent: int) -> bool:
    years = list(_years_in(text))
    if not years:
        return recent == 0  # a two-digit year can be any
    return any(today.year - OLDEST <= year <= today.year - recent for year in years)


def verified(kind: Kind, text: str, today: date, *, recent: int = 0) -> bool:
    """Return whether `text`, which meets the pattern of `kind`, can really be one.

    Args:
        kind: The sort.
        text: A cell or another text.
        today: Day of the check.
        recent: Dates of this many last years do not count as dates of birth.
    """
    if kind is Kind.NHS_NUMBER:
        return _has_nhs_number(text)
    if kind is Kind.DATE_OF_BIRTH:
        return _has_birth_date(text, today, recent)
    return kind is not Kind.NATIONAL_INSURANCE or not _NOT_ISSUED.search(text)


def find_in_text(text: str, place: str, *, today: date) -> list[Hit]:
    """Return what a header, file name or text of the metadata holds.

    Dates of the last years are dates of the work here, and a name counts when a forename and a surname stand
    side by side: *May* or *West* alone is a word.
    """
    return [Hit(kind=kind, place=place) for kind in _kinds_in(text, today)]


@lru_cache(maxsize=4096)
def _kinds_in(text: str, today: date) -> tuple[Kind, ...]:
    """Return the kinds of identifier in a short text; manifests repeat the same words over and over."""
    found: list[Kind] = []
    if "@" in text or any(map(str.isdigit, text)):
        found += [
            kind
            for kind, pattern in _COMPILED.items()
            if kind is not Kind.UPRN and pattern.search(text) and verified(kind, text, today, recent=RECENT)
        ]
        if _LONG_NUMBER.search(text):
            found.append(Kind.UPRN)
    if holds_name(text):
        found.append(Kind.PERSON_NAME)
    return tuple(found)


_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z])(?:[1-9][0-9]{10,11}|0[0-9]{11})(?![0-9A-Za-z])")
"""A UPRN as most are written. Shorter numbers in metadata are numbers of anything."""
