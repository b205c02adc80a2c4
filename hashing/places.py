"""Where the digests of some versions lie, and fetching them: by a compiled kernel, or by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.coding import Codes, at
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

    def fetch(self, name: str, piece: slice, out: Blocks, *, add: Blocks) -> None:
        """Write the digests of a slice of the versions, `add` added to them by exclusive or, into `out`.

        Args:
            name: The derived value.
            piece: Which of the versions.
            out: Shape (n, 2).
            add: Shape (n, 2); not `out`.
        """
        table, places = self._values[name].table, self.of(name)[piece]
        if self._compiled:
            native.fetch(table, places, add, out)
            return
        table.take(places, out=out.view(np.complex128)[:, 0], mode="wrap")  # -1, a missing value: the last
        np.bitwise_xor(out, add, out=out)

    def of(self, name: str) -> NDArray[Any]:
        """Return the row of a derived value's table of each version, -1 for a missing one."""
        source = self._values[name].source
        if source is None:
            return self._versions
        if id(source) not in self._found:
            found = at(source, self._versions)
            self._found[id(source)] = found if self._compiled else found.astype(np.intp)
        return self._found[id(source)]
