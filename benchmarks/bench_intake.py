"""Intake at the linkage unit: five packages into the database of a run, verified, re-keyed and loaded.

    python -m benchmarks.bench_intake --people 92000 --folder /tmp/area

The area and its packages are made by the real commands (`benchmarks/roles.py`: synth, keys, agreement new, seal
with the 23 drafted passes) and kept in --folder for the next time. Intake is then timed in a fresh process, --repeat
times; prints one JSON object a time: wall and CPU seconds, peak resident memory above what it was before, subjects,
tokens.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.roles import ENVIRONMENT, UNIT, make_area, seal_all


def take_in_once(folder: Path, packages: list[Path]) -> None:
    """Take the packages in and print the figures."""
    from governance.agreement import load_agreement
    from linkage.database import connect
    from linkage.intake import take_in
    from schemas.identity import load_identity

    agreement = load_agreement(folder / "agreement.yaml")
    unit = load_identity(folder / f"{UNIT}.key", ENVIRONMENT["TALLYSTICK_PASSPHRASE"].encode())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, cpu = time.perf_counter(), time.process_time()
    with connect() as con:
        senders = take_in(con, packages, agreement=agreement, unit=unit, known=agreement.identities)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rows = [
            con.execute(f"SELECT count(*) FROM tokens_{n:02d}").fetchall()[0][0] for n in _range(agreement)
        ]
    tokens = sum(n * len(each.tokens) for n, each in zip(rows, agreement.passes, strict=True))
    figures = {
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mb_above_start": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
        "subjects": sum(sender.subjects for sender in senders),
        "passes": len(rows),
        "pass_rows": sum(rows),
        "token_places": tokens,
        "package_mb": round(sum(path.stat().st_size for path in packages) / 1e6, 1),
    }
    print(json.dumps(figures))


def _range(agreement: object) -> range:
    return range(len(agreement.passes))  # type: ignore[attr-defined]


def main() -> None:
    """Read the arguments, make what is missing, time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.once:
        make_area(arguments.folder, people=arguments.people)
    packages = seal_all(arguments.folder)
    if arguments.once:
        take_in_once(arguments.folder, packages)
        return
    for _ in range(arguments.repeat):
        subprocess.run(
            [sys.executable, "-m", "benchmarks.bench_intake", "--once", "--folder", str(arguments.folder)],
            check=True,
        )


if __name__ == "__main__":
    main()
