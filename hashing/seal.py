"""Seal subjects: block ids and comparison tokens of every pass, in batches.

    V_f(x)      AES-CMAC(field key, x), 128 bits                    (once a distinct value)
    B_p         AES-CMAC(K_p,  V_1 ‖ V_2 ‖ …)                       (block secret, never leaves the agency)
    block id    AES-CMAC(K''_p, B_p), 64 bits                       (published)
    token       AES-CMAC(K'_p, B_p ‖ V_f), 16 or 32 bits            (published)

A token is equal for two records only when the block *and* the value are equal; elsewhere it is noise.
The specification is docs/spec/sealing-v1.md.

A pass is sealed in two steps, so that memory stays flat: block ids of all versions, which tell the crowded cells; then
batch by batch the tokens. Batches are made by two threads ahead of the writer: AES holds the interpreter's lock, the
gathering and masking around it does not.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.coding import Codes, Column, Mapped
from hashing.derive import NameSet, rarity
from hashing.keys import TokenKeys
from schemas.payload import pass_schema, token_type
from schemas.scheme import DERIVED, TOKENS, Pass

RandomBytes = Callable[[int], bytes]

BATCH_ROWS = 1 << 17
"""Rows of a record batch: about 10 MB of tokens."""

SLICE_ROWS = 1 << 13
"""Rows that are sealed at a time: the buffers of a token column then stay in a core's own cache."""

WORKERS = 2


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Digests:
    """V_f of every version: a table of distinct values, and which of them each version has.

    Attributes:
        source: Shape (versions,): row of `blocks` of each version, -1 where there is no value; None when `blocks` has
            one row a version.
        blocks: Digests; the last row, zero, stands for a missing value.
        held: Whether each row of `blocks` is a value; of a rarity class: whether there is a name at all.
        member: Whether each row of `blocks` belongs to the class; None where there is no class.
    """

    source: Codes | None
    blocks: Blocks
    held: NDArray[np.bool_]
    member: NDArray[np.bool_] | None = None

    def at(self, rows: NDArray[np.int64]) -> NDArray[np.int64] | Codes:
        """Return the rows of `blocks` that `rows` have."""
        return rows if self.source is None else self.source[rows]


def _with_missing(blocks: Blocks) -> Blocks:
    return np.vstack([blocks, np.zeros((1, 2), dtype=np.uint64)])


def _of_mapped(
    name: str, column: Mapped, keys: TokenKeys, member: NDArray[np.bool_] | None = None
) -> _Digests:
    digests = _with_missing(keys.digests(name, column.values))
    inside = None if member is None else np.append(member, False)[column.table]
    return _Digests(
        source=column.source,
        blocks=np.ascontiguousarray(digests[column.table]),
        held=column.table >= 0,
        member=inside,
    )


def _of_name_set(column: NameSet, keys: TokenKeys) -> _Digests:
    """V of both names in order of their own digests (as pairs of little-endian numbers), one row a version."""
    each, together = keys.name_set()
    names = _with_missing(each.mac_texts(column.forename.values))
    held = np.zeros(len(column.forename.source), dtype=bool)
    blocks = np.zeros((len(held), 2), dtype=np.uint64)
    for start in range(0, len(held), SLICE_ROWS):
        rows = slice(start, start + SLICE_ROWS)
        left, right = (
            np.take(each_name.table, each_name.source[rows], mode="wrap")
            for each_name in (column.forename, column.surname)
        )
        one, two = names[left], names[right]
        swap = (one[:, 0] > two[:, 0]) | ((one[:, 0] == two[:, 0]) & (one[:, 1] > two[:, 1]))
        first, second = np.where(swap[:, None], two, one), np.where(swap[:, None], one, two)
        held[rows] = (left >= 0) & (right >= 0)
        blocks[rows] = together.mac([first, second])
    return _Digests(source=None, blocks=blocks, held=held)


def _digests(derived: Mapping[str, Column], keys: TokenKeys, needed: frozenset[str]) -> dict[str, _Digests]:
    """Compute V_f of every distinct value once."""
    made: dict[str, _Digests] = {}
    for name, column in derived.items():
        if name not in needed:
            continue
        if isinstance(column, NameSet):
            made[name] = _of_name_set(column, keys)
        elif isinstance(column, Mapped):
            made[name] = _of_mapped(name, column, keys)
    for field in ("forename", "surname"):
        exact = derived.get(f"{field}.exact")
        if isinstance(exact, Mapped):
            for kind, member in rarity(exact).items():
                made[f"{field}.{kind}"] = _of_mapped(f"{field}.{kind}", exact, keys, member)
    return made


class _Buffers:
    """Buffers of one thread."""

    def __init__(self) -> None:
        self.blocks = np.empty((SLICE_ROWS, 2), dtype=np.uint64)
        self.output = np.empty(16 * SLICE_ROWS + 15, dtype=np.uint8)


