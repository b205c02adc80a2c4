"""What a header says its column holds, and which line of a file is the header.

The headers that are known stand in hashing/data/headers.csv, the likeliest of a role first.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from importlib.resources import files

from hashing.reading.table import fold

LINES_LOOKED_AT = 20
"""Lines among which the header is looked for, when the first one is none: exports put titles above it."""

_FEWEST_KNOWN = 2
"""Known headers that a line must hold to be taken for the header though others stand above it."""

_PREFIXES = (
    *("serviceuser", "client", "person", "patient", "pupil", "child", "student", "learner", "customer"),
    *("tenant", "nominal", "subject", "victim", "individual", "su", "yp"),
)
"""Words that say whose column it is, and nothing of what it holds."""
_ADDRESS_LINE = re.compile(r"(?:home|current)?(?:address|addr|add)(?:line)?([1-9])")
_SHORT = {"dt": "date", "num": "number", "nr": "number", "no": "number", "fam": "family", "addr": "address"}
_IN_BRACKETS = re.compile(r"[(\[].*?[)\]]")


@cache
def known_headers() -> dict[str, tuple[str, int]]:
    """Return folded header -> its role and its place in the list, the likeliest header of a role first."""
    text = files("hashing").joinpath("data/headers.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {fold(row["header"]): (row["role"], place) for place, row in enumerate(rows)}


def _written_out(header: str) -> str:
    """Return a header without what stands in brackets (formats, hints) and with short words written out."""
    words = re.findall(r"[^\W_]+", _IN_BRACKETS.sub(" ", header.lower()))
    return "".join(_SHORT.get(word, word) for word in words)


def _role(name: str) -> tuple[str, int] | None:
    known = known_headers()
    if (line := _ADDRESS_LINE.fullmatch(name)) is not None:
        return "address_line", int(line[1])
    if name in known:
        return known[name]
    for prefix in _PREFIXES:
        rest = name.removeprefix(prefix)
        if rest != name and (found := _role(rest) if rest else None) is not None:
            return found[0], found[1] + len(known)
    return None


def role_of(header: str) -> tuple[str, int] | None:
    """Return the role of a header and how likely it is (least first), or None where it is not known."""
    found = _role(fold(header))
    return _role(_written_out(header)) if found is None else found


def header_line(lines: Iterable[Sequence[str]], expected: Collection[str] = ()) -> int | None:
    """Return which of the first lines of a table is its header, from 0; None where none looks like one.

    The first line is, when it has two known headers; otherwise the first one that is mostly made of known headers. A
    line of a person's data is not: it holds figures.

    Args:
        lines: Cells of the first lines; no more than `LINES_LOOKED_AT` are looked at.
        expected: Headers that a mapping names.
    """
    wanted = {fold(header) for header in expected}

    def known(cell: str) -> bool:
        return fold(cell) in wanted or role_of(cell) is not None

    for place, cells in zip(range(LINES_LOOKED_AT), lines, strict=False):
        filled = [cell for cell in cells if cell.strip()]
        others = [cell for cell in filled if not known(cell)]
        count = len(filled) - len(others)
        if place == 0 and count >= _FEWEST_KNOWN:
            return 0
        figures = any(character.isdigit() for cell in others for character in cell)
        if place and count >= max(_FEWEST_KNOWN, len(others)) and not figures:
            return place
    return None


def header_words(above: int) -> str:
    """Return what is said of a header that has lines above it; nothing where it is the first line."""
    return f", header in row {above + 1}" if above else ""
