"""A phonetic key for British names, their misspellings, and names in transliteration."""

from __future__ import annotations

import pyarrow as pa

from hashing.normalise._folding import Rule, rewrite

_SOUNDS: tuple[Rule, ...] = (
    (r"^(?:KN|GN|PN)", "N"),
    (r"^WR", "R"),
    (r"^WH", "W"),
    (r"^X", "S"),
    (r"^MC|^MAC(?=[A-Z]{3})", "MK"),
    (r"SZCZ|SHCH|SCHTSCH|TSCH|TCH|CZ", "C"),
    (r"SCH|SZ|SH|CH|TI(?=O)", "C"),
    (r"PH", "F"),
    (r"(?<=[AEIOU])GH(?=T|$|[SN])", ""),
    (r"GH|GU(?=[EI])", "G"),
    (r"DG(?=[EIY])|DZH|DJ|DZ", "J"),
    (r"G(?=[EIY])", "J"),
    (r"TH|DH", "T"),
    (r"C(?=[KQ])", ""),
    (r"Q|KH|K|X(?!$)", "K"),
    (r"X$", "KS"),
    (r"(?<=[A-Z])[WHY](?![AEIOUY])", ""),
    (r"(?<=[A-Z])MB$", "M"),
    (r"(?<=[A-Z])E?S$", "S"),
    (r"Z", "S"),
    (r"V", "F"),
    (r"([A-Z])\1+", r"\1"),
    (r"^[AEIOUY]+", "A"),
    (r"(?<=[A-Z])[AEIOUYHW]+", ""),
    (r"([A-Z])\1+", r"\1"),
)


def phonetic(names: pa.StringArray) -> pa.StringArray:
    """The phonetic key of each name (A to Z, no nulls)."""
    return pa.array(rewrite(names.to_pylist(), _SOUNDS), pa.string())
