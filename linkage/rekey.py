"""Re-keying at intake: every block id and token of a run goes through a random function that the unit forgets.

The agencies' tokens can be made again by anyone who holds the linkage secret. What the unit works on cannot: it is
the agencies' tokens under a key that exists only in memory and only while packages are taken in. Stolen run files
and a leaked linkage secret therefore do not join (docs/threat-model.md).

Everything hangs on the block: AES-128 (FIPS 197) of one input a value,

    block id, 8 bytes || token or 0, 4 || number of the pass, 2 || number of the column, 2

(a column that is compared with another one goes by the number of that one)

* A block id (column 0) becomes the first 64 bits.
* A 32-bit token becomes the first 32 bits.
* A 16-bit token becomes P2[P1[token ^ k1] ^ k2] ^ k3. The 16-bit words k1 to k3 come from AES with token 0 and column
  32,768 + n: the first three words for column 2n, the next three for column 2n + 1. P1 and P2 are random orders of all
  65,536 values, drawn for the run and forgotten with it. Truncated AES would do, but would make one pair of different
  tokens in 65,536 equal, and so give slightly other scores each time; this keeps different tokens different.

So values are equal when token and block were equal, and else only by a chance of 2^-32 (tokens) or 2^-64 (block ids).
The form for 16 bits is a key-alternating cipher of two rounds (Bogdanov et al., EUROCRYPT 2012; Chen and Steinberger,
EUROCRYPT 2014) whose permutations are secret too. No bound is proven for so short a word and so many keys. The argument
is that a key is used for the values of one column (or of the two that are compared with each other) in one block,
nearly always one or two and seldom more than three:
three of them hold 48 bits, as many as the fresh key that hides them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from schemas.scheme import DERIVED, column

KEY_BYTES = 16
_AES_BLOCK = 16
_CHUNK = 16_384
"""Values that are encrypted at a time: 256 KiB of AES blocks stay in the cache of a core."""
_PASS_SHIFT, _COLUMN_SHIFT = 32, 48
_SHORT = np.dtype(np.uint16)
_WORDS = 3
"""Words of key that a 16-bit token takes."""
_WORDS_FROM = 1 << 15
"""Columns 2n and 2n + 1 take their words from AES of column `_WORDS_FROM` + n, which no token has."""

Words = NDArray[np.uint16]


class Rekeying:
    """The function of one run. Use it in a `with` block: behind it, nobody can compute the function again.

    Args:
        random_bytes: Source of the key and of the two permutations.
    """

    __slots__ = ("_cipher", "_orders")

    def __init__(self, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        key = random_bytes(KEY_BYTES)
        self._cipher: Cipher[modes.ECB] | None = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - raw AES
        self._orders: tuple[Words, Words] = (_random_order(random_bytes), _random_order(random_bytes))

    def tokens(self, batch: pa.RecordBatch, *, index: int, first_version: int) -> pa.RecordBatch:
        """Return a batch of a token table as the run sees it: numbers shifted, everything else re-keyed.

        Args:
            batch: Columns `version` and `block`, then tokens of 16 or 32 bits; missing tokens stay missing.
            index: Number of the pass, below 65,536.
            first_version: What is added to `version`.

        Raises:
            ValueError: The function was forgotten.
        """
        if self._cipher is None:
            raise ValueError("this re-keying was forgotten")
        function = _Function(self._cipher, self._orders, index)
        block = _values(batch.column("block")).view(np.uint64)
        tokens = [_values(column) for column in batch.columns[2:]]
        made_block = np.empty_like(block)
        made = [np.empty_like(values) for values in tokens]
        numbers = _numbers(batch.schema.names[2:])
        for start in range(0, len(block), _CHUNK):
            rows = slice(start, start + _CHUNK)
            function.take(block[rows])
            made_block[rows] = function.of_column(0).view(np.uint64)[:, 0]
            for number, values, result in zip(numbers, tokens, made, strict=True):
                function.apply(values[rows], number, result[rows])
        version = _values(batch.column("version")) + np.int32(first_version)
        columns = [pa.array(version), pa.array(made_block.view(np.int64))]
        columns += [_like(old, new) for old, new in zip(batch.columns[2:], made, strict=True)]
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)

    def forget(self) -> None:
        """Drop the key and the permutations."""
        self._cipher = None
        for order in self._orders:
            order[:] = 0

    def __enter__(self) -> Rekeying:
        return self

    def __exit__(self, *_: object) -> None:
        self.forget()

    def __repr__(self) -> str:
        return "Rekeying(key hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a re-keying is not pickled: it must not outlive its run")


class _Function:
    """The function of one pass, with working memory for `_CHUNK` rows; each thread needs its own."""

    def __init__(self, cipher: Cipher[modes.ECB], orders: tuple[Words, Words], index: int) -> None:
        self._encryptor: Any = cipher.encryptor()
        self._orders = orders
        self._pass = index << _PASS_SHIFT
        self._room = np.zeros((_CHUNK, 2), dtype=np.uint64)
        self._inputs = self._room[:0]
        # update_into asks for room for one block less a byte beyond the output.
        self._results = np.empty(_CHUNK * _AES_BLOCK + _AES_BLOCK - 1, dtype=np.uint8)
        self._words_of = -1
        self._words: Words = np.empty((0, _AES_BLOCK // _SHORT.itemsize), dtype=_SHORT)

    def take(self, block: NDArray[np.uint64]) -> None:
        """Take the block ids of the rows that come next."""
        self._inputs = self._room[: len(block)]
        self._inputs[:, 0] = block
        self._words_of = -1

    def of_column(self, number: int) -> NDArray[np.uint8]:
        """Return AES of block, pass and column for each row; the next call overwrites it."""
        self._inputs[:, 1] = self._pass | number << _COLUMN_SHIFT
        return self._encrypted()

    def apply(self, token: NDArray[Any], number: int, result: NDArray[Any]) -> None:
        """Fill `result` with the function of the tokens of column `number`."""
        if token.dtype == _SHORT:
            self._permute(token, number, result)
            return
        place = np.uint64(self._pass | number << _COLUMN_SHIFT)
        np.add(token, place, out=self._inputs[:, 1], dtype=np.uint64)
        result[:] = self._encrypted().view(token.dtype)[:, 0]

    def _permute(self, token: Words, number: int, result: Words) -> None:
        pair, second = divmod(number, 2)
        if self._words_of != pair:
            self._words = self.of_column(_WORDS_FROM + pair).view(_SHORT).copy()
            self._words_of = pair
        words = self._words[:, _WORDS * second : _WORDS * (second + 1)]
        first, last = self._orders
        middle = first.take(token ^ words[:, 0], mode="clip")
        middle ^= words[:, 1]
        last.take(middle, mode="clip", out=result)
        result ^= words[:, 2]

    def _encrypted(self) -> NDArray[np.uint8]:
        self._encryptor.update_into(self._inputs.view(np.uint8).reshape(-1).data, self._results.data)
        return self._results[: self._inputs.nbytes].reshape(-1, _AES_BLOCK)


def _random_order(random_bytes: Callable[[int], bytes]) -> Words:
    """Return all 16-bit values in random order: that in which as many random 64-bit numbers sort."""
    size = 1 << 16
    return np.argsort(np.frombuffer(random_bytes(8 * size), dtype=np.uint64), kind="stable").astype(_SHORT)


def _numbers(names: Sequence[str]) -> list[int]:
    """Return the number of the function of each column: its own from 1 on, or that of the one it is compared with."""
    own = {name: number for number, name in enumerate(names, start=1)}
    return [own.get(_COMPARED_WITH.get(name, name), own[name]) for name in names]


_COMPARED_WITH = {column(value.name): column(value.like) for value in DERIVED.values() if value.like}


def _values(column: pa.Array) -> NDArray[Any]:
    """View the values of a column of whole numbers; those of missing entries are arbitrary."""
    kind = column.type.to_pandas_dtype()
    if len(column) == 0:
        return np.empty(0, dtype=kind)
    return np.frombuffer(column.buffers()[1], dtype=kind)[column.offset : column.offset + len(column)]


def _like(column: pa.Array, values: NDArray[Any]) -> pa.Array:
    """Return `values` as an array that lacks the entries that `column` lacks."""
    if column.null_count == 0:
        return pa.array(values)
    if column.offset == 0:  # always so in a batch that was read from a stream; spares a copy
        return pa.Array.from_buffers(column.type, len(column), [column.buffers()[0], pa.py_buffer(values)])
    return pa.array(values, mask=column.is_null().to_numpy(zero_copy_only=False))
