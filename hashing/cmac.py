"""AES-CMAC in batches: NIST SP 800-38B over many messages of whole blocks at once.

Messages of tokens are a whole number of 16-byte blocks, so their last block is masked with subkey K1; texts of any
length are padded and masked with K2 where they end inside a block (SP 800-38B, section 6.2). One ECB call encrypts a
whole column of blocks; ECB serves only as the raw block cipher inside the CMAC chaining.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

Blocks = NDArray[np.uint64]
"""Shape (n, 2), C-contiguous: n AES blocks, their 16 bytes viewed as two machine words."""

_BLOCK = 16
_WORD = 8
_R128 = 0x87
"""Constant R_128 of SP 800-38B, section 5.3."""


def _double(block: bytes) -> bytes:
    """Multiply by x in GF(2^128): the subkey step of SP 800-38B, section 6.1."""
    shifted = int.from_bytes(block, "big") << 1
    if shifted >> 128:
        shifted = (shifted ^ _R128) & ((1 << 128) - 1)
    return shifted.to_bytes(_BLOCK, "big")


def as_blocks(data: bytes) -> Blocks:
    """View `data`, a multiple of 16 bytes, as blocks of shape (n, 2)."""
    return np.frombuffer(data, dtype=np.uint64).reshape(-1, 2)


_TEXT_BYTES = 1 << 22
"""Bytes of texts that are padded at a time."""


def _words_of(texts: pa.StringArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint64]]:
    """Return the length and start of each text, and what they lie in as aligned little-endian words.

    At least one word follows each word that a text reaches into.
    """
    _, ends, content = texts.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32, count=len(texts) + 1, offset=4 * texts.offset)
    first, last = int(offsets[0]), int(offsets[-1])
    data = np.zeros(last - first + 3 * _WORD & -_WORD, dtype=np.uint8)
    if last > first:
        data[: last - first] = np.frombuffer(content, dtype=np.uint8, count=last - first, offset=first)
    starts = offsets.astype(np.int64) - first
    return np.diff(starts), starts[:-1], data.view("<u8")


def _pieces(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    step = max(size, 1)
    return [rows[start : start + step] for start in range(0, len(rows), step)]


_KEEP = np.array([(1 << (8 * size)) - 1 for size in range(_WORD + 1)], dtype=np.uint64)
"""Mask of the first n bytes of a little-endian word."""
_END = np.array([0, *(0x80 << (8 * size) for size in range(_WORD)), 0], dtype=np.uint64)
"""At n + 1: the bit that follows a text of which n bytes stand in a word; none before its first and in a full word."""


def _padded(
    words: NDArray[np.uint64], starts: NDArray[np.int64], sizes: NDArray[np.int64], *, width: int
) -> NDArray[np.uint64]:
    """Return texts as blocks, shape (n, width / 16, 2): the text, a bit 1 and zeros, unless it fills them."""
    padded = np.empty((len(starts), width // _WORD), dtype="<u8")
    place, last = starts >> 3, len(words) - 1
    shift = ((starts & 7) << 3).astype(np.uint64)
    back = np.uint64(63) - shift
    low = words.take(place, mode="clip")
    for at in range(width // _WORD):
        # The bytes of a text lie across two aligned words; the second one is the first of the next step.
        high = words.take(np.minimum(place + (at + 1), last))
        left = sizes - at * _WORD
        word = (low >> shift) | ((high << np.uint64(1)) << back)
        word &= _KEEP.take(left, mode="clip")
        padded[:, at] = word | _END.take(left + 1, mode="clip")
        low = high
    return padded.view(np.uint64).reshape(len(starts), width // _BLOCK, 2)


class BatchCmac:
    """AES-CMAC under one key.

    Args:
        key: 16, 24 or 32 bytes.

    Raises:
        ValueError: The key has another length.
    """

    __slots__ = ("_cipher", "_encryptor", "_k1", "_k2")

    def __init__(self, key: bytes) -> None:
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        self._encryptor = self._cipher.encryptor()
        zero = self.encrypt(np.zeros((1, 2), dtype=np.uint64)).tobytes()
        self._k1 = as_blocks(_double(zero))
        self._k2 = as_blocks(_double(_double(zero)))

    def for_thread(self) -> BatchCmac:
        """Return the same CMAC with a cipher context of its own: one context serves one thread at a time."""
        other = object.__new__(BatchCmac)
        other._cipher, other._k1, other._k2 = self._cipher, self._k1, self._k2
        other._encryptor = self._cipher.encryptor()
        return other

    def __repr__(self) -> str:
        return "BatchCmac(key hidden)"

    def encrypt(self, blocks: Blocks) -> Blocks:
        """Return AES(key, block) for each of `blocks`, shape (n, 2)."""
        source = np.ascontiguousarray(blocks)
        size = source.nbytes
        # update_into asks for room for one block less a byte beyond the output.
        out = np.empty(size + _BLOCK - 1, dtype=np.uint8)
        if size:
            self._encryptor.update_into(source.view(np.uint8).reshape(-1).data, out.data)
        return out[:size].view(np.uint64).reshape(-1, 2)

    @property
    def last_mask(self) -> Blocks:
        """The subkey K1, shape (1, 2): what a last block that is whole is masked with."""
        return self._k1

    def update(self, source: memoryview, target: memoryview) -> None:
        """Encrypt the blocks of `source` into `target`, which has 15 bytes more than they."""
        self._encryptor.update_into(source, target)

    def mac_texts(self, texts: pa.StringArray) -> Blocks:
        """Return the CMAC of each text's UTF-8 bytes, shape (n, 2).

        Args:
            texts: n texts, no nulls.
        """
        sizes, starts, words = _words_of(texts)
        macs = np.empty((len(texts), 2), dtype=np.uint64)
        blocks = np.maximum(1, (sizes + (_BLOCK - 1)) >> 4)
        for count in np.flatnonzero(np.bincount(blocks)).tolist():
            for group in _pieces(np.flatnonzero(blocks == count), _TEXT_BYTES // (count * _BLOCK)):
                padded = _padded(words, starts[group], sizes[group], width=count * _BLOCK)
                message = [np.ascontiguousarray(padded[:, n]) for n in range(count)]
                message[-1] ^= self._k2
                whole = np.flatnonzero(sizes[group] == count * _BLOCK)
                message[-1][whole] ^= self._k1 ^ self._k2
                if count > 1:
                    message[-1] ^= self.prefix(message[:-1], rows=len(group))
                macs[group] = self.encrypt(message[-1])
        return macs

    def mac(self, message: Sequence[Blocks]) -> Blocks:
        """Return the CMAC of n messages at once, shape (n, 2).

        Args:
            message: Block 1 of every message, then block 2 of every message, and so on; at least one.
        """
        state = self.prefix(message[:-1], rows=len(message[-1]))
        return self.finish(state, message[-1])

    def prefix(self, message: Sequence[Blocks], *, rows: int) -> Blocks:
        """Return the chaining state after `message`; `finish` completes it. Messages can share a prefix."""
        state = np.zeros((rows, 2), dtype=np.uint64)
        for block in message:
            state = self.encrypt(state ^ block)
        return state

    def finish(self, state: Blocks, last: Blocks) -> Blocks:
        """Return the CMACs of the messages whose chaining state is `state` and whose last block is `last`."""
        return self.encrypt(state ^ last ^ self._k1)
