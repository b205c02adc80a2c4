"""Try many mutated packages; count crashes, hangs and acceptances.

    python tests/fuzz/mutate.py --tries 1000000 --seed 1

Mutations: bits and bytes changed, pieces cut, repeated, moved, inserted or overwritten with numbers that parsers
trip over. Seven in ten tries change the file itself, two in ten its plaintext (encrypted anew), one in ten the signed
manifest or the table (signed anew by a dishonest party). Exit code 1 if anything but refusals happened.

Tries run in blocks, each in a process of its own, so that a crash in native code (a segmentation fault in a
library) is counted and its input kept, and does not end the whole campaign unnoticed.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from targets import Layer, accepted, layers

HANG_SECONDS = 5
BLOCK = 25_000
ODD_NUMBERS = tuple(
    value.to_bytes(size, order)
    for size, values in {
        1: (0, 1, 0x7F, 0x80, 0xFF),
        2: (0, 1, 0x7FFF, 0xFFFF),
        4: (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 262144),
        8: (0, 2**31, 2**63 - 1, 2**64 - 1),
    }.items()
    for value in values
    for order in ("big", "little")
)
CHOICES = ("outer",) * 7 + ("plaintext",) * 2 + ("payload", "table")
WEIGHTS = (1.0,) * 9 + (0.5, 0.5)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with one to four changes."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(changed) + 1)
        to = min(len(changed), at + rng.choice((1, 2, 8, 64, 1024)))
        kind = rng.randrange(7)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = rng.randrange(256)
        elif kind == 2:
            del changed[at:to]
        elif kind == 3:
            changed[at:at] = changed[at:to]
        elif kind == 4:
            number = rng.choice(ODD_NUMBERS)
            changed[at : at + len(number)] = number
        elif kind == 5:
            piece = bytes(changed[at:to])
            del changed[at:to]
            move = rng.randrange(len(changed) + 1)
            changed[move:move] = piece
        else:
            changed[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
    return bytes(changed)


@dataclass(kw_only=True)
class Report:
    """Counts by layer and result, what was not simply refused, and the longest try in milliseconds."""

    counts: Counter[str]
    findings: list[str]
    slowest_ms: float


class Hang(Exception):
    """One try took longer than `HANG_SECONDS`."""


def _alarm(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Hang


def try_one(layer: Layer, data: bytes, path: Path) -> str:
    """Return what happened to one changed input."""
    package = layer.package(data)
    signal.alarm(HANG_SECONDS)
    try:
        if not accepted(package, path):
            return "refused"
        return "accepted, validly signed" if layer.may_be_accepted else "accepted"
    except Hang:
        return "hang"
    except Exception as error:  # whatever else it is, it is a crash
        return f"crash {type(error).__name__}"
    finally:
        signal.alarm(0)


def run_block(tries: int, seed: str, folder: Path) -> Report:
    """Run `tries` tries in this process."""
    rng = random.Random(seed)
    known = layers()
    report = Report(counts=Counter(), findings=[], slowest_ms=0.0)
    signal.signal(signal.SIGALRM, _alarm)
    for number in range(tries):
        name = rng.choices(CHOICES, WEIGHTS)[0]
        data = mutate(known[name].seed, rng)
        if data == known[name].seed:
            report.counts["unchanged, not tried"] += 1
            continue
        began = time.perf_counter()
        result = try_one(known[name], data, folder / "fuzz.tally")
        report.slowest_ms = max(report.slowest_ms, (time.perf_counter() - began) * 1000)
        report.counts[f"{name}: {result}"] += 1
        if result not in ("refused", "accepted, validly signed"):
            report.findings.append(f"block {seed}, try {number}, {name}: {result}: {data.hex()}")
    return report


def run(tries: int, seed: int, folder: Path) -> Report:
    """Run all blocks, each in a new process, and add up their reports."""
    total = Report(counts=Counter(), findings=[], slowest_ms=0.0)
    for block in range(0, tries, BLOCK):
        size = min(BLOCK, tries - block)
        command = [
            sys.executable,
            __file__,
            "--block",
            f"{seed}-{block}",
            "--tries",
            str(size),
            "--folder",
            str(folder),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            kept = Path(f"fuzz-{seed}-{block}.tally")
            kept.write_bytes((folder / "fuzz.tally").read_bytes())
            total.findings.append(f"process ended with {done.returncode} on {kept}: {done.stderr[-500:]}")
            continue
        found = json.loads(done.stdout)
        total.counts.update(found["counts"])
        total.findings.extend(found["findings"])
        total.slowest_ms = max(total.slowest_ms, found["slowest_ms"])
    return total


def main() -> int:
    """Read the arguments, run, print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--block", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.block:
        report = run_block(arguments.tries, arguments.block, arguments.folder)
        print(
            json.dumps(
                {"counts": report.counts, "findings": report.findings, "slowest_ms": report.slowest_ms}
            )
        )
        return 0
    memory = Path("/dev/shm")  # noqa: S108 - a folder in memory spares the disk a million writes
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        began = time.perf_counter()
        report = run(arguments.tries, arguments.seed, Path(folder))
    figures = {
        "tries": arguments.tries,
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - began),
        "slowest_ms": round(report.slowest_ms, 1),
        "counts": dict(sorted(report.counts.items())),
        "findings": report.findings,
    }
    print(json.dumps(figures, indent=1))
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
