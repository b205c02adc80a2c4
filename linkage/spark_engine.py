"""Candidate pairs and their comparison on Spark: the same rows as in the database, on as many machines as Spark has.

The run's tables are handed over as Parquet files in a private folder that is gone when the engine is closed. Their
tokens were re-keyed at intake (docs/adr/0017): neither these files nor what Spark spills joins anything outside of
the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.dataset as ds

from linkage import candidates as in_database
from linkage.candidates import PassPairs
from linkage.comparing import compared_in, create_compared
from linkage.database import connect
from linkage.intake import token_table
from linkage.spark_session import file_url, require_spark, spark_failures, spark_session
from schemas.scheme import Pass

_MEMORY = "50%"
"""Of the machine's memory, for the database; tables beyond it go to its folder. The rest is for Spark."""

_CANDIDATES = """
    WITH sized AS (
        SELECT pass, block, version, count(*) OVER (PARTITION BY pass, block) AS versions
        FROM blocks
    ),
    usable AS (
        SELECT pass, block, version FROM sized WHERE versions BETWEEN 2 AND {cap}
    ),
    met AS (
        SELECT l.version AS version_l, r.version AS version_r, l.pass
        FROM usable AS l
        JOIN usable AS r ON l.pass = r.pass AND l.block = r.block AND l.version < r.version
    ),
    pairs AS (
        SELECT version_l, version_r, bit_or(shiftleft(CAST(1 AS BIGINT), pass)) AS found_by, min(pass) AS pass
        FROM met
        GROUP BY version_l, version_r
    )
    {paired}
"""

_FIGURES = """
    WITH sizes AS (
        SELECT pass, count(*) AS versions FROM blocks GROUP BY pass, block
    )
    SELECT
        pass,
        sum(CASE WHEN versions <= {cap} THEN versions * (versions - 1) ELSE 0 END) AS twice_pairs,
        sum(CASE WHEN versions > {cap} THEN 1 ELSE 0 END) AS capped_blocks,
        sum(CASE WHEN versions > {cap} THEN versions ELSE 0 END) AS capped_versions
    FROM sizes
    GROUP BY pass
"""
"""A version is in a pass once (intake sees to it), so a block of n versions has n (n - 1) / 2 pairs."""

_SPARK_TYPES = {
    "TINYINT": "TINYINT",
    "UTINYINT": "SMALLINT",
    "USMALLINT": "INT",
    "INTEGER": "INT",
    "UINTEGER": "BIGINT",
    "BIGINT": "BIGINT",
    "UBIGINT": "DECIMAL(20, 0)",
}
"""What Spark reads a column of the database as: it has no unsigned types."""

_FROM_SPARK = "SELECT * REPLACE (found_by::UBIGINT AS found_by, pass::UTINYINT AS pass) FROM incoming"


def _blocks(passes: int) -> str:
    """Return the query of who is in which block of which pass."""
    return " UNION ALL ".join(
        f"SELECT {index}::TINYINT AS pass, block, version FROM {token_table(index)}"
        for index in range(passes)
    )


