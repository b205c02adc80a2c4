"""Find what looks like an identifier, a key or a token in text that people write into a log.

A pattern can find numbers, postcodes and dates; it cannot find a name. Patterns are bounded, so that the hexadecimal
digits of a digest or a case number such as `CASE-2026-0042` are left in peace.
"""

from __future__ import annotations

import re

_DATE_WORD = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_PATTERNS = (
    ("a key or a token", re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40,}={0,2}(?![A-Za-z0-9+/=])")),
    ("a key or a token", re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{24,}(?![0-9A-Za-z])")),
    ("an e-mail address", re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")),
    (
        "a postcode",
        re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{1,2}[0-9][A-Za-z0-9]?[ \t]?[0-9][A-Za-z]{2}(?![A-Za-z0-9])"),
    ),
    (
        "a full date",
        re.compile(r"(?<![0-9])(?:19|20)[0-9]{2}[-/.](?:1[0-2]|0?[1-9])[-/.][0-3]?[0-9](?![0-9])"),
    ),
    (
        "a full date",
        re.compile(r"(?<![0-9])[0-3]?[0-9][-/.](?:1[0-2]|0?[1-9])[-/.](?:(?:19|20)?[0-9]{2})(?![0-9])"),
    ),
    (
        "a full date",
        re.compile(rf"(?i)(?<![0-9])[0-3]?[0-9](?:st|nd|rd|th)?[ -]{_DATE_WORD}[ -](?:19|20)?[0-9]{{2}}"),
    ),
)
_NUMBER = re.compile(r"(?<![0-9A-Za-z])[0-9](?:[ -]?[0-9]){8,}(?![0-9A-Za-z])")
_DATE_SHAPED = re.compile(r"(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9])")


_TEN_DIGITS = re.compile(r"(?<![0-9])[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}(?![0-9])")


def identifiers_in(text: str) -> list[str]:
    """Return what free text seems to hold, such as `"a postcode"`; never the text itself. Empty: nothing found.

    A full date counts, because it may be a date of birth; the log knows the time of an entry by itself.
    """
    found = {kind for kind, pattern in _PATTERNS if pattern.search(text)}
    # Ten digits are an NHS number, twelve a UPRN, eleven a telephone number; a plain date has eight.
    if _NUMBER.search(_DATE_SHAPED.sub("", text)):
        found.add("a long number")
    return sorted(found)


def identifiers_in_id(text: str) -> list[str]:
    """Return the same for an id that people choose (a run, a user): dates and long numbers are usual there."""
    return ["an NHS number"] if any(map(_is_nhs_number, _TEN_DIGITS.findall(text))) else []


def _is_nhs_number(text: str) -> bool:
    """Whether the check digit is right: weights 10 to 2, modulus 11. Source: NHS Data Dictionary, NHS NUMBER."""
    digits = [int(each) for each in text if each.isdigit()]
    check = -sum(weight * digit for weight, digit in zip(range(10, 1, -1), digits, strict=False)) % 11
    return check == digits[9] and len(set(digits)) > 1
