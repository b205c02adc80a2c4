"""Seal subjects: block ids and comparison tokens of every pass, in batches.

    V_f(x)      AES-CMAC(field key, x), 128 bits                    (once a distinct value)
    B_p         AES-CMAC(K_p,  V_1 ‖ V_2 ‖ …)                       (block secret, never leaves the agency)
    block id    AES-CMAC(K''_p, B_p), 64 bits                       (published)
    token       AES-CMAC(K'_p, B_p ‖ V_f), 16 or 32 bits            (published)

A token is equal for two records only when the block *and* the value are equal; elsewhere it is noise.
The specification is docs/spec/sealing-v1.md.

A pass is sealed in two steps, so that memory stays flat: block ids of all versions, which tell the crowded cells; then
batch by batch the tokens. Batches are made by a thread ahead of the writer.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.coding import Column, Mapped
from hashing.derive import NameSet
from hashing.digests import SLICE_ROWS, Digests, digests_of
from hashing.keys import TokenKeys
from schemas.payload import pass_schema, token_type
from schemas.scheme import DERIVED, TOKENS, Pass

RandomBytes = Callable[[int], bytes]

BATCH_ROWS = 1 << 17
"""Rows of a record batch: about 10 MB of tokens."""

WORKERS = 1
"""Threads that make batches ahead of the writer. A second one gained nothing: AES holds the interpreter's lock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedPass:
    """The sealed rows of one pass.

    Attributes:
        blocking: The pass.
        batches: Record batches with the schema `schemas.payload.pass_schema`; to be read once.
        sealed: Versions that take part.
        incomplete: Versions that lack a value the pass is made of.
        crowded: Versions left out because their cell holds too many people.
    """

    blocking: Pass
    batches: Iterator[pa.RecordBatch]
    sealed: int
    incomplete: int
    crowded: int

    def table(self) -> pa.Table:
        """Return all rows at once (for small extracts and tests)."""
        return pa.Table.from_batches(list(self.batches), schema=pass_schema(self.blocking))


class _Buffers:
    """Buffers of one thread, for all fields of a slice."""

    def __init__(self, digests: Digests) -> None:
        self.fetched = {
            name: np.empty(SLICE_ROWS * 2 * field.blocks.shape[1], dtype=np.uint64)
            for name, field in digests.fields.items()
        }
        self.blocks = np.empty((SLICE_ROWS, 2), dtype=np.uint64)
        self.output = np.empty(16 * SLICE_ROWS + 15, dtype=np.uint8)


_WIDTHS = {16: np.dtype("<u2"), 32: np.dtype("<u4")}
Tokens = NDArray[np.uint16] | NDArray[np.uint32]


