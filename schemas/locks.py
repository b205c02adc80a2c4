"""A lock between processes, held on a file; the system lets go of it when a process dies, so none is ever left over."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import OutputError

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        while True:
            try:
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            except OSError:
                continue  # it gives up after ten tries, a second apart
            return

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that stands beside `path` (`<name>.lock`, made when it is missing), waiting until it is free.

    The lock file stays: if it were deleted, two processes could hold locks on two files of its name.

    Raises:
        OutputError: The lock file cannot be made.
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).", where=str(beside), remedy="Choose a folder that exists."
        ) from None
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)  # which lets go of the lock too
