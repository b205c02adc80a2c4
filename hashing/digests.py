"""Digests V_f of all derived values of all versions, kept so that sealing fetches them quickly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.coding import Codes, Column, Mapped, mark
from hashing.derive import NameSet, rarity
from hashing.keys import TokenKeys
from hashing.native import tokens as native

SLICE_ROWS = 1 << 15
"""Rows that are sealed at a time: few enough for the cache, enough for the calls around them not to count. Of 4,096,
16,384 and 32,768 the last was the quickest (docs/adr/0015)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueDigests:
    """V_f of one derived value.

    Attributes:
        source: Shape (versions,): row of `table` of each version, -1 where there is no value; None when `table` has one
            row a version.
        table: Shape (distinct values + 1,): a block as one number of 16 bytes, which numpy moves as a whole; the last,
            zero, stands for a missing value.
        beside: The table of several derived values that `table` is a column of, shape (distinct values + 1, values),
            where they lie side by side (`side_by_side`).
        column: Which column.
    """

    source: Codes | None
    table: NDArray[np.complex128]
    beside: NDArray[np.complex128] | None = None
    column: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Digests:
    """V_f of every version.

    Attributes:
        values: The digests, by derived value.
        bits: Derived value -> its bit in `held` and `member`.
        held: Shape (versions,), uint64: which derived values each version has.
        member: Shape (versions,), uint64: which rarity classes each version's names belong to.
        classes: The rarity classes.
    """

    values: Mapping[str, ValueDigests]
    bits: Mapping[str, np.uint64]
    held: NDArray[np.uint64]
    member: NDArray[np.uint64]
    classes: frozenset[str]


def _with_missing(blocks: Blocks) -> Blocks:
    return np.vstack([blocks, np.zeros((1, 2), dtype=np.uint64)])


def _name_set_blocks(column: NameSet, keys: TokenKeys) -> tuple[Blocks, NDArray[np.bool_]]:
    """Return V of both names in order of their own digests (pairs of little-endian numbers), and who has both."""
    each, together = keys.name_set()
    names = _with_missing(each.mac_texts(column.forename.values))
    held = np.zeros(len(column.forename.source), dtype=bool)
    blocks = np.zeros((len(held) + 1, 2), dtype=np.uint64)
    for start in range(0, len(held), SLICE_ROWS):
        rows = slice(start, min(start + SLICE_ROWS, len(held)))
        left, right = (
            np.take(name.table, name.source[rows], mode="wrap") for name in (column.forename, column.surname)
        )
        one, two = names[left], names[right]
        swap = (one[:, 0] > two[:, 0]) | ((one[:, 0] == two[:, 0]) & (one[:, 1] > two[:, 1]))
        first, second = np.where(swap[:, None], two, one), np.where(swap[:, None], one, two)
        held[rows] = (left >= 0) & (right >= 0)
        blocks[rows] = together.mac([first, second])
    return blocks, held


def side_by_side(values: dict[str, ValueDigests]) -> dict[str, ValueDigests]:
    """Return digests of which those over the same codes share one table, a column each; uses `values` up.

    For compiled kernels: all digests of a name then lie in one or two lines of memory (docs/adr/0025).
    """
    fields: dict[int, list[str]] = {}
    for name, value in values.items():
        fields.setdefault(id(name) if value.source is None else id(value.source), []).append(name)
    order = list(values)
    found: dict[str, ValueDigests] = {}
    for names in fields.values():
        table = np.empty((len(values[names[0]].table), len(names)), dtype=np.complex128)
        for place, name in enumerate(names):
            value = values.pop(name)
            table[:, place] = value.table
            found[name] = ValueDigests(source=value.source, table=table[:, place], beside=table, column=place)
    return {name: found[name] for name in order}


class _Builder:
    """Collects the digests of derived values."""

    def __init__(self, versions: int, keys: TokenKeys) -> None:
        self._keys = keys
        self.values: dict[str, ValueDigests] = {}
        self.bits: dict[str, np.uint64] = {}
        self.held = np.zeros(versions, dtype=np.uint64)
        self.member = np.zeros(versions, dtype=np.uint64)
        self.classes: set[str] = set()
        self._flags: dict[int, tuple[Codes, NDArray[np.uint64], NDArray[np.uint64]]] = {}

    def _add(self, name: str, source: Codes | None, table: NDArray[np.complex128]) -> np.uint64:
        self.values[name] = ValueDigests(source=source, table=table)
        self.bits[name] = np.uint64(1) << np.uint64(len(self.bits))
        return self.bits[name]

    def mapped(self, name: str, column: Mapped, member: NDArray[np.bool_] | None = None) -> None:
        """Add a derived value, or a rarity class with its members among the values."""
        digests = _with_missing(self._keys.digests(name, column.values))
        numbers = digests.view(np.complex128)[:, 0]  # which numpy moves as a whole
        bit = self._add(name, column.source, numbers.take(column.table, mode="wrap"))
        held, within = self._flags_of(column)
        held[column.table >= 0] |= bit
        if member is not None:
            self.classes.add(name)
            within[np.append(member, False)[column.table]] |= bit

    def _flags_of(self, column: Mapped) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return what `held` and `member` are to get from each value of the column's field, a missing one last."""
        if id(column.source) not in self._flags:
            held, member = np.zeros((2, len(column.table)), dtype=np.uint64)
            self._flags[id(column.source)] = column.source, held, member
        return self._flags[id(column.source)][1:]

    def name_set(self, column: NameSet) -> None:
        """Add the name set, one digest a version."""
        blocks, held = _name_set_blocks(column, self._keys)
        bit = self._add("name_set", None, blocks.view(np.complex128)[:, 0])
        self.held |= np.where(held, bit, np.uint64(0))

    def build(self) -> Digests:
        """Return the digests."""
        for codes, held, member in self._flags.values():
            mark(held, codes, self.held)
            if member.any():
                mark(member, codes, self.member)
        return Digests(
            values=side_by_side(self.values) if native.available() else self.values,
            bits=self.bits,
            held=self.held,
            member=self.member,
            classes=frozenset(self.classes),
        )


def digests_of(
    derived: Mapping[str, Column], keys: TokenKeys, needed: frozenset[str], *, versions: int
) -> Digests:
    """Compute V_f of every distinct value once."""
    made = _Builder(versions, keys)
    for name, column in derived.items():
        if name in needed:
            if isinstance(column, NameSet):
                made.name_set(column)
            elif isinstance(column, Mapped):
                made.mapped(name, column)
    for field in ("forename", "surname"):
        exact = derived.get(f"{field}.exact")
        if isinstance(exact, Mapped):
            for kind, member in rarity(exact).items():
                made.mapped(f"{field}.{kind}", exact, member)
    return made.build()
