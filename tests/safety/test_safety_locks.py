"""Locks and outputs as Windows has them, played by a stand-in of its module of locks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import atomic, locks
from schemas.errors import OutputError


class Msvcrt:
    """The part of Windows' `msvcrt` that locks bytes: says no a number of times, writes down what it is asked."""

    LK_UNLCK, LK_LOCK = 0, 1

    def __init__(self, refusals: int = 0, code: int = errno.EDEADLK) -> None:
        self.asked: list[tuple[int, int, int]] = []
        self._refusals, self._code = refusals, code

    def locking(self, descriptor: int, mode: int, size: int) -> None:
        """Lock or unlock bytes from where the file stands."""
        self.asked.append((mode, os.lseek(descriptor, 0, os.SEEK_CUR), size))
        if mode == self.LK_LOCK and self._refusals:
            self._refusals -= 1
            raise OSError(self._code, os.strerror(self._code))


def windows(monkeypatch: pytest.MonkeyPatch, stand_in: Msvcrt) -> Msvcrt:
    """Take the branches of Windows."""
    monkeypatch.setattr(locks, "WINDOWS", True)
    monkeypatch.setitem(sys.modules, "msvcrt", stand_in)
    return stand_in


@pytest.mark.parametrize("code", [errno.EDEADLK, errno.EACCES])
def test_windows_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int) -> None:
    """The first byte is asked for until it is free, and given back before the file is closed."""
    system = windows(monkeypatch, Msvcrt(refusals=2, code=code))
    with locks.locked(tmp_path / "register.json"):
        assert system.asked == [(system.LK_LOCK, 0, 1)] * 3
        assert (tmp_path / "register.json.lock").exists()
    assert system.asked[3:] == [(system.LK_UNLCK, 0, 1)]


def test_windows_gives_back_after_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What goes wrong under the lock comes out, and the lock is free again."""
    system = windows(monkeypatch, Msvcrt())
    with pytest.raises(ValueError, match="wrong"), locks.locked(tmp_path / "x"):
        raise ValueError("wrong")
    assert system.asked[-1] == (system.LK_UNLCK, 0, 1)


def test_a_drive_without_locks_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another failure than a lock that is taken is told, not asked again for ever."""
    system = windows(monkeypatch, Msvcrt(refusals=5, code=errno.EINVAL))
    with pytest.raises(OutputError, match="cannot be locked") as caught, locks.locked(tmp_path / "x"):
        pytest.fail("the lock was not taken")
    assert len(system.asked) == 1
    assert "x.lock" in str(caught.value)


def test_outputs_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without locks and rights of files, outputs still appear whole, and files that were left go."""
    windows(monkeypatch, Msvcrt())
    stale = tmp_path / ".x.csv.0123abcd.part"
    stale.write_text("left")
    with atomic.together():
        atomic.atomic_write(tmp_path / "x.csv", "1", private=True)
        atomic.atomic_write(tmp_path / "y.csv", "2")
    with atomic.atomic_folder(tmp_path / "run") as work:
        (work / "z").write_text("3")
        atomic.sweep(tmp_path / "run")
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert found == {"x.csv", "y.csv", "run", os.path.join("run", "z")}


def test_a_file_in_use_does_not_stop_the_sweeping(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Windows refuses to remove a file that is open: it stays, the others go."""
    windows(monkeypatch, Msvcrt())
    left = [tmp_path / f".x.csv.{number:08x}.part" for number in range(3)]
    for path in left:
        path.write_text("left")
    real = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path == left[1]:
            raise PermissionError(errno.EACCES, "in use")
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    atomic.sweep(tmp_path / "x.csv")
    assert list(tmp_path.iterdir()) == [left[1]]


def test_a_terminal_that_lacks_a_letter(tmp_path: Path) -> None:
    """A code page without a letter of a header shows a question mark for it; the command goes on."""
    path = tmp_path / "x.csv"
    path.write_text("ref,surname,Улица\n1,Jones,2\n", encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import cli; cli.main()",
            "mapping",
            "guess",
            str(path),
            "--out",
            str(tmp_path / "m"),
        ],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Columns not made use of: ?????." in done.stdout
