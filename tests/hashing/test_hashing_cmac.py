"""Batch AES-CMAC against the standard's examples and against another implementation."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from hashing.cmac import BatchCmac, as_blocks

MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
KEY_128 = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
KEY_192 = bytes.fromhex("8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b")
KEY_256 = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")

NIST = [
    (KEY_128, 16, "070a16b46b4d4144f79bdd9dd04a287c"),
    (KEY_128, 64, "51f0bebf7e3b9d92fc49741779363cfe"),
    (KEY_192, 16, "9e99a7bf31e710900662f65e617c5184"),
    (KEY_192, 64, "a1d5df0eed790f794d77589659f39a11"),
    (KEY_256, 16, "28a7023f452e8f82bd4bf28d8c37c35c"),
    (KEY_256, 64, "e1992190549f6ed5696a2c056c315410"),
]
"""SP 800-38B, Appendix D: the examples of whole blocks; those with 0, 20 and 40 bytes are texts, below."""


def _blocks(message: bytes) -> list[np.ndarray]:
    return [as_blocks(message[at : at + 16]) for at in range(0, len(message), 16)]


@pytest.mark.parametrize(("key", "length", "expected"), NIST)
def test_examples_of_the_standard(key: bytes, length: int, expected: str) -> None:
    """The published MACs of whole-block messages come out."""
    assert BatchCmac(key).mac(_blocks(MESSAGE[:length])).tobytes().hex() == expected


@given(
    key=st.sampled_from([16, 24, 32]).flatmap(lambda size: st.binary(min_size=size, max_size=size)),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 5)),
    seed=st.integers(0, 2**32 - 1),
)
def test_batch_equals_one_by_one(key: bytes, shape: tuple[int, int], seed: int) -> None:
    """Each MAC of a batch is the one that the cryptography package computes for its message alone."""
    rows, blocks = shape
    data = np.random.default_rng(seed).bytes(rows * blocks * 16)
    messages = [data[at : at + blocks * 16] for at in range(0, len(data), blocks * 16)]
    columns = [
        as_blocks(b"".join(m[16 * place : 16 * place + 16] for m in messages)) for place in range(blocks)
    ]
    found = BatchCmac(key).mac(columns)
    for message, mac in zip(messages, found, strict=True):
        other = CMAC(algorithms.AES(key))
        other.update(message)
        assert mac.tobytes() == other.finalize()


def test_messages_share_a_prefix() -> None:
    """Finishing one chaining state with two last blocks gives the MACs of the two whole messages."""
    cmac = BatchCmac(KEY_256)
    first, second, third, fourth = _blocks(MESSAGE)
    state = cmac.prefix([first, second], rows=1)
    for last in (third, fourth):
        assert (cmac.finish(state, last) == cmac.mac([first, second, last])).all()


def test_one_block_is_shared_by_all_rows() -> None:
    """A last block of one row stands for that block in every message."""
    cmac = BatchCmac(KEY_128)
    heads = as_blocks(MESSAGE)
    tail = as_blocks(MESSAGE[:16])
    state = cmac.prefix([heads], rows=4)
    assert (cmac.finish(state, tail) == cmac.mac([heads, np.repeat(tail, 4, axis=0)])).all()


def test_empty_batch() -> None:
    """No messages give no MACs."""
    none = np.empty((0, 2), dtype=np.uint64)
    assert BatchCmac(KEY_128).mac([none, none]).shape == (0, 2)


def test_columns_need_not_be_contiguous() -> None:
    """A strided view is encrypted as what it shows, not as what lies in memory."""
    cmac = BatchCmac(KEY_128)
    four = as_blocks(MESSAGE)
    assert (cmac.mac([four[::2]]) == cmac.mac([np.ascontiguousarray(four[::2])])).all()


@pytest.mark.parametrize("size", [0, 15, 17, 33])
def test_key_of_another_length_is_refused(size: int) -> None:
    """AES knows three key lengths."""
    with pytest.raises(ValueError, match="key"):
        BatchCmac(bytes(size))


def test_key_is_not_shown() -> None:
    """The representation holds no key."""
    assert repr(BatchCmac(KEY_128)) == "BatchCmac(key hidden)"


@given(st.lists(st.text(max_size=70), max_size=20), st.binary(min_size=32, max_size=32), st.integers(0, 3))
def test_texts_of_any_length(texts: list[str], key: bytes, skipped: int) -> None:
    """Each text's MAC is that of its UTF-8 bytes by another implementation, in a slice of an array too."""
    array = pa.array(texts, pa.string())[skipped:]
    found = BatchCmac(key).mac_texts(array)
    assert found.shape == (len(array), 2)
    for text, mac in zip(array.to_pylist(), found, strict=True):
        other = CMAC(algorithms.AES(key))
        other.update(text.encode())
        assert mac.tobytes() == other.finalize()


def test_empty_text() -> None:
    """RFC 4493, example 1: the empty message is one padded block."""
    assert BatchCmac(KEY_128).mac_texts(pa.array([""])).tobytes().hex() == "bb1d6929e95937287fa37d129b756746"


def test_threads_have_contexts_of_their_own() -> None:
    """A copy for a thread gives the same MACs."""
    cmac = BatchCmac(KEY_256)
    assert (cmac.for_thread().mac(_blocks(MESSAGE)) == cmac.mac(_blocks(MESSAGE))).all()
