"""Kernels of reading: hash texts and rows, number distinct keys."""

from __future__ import annotations

from ctypes import CDLL
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hashing.native.library import address, declared, require
from hashing.native.library import available as available

_NOTHING = np.zeros(1, dtype=np.uint8)
"""Stands for a buffer without bytes, which may lie nowhere."""


@cache
def _kernels() -> CDLL:
    given = {
        "hash_texts": "pnppnnppp",
        "mix": "pppnuun",
        "places": "ppnpn",
        "index_add": "puppnppnpp",
        "index_place": "pupn",
    }
    return declared("", given, answering=["hash_texts", "index_add"])


def hash_texts(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int32],
    valid: NDArray[np.uint8] | None,
    bit: int,
    lanes: NDArray[np.uint64],
    low: NDArray[np.uint64],
    high: NDArray[np.uint64],
) -> None:
    """Write the hashes of n texts in two lanes into `low` and `high`, shape (n,).

    Args:
        data: What the texts stand in.
        offsets: Shape (n + 1,): where each begins and the last one ends.
        valid: A bit a text, lowest first; None where none is null.
        bit: Which bit of `valid` is that of the first text.
        lanes: Shape (2, 3): start and multipliers of each lane.
        low: Receives the hashes of the first lane.
        high: Receives those of the second.

    Raises:
        ValueError: Offsets point outside of the data.
    """
    count = len(offsets) - 1
    require(len(low) == len(high) == count >= 0 and lanes.shape == (2, 3) and offsets.dtype == np.int32)
    require(low.dtype == high.dtype == lanes.dtype == np.uint64 and data.dtype == np.uint8)
    require(valid is None or (valid.dtype == np.uint8 and bit >= 0 and bit + count <= 8 * len(valid)))
    size = len(data)
    done = _kernels().tallystick_hash_texts(
        address(data if size else _NOTHING),
        size,
        address(offsets),
        None if valid is None else address(valid),
        bit,
        count,
        address(lanes),
        address(low),
        address(high),
    )
    require(done == count)


def mix(
    state: NDArray[np.uint64],
    words: NDArray[np.uint64],
    places: NDArray[np.int32] | None,
    first: np.uint64,
    second: np.uint64,
) -> None:
    """Take a word into each of n states, in place.

    Args:
        state: Shape (n,).
        words: The word of each state; or, with `places`, the words that they index, the last one for a missing value.
        places: Shape (n,), -1 for the last word; None when `words` has shape (n,).
        first: The first multiplier.
        second: The second.

    Raises:
        ValueError: A place lies outside of the words.
    """
    require(state.dtype == words.dtype == np.uint64)
    if places is None:
        require(len(words) == len(state))
    else:
        require(places.dtype == np.int32 and len(places) == len(state) and len(words) > 0)
        require(int(places.max(initial=-1)) < len(words))
    at = None if places is None else address(places)
    missing = len(words) - 1
    _kernels().tallystick_mix(
        address(state), address(words), at, missing, int(first), int(second), len(state)
    )


def places(indices: NDArray[np.int32], valid: NDArray[np.uint8], bit: int) -> NDArray[np.int32]:
    """Return n indices, -1 where their bit in `valid`, the first of which is bit `bit`, is not set."""
    require(indices.dtype == np.int32 and valid.dtype == np.uint8)
    require(bit >= 0 and bit + len(indices) <= 8 * len(valid))
    found = np.empty(len(indices), dtype=np.int32)
    _kernels().tallystick_places(address(indices), address(valid), bit, address(found), len(indices))
    return found


def index_add(
    slots: NDArray[np.int32],
    begins: NDArray[np.uint32],
    sames: NDArray[np.uint64],
    held: int,
    begin: NDArray[np.uint64],
    same: NDArray[np.uint64],
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number n keys; return the number of each, and for each new one the row where it first stands, by its number.

    Args:
        slots: Numbers, -1 where a slot is free; a power of two of them, of which n + `held` leave at least one free.
        begins: The lower halves of the first hashes of the keys, by number; new ones are added.
        sames: Their second hashes, likewise.
        held: How many keys there are.
        begin: First hashes of the keys to be numbered.
        same: Their second hashes.
    """
    count = len(begin)
    room = held + count
    require(len(slots).bit_count() == 1 and room < len(slots) and room <= min(len(begins), len(sames)))
    require(slots.dtype == np.int32 and begins.dtype == np.uint32 and len(same) == count and held >= 0)
    require(sames.dtype == begin.dtype == same.dtype == np.uint64)
    numbers = np.empty(count, dtype=np.int32)
    fresh = np.empty(count, dtype=np.int64)
    total = _kernels().tallystick_index_add(
        address(slots),
        len(slots) - 1,
        address(begins),
        address(sames),
        held,
        address(begin),
        address(same),
        count,
        address(numbers),
        address(fresh),
    )
    return numbers, fresh[: total - held].copy()


def index_place(slots: NDArray[np.int32], begins: NDArray[np.uint32], held: int) -> None:
    """Give the first `held` keys slots of a table that is empty; otherwise as `index_add`."""
    require(len(slots).bit_count() == 1 and 0 <= held < len(slots) and held <= len(begins))
    require(slots.dtype == np.int32 and begins.dtype == np.uint32)
    _kernels().tallystick_index_place(address(slots), len(slots) - 1, address(begins), held)