class _PassSealer:
    """Seals slices of one pass.

    Args:
        blocking: The pass.
        digests: Digests of all derived values.
        keys: Keys of the run.
    """

    def __init__(self, blocking: Pass, digests: Mapping[str, _Digests], keys: TokenKeys) -> None:
        self.blocking = blocking
        self._parts = [digests[part] for part in blocking.parts]
        self._tokens = [(name, digests.get(name)) for name in blocking.tokens]
        self._secret = keys.block_secret(blocking)
        self._id = keys.block_id(blocking)
        self._comparison = keys.comparison(blocking)

    def for_thread(self) -> _PassSealer:
        """Return the same sealer with cipher contexts of its own."""
        other = object.__new__(_PassSealer)
        other.blocking, other._parts, other._tokens = self.blocking, self._parts, self._tokens
        other._secret, other._id = self._secret.for_thread(), self._id.for_thread()
        other._comparison = self._comparison.for_thread()
        return other

    def _secrets(self, rows: NDArray[np.int64]) -> Blocks:
        return self._secret.mac([np.take(part.blocks, part.at(rows), axis=0) for part in self._parts])

    def block_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the block id of each of `rows`."""
        ids = np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), SLICE_ROWS):
            part = rows[start : start + SLICE_ROWS]
            ids[start : start + len(part)] = self._id.mac([self._secrets(part)]).view("<i8")[:, 0]
        return ids

    def block_ids_alone(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return `block_ids` in a thread of its own."""
        return self.for_thread().block_ids(rows)

    def batch(
        self, rows: NDArray[np.int64], ids: NDArray[np.int64], noise: Mapping[str, NDArray[np.uint16]]
    ) -> pa.RecordBatch:
        """Return the record batch of `rows`, whose block ids are known.

        Args:
            rows: Versions.
            ids: Their block ids.
            noise: Random tokens of `rows` for each rarity class.
        """
        size = len(rows)
        tokens = {
            name: np.empty(size, dtype=_WIDTHS[DERIVED[name].bits]) for name, held in self._tokens if held
        }
        missing = {name: np.zeros(size, dtype=bool) for name in tokens}
        buffers = _Buffers()
        for start in range(0, size, SLICE_ROWS):
            piece = slice(start, min(start + SLICE_ROWS, size))
            part = rows[piece]
            # Both rows of a pair share the prefix, so its chaining state and the mask of the last block are made once.
            state = (
                self._comparison.prefix([self._secrets(part)], rows=len(part)) ^ self._comparison.last_mask
            )
            for name, held in self._tokens:
                if held is not None:
                    missing[name][piece] = self._tokens_into(
                        tokens[name][piece], held, part, state, buffers, noise.get(name, _NO_NOISE)[piece]
                    )
        columns = [
            pa.nulls(size, token_type(name))
            if held is None
            else pa.array(tokens[name], mask=missing[name] if missing[name].any() else None)
            for name, held in self._tokens
        ]
        versions = pa.array(rows.astype(np.int32))
        return pa.RecordBatch.from_arrays(
            [versions, pa.array(ids), *columns], schema=pass_schema(self.blocking)
        )

    def _tokens_into(
        self,
        target: NDArray[np.uint16] | NDArray[np.uint32],
        digests: _Digests,
        rows: NDArray[np.int64],
        state: Blocks,
        buffers: _Buffers,
        noise: NDArray[np.uint16],
    ) -> NDArray[np.bool_]:
        """Fill `target` with the tokens of `rows`; return where the value is missing."""
        blocks = buffers.blocks[: len(rows)]
        at = digests.at(rows)
        np.take(digests.blocks, at, axis=0, out=blocks, mode="wrap")  # -1: the last row
        np.bitwise_xor(blocks, state, out=blocks)
        macs = self._comparison.encrypt_into(blocks, buffers.output[: blocks.nbytes + 15])
        width = target.dtype.newbyteorder("<")
        target[:] = macs.view(width)[:, 0]
        if digests.member is not None:
            # Outside its rarity class a name gets a random token: nothing shows unless two records agree.
            outside = ~np.take(digests.member, at, mode="wrap")
            target[outside] = noise[outside]
        return ~np.take(digests.held, at, mode="wrap")


_WIDTHS = {16: np.uint16, 32: np.uint32}
_NO_NOISE = np.zeros(0, dtype=np.uint16)


def _complete(blocking: Pass, digests: Mapping[str, _Digests], versions: int) -> NDArray[np.int64]:
    """Return the versions that hold every part of the pass."""
    held = np.ones(versions, dtype=bool)
    for part in blocking.parts:
        if part not in digests:
            return np.zeros(0, dtype=np.int64)
        found = digests[part]
        held &= found.held if found.source is None else np.take(found.held, found.source, mode="wrap")
    return np.flatnonzero(held)


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
    blocking: Pass, rows: NDArray[np.int64], digests: Mapping[str, _Digests], random_bytes: RandomBytes
) -> dict[str, NDArray[np.uint16]]:
    """Draw random tokens for every row and rarity class of the pass, in the order of its columns."""
    classes = [name for name in blocking.tokens if name in digests and digests[name].member is not None]
    return {name: np.frombuffer(random_bytes(2 * len(rows)), dtype="<u2") for name in classes}


def _batches(
    sealer: _PassSealer,
    rows: NDArray[np.int64],
    ids: NDArray[np.int64],
    digests: Mapping[str, _Digests],
    pool: ThreadPoolExecutor,
    random_bytes: RandomBytes,
) -> Iterator[pa.RecordBatch]:
    """Yield the batches in order, `WORKERS` of them being made ahead."""
    ahead: deque[Future[pa.RecordBatch]] = deque()
    for piece in _pieces(len(rows)):
        noise = _noise(sealer.blocking, rows[piece], digests, random_bytes)
        ahead.append(pool.submit(sealer.for_thread().batch, rows[piece], ids[piece], noise))
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
    digests = _digests(derived, keys, needed)
    versions = max((_rows(column) for column in derived.values()), default=0)
    with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="seal") as pool:
        for blocking in passes:
            complete = _complete(blocking, digests, versions)
            if len(complete) == 0:
                yield SealedPass(
                    blocking=blocking, batches=iter(()), sealed=0, incomplete=versions, crowded=0
                )
                continue
            sealer = _PassSealer(blocking, digests, keys)
            pieces = [complete[piece] for piece in _pieces(len(complete))]
            ids = np.concatenate(list(pool.map(sealer.block_ids_alone, pieces)))
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
