"""Kernels of addresses: their words in short forms, and house, number and street."""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import CDLL
from enum import IntFlag
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hashing.native.columns import fitting
from hashing.native.library import address, declared, require
from hashing.native.library import available as available

Bytes = NDArray[np.uint8]
Ends = NDArray[np.int64]

LONGEST_LISTED = 16
"""Bytes of the longest word that a list may have."""

MORE = 8
"""Bytes by which an address may become longer than it was; one that needs more goes by the general rules."""

_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F)
"""Odd numbers that mix a word's bytes (2^64 over the golden ratio; the second prime of xxHash64)."""


class Role(IntFlag):
    """What a word of an address is."""

    FLAT = 1
    FLOOR = 2
    STREET = 4
    BUILDING = 8
    ORDINAL = 16
    AFTER_ORDINAL = 32
    COUNTRY = 64
    FIRST_OF_COUNTRY = 128
    SECOND_OF_COUNTRY = 256
    CARE = 512
    THE = 1024


PAIR = 1 << 16
"""Times this is the number of a country of two words, added to the roles of both."""

BY_RULES = 1
DOUBTFUL = 2

_ENTRY = np.dtype([("word", "S16"), ("shorter", "S16"), ("size", "<u4"), ("roles", "<u4")])

WordList = NDArray[np.void]


def word_list(words: Mapping[str, tuple[str, int]]) -> WordList:
    """Return a table in which a kernel finds words.

    Args:
        words: ASCII word -> its short form and roles. Neither is empty, has a space, or is over `LONGEST_LISTED`.

    Raises:
        ValueError: A word is none of this.
    """
    size = 1 << max((4 * len(words)).bit_length(), 4)
    table = np.zeros(size, dtype=_ENTRY)
    for word, (shorter, roles) in words.items():
        if any(
            not text or " " in text or len(text.encode("ascii")) > LONGEST_LISTED for text in (word, shorter)
        ):
            raise ValueError("a listed word is empty, too long, or two words")
        slot = _slot(word) % size
        while table[slot]["size"]:
            slot = (slot + 1) % size
        table[slot] = (word.encode(), shorter.encode(), len(shorter), roles)
    return table


def _slot(word: str) -> int:
    padded = word.encode().ljust(LONGEST_LISTED, b"\0")
    low, high = (int.from_bytes(half, "little") for half in (padded[:8], padded[8:]))
    everything = (1 << 64) - 1
    return ((low ^ (high * _MULTIPLIERS[1] & everything)) * _MULTIPLIERS[0] & everything) >> 32


@cache
def _kernels() -> CDLL:
    return declared("address_", {"spelled": "ppnpnnppp", "parts": "ppnpnppppp"})


def _check(data: Bytes, offsets: Ends, words: WordList) -> int:
    """Return how many texts there are, when all is as the kernels expect it."""
    require(words.dtype == _ENTRY)
    return fitting(data, offsets)


def spelled(data: Bytes, offsets: Ends, words: WordList) -> tuple[Bytes, Ends, Bytes]:
    """Spell addresses as `normalise_address` does.

    Args:
        data: The bytes of n texts of ASCII capitals.
        offsets: n + 1: text i is `data[offsets[i]:offsets[i + 1]]`.
        words: Written words by `word_list`.

    Returns:
        Bytes and offsets of n addresses, and n flags: `BY_RULES` where nothing was written because the general rules
        are needed, `DOUBTFUL` where the address may stand for "no address".
    """
    count = _check(data, offsets, words)
    out = np.empty(len(data) + MORE * count, dtype=np.uint8)
    made = np.zeros(count + 1, dtype=np.int64)
    flags = np.empty(count, dtype=np.uint8)
    _kernels().tallystick_address_spelled(
        *(address(data), address(offsets), count, address(words), len(words), MORE),
        *(address(out), address(made[1:]), address(flags)),
    )
    return out[: made[-1]], made, flags


def parts(data: Bytes, offsets: Ends, words: WordList) -> tuple[list[tuple[Bytes, Ends]], NDArray[np.bool_]]:
    """Take house, number and street out of normalised addresses.

    Args:
        data: The bytes of n addresses.
        offsets: n + 1, as for `spelled`.
        words: Short forms by `word_list`.

    Returns:
        Bytes and offsets of each of the three, empty where an address has no such part; and n flags, set where the
        general rules are needed, for which nothing was written.
    """
    count = _check(data, offsets, words)
    out = [np.empty(len(data), dtype=np.uint8) for _ in range(3)]
    ends = np.zeros((3, count), dtype=np.int64)
    by_rules = np.empty(count, dtype=np.uint8)
    _kernels().tallystick_address_parts(
        *(address(data), address(offsets), count, address(words), len(words)),
        *(*map(address, out), address(ends), address(by_rules)),
    )
    made = [np.concatenate(([0], row)) for row in ends]
    return [(part[: end[-1]], end) for part, end in zip(out, made, strict=True)], by_rules.astype(bool)
