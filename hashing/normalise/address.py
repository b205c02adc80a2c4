"""Free-text addresses to one spelling, and house and street out of them."""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashing.normalise import _words
from hashing.normalise._arrays import plain
from hashing.normalise.outcome import Normalised, Outcome

_CARE_OF = r"\bC/O\b|\bCARE OF\b"
_NOT_WORD = r"[^A-Z0-9]+"
# BS 7666 postcode form, but not a flat followed by an ordinal ("B1 2ND FLOOR").
_POSTCODE = re.compile(r"\b[A-Z]{1,2}[0-9][A-Z0-9]? ?(?!1ST\b|2ND\b|3RD\b|[04-9]TH\b)[0-9][A-Z]{2}\b")
_MAYBE_POSTCODE = r"[A-Z][0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b"
_COUNTRIES = (
    ("UNITED", "KINGDOM"),
    ("GREAT", "BRITAIN"),
    ("UK",),
    ("GB",),
    ("ENGLAND",),
    ("SCOTLAND",),
    ("WALES",),
)
_LONGEST = 250


@lru_cache(maxsize=1)
def _short_forms() -> dict[str, str]:
    return {row["word"]: row["short"] for row in _words.read_csv("address_words.csv")}


@lru_cache(maxsize=8)
def _role(role: str) -> frozenset[str]:
    return frozenset(row["short"] for row in _words.read_csv("address_words.csv") if row["role"] == role)


@lru_cache(maxsize=1)
def _placeholders() -> frozenset[str]:
    listed = _words.placeholders("any", "address")
    return listed | {" ".join(_shorten(phrase.split())) for phrase in listed}


def _shorten(words: list[str]) -> list[str]:
    short = _short_forms()
    return [short.get(word, word) for word in words]


def _join_number_letter(words: list[str]) -> list[str]:
    """12 A HIGH ST to 12A HIGH ST; never at the end, where a lone letter may be anything."""
    joined: list[str] = []
    for position, word in enumerate(words):
        lone = len(word) == 1 and word.isalpha() and position + 1 < len(words)
        if lone and joined and joined[-1].isdigit():
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _without_country(words: list[str]) -> list[str]:
    while True:
        ending = next((name for name in _COUNTRIES if tuple(words[-len(name) :]) == name), None)
        if ending is None or len(words) == len(ending):
            return words
        words = words[: -len(ending)]


def _tidy(text: str) -> str:
    """Repeated until nothing changes, so that taking a postcode out cannot make another one."""
    while True:
        words = _POSTCODE.sub(" ", text).split()
        tidied = " ".join(_without_country(_join_number_letter(_shorten(words))))
        if tidied == text:
            return text
        text = tidied


_EASY = r"^[0-9]*[A-Z]? ?[A-Z ]*$"


def _normalise_one(text: str, has_postcode: bool) -> str:
    if has_postcode:
        return _tidy(text)
    return " ".join(_without_country(_join_number_letter(_shorten(text.split()))))


def normalise_address(raw: pa.StringArray) -> Normalised:
    """Normalise written addresses: capitals, short forms of the usual words, no punctuation, no postcode.

    Args:
        raw: n raw values.

    Returns:
        Capitals and digits, single spaces: "FLAT 2 12A HIGH ST LEEDS".
    """
    text = plain(raw)
    care_of = np.asarray(pc.fill_null(pc.match_substring_regex(text, _CARE_OF), False), dtype=bool)
    written = pc.ascii_trim(
        pc.replace_substring_regex(
            pc.replace_substring(pc.replace_substring(text, "'", ""), "&", " AND "), _NOT_WORD, " "
        ),
        " ",
    )
    maybe = np.asarray(pc.fill_null(pc.match_substring_regex(written, _MAYBE_POSTCODE), False)).tolist()
    tidied = [
        "" if value is None else _tidy(value) if slow else _normalise_one(value, False)
        for value, slow in zip(written.to_pylist(), maybe, strict=True)
    ]
    values = pa.array(tidied, pa.string())
    lengths = np.asarray(pc.binary_length(values))
    outcomes = np.full(len(text), Outcome.OK, dtype=np.uint8)
    outcomes[(lengths == 0) | (lengths > _LONGEST)] = Outcome.INVALID
    known = pa.array(sorted(_placeholders()), pa.string())
    outcomes[
        care_of | np.asarray(pc.is_in(values, value_set=known)) | _words.is_placeholder(text, "address")
    ] = Outcome.PLACEHOLDER
    outcomes[np.asarray(pc.equal(pc.fill_null(text, ""), ""))] = Outcome.MISSING
    bad = pa.array(outcomes != Outcome.OK)
    return Normalised(values=pc.if_else(bad, pa.scalar(None, pa.string()), values), outcomes=outcomes)


def _take_flat(words: list[str]) -> tuple[str | None, list[str]]:
    """The flat ("FLAT 2", "GROUND FLOOR FLAT") and the words without it."""
    flats, floors = _role("flat"), _role("floor")
    for position, word in enumerate(words[:6]):
        if word not in flats:
            continue
        start = position
        while start and words[start - 1] in floors:
            start -= 1
        if start < position:
            return "".join(words[start:position]), words[:start] + words[position + 1 :]
        if position + 1 < len(words):
            return words[position + 1], words[:position] + words[position + 2 :]
    return None, words


def _street(words: list[str]) -> str | None:
    """The words before the first street type; without one, the first word."""
    types = _role("street")
    end = next((index for index, word in enumerate(words) if index and word in types), None)
    if end is None:
        chosen = words[:1]
    else:
        buildings = _role("building")
        start = max(
            (index + 1 for index in range(end) if words[index] in buildings and index + 1 < end), default=0
        )
        chosen = words[start:end]
    letters = "".join(character for word in chosen for character in word if character.isalpha())
    return letters or None


def _parts(address: str) -> tuple[str | None, str | None, str | None]:
    """House, number and street of one normalised address."""
    flat, words = _take_flat(address.split(" "))
    at = next((index for index, word in enumerate(words) if word[0].isdigit()), None)
    number = words[at] if at is not None else None
    after = words[at + 1 :] if at is not None else words
    while after and after[0][0].isdigit():
        after = after[1:]
    name = number or (words[0] if words else None)
    house = "-".join(part for part in (flat, name) if part) or None
    return house, number, _street(after)


def derive_address(values: pa.StringArray) -> dict[str, pa.StringArray]:
    """Derived values of normalised addresses.

    Args:
        values: n normalised addresses or nulls.

    Returns:
        n values each, null where the address has no such part: `exact`, `house` (flat, then house number or
        the first word of the house name), `number`, `street` (letters of the name without its type word) and
        `number_street`.
    """
    parts = [(None, None, None) if value is None else _parts(value) for value in values.to_pylist()]
    house, number, street = (
        (pa.array(column, pa.string()) for column in zip(*parts, strict=True))
        if parts
        else (pa.nulls(0, pa.string()) for _ in range(3))
    )
    return {
        "exact": values,
        "house": house,
        "number": number,
        "street": street,
        "number_street": pc.binary_join_element_wise(number, street, " "),
    }
