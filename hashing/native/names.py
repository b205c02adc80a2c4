"""Kernels of names: rules of spelling and sound, distinct letters, consonants. Names are A to Z."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ctypes import CDLL
from dataclasses import dataclass
from functools import cache, reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from hashing.native.columns import Bytes, Ends, Flags, class_address, fitting
from hashing.native.library import address, declared
from hashing.native.library import available as available
from hashing.native.patterns import ANYTHING, Path, class_mask, paths_of

AROUND = 8
"""Places before and after the first letter of a match that a path can tell of (names.c)."""

MORE = 8
"""Letters by which a name may become longer; one that becomes longer still is left to the caller."""

_DOUBLED = re.compile(r"\(\[([A-Z-]+)\]\)\\1\+")
_PATH = np.dtype(
    [
        ("masks", "<u4", 2 * AROUND),
        ("from", "<i4"),
        ("to", "<i4"),
        ("taken", "<i4"),
        ("size", "<i4"),
        ("written", "u1", 8),
    ]
)
_RULE = np.dtype([("starts", "<u4"), ("doubled", "<u4"), ("first", "<i4"), ("count", "<i4")])


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Rules in the form in which the kernel reads them."""

    rules: NDArray[np.void]
    paths: NDArray[np.void]

    @classmethod
    def of(cls, written: Iterable[tuple[str, str]]) -> Rules:
        r"""Take rules apart: expressions over A to Z and what is written instead.

        Besides what `patterns` knows, `([class])\1+` with `\1` instead is known: several of one letter become one.

        Raises:
            ValueError: An expression has something that is not known.
        """
        rules: list[tuple[int, int, int, int]] = []
        paths: list[tuple[object, ...]] = []
        for pattern, instead in written:
            doubled = _DOUBLED.fullmatch(pattern)
            if doubled and instead == r"\1":
                rules.append((0, class_mask(doubled[1]), len(paths), 0))
                continue
            found = paths_of(pattern)
            starts = reduce(or_, (path.masks[0] for path in found))
            rules.append((starts, 0, len(paths), len(found)))
            paths += [_path(path, instead) for path in found]
        return cls(rules=np.array(rules, dtype=_RULE), paths=np.array(paths, dtype=_PATH))


def _path(path: Path, instead: str) -> tuple[object, ...]:
    if path.group is not None:
        instead = instead.replace(r"\1", chr(path.masks[path.group].bit_length() - 1 + ord("A")))
    first, last = min(path.masks), max(path.masks)
    if first < -AROUND or last >= AROUND or len(instead) > 8 or not re.fullmatch("[A-Z]*", instead):
        raise ValueError("an expression looks too far, or writes something else than a few letters")
    masks = [path.masks.get(place, ANYTHING) for place in range(-AROUND, AROUND)]
    letters = [ord(letter) - ord("A") for letter in instead.ljust(8, "A")]
    return masks, first, last + 1, path.taken, len(instead), letters


@cache
def _kernels() -> CDLL:
    return declared("names_", {"rewritten": "ppnpnpnppp", "letters": "ppnpp", "consonants": "ppnppp"})


def _names(data: Bytes, offsets: Ends) -> int:
    rows = fitting(data, offsets)
    if len(data) and not (data.min() >= ord("A") and data.max() <= ord("Z")):
        raise ValueError("a name has something else than A to Z")
    return rows


def rewritten(data: Bytes, offsets: Ends, rules: Rules) -> tuple[Bytes, Ends, Flags]:
    """Apply rules in order to every name.

    Args:
        data: The bytes of n names.
        offsets: n + 1: name i is `data[offsets[i]:offsets[i + 1]]`.
        rules: What to apply.

    Returns:
        Bytes and offsets of the names then; and n flags, set where nothing was written because the name is too long.

    Raises:
        ValueError: A name has something else than A to Z.
    """
    rows = _names(data, offsets)
    out = np.empty(len(data) + MORE * rows, dtype=np.uint8)
    ends, by_rules = np.zeros(rows + 1, dtype=np.int64), np.empty(rows, dtype=np.bool_)
    _kernels().tallystick_names_rewritten(
        *(address(data), address(offsets), rows, address(rules.rules), len(rules.rules)),
        *(address(rules.paths), MORE, address(out), address(ends[1:]), address(by_rules)),
    )
    return out[: ends[-1]], ends, by_rules


def letters(data: Bytes, offsets: Ends) -> tuple[Bytes, Ends]:
    """Return the distinct letters of each name in alphabetical order."""
    rows = _names(data, offsets)
    out, ends = np.empty(len(data), dtype=np.uint8), np.zeros(rows + 1, dtype=np.int64)
    _kernels().tallystick_names_letters(
        *(address(data), address(offsets), rows, address(out), address(ends[1:]))
    )
    return out[: ends[-1]], ends


def consonants(data: Bytes, offsets: Ends, members: Flags) -> tuple[Bytes, Ends]:
    """Return the first letter of each name, and those after it that are in a class, a table of 256 flags."""
    rows = _names(data, offsets)
    out, ends = np.empty(len(data), dtype=np.uint8), np.zeros(rows + 1, dtype=np.int64)
    _kernels().tallystick_names_consonants(
        *(address(data), address(offsets), rows, class_address(members), address(out), address(ends[1:]))
    )
    return out[: ends[-1]], ends
