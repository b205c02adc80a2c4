"""Hashes of identifiers made without a key: whoever can list the possible values can undo them.

There are about 44,000 plausible dates of birth and a few thousand common names, so all their hashes are made and
looked up. NHS numbers (some 900 million) and postcodes with house numbers are too many to try here: that nothing
was found says nothing about them, and every report says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance.detect.names import name_lists
from governance.detect.patterns import OLDEST

Prefixes = NDArray[np.uint64]
"""The first eight bytes of each digest, read big-endian. Two million of them meet a random one in 10^13."""

USUAL, ALL = 4, 12
"""Formats of a date that are tried: the four commonest (half a million hashes), or all."""

NOT_PROBED = (
    "Hashes of NHS numbers, UPRNs, postcodes and addresses were not tried: there are too many values."
)
_WIDTHS = {16: "hex", 32: "hex", 40: "hex", 64: "hex", 22: "base64", 24: "base64", 27: "base64", 28: "base64"}
_WIDTHS |= {43: "base64", 44: "base64"}
RAW_WIDTHS = (16, 20, 32)
"""Bytes of an MD5, SHA-1 or SHA-256 digest."""


def _dates(today: date, formats: int) -> Iterator[str]:
    first = date(today.year - OLDEST, 1, 1)
    for number in range((today - first).days + 1):
        day = first + timedelta(days=number)
        y, m, d = f"{day.year:04d}", f"{day.month:02d}", f"{day.day:02d}"
        yield from (f"{y}-{m}-{d}", f"{d}/{m}/{y}", f"{d}{m}{y}", f"{y}{m}{d}")
        if formats > USUAL:
            yield from (f"{d}-{m}-{y}", f"{d}.{m}.{y}", f"{y}/{m}/{d}", f"{d}/{m}/{y[2:]}", f"{m}/{d}/{y}")
            yield from (f"{y}-{m}-{d} 00:00:00", f"{y}-{m}-{d}T00:00:00", f"{day.day}/{day.month}/{y}")


def _names() -> Iterator[str]:
    for names in name_lists():
        for name in names:
            yield from (name, name.lower(), name.title())


@cache
def probe_table(today: date, formats: int) -> Prefixes:
    """Return the sorted prefixes of the hashes that are tried: dates of birth in `formats` formats, listed names."""
    values = [text.encode() for text in (*_dates(today, formats), *_names())]
    made = b"".join(
        hash_of(value, usedforsecurity=False).digest()[:8]
        for hash_of in (hashlib.md5, hashlib.sha1, hashlib.sha256)
        for value in values
    )
    return np.sort(np.frombuffer(made, dtype=">u8").astype(np.uint64))


def count_known(prefixes: Prefixes, today: date, formats: int = ALL) -> int:
    """Return how many of `prefixes` are the hash of a value that was tried."""
    if len(prefixes) == 0:
        return 0
    table = probe_table(today, formats)
    at = np.searchsorted(table, prefixes)
    return int((table[np.minimum(at, len(table) - 1)] == prefixes).sum())


def _lookup(alphabet: str, also: dict[str, str]) -> NDArray[np.uint8]:
    table = np.zeros(256, dtype=np.uint8)
    for value, letter in enumerate(alphabet):
        table[ord(letter)] = value
    for letter, same in also.items():
        table[ord(letter)] = table[ord(same)]
    return table


_HEX = _lookup("0123456789abcdef", {letter.upper(): letter for letter in "abcdef"})
_BASE64 = _lookup("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", {"-": "+", "_": "/"})


def _letters(values: pa.Array, width: int) -> NDArray[np.uint8]:
    text = "".join(pc.utf8_slice_codeunits(values, 0, width).to_pylist()).encode()
    return np.frombuffer(text, dtype=np.uint8).reshape(-1, width)


def text_prefixes(values: pa.Array) -> Prefixes:
    """Return the prefixes of the cells that have the width of a digest in hexadecimal or base64.

    Args:
        values: Text without nulls.
    """
    found: list[Prefixes] = []
    widths = pc.utf8_length(values)
    for width, coding in _WIDTHS.items():
        letters = "^[0-9A-Fa-f]+$" if coding == "hex" else "^[A-Za-z0-9+/_-]+={0,2}$"
        mask = pc.and_(pc.equal(widths, width), pc.match_substring_regex(values, letters))
        chosen = values.filter(mask)
        if len(chosen) == 0:
            continue
        total = np.zeros(len(chosen), dtype=np.uint64)
        if coding == "hex":
            for column in _HEX[_letters(chosen, 16)].T:
                total = (total << np.uint64(4)) | column
        else:
            numbers = _BASE64[_letters(chosen, 11)].astype(np.uint64).T
            for column in numbers[:10]:
                total = (total << np.uint64(6)) | column
            total = (total << np.uint64(4)) | (numbers[10] >> np.uint64(2))
        found.append(total)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)


def raw_prefixes(values: pa.Array) -> Prefixes:
    """Return the prefixes of the binary cells that are as long as a digest.

    Args:
        values: Binary without nulls.
    """
    chosen = values.filter(
        pc.is_in(pc.binary_length(values), value_set=pa.array(RAW_WIDTHS, type=pa.int32()))
    )
    data = b"".join(cell[:8] for cell in chosen.to_pylist())
    return np.frombuffer(data, dtype=">u8").astype(np.uint64)


def number_prefixes(values: NDArray[np.int64]) -> Prefixes:
    """Return both byte orders of 64-bit numbers: a truncated digest can be stored in either."""
    unsigned = values.view(np.uint64)
    return np.concatenate([unsigned, unsigned.byteswap()])
