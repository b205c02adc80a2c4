"""What is written early to the disk is a hint to the system, and changes no byte and no error."""

from __future__ import annotations

import errno
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas import flushing
from schemas.container import Expectation, open_package, write_package
from schemas.flushing import Flushing
from schemas.identity import PrivateIdentity

STEP = 100

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges that the system was asked to write, as start and end, at steps of `STEP` bytes."""
    ranges: list[tuple[int, int]] = []

    def advise(_descriptor: int, start: int, length: int, _advice: int) -> None:
        ranges.append((start, start + length))

    monkeypatch.setattr(flushing, "STEP_BYTES", STEP)
    if sys.platform == "linux":
        monkeypatch.setattr(os, "posix_fadvise", advise)
    return ranges


@linux_only
def test_ranges_adjoin(tmp_path: Path, asked: list[tuple[int, int]]) -> None:
    """Each range begins where the last one ended, and at the end less than a step is left to ask for."""
    pieces = [bytes([number]) * size for number, size in enumerate([30, 80, 5, 250, 1, 98, 1, 40])]
    with (tmp_path / "file").open("wb") as file:
        target = Flushing(file)
        assert [target.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
    assert (tmp_path / "file").read_bytes() == b"".join(pieces)
    assert [start for start, _ in asked] == [0, *(end for _, end in asked[:-1])]
    assert all(end - start >= STEP for start, end in asked)
    assert sum(map(len, pieces)) - asked[-1][1] < STEP


@linux_only
def test_a_package_is_asked_for(tmp_path: Path, asked: list[tuple[int, int]]) -> None:
    """A package is brought to the disk from its first byte on while it is made, and opens as ever."""
    me, content, path = PrivateIdentity.generate("me"), os.urandom(3 << 20), tmp_path / "own.tally"
    write_package(
        path,
        kind="test",
        sender=me,
        recipient=me.public,
        agreement_digest="sha256:" + "0" * 64,
        run_id="run",
        purpose="test",
        created_at=datetime(2026, 6, 30, tzinfo=UTC),
        counts={},
        facts={},
        parts=[("data", "application/octet-stream", [content])],
    )
    assert asked[0][0] == 0
    assert path.stat().st_size - asked[-1][1] < STEP
    with open_package(path, recipient=me, known_senders={"me": me.public}, expect=Expectation()) as package:
        assert package.read_all("data", len(content)) == content


@linux_only
@pytest.mark.usefixtures("asked")
def test_a_system_that_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no such hint loses nothing by it."""

    def refuse(*_arguments: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "posix_fadvise", refuse)
    with (tmp_path / "file").open("wb") as file:
        Flushing(file).write(b"x" * 1000)
    assert (tmp_path / "file").read_bytes() == b"x" * 1000


def test_other_systems(tmp_path: Path, asked: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere than on Linux nobody is asked, and the file is the same."""
    monkeypatch.setattr(sys, "platform", "win32")
    with (tmp_path / "file").open("wb") as file:
        Flushing(file).write(b"x" * 1000)
    assert (tmp_path / "file").read_bytes() == b"x" * 1000
    assert asked == []


def test_a_full_disk_is_told() -> None:
    """The file's own error is not swallowed with that of the hint."""

    class Full:
        def write(self, _data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space"):
        Flushing(Full()).write(b"x")  # type: ignore[arg-type]
