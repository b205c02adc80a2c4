"""Engines: which there are, what they refuse, and that a run says which one it had. None of it starts Spark."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import click
import pytest
from linkage_world import NOW, World

from linkage import engine as engines
from linkage.commands.link import ENGINES, link_command
from linkage.comparing import compare
from linkage.run import link
from linkage.spark_engine import spark_engine
from linkage.spark_session import failure_of, file_url, require_spark
from schemas.errors import LinkageError


@pytest.fixture
def no_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without pyspark."""
    monkeypatch.setitem(__import__("sys").modules, "pyspark", None)


@pytest.fixture
def pyspark_without_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Python with something called pyspark, on a machine where no Java is found; return where it could be."""
    package = tmp_path / "packages" / "pyspark"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('loaded')")
    monkeypatch.delitem(__import__("sys").modules, "pyspark", raising=False)
    monkeypatch.syspath_prepend(package.parent)
    home = tmp_path / "java"
    (home / "bin").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    return home


def _add_java(home: Path) -> None:
    java = home / "bin" / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)


def test_the_command_offers_the_engines_that_there_are() -> None:
    """`--engine` takes the names of `linkage.engine`, and its default is that of `link`."""
    assert ENGINES == engines.ENGINES
    (option,) = (each for each in link_command.params if each.name == "engine")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == ENGINES
    assert option.default == inspect.signature(link).parameters["engine"].default == "duckdb"


def test_a_run_says_which_engine_it_had(world: World, tmp_path: Path) -> None:
    """run.json names the engine, and nothing is left of what an engine keeps."""
    world.link(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["engine"] == "duckdb"
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name.startswith(".")] == []


@pytest.mark.usefixtures("no_pyspark")
def test_without_pyspark(world: World, tmp_path: Path) -> None:
    """Where pyspark is missing, the run stops before a package is opened, names the extra and leaves nothing."""
    absent = [tmp_path / "absent.tally"]
    with pytest.raises(LinkageError, match=r"'tallystick\[spark\]'.*Java 17.*--engine duckdb"):
        link(
            absent,
            tmp_path / "run",
            agreement=world.agreement,
            unit=world.unit,
            known=world.public,
            created_at=NOW,
            engine="spark",
        )
    assert list(tmp_path.iterdir()) == []


def test_without_java(pyspark_without_java: Path, tmp_path: Path) -> None:
    """Where Java is missing, the refusal says so; pyspark is not loaded to find out."""
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(LinkageError, match=r"needs Java.*JAVA_HOME.*--engine duckdb"), spark_engine(folder):
        pass
    assert list(folder.iterdir()) == []
    assert not list((pyspark_without_java / "bin").iterdir())


@pytest.mark.parametrize("where", ["PATH", "JAVA_HOME"])
def test_where_java_is_looked_for(
    pyspark_without_java: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Java is found in JAVA_HOME, and on PATH only where JAVA_HOME is not set, as Spark finds it."""
    _add_java(pyspark_without_java)
    place = pyspark_without_java if where == "JAVA_HOME" else pyspark_without_java / "bin"
    monkeypatch.setenv(where, str(place))
    require_spark()
    if where == "PATH":
        monkeypatch.setenv("JAVA_HOME", str(pyspark_without_java / "elsewhere"))
        with pytest.raises(LinkageError, match="needs Java"):
            require_spark()


@pytest.mark.usefixtures("pyspark_without_java")
def test_under_spark_submit_java_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that spark-submit started has its Java process already, so none is looked for."""
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    require_spark()


def test_the_database_engine_is_the_database(unit: Any, world: World, tmp_path: Path) -> None:
    """The default engine compares as `linkage.comparing` does, and keeps no file."""
    with engines.open_engine("duckdb", tmp_path) as opened:
        opened.compare(unit.con, world.agreement.passes, candidates="candidates", output="by_engine")
    compare(unit.con, world.agreement.passes, candidates="candidates", output="by_function")
    try:
        differing = unit.con.execute(
            "(FROM by_engine EXCEPT ALL FROM by_function) UNION ALL (FROM by_function EXCEPT ALL FROM by_engine)"
        ).fetchall()
        assert differing == []
        assert unit.con.execute("SELECT count(*) FROM by_engine").fetchall()[0][0] > 100
    finally:
        unit.con.execute("DROP TABLE by_engine")
        unit.con.execute("DROP TABLE by_function")
    assert list(tmp_path.iterdir()) == []


def test_failures_of_spark_name_no_value() -> None:
    """Of an error of Spark only the names of failures are shown: its text may quote what it read."""
    error = RuntimeError(
        "An error occurred while calling o1.parquet. : org.apache.spark.SparkException: Job aborted: value 4711\n"
        "Caused by: java.lang.OutOfMemoryError: Java heap space at Memory.outOfMemoryError(Memory.java:9)"
    )
    assert failure_of(error) == "RuntimeError, SparkException, OutOfMemoryError"


def test_names_of_files_are_not_escaped(tmp_path: Path) -> None:
    """Hadoop takes names of files as they stand, blanks and percent signs too."""
    assert file_url(tmp_path / "a b%20c") == f"file://{tmp_path}/a b%20c"
