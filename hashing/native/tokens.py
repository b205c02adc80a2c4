"""Kernels of sealing: fetch digests, narrow blocks to tokens, mark what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import CDLL, c_int64, c_uint64, c_void_p
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hashing.native.library import address, kernels


@cache
def _kernels() -> CDLL:
    library = kernels()
    if library is None:
        raise RuntimeError("there are no kernels; ask `available` first")
    library.tallystick_fetch.argtypes = [c_void_p, c_int64, c_void_p, c_void_p, c_void_p, c_int64]
    library.tallystick_fetch.restype = None
    library.tallystick_narrow.argtypes = [c_void_p, c_void_p, c_int64, c_int64]
    library.tallystick_narrow.restype = None
    library.tallystick_present.argtypes = [c_void_p, c_void_p, c_int64]
    library.tallystick_present.restype = None
    library.tallystick_outside.argtypes = [c_void_p, c_uint64, c_void_p, c_void_p, c_int64]
    library.tallystick_outside.restype = None
    return library


def available() -> bool:
    """Tell whether there are kernels."""
    return kernels() is not None


def _require(held: bool) -> None:
    if not held:
        raise ValueError("the arrays do not fit together")


def fetch(
    table: NDArray[np.complex128],
    places: NDArray[np.int32],
    out: NDArray[np.uint64],
    add: NDArray[np.uint64] | None,
) -> None:
    """Write rows of a table of blocks into `out`, `add` added to them by exclusive or.

    Args:
        table: Blocks, each as one number of 16 bytes, at least one; the last stands for a missing value.
        places: Shape (n,): rows of the table, -1 for the last one; the caller has seen that none lies outside.
        out: Shape (n, 2).
        add: Shape (n, 2), or None.
    """
    count = len(places)
    _require(out.shape == (count, 2) and (add is None or add.shape == (count, 2)) and len(table) > 0)
    _require(table.dtype == np.complex128 and places.dtype == np.int32)
    added = None if add is None else address(add)
    _kernels().tallystick_fetch(address(table), len(table), address(places), added, address(out), count)


def narrow(blocks: NDArray[np.uint64], out: NDArray[np.generic]) -> None:
    """Write the first bytes of each block, shape (n, 2), into `out`, shape (n,) of 16 or 32 bits."""
    _require(len(blocks) == len(out) and out.dtype.itemsize in {2, 4})
    _kernels().tallystick_narrow(address(blocks), address(out), out.dtype.itemsize, len(out))


def present(held: NDArray[np.uint64], outs: Mapping[np.uint64, NDArray[np.uint8]]) -> None:
    """Write for each bit of `outs` a bit a row that says whether it is set there, lowest first."""
    wanted = (c_void_p * 64)()
    for bit, out in outs.items():
        _require(len(out) * 8 >= len(held))
        wanted[int(bit).bit_length() - 1] = address(out)
    _kernels().tallystick_present(address(held), wanted, len(held))


def outside(
    member: NDArray[np.uint64], bit: np.uint64, noise: NDArray[np.uint16], out: NDArray[np.uint16]
) -> None:
    """Replace the tokens of the rows whose `member` lacks `bit` by those of `noise`."""
    _require(len(member) == len(noise) == len(out))
    _kernels().tallystick_outside(address(member), int(bit), address(noise), address(out), len(out))
