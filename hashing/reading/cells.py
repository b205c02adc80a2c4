"""Cells of a batch: a column's texts, or its distinct texts and which one each row has, and their hashes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing.native import reading as native
from hashing.reading.hashes import LANES, Hashes, hash_texts, mix


@dataclass(frozen=True, slots=True)
class Cells:
    """n text cells as distinct-or-not values and, where they repeat, the place of each cell's value.

    Attributes:
        values: Text values, nulls allowed.
        places: Shape (n,), int32, -1 for a null; None when `values` are the n cells themselves.
    """

    values: pa.StringArray
    places: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.values) if self.places is None else len(self.places)

    @classmethod
    def of(cls, array: pa.Array) -> Cells:
        """Return text, as strings or dictionary-coded, as cells."""
        if not pa.types.is_dictionary(array.type):
            return cls(array)
        return cls(_strings(array.dictionary), _places(array.indices.cast(pa.int32())))

    @classmethod
    def repeated(cls, array: pa.Array) -> Cells:
        """Return text that is expected to repeat, dictionary-coded."""
        return cls.of(array if pa.types.is_dictionary(array.type) else array.dictionary_encode())

    def at(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.integer]:
        """Return where among the values the text of each of `rows`, or of all, stands, -1 where it is null."""
        found: NDArray[np.integer]
        if self.places is None:
            found = np.arange(len(self.values)) if rows is None else rows
        else:
            found = self.places if rows is None else self.places.take(rows)
        if not self.values.null_count:
            return found
        null = np.append(pc.is_null(self.values).to_numpy(zero_copy_only=False), True)
        return np.where(null[found], -1, found)


def _strings(array: pa.Array) -> pa.StringArray:
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def _places(indices: pa.Int32Array) -> NDArray[np.int32]:
    """Return indices, -1 for a null."""
    if not indices.null_count or not native.available():
        filled: NDArray[np.int32] = indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return filled
    valid, data = indices.buffers()
    held = np.frombuffer(data, dtype=np.int32)[indices.offset : indices.offset + len(indices)]
    return native.places(held, np.frombuffer(valid, dtype=np.uint8), indices.offset)


@dataclass(frozen=True, slots=True)
class Hashed:
    """Cells with the hashes of their values.

    Attributes:
        cells: The cells.
        lanes: In each of the two lanes the hash of each value and, where the cells have places, of a null at the end.
    """

    cells: Cells
    lanes: tuple[Hashes, Hashes]

    @classmethod
    def of(cls, cells: Cells) -> Hashed:
        """Hash the values of cells."""
        return cls(cells, hash_texts(cells.values, null=cells.places is not None))


def hash_cells(columns: Iterable[Hashed], rows: int) -> tuple[Hashes, Hashes]:
    """Return the hashes, in both lanes, of each of n rows of cells."""
    columns = tuple(columns)

    def of_lane(number: int) -> Hashes:
        state = np.full(rows, LANES[number].start, dtype=np.uint64)
        for column in columns:
            mix(state, column.lanes[number], LANES[number], column.cells.places)
        return state

    return of_lane(0), of_lane(1)
