"""Seal subjects: every pass in batches, with crowded cells left out.

A pass is sealed in two steps, so that memory stays flat: block ids of all versions, which tell the crowded cells; then
batch by batch the tokens (`hashing.tokens`). Workers make the next batches, across passes, while one is written.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from mmap import mmap
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.coding import Column, Mapped, suspects
from hashing.derive import NameSet
from hashing.digests import Digests, digests_of
from hashing.keys import TokenKeys
from hashing.native import codes as native
from hashing.room import BatchRoom, copied, room_bytes, shared, shared_array
from hashing.tokens import PassSealer, RandomBytes, keystream, noise_of
from hashing.workers import Workers, threads_for, workers_for
from schemas.payload import pass_schema
from schemas.scheme import TOKENS, Pass

__all__ = ["BATCH_ROWS", "RandomBytes", "SealedPass", "Sealing", "roomy", "seal", "sealing"]

T = TypeVar("T")

BATCH_ROWS = 1 << 17
"""Rows of a record batch: about 10 MB of tokens."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedPass:
    """The sealed rows of one pass.

    Attributes:
        blocking: The pass.
        batches: Record batches with the schema `schemas.payload.pass_schema`; to be read once, and each only
            until the next is asked for, as they lie in memory that is used again.
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
        return pa.Table.from_batches(map(copied, self.batches), schema=pass_schema(self.blocking))


def _complete(blocking: Pass, digests: Digests) -> NDArray[np.int32]:
    """Return the versions that hold every part of the pass."""
    if any(part not in digests.bits for part in blocking.parts):
        return np.zeros(0, dtype=np.int32)
    wanted = np.bitwise_or.reduce([digests.bits[part] for part in blocking.parts])
    if native.available():
        return native.holding(digests.held, wanted)
    return np.flatnonzero((digests.held & wanted) == wanted).astype(np.int32)


def roomy(ids: NDArray[np.int64], crowded_cell: int) -> NDArray[np.bool_]:
    """Return which block ids occur at most `crowded_cell` times.

    Ids are pseudorandom, so their last bits spread over buckets; only ids in buckets with too many rows can be crowded,
    and only those few are counted one by one.
    """
    kept = np.ones(len(ids), dtype=bool)
    rows = suspects(ids.view(np.uint64), crowded_cell)
    if len(rows):
        _, place, count = np.unique(ids[rows], return_inverse=True, return_counts=True)
        kept[rows] = count[place] <= crowded_cell
    return kept


def _pieces(rows: int) -> list[slice]:
    return [slice(start, min(start + BATCH_ROWS, rows)) for start in range(0, rows, BATCH_ROWS)]


_TURNS = 3
"""Passes whose rows and block ids are kept at a time: one that is written, one made, one whose block ids are made."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """What workers share.

    Attributes:
        digests: Digests of all versions.
        keys: Keys of the run.
        passes: Its passes.
        rows: The versions that take part in a pass, by turns.
        ids: Their block ids, by turns.
        rooms: Room for one batch each.
    """

    digests: Digests
    keys: TokenKeys
    passes: tuple[Pass, ...]
    rows: tuple[NDArray[np.int32], ...]
    ids: tuple[NDArray[np.int64], ...]
    rooms: tuple[mmap, ...]

    def sealer(self, index: int) -> PassSealer:
        return PassSealer(self.passes[index], self.digests, self.keys)

    def room(self, index: int, room: int, rows: int) -> BatchRoom:
        return BatchRoom(self.rooms[room], self.passes[index], rows)


def _job(digests: Digests, keys: TokenKeys, passes: tuple[Pass, ...], *, rooms: int) -> _Job:
    versions = len(digests.held)
    largest = max((room_bytes(blocking, min(versions, BATCH_ROWS)) for blocking in passes), default=0)
    return _Job(
        digests=digests,
        keys=keys,
        passes=passes,
        rows=tuple(shared_array(versions, np.int32) for _ in range(_TURNS)),
        ids=tuple(shared_array(versions, np.int64) for _ in range(_TURNS)),
        rooms=tuple(shared(largest) for _ in range(rooms)),
    )


def _do(work: Callable[[], Any]) -> Any:
    return work()


def _make_ids(job: _Job, index: int, piece: slice) -> None:
    turn = index % _TURNS
    job.ids[turn][piece] = job.sealer(index).block_ids(job.rows[turn][piece])


def _make_batch(
    job: _Job, index: int, piece: slice, room: int, noise: Mapping[str, NDArray[np.uint16]] | None
) -> dict[str, int]:
    turn = index % _TURNS
    rows, ids = job.rows[turn][piece], job.ids[turn][piece]
    if noise is None:
        noise = noise_of(job.passes[index], len(rows), job.digests, keystream())
    return job.sealer(index).fill(job.room(index, room, len(rows)), rows, ids, noise)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Begun:
    """A pass whose crowded cells are known; its batches follow."""

    blocking: Pass
    sealed: int
    incomplete: int
    crowded: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Batch:
    """A batch that is being made."""

    index: int
    rows: int
    room: int
    missing: Future[dict[str, int]]


class _Batches:
    """Has workers make the batches of all passes in order, always some ahead.

    Args:
        job: What is sealed; as many batches as it has rooms are ahead of the reader.
        workers: Who does it.
        crowded_cell: Largest number of versions in one cell of a pass.
        random_bytes: Source of the tokens outside a rarity class.
    """

    def __init__(self, job: _Job, workers: Workers, *, crowded_cell: int, random_bytes: RandomBytes) -> None:
        self._job, self._workers = job, workers
        self._crowded_cell, self._random = crowded_cell, random_bytes
        self._free = deque(range(len(job.rooms)))
        self._last: dict[int, list[Future[dict[str, int]]]] = {turn: [] for turn in range(_TURNS)}
        self._steps = self._all_steps()
        self._made: deque[_Begun | _Batch] = deque()
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Keep every worker busy, and a batch ready."""
        while self._free and (step := next(self._steps, None)) is not None:
            self._made.append(step)

    def _all_steps(self) -> Iterator[_Begun | _Batch]:
        count = len(self._job.passes)
        ahead = self._begin(0) if count else None
        for index in range(count):
            assert ahead is not None  # noqa: S101 - begun one turn ago
            complete, ids = ahead
            for future in ids:
                self._workers.result(future)
            # The block ids of the next pass are made before the tokens of this one, so that nobody waits for them.
            ahead = self._begin(index + 1) if index + 1 < count else None
            yield from self._steps_of(index, complete)

    def _begin(self, index: int) -> tuple[int, list[Future[None]]]:
        """Have the block ids made of the versions that hold every part of the pass; return how many they are."""
        turn = index % _TURNS
        wait(self._last[turn])  # the batches of an earlier pass, whose rows lie here
        rows = _complete(self._job.passes[index], self._job.digests)
        self._job.rows[turn][: len(rows)] = rows
        return len(rows), [self._workers.submit(_make_ids, index, piece) for piece in _pieces(len(rows))]

    def _steps_of(self, index: int, complete: int) -> Iterator[_Begun | _Batch]:
        turn, blocking = index % _TURNS, self._job.passes[index]
        rows, ids = self._job.rows[turn], self._job.ids[turn]
        kept = roomy(ids[:complete], self._crowded_cell)
        sealed = int(np.count_nonzero(kept))
        if sealed < complete:
            rows[:sealed], ids[:sealed] = rows[:complete][kept], ids[:complete][kept]
        yield _Begun(
            blocking=blocking,
            sealed=sealed,
            incomplete=len(self._job.digests.held) - complete,
            crowded=complete - sealed,
        )
        self._last[turn] = []
        for piece in _pieces(sealed):
            made = self._submit(index, piece)
            self._last[turn].append(made.missing)
            yield made

    def _submit(self, index: int, piece: slice) -> _Batch:
        room, rows = self._free.popleft(), piece.stop - piece.start
        noise = None
        if self._random is not os.urandom:  # a source with a state of its own is asked here, in order
            noise = noise_of(self._job.passes[index], rows, self._job.digests, self._random)
        missing = self._workers.submit(_make_batch, index, piece, room, noise)
        return _Batch(index=index, rows=rows, room=room, missing=missing)

    def passes(self) -> Iterator[SealedPass]:
        """Yield every pass; batches that the caller left unread are thrown away."""
        for _ in self._job.passes:
            begun = self._made.popleft()
            assert isinstance(begun, _Begun)  # noqa: S101 - the batches before it were read
            batches = self._batches()
            yield SealedPass(
                blocking=begun.blocking,
                batches=batches,
                sealed=begun.sealed,
                incomplete=begun.incomplete,
                crowded=begun.crowded,
            )
            deque(batches, maxlen=0)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while self._made and isinstance(step := self._made[0], _Batch):
            self._made.popleft()
            missing = self._workers.result(step.missing)
            yield self._job.room(step.index, step.room, step.rows).batch(missing)
            self._free.append(step.room)
            self._look_ahead()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealing(Generic[T]):
    """A sealing that has begun.

    Attributes:
        passes: Each pass, in order; the batches of one are to be read before the next is asked for.
        beside: Waits for what the work beside it returns.
    """

    passes: Iterator[SealedPass]
    beside: Callable[[], T]


