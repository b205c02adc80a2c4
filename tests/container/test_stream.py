"""The chunked stream: whole, in order, or refused."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import stream
from schemas.errors import ChunkReordered, Corrupted, LimitExceeded, PackageError, TrailingBytes, Truncated
from schemas.stream import ChunkReader, ChunkWriter

KEY = bytes(range(32))
SMALL = 16


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 16 bytes, so that a short stream has many."""
    monkeypatch.setattr(stream, "CHUNK_BYTES", SMALL)
    monkeypatch.setattr(stream, "_FULL_FRAME", 8 + SMALL + 16)


def encrypt(data: bytes, blocks: int = 7, key: bytes = KEY) -> bytes:
    """Write `data` in blocks of a few bytes."""
    sink = io.BytesIO()
    writer = ChunkWriter(sink, key)
    for at in range(0, len(data), blocks):
        writer.write(data[at : at + blocks])
    writer.finish()
    return sink.getvalue()


def decrypt(data: bytes, key: bytes = KEY) -> bytes:
    """Read everything."""
    reader = ChunkReader(io.BytesIO(data), start=0, where="test")
    reader.unlock(key)
    return reader.read(0, reader.length)


def cut(data: bytes) -> list[bytes]:
    """Cut into frames."""
    return [data[at : at + 8 + SMALL + 16] for at in range(0, len(data), 8 + SMALL + 16)]


@pytest.mark.parametrize("length", [1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL, 3 * SMALL + 5])
def test_round_trip(length: int) -> None:
    """What goes in comes out, at every length around a chunk's."""
    data = bytes(index % 251 for index in range(length))
    for blocks in (1, 7, 1000):
        assert decrypt(encrypt(data, blocks)) == data


@settings(max_examples=80, deadline=None)
@given(st.lists(st.binary(max_size=70), min_size=1, max_size=8).filter(any))
def test_however_it_is_written_the_stream_is_the_same(pieces: list[bytes]) -> None:
    """Bytes that are taken from where they lie, and bytes that were gathered first, give the same chunks."""
    sink = io.BytesIO()
    writer = ChunkWriter(sink, KEY)
    for piece in pieces:
        writer.write(piece)
    writer.finish()
    assert sink.getvalue() == encrypt(b"".join(pieces), blocks=1)


def test_written_by_whole_frames() -> None:
    """Frames reach the file several at once, never in part, and the last of them only when the stream is finished."""
    written: list[bytes] = []

    class Sink:
        def write(self, data: memoryview) -> None:
            written.append(bytes(data))

    writer = ChunkWriter(Sink(), KEY)
    for _ in range(10 * SMALL + 1):
        writer.write(b"x")
    assert [len(each) for each in written] == [4 * (8 + SMALL + 16)] * 2
    writer.finish()
    assert [len(each) for each in written[2:]] == [2 * (8 + SMALL + 16) + 8 + 1 + 16]
    assert decrypt(b"".join(written)) == b"x" * (10 * SMALL + 1)


def test_known_answer() -> None:
    """One chunk has the layout of docs/spec/package-v1.md: number, flag and length, ciphertext, tag."""
    assert encrypt(b"tally") == bytes.fromhex("0000000080000005") + _reference(b"tally", index=0, final=True)


def _reference(plain: bytes, *, index: int, final: bool) -> bytes:
    """Encrypt one chunk in the plainest way, by the general cipher interface instead of AESGCM."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    nonce = index.to_bytes(11, "big") + bytes([final])
    encryptor = Cipher(algorithms.AES256(KEY), modes.GCM(nonce)).encryptor()
    word = len(plain) | (0x80000000 if final else 0)
    encryptor.authenticate_additional_data(index.to_bytes(4, "big") + word.to_bytes(4, "big"))
    return encryptor.update(plain) + encryptor.finalize() + encryptor.tag


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=100), st.integers(0, 120), st.integers(0, 120))
def test_random_access(data: bytes, offset: int, length: int) -> None:
    """Any range reads as that range of the plaintext."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_BYTES", SMALL)
        reader = ChunkReader(io.BytesIO(encrypt(data)), start=0, where="test")
        reader.unlock(KEY)
        assert reader.read(offset, length) == data[offset : offset + length]


