"""Derived values of every version, as codes: each is computed once for each distinct normalised value."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing.coding import Codes, Column, Mapped, combine, over, same
from hashing.deriving import Tables, longest_first, tables_of
from hashing.subjects import Subjects
from hashing.workers import Workers, workers_for
from schemas.scheme import DERIVED

RARE_SHARE = 1 / 4000
"""A name is rare when at most this share of an agency's versions bear it."""

MID_SHARE = 1 / 500
"""A name is uncommon when at most this share of an agency's versions bear it."""


@dataclass(frozen=True, kw_only=True)
class NameSet:
    """Both names of a version without their order, so that swapped columns give the same value.

    Attributes:
        forename, surname: The two names, in one common coding of their values.
    """

    forename: Mapped
    surname: Mapped

    @cached_property
    def _pairs(self) -> tuple[Codes, NDArray[np.int64]]:
        """Return the code of each row, and a row that bears each code."""
        left, right = self.forename.codes, self.surname.codes
        rows = np.flatnonzero((left >= 0) & (right >= 0))
        low, high = np.minimum(left[rows], right[rows]), np.maximum(left[rows], right[rows])
        dense, count = combine([low, high])
        codes = np.full(len(left), -1, dtype=np.int32)
        codes[rows] = dense
        bearer = np.empty(count, dtype=np.int64)
        bearer[dense[::-1]] = rows[::-1]
        return codes, bearer

    @property
    def codes(self) -> Codes:
        """Shape (rows,), int32; -1 where a name is missing."""
        return self._pairs[0]

    @property
    def values(self) -> pa.StringArray:
        """The two names of each code, in alphabetical order, joined by a bar."""
        bearer = self._pairs[1]
        left, right = (
            self.forename.values.take(pa.array(column.codes[bearer]))
            for column in (self.forename, self.surname)
        )
        swap = pc.greater(left, right)
        return pc.binary_join_element_wise(pc.if_else(swap, right, left), pc.if_else(swap, left, right), "|")

    def take(self, rows: NDArray[np.int64]) -> NameSet:
        """Return the name sets of `rows` only."""
        return NameSet(forename=self.forename.take(rows), surname=self.surname.take(rows))


def _name_set(forename: Mapped, surname: Mapped) -> NameSet:
    """Give the values of both columns one coding."""
    both = pa.concat_arrays([forename.values, surname.values]).dictionary_encode()
    common = np.append(both.indices.to_numpy(zero_copy_only=False).astype(np.int32), np.int32(-1))
    size = len(forename.values)

    def recoded(column: Mapped, first: int) -> Mapped:
        table = np.where(column.table >= 0, common[first + column.table], np.int32(-1))
        return Mapped(source=column.source, table=table.astype(np.int32, copy=False), values=both.dictionary)

    return NameSet(forename=recoded(forename, 0), surname=recoded(surname, size))


def _all_tables(subjects: Subjects) -> dict[str, Tables]:
    """Return `tables_of` every field, made early or now; of many people, processes share the work."""
    found = {name: subjects.deriving.tables(name, coded.values) for name, coded in subjects.fields.items()}
    subjects.deriving.close()  # no process is forked beside others that end
    fields = {name: coded for name, coded in subjects.fields.items() if found[name] is None}
    count = workers_for(len(subjects.version_subject)) if fields else 1
    if count == 1:
        made = {name: tables_of(name, coded.values, subjects.standards) for name, coded in fields.items()}
    else:
        with closing(Workers(subjects, count)) as team:
            future = {name: team.submit(_tables_of, name) for name in longest_first(fields)}
            made = {name: team.result(future[name]) for name in fields}
    return {name: tables if tables is not None else made[name] for name, tables in found.items()}


def _tables_of(subjects: Subjects, field: str) -> Tables:
    return tables_of(field, subjects.fields[field].values, subjects.standards)


def derive(subjects: Subjects) -> dict[str, Column]:
    """Return every derived value that the subjects' fields allow: name -> codes of each version.

    The rarity classes are no values of their own; see `rarity`.

    Raises:
        OutputError: A process that shared the work was ended from outside.
    """
    derived: dict[str, Column] = {}
    for field, tables in _all_tables(subjects).items():
        coded = subjects.fields[field]
        if "exact" not in tables and f"{field}.exact" in DERIVED:
            derived[f"{field}.exact"] = same(coded)
        for kind, table in tables.items():
            derived[f"{field}.{kind}"] = over(coded.codes, table)
    forename, surname = derived.get("forename.canonical"), derived.get("surname.canonical")
    if isinstance(forename, Mapped) and isinstance(surname, Mapped):
        derived["name_set"] = _name_set(forename, surname)
    return derived


def rarity(exact: Column) -> dict[str, NDArray[np.bool_]]:
    """Return, for the classes `rare` and `mid`, whether each of the column's *values* belongs to the class.

    Judged by the agency's own counts: an extract of a few thousand people is enough to tell a name that one
    person in 500 bears from one that one in 4,000 bears. A name near the border may be judged differently by two
    agencies; their tokens then disagree at that level and agree at the next one, so nothing false is claimed.
    """
    codes = exact.codes
    counts = np.bincount(codes[codes >= 0], minlength=len(exact.values))
    share = counts / max(int(counts.sum()), 1)
    # With fewer than 4,000 people no share can be that small: a name borne once counts as rare.
    return {"rare": (share <= RARE_SHARE) | (counts == 1), "mid": (share <= MID_SHARE) | (counts == 1)}


def with_rarity(derived: Mapping[str, Column]) -> dict[str, Column]:
    """Add `forename.rare` and so on as values that are missing outside their class (for counting, not sealing)."""
    result = dict(derived)
    for field in ("forename", "surname"):
        exact = derived.get(f"{field}.exact")
        if isinstance(exact, Mapped):
            for kind, member in rarity(exact).items():
                inside = np.append(member, False)
                table = np.where(inside[exact.table], exact.table, np.int32(-1))
                result[f"{field}.{kind}"] = Mapped(
                    source=exact.source, table=table.astype(np.int32, copy=False), values=exact.values
                )
    return result
