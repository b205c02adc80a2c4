"""Any script to ASCII capitals.

Letters, marks and numbers go through Unicode NFKC and then anyascii (ISC licence), whose tables are fixed by
its version; quotation marks and dashes become their ASCII forms; every other symbol becomes a space.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from anyascii import anyascii

_SINGLE_QUOTES = "\u2018\u2019\u201a\u201b\u2032\u02bc\u02bb\u02bd\u02bf\u02be\u02b9\u00b4\u05f3\uff07"
_DOUBLE_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u05f4\uff02"
# NFKC would turn these two into a space and a combining mark, so they are read first.
_EARLY = str.maketrans(dict.fromkeys(_SINGLE_QUOTES, "'") | dict.fromkeys(_DOUBLE_QUOTES, '"'))
_CATEGORY = {"Pd": "-", "Ps": "(", "Pe": ")", "Pi": '"', "Pf": '"', "Cf": "", "Pc": "-"}


@lru_cache(maxsize=65536)
def _character(character: str) -> str:
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category[0] in "LMN":
        return anyascii(character)
    return _CATEGORY.get(category, " ")


def latin(text: str) -> str:
    """Spell `text` in ASCII capitals.

    Args:
        text: Any Unicode text.

    Returns:
        ASCII only; upper case; not trimmed.
    """
    early = unicodedata.normalize("NFKC", text.translate(_EARLY))
    return "".join(map(_character, early)).upper()
