"""Try many mutated packages; count crashes, hangs and acceptances.

    python tests/fuzz/mutate.py --tries 1000000 --seed 1

Mutations: bits and bytes changed, pieces cut, repeated, moved, inserted or overwritten with numbers that parsers
trip over. Seven in ten tries change the file itself, two in ten its plaintext (encrypted anew), one in ten the signed
manifest or the table (signed anew by a dishonest party). Exit code 1 if anything but refusals happened.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import NoReturn

from targets import accepted, layers

HANG_SECONDS = 5
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


class Hang(Exception):
    """One try took longer than `HANG_SECONDS`."""


def _alarm(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Hang


def run(tries: int, seed: int, folder: Path) -> dict[str, object]:
    """Return the counts of `tries` tries, and the inputs that were not simply refused."""
    rng = random.Random(seed)
    known = layers()
    counts: Counter[str] = Counter()
    findings: list[dict[str, object]] = []
    slowest = 0.0
    signal.signal(signal.SIGALRM, _alarm)
    for number in range(tries):
        name = rng.choices(CHOICES, WEIGHTS)[0]
        layer = known[name]
        data = mutate(layer.seed, rng)
        if data == layer.seed:
            counts["unchanged, not tried"] += 1
            continue
        package = layer.package(data)
        began = time.perf_counter()
        signal.alarm(HANG_SECONDS)
        try:
            result = "accepted" if accepted(package, folder / "fuzz.tally") else "refused"
        except Hang:
            result = "hang"
        except Exception as error:  # whatever else it is, it is a crash
            result = f"crash {type(error).__name__}"
        finally:
            signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - began)
        if result == "accepted" and layer.may_be_accepted:
            result = "accepted, validly signed"
        counts[f"{name}: {result}"] += 1
        if result not in ("refused", "accepted, validly signed"):
            findings.append({"try": number, "layer": name, "result": result, "data": data.hex()[:4000]})
    return {
        "tries": tries,
        "seed": seed,
        "counts": dict(sorted(counts.items())),
        "slowest_ms": round(slowest * 1000, 1),
        "findings": findings[:20],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    memory = Path("/dev/shm")  # noqa: S108 - a folder in memory spares the disk a million writes
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder_name:
        started = time.perf_counter()
        report = run(arguments.tries, arguments.seed, Path(folder_name))
        report["seconds"] = round(time.perf_counter() - started)
    print(json.dumps(report, indent=1))
    sys.exit(1 if report["findings"] else 0)
