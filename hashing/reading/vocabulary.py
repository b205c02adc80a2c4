"""The distinct values of one column of a stream, each normalised once, when enough of them have come together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.coding import Coded, Codes
from hashing.native import reading as native
from hashing.reading.cells import Cells, Hashed
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
        expected: Distinct texts to make room for at once; more of them may come.
    """

    def __init__(self, rule: Normalise | None = None, *, repeats: bool = True, expected: int = 0) -> None:
        self.beside: dict[int, tuple[str, ...]] = {}
        self._rule = rule
        self._index = HashIndex(expected) if repeats else None
        self._count = 0
        self._waiting: list[pa.StringArray] = []
        self._unruled = 0
        self._ruled: list[Callable[[], Ruled]] = []
        self._values: list[pa.StringArray] = []
        self._outcomes: list[NDArray[np.uint8]] = []

    def __len__(self) -> int:
        return self._count

    def add(self, hashed: Hashed, rows: NDArray[np.int64] | None = None) -> Codes:
        """Return codes, -1 for a null; texts not met before get the next ones.

        Args:
            hashed: Cells.
            rows: Which of them; all where it is None.
        """
        places = hashed.cells.at(rows)
        present = np.flatnonzero(places >= 0)
        if len(present) == len(places):
            return self._add(hashed, places)
        codes = np.full(len(places), -1, dtype=np.int32)
        codes[present] = self._add(hashed, places.take(present))
        return codes

    def _add(self, hashed: Hashed, places: NDArray[np.integer]) -> Codes:
        """Return the codes of the values at `places`."""
        if self._index is None:
            codes, fresh = np.arange(self._count, self._count + len(places), dtype=np.int32), places
        else:
            low, high = hashed.lanes
            codes, new = self._index.add(low.take(places), high.take(places))
            fresh = places.take(new)
        self._count += len(fresh)
        if len(fresh):
            texts = hashed.cells.values.take(pa.array(fresh))
            (self._values if self._rule is None else self._waiting).append(texts)
            self._unruled += len(fresh)
        if self._unruled >= _RULED_AT_ONCE:
            self._hand_over()
        return codes

    def add_cells(self, hashed: Hashed) -> NDArray[np.signedinteger]:
        """Return the code of each cell, -1 for a null, in the smallest type that holds all codes there are."""
        codes = self.add(Hashed(Cells(hashed.cells.values), hashed.lanes))
        table = np.append(codes, np.int32(-1)).astype(np.min_scalar_type(-max(self._count, 1)))
        places = hashed.cells.places
        found: NDArray[np.signedinteger] = table[:-1] if places is None else table[places]
        return found

    def _hand_over(self) -> None:
        """Have the texts that wait for it normalised."""
        if self._rule is None or not self._waiting:
            return
        waiting = pa.concat_arrays(self._waiting)
        self._waiting, self._unruled = [], 0
        for start in range(0, len(waiting), _RULED_AT_ONCE):
            # Copied, as a slice would take all of the array with it into another process.
            self._ruled.append(self._rule(pa.concat_arrays([waiting.slice(start, _RULED_AT_ONCE)])))

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
        chunks, self._values = self._values, []
        table, values = (_numbered_by_hash if native.available() else _numbered_by_arrow)(chunks)
        return Coded(codes=table[codes], values=values)

    def outcomes(self) -> NDArray[np.uint8]:
        """Return what normalising made of each code (`Outcome`)."""
        return np.concatenate([np.zeros(0, dtype=np.uint8), *self._outcomes])


def _numbered_by_arrow(chunks: list[pa.StringArray]) -> tuple[Codes, pa.StringArray]:
    """Number the distinct ones of texts in the order in which they first appear; uses `chunks` up.

    Returns:
        The number of each text, -1 for a null and once more at the end, where a missing one, -1, is looked up; and
        the distinct texts.
    """
    # Encoded as they lie: one array of all the texts would be a second copy of them.
    encoded = pa.chunked_array(chunks, pa.string()).dictionary_encode()
    chunks.clear()
    table = np.full(len(encoded) + 1, -1, dtype=np.int32)
    if not encoded.num_chunks:
        return table, pa.array([], pa.string())
    start = 0
    for chunk in encoded.chunks:
        table[start : start + len(chunk)] = chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        start += len(chunk)
    return table, encoded.chunk(0).dictionary


def _numbered_by_hash(chunks: list[pa.StringArray]) -> tuple[Codes, pa.StringArray]:
    """Number texts; as `_numbered_by_arrow`."""
    total = sum(map(len, chunks))
    table = np.full(total + 1, -1, dtype=np.int32)
    vocabulary = Vocabulary(expected=total)
    start = 0
    chunks.reverse()
    while chunks:
        hashed = Hashed.of(Cells(chunks.pop()))
        end = start + len(hashed.cells)
        table[start:end] = vocabulary.add(hashed)
        start = end
    return table, vocabulary.values()
