"""Block ids and comparison tokens of the versions of one pass, slice by slice.

    V_f(x)      AES-CMAC(field key, x), 128 bits                    (once a distinct value)
    B_p         AES-CMAC(K_p,  V_1 ‖ V_2 ‖ …)                       (block secret, never leaves the agency)
    block id    AES-CMAC(K''_p, B_p), 64 bits                       (published)
    token       AES-CMAC(K'_p, B_p ‖ V_f), 16 or 32 bits            (published)

A token is equal for two records only when the block *and* the value are equal; elsewhere it is noise.
The specification is docs/spec/sealing-v1.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.digests import SLICE_ROWS, Digests
from hashing.keys import TokenKeys
from hashing.room import BatchRoom
from schemas.scheme import Pass, column

RandomBytes = Callable[[int], bytes]


class _Buffers:
    """Room for the blocks of a slice, and for what they encrypt to."""

    def __init__(self) -> None:
        self.blocks = np.empty((SLICE_ROWS, 2), dtype=np.uint64)
        self.output = np.empty(16 * SLICE_ROWS + 15, dtype=np.uint8)


def noise_of(
    blocking: Pass, rows: int, digests: Digests, random_bytes: RandomBytes
) -> dict[str, NDArray[np.uint16]]:
    """Draw random tokens for every row and rarity class of the pass, in the order of its columns."""
    classes = [name for name in blocking.tokens if name in digests.classes]
    return {name: np.frombuffer(random_bytes(2 * rows), dtype="<u2") for name in classes}


class PassSealer:
    """Seals the versions of one pass; one thread at a time uses it.

    Args:
        blocking: The pass.
        digests: Digests of all derived values; all parts of the pass are among them.
        keys: Keys of the run.
    """

    def __init__(self, blocking: Pass, digests: Digests, keys: TokenKeys) -> None:
        self.blocking = blocking
        self._digests = digests
        self._tokens = [name for name in blocking.tokens if name in digests.values]
        self._secret = keys.block_secret(blocking)
        self._id = keys.block_id(blocking)
        self._comparison = keys.comparison(blocking)

    def _secrets(self, rows: NDArray[np.int64], room: _Buffers) -> Blocks:
        """Return the block secret of each of `rows`: AES-CMAC over the digests of the parts."""
        blocks = room.blocks[: len(rows)]
        state: Blocks | None = None
        for count, part in enumerate(self.blocking.parts, start=1):
            self._digests.values[part].fetch(rows, blocks)
            if state is not None:
                np.bitwise_xor(blocks, state, out=blocks)
            if count == len(self.blocking.parts):
                np.bitwise_xor(blocks, self._secret.last_mask, out=blocks)
            state = self._secret.encrypt(blocks)
        assert state is not None  # noqa: S101 - a pass has parts
        return state

    def block_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the block id of each of `rows`."""
        ids, room = np.empty(len(rows), dtype=np.int64), _Buffers()
        for start in range(0, len(rows), SLICE_ROWS):
            part = rows[start : start + SLICE_ROWS]
            ids[start : start + len(part)] = self._id.mac([self._secrets(part, room)]).view("<i8")[:, 0]
        return ids

    def fill(
        self,
        room: BatchRoom,
        rows: NDArray[np.int64],
        ids: NDArray[np.int64],
        noise: Mapping[str, NDArray[np.uint16]],
    ) -> dict[str, int]:
        """Write the batch of `rows` into `room`.

        Args:
            room: Where it goes.
            rows: Versions.
            ids: Their block ids.
            noise: Random tokens of `rows` for each rarity class.

        Returns:
            Column -> missing values, for the columns that hold any value.
        """
        columns = {name: room.columns[column(name)] for name in self._tokens}
        buffers = _Buffers()
        for start in range(0, len(rows), SLICE_ROWS):
            piece = slice(start, min(start + SLICE_ROWS, len(rows)))
            self._seal_slice(rows[piece], {name: made[piece] for name, made in columns.items()}, buffers)
        member = self._digests.member[rows]
        for name in noise:
            # Outside its rarity class a name gets a random token: nothing shows unless two records agree.
            outside = (member & self._digests.bits[name]) == 0
            np.copyto(columns[name], noise[name], where=outside)
        room.columns["version"][:] = rows
        room.columns["block"][:] = ids
        return {"version": 0, "block": 0} | self._mark_missing(room, rows)

    def _mark_missing(self, room: BatchRoom, rows: NDArray[np.int64]) -> dict[str, int]:
        held, missing = self._digests.held[rows], {}
        for name in self._tokens:
            present = (held & self._digests.bits[name]) != 0
            missing[column(name)] = len(rows) - int(np.count_nonzero(present))
            if missing[column(name)]:
                room.present[column(name)][:] = np.packbits(present, bitorder="little")
        return missing

    def _seal_slice(
        self, rows: NDArray[np.int64], tokens: Mapping[str, NDArray[np.generic]], room: _Buffers
    ) -> None:
        """Fill `tokens` with those of `rows`, whatever is missing included."""
        secrets = self._secrets(rows, room)
        # All tokens of a row begin with its block secret, so that block is enciphered once.
        state = self._comparison.prefix([secrets], rows=len(rows)) ^ self._comparison.last_mask
        blocks, output = room.blocks[: len(rows)], room.output[: 16 * len(rows) + 15]
        for name, made in tokens.items():
            self._digests.values[name].fetch(rows, blocks)
            np.bitwise_xor(blocks, state, out=blocks)
            made[:] = self._comparison.encrypt_into(blocks, output).view(made.dtype)[:, 0]
