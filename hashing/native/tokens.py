"""Kernels of sealing: fetch digests, narrow blocks to tokens, mark what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ctypes import CDLL, Structure, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hashing.native.library import address, declared, require
from hashing.native.library import available as available

Blocks = NDArray[np.uint64]


class _Field(Structure):
    _fields_ = (
        ("table", c_void_p),
        ("places", c_void_p),
        ("chosen", c_void_p),
        ("rows", c_int64),
        ("width", c_int64),
        ("count", c_int64),
    )


@cache
def _kernels() -> CDLL:
    return declared(
        "",
        {
            "fetch": "pnnpppn",
            "fetch_columns": "pnppnnn",
            "keep_columns": "pppnnn",
            "present": "ppn",
            "outside": "puppn",
        },
    )


def _require_places(places: NDArray[np.int32], table: NDArray[np.complex128]) -> None:
    """Refuse places outside a table: a kernel does not look where it reads."""
    require(places.dtype == np.int32 and table.dtype == np.complex128)
    if int(places.min(initial=-1)) < -1 or int(places.max(initial=-1)) >= len(table) - 1:
        raise IndexError("a code lies outside its table")


def fetch(table: NDArray[np.complex128], places: NDArray[np.int32], add: Blocks, out: Blocks) -> None:
    """Write rows of one derived value's digests, `add` added to them by exclusive or, into `out`.

    Args:
        table: A column of a field's table, shape (distinct values + 1,); the last stands for a missing value.
        places: Shape (n,): rows of the table, -1 for the last one.
        add: Shape (n, 2).
        out: Shape (n, 2), other memory than `add`.

    Raises:
        IndexError: A place lies outside the table.
        ValueError: The arrays do not fit together.
    """
    _require_places(places, table)
    require(add.shape == out.shape == (len(places), 2) and add.dtype == out.dtype == np.uint64)
    width, rest = divmod(table.strides[0], table.itemsize)
    require(rest == 0 and width > 0 and address(add) != address(out))
    begin = int(table.__array_interface__["data"][0])
    _kernels().tallystick_fetch(
        begin, width, len(table), address(places), address(add), address(out), len(out)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldDigests:
    """Which digests of a field a batch needs.

    Attributes:
        table: Shape (distinct values + 1, derived values); the last row stands for a missing value.
        places: Row of the table of each row of the batch, -1 for the last one, shape (n,).
        chosen: Which of the derived values.
    """

    table: NDArray[np.complex128]
    places: NDArray[np.int32]
    chosen: Sequence[int]


class ColumnKernels:
    """Makes the blocks of all columns of some rows, and keeps of what they encrypt to what tokens show.

    Args:
        fields: Digests, of each field those of some columns.
        states: What the blocks of each row are added to, shape (n, 2).
        outs: The tokens of each column in the order of `fields`, shape (n,), of 16 or 32 bits.

    Raises:
        IndexError: A place lies outside its table.
        ValueError: The arrays do not fit together.
    """

    def __init__(
        self, fields: Sequence[FieldDigests], states: Blocks, outs: Sequence[NDArray[np.generic]]
    ) -> None:
        self._kernels, self._rows = _kernels(), len(states)
        chosen = [np.array(field.chosen, dtype=np.int32) for field in fields]
        require(sum(map(len, chosen)) == len(outs))
        require(states.shape == (self._rows, 2) and states.dtype == np.uint64)
        for field, which in zip(fields, chosen, strict=True):
            _require_places(field.places, field.table[:, 0])
            require(len(field.places) == self._rows and field.table.ndim == 2)
            require(bool(((which >= 0) & (which < field.table.shape[1])).all()))
        sizes = np.array([out.dtype.itemsize for out in outs], dtype=np.int32)
        require(all(len(out) == self._rows and out.dtype.itemsize in {2, 4} for out in outs))
        self._held = (fields, chosen, states, outs, sizes)  # as long as a kernel may read them
        self._fields = (_Field * len(fields))(
            *(
                _Field(
                    address(field.table),
                    address(field.places),
                    address(which),
                    len(field.table),
                    field.table.shape[1],
                    len(which),
                )
                for field, which in zip(fields, chosen, strict=True)
            )
        )
        self._states, self._sizes = address(states), address(sizes)
        self._outs = (c_void_p * len(outs))(*map(address, outs))

    def fetch(self, start: int, blocks: Blocks) -> None:
        """Write the blocks of the rows from `start` on into `blocks`, shape (columns, rows, 2)."""
        rows = blocks.shape[1]
        require(0 <= start <= start + rows <= self._rows and len(blocks) == len(self._outs))
        self._kernels.tallystick_fetch_columns(
            self._fields, len(self._fields), self._states, address(blocks), start, rows, self._rows
        )

    def keep(self, start: int, made: Blocks) -> None:
        """Write the tokens of the rows from `start` on, from what their blocks encrypt to, (columns, rows, 2)."""
        rows = made.shape[1]
        require(0 <= start <= start + rows <= self._rows and len(made) == len(self._outs))
        self._kernels.tallystick_keep_columns(
            address(made), self._outs, self._sizes, len(self._outs), start, rows
        )


def present(held: NDArray[np.uint64], outs: Mapping[np.uint64, NDArray[np.uint8]]) -> None:
    """Write for each bit of `outs` a bit a row that says whether it is set there, lowest first."""
    wanted = (c_void_p * 64)()
    for bit, out in outs.items():
        require(len(out) * 8 >= len(held))
        wanted[int(bit).bit_length() - 1] = address(out)
    _kernels().tallystick_present(address(held), wanted, len(held))


def outside(
    member: NDArray[np.uint64], bit: np.uint64, noise: NDArray[np.uint16], out: NDArray[np.uint16]
) -> None:
    """Replace the tokens of the rows whose `member` lacks `bit` by those of `noise`."""
    require(len(member) == len(noise) == len(out))
    _kernels().tallystick_outside(address(member), int(bit), address(noise), address(out), len(out))
