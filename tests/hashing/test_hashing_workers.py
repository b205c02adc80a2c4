"""Sealing that is shared between processes gives what one thread gives, and leaves nobody behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from sealing_builders import LIMITS, person, subjects_of

from hashing import workers
from hashing.coding import Column
from hashing.derive import derive
from hashing.keys import RunKeys
from hashing.native.library import kernels
from hashing.seal import seal, sealing
from hashing.shuffling import shuffle
from hashing.workers import FORK_ROWS, Workers, threads_for, workers_for
from schemas.errors import OutputError
from schemas.scheme import parse_pass

PASSES = tuple(map(parse_pass, ("dob+surname.phonetic", "postcode.district+sex", "name_set", "nhs_number")))
KEYS = RunKeys(secret=bytes(32), agreement_digest="sha256:aa", run_id="2026-06")

forks = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks safely beside Arrow's threads")


@pytest.fixture(scope="module")
def derived() -> dict[str, Column]:
    """Derived values of forty people."""
    people = [
        person(str(number), [number * step % (limit + 1) for step, limit in enumerate(LIMITS, start=3)])
        for number in range(40)
    ]
    return derive(shuffle(subjects_of(people)))


def _counting() -> Callable[[int], bytes]:
    """Return a source of bytes that never gives the same ones twice, and the same ones each time it is made."""
    drawn = iter(range(1 << 30))
    return lambda size: bytes(next(drawn) * 37 % 251 for _ in range(size))


def _tables(derived: dict[str, Column], count: int | None) -> list[pa.Table]:
    made = seal(derived, PASSES, KEYS, crowded_cell=9, random_bytes=_counting(), workers=count)
    return [one.table() for one in made]


@forks
@pytest.mark.parametrize("count", [2, 3])
def test_processes_seal_what_one_thread_seals(
    derived: dict[str, Column], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many share the work, and in however many batches, the rows come in the same order."""
    monkeypatch.setattr("hashing.seal.BATCH_ROWS", 7)
    alone = _tables(derived, 1)
    assert sum(table.num_rows for table in alone) > 14
    for one, other in zip(alone, _tables(derived, count), strict=True):
        assert one.equals(other)


