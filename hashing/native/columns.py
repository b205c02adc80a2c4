"""Kernels of columns of short texts: count, keep and pick bytes.

Texts are given as `data`, all their bytes, uint8, and `offsets`, n + 1 numbers: text i is
`data[offsets[i]:offsets[i + 1]]`.
"""

from __future__ import annotations

from ctypes import CDLL
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hashing.native.library import address, declared, require
from hashing.native.library import available as available

Bytes = NDArray[np.uint8]
Ends = NDArray[np.int64]
Flags = NDArray[np.bool_]


@cache
def _kernels() -> CDLL:
    return declared(
        "text_",
        {
            "count": "ppnpp",
            "keep": "ppnppp",
            "at": "ppnnp",
            "translate": "pnpp",
            "same": "ppnp",
            "checked": "ppnp",
        },
    )


def fitting(data: Bytes, offsets: Ends) -> int:
    """Return how many texts there are.

    Raises:
        ValueError: The offsets leave the data, or go back.
    """
    require(data.dtype == np.uint8 and offsets.dtype == np.int64 and len(offsets) > 0)
    require(offsets[0] == 0 and offsets[-1] == len(data) and bool((offsets[1:] >= offsets[:-1]).all()))
    return len(offsets) - 1


def class_address(members: NDArray[np.generic]) -> int:
    """Return where a table of 256 bytes or flags lies.

    Raises:
        ValueError: It is none.
    """
    require(members.shape == (256,) and members.dtype.itemsize == 1)
    return address(members)


def count(data: Bytes, offsets: Ends, members: Flags) -> Ends:
    """Return how many bytes of each text are in a class, a table of 256 flags."""
    rows = fitting(data, offsets)
    found = np.empty(rows, dtype=np.int64)
    _kernels().tallystick_text_count(
        address(data), address(offsets), rows, class_address(members), address(found)
    )
    return found


def keep(data: Bytes, offsets: Ends, members: Flags) -> tuple[Bytes, Ends]:
    """Return the texts without the bytes that are outside a class."""
    rows = fitting(data, offsets)
    kept, ends = np.empty(len(data) + 1, dtype=np.uint8), np.zeros(rows + 1, dtype=np.int64)
    _kernels().tallystick_text_keep(
        *(address(data), address(offsets), rows, class_address(members), address(kept), address(ends[1:]))
    )
    return kept[: ends[-1]], ends


def at(data: Bytes, offsets: Ends, place: int) -> Bytes:
    """Return the byte at a place of each text (negative: from the end), 0 where the text is too short."""
    rows = fitting(data, offsets)
    found = np.empty(rows, dtype=np.uint8)
    _kernels().tallystick_text_at(address(data), address(offsets), rows, place, address(found))
    return found


def translate(data: Bytes, table: Bytes) -> Bytes:
    """Return every byte replaced through a table of 256."""
    found = np.empty(len(data), dtype=np.uint8)
    _kernels().tallystick_text_translate(address(data), len(data), class_address(table), address(found))
    return found


def same(data: Bytes, offsets: Ends) -> Flags:
    """Flag texts that are one byte, or the same one several times."""
    rows = fitting(data, offsets)
    found = np.empty(rows, dtype=np.bool_)
    _kernels().tallystick_text_same(address(data), address(offsets), rows, address(found))
    return found


def checked(data: Bytes, offsets: Ends) -> Flags:
    """Flag texts, of digits, that are ten with the check digit of an NHS number at the end."""
    rows = fitting(data, offsets)
    found = np.empty(rows, dtype=np.bool_)
    _kernels().tallystick_text_checked(address(data), address(offsets), rows, address(found))
    return found
