"""Verifying a long audit log: time, processor time and memory by number of entries.

    python benchmarks/bench_audit.py [--entries 1000000] [--folder DIR] [--out FILE.json]

Each size runs in a process of its own, so that memory is that size's own peak. Entries are of the usual kind: an
access with one artefact and one count, about 500 bytes. Proofs are of an entry in the middle.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from governance.audit.entry import Artefact, Entry, Event
from governance.audit.log import AuditLog
from governance.audit.proof import prove_inclusion
from governance.audit.verify import verify_log

NOW = datetime(2026, 11, 22, tzinfo=UTC)
EVENT = Event(
    action="open",
    user="a.analyst",
    organisation="police",
    purpose="safeguarding",
    reason="Weekly refresh",
    agreement="sha256:" + "5a" * 32,
    run="2026-11",
    counts={"people": 12},
    artefacts=[Artefact(kind="return", digest="sha256:" + "c3" * 32)],
)


def fill(path: Path, entries: int) -> AuditLog:
    """Write a log of `entries` entries without the flush that each would have."""
    log = AuditLog.create(path, organisation="police", user="a.analyst", now=NOW)
    head, tail = Entry(log=log.log_id, n=7_777_777, time=NOW, event=EVENT).to_line().split(b'"n":7777777')
    with path.open("ab") as stream:
        stream.writelines(head + b'"n":%d' % n + tail for n in range(1, entries))
    return log


def measure(folder: Path, entries: int) -> dict[str, float]:
    """Return seconds (wall and processor) of verifying, proving and appending, and peak memory in MB."""
    log = fill(folder / f"{entries}.audit", entries)
    wall, cpu = time.perf_counter(), time.process_time()
    found = verify_log(log)
    assert found.size == entries
    assert not found.problems
    verified = {"verify_seconds": time.perf_counter() - wall, "verify_cpu_seconds": time.process_time() - cpu}
    cpu = time.process_time()
    prove_inclusion(log, entries // 2, entries)
    proved = time.process_time() - cpu
    log.head()
    wall = time.perf_counter()
    for _ in range(20):
        log.append(EVENT, now=NOW)
    return {
        "entries": entries,
        **verified,
        "prove_cpu_seconds": proved,
        "append_ms": (time.perf_counter() - wall) / 20 * 1000,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Measure two sizes and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.folder, options.entries)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        sizes = [max(1000, options.entries // 10), options.entries]
        call = [sys.executable, __file__, "--one", "--folder", folder, "--entries"]
        rows = [
            json.loads(subprocess.run([*call, str(size)], check=True, capture_output=True, text=True).stdout)
            for size in sizes
        ]
    value = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "rows": rows,
    }
    print(json.dumps(value, indent=1))
    if options.out:
        options.out.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
