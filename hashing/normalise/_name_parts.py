"""One written name to its words: known-as parts, titles, suffixes, placeholders. The thorough, slow half.

Works on ASCII capitals (`_latin.latin`). Everything here is repeated until nothing changes, so a normalised
name normalises to itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from hashing.normalise import _words
from hashing.normalise.outcome import Outcome

Kind = Literal["forename", "surname"]

_MOST_WORDS, _MOST_LETTERS, _MOST_WRITTEN = 10, 80, 400  # longer is a sentence, not a name
_ENCLOSED = re.compile(
    r"""\(([^()]*)(?:\)|$)|\[([^][]*)(?:\]|$)|\{([^{}]*)(?:\}|$)|"([^"]*)"|(?<!\S)'([^']+)'(?!\S)"""
)
_SLASHED_ALIAS = re.compile(r"\b(?:A/K/A|F/K/A|K/A)\b")
_ALIAS_PHRASES = (
    ("ALSO", "KNOWN", "AS"),
    ("A", "K", "A"),
    ("F", "K", "A"),
    ("KNOWN", "AS"),
    ("KN", "AS"),
    ("FKA",),
)
_ALIAS_FIRST = frozenset(phrase[0] for phrase in _ALIAS_PHRASES)
_SPELLED_PLACEHOLDER = re.compile(r"\b(?:N/A|N/K|D/K)\b")
_SEPARATORS = re.compile(r"\s*[/\\;|]\s*")
# Words between two names of one person. The name after NOW is the current one.
_BETWEEN = frozenset(
    {"AKA", "NEE", "FORMERLY", "PREVIOUSLY", "PREV", "ALIAS", "BORN", "CALLED", "OR", "NOW", "/"}
)
_LEADING = frozenset({"AKA", "NEE", "FORMERLY", "PREVIOUSLY", "PREV", "ALIAS", "/"})
_ALIAS_LEADING = _LEADING | {
    "NOW",
    "BORN",
    "CALLED",
    "PREFERS",
    "PREFERRED",
    "LIKES",
    "WAS",
    "OR",
    "NAME",
    "TO",
    "BE",
}
# Notes in brackets that are not names.
_NOTES = frozenset(
    {"F", "M", "MALE", "FEMALE", "DEC", "JNR", "SNR", "TWIN", "BABY", "CHILD", "ADULT", "NEW", "OLD"}
)
# Letters that digits were typed or scanned for, inside a word only ("SM1TH"); other digits are dropped.
_INNER_DIGITS = str.maketrans("015", "OIS")
_INNER = re.compile(r"(?<=[A-Z])[0-9]+(?=[A-Z])")
_RARE = re.compile(r"[0-9/\\;|'`]")  # what the three expressions above and closing up apostrophes are about
_NOT_WORD = re.compile(r"[^A-Z/ ]+")
_ANYWHERE = {
    "forename": frozenset(
        {"TWIN", "TRIPLET", "INFANT", "UNBORN", "UNKNOWN", "UNNAMED", "NEWBORN", "FOETUS", "FETUS"}
    ),
    "surname": frozenset({"UNKNOWN", "UNNAMED", "UNBORN"}),
}
_FIRST = {"forename": frozenset({"BABY"}), "surname": frozenset[str]()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The word lists of one kind of name.

    Attributes:
        special: Every word that keeps a name off the fast path.
    """

    titles: frozenset[str]
    suffixes: frozenset[str]
    closing: frozenset[str]
    placeholders: frozenset[str]
    anywhere: frozenset[str]
    first: frozenset[str]
    special: frozenset[str]


@lru_cache(maxsize=2)
def rules(kind: Kind) -> Rules:
    """The word lists of `kind`."""
    titles, suffixes = _words.words("title", kind), _words.words("suffix", kind)
    closing, placeholders = _words.words("closing", kind), _words.placeholders("any", "name", kind)
    first_words = frozenset(phrase.split()[0] for phrase in placeholders)
    spelled = frozenset({word for phrase in _ALIAS_PHRASES for word in phrase})
    return Rules(
        titles=titles,
        suffixes=suffixes,
        closing=closing,
        placeholders=placeholders,
        anywhere=_ANYWHERE[kind],
        first=_FIRST[kind],
        special=titles | suffixes | closing | first_words | _ANYWHERE[kind] | _BETWEEN | spelled,
    )


def to_words(text: str, kind: Kind) -> list[str]:
    """Words of A to Z, and "/" for the signs that stand between two names."""
    if _RARE.search(text):
        text = _SLASHED_ALIAS.sub(" AKA ", text.replace("'", "").replace("`", ""))
        text = _SEPARATORS.sub(" / ", text)
        text = _INNER.sub(lambda found: found[0].translate(_INNER_DIGITS), text)
    return _close_up(_join_alias(_NOT_WORD.sub(" ", text).split()), rules(kind).closing)


def _join_alias(words: list[str]) -> list[str]:
    """KNOWN AS and the like as the one word AKA."""
    if _ALIAS_FIRST.isdisjoint(words):
        return words
    joined: list[str] = []
    rest = words
    while rest:
        phrase = next((phrase for phrase in _ALIAS_PHRASES if tuple(rest[: len(phrase)]) == phrase), None)
        joined.append("AKA" if phrase else rest[0])
        rest = rest[len(phrase) if phrase else 1 :]
    return joined


def _close_up(words: list[str], closing: frozenset[str]) -> list[str]:
    """O BRIEN to OBRIEN, MC DONALD to MCDONALD; right to left, so that nothing is left to close."""
    done: list[str] = []
    for word in reversed(words):
        if word in closing and done and len(done[-1]) > 1:
            done[-1] = word + done[-1]
        else:
            done.append(word)
    return done[::-1]


def _segments(words: list[str]) -> tuple[list[str], list[list[str]]]:
    """The main name and the others, split at the words that stand between names."""
    segments: list[list[str]] = [[]]
    main = 0
    for position, word in enumerate(words):
        if word in _BETWEEN and (word == "/" or 0 < position < len(words) - 1):
            segments.append([])
            main = len(segments) - 1 if word == "NOW" else main
        else:
            segments[-1].append(word)
    full = [(index, segment) for index, segment in enumerate(segments) if segment]
    if not full:
        return [], []
    chosen = next((index for index, _ in full if index >= main), full[0][0])
    return segments[chosen], [segment for index, segment in full if index != chosen]


def _strip(words: list[str], rule: Rules) -> list[str]:
    """Without leading titles and trailing suffixes; one word always stays."""
    start, end = 0, len(words)
    while end - start > 1 and (words[start] in rule.titles or words[start] in _LEADING):
        start += 1
    while end - start > 1 and (words[end - 1] in rule.suffixes or words[end - 1] in _LEADING):
        end -= 1
    return words[start:end]


def reduce_words(words: list[str], kind: Kind) -> tuple[list[str], list[list[str]]]:
    """The words of the main name, and those of every other name."""
    rule = rules(kind)
    others: list[list[str]] = []
    while True:
        main, more = _segments(words)
        others += more
        main = _strip(main, rule)
        if main == words:
            return main, others
        words = main


def is_placeholder(words: list[str], kind: Kind) -> bool:
    """Whether these words stand for "no name known"."""
    rule = rules(kind)
    phrase = " ".join(words)
    return (
        phrase in rule.placeholders
        or phrase in rule.titles
        or words[0] in rule.first
        or not rule.anywhere.isdisjoint(words)
        or (len(phrase) > 2 and phrase.count(phrase[0]) == len(phrase))
    )


def take_apart(text: str, kind: Kind) -> tuple[list[str], list[list[str]]]:
    """The main name and the other names of one written name, as words.

    Args:
        text: ASCII capitals.
        kind: Which word lists apply.
    """
    enclosed = ["".join(filter(None, found)) for found in _ENCLOSED.findall(text)]
    main, others = reduce_words(to_words(_ENCLOSED.sub(" ", text), kind), kind)
    inner = [to_words(part, kind) for part in enclosed]
    if not main:
        filled = [words for words in inner if words]
        if not filled:
            return [], []
        main, others = reduce_words(filled[0], kind)
        inner = filled[1:]
    for words in inner:
        first, more = reduce_words(words, kind)
        others += [first, *more]
    return main, others


def other_names(others: list[list[str]], kind: Kind) -> list[str]:
    """Known-as and previous names, without notes, placeholders and what introduces them."""
    names = []
    for written in others:
        start = next(
            (index for index, word in enumerate(written) if word not in _ALIAS_LEADING), len(written)
        )
        words = _strip(written[start:], rules(kind))
        if words and not is_placeholder(words, kind) and not _NOTES.issuperset(words):
            names.append(" ".join(words))
    return names


def normalise_one(text: str, kind: Kind) -> tuple[str | None, Outcome]:
    """Normalise one written name.

    Args:
        text: ASCII capitals, trimmed.
        kind: Which word lists apply.
    """
    if not text:
        return None, Outcome.MISSING
    if len(text) > _MOST_WRITTEN:
        return None, Outcome.INVALID
    whole = to_words(text, kind)
    nothing = not any(character.isalnum() for character in text)
    if nothing or _SPELLED_PLACEHOLDER.search(text) or " ".join(whole) in rules(kind).placeholders:
        return None, Outcome.PLACEHOLDER
    words, _ = take_apart(text, kind)
    if not words:
        return None, Outcome.INVALID
    if is_placeholder(words, kind):
        return None, Outcome.PLACEHOLDER
    name = " ".join(words)
    if len(words) > _MOST_WORDS or len(name) > _MOST_LETTERS:
        return None, Outcome.INVALID
    return name, Outcome.OK
