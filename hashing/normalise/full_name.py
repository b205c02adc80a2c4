"""One column that holds the whole name, to forename and surname columns."""

from __future__ import annotations

import re

import pyarrow as pa

from hashing.normalise import _words
from hashing.normalise._arrays import as_strings
from hashing.normalise._latin import latin

_NOTE = re.compile(r"\s*(?:\([^()]*\)|\[[^][]*\])")
_COMMA = re.compile(r"\s*,\s*")


def _plain(word: str) -> str:
    return "".join(filter(str.isalpha, latin(word)))


def _without_titles(words: list[str]) -> list[str]:
    """Without titles before and suffixes after the name."""
    titles = _words.words("title", "forename") | _words.words("title", "surname")
    suffixes = _words.words("suffix", "surname")
    start, end = 0, len(words)
    while end - start > 1 and _plain(words[start]) in titles:
        start += 1
    while end - start > 1 and _plain(words[end - 1]) in suffixes:
        end -= 1
    return words[start:end]


def _is_capitals(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _by_capitals(words: list[str]) -> tuple[list[str], list[str]] | None:
    """DUPONT Jean or Jean DUPONT, when the capitals stand together at one end."""
    flags = [_is_capitals(word) for word in words]
    for first, last in ((flags, False), (flags[::-1], True)):
        count = next((index for index, flag in enumerate(first) if not flag), len(flags))
        if 0 < count < len(flags) and sum(flags) == count:
            return (words[:-count], words[-count:]) if last else (words[count:], words[:count])
    return None


def _by_order(words: list[str]) -> tuple[list[str], list[str]]:
    """The last word is the surname, with the particles before it."""
    particles = _words.words("particle", "surname") | _words.words("closing", "surname")
    start = len(words) - 1
    while start > 1 and _plain(words[start - 1]) in particles:
        start -= 1
    return words[:start], words[start:]


def split_one(name: str) -> tuple[str | None, str | None]:
    """Forename and surname of one written full name, not normalised yet; see `split_full_name`."""
    notes = "".join(_NOTE.findall(name))
    parts = [part for part in _COMMA.split(_NOTE.sub("", name)) if part.strip()]
    named = [words for words in (_without_titles(part.split()) for part in parts) if words]
    suffixes = _words.words("suffix", "surname") | _words.words("title", "forename")
    named = [words for words in named if not all(_plain(word) in suffixes for word in words)] or named[:1]
    if not named:
        return None, None
    if len(named) > 1:
        surname, forename = named[0], [word for words in named[1:] for word in words]
    elif len(named[0]) == 1:
        forename, surname = [], named[0]
    else:
        forename, surname = _by_capitals(named[0]) or _by_order(named[0])
    return (" ".join(forename) + notes).strip() or None, " ".join(surname) or None


def split_full_name(raw: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    """Split whole names for `normalise_forename` and `normalise_surname`.

    "Smith, John" and "SMITH John" are read as reversed; otherwise the last word, with its particles ("de la Cruz"), is
    the surname. A single word is a surname, as in travel documents (ICAO Doc 9303, primary identifier). Notes in
    brackets stay with the forename, where known-as names are looked for.

    Args:
        raw: n whole names.

    Returns:
        n raw forenames and n raw surnames, null where there is none.
    """
    pairs = [(None, None) if name is None else split_one(name) for name in as_strings(raw).to_pylist()]
    return pa.array([forename for forename, _ in pairs], pa.string()), pa.array(
        [name for _, name in pairs], pa.string()
    )
