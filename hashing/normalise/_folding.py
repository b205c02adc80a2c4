"""Nickname representatives and transliteration families.

Rules run over all distinct names at once, as one text with a name a line: a regular expression then costs
what it finds, not what it is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import nicknames as nicknames_package
import pyarrow as pa

from hashing.normalise import _words
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


def rewrite(names: Sequence[str], rules: Iterable[Rule]) -> list[str]:
    """Apply regular expressions in order to every name (A to Z, at least one letter)."""
    text = "\n".join(names)
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text.split("\n") if names else []


def fold(names: Sequence[str], kind: Kind) -> list[str]:
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


@lru_cache(maxsize=2)
def family_table(kind: Kind) -> tuple[dict[str, str], dict[str, str]]:
    """Families of spellings: written name to folded family, and folded name to folded family."""
    rows = [row for row in _words.read_csv("name_families.csv") if row["kind"] in (kind, "both")]
    families = fold([row["family"] for row in rows], kind)
    written: dict[str, str] = {}
    for row, family in zip(rows, families, strict=True):
        written |= dict.fromkeys(row["variants"].split(), family)
        written.setdefault(row["family"], family)
    folded: dict[str, str] = {}
    for name, family in zip(fold(list(written), kind), written.values(), strict=True):
        if len(name) >= _LEAST_GUESS:
            folded.setdefault(name, family)
    return written, folded


def nickname(names: pa.StringArray) -> pa.StringArray:
    """The representative of each forename's nickname family, or the name itself."""
    table = nickname_table()
    return pa.array([table.get(name, name) for name in names.to_pylist()], pa.string())


def canonical(names: pa.StringArray, kind: Kind) -> pa.StringArray:
    """The family of spellings of each name, or the name with its spelling folded."""
    written, by_fold = family_table(kind)
    known = own_nicknames()
    listed = names.to_pylist()
    families = []
    for name, skeleton in zip(listed, fold(listed, kind), strict=True):
        # A name that our lists know stands for what they say; only others are guessed by their skeleton.
        guess = skeleton if name in known else by_fold.get(skeleton, skeleton)
        families.append(written.get(name) or guess)
    return pa.array(families, pa.string())