class _PassSealer:
    """Seals slices of one pass.

    Args:
        blocking: The pass.
        digests: Digests of all derived values; all parts of the pass are among them.
        keys: Keys of the run.
    """

    def __init__(self, blocking: Pass, digests: Digests, keys: TokenKeys) -> None:
        self.blocking = blocking
        self._digests = digests
        self._tokens = [name for name in blocking.tokens if name in digests.place]
        needed = {digests.place[name][0] for name in (*blocking.parts, *self._tokens)}
        self._fields = [name for name in digests.fields if name in needed]
        self._secret = keys.block_secret(blocking)
        self._id = keys.block_id(blocking)
        self._comparison = keys.comparison(blocking)

    def for_thread(self) -> _PassSealer:
        """Return the same sealer with cipher contexts of its own."""
        other = copy(self)
        other._secret, other._id = self._secret.for_thread(), self._id.for_thread()
        other._comparison = self._comparison.for_thread()
        return other

    def _secrets(self, rows: NDArray[np.int64]) -> Blocks:
        message = []
        for part in self.blocking.parts:
            field, place = self._digests.place[part]
            held = self._digests.fields[field]
            at = rows if held.source is None else held.source[rows]
            message.append(held.blocks[at, place])
        return self._secret.mac(message)

    def block_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the block id of each of `rows`, in a thread of its own."""
        mine = self.for_thread()
        ids = np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), SLICE_ROWS):
            part = rows[start : start + SLICE_ROWS]
            ids[start : start + len(part)] = mine._id.mac([mine._secrets(part)]).view("<i8")[:, 0]
        return ids

    def batch(
        self, rows: NDArray[np.int64], ids: NDArray[np.int64], noise: Mapping[str, NDArray[np.uint16]]
    ) -> pa.RecordBatch:
        """Return the record batch of `rows`, in a thread of its own.

        Args:
            rows: Versions.
            ids: Their block ids.
            noise: Random tokens of `rows` for each rarity class.
        """
        mine, size = self.for_thread(), len(rows)
        tokens = {name: np.empty(size, dtype=_WIDTHS[DERIVED[name].bits]) for name in self._tokens}
        buffers = _Buffers(self._digests)
        for start in range(0, size, SLICE_ROWS):
            piece = slice(start, min(start + SLICE_ROWS, size))
            mine._seal_slice(rows[piece], {name: column[piece] for name, column in tokens.items()}, buffers)
        held, member = self._digests.held[rows], self._digests.member[rows]
        for name in noise:
            # Outside its rarity class a name gets a random token: nothing shows unless two records agree.
            outside = (member & self._digests.bits[name]) == 0
            np.copyto(tokens[name], noise[name], where=outside)
        columns = [self._column(name, tokens.get(name), held) for name in self.blocking.tokens]
        versions = pa.array(rows.astype(np.int32))
        return pa.RecordBatch.from_arrays(
            [versions, pa.array(ids), *columns], schema=pass_schema(self.blocking)
        )

    def _column(self, name: str, tokens: Tokens | None, held: NDArray[np.uint64]) -> pa.Array:
        if tokens is None:
            return pa.nulls(len(held), token_type(name))
        missing = (held & self._digests.bits[name]) == 0
        return pa.array(tokens, mask=missing if missing.any() else None)

    def _seal_slice(self, rows: NDArray[np.int64], tokens: Mapping[str, Tokens], buffers: _Buffers) -> None:
        """Fill `tokens` with those of `rows`, whatever is missing included."""
        fetched = {
            name: self._digests.fields[name].fetch(rows, buffers.fetched[name]) for name in self._fields
        }

        def digests(name: str) -> Blocks:
            field, place = self._digests.place[name]
            view: Blocks = fetched[field][:, place]
            return view

        secrets = self._secret.mac([digests(part) for part in self.blocking.parts])
        # All tokens of a row begin with its block secret, so that block is enciphered once.
        state = self._comparison.prefix([secrets], rows=len(rows)) ^ self._comparison.last_mask
        blocks, output = buffers.blocks[: len(rows)], buffers.output[: 16 * len(rows) + 15]
        for name, column in tokens.items():
            # Copied as one number of 16 bytes: numpy's inner loop would otherwise be two words long.
            blocks.view(np.complex128)[:, 0] = digests(name).view(np.complex128)[:, 0]
            np.bitwise_xor(blocks, state, out=blocks)
            column[:] = self._comparison.encrypt_into(blocks, output).view(column.dtype)[:, 0]


def _complete(blocking: Pass, digests: Digests) -> NDArray[np.int64]:
    """Return the versions that hold every part of the pass."""
    if any(part not in digests.bits for part in blocking.parts):
        return np.zeros(0, dtype=np.int64)
    wanted = np.bitwise_or.reduce([digests.bits[part] for part in blocking.parts])
    return np.flatnonzero((digests.held & wanted) == wanted)


def roomy(ids: NDArray[np.int64], crowded_cell: int) -> NDArray[np.bool_]:
    """Return which block ids occur at most `crowded_cell` times.

    Ids are pseudorandom, so their low bits spread over buckets; only ids in buckets with too many rows can be crowded,
    and only those few are counted one by one.
    """
    bits = max(len(ids).bit_length() + 1, 10)
    bucket = ids & np.int64((1 << bits) - 1)
    suspects = np.flatnonzero(np.bincount(bucket, minlength=1)[bucket] > crowded_cell)
    kept = np.ones(len(ids), dtype=bool)
    if len(suspects):
        _, place, count = np.unique(ids[suspects], return_inverse=True, return_counts=True)
        kept[suspects] = count[place] <= crowded_cell
    return kept


def _pieces(rows: int) -> list[slice]:
    return [slice(start, start + BATCH_ROWS) for start in range(0, rows, BATCH_ROWS)]


def _noise(
    blocking: Pass, rows: int, digests: Digests, random_bytes: RandomBytes
) -> dict[str, NDArray[np.uint16]]:
    """Draw random tokens for every row and rarity class of the pass, in the order of its columns."""
    classes = [name for name in blocking.tokens if name in digests.classes]
    return {name: np.frombuffer(random_bytes(2 * rows), dtype="<u2") for name in classes}


def _batches(
    sealer: _PassSealer,
    rows: NDArray[np.int64],
    ids: NDArray[np.int64],
    digests: Digests,
    pool: ThreadPoolExecutor,
    random_bytes: RandomBytes,
) -> Iterator[pa.RecordBatch]:
    """Yield the batches in order, `WORKERS` of them being made ahead."""
    ahead: deque[Future[pa.RecordBatch]] = deque()
    for piece in _pieces(len(rows)):
        noise = _noise(sealer.blocking, len(rows[piece]), digests, random_bytes)
        ahead.append(pool.submit(sealer.batch, rows[piece], ids[piece], noise))
        if len(ahead) > WORKERS:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def seal(
    derived: Mapping[str, Column],
    passes: tuple[Pass, ...],
    keys: TokenKeys,
    *,
    crowded_cell: int,
    random_bytes: RandomBytes = os.urandom,
) -> Iterator[SealedPass]:
    """Yield each pass, in the order of `passes`; the batches of one are to be read before the next is asked for.

    Args:
        derived: Derived values of every version (`hashing.derive.derive`).
        passes: Blocking passes of the agreement.
        keys: Keys of the run.
        crowded_cell: Largest number of versions in one cell of a pass; records of larger cells skip the pass.
        random_bytes: Source of the tokens outside a rarity class.
    """
    needed = frozenset(TOKENS) | {part for blocking in passes for part in blocking.parts}
    versions = max((_rows(column) for column in derived.values()), default=0)
    digests = digests_of(derived, keys, needed, versions=versions)
    with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="seal") as pool:
        for blocking in passes:
            complete = _complete(blocking, digests)
            if len(complete) == 0:
                yield SealedPass(
                    blocking=blocking, batches=iter(()), sealed=0, incomplete=versions, crowded=0
                )
                continue
            sealer = _PassSealer(blocking, digests, keys)
            pieces = [complete[piece] for piece in _pieces(len(complete))]
            ids = np.concatenate(list(pool.map(sealer.block_ids, pieces)))
            kept = roomy(ids, crowded_cell)
            rows, ids = complete[kept], ids[kept]
            yield SealedPass(
                blocking=blocking,
                batches=_batches(sealer, rows, ids, digests, pool, random_bytes),
                sealed=len(rows),
                incomplete=versions - len(complete),
                crowded=len(complete) - len(rows),
            )


def _rows(column: Column) -> int:
    if isinstance(column, Mapped):
        return len(column.source)
    return len(column.forename.source) if isinstance(column, NameSet) else len(column.codes)
