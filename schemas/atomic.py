"""Outputs appear whole or not at all: write aside, flush to disk, then rename."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from schemas.errors import OutputError


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")


@contextmanager
def atomic_file(target: Path, *, private: bool = False) -> Iterator[IO[bytes]]:
    """Yield a binary file that becomes `target` when the block ends without an exception.

    Args:
        target: The path to create or replace. Its folder must exist.
        private: Create the file readable by its owner only (key files).

    Raises:
        OutputError: The folder does not exist, cannot be written, or the disk is full.
    """
    aside = _aside(target)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(aside, flags, 0o600 if private else 0o666)
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).", where=str(target), remedy="Choose a folder that exists."
        ) from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(target)
    except OSError as error:
        raise OutputError(
            f"writing failed ({error.strerror}); nothing was left behind.",
            where=str(target),
            remedy="Free some disk space or choose another folder.",
        ) from None
    finally:
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
    aside = _aside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.mkdir()
    except OSError as error:
        raise OutputError(
            f"cannot write here ({error.strerror}).", where=str(target), remedy="Choose another folder."
        ) from None
    try:
        yield aside
        if target.exists():
            target.rmdir()
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
