"""The benchmark of the database drivers runs, and reads the same table with each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hashing.reading import adbc


def test_each_driver_reads_the_table() -> None:
    """Two drivers, for each what reading alone takes and what all takes, of the rows that were asked for."""
    pytest.importorskip(adbc.SQLITE)
    pytest.importorskip("resource", reason="this system does not tell the peak memory")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_read", "--sqlite", "300"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["rows"] for each in told] == [300] * 4
    assert [each.get("read_as") for each in told[::2]] == [
        "SQL query, SQLite",
        "SQL query, SQLite, through ADBC",
    ]
    assert [each["subjects"] for each in told[1::2]] == [100, 100]
