"""Load the compiled kernels, if there are any that belong to these sources."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashing.native.building import FOLDER, library_name, sources_digest

SWITCH = "TALLYSTICK_KERNELS"
"""Environment variable: `off` has NumPy do the work, for a comparison or in case of doubt."""


@cache
def kernels() -> ctypes.CDLL | None:
    """Return the library, or None where NumPy does the work.

    A library that was compiled from other sources than those beside it is not used.
    """
    if os.environ.get(SWITCH, "").lower() == "off":
        return None
    try:
        library = ctypes.CDLL(str(FOLDER / library_name()))
        library.tallystick_sources.restype = ctypes.c_char_p
        compiled = library.tallystick_sources()
    except (OSError, AttributeError):
        return None
    return library if compiled == sources_digest().encode() else None


def available() -> bool:
    """Tell whether there are kernels."""
    return kernels() is not None


_KINDS = {"p": ctypes.c_void_p, "n": ctypes.c_int64, "u": ctypes.c_uint64}


def declared(prefix: str, given: Mapping[str, str], *, answering: Collection[str] = ()) -> ctypes.CDLL:
    """Return the library, told what some of its kernels are given and whether they give back a number.

    Args:
        prefix: What their names begin with, after `tallystick_`.
        given: The rest of a name -> a letter for each thing given: p an address, n a number, u one without sign.
        answering: Those that give back a number.

    Raises:
        RuntimeError: There are no kernels; ask `available` first.
    """
    library = kernels()
    if library is None:
        raise RuntimeError("there are no kernels; ask `available` first")
    for name, letters in given.items():
        kernel = getattr(library, f"tallystick_{prefix}{name}")
        kernel.argtypes = [_KINDS[letter] for letter in letters]
        kernel.restype = ctypes.c_int64 if name in answering else None
    return library


def require(held: bool) -> None:
    """Refuse arrays before a kernel sees them.

    Raises:
        ValueError: `held` is false.
    """
    if not held:
        raise ValueError("the arrays do not fit together")


def in_words() -> str:
    """Tell in a word or two whether the kernels are in use, and why not."""
    if kernels() is not None:
        return "in use"
    if os.environ.get(SWITCH, "").lower() == "off":
        return f"switched off by {SWITCH}"
    return "none for this machine; NumPy does their work, several times as slowly"


def address(array: NDArray[Any]) -> int:
    """Return where an array's first element lies.

    Raises:
        ValueError: Its elements do not lie one after the other.
    """
    if not array.flags.c_contiguous:
        raise ValueError("a kernel reads arrays whose elements lie one after the other")
    return int(array.__array_interface__["data"][0])


def as_kind(array: NDArray[Any], kind: type[np.generic]) -> NDArray[Any]:
    """Return the array with elements of a kind that a kernel expects, one after the other; copied only if need be."""
    return np.ascontiguousarray(array, dtype=kind)