@pytest.mark.skipif(kernels() is None, reason="there are no compiled kernels here, so one thread seals")
def test_threads_seal_what_one_thread_seals(
    derived: dict[str, Column], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be forked, two threads share the work, to the same rows in the same order."""
    monkeypatch.setattr("hashing.seal.BATCH_ROWS", 7)
    alone = _tables(derived, 1)
    monkeypatch.setattr("hashing.seal.workers_for", lambda _rows: 1)
    monkeypatch.setattr("hashing.seal.threads_for", lambda _rows: 2)
    begun: list[Workers] = []
    monkeypatch.setattr("hashing.seal.Workers", lambda *a, **k: begun.append(Workers(*a, **k)) or begun[-1])
    for one, other in zip(alone, _tables(derived, None), strict=True):
        assert one.equals(other)
    assert [getattr(team._pool, "_max_workers", 0) for team in begun] == [1, 2]
    assert not any(team._forks for team in begun)


@forks
def test_a_process_draws_randomness_of_its_own(derived: dict[str, Column]) -> None:
    """Tokens outside a rarity class differ from one sealing to the next; all others do not."""
    one, two = (
        [made.table() for made in seal(derived, PASSES, KEYS, crowded_cell=9, workers=2)] for _ in "ab"
    )
    differ = {
        name
        for first, second in zip(one, two, strict=True)
        for name in first.column_names
        if not first[name].equals(second[name])
    }
    assert differ
    assert differ <= {f"{field}_{kind}" for field in ("forename", "surname") for kind in ("rare", "mid")}


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=forks)])
def test_other_work_is_done_beside(derived: dict[str, Column], count: int) -> None:
    """A worker does it first, and what it returns, or raises, is there whenever it is asked for."""
    here = os.getpid()

    def work() -> tuple[bool, list[str]]:
        return os.getpid() == here, sorted(derived)

    def fail() -> None:
        raise ZeroDivisionError

    with sealing(derived, PASSES, KEYS, crowded_cell=9, beside=work, workers=count) as begun:
        assert sum(made.table().num_rows for made in begun.passes)
        assert begun.beside() == (count == 1, sorted(derived))
    with sealing(derived, PASSES, KEYS, crowded_cell=9, beside=fail, workers=count) as failing:
        assert next(failing.passes).table().num_rows
        with pytest.raises(ZeroDivisionError):
            failing.beside()


@forks
def test_unread_batches_do_not_stop_the_next_pass(derived: dict[str, Column]) -> None:
    """Somebody who only looks at the counts still gets every pass."""
    made = [(one.blocking, one.sealed) for one in seal(derived, PASSES, KEYS, crowded_cell=99, workers=2)]
    assert [blocking for blocking, _ in made] == list(PASSES)
    assert all(count for _, count in made)


def _die(_shared: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@forks
def test_a_killed_process_is_told_in_a_sentence() -> None:
    """When the system ends a process for want of memory, sealing refuses; it neither hangs nor shows a traceback."""
    team = Workers(None, 2)
    try:
        with pytest.raises(OutputError, match="nothing was written"):
            team.result(team.submit(_die))
    finally:
        team.close()


def _whoami(_shared: object) -> int:
    return os.getpid()


def _gone(pid: int) -> bool:
    """Return whether the process ended, waiting for it a little."""
    for _ in range(500):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


@forks
def test_processes_end_with_the_sealing(derived: dict[str, Column]) -> None:
    """After an error in the middle no process is left."""
    children = []

    def work() -> None:
        with sealing(derived, PASSES, KEYS, crowded_cell=9, beside=int, workers=2) as begun:
            next(begun.passes)
            children.extend(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert len(children) >= 2
    assert all(_gone(int(pid)) for pid in children)


@forks
def test_a_process_can_end_with_its_work() -> None:
    """What it returned is there still; closing afterwards is no error, and closing before ends it."""
    team = Workers(None, 1, apart=True)
    future = team.submit(_whoami)
    team.end_with(future)
    pid = team.result(future)
    assert pid != os.getpid()
    assert _gone(pid)
    team.close()
    early = Workers(None, 1, apart=True)
    waiting = early.submit(_whoami)
    early.end_with(waiting)
    early.close()
    assert waiting.done()


_PARENT = """
import os, signal, sys
sys.path.insert(0, {root!r})
from hashing.workers import Workers
def whoami(_shared): return os.getpid()
team = Workers(None, 2)
print(team.result(team.submit(whoami)), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@forks
def test_processes_die_with_a_killed_parent() -> None:
    """A process that holds keys does not outlive the one that it works for, however that one ends."""
    code = _PARENT.format(root=str(Path(workers.__file__).parents[1]))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert _gone(int(done.stdout))


@forks
def test_ctrl_c_is_left_to_the_parent() -> None:
    """An interrupt from the terminal reaches every process; only the one that the user started answers it."""
    team = Workers(None, 2)
    try:
        pid = team.result(team.submit(_whoami))
        os.kill(pid, signal.SIGINT)
        assert team.result(team.submit(_whoami))
        assert not _gone_now(pid)
    finally:
        team.close()


def _gone_now(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork, and sealing never asks it to")
@pytest.mark.parametrize("error", [OSError, ImportError, NotImplementedError, ValueError])
def test_a_thread_does_the_work_where_processes_cannot_be_had(
    derived: dict[str, Column], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container without shared memory for queues, sealing goes on in this process, to the same result."""

    def nothing(*_: object, **__: object) -> None:
        raise error

    alone = _tables(derived, 1)
    monkeypatch.setattr(workers, "ProcessPoolExecutor", nothing)
    team = Workers(None, 2)
    assert team.result(team.submit(_whoami)) == os.getpid()
    team.close()
    assert all(one.equals(two) for one, two in zip(alone, _tables(derived, 2), strict=True))


def test_small_extracts_are_sealed_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process is only started where it pays, and never more of them than there are processors."""
    monkeypatch.setattr(workers, "cores", lambda: 64)
    assert workers_for(FORK_ROWS - 1) == 1
    monkeypatch.setattr(sys, "platform", "linux")
    assert workers_for(FORK_ROWS) == workers._MOST
    monkeypatch.setattr(workers, "cores", lambda: 2)
    assert workers_for(10 * FORK_ROWS) == 2
    monkeypatch.setattr(sys, "platform", "win32")
    assert workers_for(10 * FORK_ROWS) == 1
    monkeypatch.setattr(workers, "kernels", object)
    assert threads_for(10 * FORK_ROWS) == 2
    assert threads_for(FORK_ROWS - 1) == 1
    monkeypatch.setattr(workers, "kernels", lambda: None)
    assert threads_for(10 * FORK_ROWS) == 1