def test_every_bit_counts() -> None:
    """Changing any single bit of a stream of three chunks is found."""
    data = encrypt(bytes(40))
    for at, bit in itertools.product(range(len(data)), range(8)):
        altered = bytearray(data)
        altered[at] ^= 1 << bit
        with pytest.raises(PackageError):
            decrypt(bytes(altered))


def test_every_cut_is_truncation() -> None:
    """A stream that is cut anywhere, at a chunk's end too, counts as truncated."""
    data = encrypt(bytes(40))
    for length in range(len(data)):
        with pytest.raises(Truncated):
            decrypt(data[:length])


def test_every_order_but_one() -> None:
    """Chunks swapped, repeated or left out are found without the key."""
    frames = cut(encrypt(bytes(4 * SMALL)))
    for order in itertools.chain(itertools.permutations(range(4)), [(0, 0, 1, 2, 3), (0, 2, 3), (1, 2, 3)]):
        if order != (0, 1, 2, 3):
            with pytest.raises(ChunkReordered):
                ChunkReader(io.BytesIO(b"".join(frames[index] for index in order)), start=0, where="test")


def test_renumbered_chunks() -> None:
    """Swapped chunks whose numbers were corrected do not decrypt: the number is in nonce and tag."""
    frames = cut(encrypt(bytes(3 * SMALL)))
    renumbered = frames[0][:8] + frames[1][8:] + frames[1][:8] + frames[0][8:] + frames[2]
    with pytest.raises(Corrupted):
        decrypt(renumbered)


def test_shortened_and_marked_final() -> None:
    """A stream cut at a chunk's end and marked complete there does not decrypt."""
    frames = cut(encrypt(bytes(3 * SMALL)))
    marked = frames[1][:4] + bytes([0x80]) + frames[1][5:]
    with pytest.raises(Corrupted):
        decrypt(frames[0] + marked)


def test_trailing_bytes() -> None:
    """Anything after the final chunk is found, a whole second stream too."""
    data = encrypt(bytes(20))
    for extra in (b"\x00", data):
        with pytest.raises(TrailingBytes):
            decrypt(data + extra)


def test_wrong_key() -> None:
    """Another key opens nothing."""
    with pytest.raises(Corrupted):
        decrypt(encrypt(b"data"), key=bytes(32))


def test_file_that_shrinks() -> None:
    """A file that became shorter after it was opened is refused at the chunk that is gone."""
    source = io.BytesIO(encrypt(bytes(40)))
    reader = ChunkReader(source, start=0, where="test")
    reader.unlock(KEY)
    source.truncate(60)
    with pytest.raises(Truncated):
        reader.read(0, 40)


def test_failed_chunk_is_not_remembered() -> None:
    """A chunk that failed fails again; the buffer of the failed attempt is never shown."""
    data = bytearray(encrypt(bytes(40)))
    data[-1] ^= 1
    reader = ChunkReader(io.BytesIO(bytes(data)), start=0, where="test")
    reader.unlock(KEY)
    for _ in range(2):
        with pytest.raises(Corrupted):
            reader.read(35, 5)
    assert reader.read(0, SMALL) == bytes(SMALL)


def test_chunk_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side goes beyond the limit on chunks."""
    data = encrypt(bytes(4 * SMALL))
    monkeypatch.setattr(stream, "MAX_CHUNKS", 3)
    with pytest.raises(LimitExceeded):
        encrypt(bytes(4 * SMALL))
    with pytest.raises(LimitExceeded):
        decrypt(data)


def test_locked_reader() -> None:
    """A reader without a key shows nothing."""
    reader = ChunkReader(io.BytesIO(encrypt(b"data")), start=0, where="test")
    with pytest.raises(ValueError, match="closed"):
        reader.read(0, 4)
