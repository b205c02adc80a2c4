"""Find what looks like an identifier, a key or a token in text that people write into a log.

Stricter than `governance.detect`, which judges data: here a false alarm costs a rewording, so any full date counts.
Patterns are bounded, so that a case number such as `CASE-2026-0042` is left in peace. Of names, only a listed forename
beside a listed surname is found.
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
    from governance.detect.names import holds_name  # loads Arrow, which most commands need later or never

    found = {kind for kind, pattern in _PATTERNS if pattern.search(text)}
    # Ten digits are an NHS number, twelve a UPRN, eleven a telephone number; a plain date has eight.
    if _NUMBER.search(_DATE_SHAPED.sub("", text)):
        found.add("a long number")
    if holds_name(text):
        found.add("a person's name")
    return sorted(found)


def identifiers_in_id(text: str) -> list[str]:
    """Return the same for an id that people choose (a run, a user): dates and long numbers are usual there."""
    from governance.detect.patterns import valid_nhs_number

    numbers = (re.sub("[ -]", "", match) for match in _TEN_DIGITS.findall(text))
    return ["an NHS number"] if any(map(valid_nhs_number, numbers)) else []
