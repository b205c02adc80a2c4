"""Free-text addresses to one spelling, and house and street out of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashing.native.addresses import Role, available
from hashing.normalise import _address_kernels, _words
from hashing.normalise._arrays import Ints, Mask, at_rows, is_in, plain
from hashing.normalise.outcome import Normalised, Outcome

_CARE_OF = r"\bC/O\b|\bCARE OF\b"
# An ordinal before one of these is no second half of a postcode ("FLAT B1 2ND FLOOR").
_ORDINALS = (("1ST", "FIRST"), ("2ND", "SECOND"), ("3RD", "THIRD"), ("4TH", "FOURTH"), ("5TH", "FIFTH"))
_WORDS_AFTER_ORDINAL = ("FLOOR", "FLR", "AVENUE", "AVE", "STREET", "ROAD", "RD")
_AFTER_ORDINAL = rf" ({'|'.join(_WORDS_AFTER_ORDINAL)})\b"
_POSTCODE = r"\b[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b"  # BS 7666 form
_COUNTRIES = ("UNITED KINGDOM", "GREAT BRITAIN", "UK", "GB", "ENGLAND", "SCOTLAND", "WALES")
_COUNTRY = rf"(?: (?:{'|'.join(_COUNTRIES)}))+$"
_NUMBER_LETTER = r"\b([0-9]+) ([A-Z]) "
_LONGEST = 250  # longer is a note, not an address
_FLAT_WITHIN = 6  # a flat is named in the first words of an address


_Parts = tuple[str | None, str | None, str | None]
"""House, number and street."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    """The shipped address words: every spelling to its short form, and short forms by what they are."""

    short: dict[str, str]
    flats: frozenset[str]
    floors: frozenset[str]
    streets: frozenset[str]
    buildings: frozenset[str]


@lru_cache(maxsize=1)
def _lists() -> _Lists:
    rows = _words.read_csv("address_words.csv")

    def role(name: str) -> frozenset[str]:
        return frozenset(row["short"] for row in rows if row["role"] == name)

    return _Lists(
        short={row["word"]: row["short"] for row in rows},
        flats=role("flat"),
        floors=role("floor"),
        streets=role("street"),
        buildings=role("building"),
    )


@lru_cache(maxsize=1)
def _kernel_words() -> _address_kernels.Words:
    lists = _lists()
    return _address_kernels.Words.of(
        lists.short,
        {
            Role.FLAT: lists.flats,
            Role.FLOOR: lists.floors,
            Role.STREET: lists.streets,
            Role.BUILDING: lists.buildings,
            Role.THE: frozenset({"THE"}),
        },
        {
            Role.ORDINAL: frozenset(figure for figure, _ in _ORDINALS),
            Role.AFTER_ORDINAL: frozenset(_WORDS_AFTER_ORDINAL),
            Role.CARE: frozenset({"CARE"}),
        },
        _COUNTRIES,
    )


@lru_cache(maxsize=1)
def _placeholders() -> pa.StringArray:
    listed = pa.array(sorted(_words.placeholders("any", "address")), pa.string())
    return pa.array(sorted({*listed.to_pylist(), *_shorten(listed).to_pylist()}), pa.string())


def _shorten(texts: pa.StringArray) -> pa.StringArray:
    """Every word in its short form; single spaces."""
    short = _lists().short
    lists = pc.split_pattern(texts, " ")
    coded = lists.flatten().dictionary_encode()
    words = pa.array([short.get(word, word) for word in coded.dictionary.to_pylist()], pa.string())
    return pc.binary_join(pa.ListArray.from_arrays(lists.offsets, words.take(coded.indices)), " ")


def _squeeze(texts: pa.StringArray) -> pa.StringArray:
    return pc.ascii_trim(pc.replace_substring_regex(texts, " {2,}", " "), " ")


def _matches(texts: pa.StringArray, pattern: str) -> Mask:
    return np.asarray(pc.match_substring_regex(texts, pattern), dtype=bool)


def _spell_ordinals(texts: pa.StringArray) -> pa.StringArray:
    hit = _matches(texts, r"\b[1-5](?:ST|ND|RD|TH)" + _AFTER_ORDINAL)
    some = texts.filter(pa.array(hit))
    for figure, word in _ORDINALS:
        some = pc.replace_substring_regex(some, rf"\b{figure}{_AFTER_ORDINAL}", rf"{word} \1")
    return pc.replace_with_mask(texts, pa.array(hit), some)


def _tidy(texts: pa.StringArray) -> pa.StringArray:
    """Postcode out, 12 A joined to 12A before a word, short forms, country out."""
    texts = _squeeze(pc.replace_substring_regex(_spell_ordinals(texts), _POSTCODE, " "))
    texts = pc.replace_substring_regex(texts, _NUMBER_LETTER, r"\1\2 ")
    return pc.replace_substring_regex(_shorten(texts), _COUNTRY, "")


def _spell(text: pa.StringArray) -> pa.StringArray:
    """One spelling of every address; `text` has no nulls."""
    closed = pc.replace_substring(pc.replace_substring(text, "'", ""), "&", " AND ")
    values = _tidy(_squeeze(pc.replace_substring_regex(closed, "[^A-Z0-9]+", " ")))
    # Taking a postcode out can join its neighbours to another one.
    while (again := _matches(values, _POSTCODE)).any():
        values = pc.replace_with_mask(values, pa.array(again), _tidy(values.filter(pa.array(again))))
    return values


def _spelled(text: pa.StringArray) -> tuple[pa.StringArray, Ints]:
    """Return one spelling of every address, and the rows that may stand for "no address"."""
    if not available():
        return _spell(text), np.arange(len(text))
    values, by_rules, doubtful = _address_kernels.spelled(text, _kernel_words())
    return at_rows(values, by_rules, _spell(text.filter(pa.array(by_rules)))), doubtful


def _stands_for_none(text: pa.StringArray, values: pa.StringArray) -> Mask:
    """Flags addresses that say that there is none, or somebody else's."""
    listed = is_in(values, _placeholders()) | _words.is_placeholder(text, "address")
    return np.asarray(listed | _matches(text, _CARE_OF))


