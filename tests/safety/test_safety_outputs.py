"""Whatever stops a command half-way (a kill, a full disk, Ctrl-C), what was there before stays, and no more comes."""

from __future__ import annotations

import csv
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas import atomic
from schemas.errors import OutputError
from tests.cli.test_cli_roles import AGENCIES, EXCLUDED, PASSPHRASE, UNIT, County, county
from tests.conftest import run

__all__ = ["county"]

ROOT = Path(__file__).parents[2]

KILLED_AT_FSYNC = """
import os, signal, sys
left = int(sys.argv.pop(1))
real = os.fsync
def fsync(descriptor):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(descriptor)
os.fsync = fsync
import cli
cli.main()
"""
"""The command line in a process that is killed when it is about to finish its n-th file."""

DISK_OF = """
import resource, sys
size = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
import cli
cli.main()
"""
"""The command line in a process that can write no file beyond a size, as on a disk that fills up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A command, and the files that it would make in `folder`."""

    words: tuple[str | Path, ...]
    folder: Path
    makes: tuple[str, ...]

    def visible(self) -> dict[str, bytes]:
        """Everything in the folder that is no leftover, with its content."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        }

    def leftovers(self) -> list[Path]:
        """What stands aside in the folder."""
        return [path for path in self.folder.iterdir() if path.name.startswith(".")]


def _seal(county: County, folder: Path) -> Task:
    rejects = folder / "rejects.csv"
    rejects.write_text("what an earlier sealing rejected\n")
    out = ("--out", folder / "p.tally", "--crosswalk", folder / "p.crosswalk", "--rejects", rejects)
    words = (
        "seal",
        county.extracts / "police.csv",
        *county.role("police"),
        *EXCLUDED,
        "--run",
        "2026-11",
        *out,
    )
    return Task(words=words, folder=folder, makes=("p.crosswalk", "p.tally", "rejects.csv"))


def _profile(county: County, folder: Path) -> Task:
    words = ("profile", county.extracts / "police.csv", "--mapping", county.extracts / "mapping.yaml")
    out = ("--html", folder / "quality.html", "--rejects", folder / "rejects.csv")
    return Task(words=(*words, *out), folder=folder, makes=("quality.html", "rejects.csv"))


def _link(county: County, folder: Path) -> Task:
    words = (
        *("link", *(county.path(f"{name}.tally") for name in AGENCIES)),
        *("--agreement", county.path("agreement.yaml"), "--key", county.path(f"{UNIT}.key")),
        *("--out", folder / "run"),
    )
    return Task(words=words, folder=folder, makes=("run/returns/police.tally",))


def _rehearse(county: County, folder: Path) -> Task:
    return Task(
        words=("rehearse", county.extracts, "--out", folder / "out"),
        folder=folder,
        makes=("out/report.html",),
    )


def _open(county: County, folder: Path) -> Task:
    made = folder / "made"  # what is read stands apart from what is written
    linking = _link(county, made)
    made.mkdir()
    assert run(*linking.words, env=PASSPHRASE).exit_code == 0
    words = (
        *("open", made / "run" / "returns" / "police.tally", "--extract", county.extracts / "police.csv"),
        *(*county.role("police"), "--crosswalk", county.path("police.crosswalk")),
        *("--out", folder / "out" / "results.csv"),
    )
    (folder / "out").mkdir()
    return Task(words=words, folder=folder / "out", makes=("results.csv",))


TASKS: dict[str, Callable[[County, Path], Task]] = {
    "open": _open,
    "seal": _seal,
    "profile": _profile,
    "link": _link,
    "rehearse": _rehearse,
}


def _process(code: str, number: int, task: Task) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(number), *map(str, task.words)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **PASSPHRASE}, capture_output=True, text=True, check=False
    )


def _identifiers(county: County) -> list[bytes]:
    """Addresses and references of the extracts: letters and digits, long enough not to turn up by chance."""
    found: set[str] = set()
    for agency in AGENCIES:
        with (county.extracts / f"{agency}.csv").open(encoding="utf-8-sig", newline="") as stream:
            for row in csv.DictReader(stream):
                found |= {cell for cell in row.values() if cell and len(cell) > 9 and not cell[-1].isspace()}
    return [
        text.encode()
        for text in found
        if any(map(str.isdigit, text)) and any(map(str.isalpha, text[:2] + text[-2:]))
    ]


def _finishes(task: Task) -> None:
    """Run the command as usual: it succeeds, makes its files, and leaves nothing aside."""
    result = run(*task.words, env=PASSPHRASE)
    assert result.exit_code == 0, result.output
    assert set(task.makes) <= set(task.visible())
    assert task.leftovers() == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize(
    ("name", "file"),
    [("seal", 1), ("seal", 3), ("profile", 1), ("profile", 2), ("link", 1), ("rehearse", 4), ("open", 1)],
)
def test_killed(county: County, tmp_path: Path, name: str, file: int) -> None:
    """A killed process changes nothing, leaves nothing aside that others can read, and the next run tidies up after it.

    What is aside holds no plain identifier, but for `open`, whose result is the agency's own people.
    """
    task = TASKS[name](county, tmp_path)
    before = task.visible()
    done = _process(KILLED_AT_FSYNC, file, task)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert task.visible() == before
    assert task.leftovers()
    assert [path for path in task.leftovers() if path.stat().st_mode & 0o077] == []
    remains = b"".join(
        path.read_bytes()
        for aside in task.leftovers()
        for path in (aside, *aside.rglob("*"))
        if path.is_file()
    )
    plain = [text for text in _identifiers(county) if text in remains]
    assert (len(plain) == 0) == (name != "open"), f"{len(plain)} identifiers"
    if name == "rehearse":  # it would take long to do it all again
        atomic.sweep(tmp_path / "out")
        assert task.leftovers() == []
    else:
        _finishes(task)


@pytest.mark.parametrize("name", ["seal", "profile", "link"])
@pytest.mark.parametrize(
    "fault",
    [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()],
    ids=["full disk", "Ctrl-C"],
)
def test_stopped(
    county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: BaseException
) -> None:
    """A full disk or Ctrl-C is told without a traceback, and leaves what was there and nothing more."""
    task = TASKS[name](county, tmp_path)
    before = task.visible()

    def stop(_descriptor: int) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(atomic.os, "fsync", stop)
        result = run(*task.words, env=PASSPHRASE)
    assert result.exit_code == (2 if isinstance(fault, OSError) else result.exit_code) != 0
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    if isinstance(fault, OSError):
        assert "No space left on device" in result.output
    assert task.visible() == before
    assert task.leftovers() == []


def test_rehearsal_stopped(county: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal that is broken off leaves no folder, not even one that stands aside."""
    task = _rehearse(county, tmp_path)

    def stop(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", stop)
    assert run(*task.words, env=PASSPHRASE).exit_code != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of resources")
@pytest.mark.parametrize(("name", "size"), [("seal", 60_000), ("link", 5_000)])
def test_disk_really_full(county: County, tmp_path: Path, name: str, size: int) -> None:
    """When the system itself refuses to write on, whichever file is being written, the state before stays."""
    task = TASKS[name](county, tmp_path)
    before = task.visible()
    done = _process(DISK_OF, size, task)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "File too large" in done.stderr
    assert task.visible() == before
    assert task.leftovers() == []


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from schemas.atomic import atomic_file
with atomic_file(Path(sys.argv[1])) as stream:
    stream.write(b"somebody")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("other", [False, True])
def test_what_a_killed_process_wrote_is_removed(tmp_path: Path, other: bool) -> None:
    """What a process wrote before it was killed is for its owner's eyes, and goes with the next output of the folder.

    That is at once when the output is the same one, after a minute when it is another.
    """
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path / "results.csv")]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"somebody"
    assert left.stat().st_mode & 0o777 == 0o600
    target = tmp_path / ("another.csv" if other else "results.csv")
    if other:
        atomic.atomic_write(target, "1")
        assert left.exists()  # it might be of a process that has not locked it yet
        os.utime(left, (0, 0))
    atomic.atomic_write(target, "2")
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not those of POSIX")
def test_rights_of_outputs(tmp_path: Path) -> None:
    """While it is made an output is its owner's; then it has the rights of the umask, unless it is private."""

    def rights(path: Path) -> int:
        return path.stat().st_mode & 0o777

    before = os.umask(0o027)
    try:
        for name, private in (("shown", False), ("kept", True)):
            with atomic.together(), atomic.atomic_file(tmp_path / name, private=private):
                assert [rights(path) for path in tmp_path.glob(f".{name}.*.part")] == [0o600]
            with atomic.atomic_file(tmp_path / f"{name} alone", private=private):
                pass
        with atomic.atomic_folder(tmp_path / "run") as work:
            assert rights(work) == 0o700
    finally:
        os.umask(before)
    found = {path.name: rights(path) for path in tmp_path.iterdir()}
    assert found == {"shown": 0o640, "shown alone": 0o640, "kept": 0o600, "kept alone": 0o600, "run": 0o750}


