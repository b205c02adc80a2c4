"""All columns of some rows sealed at once, from digests of a field's derived values that lie side by side.

For compiled kernels only: NumPy fetches from tables of one derived value each, column by column. Side by side, all
digests of a name lie in one or two lines of memory, and what the tokens of a row begin with is read once for all its
columns (docs/adr/0025).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.digests import Digests
from hashing.native.tokens import ColumnKernels, FieldDigests
from hashing.places import Places

_SLICE_ROWS = 4100
"""Rows of which all columns are made at a time. Of 512 to 8,196 the quickest; with 4,096 tokens take 3 to 7% longer, as
with a power of two the same row of all columns falls into one set of the caches (development figures)."""


def _fields(names: Sequence[str], digests: Digests, places: Places) -> tuple[list[FieldDigests], list[str]]:
    """Return what a batch needs of each field, and the names in the order in which their columns come."""
    shared: dict[int, tuple[NDArray[np.complex128], list[str], list[int]]] = {}
    for name in names:
        value = digests.values[name]
        table = value.table[:, None] if value.beside is None else value.beside
        key = id(value.table if value.beside is None else value.beside)
        _, held, chosen = shared.setdefault(key, (table, [], []))
        held.append(name)
        chosen.append(value.column)
    fields = [
        FieldDigests(table=table, places=places.of(held[0]), chosen=chosen)
        for table, held, chosen in shared.values()
    ]
    return fields, [name for _, held, _ in shared.values() for name in held]


def seal_columns(
    names: Sequence[str],
    digests: Digests,
    places: Places,
    states: Blocks,
    update: Callable[[memoryview, memoryview], None],
    outs: Mapping[str, NDArray[Any]],
) -> None:
    """Seal derived values of the versions of a batch.

    Args:
        names: The derived values.
        digests: Digests of all versions.
        places: Where those of the batch lie.
        states: What the tokens of each version begin with, shape (versions, 2).
        update: Encrypts blocks into room that has 15 bytes more than they.
        outs: Derived value -> its tokens, shape (versions,), to be filled; whatever is missing included.
    """
    fields, order = _fields(names, digests, places)
    kernels = ColumnKernels(fields, states, [outs[name] for name in order])
    blocks = np.empty(2 * len(order) * min(_SLICE_ROWS, places.rows), dtype=np.uint64)
    made = np.empty(blocks.nbytes + 15, dtype=np.uint8)
    for start in range(0, places.rows, _SLICE_ROWS):
        rows = min(_SLICE_ROWS, places.rows - start)
        size = 16 * len(order) * rows
        shape = (len(order), rows, 2)
        kernels.fetch(start, blocks[: size // 8].reshape(shape))
        update(blocks.view(np.uint8)[:size].data, made[: size + 15].data)
        kernels.keep(start, made[:size].view(np.uint64).reshape(shape))
