"""The distinct values of one column of a stream, each normalised once, when it first appears."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing import normalise
from hashing.coding import Codes
from hashing.reading.hashes import LANES, Cells, Hashes, hash_strings
from hashing.reading.index import HashIndex

Normaliser = Callable[[pa.StringArray], normalise.Normalised]
Others = Callable[[pa.StringArray], list[tuple[str, ...]]]

_RULED_AT_ONCE = 16_384
"""Texts that are normalised at a time: a normaliser works in arrays many times as large as they are."""


class Vocabulary:
    """Codes of raw texts, and what each text normalises to.

    `beside` holds, for a code whose text has other names in it, these names.

    Args:
        rule: Normalises texts one by one, as they come; None keeps them as they are written, for a rule that has to
            see the whole column.
        others: Tells the other names that are written in each text.
    """

    def __init__(self, rule: Normaliser | None = None, others: Others | None = None) -> None:
        self.beside: dict[int, tuple[str, ...]] = {}
        self._rule, self._others = rule, others
        self._index = HashIndex()
        self._values: list[pa.StringArray] = []
        self._outcomes: list[NDArray[np.uint8]] = []

    def __len__(self) -> int:
        return sum(map(len, self._values))

    def add(self, texts: pa.StringArray, high: Hashes | None = None) -> Codes:
        """Return the code of each text, -1 for a null; texts not met before are normalised and get the next codes.

        Args:
            texts: n texts.
            high: Their hashes in the first lane, where they are known already.
        """
        null = pc.is_null(texts).to_numpy(zero_copy_only=False)
        high = hash_strings(texts, LANES[0]) if high is None else high
        if null.any():
            present = np.flatnonzero(~null)
            codes = np.full(len(texts), -1, dtype=np.int32)
            codes[present] = self._add(texts.take(pa.array(present)), high[present])
            return codes
        return self._add(texts, high)

    def _add(self, texts: pa.StringArray, high: Hashes) -> Codes:
        codes, rows = self._index.add(high, hash_strings(texts, LANES[1]))
        if len(rows):
            fresh = texts.take(pa.array(rows))
            if self._rule is None:
                self._values.append(fresh)
            else:
                if self._others is not None:
                    named = enumerate(self._others(fresh), start=len(self._index) - len(rows))
                    self.beside.update((code, names) for code, names in named if names)
                for start in range(0, len(fresh), _RULED_AT_ONCE):
                    result = self._rule(fresh.slice(start, _RULED_AT_ONCE))
                    self._values.append(result.values)
                    self._outcomes.append(result.outcomes)
        return codes

    def add_cells(self, cells: Cells) -> Codes:
        """Return the code of each cell, -1 for a null."""
        codes = self.add(cells.values)
        return codes if cells.places is None else np.append(codes, np.int32(-1))[cells.places]

    def forget(self) -> None:
        """Let go of the hashes: nothing is added any more."""
        self._index = HashIndex()

    def values(self) -> pa.StringArray:
        """Return the text of each code: normalised, or as written where there is no rule; null where unusable."""
        self._values = [pa.concat_arrays([pa.array([], pa.string()), *self._values])]
        return self._values[0]

    def outcomes(self) -> NDArray[np.uint8]:
        """Return what normalising made of each code (`Outcome`)."""
        return np.concatenate([np.zeros(0, dtype=np.uint8), *self._outcomes])
