"""Outputs appear whole or not at all: write aside, flush to disk, then rename.

What is being written stands beside its target as `.NAME.xxxxxxxx.part`, locked by its process. A process that is
killed cannot tidy up: the next one that writes the same target removes what nobody holds a lock on any more.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO

from schemas.errors import OutputError

if sys.platform != "win32":  # there, a file that is open cannot be removed, so no lock is needed
    import fcntl

_Pending = list[tuple[Path, Path, int | None]]
_together: ContextVar[_Pending | None] = ContextVar("together", default=None)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")


def _lock(descriptor: int) -> bool:
    """Take the lock of a file or folder; False when another process has it, or locks do not work here."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _abandoned(path: Path) -> bool:
    """Tell whether no process is at work on what stands aside at `path`."""
    if sys.platform == "win32":
        return path.is_file()
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return _lock(descriptor)
    finally:
        os.close(descriptor)


def sweep(target: Path) -> None:
    """Remove what processes that were killed have left behind of `target`."""
    # What stands aside may itself have been the target of something that stood aside.
    pattern = re.compile("[.]+" + re.escape(target.name) + "([.][0-9a-f]{8}[.]part)+")
    with suppress(OSError):
        for path in list(target.parent.iterdir()):
            if pattern.fullmatch(path.name) and _abandoned(path):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _failed(error: OSError, target: Path) -> OutputError:
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
    pending: _Pending = []
    token = _together.set(pending)
    placed: list[Path] = []
    try:
        yield
        for aside, target, _ in pending:
            new = not target.exists()
            try:
                aside.replace(target)
            except OSError as error:
                raise _failed(error, target) from None
            if new:
                placed.append(target)
        placed.clear()
    finally:
        _together.reset(token)
        for path in (*placed, *(aside for aside, _, _ in pending)):
            path.unlink(missing_ok=True)
        for _, _, lock in pending:
            if lock is not None:
                os.close(lock)


@contextmanager
def atomic_file(target: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Yield a binary file that becomes `target` when the block ends without an exception.

    Args:
        target: The path to create or replace. Its folder must exist.
        private: Create the file readable by its owner only (key files).

    Raises:
        OutputError: The folder does not exist, cannot be written, or the disk is full.
    """
    sweep(target)
    aside = _aside(target)
    pending = _together.get()
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(aside, flags, 0o600 if private else 0o666)
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).", where=str(target), remedy="Choose a folder that exists."
        ) from None
    lock = None
    handed_over = False
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if _lock(stream.fileno()) and pending is not None:
                # A copy of the descriptor shares the lock and keeps it until the others are ready.
                lock = os.dup(stream.fileno())
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if pending is None:
            aside.replace(target)
        else:
            pending.append((aside, target, lock))
            handed_over = True
    except OSError as error:
        raise _failed(error, target) from None
    finally:
        if not handed_over:
            if lock is not None:
                os.close(lock)
            aside.unlink(missing_ok=True)


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
        aside.mkdir()
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).", where=str(target), remedy="Choose another folder."
        ) from None
    lock = os.open(aside, os.O_RDONLY) if sys.platform != "win32" else None
    try:
        if lock is not None:
            _lock(lock)
        yield aside
        if target.exists():
            target.rmdir()
        aside.rename(target)
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(aside, ignore_errors=True)
