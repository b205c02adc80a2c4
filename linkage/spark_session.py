"""A Spark session for a part of one run: what it needs, how it starts and ends, and where it may write and listen.

Whose Spark it is, Spark's own settings say: `SPARK_MASTER`, `spark-submit`, `PYSPARK_SUBMIT_ARGS` or
`spark-defaults.conf`. Without any it runs on the cores of this machine, and then listens to nobody else.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from schemas.errors import LinkageError

INSTEAD = "Or link with --engine duckdb, which needs nothing more."

MEMORY = "2g"
"""Heap of Spark's Java process, unless `SPARK_DRIVER_MEMORY` or `spark.driver.memory` says another; beyond it Spark
works from disk."""

_LOCAL = re.compile(r"local(\[.*\])?")
_PATIENCE_SECONDS = 30
_LOGGING = """\
rootLogger.level = error
rootLogger.appenderRef.only.ref = only
appender.only.type = Console
appender.only.name = only
appender.only.target = SYSTEM_ERR
appender.only.layout.type = PatternLayout
appender.only.layout.pattern = %d %p %c{1}: %m%n
"""


def require_spark() -> None:
    """Make sure that Spark can be started here; nothing is started, and pyspark is not loaded.

    Raises:
        LinkageError: pyspark or Java is missing.
    """
    if find_spec("pyspark") is None:
        raise LinkageError(
            "--engine spark needs the package pyspark, which is not installed.",
            remedy="Install the extra spark (python -m pip install 'tallystick[spark]') and Java 17 or later. "
            + INSTEAD,
        )
    if "PYSPARK_GATEWAY_PORT" not in os.environ and not _has_java():
        raise LinkageError(
            "--engine spark needs Java, and neither JAVA_HOME nor PATH leads to one.",
            remedy=f"Install Java 17 or later, and set JAVA_HOME if it is not found. {INSTEAD}",
        )


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home, "bin")) if home else None) is not None


@contextmanager
def spark_session(folder: Path) -> Iterator[Any]:
    """Yield a session of Spark. Its Java process is gone when the block ends, whatever ended it.

    Args:
        folder: A private folder for all that Spark writes on this machine.

    Raises:
        LinkageError: Spark does not start.
    """
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    with _own_interrupts(), _java(folder) as gateway:
        settings = SparkConf(loadDefaults=True, _jvm=gateway.jvm)
        for name, value in _settings(settings.get("spark.master"), folder).items():
            settings.set(name, value)
        try:
            session = SparkSession(SparkContext(gateway=gateway, conf=settings))
        except (PySparkException, Py4JError, OSError) as error:
            raise _does_not_start(error) from None
        try:
            yield session
        finally:
            session.stop()


def _settings(master: str, folder: Path) -> Mapping[str, str]:
    """Return what a session is set to beyond Spark's own settings."""
    settings = {
        "spark.app.name": "tallystick",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": file_url(folder / "warehouse"),
    }
    if _LOCAL.fullmatch(master):
        settings |= {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
    return settings


def file_url(path: Path) -> str:
    """Return the name of a file for Hadoop, which reads it as it stands: nothing is escaped."""
    return "file:///" + path.absolute().as_posix().lstrip("/")


@contextmanager
def _java(folder: Path) -> Iterator[Any]:
    """Yield the gateway to a Java process that ends with the block; under `spark-submit`, to the one that is there."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway

    temporary, logging = folder / "java", folder / "log4j2.properties"
    temporary.mkdir(exist_ok=True)
    logging.write_text(_LOGGING, encoding="utf-8")
    start = SparkConf(loadDefaults=False)
    start.set(
        "spark.driver.extraJavaOptions",
        f'"-Djava.io.tmpdir={temporary}" -XX:-UsePerfData "-Dlog4j2.configurationFile={logging.as_uri()}"',
    )
    if master := os.environ.get("SPARK_MASTER"):
        start.set("spark.master", master)
    memory = os.environ.get("SPARK_DRIVER_MEMORY", MEMORY)
    with (folder / "spark.log").open("wb") as log:
        try:
            with _environment(SPARK_LOCAL_DIRS=str(folder / "spill"), SPARK_DRIVER_MEMORY=memory):
                gateway = launch_gateway(start, popen_kwargs={"stdout": log, "stderr": log})
        except (PySparkException, OSError) as error:
            raise _does_not_start(error) from None
        try:
            yield gateway
        finally:
            if gateway.proc is not None:
                # Or the next session of this process would ask the Java process that is gone.
                SparkContext._gateway = SparkContext._jvm = None
                gateway.shutdown()
                _end(gateway.proc)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a Java process that reads from us: it tidies up and goes when there is nothing more to read."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_PATIENCE_SECONDS)
    except BaseException as error:
        process.kill()
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Put back what happens at Ctrl-C, which Spark changes for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _does_not_start(error: BaseException) -> LinkageError:
    return LinkageError(
        f"Spark does not start ({failure_of(error)}).",
        remedy="Check that Java is of version 17 or later and that Spark's settings name a master that is there. "
        + INSTEAD,
    )


@contextmanager
def spark_failures(step: str) -> Iterator[None]:
    """Turn a failure of Spark inside the block into one that says which step failed, and quotes no value.

    Raises:
        LinkageError: Spark failed.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise LinkageError(
            f"Spark could not {step} ({failure_of(error)}).",
            remedy="If it ran out of memory, raise SPARK_DRIVER_MEMORY or spark.executor.memory; if a cluster did not "
            "find a file, let --out stand in a folder that all its machines share under one name.",
        ) from None


def failure_of(error: BaseException) -> str:
    """Return the names of the failures inside an error of Spark, outermost first; its text may quote what it read."""
    named = re.findall(r"\b(?:\w+\.)+([A-Z]\w*(?:Exception|Error))\b", str(error))
    return ", ".join(dict.fromkeys([type(error).__name__, *named]))
