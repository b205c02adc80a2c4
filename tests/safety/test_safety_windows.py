"""What differs on Windows, played here: files that others hold, texts of its editors and shells, consoles, shares."""

from __future__ import annotations

import io
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path, PurePosixPath, PureWindowsPath

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from governance.audit.show import read_ref_rows
from hashing import workers
from hashing.reading.columns import as_text
from hashing.reading.database import connection_from, sqlite_uri
from schemas import atomic, locks, terminal
from schemas.errors import InputError, OutputError
from schemas.texts import marked_text


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Take the branches of Windows; return the pauses that are made, instead of making them."""
    pauses: list[float] = []
    monkeypatch.setattr(locks, "WINDOWS", True)
    monkeypatch.setattr(atomic.time, "sleep", pauses.append)
    return pauses


def held(monkeypatch: pytest.MonkeyPatch, refusals: int, name: str = "x.csv") -> None:
    """Let renaming to `name` be refused so many times, as it is while another program holds a file."""
    real, left = Path.replace, [refusals]

    def replace(path: Path, target: Path) -> Path:
        if Path(target).name == name and left[0]:
            left[0] -= 1
            raise PermissionError(13, "The process cannot access the file")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)


def test_a_file_that_is_held_for_a_moment(
    windows: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A scanner that looks at the new file is waited for, a little longer each time."""
    held(monkeypatch, 3)
    atomic.atomic_write(tmp_path / "x.csv", "1")
    assert (tmp_path / "x.csv").read_text() == "1"
    assert windows == [0.05, 0.1, 0.2]


def test_a_file_that_is_open_elsewhere(
    windows: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A result that Excel shows is not replaced: it stays, nothing lies beside it, and the remedy says what to do."""
    (tmp_path / "x.csv").write_text("old")
    held(monkeypatch, 99)
    with pytest.raises(OutputError, match="Close it in other programs"):
        atomic.atomic_write(tmp_path / "x.csv", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert (tmp_path / "x.csv").read_text() == "old"

    def both() -> None:
        with atomic.together():
            atomic.atomic_write(tmp_path / "a.csv", "1")
            atomic.atomic_write(tmp_path / "x.csv", "new")

    with pytest.raises(OutputError, match="Close it in other programs"):
        both()
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert len(windows) == 2 * len(atomic._PAUSES)


def test_elsewhere_nothing_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On other systems a refusal is one at once."""
    monkeypatch.setattr(atomic.time, "sleep", lambda _: pytest.fail("it waited"))
    held(monkeypatch, 1)
    with pytest.raises(OutputError):
        atomic.atomic_write(tmp_path / "x.csv", "1")


@pytest.mark.usefixtures("windows")
def test_a_folder_that_is_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of results appears when it is let go; when it never is, a sentence says so and nothing is left."""
    held(monkeypatch, 2, "run")
    with atomic.atomic_folder(tmp_path / "run") as work:
        (work / "z").write_text("3")
    assert (tmp_path / "run" / "z").exists()
    held(monkeypatch, 99, "again")
    with (
        pytest.raises(OutputError, match="cannot be written"),
        atomic.atomic_folder(tmp_path / "again") as work,
    ):
        (work / "z").write_text("3")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.usefixtures("windows")
def test_what_waits_for_the_others_stays_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A finished crosswalk is held open, so that no other program tidies it away, until it is put in its place."""
    descriptors: list[int] = []
    real_dup, real_replace = os.dup, Path.replace

    def dup(descriptor: int) -> int:
        descriptors.append(real_dup(descriptor))
        return descriptors[-1]

    def replace(path: Path, target: Path) -> Path:
        if path.name.startswith(".a.csv"):
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptors[0])  # Windows renames no open file
        return real_replace(path, target)

    monkeypatch.setattr(os, "dup", dup)
    monkeypatch.setattr(Path, "replace", replace)
    with atomic.together():
        atomic.atomic_write(tmp_path / "a.csv", "1")
        os.fstat(descriptors[0])
        atomic.atomic_write(tmp_path / "b.csv", "2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv"]
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


# --- texts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_passphrases_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str, end: str
) -> None:
    """Notepad's mark and PowerShell's UTF-16 are no part of a passphrase."""
    (tmp_path / "words").write_bytes(f"richtig Pferd Ö{end}".encode(encoding))
    monkeypatch.delenv("TALLYSTICK_PASSPHRASE", raising=False)
    monkeypatch.setenv("TALLYSTICK_PASSPHRASE_FILE", str(tmp_path / "words"))
    assert terminal.passphrase("it") == "richtig Pferd Ö".encode()
    (tmp_path / "c").write_bytes(f"sqlite:///a.db{end}".encode(encoding))
    assert connection_from(file=tmp_path / "c") == "sqlite:///a.db"


