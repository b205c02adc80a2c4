"""Chunked authenticated encryption: flat memory at any size, random access, no chunk moved, cut or added.

The STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar, "Online authenticated-encryption and its
nonce-reuse misuse-resistance" (CRYPTO 2015), with AES-256-GCM; the layout is written down in
docs/spec/package-v1.md.
"""

from __future__ import annotations

import io
import struct
import threading
from typing import BinaryIO, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.errors import ChunkReordered, Corrupted, LimitExceeded, TrailingBytes, Truncated

CHUNK_BYTES = 256 * 1024
TAG_BYTES = 16
MAX_CHUNKS = 2**20
"""256 GiB: 2^34 AES blocks under one key (bounds in docs/spec/package-v1.md, section 6)."""
_FRAME = struct.Struct(">II")
_FINAL = 1 << 31
_FULL_FRAME = _FRAME.size + CHUNK_BYTES + TAG_BYTES
_FRAMES_AT_ONCE = 4
"""Frames that are written in one go: the kernel takes a fifth less time for a megabyte than for four quarters."""
_ASK_AGAIN = "Ask the sender to send it again."


class SupportsWrite(Protocol):
    """Anything that bytes can be written to."""

    def write(self, data: memoryview, /) -> object:
        """Take all of `data`."""


def _nonce(index: int, final: bool) -> bytes:
    return index.to_bytes(11, "big") + (b"\x01" if final else b"\x00")


def _frame(index: int, length: int, final: bool) -> bytes:
    return _FRAME.pack(index, length | (_FINAL if final else 0))


def _fill(source: BinaryIO, target: memoryview) -> int:
    """Read into `target` until it is full or the file ends; return the number of bytes."""
    done = 0
    while done < len(target):
        got: int = source.readinto(target[done:])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done


