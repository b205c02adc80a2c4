"""Outputs appear whole or not at all: write aside, flush to disk, then rename.

What is being written stands beside its target as `.NAME.xxxxxxxx.part`, readable by its owner only and locked by its
process. A process that is killed cannot tidy up: the next one that writes the same target removes what nobody holds
a lock on any more, and the next one that writes anything in the folder removes it when it is older than a minute.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schemas import locks
from schemas.errors import OutputError

_LEFT = re.compile("[.].+[.][0-9a-f]{8}[.]part")
_OLD_SECONDS = 60
"""Age from which what nobody holds a lock on is removed whatever its name: one that is being made, and not locked
yet, is never that old."""


_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between the tries to rename a file on Windows."""


@dataclass(slots=True)
class _Aside:
    """A finished file that waits for the others of `together`.

    Attributes:
        path: Where it stands.
        target: Where it will stand.
        private: Whether only its owner may read it there too.
        lock: A descriptor that holds its lock; on Windows what is open is safe without one.
    """

    path: Path
    target: Path
    private: bool
    lock: int | None

    def place(self) -> None:
        """Put it in its place, with the rights that it has there."""
        if not self.private:
            _open_to_others(self.path, 0o666)
        if locks.WINDOWS:
            self._close()  # what is open cannot be renamed there
        _moved(self.path, self.target)

    def let_go(self) -> None:
        """Let go of its lock, and remove what was not placed."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None


_together: ContextVar[list[_Aside] | None] = ContextVar("together", default=None)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")


def _open_to_others(path: Path, mode: int) -> None:
    """Give a file or folder the rights that the user's umask leaves."""
    if not locks.WINDOWS:
        mask = os.umask(0o077)  # it can only be read by setting it
        os.umask(mask)
        path.chmod(mode & ~mask)


def _moved(path: Path, target: Path) -> None:
    """Rename, over what stands there. On Windows a scanner may hold a new file for a moment: then try again.

    Raises:
        OSError: It cannot be done.
    """
    for pause in _PAUSES if locks.WINDOWS else ():
        try:
            path.replace(target)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    path.replace(target)


def _abandoned(path: Path) -> bool:
    """Tell whether no process is at work on what stands aside at `path`."""
    if locks.WINDOWS:
        return True  # what is open there cannot be removed
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return locks.try_to_take(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove a file or folder, as far as that is allowed."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    ours = locks.WINDOWS or status.st_uid == os.geteuid()
    return ours and time.time() - status.st_mtime > _OLD_SECONDS


def sweep(target: Path) -> None:
    """Remove what processes that were killed have left behind of `target`, and of others in its folder a minute ago."""
    # What stands aside may itself have been the target of something that stood aside.
    own = re.compile("[.]+" + re.escape(target.name) + "([.][0-9a-f]{8}[.]part)+")
    with suppress(OSError):
        for path in list(target.parent.iterdir()):
            if not _LEFT.fullmatch(path.name) or not (own.fullmatch(path.name) or _is_old(path)):
                continue
            # On Windows a folder that is worked in is not told from one that was left: only files go.
            if not (locks.WINDOWS and path.is_dir()) and _abandoned(path):
                _remove(path)


def _failed(error: OSError, target: Path) -> OutputError:
    if isinstance(error, PermissionError):
        return OutputError(
            f"cannot be written ({error.strerror}); nothing was left behind.",
            where=str(target),
            remedy="Close it in other programs (Excel holds what it shows), or choose another name or folder.",
        )
    return OutputError(
        f"writing failed ({error.strerror}); nothing was left behind.",
        where=str(target),
        remedy="Free some disk space or choose another folder.",
    )


@contextmanager
def together() -> Iterator[None]:
    """Let the files that are written inside the block appear when it ends without an exception: all, or none.

    They appear in the order in which they were finished. A process that is killed in the moment between two of them
    leaves the first ones.

    Raises:
        OutputError: A file cannot be put in its place.
    """
    pending: list[_Aside] = []
    token = _together.set(pending)
    placed: list[Path] = []
    try:
        yield
        for each in pending:
            new = not each.target.exists()
            try:
                each.place()
            except OSError as error:
                raise _failed(error, each.target) from None
            if new:
                placed.append(each.target)
        placed.clear()
    finally:
        _together.reset(token)
        for path in placed:
            path.unlink(missing_ok=True)
        for each in pending:
            each.let_go()


def _create(aside: Path, target: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        return os.open(aside, flags, 0o600)
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).",
            where=str(target),
            remedy="Choose a folder that exists and that you may write to.",
        ) from None


@contextmanager
def atomic_file(target: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Yield a binary file that becomes `target` when the block ends without an exception.

    Args:
        target: The path to create or replace. Its folder must exist.
        private: Leave the file readable by its owner only (key files, results); while it is written, every file is.

    Raises:
        OutputError: The folder does not exist, cannot be written, or the disk is full.
    """
    sweep(target)
    pending = _together.get()
    aside = _Aside(path=_aside(target), target=target, private=private, lock=None)
    descriptor = _create(aside.path, target)
    handed_over = False
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if (locks.try_to_take(stream.fileno()) or locks.WINDOWS) and pending is not None:
                # A copy of the descriptor shares the lock and keeps it until the others are ready.
                aside.lock = os.dup(stream.fileno())
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if pending is None:
            aside.place()
        else:
            pending.append(aside)
            handed_over = True
    except OSError as error:
        raise _failed(error, target) from None
    finally:
        if not handed_over:
            aside.let_go()


def atomic_write(target: Path, content: bytes | str, *, private: bool = False) -> None:
    """Write `content` to `target`, whole or not at all.

    Raises:
        OutputError: As for `atomic_file`.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with atomic_file(target, private=private) as stream:
        stream.write(data)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a new empty folder that becomes `target` when the block ends without an exception.

    Only its owner can look into it until then.

    Raises:
        OutputError: `target` exists and is not an empty folder, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputError(
            "this output already exists and is not an empty folder.",
            where=str(target),
            remedy="Name a new folder, or move the old results away first.",
        )
    sweep(target)
    aside = _aside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir(0o700)
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).", where=str(target), remedy="Choose another folder."
        ) from None
    lock = None if locks.WINDOWS else os.open(aside, os.O_RDONLY)
    try:
        if lock is not None:
            locks.try_to_take(lock)
        yield aside
        _open_to_others(aside, 0o777)
        try:
            if target.exists():
                target.rmdir()
            _moved(aside, target)
        except OSError as error:
            raise _failed(error, target) from None
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(aside, ignore_errors=True)
