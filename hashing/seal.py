"""Seal subjects: block ids and comparison tokens of every pass, in batches.

    V_f(x)      HMAC-SHA-256 under the field key, 128 bits          (once a distinct value)
    B_p         AES-CMAC(K_p,  V_1 ‖ V_2 ‖ …)                       (block secret, never leaves the agency)
    block id    AES-CMAC(K''_p, B_p), 64 bits                       (published)
    token       AES-CMAC(K'_p, B_p ‖ V_f), 16 or 32 bits            (published)

A token is equal for two records only when the block *and* the value are equal; elsewhere it is noise.
The specification is docs/spec/sealing-v1.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.cmac import BatchCmac, Blocks
from hashing.coding import Coded, combine
from hashing.derive import rarity
from hashing.keys import TokenKeys
from schemas.payload import pass_schema, token_type
from schemas.scheme import DERIVED, TOKENS, Pass

RandomBytes = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class PassTable:
    """The sealed rows of one pass.

    Attributes:
        blocking: The pass.
        table: Rows with the schema `schemas.payload.pass_schema`.
        incomplete: Versions that lack a value the pass is made of.
        crowded: Versions left out because their cell holds too many people.
    """

    blocking: Pass
    table: pa.RecordBatch
    incomplete: int
    crowded: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sealable:
    """Field digests of one derived value, and the code of each version."""

    codes: NDArray[np.int32]
    digests: Blocks
    member: NDArray[np.bool_] | None

    def blocks(self, rows: NDArray[np.int64]) -> Blocks:
        taken: Blocks = np.take(
            self.digests, self.codes[rows], axis=0, mode="wrap"
        )  # code -1: the last block
        return taken


def _sealables(derived: Mapping[str, Coded], keys: TokenKeys, needed: frozenset[str]) -> dict[str, _Sealable]:
    """Compute V_f of every distinct value once."""

    def made_of(name: str, coded: Coded, member: NDArray[np.bool_] | None = None) -> _Sealable:
        digests = keys.digests(name, coded.values.to_pylist())
        # A zero block behind the digests stands for "missing" (code -1); such rows are masked afterwards.
        padded = np.vstack([digests, np.zeros((1, 2), dtype=np.uint64)])
        return _Sealable(codes=coded.codes, digests=padded, member=member)

    made = {name: made_of(name, coded) for name, coded in derived.items() if name in needed}
    for field in ("forename", "surname"):
        exact = derived.get(f"{field}.exact")
        if exact is not None:
            for kind, member in rarity(exact).items():
                made[f"{field}.{kind}"] = made_of(f"{field}.{kind}", exact, member)
    return made


def _truncate(macs: Blocks, name: str) -> NDArray[np.uint16] | NDArray[np.uint32]:
    """Return the leading 16 or 32 bits of each MAC, read as a little-endian number."""
    if DERIVED[name].bits == 16:
        return np.ascontiguousarray(macs.view("<u2")[:, 0])
    return np.ascontiguousarray(macs.view("<u4")[:, 0])


def _token_column(
    name: str,
    sealable: _Sealable | None,
    rows: NDArray[np.int64],
    comparison: BatchCmac,
    state: Blocks,
    random_bytes: RandomBytes,
) -> pa.Array:
    kind = token_type(name)
    if sealable is None:
        return pa.nulls(len(rows), kind)
    tokens = _truncate(comparison.finish(state, sealable.blocks(rows)), name)
    if sealable.member is not None:
        # Outside its rarity class a name gets a random token: nothing shows unless two records agree.
        outside = ~sealable.member[rows]
        noise = np.frombuffer(random_bytes(int(outside.sum()) * tokens.itemsize), dtype=tokens.dtype)
        tokens[outside] = noise
    missing = sealable.codes[rows] < 0
    return pa.array(tokens, type=kind, mask=missing if missing.any() else None)


def _rows_of(
    blocking: Pass, derived: Mapping[str, Coded], crowded_cell: int
) -> tuple[NDArray[np.int64], int, int]:
    """Return the versions that take part in a pass, and how many are incomplete and how many too crowded."""
    columns = [derived[part].codes for part in blocking.parts if part in derived]
    total = len(next(iter(derived.values())).codes)
    if len(columns) < len(blocking.parts):
        return np.zeros(0, dtype=np.int64), total, 0
    rows = np.flatnonzero(np.all([codes >= 0 for codes in columns], axis=0))
    if len(rows) == 0:
        return rows, total, 0
    cells, count = combine([codes[rows] for codes in columns])
    roomy = np.bincount(cells, minlength=count)[cells] <= crowded_cell
    return rows[roomy], total - len(rows), int((~roomy).sum())


def _seal_pass(
    blocking: Pass,
    derived: Mapping[str, Coded],
    sealables: Mapping[str, _Sealable],
    keys: TokenKeys,
    crowded_cell: int,
    random_bytes: RandomBytes,
) -> PassTable:
    rows, incomplete, crowded = _rows_of(blocking, derived, crowded_cell)
    if len(rows) == 0:
        empty = pa.RecordBatch.from_pylist([], schema=pass_schema(blocking))
        return PassTable(blocking=blocking, table=empty, incomplete=incomplete, crowded=crowded)
    secrets = keys.block_secret(blocking).mac([sealables[part].blocks(rows) for part in blocking.parts])
    block = np.ascontiguousarray(keys.block_id(blocking).mac([secrets]).view("<i8")[:, 0])
    comparison = keys.comparison(blocking)
    state = comparison.prefix([secrets], rows=len(rows))
    tokens = [
        _token_column(name, sealables.get(name), rows, comparison, state, random_bytes)
        for name in blocking.tokens
    ]
    table = pa.RecordBatch.from_arrays(
        [pa.array(rows.astype(np.int32)), pa.array(block), *tokens], schema=pass_schema(blocking)
    )
    return PassTable(blocking=blocking, table=table, incomplete=incomplete, crowded=crowded)


def seal(
    derived: Mapping[str, Coded],
    passes: tuple[Pass, ...],
    keys: TokenKeys,
    *,
    crowded_cell: int,
    random_bytes: RandomBytes = os.urandom,
) -> Iterator[PassTable]:
    """Yield the sealed table of each pass, in the order of `passes`.

    Args:
        derived: Derived values of every version (`hashing.derive.derive`).
        passes: Blocking passes of the agreement.
        keys: Keys of the run.
        crowded_cell: Largest number of versions in one cell of a pass; records of larger cells skip the pass.
        random_bytes: Source of the tokens outside a rarity class.
    """
    needed = frozenset(TOKENS) | {part for blocking in passes for part in blocking.parts}
    sealables = _sealables(derived, keys, needed)
    for blocking in passes:
        yield _seal_pass(blocking, derived, sealables, keys, crowded_cell, random_bytes)
