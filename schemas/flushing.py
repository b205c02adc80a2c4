"""A large file goes to the disk while it is still being made, so that the last flush finds little left to do.

The system would keep gigabytes in memory and write them when `atomic_file` flushes, while nobody works: a third of a
second a gigabyte on a fast disk, ten seconds on a slow one.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import BinaryIO

STEP_BYTES = 32 << 20
"""Large enough that the system is asked seldom, small enough that little is left at the end."""


class Flushing:
    """Passes on what is written, and has the system begin to write it to the disk, every `STEP_BYTES`.

    It is a hint and no promise: what reached the disk is certain only after `os.fsync`, and errors of the disk are
    raised there. Systems other than Linux are not asked.

    Args:
        file: A file of the disk, at its beginning.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._written = self._begun = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of `data`; return its length in bytes.

        Raises:
            OSError: As the file does.
        """
        self._written += self._file.write(data)
        if self._written - self._begun >= STEP_BYTES:
            self._begin()
        return len(data)

    def _begin(self) -> None:
        if sys.platform == "linux":
            # Linux answers "not needed" by writing changed pages at once; until they are written they stay in memory.
            with suppress(OSError):
                length = self._written - self._begun
                os.posix_fadvise(self._file.fileno(), self._begun, length, os.POSIX_FADV_DONTNEED)
        self._begun = self._written