def test_a_passphrase_in_another_encoding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is no UTF-8 is refused without being shown."""
    (tmp_path / "words").write_bytes("Ösen".encode("cp1252"))
    monkeypatch.delenv("TALLYSTICK_PASSPHRASE", raising=False)
    monkeypatch.setenv("TALLYSTICK_PASSPHRASE_FILE", str(tmp_path / "words"))
    with pytest.raises(InputError, match="UTF-8") as caught:
        terminal.passphrase("it")
    assert "sen" not in str(caught.value).replace("passphrase", "")
    with pytest.raises(UnicodeDecodeError):
        marked_text(b"\xff\xfea")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_of_references_as_excel_saves_them(tmp_path: Path, delimiter: str, encoding: str) -> None:
    """A list that is not read right would leave nobody out: every delimiter of spreadsheets is found."""
    path = tmp_path / "exclude.csv"
    lines = ["Reason,Ref", "upheld_objection,7,", ",8"]
    path.write_bytes("\r\n".join(lines).replace(",", delimiter).encode(encoding))
    assert read_ref_rows(path) == [
        {"ref": "7", "reason": "upheld_objection"},
        {"ref": "8", "reason": ""},
    ]
    path.write_text("7;a\n8\n")
    assert [row["ref"] for row in read_ref_rows(path)] == ["7;a", "8"]
    path.write_bytes("ref\nÖ7".encode("cp1252"))
    with pytest.raises(InputError, match="CSV UTF-8"):
        read_ref_rows(path)


class Console(io.TextIOWrapper):
    """An output stream in a code page of Windows."""

    def __init__(self, is_console: bool) -> None:
        super().__init__(io.BytesIO(), encoding="cp1252", newline="")
        self._is_console = is_console

    def isatty(self) -> bool:
        """Tell what it was told to be."""
        return self._is_console


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize(("is_console", "content"), [(True, b"Z\xfcrich ?"), (False, "Zürich Ł".encode())])
def test_what_is_written_where(monkeypatch: pytest.MonkeyPatch, is_console: bool, content: bytes) -> None:
    """A console gets what it can show; a file gets UTF-8, so that a mapping drafted into it can be read."""
    stream = Console(is_console)
    monkeypatch.setattr(sys, "stdout", stream)
    terminal._write_what_can_be_written()
    stream.write("Zürich Ł")
    stream.flush()
    written = stream.buffer.getvalue()  # type: ignore[attr-defined]
    monkeypatch.undo()
    assert written == content


# --- databases, zones, processes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (PurePosixPath("/data/a b#1?.db"), "file:///data/a%20b%231%3F.db?mode=ro"),
        (PureWindowsPath(r"C:\Fälle\100%.db"), "file:///C:/F%C3%A4lle/100%25.db?mode=ro"),
        (PureWindowsPath(r"\\server\share\cases.db"), "file:////server/share/cases.db?mode=ro"),
    ],
)
def test_places_of_sqlite_files(path: PurePosixPath | PureWindowsPath, uri: str) -> None:
    """Drives and shares are written as SQLite reads them: a share has no host of its own in the URI."""
    assert sqlite_uri(path) == uri


def test_a_place_with_marks_is_opened(tmp_path: Path) -> None:
    """The URI opens the file that is meant, and no other."""
    path = tmp_path / "a b#1?ü%41.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    with closing(sqlite3.connect(sqlite_uri(path), uri=True)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("t",)]


def test_zones_without_a_list_of_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Arrow has no list of time zones, Python's is used, to the same days."""
    moments = pa.array([-302490000, None, 1767312000], pa.timestamp("s", tz="Europe/London"))
    days = as_text(moments, "x", "x").to_pylist()

    def missing(_: pa.Array) -> pa.Array:
        raise pa.ArrowInvalid("Cannot locate timezone 'Europe/London'")

    monkeypatch.setattr(pc, "local_timestamp", missing)
    assert as_text(moments, "x", "x").to_pylist() == days == ["1960-06-01", None, "2026-01-02"]


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_elsewhere_than_on_linux_a_thread_seals(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """No process is forked, and nothing is asked of the system that only Linux has."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert workers.cores() >= 1
    assert workers.workers_for(10**9) == 1
    pool = workers.Workers([1, 2], 1)
    assert workers.Workers.result(pool.submit(sum)) == 3
    pool.close()


def test_modules_load_without_those_of_posix() -> None:
    """Every module that an agency uses loads where `fcntl`, `pwd`, `resource` and os functions of POSIX are missing."""
    code = (
        "import sys, os\n"
        "for name in ('fcntl', 'pwd', 'grp', 'resource', 'termios', 'posix_ipc'): sys.modules[name] = None\n"
        "for name in ('geteuid', 'getuid', 'sched_getaffinity', 'fork', 'getppid', 'O_DIRECTORY', 'O_NOFOLLOW'):\n"
        "    hasattr(os, name) and delattr(os, name)\n"
        "import importlib, pkgutil, hashing, schemas, governance, cli\n"
        "for package in (schemas, governance, hashing):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(found.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