def normalise_address(raw: pa.StringArray) -> Normalised:
    """Normalise written addresses: capitals, short forms of the usual words, no punctuation, no postcode.

    Args:
        raw: n raw values.

    Returns:
        Capitals and digits, single spaces: "FLAT 2 12A HIGH ST LEEDS".
    """
    text = pc.fill_null(plain(raw), "")
    values, doubtful = _spelled(text)
    lengths = np.asarray(pc.binary_length(values))
    outcomes = np.full(len(text), Outcome.OK, dtype=np.uint8)
    outcomes[(lengths == 0) | (lengths > _LONGEST)] = Outcome.INVALID
    rows = pa.array(doubtful)
    outcomes[doubtful[_stands_for_none(text.take(rows), values.take(rows))]] = Outcome.PLACEHOLDER
    outcomes[np.asarray(pc.equal(text, ""))] = Outcome.MISSING
    bad = pa.array(outcomes != Outcome.OK)
    return Normalised(values=pc.if_else(bad, pa.scalar(None, pa.string()), values), outcomes=outcomes)


def _take_flat(words: list[str], lists: _Lists) -> tuple[str | None, list[str]]:
    """The flat ("FLAT 2", "GROUND FLOOR FLAT") and the words without it."""
    position = next((index for index, word in enumerate(words[:_FLAT_WITHIN]) if word in lists.flats), None)
    if position is None:
        return None, words
    start = position
    while start and words[start - 1] in lists.floors:
        start -= 1
    if start < position:
        return "".join(words[start:position]), words[:start] + words[position + 1 :]
    return "".join(words[position + 1 : position + 2]) or None, words[:position] + words[position + 2 :]


def _street(words: list[str], lists: _Lists) -> str | None:
    """The letters of the words before the first street type; without one, those of the first word."""
    end = next((index for index, word in enumerate(words) if index and word in lists.streets), None)
    start = 0
    if end is None:
        end = 1
    else:
        for index in range(end - 1):
            start = index + 1 if words[index] in lists.buildings else start
    letters = "".join(words[start:end])
    return (letters if letters.isalpha() else "".join(filter(str.isalpha, letters))) or None


def _parts(address: str, lists: _Lists) -> _Parts:
    """House, number and street of one normalised address."""
    flat, words = _take_flat(address.split(" "), lists)
    at = next((index for index, word in enumerate(words) if word[0].isdigit()), None)
    number = None if at is None else words[at]
    after = 0 if at is None else at + 1
    while after < len(words) and words[after][0].isdigit():
        after += 1
    name = number or next((word for word in words if word != "THE"), None)
    house = f"{flat}-{name}" if flat and name else flat or name
    return house, number, _street(words[after:], lists)


def _all_parts(addresses: list[str | None]) -> list[_Parts]:
    """Return `_parts` of every address; where it begins with a number, its street is looked at once for all houses."""
    lists = _lists()
    streets: dict[str, tuple[str | None] | None] = {}
    found: list[_Parts] = []
    for address in addresses:
        if address is None:
            found.append((None, None, None))
            continue
        number, _, rest = address.partition(" ")
        plain = None
        if rest and number[0].isdigit():
            if rest not in streets:
                streets[rest] = _plain_street(rest.split(" "), lists)
            plain = streets[rest]
        found.append(_parts(address, lists) if plain is None else (number, number, *plain))
    return found


def _plain_street(words: list[str], lists: _Lists) -> tuple[str | None] | None:
    """Return the street of the words after a house number, or None when they tell more of the house."""
    if words[0][0].isdigit() or not lists.flats.isdisjoint(words[: _FLAT_WITHIN - 1]):
        return None
    return (_street(words, lists),)


def _columns(values: pa.StringArray) -> list[pa.StringArray]:
    """House, number and street of every address."""
    if not available():
        return _listed(_all_parts(values.to_pylist()))
    columns, by_rules = _address_kernels.parts(values, _kernel_words())
    others = _listed(_all_parts(values.filter(pa.array(by_rules)).to_pylist()))
    return [at_rows(column, by_rules, other) for column, other in zip(columns, others, strict=True)]


def _listed(parts: list[_Parts]) -> list[pa.StringArray]:
    return [pa.array([part[k] for part in parts], pa.string()) for k in range(3)]


def derive_address(values: pa.StringArray) -> dict[str, pa.StringArray]:
    """Derived values of normalised addresses.

    Args:
        values: n normalised addresses or nulls.

    Returns:
        n values each, null where the address has no such part: `exact`, `house` (flat, then house number or
        the first word of the house name, THE apart), `number`, `street` (letters of the name without its type word) and
        `number_street`.
    """
    house, number, street = _columns(values)
    return {
        "exact": values,
        "house": house,
        "number": number,
        "street": street,
        "number_street": pc.binary_join_element_wise(number, street, " "),
    }
