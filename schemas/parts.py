"""The byte streams of a package as ordinary binary files, for pyarrow and anything else that takes one."""

from __future__ import annotations

import hashlib
import io
from typing import Any

from schemas.stream import CHUNK_BYTES, ChunkReader, ChunkWriter


class PartReader(io.RawIOBase):
    """A part as a readable, seekable file; a read is short only at the end of the part."""

    def __init__(self, chunks: ChunkReader, start: int, length: int) -> None:
        super().__init__()
        self._chunks, self._start, self._length, self._at = chunks, start, length, 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, as `io.IOBase.seek` does."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; a size beyond the end of the part allocates only what is there."""
        if self.closed:
            raise ValueError("this stream is closed")
        left = max(0, self._length - self._at)
        data = self._chunks.read(self._start + self._at, left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def readinto(self, target: Any) -> int:
        """Fill `target` with decrypted bytes; return their number, 0 at the end."""
        with memoryview(target).cast("B") as view:
            wanted = max(0, min(len(view), self._length - self._at))
            got = self._chunks.read_into(self._start + self._at, view[:wanted])
        self._at += got
        return got


class PartSink(io.RawIOBase):
    """What a part is written to: counts, hashes, encrypts. It can be neither read nor rewound."""

    def __init__(self, writer: ChunkWriter) -> None:
        super().__init__()
        self._writer = writer
        self._hasher = hashlib.sha256()
        self.length = 0

    def writable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self.length

    def write(self, data: Any) -> int:
        """Take all of `data`; return its length in bytes."""
        if self.closed:
            raise ValueError("this part is already complete")
        with memoryview(data).cast("B") as view:
            for at in range(0, len(view), CHUNK_BYTES):
                # The digest fetches a piece from memory and takes longer; the cipher then finds it in the cache.
                piece = view[at : at + CHUNK_BYTES]
                self._hasher.update(piece)
                self._writer.write(piece)
            self.length += len(view)
            return len(view)

    @property
    def sha256(self) -> str:
        """`"sha256:"` and the digest of what was written so far."""
        return "sha256:" + self._hasher.hexdigest()