def test_work_in_progress_is_not_swept(tmp_path: Path) -> None:
    """What another process is still writing stays; what a dead one left goes."""
    target = tmp_path / "x.tally"
    stale = tmp_path / ".x.tally.0123abcd.part"
    stale.write_bytes(b"left behind")
    other = tmp_path / ".y.tally.0123abcd.part"
    other.write_bytes(b"of another file")
    with atomic.atomic_file(target) as first:
        first.write(b"1")
        assert not stale.exists()
        with atomic.atomic_file(target) as second:
            second.write(b"2")
    assert target.read_bytes() == b"1"
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, target.name]


def test_folders_left_behind_are_swept(tmp_path: Path) -> None:
    """A folder that a killed process was filling goes, one that is being filled stays."""
    stale = tmp_path / ".run.0123abcd.part"
    (stale / "returns").mkdir(parents=True)
    with atomic.atomic_folder(tmp_path / "run") as work:
        assert not stale.exists()
        atomic.sweep(tmp_path / "run")
        (work / "x").write_text("done")
    assert (tmp_path / "run" / "x").read_text() == "done"


def test_together_all_or_none(tmp_path: Path) -> None:
    """Files written together appear at the end, in their order; when one cannot be placed, none stays."""
    first, second = tmp_path / "1", tmp_path / "2"
    with atomic.together():
        atomic.atomic_write(first, "one")
        atomic.atomic_write(second, "two")
        assert not first.exists()
    assert (first.read_text(), second.read_text()) == ("one", "two")
    first.unlink()
    second.unlink()
    second.mkdir()

    def write_both() -> None:
        with atomic.together():
            atomic.atomic_write(first, "one")
            atomic.atomic_write(second, "two")

    with pytest.raises(OutputError):
        write_both()
    assert [path.name for path in tmp_path.iterdir()] == ["2"]


def test_together_keeps_its_locks(tmp_path: Path) -> None:
    """A finished file that waits for the others is not swept by a process that writes the same target."""
    target = tmp_path / "1"
    with atomic.together():
        atomic.atomic_write(target, "one")
        atomic.sweep(target)
    assert target.read_text() == "one"