class ChunkWriter:
    """Encrypts what is written to it into chunks; `finish` must be called once, at the end.

    Args:
        target: What the frames are written to, several at once; it takes all that it is given.
        key: The stream key, 32 bytes.
    """

    def __init__(self, target: SupportsWrite, key: bytes) -> None:
        self._target = target
        self._cipher = AESGCM(key)
        self._plain = bytearray(CHUNK_BYTES)
        self._sealed = bytearray(_FRAMES_AT_ONCE * _FULL_FRAME)
        self._filled = self._waiting = 0
        self._index = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes to the stream.

        Raises:
            LimitExceeded: The stream would have more than `MAX_CHUNKS` chunks.
        """
        view = memoryview(data).cast("B")
        while view:
            # A full chunk waits for the next byte, so that the final chunk is never empty.
            if self._filled == CHUNK_BYTES:
                self._emit(final=False)
            if self._filled == 0 and len(view) > CHUNK_BYTES:
                self._seal(
                    view[:CHUNK_BYTES], final=False
                )  # from where it lies: a copy costs as much as the cipher
                view = view[CHUNK_BYTES:]
                continue
            taken = min(len(view), CHUNK_BYTES - self._filled)
            self._plain[self._filled : self._filled + taken] = view[:taken]
            self._filled += taken
            view = view[taken:]

    def finish(self) -> None:
        """Write the final chunk. At least one byte must have been written."""
        self._emit(final=True)

    def _emit(self, *, final: bool) -> None:
        with memoryview(self._plain)[: self._filled] as plain:
            self._seal(plain, final=final)
        self._filled = 0

    def _seal(self, plain: memoryview, *, final: bool) -> None:
        if self._index >= MAX_CHUNKS:
            raise LimitExceeded(f"a package holds at most {MAX_CHUNKS * CHUNK_BYTES >> 30} GiB.")
        frame = _frame(self._index, len(plain), final)
        begin = self._waiting + _FRAME.size
        end = begin + len(plain) + TAG_BYTES
        self._sealed[self._waiting : begin] = frame
        with memoryview(self._sealed)[begin:end] as sealed:
            self._cipher.encrypt_into(_nonce(self._index, final), plain, frame, sealed)
        self._waiting = end
        self._index += 1
        if final or end == len(self._sealed):
            self._flush()

    def _flush(self) -> None:
        with memoryview(self._sealed)[: self._waiting] as frames:
            self._target.write(frames)
        self._waiting = 0


class ChunkReader:
    """Random access to the plaintext of an encrypted stream; every chunk is verified before a byte is shown.

    Args:
        source: A seekable binary file.
        start: Where the first frame begins.
        where: File name for messages.

    Raises:
        Truncated, TrailingBytes, ChunkReordered, Corrupted, LimitExceeded: The frames do not fit together.
    """

    def __init__(self, source: BinaryIO, *, start: int, where: str) -> None:
        self._source, self._start, self._where = source, start, where
        self.chunks, self._last_length = self._scan()
        self.length = (self.chunks - 1) * CHUNK_BYTES + self._last_length
        self._plain = bytearray(CHUNK_BYTES)
        self._sealed = bytearray(CHUNK_BYTES + TAG_BYTES)
        self._cached = -1
        self._cipher: AESGCM | None = None
        self._lock = threading.Lock()  # pyarrow reads from several threads

    def unlock(self, key: bytes) -> None:
        """Give the reader the stream key."""
        self._cipher = AESGCM(key)

    def lock(self) -> None:
        """Forget the key and the chunk that was decrypted last."""
        self._cipher = None
        self._cached = -1
        self._plain[:] = bytes(len(self._plain))

    def read_into(self, offset: int, target: memoryview) -> int:
        """Fill `target` with plaintext from `offset` on; return the number of bytes, fewer only at the end.

        Raises:
            Corrupted: A chunk was altered.
            Truncated: The file became shorter since it was opened.
        """
        done = 0
        wanted = max(0, min(len(target), self.length - offset))
        while done < wanted:
            index, skip = divmod(offset + done, CHUNK_BYTES)
            with self._lock:
                chunk = self._chunk(index)
                taken = min(len(chunk) - skip, wanted - done)
                target[done : done + taken] = chunk[skip : skip + taken]
            done += taken
        return done

    def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes of plaintext from `offset` on; errors as for `read_into`."""
        end = min(offset + length, self.length)
        # A BytesIO hands its buffer over without a copy; filling a bytearray and copying it took ten times as long.
        data = io.BytesIO()
        while offset < end:
            index, skip = divmod(offset, CHUNK_BYTES)
            with self._lock:
                offset += data.write(self._chunk(index)[skip : skip + end - offset])
        return data.getvalue()

    def _chunk(self, index: int) -> memoryview:
        final = index == self.chunks - 1
        length = self._last_length if final else CHUNK_BYTES
        view = memoryview(self._plain)[:length]
        if index != self._cached:
            self._cached = -1
            self._decrypt(index, final, view)
            self._cached = index
        return view

    def _decrypt(self, index: int, final: bool, target: memoryview) -> None:
        if self._cipher is None:
            raise ValueError("the package is closed")
        self._source.seek(self._start + index * _FULL_FRAME + _FRAME.size)
        sealed = memoryview(self._sealed)[: len(target) + TAG_BYTES]
        if _fill(self._source, sealed) != len(sealed):
            raise Truncated(
                "the package became shorter while it was read.", where=self._where, remedy=_ASK_AGAIN
            )
        try:
            frame = _frame(index, len(target), final)
            self._cipher.decrypt_into(_nonce(index, final), sealed, frame, target)
        except InvalidTag:
            raise Corrupted(
                f"chunk {index + 1} of {self.chunks} was altered.", where=self._where, remedy=_ASK_AGAIN
            ) from None

    def _scan(self) -> tuple[int, int]:
        """Walk the frames without a key; return their number and the plaintext length of the final one."""
        size = self._source.seek(0, 2)
        for index in range(MAX_CHUNKS):
            at = self._start + index * _FULL_FRAME
            length, final = self._frame_at(at, index)
            end = at + _FRAME.size + length + TAG_BYTES
            if end > size:
                raise self._cut(index)
            if final:
                if end < size:
                    raise TrailingBytes(
                        "something follows the end of the package.",
                        where=self._where,
                        remedy=_ASK_AGAIN,
                    )
                return index + 1, length
        raise LimitExceeded("the package has too many chunks.", where=self._where)

    def _frame_at(self, at: int, index: int) -> tuple[int, bool]:
        self._source.seek(at)
        raw = self._source.read(_FRAME.size)
        if len(raw) < _FRAME.size:
            raise self._cut(index)
        number, word = _FRAME.unpack(raw)
        length, final = word & ~_FINAL, bool(word & _FINAL)
        if number != index:
            raise ChunkReordered(
                f"chunk {index + 1} is out of order, repeated or missing.",
                where=self._where,
                remedy=_ASK_AGAIN,
            )
        if not 0 < length <= CHUNK_BYTES or (length < CHUNK_BYTES and not final):
            raise Corrupted(
                f"the length of chunk {index + 1} was altered.", where=self._where, remedy=_ASK_AGAIN
            )
        return length, final

    def _cut(self, index: int) -> Truncated:
        return Truncated(
            f"the package ends inside or before chunk {index + 1}.", where=self._where, remedy=_ASK_AGAIN
        )