@contextmanager
def sealing(
    derived: Mapping[str, Column],
    passes: tuple[Pass, ...],
    keys: TokenKeys,
    *,
    crowded_cell: int,
    beside: Callable[[], T],
    random_bytes: RandomBytes = os.urandom,
    workers: int | None = None,
) -> Iterator[Sealing[T]]:
    """Begin to seal.

    Args:
        derived: Derived values of every version (`hashing.derive.derive`).
        passes: Blocking passes of the agreement.
        keys: Keys of the run.
        crowded_cell: Largest number of versions in one cell of a pass; records of larger cells skip the pass.
        beside: Other work on the same values, begun before anything is sealed, in a process of its own where several
            share the work. Only what it returns comes back from there.
        random_bytes: Source of the tokens outside a rarity class.
        workers: Processes that share the work; None for as many as pay, or threads where none can be forked
            (`hashing.workers`).

    Raises:
        OutputError: A process that shared the work was ended from outside.
    """
    needed = frozenset(TOKENS) | {part for blocking in passes for part in blocking.parts}
    versions = max((_rows(column) for column in derived.values()), default=0)
    count = workers_for(versions) if workers is None else workers
    threads = threads_for(versions) if workers is None and count == 1 else 0
    with ExitStack() as stack:
        aside = stack.enter_context(closing(Workers(beside, 1, apart=count > 1)))
        other = aside.submit(_do)
        aside.end_with(other)
        digests = digests_of(derived, keys, needed, versions=versions)
        # Rooms: one a worker, one that is ready, one that is written.
        job = _job(digests, keys, passes, rooms=max(count, threads) + 2)
        team = stack.enter_context(closing(Workers(job, threads or count, threads=threads > 0)))
        made = _Batches(job, team, crowded_cell=crowded_cell, random_bytes=random_bytes)
        yield Sealing(passes=made.passes(), beside=lambda: aside.result(other))


def seal(
    derived: Mapping[str, Column],
    passes: tuple[Pass, ...],
    keys: TokenKeys,
    *,
    crowded_cell: int,
    random_bytes: RandomBytes = os.urandom,
    workers: int | None = None,
) -> Iterator[SealedPass]:
    """Yield the passes of a `sealing` until they are exhausted or closed."""
    with sealing(
        derived,
        passes,
        keys,
        crowded_cell=crowded_cell,
        beside=lambda: None,
        random_bytes=random_bytes,
        workers=workers,
    ) as begun:
        yield from begun.passes


def _rows(column: Column) -> int:
    if isinstance(column, Mapped):
        return len(column.source)
    return len(column.forename.source) if isinstance(column, NameSet) else len(column.codes)
