"""Speed and memory of the synthetic generator.

    python benchmarks/bench_synth.py --people 1000000
    python benchmarks/bench_synth.py --people 10000000 --format parquet

Prints one JSON object: wall seconds, CPU seconds of all processes, the largest sum of resident memory of the main
process and its workers (sampled four times a second), rows, references and bytes. Targets: 1 million people with their
contacts in at most 60 seconds and 4 GB on two cores; 10 million streamed to Parquet in memory that does not grow.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from synthetic.generate import synthesise


def _resident(pid: int) -> int:
    """Return the resident bytes of a process, 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        children = []
    return [pid, *(each for child in children for each in _family(int(child)))]


class MemoryWatch:
    """Samples the resident memory of this process and its children; `peak` is the largest sum in bytes (Linux)."""

    def __init__(self) -> None:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self.peak = max(self.peak, sum(_resident(pid) for pid in _family(os.getpid())))

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Generate once and print the figures."""
    parser = argparse.ArgumentParser(description="Speed and memory of the synthetic generator.")
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", default="typical")
    parser.add_argument("--format", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--keep", type=Path, default=None, help="keep the population here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, MemoryWatch() as memory:
        out = chosen.keep or Path(scratch) / "population"
        started, cpu = time.perf_counter(), _cpu_seconds()
        summary = synthesise(
            out,
            people=chosen.people,
            seed=chosen.seed,
            profile=chosen.profile,
            file_format=chosen.format,
            workers=chosen.workers,
        )
        wall, cpu = time.perf_counter() - started, _cpu_seconds() - cpu
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        if chosen.keep is None:
            shutil.rmtree(out)
    figures = {
        "people": chosen.people,
        "format": chosen.format,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_mb": round(memory.peak / 1e6),
        "references": sum(agency.refs for agency in summary.agencies),
        "contact_rows": sum(agency.rows for agency in summary.agencies),
        "listed_errors": summary.errors,
        "megabytes": round(size / 1e6),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
    }
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
