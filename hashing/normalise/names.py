"""Forenames and surnames, and the other names that were written beside them."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashing.native import names as kernels
from hashing.normalise import _name_parts, _words
from hashing.normalise._arrays import (
    UPPER,
    Bytes,
    Column,
    Mask,
    at_rows,
    byte_class,
    is_in,
    letters_for_kernels,
    plain,
    same_character,
)
from hashing.normalise._name_parts import Kind
from hashing.normalise.outcome import Normalised, Outcome

_SIMPLE = r"^[A-Z]{2,}(?:[ '-][A-Z]+)*$"
_LONGEST_SIMPLE = 60
_MOST_SIMPLE_WORDS = 6


@lru_cache(maxsize=2)
def _special(kind: Kind) -> pa.StringArray:
    return pa.array(sorted(_name_parts.rules(kind).special), pa.string())


def words_in(values: pa.StringArray, members: pa.StringArray) -> Mask:
    """Flags values (words with single spaces) that have any word of `members`."""
    lists = pc.split_pattern(pc.fill_null(values, ""), " ")
    running = np.concatenate(([0], np.cumsum(is_in(lists.flatten(), members))))
    offsets = np.asarray(lists.offsets)
    return np.asarray(running[offsets[1:]] != running[offsets[:-1]])


def _simple_rows(spaced: pa.StringArray, closed: pa.StringArray, kind: Kind) -> Mask:
    """Rows for which closing up apostrophes and splitting hyphens is all there is to do."""
    fits = np.asarray(pc.fill_null(pc.match_substring_regex(spaced, _SIMPLE), False), dtype=bool)
    column = Column.of(closed)
    one_letter = same_character(column.keep(UPPER))
    short = (column.lengths <= _LONGEST_SIMPLE) & (column.count(np.arange(256) == 32) < _MOST_SIMPLE_WORDS)
    return np.asarray(fits & ~one_letter & short & ~words_in(closed, _special(kind)))


def _closed(spaced: pa.StringArray) -> pa.StringArray:
    """Apostrophes closed up, hyphens to spaces."""
    return pc.replace_substring(pc.replace_substring(spaced, "'", ""), "-", " ")


def _single_spaced(text: pa.StringArray) -> pa.StringArray:
    wide = np.asarray(pc.fill_null(pc.match_substring(text, "  "), False), dtype=bool)
    return at_rows(text, wide, pc.replace_substring_regex(text.filter(pa.array(wide)), " {2,}", " "))


def _normalise(raw: pa.StringArray, kind: Kind) -> Normalised:
    spaced = _single_spaced(plain(raw))
    closed = _closed(spaced)
    simple = _simple_rows(spaced, closed, kind)
    outcomes: Bytes = np.full(len(spaced), Outcome.OK, dtype=np.uint8)
    hard = np.flatnonzero(~simple)
    pairs = [
        (None, Outcome.MISSING) if text is None else _name_parts.normalise_one(text, kind)
        for text in spaced.take(pa.array(hard)).to_pylist()
    ]
    outcomes[hard] = [outcome for _, outcome in pairs]
    replacements = pa.array([name for name, _ in pairs], pa.string())
    return Normalised(values=pc.replace_with_mask(closed, pa.array(~simple), replacements), outcomes=outcomes)


def normalise_forename(raw: pa.StringArray) -> Normalised:
    """Normalise forenames: every script to Latin, without titles, suffixes and known-as parts.

    Args:
        raw: n raw values.

    Returns:
        Full forenames, A to Z and single spaces: "MARY ANN".
    """
    return _normalise(raw, "forename")


def normalise_surname(raw: pa.StringArray) -> Normalised:
    """Normalise surnames: apostrophes closed up, hyphens to spaces, particles kept.

    Args:
        raw: n raw values.

    Returns:
        A to Z and single spaces: "OBRIEN", "DE SOUZA", "SMITH JONES".
    """
    return _normalise(raw, "surname")


def surname_parts(words: list[str]) -> list[str]:
    """The parts of a surname, particles joined to the word they lead: DE SOUZA LIMA to DESOUZA, LIMA."""
    particles = _words.words("particle", "surname")
    parts: list[str] = []
    pending = ""
    for word in words:
        pending += word
        if word not in particles:
            parts.append(pending)
            pending = ""
    return [*parts, pending] if pending else parts


def _alternatives(text: str, kind: Kind | None, parts: bool) -> tuple[str, ...]:
    read_as: Kind = kind or "surname"
    if _name_parts.normalise_one(text, read_as)[0] is None:
        return ()
    main, others = _name_parts.take_apart(text, read_as)
    names = _name_parts.other_names(others, read_as)
    if parts and (kind == "surname" or (kind is None and "-" in text)):
        halves = surname_parts(main)
        names += halves if len(halves) > 1 else []
    own = " ".join(main)
    return tuple(dict.fromkeys(name for name in names if name != own))


_HAS_ALTERNATIVE = (
    r"""[("\[{/\\;|'-]|\bA\.? ?K\.? ?A\b"""
    r"|\b(?:NEE|FKA|KNOWN|KN|FORMERLY|PREVIOUSLY|PREV|ALIAS|BORN|CALLED|OR|NOW)\b"
)


def alternative_names(
    raw: pa.StringArray, *, kind: Kind | None = None, parts: bool = True
) -> list[tuple[str, ...]]:
    """Other names written in each value: known as, née, formerly, and the parts of a double-barrelled name.

    Args:
        raw: n raw values.
        kind: `surname` splits at hyphens and spaces, `forename` at neither, None at hyphens only.
        parts: Whether the parts of a double-barrelled name are other names at all.

    Returns:
        n tuples of normalised names without the main one; most are empty.
    """
    text = plain(raw)
    pattern = _HAS_ALTERNATIVE + ("| " if kind == "surname" and parts else "")
    likely = np.asarray(pc.fill_null(pc.match_substring_regex(text, pattern), False), dtype=bool)
    if kind is not None and not (kind == "surname" and parts):
        # Letters with an apostrophe or a hyphen inside are no two names, unless a word between them says so.
        some = text.filter(pa.array(likely))
        likely[likely] = ~_simple_rows(some, _closed(some), kind)
    found: list[tuple[str, ...]] = [()] * len(text)
    rows = np.flatnonzero(likely)
    for row, value in zip(rows.tolist(), text.take(pa.array(rows)).to_pylist(), strict=True):
        found[row] = _alternatives(value, kind, parts)
    return found


def _first_forename(words: list[str]) -> tuple[str, str | None]:
    """The forename a person goes by, and the next one."""
    compounds = _words.words("compound", "forename")
    start = 0
    while start < len(words) - 1 and len(words[start]) == 1:
        start += 1
    if len(words[start]) == 1:
        start = 0
    end = start + 1
    name = words[start]
    while words[end - 1] in compounds and end < len(words):
        name += words[end]
        end += 1
    return name, words[end] if end < len(words) else None


def _split(values: pa.StringArray, kind: Kind) -> tuple[pa.StringArray, pa.StringArray]:
    """`exact` and `second` of distinct normalised names."""
    if kind == "surname":
        exact = pc.replace_substring(values, " ", "")
        second = pa.nulls(len(values), pa.string())
        hard = np.asarray(pc.fill_null(pc.match_substring(values, " "), False), dtype=bool)
        rows = values.filter(pa.array(hard)).to_pylist()
        parts = [surname_parts(value.split(" ")) for value in rows]
        seconds = pa.array([part[1] if len(part) > 1 else None for part in parts], pa.string())
        return exact, pc.replace_with_mask(second, pa.array(hard), seconds)
    spaced = pc.fill_null(pc.match_substring(values, " "), False)
    hard = np.asarray(
        pc.and_(spaced, pc.match_substring_regex(pc.fill_null(values, ""), _HARD_FIRST)), dtype=bool
    )
    exact = pc.replace_substring_regex(values, " .*$", "")
    second = pc.replace_substring_regex(values, "^[A-Z]+ ([A-Z]+).*$", r"\1")
    second = pc.if_else(spaced, second, pa.scalar(None, pa.string()))
    pairs = [_first_forename(value.split(" ")) for value in values.filter(pa.array(hard)).to_pylist()]
    exact = pc.replace_with_mask(exact, pa.array(hard), pa.array([first for first, _ in pairs], pa.string()))
    return exact, pc.replace_with_mask(
        second, pa.array(hard), pa.array([more for _, more in pairs], pa.string())
    )


_HARD_FIRST = "^(?:[A-Z]|" + "|".join(sorted(_words.words("compound", "forename"))) + ") "


def _letters(values: pa.StringArray) -> pa.StringArray:
    """The distinct letters in alphabetical order: equal after a transposition and for doubled letters."""
    column = letters_for_kernels(values)
    if column is None:
        return pa.array(["".join(sorted(set(value))) for value in values.to_pylist()], pa.string())
    return Column(*kernels.letters(column.data, column.offsets)).strings()


_SILENT = "AEIOUHWY"


def _consonants(values: pa.StringArray) -> pa.StringArray:
    """The first letter and the consonants after it, H, W and Y left out: equal however the vowels are written."""
    column = letters_for_kernels(values)
    if column is None:
        kept = pc.replace_substring_regex(pc.utf8_slice_codeunits(values, 1), f"[{_SILENT}]", "")
        return pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, 1), kept, "")
    return Column(*kernels.consonants(column.data, column.offsets, ~byte_class(_SILENT))).strings()