class SparkEngine:
    """Both steps on Spark.

    Args:
        scratch: A private folder.
        session: A session to use and leave as it is; one is started and ended when None.
    """

    __slots__ = ("_ending", "_scratch", "_session")

    name = "spark"

    def __init__(self, scratch: Path, session: Any = None) -> None:
        self._scratch, self._session = scratch, session
        self._ending = ExitStack()

    def connect(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a database whose tables may be larger than memory."""
        return connect(spill=self._scratch / "database", memory=_MEMORY)

    def find_candidates(self, con: duckdb.DuckDBPyConnection, passes: Sequence[Pass]) -> list[PassPairs]:
        """See `linkage.engine.Engine`.

        Raises:
            LinkageError: Spark does not start, or fails.
        """
        session, cap = self._started(), in_database.BLOCK_CAP
        with spark_failures("find the candidate pairs"):
            self._hand_over(con, "versions")
            self._hand_over(con, "blocks", _blocks(len(passes)))
            figures = {row["pass"]: row for row in session.sql(_FIGURES.format(cap=cap)).collect()}
            files = self._computed(_CANDIDATES.format(cap=cap, paired=in_database.PAIRED), "candidates")
        _read(con, files, f"CREATE TABLE candidates AS {_FROM_SPARK}")
        return [_pass_pairs(blocking.name, figures.get(index)) for index, blocking in enumerate(passes)]

    def compare(
        self, con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, candidates: str, output: str
    ) -> None:
        """See `linkage.engine.Engine`. A session that was started for the run is ended: nothing else needs Spark.

        Raises:
            LinkageError: Spark does not start, or fails.
        """
        self._started()
        with spark_failures("compare the candidate pairs"):
            self._hand_over(con, candidates, f"FROM {candidates}")
            for index in range(len(passes)):
                self._hand_over(con, token_table(index))
            # Pass by pass: all at once would hold the tokens of all passes in memory wherever they are few enough.
            files = [
                file
                for index, blocking in enumerate(passes)
                for file in self._computed(
                    compared_in(index, blocking, candidates=candidates), f"{output}-{index:02d}"
                )
            ]
        self.close()
        create_compared(con, candidates=candidates, output=output)
        _read(con, files, f"INSERT INTO {output} BY NAME {_FROM_SPARK}")

    def close(self) -> None:
        """End the session, if it was started for the run."""
        self._ending.close()

    def _started(self) -> Any:
        if self._session is None:
            self._session = self._ending.enter_context(spark_session(self._scratch))
            self._ending.callback(self._forget)
        return self._session

    def _forget(self) -> None:
        self._session = None

    def _hand_over(self, con: duckdb.DuckDBPyConnection, name: str, query: str | None = None) -> None:
        """Give Spark the rows of a query under a name; of the table of that name when None."""
        path, query = self._scratch / f"{name}.parquet", query or f"FROM {name}"
        quoted = str(path).replace("'", "''")
        con.execute(f"COPY ({query}) TO '{quoted}' (FORMAT parquet)")
        # Given its columns, Spark need not look into the file for them, which takes it longer than to read it.
        columns = ", ".join(
            f"{column} {_SPARK_TYPES[kind]}"
            for column, kind, *_ in con.execute(f"DESCRIBE {query}").fetchall()
        )
        rows = self._session.read.schema(columns).parquet(_as_pattern(file_url(path)))
        rows.createOrReplaceTempView(name)

    def _computed(self, query: str, name: str) -> list[str]:
        """Let Spark run a query; return the files of its rows."""
        folder = self._scratch / f"{name}-computed"
        self._session.sql(query).write.parquet(file_url(folder))
        return sorted(map(str, folder.glob("*.parquet")))


def _as_pattern(name: str) -> str:
    r"""Return the pattern that only `name` fits: Spark reads \*, ? and brackets in the name of a file as a pattern."""
    return "".join(f"\\{letter}" if letter in r"\*?[]{}" else letter for letter in name)


def _read(con: duckdb.DuckDBPyConnection, files: list[str], statement: str) -> None:
    """Execute a statement that reads Parquet files under the name `incoming`."""
    con.register("incoming", ds.dataset(files, format="parquet"))
    try:
        con.execute(statement)
    finally:
        con.unregister("incoming")


def _pass_pairs(name: str, figures: Any) -> PassPairs:
    """Return what a pass found; without figures it has no row."""
    if figures is None:
        return PassPairs(name=name, pairs=0, capped_blocks=0, capped_versions=0)
    return PassPairs(
        name=name,
        pairs=figures["twice_pairs"] // 2,
        capped_blocks=figures["capped_blocks"],
        capped_versions=figures["capped_versions"],
    )


@contextmanager
def spark_engine(folder: Path) -> Iterator[SparkEngine]:
    """Yield the engine; Spark is started when it is first needed.

    Args:
        folder: A private folder; the engine keeps its files in one of its own inside.

    Raises:
        LinkageError: pyspark or Java is missing.
    """
    require_spark()
    with TemporaryDirectory(dir=folder, prefix=".spark-") as name:
        engine = SparkEngine(Path(name))
        try:
            yield engine
        finally:
            engine.close()
