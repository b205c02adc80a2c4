"""Dictionary coding: the agency step works on small integer codes of distinct values, not on text rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Codes = NDArray[np.int32]
"""Codes of distinct values, -1 for a missing one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coded:
    """A column of codes and the distinct values they stand for.

    Attributes:
        codes: Shape (rows,), int32; -1 where the value is missing.
        values: Distinct values, no nulls; `codes` index it.
    """

    codes: Codes
    values: pa.StringArray

    def take(self, rows: NDArray[np.int64]) -> Coded:
        """Return the column of `rows` only, over the same values."""
        return Coded(codes=self.codes[rows], values=self.values)


def encode(values: pa.StringArray) -> Coded:
    """Dictionary-encode a text column; nulls get the code -1."""
    encoded = values.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return Coded(codes=codes, values=encoded.dictionary)


def recode(source: Coded, mapped: pa.StringArray) -> Coded:
    """Replace each distinct value of `source` by its entry in `mapped` (null: missing)."""
    target = encode(mapped)
    if len(target.codes) == 0:
        return Coded(codes=np.full(len(source.codes), -1, dtype=np.int32), values=target.values)
    codes = np.where(source.codes >= 0, target.codes[source.codes], np.int32(-1))
    return Coded(codes=codes.astype(np.int32, copy=False), values=target.values)


def factorize(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Return dense codes of `keys` in order of first appearance, and how many distinct ones there are."""
    encoded = pa.array(keys).dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(encoded.dictionary)


def combine(columns: Sequence[NDArray[np.int32] | NDArray[np.int64]]) -> tuple[NDArray[np.int64], int]:
    """Return dense codes of the tuples made of `columns` (missing counts as a value), and their number."""
    keys = columns[0].astype(np.int64)
    keys, size = factorize(keys)
    for column in columns[1:]:
        span = int(column.max(initial=-1)) + 2
        keys, size = factorize(keys * span + (column.astype(np.int64) + 1))
    return keys, size
