"""The replay register under several processes: each package is taken in once, and nothing that one wrote is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from package_forge import FOLDER, identities

from schemas.canonical import parse_json
from schemas.container import Manifest, ReplayGuard, read_manifest
from schemas.errors import OutputError, Replayed

ROOT = Path(__file__).parents[2]
# Admits the manifests in files, one after the other. With "hold" it stays inside the admission until it is told how to
# end; it says what it is about to do, and what came of it.
WORKER = """
import sys
from pathlib import Path
from schemas.errors import Replayed
from schemas.manifest import parse_manifest
from schemas.policies import ReplayGuard

def say(text):
    print(text, flush=True)

guard = ReplayGuard(Path(sys.argv[1]))
say("ready")
order = sys.stdin.readline().strip()
for name in sys.argv[2:]:
    manifest = parse_manifest(Path(name).read_bytes())
    try:
        with guard.admission([(manifest, name)]):
            if order == "hold":
                say("inside")
                if sys.stdin.readline().strip() == "fail":
                    raise OSError
        say("admitted")
    except (Replayed, OSError) as error:
        say(type(error).__name__)
"""


@pytest.fixture
def manifest() -> Manifest:
    """The manifest of an honest package."""
    people = identities()
    known = {name: identity.public for name, identity in people.items()}
    return read_manifest(FOLDER / "good.tally", recipient=people["unit"], known_senders=known)


class _Process:
    """A process that admits packages when it is told to."""

    def __init__(self, register: Path, *manifests: Path) -> None:
        command = [sys.executable, "-c", WORKER, str(register), *map(str, manifests)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, text: str) -> None:
        """Send a line."""
        stream: IO[str] | None = self._process.stdin
        assert stream is not None
        stream.write(text + "\n")
        stream.flush()

    def hear(self) -> str:
        """Wait for a line."""
        stream: IO[str] | None = self._process.stdout
        assert stream is not None
        return stream.readline().strip()

    def rest(self) -> list[str]:
        """Wait for the end; return the remaining lines."""
        return self._process.communicate()[0].split()

    def stop(self) -> None:
        """End it if it still runs."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def _processes(register: Path, *lists: list[Path]) -> Iterator[list[_Process]]:
    made = [_Process(register, *manifests) for manifests in lists]
    try:
        assert [each.hear() for each in made] == ["ready"] * len(made)
        yield made
    finally:
        for each in made:
            each.stop()


def _saved(manifest: Manifest, folder: Path, name: str) -> Path:
    path = folder / f"{name}.json"
    path.write_bytes(manifest.to_bytes())
    return path


def test_one_package_two_processes(manifest: Manifest, tmp_path: Path) -> None:
    """While one process takes a package in, another waits, and is then refused."""
    register, package = tmp_path / "register.json", _saved(manifest, tmp_path, "package")
    with _processes(register, [package], [package]) as (first, second):
        first.tell("hold")
        assert first.hear() == "inside"
        second.tell("go")
        first.tell("succeed")
        assert first.rest() == ["admitted"]
        assert second.rest() == ["Replayed"]


@pytest.mark.skipif(sys.platform == "win32", reason="asks for the lock without waiting, which fcntl can")
def test_the_register_is_locked_until_the_work_is_final(manifest: Manifest, tmp_path: Path) -> None:
    """Inside an admission the lock is held; when its work fails the package was not taken in, and another may."""
    import fcntl

    register, package = tmp_path / "register.json", _saved(manifest, tmp_path, "package")
    with _processes(register, [package], [package]) as (first, second):
        first.tell("hold")
        assert first.hear() == "inside"
        with (tmp_path / "register.json.lock").open("rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        second.tell("go")
        first.tell("fail")
        assert first.rest() == ["OSError"]
        assert second.rest() == ["admitted"]
    with pytest.raises(Replayed):
        ReplayGuard(register).check_all([(manifest, None)])


def test_a_killed_process_holds_nothing_up(manifest: Manifest, tmp_path: Path) -> None:
    """A process that dies inside an admission leaves the register readable, unlocked, and on the safe side."""
    register, package = tmp_path / "register.json", _saved(manifest, tmp_path, "package")
    with _processes(register, [package]) as (only,):
        only.tell("hold")
        assert only.hear() == "inside"
        only.stop()
        with pytest.raises(Replayed):
            ReplayGuard(register).admit(manifest)
        ReplayGuard(register).admit(replace(manifest, run_id="another"))


def test_processes_lose_nothing_of_each_other(manifest: Manifest, tmp_path: Path) -> None:
    """Four processes that add to one register at once: every package is in it once, whoever was first."""
    register = tmp_path / "register.json"
    own = [
        [
            _saved(replace(manifest, run_id=f"run-{process}-{number}"), tmp_path, f"{process}-{number}")
            for number in range(10)
        ]
        for process in range(4)
    ]
    shared = _saved(manifest, tmp_path, "shared")
    with _processes(register, *([*mine[:5], shared, *mine[5:]] for mine in own)) as workers:
        for each in workers:
            each.tell("go")
        said = [line for each in workers for line in each.rest()]
    assert sorted(said) == ["Replayed"] * 3 + ["admitted"] * 41
    seen = parse_json(register.read_bytes())["seen"]  # type: ignore[index,call-overload]
    assert len(seen) == 2 * 41  # type: ignore[arg-type]


def test_no_place_for_the_register(manifest: Manifest, tmp_path: Path) -> None:
    """A register in a folder that does not exist is refused when packages are checked, before hours of work."""
    with pytest.raises(OutputError):
        ReplayGuard(tmp_path / "nowhere" / "register.json").check_all([(manifest, None)])
