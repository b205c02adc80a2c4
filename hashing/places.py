"""Where the digests of some versions lie, and fetching them: by a compiled kernel, or by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.coding import Codes
from hashing.digests import Digests
from hashing.native import tokens as native


class Places:
    """Where the digests of some versions lie; looked up once a field, as most derived values share a field's codes.

    Args:
        digests: Digests of all versions.
        rows: The versions, int32.
    """

    def __init__(self, digests: Digests, rows: Codes) -> None:
        self.rows = len(rows)
        self._values = digests.values
        self._compiled = native.available()
        # NumPy takes by its own kind of number, and would turn any other into it at each call.
        self._versions: NDArray[Any] = rows if self._compiled else rows.astype(np.intp)
        self._found: dict[int, NDArray[Any]] = {}
        self._ends: dict[int, int] = {}

    def fetch(self, name: str, piece: slice, out: Blocks, *, add: Blocks | None = None) -> None:
        """Write the digests of a slice of the versions into `out`.

        Args:
            name: The derived value.
            piece: Which of the versions.
            out: Shape (n, 2).
            add: Added to them by exclusive or, shape (n, 2).
        """
        value = self._values[name]
        places = self._at(value.source)[piece]
        if self._compiled:
            if self._end(value.source) > len(value.table):  # a kernel does not look where it reads
                raise IndexError("a code lies outside its table")
            native.fetch(value.table, places, out, add)
            return
        value.table.take(
            places, out=out.view(np.complex128)[:, 0], mode="wrap"
        )  # -1, a missing value: the last
        if add is not None:
            np.bitwise_xor(out, add, out=out)

    def _end(self, source: Codes | None) -> int:
        """Return what all places of a field are below; none is below -1."""
        key = id(source)
        if key not in self._ends:
            places = self._at(source)
            if int(places.min(initial=-1)) < -1:
                raise IndexError("a code lies before its table")
            self._ends[key] = int(places.max(initial=-1)) + 1
        return self._ends[key]

    def _at(self, source: Codes | None) -> NDArray[Any]:
        if source is None:
            return self._versions
        if id(source) not in self._found:
            found = source.take(self._versions)
            self._found[id(source)] = found if self._compiled else found.astype(np.intp)
        return self._found[id(source)]
