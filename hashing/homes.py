"""Sealed homes: which versions were recorded at one address, where the agreement lets households be reported.

    home       lead(8, CMAC(household key, V_uprn(x)))       64 bits, published

Unlike a token inside a block, a home can be compared across the whole run: it shows who lives, or lived, with whom,
without saying where. The privacy measure counts that (docs/guides/linkage-unit.md).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hashing.coding import Coded
from hashing.keys import TokenKeys
from hashing.subjects import Subjects
from schemas.payload import HOMES


def sealed_homes(subjects: Subjects, keys: TokenKeys, *, crowded_cell: int) -> tuple[pa.RecordBatch, int]:
    """Return the home of each version that has a UPRN (schema `HOMES`), and how many versions were left out.

    A version is left out when more than `crowded_cell` subjects share its address: that is an institution.
    """
    uprn = subjects.fields.get("uprn")
    if uprn is None or len(uprn.values) == 0:
        return pa.RecordBatch.from_pylist([], schema=HOMES), 0
    held = np.flatnonzero(uprn.codes >= 0)
    roomy = _people_at(uprn, subjects)[uprn.codes[held]] <= crowded_cell
    rows = held[roomy]
    digests = keys.digests("uprn.exact", uprn.values)
    homes = np.ascontiguousarray(keys.household().mac([digests]).view("<i8")[:, 0])
    columns = [pa.array(rows.astype(np.int32)), pa.array(homes[uprn.codes[rows]])]
    return pa.RecordBatch.from_arrays(columns, schema=HOMES), int((~roomy).sum())


def _people_at(uprn: Coded, subjects: Subjects) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return how many subjects were recorded at each address."""
    held = uprn.codes >= 0
    pairs = uprn.codes[held].astype(np.int64) * max(subjects.count, 1) + subjects.version_subject[held]
    return np.bincount(np.unique(pairs) // max(subjects.count, 1), minlength=len(uprn.values))
