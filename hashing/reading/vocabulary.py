"""The distinct values of one column of a stream, each normalised once, when enough of them have come together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing.coding import Coded, Codes
from hashing.reading.hashes import LANES, Cells, Hashes, hash_strings
from hashing.reading.index import HashIndex
from hashing.reading.normalising import Ruled

Normalise = Callable[[pa.StringArray], Callable[[], Ruled]]
"""Has texts normalised, and returns what gives the result when it is wanted."""

_RULED_AT_ONCE = 16_384
"""Texts that are normalised at a time: a normaliser works in arrays many times as large as they are, but a call for a
handful of texts costs as much as one for hundreds."""


class Vocabulary:
    """Codes of raw texts, and what each text normalises to.

    `beside` holds, for a code whose text has other names in it, these names. It is complete, as are values and
    outcomes, when `finish` was called.

    Args:
        rule: Has texts normalised, each one by itself; None keeps them as they are written, for a rule that has to
            see the whole column.
        repeats: Whether texts are expected to come again. If not, each one gets a code of its own: to look for
            repetitions would cost more time and memory than the few there are.
    """

    def __init__(self, rule: Normalise | None = None, *, repeats: bool = True) -> None:
        self.beside: dict[int, tuple[str, ...]] = {}
        self._rule = rule
        self._index = HashIndex() if repeats else None
        self._count = 0
        self._waiting: list[pa.StringArray] = []
        self._ruled: list[Callable[[], Ruled]] = []
        self._values: list[pa.StringArray] = []
        self._outcomes: list[NDArray[np.uint8]] = []

    def __len__(self) -> int:
        return self._count

    def add(self, texts: pa.StringArray, high: Hashes | None = None) -> Codes:
        """Return the code of each text, -1 for a null; texts not met before get the next codes.

        Args:
            texts: n texts.
            high: Their hashes in the first lane, where they are known already.
        """
        if not texts.null_count:
            return self._add(texts, high)
        present = np.flatnonzero(pc.is_valid(texts).to_numpy(zero_copy_only=False))
        codes = np.full(len(texts), -1, dtype=np.int32)
        codes[present] = self._add(texts.drop_null(), None if high is None else high[present])
        return codes

    def _add(self, texts: pa.StringArray, high: Hashes | None) -> Codes:
        if self._index is None:
            codes, fresh = np.arange(self._count, self._count + len(texts), dtype=np.int32), texts
        else:
            high = hash_strings(texts, LANES[0]) if high is None else high
            codes, rows = self._index.add(high, hash_strings(texts, LANES[1]))
            fresh = texts.take(pa.array(rows)) if len(rows) else texts.slice(0, 0)
        self._count += len(fresh)
        if len(fresh):
            (self._values if self._rule is None else self._waiting).append(fresh)
        if sum(map(len, self._waiting)) >= _RULED_AT_ONCE:
            self._hand_over()
        return codes

    def _hand_over(self) -> None:
        """Have the texts that wait for it normalised."""
        if self._rule is None or not self._waiting:
            return
        waiting = pa.concat_arrays(self._waiting)
        self._waiting = []
        for start in range(0, len(waiting), _RULED_AT_ONCE):
            # Copied, as a slice would take all of the array with it into another process.
            self._ruled.append(self._rule(pa.concat_arrays([waiting.slice(start, _RULED_AT_ONCE)])))

    def add_cells(self, cells: Cells) -> Codes:
        """Return the code of each cell, -1 for a null."""
        codes = self.add(cells.values)
        return codes if cells.places is None else np.append(codes, np.int32(-1))[cells.places]

    def finish(self) -> None:
        """Wait for what is being normalised, and let go of the hashes: nothing is added any more."""
        self._hand_over()
        self._index = None
        first = 0
        for done in self._ruled:
            ruled = done()
            self.beside.update((first + place, names) for place, names in ruled.beside.items())
            self._values.append(ruled.result.values)
            self._outcomes.append(ruled.result.outcomes)
            first += len(ruled.result.values)
        self._ruled = []

    def values(self) -> pa.StringArray:
        """Return the text of each code: normalised, or as written where there is no rule; null where unusable."""
        self._values = [pa.concat_arrays([pa.array([], pa.string()), *self._values])]
        return self._values[0]

    def coded(self, codes: Codes) -> Coded:
        """Return a column of codes as one over its distinct values, and let go of the values here."""
        # Encoded as they lie: one array of all the texts would be a second copy of them.
        texts = pa.chunked_array(self._values, pa.string())
        self._values = []
        encoded = texts.dictionary_encode()
        del texts
        if not encoded.num_chunks:
            return Coded(codes=np.full(len(codes), -1, dtype=np.int32), values=pa.array([], pa.string()))
        table = np.empty(len(encoded) + 1, dtype=np.int32)
        table[-1] = -1  # where a missing one, -1, is looked up
        start = 0
        for chunk in encoded.chunks:
            table[start : start + len(chunk)] = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            start += len(chunk)
        return Coded(codes=table[codes], values=encoded.chunk(0).dictionary)

    def outcomes(self) -> NDArray[np.uint8]:
        """Return what normalising made of each code (`Outcome`)."""
        return np.concatenate([np.zeros(0, dtype=np.uint8), *self._outcomes])
