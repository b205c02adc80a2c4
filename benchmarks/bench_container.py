"""Throughput and memory of the package container.

    python benchmarks/bench_container.py [--mib 1024] [--out FILE.json]

Writes one package of random bytes, verifies it, and reads it again. `plain` is what the same bytes cost without the
container: SHA-256 and an ordinary write with flush to disk. Times are wall-clock seconds of this machine; memory is the
peak of Python's own allocations, measured in a pass of its own as measuring slows everything down.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from schemas.atomic import atomic_file
from schemas.container import Expectation, open_package, write_package
from schemas.identity import PrivateIdentity

BLOCK = 1 << 20
SENDER, RECIPIENT = PrivateIdentity.generate("sender"), PrivateIdentity.generate("recipient")


def blocks(count: int) -> Iterator[bytes]:
    """Yield the same random megabyte again and again: making new ones would take longer than sealing them."""
    block = os.urandom(BLOCK)
    for _ in range(count):
        yield block


def write_plain(target: Path, count: int) -> None:
    """Write and digest the bytes without the container."""
    hasher = hashlib.sha256()
    with atomic_file(target) as stream:
        for block in blocks(count):
            hasher.update(block)
            stream.write(block)


def write(target: Path, count: int) -> None:
    """Write the package."""
    write_package(
        target,
        kind="benchmark",
        sender=SENDER,
        recipient=RECIPIENT.public,
        agreement_digest="sha256:" + "0" * 64,
        run_id="benchmark",
        purpose="benchmark",
        created_at=datetime.now(UTC),
        counts={},
        facts={},
        parts=[("data", "application/octet-stream", blocks(count))],
    )


def read(target: Path, marks: list[float] | None = None) -> None:
    """Open (first pass) and read (second pass); note the time between the two."""
    known = {"sender": SENDER.public}
    with open_package(target, recipient=RECIPIENT, known_senders=known, expect=Expectation()) as package:
        if marks is not None:
            marks.append(time.perf_counter())
        stream = package.part("data")
        while stream.read(BLOCK):
            pass


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def peak_mib(work: Callable[[], object]) -> float:
    """Return the peak of Python's allocations during `work`."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / 2**20, 2)


def measure(folder: Path, mib: int) -> dict[str, object]:
    """Return MB/s of each step, and peak memory."""
    target = folder / "bench.tally"
    plain = seconds(lambda: write_plain(folder / "plain.bin", mib))
    (folder / "plain.bin").unlink()
    written = seconds(lambda: write(target, mib))
    marks: list[float] = []
    began = time.perf_counter()
    read(target, marks)
    ended = time.perf_counter()
    megabytes = mib * BLOCK / 1e6
    return {
        "megabytes": round(megabytes),
        "overhead_bytes": target.stat().st_size - mib * BLOCK,
        "plain_write_mb_s": round(megabytes / plain),
        "write_mb_s": round(megabytes / written),
        "verify_mb_s": round(megabytes / (marks[0] - began)),
        "read_mb_s": round(megabytes / (ended - marks[0])),
        "verify_and_read_mb_s": round(megabytes / (ended - began)),
        "peak_mib": {
            f"{size} MiB": {
                "write": peak_mib(lambda size=size: write(target, size)),  # type: ignore[misc]
                "read": peak_mib(lambda: read(target)),
            }
            for size in (max(1, mib // 16), mib)
        },
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=1024, help="size of the package in MiB")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    parser.add_argument("--out", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        figures = json.dumps(measure(Path(name), arguments.mib), indent=1)
    print(figures)
    if arguments.out:
        arguments.out.write_text(figures + "\n")
