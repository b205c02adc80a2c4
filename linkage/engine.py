"""What finds and compares candidate pairs: the two steps of a run whose work grows with the number of records.

Everything after them (training on counts of patterns, scoring one pair of each pattern, links, people, returns) is
small beside them and is done by DuckDB whatever the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

import duckdb

from linkage.candidates import PassPairs, find_candidates
from linkage.comparing import compare
from linkage.database import connect
from schemas.scheme import Pass

ENGINES = ("duckdb", "spark")
"""Their names, the default first."""


class Engine(Protocol):
    """Fills the tables `candidates` (`linkage.candidates`) and `compared` (`linkage.comparing`) of a run.

    All engines fill them with the same rows, in any order.
    """

    @property
    def name(self) -> str:
        """One of `ENGINES`."""

    def connect(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return the database that a run with this engine keeps its tables in."""

    def find_candidates(self, con: duckdb.DuckDBPyConnection, passes: Sequence[Pass]) -> list[PassPairs]:
        """Fill the table `candidates` from the token tables; return what each pass found."""

    def compare(
        self, con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, candidates: str, output: str
    ) -> None:
        """Create the table `output`: the rows of `candidates` with their `pattern`."""


class DuckDBEngine:
    """Both steps inside the database of the run, in memory."""

    name = ENGINES[0]

    def connect(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """Return a database that never writes to disk."""
        return connect()

    def find_candidates(self, con: duckdb.DuckDBPyConnection, passes: Sequence[Pass]) -> list[PassPairs]:
        """See `linkage.candidates.find_candidates`."""
        return find_candidates(con, passes)

    def compare(
        self, con: duckdb.DuckDBPyConnection, passes: Sequence[Pass], *, candidates: str, output: str
    ) -> None:
        """See `linkage.comparing.compare`."""
        compare(con, passes, candidates=candidates, output=output)


@contextmanager
def open_engine(name: str, folder: Path) -> Iterator[Engine]:
    """Yield an engine; whatever it keeps on disk stands in `folder`, and is gone when the block ends.

    Args:
        name: One of `ENGINES`.
        folder: A folder that only its owner can look into.

    Raises:
        LinkageError: What the engine needs is not installed. Nothing was read yet.
    """
    if name == DuckDBEngine.name:
        yield DuckDBEngine()
        return
    from linkage.spark_engine import spark_engine

    with spark_engine(folder) as engine:
        yield engine