def _ends(exact: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray]:
    long_enough = pc.fill_null(pc.greater_equal(pc.binary_length(exact), 3), False)
    null = pa.scalar(None, pa.string())
    first = pc.if_else(long_enough, pc.utf8_slice_codeunits(exact, 0, 3), null)
    last = pc.if_else(long_enough, pc.utf8_slice_codeunits(exact, -3), null)
    return first, last


def derive_name(values: pa.StringArray, *, kind: Literal["forename", "surname"]) -> dict[str, pa.StringArray]:
    """Derived values of normalised names.

    Args:
        values: n normalised names or nulls.
        kind: Which rules apply.

    Returns:
        n values each, null for null: `exact`, `full`, `second`, `nickname` (forenames only), `canonical`,
        `phonetic`, `first3`, `last3`, `initial`, `letters`, `consonants`; see docs/spec/normalisation.md.
    """
    from hashing.normalise._folding import canonical, nickname
    from hashing.normalise._phonetic import phonetic

    exact, second = _split(values, kind)
    # Said twice, a name is no second one.
    second = pc.if_else(pc.fill_null(pc.equal(second, exact), False), pa.scalar(None, pa.string()), second)
    coded = exact.dictionary_encode()
    distinct, codes = coded.dictionary, coded.indices
    first3, last3 = _ends(distinct)
    plain_names = nickname(distinct) if kind == "forename" else distinct
    derived = {
        "canonical": canonical(plain_names, kind),
        "phonetic": phonetic(distinct),
        "first3": first3,
        "last3": last3,
        "initial": pc.utf8_slice_codeunits(distinct, 0, 1),
        "letters": _letters(distinct),
        "consonants": _consonants(distinct),
    }
    if kind == "forename":
        derived = {"nickname": plain_names, **derived}
    full = exact if kind == "surname" else pc.replace_substring(values, " ", "")
    whole = {"exact": exact, "full": full, "second": second}
    return whole | {name: part.take(codes) for name, part in derived.items()}
