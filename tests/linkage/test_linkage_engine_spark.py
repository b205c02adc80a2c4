"""Spark finds and compares what the database does, and leaves nothing behind.

Skipped where pyspark or Java is missing, as in the test extra: pyspark has some 500 MB. To run them, install the extra
`spark` beside it (docs/adr/0023-spark.md).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linkage_world import World, load_tokens, load_versions

from linkage import candidates
from linkage.database import connect
from linkage.engine import DuckDBEngine
from linkage.intake import token_table
from linkage.spark_engine import SparkEngine
from linkage.spark_session import spark_session
from schemas.payload import pass_schema
from schemas.scheme import Pass, parse_pass

pytestmark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None,
    reason="pyspark or Java is missing (extra spark)",
)

NAMES = ("dob+forename", "nhs_number", "uprn+surname", "postcode+dob.year")
ODD_NAME = "a [b] {c} 100%20 'd'"
"""A folder whose name Spark, Hadoop or SQL would take for something else."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One session for the module: starting one takes seconds."""
    with spark_session(tmp_path_factory.mktemp("spark")) as made:
        made.conf.set("spark.sql.shuffle.partitions", "4")
        yield made


def _differing(con: duckdb.DuckDBPyConnection, one: str, other: str) -> list[tuple[Any, ...]]:
    """Return the rows, and the columns with their types, that only one of two tables has."""
    shapes = [con.execute(f"DESCRIBE {table}").fetchall() for table in (one, other)]
    if shapes[0] != shapes[1]:
        return [*shapes[0], *shapes[1]]
    return con.execute(
        f"(FROM {one} EXCEPT ALL FROM {other}) UNION ALL (FROM {other} EXCEPT ALL FROM {one})"
    ).fetchall()


def _both(con: duckdb.DuckDBPyConnection, passes: list[Pass], spark: SparkEngine) -> None:
    """Let both engines find and compare, and hold their results equal; they stay as `candidates` and `compared`."""
    found = {}
    for engine in (DuckDBEngine(), spark):
        found[engine.name] = engine.find_candidates(con, passes)
        engine.compare(con, passes, candidates="candidates", output="compared")
        if engine is not spark:
            con.execute("ALTER TABLE candidates RENAME TO candidates_duckdb")
            con.execute("ALTER TABLE compared RENAME TO compared_duckdb")
    assert found["spark"] == found["duckdb"]
    assert _differing(con, "candidates", "candidates_duckdb") == []
    assert _differing(con, "compared", "compared_duckdb") == []


def test_engines_agree_on_sealed_packages(session: Any, unit: Any, world: World, tmp_path: Path) -> None:
    """Same candidates, passes, patterns and counts on the tokens of three agencies, in a folder with an odd name."""
    with connect(threads=1) as con:
        for table in ("versions", *map(token_table, range(len(world.agreement.passes)))):
            con.register("incoming", unit.con.sql(f"FROM {table}").to_arrow_table())
            con.execute(f"CREATE TABLE {table} AS FROM incoming")
            con.unregister("incoming")
        scratch = tmp_path / ODD_NAME
        scratch.mkdir()
        _both(con, list(world.agreement.passes), SparkEngine(scratch, session))
        counts = con.execute("SELECT count(*), count(DISTINCT pattern) FROM compared").fetchall()[0]
    assert counts[0] > 100
    assert counts[1] > 50


@st.composite
def _tables(draw: st.DrawFn) -> tuple[list[int], list[pa.Table]]:
    """Subject of each version, and token tables with few different blocks and tokens, some of them missing."""
    subject_of = draw(st.lists(st.integers(0, 12), min_size=1, max_size=30))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tables = []
    for name in NAMES:
        there = np.flatnonzero(random.random(len(subject_of)) < 0.8)
        columns = [
            pa.array(there.astype(np.int32)),
            pa.array(random.choice([-(2**63), -1, 0, 7, 2**63 - 1], len(there))),
        ]
        schema = pass_schema(parse_pass(name))
        for field in list(schema)[2:]:
            largest = 2 ** (8 * field.type.bit_width // 8) - 1
            values = random.choice(np.array([0, 1, largest], dtype=field.type.to_pandas_dtype()), len(there))
            columns.append(pa.array(values, mask=random.random(len(there)) < 0.2))
        tables.append(pa.table(columns, schema=schema))
    return subject_of, tables


@given(_tables(), st.integers(2, 9))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_engines_agree_on_random_tables(
    session: Any, tables: tuple[list[int], list[pa.Table]], cap: int
) -> None:
    """Same rows whatever blocks, tokens, missing values and subjects, and the same blocks are too large."""
    subject_of, token_tables = tables
    with pytest.MonkeyPatch.context() as patch, connect(threads=1) as con, TemporaryDirectory() as scratch:
        patch.setattr(candidates, "BLOCK_CAP", cap)
        load_versions(con, subject_of)
        for index, table in enumerate(token_tables):
            load_tokens(con, index, table)
        _both(con, [parse_pass(name) for name in NAMES], SparkEngine(Path(scratch), session))


def test_no_candidates(session: Any, tmp_path: Path) -> None:
    """Where nobody meets, both tables are there and empty, and each pass is told with noughts."""
    passes = [parse_pass(name) for name in NAMES]
    with connect(threads=1) as con:
        load_versions(con, [0, 1])
        for index, blocking in enumerate(passes):
            load_tokens(con, index, pass_schema(blocking).empty_table())
        _both(con, passes, SparkEngine(tmp_path, session))
        assert con.execute("SELECT count(*) FROM compared").fetchall() == [(0,)]


def test_as_many_passes_as_an_agreement_may_have(session: Any, tmp_path: Path) -> None:
    """The bits of `found_by` hold all 62 passes that the agreement's schema allows."""
    with connect(threads=1) as con:
        load_versions(con, [0, 1])
        rows = pa.table({"version": pa.array([0, 1], pa.int32()), "block": pa.array([5, 5], pa.int64())})
        for index in range(62):
            load_tokens(con, index, rows)
        SparkEngine(tmp_path, session).find_candidates(con, [parse_pass("nhs_number")] * 62)
        assert con.execute("SELECT found_by, pass FROM candidates").fetchall() == [(2**62 - 1, 0)]


def test_local_spark_listens_to_this_machine_only(session: Any) -> None:
    """The driver and its blocks are bound to the loopback address, and there is no web page."""
    conf = session.sparkContext.getConf()
    assert conf.get("spark.driver.host") == conf.get("spark.driver.bindAddress") == "127.0.0.1"
    assert session.sparkContext.uiWebUrl is None
    assert session.sparkContext.master.startswith("local[")
