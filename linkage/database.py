"""The embedded DuckDB of a run: one connection, set up the way the measurements in docs/adr say."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb


def connect(
    *, spill: Path | None = None, threads: int | None = None, memory: str | None = None
) -> duckdb.DuckDBPyConnection:
    """Return an in-memory DuckDB that never reaches for the network.

    Args:
        spill: Folder for data that does not fit in memory; without it nothing is ever written to disk.
        threads: Worker threads; all cores by default.
        memory: Memory limit such as "6GB"; DuckDB's own default (80% of the machine's) when None.
    """
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": threads or os.cpu_count() or 1,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "temp_directory": str(spill) if spill else "",
    }
    if memory is not None:
        settings["memory_limit"] = memory
    return duckdb.connect(":memory:", config=settings)
