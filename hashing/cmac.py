"""AES-CMAC in batches: NIST SP 800-38B over many messages of whole blocks at once.

Messages here are always a whole number of 16-byte blocks, so the last block is masked with subkey K1 and no
padding is needed (SP 800-38B, section 6.2). One ECB call encrypts a whole column of blocks; ECB serves only as
the raw block cipher inside the CMAC chaining.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

Blocks = NDArray[np.uint64]
"""Shape (n, 2), C-contiguous: n AES blocks, their 16 bytes viewed as two machine words."""

_BLOCK = 16
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


class BatchCmac:
    """AES-CMAC under one key.

    Args:
        key: 16, 24 or 32 bytes.

    Raises:
        ValueError: The key has another length.
    """

    __slots__ = ("_encryptor", "_k1")

    def __init__(self, key: bytes) -> None:
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        zero = self.encrypt(np.zeros((1, 2), dtype=np.uint64)).tobytes()
        self._k1 = as_blocks(_double(zero))

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
