"""A phonetic key for British names, their misspellings, and names in transliteration.

The key is the skeleton of consonant sounds; F stands for F and V, J for J and G, X for SH and CH, A for a
vowel at the beginning. docs/spec/normalisation.md gives the measurements by which it was chosen over
Soundex, Metaphone, NYSIIS and match rating.
"""

from __future__ import annotations

import pyarrow as pa

from hashing.normalise._folding import Rule, rewrite

_BEGINNINGS: tuple[Rule, ...] = (
    (r"^[KGP]N(?=[AEIOUY])", "N"),
    (r"^WR", "R"),
    (r"^WH(?=O)", "H"),
    (r"^PS", "S"),
    (r"^X", "S"),
    (r"^MA?C(?=[A-Z]{3})", "MK"),
    (r"^S(?=EAN$|EAMUS|IOBH|INEAD|IAN$)|^SCH(?![OU])", "SH"),
    (r"^(?:DJ|DI(?=A[LM]))", "J"),
    (r"^I(?=U)|^Y(?=[AEIOU])", "J"),
    (r"^[VW]", "W"),
)
_SOUNDS: tuple[Rule, ...] = (
    (r"X", "KS"),
    (r"SZCZ|SHCH|TSCH|TCH|CZ", "X"),
    (r"SCH(?=[OU])", "SK"),
    (r"CH(?:(?=[LR])|(?<=[MN]ICH)(?=[AO]|EAL))|^C(?=IA)|KH|CQ|CK", "K"),
    (r"SH(?<=NSH)(?=E)", "S"),
    (r"SCH|SZ|SH|CH|[TS]I(?=ON)|TZSCH", "X"),
    (r"SC(?=[EIY])|C(?=[EIY])|Z", "S"),
    (r"PH(?<!SHEPH)|BH(?<=[AEIO]BH)", "F"),
    (r"GH(?<=[AOUI]GH)", ""),
    (r"DG(?=[EIY])|DZH|DJ|DZ|G", "J"),
    (r"[CQ]", "K"),
    (r"H(?<=[BDJKPRT]H)", ""),
    (r"P(?=[BST])(?<=MP)", ""),
    (r"MBE?$", "M"),
    (r"ST(?<=NST)(?=ONE?$)|TS(?<=[RN]TS)", "S"),
    (r"J(?<=[AEI]J)(?=S?$)", ""),
    (r"W(?<=[AEIOU]W)(?=E?$|[BDJKLMNPRSTX])", ""),
    (r"[VW](?<=[A-Z]{2})", "F"),
)
_SKELETON: tuple[Rule, ...] = (
    (r"([B-DF-HJ-NP-TV-XZ])\1+", r"\1"),
    (r"^[AEIOUY]", "A"),
    (r"[AEIOUYH](?<=[A-Z]{2})", ""),
)


def phonetic(names: pa.StringArray) -> pa.StringArray:
    """The phonetic key of each name (A to Z, no nulls)."""
    return rewrite(names, (*_BEGINNINGS, *_SOUNDS, *_SKELETON))
