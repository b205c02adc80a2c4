"""Forenames and surnames of the lists that Tallystick ships (`data/names.csv`), to tell a name from a token.

The list is the union of the name lists of the normaliser and of the synthetic population
(tests/governance/test_detect.py holds them together). A name that is on no list is not found by this test alone.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_LIST = Path(__file__).parent / "data" / "names.csv"
_WORD = re.compile(r"[A-Z][A-Z']+")


@cache
def name_lists() -> tuple[frozenset[str], frozenset[str]]:
    """Return the forenames and the surnames, in capitals; of a name of several words, each word too."""
    with _LIST.open(encoding="utf-8", newline="") as stream:
        rows = [(row["name"], row["kind"]) for row in csv.DictReader(stream)]
    return (
        _with_words(name for name, kind in rows if kind != "surname"),
        _with_words(name for name, kind in rows if kind != "forename"),
    )


def _with_words(names: Iterable[str]) -> frozenset[str]:
    return frozenset(part for name in names for part in (name, *name.split()))


_HEXADECIMAL = re.compile(r"(?<![A-Za-z0-9])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,}(?![A-Za-z0-9])")
"""A random number as programs write it: its letters are no words, though they can spell short names (ada, abe)."""


def holds_name(text: str) -> bool:
    """Return whether a forename and a surname stand side by side in `text`, in either order."""
    forenames, surnames = name_lists()
    words = _WORD.findall(_HEXADECIMAL.sub("|", text).upper())
    return any(
        (a in forenames and b in surnames) or (a in surnames and b in forenames) for a, b in pairwise(words)
    )


@cache
def _sets() -> tuple[pa.Array, pa.Array, pa.Array]:
    forenames, surnames = name_lists()
    return tuple(pa.array(sorted(names)) for names in (forenames, surnames, forenames | surnames))


def cells_with_names(values: pa.Array) -> NDArray[np.bool_]:
    """Return for each text cell whether it is one listed name, or holds a forename beside a surname.

    Args:
        values: Text without nulls.
    """
    forenames, surnames, either = _sets()
    upper = pc.utf8_trim_whitespace(pc.utf8_upper(values))
    found: NDArray[np.bool_] = pc.is_in(upper, value_set=either).to_numpy(zero_copy_only=False)
    words = pc.split_pattern_regex(upper, pattern="[^A-Z']+")
    flat, owner = words.flatten(), np.asarray(pc.list_parent_indices(words))
    if len(flat) < 2:
        return found
    first = pc.is_in(flat, value_set=forenames).to_numpy(zero_copy_only=False)
    last = pc.is_in(flat, value_set=surnames).to_numpy(zero_copy_only=False)
    beside = (owner[:-1] == owner[1:]) & ((first[:-1] & last[1:]) | (last[:-1] & first[1:]))
    found = found.copy()
    found[owner[:-1][beside]] = True
    return found
