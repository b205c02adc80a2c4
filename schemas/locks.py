"""Locks on files, held by a process; the system lets go of them when it dies, so none is ever left over.

POSIX has flock(2), Windows locks single bytes of a file (`msvcrt.locking`). What differs between them is here only.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from schemas.errors import OutputError

WINDOWS = os.name == "nt"
"""Whether this is Windows. A test sets it, and puts a `msvcrt` of its own in the place of the real one."""

_TAKEN = frozenset({errno.EACCES, errno.EDEADLK, getattr(errno, "EDEADLOCK", errno.EDEADLK)})
"""What msvcrt.locking says after ten tries, a second apart, when another process holds the byte."""


def _system(name: str) -> Any:
    """Return the module of locks of one system: the other system has none of this name."""
    return importlib.import_module(name)


def take(descriptor: int) -> None:
    """Take the lock of an open file, waiting until it is free.

    Raises:
        OSError: The file system has no locks.
    """
    if not WINDOWS:
        fcntl = _system("fcntl")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    msvcrt = _system("msvcrt")
    while True:
        os.lseek(descriptor, 0, os.SEEK_SET)  # the byte that is locked is the one where the file stands
        try:
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            continue
        return


def let_go(descriptor: int) -> None:
    """Let go of a lock before its file is closed: Windows does that at some time after the closing."""
    if WINDOWS:
        msvcrt = _system("msvcrt")
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)


def try_to_take(descriptor: int) -> bool:
    """Take the lock of an open file or folder if it is free; False when another process has it.

    False as well where locks do not work: on some network drives, and on Windows, where a file that is open cannot be
    removed in any case and a folder cannot be opened.
    """
    if WINDOWS:
        return False
    fcntl = _system("fcntl")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that stands beside `path` (`<name>.lock`, made when it is missing), waiting until it is free.

    The lock file stays: if it were deleted, two processes could hold locks on two files of its name.

    Raises:
        OutputError: The lock file cannot be made or locked.
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).",
            where=str(beside),
            remedy="Choose a folder that exists and that you may write to.",
        ) from None
    try:
        try:
            take(descriptor)
        except OSError as error:
            raise OutputError(
                f"cannot be locked against other processes ({error.strerror}).",
                where=str(beside),
                remedy="Choose a folder on a disk of this machine.",
            ) from None
        try:
            yield
        finally:
            let_go(descriptor)
    finally:
        os.close(descriptor)
