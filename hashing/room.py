"""Memory that processes share: where the columns of a batch lie in it.

What a worker makes is written where the process that writes the package reads it. Sent through a pipe, a batch would be
copied four times, which takes as long as to make it (docs/adr/0018).
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from schemas.payload import pass_schema
from schemas.scheme import Pass

Number = TypeVar("Number", np.int32, np.int64)

_ALIGNED = 64
"""Bytes to a multiple of which buffers are aligned, as the Arrow format recommends."""


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def shared(size: int) -> mmap.mmap:
    """Return zeroed memory that processes forked from this one share with it."""
    return mmap.mmap(-1, max(size, 1))


def shared_array(rows: int, kind: type[Number]) -> NDArray[Number]:
    """Return an array of `rows` numbers in shared memory."""
    return np.frombuffer(shared(rows * np.dtype(kind).itemsize), dtype=kind, count=rows)


def _kinds(blocking: Pass) -> dict[str, np.dtype[np.generic]]:
    return {entry.name: np.dtype(entry.type.to_pandas_dtype()) for entry in pass_schema(blocking)}


def room_bytes(blocking: Pass, rows: int) -> int:
    """Return how much memory a batch of `rows` rows of the pass takes at most."""
    masks = _aligned(-(-rows // 8))
    return sum(_aligned(rows * kind.itemsize) + masks for kind in _kinds(blocking).values())


class BatchRoom:
    """The columns of a batch, each with room for a bit a row that says whether there is a value.

    Args:
        memory: At least `room_bytes` of it.
        blocking: The pass.
        rows: Rows of the batch.
    """

    def __init__(self, memory: mmap.mmap, blocking: Pass, rows: int) -> None:
        self._schema, self._rows = pass_schema(blocking), rows
        self.columns: dict[str, NDArray[np.generic]] = {}
        self.present: dict[str, NDArray[np.uint8]] = {}
        at = 0
        for name, kind in _kinds(blocking).items():
            self.columns[name] = np.frombuffer(memory, dtype=kind, count=rows, offset=at)
            at += _aligned(rows * kind.itemsize)
            self.present[name] = np.frombuffer(memory, dtype=np.uint8, count=-(-rows // 8), offset=at)
            at += _aligned(-(-rows // 8))

    def batch(self, nulls: Mapping[str, int]) -> pa.RecordBatch:
        """Return the record batch that lies here, not copied.

        Args:
            nulls: Column -> how many of its values are missing; all of them for a column that is not named.
        """
        arrays = [
            self._array(entry, nulls[entry.name]) if entry.name in nulls else pa.nulls(self._rows, entry.type)
            for entry in self._schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _array(self, entry: pa.Field, nulls: int) -> pa.Array:
        valid = pa.py_buffer(self.present[entry.name]) if nulls else None
        return pa.Array.from_buffers(
            entry.type, self._rows, [valid, pa.py_buffer(self.columns[entry.name])], null_count=nulls
        )


def copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch in memory of its own, for somebody who keeps it while the next one is made."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()
