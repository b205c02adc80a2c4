"""Block ids and comparison tokens of the versions of one pass, slice by slice.

    V_f(x)      AES-CMAC(field key, x), 128 bits                    (once a distinct value)
    B_p         AES-CMAC(K_p,  V_1 ‖ V_2 ‖ …)                       (block secret, never leaves the agency)
    block id    AES-CMAC(K''_p, B_p), 64 bits                       (published)
    token       AES-CMAC(K'_p, B_p ‖ V_f), 16 or 32 bits            (published)

A token is equal for two records only when the block *and* the value are equal; elsewhere it is noise.
The specification is docs/spec/sealing-v1.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from hashing.cmac import Blocks
from hashing.coding import Codes, words_at
from hashing.digests import SLICE_ROWS, Digests
from hashing.keys import TokenKeys
from hashing.native import tokens as native
from hashing.places import Places
from hashing.room import BatchRoom
from hashing.side_by_side import seal_columns
from schemas.scheme import Pass, column

RandomBytes = Callable[[int], bytes]


class _Slice:
    """Room for the blocks of some rows and for what they encrypt to, and every view of it that is needed.

    Args:
        rows: Rows of a slice; views are made once a batch, as making them takes as long as a thousand blocks.
    """

    def __init__(self, rows: int) -> None:
        self.rows, size = rows, 16 * rows
        self.zeros = np.zeros((rows, 2), dtype=np.uint64)
        # Either is encrypted into the other; `update_into` asks for 15 bytes more than it fills.
        given, made = np.empty((2, size + 16), dtype=np.uint8)
        self.source, self.back = given[:size].data, given[: size + 15].data
        self.target, self.again = made[: size + 15].data, made[:size].data
        self.blocks, self.made = (room[:size].view(np.uint64).reshape(-1, 2) for room in (given, made))
        self.tokens: dict[np.dtype[Any], NDArray[Any]] = {
            kind: self.made.view(kind)[:, 0] for kind in (np.dtype("<u2"), np.dtype("<u4"))
        }


class _Slices:
    """The slices of a batch: all of one length, but for a last one that may be shorter."""

    def __init__(self, rows: int) -> None:
        self._whole = _Slice(min(rows, SLICE_ROWS))
        self._last = _Slice(rows % SLICE_ROWS) if rows > SLICE_ROWS else self._whole
        self._pieces = [slice(start, min(start + SLICE_ROWS, rows)) for start in range(0, rows, SLICE_ROWS)]

    def __iter__(self) -> Iterator[tuple[slice, _Slice]]:
        for piece in self._pieces:
            yield piece, self._whole if piece.stop - piece.start == self._whole.rows else self._last


def _mark_present(held: NDArray[np.uint64], present: Mapping[np.uint64, NDArray[np.uint8]]) -> None:
    """Write for each bit of `present` a bit a row that says whether it is held."""
    if native.available():
        native.present(held, present)
        return
    for bit, bits in present.items():
        bits[:] = np.packbits((held & bit) != 0, bitorder="little")


def _replace_outside(
    member: NDArray[np.uint64], bit: np.uint64, noise: NDArray[np.uint16], tokens: NDArray[Any]
) -> None:
    """Replace the tokens of rows that are not in the class of `bit`."""
    if native.available():
        native.outside(member, bit, noise, tokens)
    else:
        np.copyto(tokens, noise, where=(member & bit) == 0)


def keystream() -> RandomBytes:
    """Return a source of random bytes that is several times as fast as the system's, for many tokens.

    AES-256 in counter mode (NIST SP 800-38A, section 6.5) under a key that the system's source drew for it.
    """
    encryptor = Cipher(algorithms.AES(os.urandom(32)), modes.CTR(os.urandom(16))).encryptor()
    return lambda size: encryptor.update(bytes(size))


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

    def _secrets(self, places: Places, piece: slice, room: _Slice) -> Blocks:
        """Return the block secret of each row of a slice, in `room.made`: AES-CMAC over the digests of the parts."""
        for count, part in enumerate(self.blocking.parts, start=1):
            places.fetch(part, piece, room.blocks, add=room.made if count > 1 else room.zeros)
            if count == len(self.blocking.parts):
                np.bitwise_xor(room.blocks, self._secret.last_mask, out=room.blocks)
            self._secret.update(room.source, room.target)
        return room.made

    def block_ids(self, rows: Codes) -> NDArray[np.int64]:
        """Return the block id of each of `rows`."""
        ids, places = np.empty(len(rows), dtype=np.int64), Places(self._digests, rows)
        for piece, room in _Slices(len(rows)):
            np.bitwise_xor(self._secrets(places, piece, room), self._id.last_mask, out=room.blocks)
            self._id.update(room.source, room.target)
            ids[piece] = room.made.view("<i8")[:, 0]
        return ids

    def fill(
        self,
        room: BatchRoom,
        rows: Codes,
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
        places, slices = Places(self._digests, rows), _Slices(len(rows))
        states = self._states(places, slices)
        outs = {name: room.columns[column(name)] for name in self._tokens}
        if native.available():
            seal_columns(self._tokens, self._digests, places, states, self._comparison.update, outs)
        else:
            # Column by column: the digests of one are few enough for the cache, those of all columns are not.
            for name, made in outs.items():
                self._seal_column(name, places, slices, states, made)
        member = words_at(self._digests.member, rows)
        for name in noise:
            # Outside its rarity class a name gets a random token: nothing shows unless two records agree.
            _replace_outside(member, self._digests.bits[name], noise[name], room.columns[column(name)])
        room.columns["version"][:] = rows
        room.columns["block"][:] = ids
        return {"version": 0, "block": 0} | self._mark_missing(room, rows)

    def _states(self, places: Places, slices: _Slices) -> Blocks:
        """Return for each row what its tokens begin with: its block secret, enciphered, and the mask of the end."""
        states = np.empty((places.rows, 2), dtype=np.uint64)
        for piece, room in slices:
            self._secrets(places, piece, room)
            self._comparison.update(room.again, room.back)
            np.bitwise_xor(room.blocks, self._comparison.last_mask, out=states[piece])
        return states

    def _seal_column(
        self, name: str, places: Places, slices: _Slices, states: Blocks, made: NDArray[np.generic]
    ) -> None:
        """Fill `made` with the tokens of a column, whatever is missing included."""
        for piece, room in slices:
            places.fetch(name, piece, room.blocks, add=states[piece])
            self._comparison.update(room.source, room.target)
            made[piece] = room.tokens[made.dtype]

    def _mark_missing(self, room: BatchRoom, rows: Codes) -> dict[str, int]:
        present = {self._digests.bits[name]: room.present[column(name)] for name in self._tokens}
        _mark_present(words_at(self._digests.held, rows), present)
        return {
            column(name): len(rows) - int(np.bitwise_count(room.present[column(name)]).sum())
            for name in self._tokens
        }
