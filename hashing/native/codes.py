"""Kernels of codes: look up by row, number anew, count; hashes of rows, found when they repeat."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import CDLL, c_void_p
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashing.native.library import address, declared, require
from hashing.native.library import available as available

Codes = NDArray[np.int32]
Rows = NDArray[np.int32] | NDArray[np.int64]
_Kind = TypeVar("_Kind", bound=np.generic)

_FEW_BITS = 10
"""Bits of the smallest table."""

_COUNTED = 254
"""A bucket is known to have more rows than this many at most: a count stops at the next one."""


@cache
def _kernels() -> CDLL:
    given = {
        "look_up": "pnpnppn",
        "pick": "pnppn",
        "in_order": "pnpnpnpp",
        "weigh": "ppnpn",
        "mark": "pnppn",
        "holding": "pnup",
        "hash_tuples": "pnnpp",
        "suspects": "pnunpp",
        "factorize": "pnpnp",
        "ascending": "pnnpp",
        "grouped": "pnpnpnp",
    }
    return declared("", given, answering=given)


def _plain(array: NDArray[Any], kind: type[_Kind]) -> NDArray[_Kind]:
    """Return whole numbers as a kernel reads them: of one kind, aligned, one after the other; copied if need be."""
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError("a kernel reads rows of whole numbers")
    return np.require(array, dtype=kind, requirements=["C", "A"])


def _found(answer: int) -> int:
    """Return what a kernel says, unless it met a place that lies outside its array."""
    if answer < 0:
        raise IndexError("a place lies outside its array")
    return answer


def _at(array: NDArray[Any] | None) -> int | None:
    return None if array is None else address(array)


def look_up(source: Codes, *, rows: Rows | None = None, table: Codes | None = None) -> Codes:
    """Return `table[source[rows]]`; -1 is the last entry.

    Args:
        source: Codes.
        rows: Which of them; None for all.
        table: What each code stands for; None for the codes themselves.

    Raises:
        IndexError: A row or a code lies outside its array.
    """
    source = _plain(source, np.int32)
    if rows is not None:
        rows = _plain(rows, np.int32)
    if table is not None:
        table = _plain(table, np.int32)
    count = len(source) if rows is None else len(rows)
    out = np.empty(count, dtype=np.int32)
    _found(
        _kernels().tallystick_look_up(
            _at(table),
            0 if table is None else len(table),
            address(source),
            len(source),
            _at(rows),
            address(out),
            count,
        )
    )
    return out


def pick(words: NDArray[np.uint64], rows: Codes) -> NDArray[np.uint64]:
    """Return `words[rows]`.

    Raises:
        IndexError: A row lies outside.
    """
    words, rows = _plain(words, np.uint64), _plain(rows, np.int32)
    out = np.empty(len(rows), dtype=np.uint64)
    _found(_kernels().tallystick_pick(address(words), len(words), address(rows), address(out), len(rows)))
    return out


def in_order(codes: Codes, size: int, rows: Rows | None = None) -> tuple[Codes, Codes]:
    """Number `codes[rows]` anew in the order in which they first appear; -1 stays.

    Args:
        codes: Codes below `size`, -1 for a missing value.
        size: No code is as large.
        rows: Which of them; None for all.

    Returns:
        The new codes, and the old one of each new one.

    Raises:
        IndexError: A row lies outside, or a code is too large.
    """
    codes = _plain(codes, np.int32)
    if rows is not None:
        rows = _plain(rows, np.int32)
    count = len(codes) if rows is None else len(rows)
    made, old = np.empty(count, dtype=np.int32), np.empty(min(size, count) + 1, dtype=np.int32)
    number = np.full(size + 1, -1, dtype=np.int32)
    known = _found(
        _kernels().tallystick_in_order(
            address(codes),
            len(codes),
            _at(rows),
            count,
            address(number),
            size,
            address(made),
            address(old),
        )
    )
    return made, old[:known].copy()


def weigh(codes: Codes, size: NDArray[np.int64], values: int) -> NDArray[np.int64]:
    """Return the sum of `size` over the rows of each of `values` codes; -1 is passed over.

    Raises:
        IndexError: A code is too large.
    """
    codes, size = _plain(codes, np.int32), _plain(size, np.int64)
    require(len(codes) == len(size))
    weight = np.zeros(values, dtype=np.int64)
    _found(_kernels().tallystick_weigh(address(codes), address(size), len(codes), address(weight), values))
    return weight


def mark(masks: NDArray[np.uint64], source: Codes, flags: NDArray[np.uint64]) -> None:
    """Add to the flags of each row, in place, those of its code; -1 has the last ones.

    Raises:
        IndexError: A code has no mask.
    """
    masks, source = _plain(masks, np.uint64), _plain(source, np.int32)
    require(len(source) == len(flags) and flags.dtype == np.uint64 and flags.flags.aligned)
    _found(
        _kernels().tallystick_mark(address(masks), len(masks), address(source), address(flags), len(source))
    )


def holding(words: NDArray[np.uint64], wanted: np.uint64) -> Codes:
    """Return where the words stand that have all bits of `wanted`."""
    words = _plain(words, np.uint64)
    places = np.empty(len(words), dtype=np.int32)
    found = _kernels().tallystick_holding(address(words), len(words), int(wanted), address(places))
    return places[:found]


def hash_tuples(columns: Sequence[Codes]) -> tuple[Codes, NDArray[np.uint64]]:
    """Return the rows that hold all columns, and a 64-bit hash of what each of them holds."""
    plain = [_plain(column, np.int32) for column in columns]
    count = len(plain[0])
    require(all(len(column) == count for column in plain))
    rows, mixed = np.empty(count, dtype=np.int32), np.empty(count, dtype=np.uint64)
    places = (c_void_p * len(plain))(*map(address, plain))
    found = _kernels().tallystick_hash_tuples(places, len(plain), count, address(rows), address(mixed))
    return rows[:found], mixed[:found]


def suspects(hashes: NDArray[np.uint64], limit: int) -> Codes:
    """Return where hashes stand of which more than `limit` may be equal; whichever are left out are not.

    Args:
        hashes: Their last bits are as good as random.
        limit: At least 0.
    """
    hashes = _plain(hashes, np.uint64)
    bits = max(len(hashes).bit_length() + 1, _FEW_BITS)
    seen, places = np.zeros(1 << bits, dtype=np.uint8), np.empty(len(hashes), dtype=np.int32)
    found = _kernels().tallystick_suspects(
        address(hashes),
        len(hashes),
        (1 << bits) - 1,
        min(limit, _COUNTED),
        address(seen),
        address(places),
    )
    return places[:found].copy()


def factorize(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return dense codes of `keys` in order of first appearance, and how many distinct ones there are."""
    keys = _plain(keys, np.int64)
    bits = max((2 * len(keys)).bit_length(), _FEW_BITS)
    slots, codes = np.full(1 << bits, -1, dtype=np.int32), np.empty(len(keys), dtype=np.int64)
    known = _kernels().tallystick_factorize(address(keys), len(keys), address(slots), bits, address(codes))
    return codes, int(known)


def ascending(keys: NDArray[np.uint64]) -> Codes | None:
    """Return the order in which random keys ascend, equal ones as they stand; None when they are not random."""
    keys = _plain(keys, np.uint64)
    bits = max(len(keys).bit_length() - 2, 1)
    starts, order = np.zeros((1 << bits) + 1, dtype=np.int32), np.empty(len(keys), dtype=np.int32)
    answer = _kernels().tallystick_ascending(address(keys), len(keys), bits, address(starts), address(order))
    return None if answer < 0 else order


def grouped(number: Codes, numbers: int, rows: Rows | None = None) -> Codes:
    """Return rows by the number that each bears, the rows of one number as they stand.

    Args:
        number: Number of each row, from 0.
        numbers: None is as large.
        rows: Which rows, in what order; None for all.

    Raises:
        IndexError: A row or a number lies outside.
    """
    number = _plain(number, np.int32)
    if rows is not None:
        rows = _plain(rows, np.int32)
    count = len(number) if rows is None else len(rows)
    starts, out = np.zeros(numbers + 1, dtype=np.int32), np.empty(count, dtype=np.int32)
    _found(
        _kernels().tallystick_grouped(
            address(number), len(number), _at(rows), count, address(starts), numbers, address(out)
        )
    )
    return out
