"""What goes wrong with one value: pure functions from a text and a source of randomness to another text.

The kinds of keying error (insertion, deletion, substitution, transposition) are those of Damerau (1964), "A technique
for computer detection and correction of spelling errors", CACM 7(3); substitutions hit neighbouring keys of a UK
keyboard. Phonetic and optical confusions are lists of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_DIGIT_ROW = "1234567890"

_PHONETIC = (
    ("ph", "f"),
    ("f", "ph"),
    ("ck", "k"),
    ("ie", "ei"),
    ("ei", "ie"),
    ("ee", "ea"),
    ("ea", "ee"),
    ("ou", "oo"),
    ("y", "ie"),
    ("ll", "l"),
    ("ss", "s"),
    ("tt", "t"),
    ("mm", "m"),
    ("nn", "n"),
    ("c", "k"),
    ("k", "c"),
    ("s", "z"),
    ("z", "s"),
    ("kn", "n"),
    ("wh", "w"),
    ("au", "or"),
    ("ough", "uff"),
    ("th", "t"),
    ("v", "w"),
    ("w", "v"),
    ("a", "e"),
    ("e", "a"),
    ("i", "e"),
    ("o", "u"),
)
_OCR_LETTERS = (
    ("rn", "m"),
    ("m", "rn"),
    ("cl", "d"),
    ("l", "i"),
    ("i", "l"),
    ("h", "b"),
    ("e", "c"),
    ("u", "v"),
    ("vv", "w"),
)
_OCR_MIXED = (
    ("0", "O"),
    ("O", "0"),
    ("1", "I"),
    ("I", "1"),
    ("5", "S"),
    ("S", "5"),
    ("8", "B"),
    ("B", "8"),
    ("2", "Z"),
    ("Z", "2"),
)


def _near_keys() -> dict[str, str]:
    near: dict[str, str] = {}
    for y, row in enumerate(_ROWS):
        for x, key in enumerate(row):
            rows = [_ROWS[i] for i in (y - 1, y, y + 1) if 0 <= i < len(_ROWS)]
            near[key] = "".join(
                r[i] for r in rows for i in (x - 1, x, x + 1) if 0 <= i < len(r) and r[i] != key
            )
    for x, key in enumerate(_DIGIT_ROW):
        near[key] = "".join(_DIGIT_ROW[i] for i in (x - 1, x + 1) if 0 <= i < len(_DIGIT_ROW))
    return near


_NEAR = _near_keys()


def pick(options: Sequence[T], source: Random) -> T:
    """Return one of `options`, which must not be empty."""
    return options[int(source.random() * len(options))]


def _cased(letter: str, like: str) -> str:
    return letter.upper() if like.isupper() else letter


def keyboard(text: str, source: Random) -> str:
    """Return `text` with one keying error; digits stay digits. Texts of one character are returned unchanged."""
    if len(text) < 2:
        return text
    # The first letter is mistyped less often than the rest (Pollock and Zamora 1984); aim past it most of the time.
    place = (
        int(source.random() * len(text))
        if source.random() < 0.4
        else 1 + int(source.random() * (len(text) - 1))
    )
    key = text[place]
    near = _NEAR.get(key.lower(), "")
    what = source.random()
    if what < 0.28 and near:
        return text[:place] + _cased(pick(near, source), key) + text[place + 1 :]
    if what < 0.54 and len(text) > 2:
        return text[:place] + text[place + 1 :]
    if what < 0.72:
        return text[:place] + key + text[place:]
    if what < 0.80 and near:
        return text[:place] + _cased(pick(near, source), key) + text[place:]
    other = max(1, place)
    swapped = (
        text[: other - 1]
        + _cased(text[other].lower(), text[other - 1])
        + _cased(text[other - 1].lower(), text[other])
    )
    return swapped + text[other + 1 :]


def digits(text: str, source: Random) -> str:
    """Return `text` of the same length with one digit mistyped or two neighbours transposed."""
    places = [i for i, char in enumerate(text) if char in _DIGIT_ROW]
    if not places:
        return text
    place = places[int(source.random() * len(places))]
    if source.random() < 0.45 and place + 1 < len(text) and text[place + 1] in _DIGIT_ROW:
        return text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    return text[:place] + pick(_NEAR[text[place]], source) + text[place + 1 :]


def _replace_one(text: str, rules: Sequence[tuple[str, str]], source: Random) -> str:
    start = int(source.random() * len(rules))
    for offset in range(len(rules)):
        old, new = rules[(start + offset) % len(rules)]
        place = text.find(old, 1)
        if place > 0:
            return text[:place] + new + text[place + len(old) :]
    return text


def phonetic(text: str, source: Random) -> str:
    """Return `text` as somebody might write it who only heard it."""
    return _replace_one(text, _PHONETIC, source)


def ocr(text: str, source: Random) -> str:
    """Return `text` as a scanner might misread it."""
    return _replace_one(text, _OCR_LETTERS, source)


def ocr_code(text: str, source: Random) -> str:
    """Return a code, such as a postcode, as a scanner might misread it."""
    return _replace_one(text, _OCR_MIXED, source)


def postcode_keyed(text: str, source: Random) -> str:
    """Return a postcode with one character mistyped, mostly in the shape of a postcode."""
    if source.random() < 0.55:
        return digits(text, source)
    # A space too many or too few is no error in a postcode: mistype what is left, then part it again.
    typed = keyboard(text.replace(" ", ""), source)
    return f"{typed[:-3]} {typed[-3:]}" if " " in text else typed


def initial(text: str, source: Random) -> str:
    """Return the first letter only."""
    return text[:1] + ("." if source.random() < 0.3 else "")


def truncated(text: str, source: Random) -> str:
    """Return `text` cut off, as by a field that was too short."""
    return text[: max(3, int(len(text) * (0.5 + 0.3 * source.random())))].rstrip()


def half(text: str, source: Random) -> str:
    """Return one half of a double surname."""
    parts = text.replace("-", " ").split()
    return pick(parts, source) if len(parts) > 1 else text


def punctuation(text: str, source: Random) -> str:
    """Return `text` with an apostrophe, hyphen, space or Mac written another way."""
    if "'" in text:
        return text.replace("'", pick(("", " ", "`"), source))
    if "-" in text:
        return text.replace("-", pick((" ", ""), source))
    if text.startswith("Mac") and len(text) > 5:
        return "Mc" + text[3:]
    if text.startswith("Mc"):
        return pick(("Mac" + text[2:], "Mc " + text[2:]), source)
    return text.replace(" ", pick(("-", ""), source))


def gender_ending(text: str, _source: Random) -> str:
    """Return the masculine form of a gendered Slavic surname."""
    for feminine, masculine in (("ska", "ski"), ("cka", "cki"), ("ova", "ov"), ("eva", "ev")):
        if text.endswith(feminine):
            return text[: -len(feminine)] + masculine
    return text


def name_placeholder(_text: str, source: Random) -> str:
    """Return what clerks enter when they have no name."""
    return pick(("Unknown", "Not Known", "Unk", "Test", "X", "Male", "Female"), source)


def infant_placeholder(_text: str, source: Random) -> str:
    """Return what clerks enter for a child that has no name yet."""
    return pick(("Baby", "Baby", "Baby Boy", "Baby Girl", "Male Infant", "Female Infant", "Unborn"), source)


def outward_only(text: str, _source: Random) -> str:
    """Return the outward half of a postcode."""
    return text.split(" ", maxsplit=1)[0]


def postcode_placeholder(_text: str, source: Random) -> str:
    """Return a pseudo-postcode or one that stands for no home."""
    return pick(("ZZ99 3VZ", "ZZ99 3WZ", "ZZ99 3CZ", "AA1 1AA"), source)


def nhs_placeholder(_text: str, source: Random) -> str:
    """Return a dummy NHS number."""
    return pick(("9999999999", "0000000000", "1111111111", "9990000018"), source)


Corruption = Callable[[str, Random], str]
