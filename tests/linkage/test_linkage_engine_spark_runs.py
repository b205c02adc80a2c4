"""Whole runs with Spark, each with a Java process of its own: the same results, and nothing left however they end.

Skipped where pyspark or Java is missing (see test_linkage_engine_spark.py).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from linkage_world import World

from linkage import spark_engine, spark_session
from schemas.errors import LinkageError

pytestmark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="pyspark or Java is missing (extra spark)",
)


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A temporary folder of our own, so that what anything leaves in it is seen."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The Java processes that were ended. There was one, it is gone, and Ctrl-C does what it did."""
    processes: list[subprocess.Popen[bytes]] = []
    end = spark_session._end

    def watched(process: subprocess.Popen[bytes]) -> None:
        end(process)
        processes.append(process)

    monkeypatch.setattr(spark_session, "_end", watched)
    interrupts = signal.getsignal(signal.SIGINT)
    yield processes
    assert [process.poll() is not None for process in processes] == [True]
    assert signal.getsignal(signal.SIGINT) is interrupts


def _instead(monkeypatch: pytest.MonkeyPatch, out: Path, query: Callable[[], str]) -> None:
    """Let Spark run another query where it should compare, and see that what it was given is its owner's alone."""

    def compared_in(*_: Any, **__: Any) -> str:
        (private,) = out.parent.glob(f".{out.name}.*.part/.spark-*")
        assert private.stat().st_mode & 0o077 == 0
        assert list(private.glob("tokens_*.parquet"))
        return query()

    monkeypatch.setattr(spark_engine, "compared_in", compared_in)


@pytest.mark.usefixtures("ended")
def test_a_run_with_spark_equals_one_with_the_database(
    world: World, tmp_path: Path, temporary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Links, people and reviews are the same, run.json names the engine, and Spark says and leaves nothing."""
    (tmp_path / "runs").mkdir()
    runs = {engine: tmp_path / "runs" / engine for engine in ("duckdb", "spark")}
    for engine, out in runs.items():
        world.link(out, engine=engine)
    for name in ("links", "people", "review", "told"):
        tables = [pq.read_table(out / f"{name}.parquet") for out in runs.values()]
        tables = [each.sort_by([(column, "ascending") for column in each.column_names]) for each in tables]
        assert tables[0].equals(tables[1]), name
    said = {engine: json.loads((out / "run.json").read_text()) for engine, out in runs.items()}
    assert [each.pop("engine") for each in said.values()] == ["duckdb", "spark"]
    assert said["duckdb"] == said["spark"]
    files = [{path.relative_to(out).as_posix() for path in out.rglob("*")} for out in runs.values()]
    assert files[0] == files[1]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["duckdb", "spark"]
    assert list(temporary.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("ended")
def test_nothing_is_left_of_a_failure(
    world: World, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When Spark fails, the refusal names the step and the failure, and neither tables nor processes stay."""
    out = tmp_path / "run"
    _instead(monkeypatch, out, lambda: "SELECT raise_error('canary')")
    with pytest.raises(LinkageError, match="Spark could not compare") as refused:
        world.link(out, engine="spark")
    assert "canary" not in str(refused.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary"]
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("ended")
def test_nothing_is_left_of_an_interruption(
    world: World, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while Spark is at work ends the run, its Java process and its files."""
    out, timers = tmp_path / "run", []

    def long() -> str:
        if not timers:
            timers.append(threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)))
            timers[0].start()
        return "SELECT count(*) FROM range(0, 1000000000000000, 1, 2)"

    _instead(monkeypatch, out, long)
    with pytest.raises(KeyboardInterrupt):
        world.link(out, engine="spark")
    timers[0].join()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary"]
    assert list(temporary.iterdir()) == []


@pytest.mark.usefixtures("ended")
def test_a_session_that_does_not_start(
    world: World, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Java starts and Spark does not, the run stops with what to check, and nothing is left."""
    monkeypatch.setenv("SPARK_MASTER", "local[0]")
    with pytest.raises(LinkageError, match=r"Spark does not start.*--engine duckdb"):
        world.link(tmp_path / "run", engine="spark")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary"]
    assert list(temporary.iterdir()) == []


# pyspark does not close the pipe to a Java process that gave up.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_master_that_is_not_there(
    world: World, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Java gives up at once, the run stops in the same words, and nothing is left."""
    monkeypatch.setenv("SPARK_MASTER", "nonsense")
    with pytest.raises(LinkageError, match=r"Spark does not start.*--engine duckdb"):
        world.link(tmp_path / "run", engine="spark")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary"]
    assert list(temporary.iterdir()) == []
