"""Addresses by compiled kernels: what nearly every address needs, in one pass over its bytes.

An address that needs more (a postcode where one was taken out, hundreds of words) is left to the general rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
import pyarrow as pa

from hashing.native import addresses
from hashing.native.addresses import Role
from hashing.normalise._arrays import Column, Ints, Mask


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """The words of addresses, in the tables that the kernels read.

    Attributes:
        written: As written, with the short form.
        short: Short forms.
    """

    written: addresses.WordList
    short: addresses.WordList

    @classmethod
    def of(
        cls,
        short: Mapping[str, str],
        roles: Mapping[Role, frozenset[str]],
        written_roles: Mapping[Role, frozenset[str]],
        countries: tuple[str, ...],
    ) -> Words:
        """Make the tables.

        Args:
            short: Written word -> short form.
            roles: Role -> the short forms that have it.
            written_roles: Role -> the written words that have it.
            countries: Names of countries in short forms, of one word or two.
        """
        of_country = _country_roles(countries)
        written = {*short, *of_country, *(word for words in written_roles.values() for word in words)}
        listed = {word: short.get(word, word) for word in written}
        return cls(
            written=addresses.word_list(
                {
                    word: (form, _roles(word, written_roles) | of_country.get(form, 0))
                    for word, form in listed.items()
                }
            ),
            short=addresses.word_list(
                {word: (word, _roles(word, roles)) for words in roles.values() for word in words}
            ),
        )


def _roles(word: str, roles: Mapping[Role, frozenset[str]]) -> int:
    return reduce(or_, (int(role) for role, words in roles.items() if word in words), 0)


def _country_roles(countries: tuple[str, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, name in enumerate(countries, start=1):
        first, _, second = name.partition(" ")
        if second:
            found[first] = Role.FIRST_OF_COUNTRY | number * addresses.PAIR
            found[second] = Role.SECOND_OF_COUNTRY | number * addresses.PAIR
        else:
            found[first] = int(Role.COUNTRY)
    return found


def spelled(text: pa.StringArray, words: Words) -> tuple[pa.StringArray, Mask, Ints]:
    """Return addresses in one spelling, flags of those left to the general rules, and rows that may be none.

    Args:
        text: n texts of ASCII capitals, no nulls.
        words: Their words.
    """
    column = Column.of(text)
    data, ends, flags = addresses.spelled(
        np.ascontiguousarray(column.data), np.ascontiguousarray(column.offsets), words.written
    )
    by_rules = (flags & addresses.BY_RULES) != 0
    return Column(data, ends).strings(), by_rules, np.flatnonzero(flags & addresses.DOUBTFUL)


def parts(values: pa.StringArray, words: Words) -> tuple[list[pa.StringArray], Mask]:
    """Return house, number and street of normalised addresses, and flags of those left to the general rules."""
    column = Column.of(values)
    made, by_rules = addresses.parts(
        np.ascontiguousarray(column.data), np.ascontiguousarray(column.offsets), words.short
    )
    found = [Column(data, ends).strings(ends[1:] == ends[:-1]) for data, ends in made]
    return found, by_rules
