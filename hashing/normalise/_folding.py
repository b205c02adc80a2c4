"""Nickname representatives and transliteration families.

Rules run over all distinct names at once, as one text with a name a line: a regular expression then costs
what it finds, not what it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import nicknames as nicknames_package
import pyarrow as pa
import pyarrow.compute as pc

from hashing.native import names as kernels
from hashing.normalise import _words
from hashing.normalise._arrays import Column, at_rows, is_in, letters_for_kernels
from hashing.normalise._name_parts import Kind

Rule = tuple[str, str]
"""A pattern and what takes its place. Patterns begin with letters and look behind afterwards, so that the search for a
first letter skips most of the text: three times as fast as the same patterns the usual way round."""

# Female forms to male ones: Slavic adjectival and possessive surnames.
_GENDERED: tuple[Rule, ...] = (
    (r"([SCZ])(?<=[A-Z]{3})K(?:A(?:YA|IA|JA)?|Y[IJ]?|I[YJIE]|O[YI])$", r"\1KI"),
    (r"O(?<=[A-Z]{3})(?:VA|FFA?|WA?)$", "OV"),
    (r"E(?<=[A-Z]{4})(?:VA|FF|WA)$|Y(?<=[A-Z]{4})EVA$", "EV"),
)
# Spellings of one sound in the romanisations of Polish, Russian, Arabic, Urdu, Bengali, Yoruba, Chinese.
_SPELLINGS: tuple[Rule, ...] = (
    (r"^MA?C(?=[A-Z]{3})", "MAK"),
    (r"E?IGH(?!A)", "I"),
    (r"SZCZ|SHCH|SCHTSCH", "SH"),
    (r"TSCH|TCH|CZ", "CH"),
    (r"SCH(?![AEIOUY])|SZ", "SH"),
    (r"DZH|DJ|DZ(?=[AEIOU])", "J"),
    (r"PH", "F"),
    (r"^KN|^GN", "N"),
    (r"^WR", "R"),
    (r"CK|Q(?!U)|KH|QU(?=[EI])", "K"),
    (r"^X", "Z"),
    (r"X", "KS"),
    (r"C(?=[EIY])", "S"),
    (r"C(?!H)", "K"),
    (r"H(?<=[BDGJT]H)", ""),
    (r"W", "V"),
    (r"Z", "S"),
    (r"H(?![AEIOUY])(?<=[ABD-RT-Z]H)", ""),
)
_VOWELS: tuple[Rule, ...] = (
    (r"E$(?:(?<=[B-DF-HJ-NP-TV-XZ]{2}E)|(?<=[AEIOUY]{2}[B-DF-HJ-NP-TV-XZ]E))", ""),
    (r"EL(?<=[B-Z]EL)(?:LE?)?$", "IL"),
    (r"^Y(?=[AOU])", "J"),
    (r"OO|OU|U", "O"),
    (r"EE|IE|EY|AY|AI|EI|EA|Y|J(?=[BCDFGKLMNPRSTV]|$)", "I"),
    (r"AA|E(?<=[A-Z]E)", "A"),
    (r"([A-Z])\1+", r"\1"),
)


# A shorter skeleton is too common a form to speak for a family.
_LEAST_GUESS = 6


def rewrite(names: pa.StringArray, rules: tuple[Rule, ...]) -> pa.StringArray:
    """Apply regular expressions in order to every name (A to Z, at least one letter; no nulls)."""
    column = letters_for_kernels(names)
    if column is None:
        return _by_expressions(names, rules)
    data, ends, long = kernels.rewritten(column.data, column.offsets, _for_kernel(rules))
    return at_rows(Column(data, ends).strings(), long, _by_expressions(names.filter(pa.array(long)), rules))


@lru_cache(maxsize=4)
def _for_kernel(rules: tuple[Rule, ...]) -> kernels.Rules:
    return kernels.Rules.of(rules)


def _by_expressions(names: pa.StringArray, rules: tuple[Rule, ...]) -> pa.StringArray:
    text = "\n".join(names.to_pylist())
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return pa.array(text.split("\n") if len(names) else [], pa.string())


def fold(names: pa.StringArray, kind: Kind) -> pa.StringArray:
    """Names with the spellings of one sound made one."""
    gendered = _GENDERED if kind == "surname" else ()
    return rewrite(names, (*gendered, *_SPELLINGS, *_VOWELS))


@lru_cache(maxsize=1)
def own_nicknames() -> dict[str, str]:
    """Our own list: every name in it to its representative (itself, for a name that stands alone)."""
    table: dict[str, str] = {}
    for row in _words.read_csv("nicknames.csv"):
        table[row["representative"]] = row["representative"]
        table |= dict.fromkeys(row["names"].split(), row["representative"])
    return table


@lru_cache(maxsize=1)
def nickname_table() -> dict[str, str]:
    """Name to the representative of its nickname family; names that stand for themselves are left out.

    Our own list decides. The `nicknames` package (Apache-2.0) adds a nickname only when all the full names it gives
    lead to one representative and it is no full name itself, so that no chain of nicknames joins two families.
    """
    own = own_nicknames()
    formal: dict[str, set[str]] = {}
    for full, relation, short in nicknames_package.name_triplets():
        if relation == "has_nickname":
            formal.setdefault(short.upper(), set()).add(full.upper())
    fulls_of_others = set().union(*formal.values())
    added = {}
    for short, fulls in formal.items():
        targets = {own.get(full, full) for full in fulls}
        if short in own or short in fulls_of_others or len(targets) != 1 or not short.isalpha():
            continue
        (target,) = targets
        if target in own or target not in formal:
            added[short] = target
    table = added | own
    return {name: target for name, target in table.items() if name != target}


def _fold_all(names: Iterable[str], kind: Kind) -> list[str]:
    folded: list[str] = fold(pa.array(list(names), pa.string()), kind).to_pylist()
    return folded


@lru_cache(maxsize=2)
def family_table(kind: Kind) -> tuple[dict[str, str], dict[str, str]]:
    """Families of spellings: written name to folded family, and folded name to folded family."""
    rows = [row for row in _words.read_csv("name_families.csv") if row["kind"] in (kind, "both")]
    families = _fold_all([row["family"] for row in rows], kind)
    written: dict[str, str] = {}
    for row, family in zip(rows, families, strict=True):
        written |= dict.fromkeys(row["variants"].split(), family)
        written.setdefault(row["family"], family)
    folded: dict[str, str] = {}
    for name, family in zip(_fold_all(written, kind), written.values(), strict=True):
        if len(name) >= _LEAST_GUESS:
            folded.setdefault(name, family)
    return written, folded


@lru_cache(maxsize=8)
def _looked_up(table: Literal["nickname", "known", "written", "folded"], kind: Kind) -> _Table:
    match table:
        case "nickname":
            return _Table.of(nickname_table())
        case "known":
            return _Table.of(own_nicknames())
        case "written":
            return _Table.of(family_table(kind)[0])
        case "folded":
            return _Table.of(family_table(kind)[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """Names and what they stand for, side by side."""

    names: pa.StringArray
    meant: pa.StringArray

    @classmethod
    def of(cls, table: Mapping[str, str]) -> _Table:
        return cls(
            names=pa.array(list(table), pa.string()), meant=pa.array(list(table.values()), pa.string())
        )

    def get(self, names: pa.StringArray) -> pa.StringArray:
        """Return what each name stands for, null where that is not said."""
        return self.meant.take(pc.index_in(names, value_set=self.names))


def nickname(names: pa.StringArray) -> pa.StringArray:
    """The representative of each forename's nickname family, or the name itself."""
    return pc.coalesce(_looked_up("nickname", "forename").get(names), names)


def canonical(names: pa.StringArray, kind: Kind) -> pa.StringArray:
    """The family of spellings of each name, or the name with its spelling folded."""
    skeletons = fold(names, kind)
    # A name that our lists know stands for what they say; only others are guessed by their skeleton.
    known = is_in(names, _looked_up("known", kind).names)
    guesses = pc.if_else(pa.array(known), None, _looked_up("folded", kind).get(skeletons))
    return pc.coalesce(_looked_up("written", kind).get(names), guesses, skeletons)
