"""A fuzzing campaign of bounded time, and its figures: executions, crashes, acceptances.

    make fuzz                       or  python tests/fuzz/campaign.py --seconds 600 [--corpus DIR] [--found DIR]

Runs tests/fuzz/fuzz_package.py (atheris, coverage-guided) and, after an input that broke a rule, starts it again until
the time is over. Exit code 1 when anything was found; the inputs lie in --found, each to be tried again by
`python tests/fuzz/fuzz_package.py FILE`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

TARGET = Path(__file__).with_name("fuzz_package.py")
_SLOWEST = 10
"""Seconds after which an input counts as a hang."""


def run_once(seconds: int, corpus: Path, found: Path, counts: Path) -> tuple[int, str]:
    """Fuzz until the time is over or something is found; return executions and what libFuzzer said."""
    command = [
        *(sys.executable, str(TARGET), str(corpus), f"-max_total_time={seconds}", f"-timeout={_SLOWEST}"),
        *("-max_len=65536", "-rss_limit_mb=4096", "-print_final_stats=1", f"-artifact_prefix={found}/"),
    ]
    done = subprocess.run(
        command,
        env={**os.environ, "FUZZ_COUNTS": str(counts)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    said = done.stdout + done.stderr
    runs = re.search(r"stat::number_of_executed_units:\s+(\d+)", said) or re.search(r"Done (\d+) runs", said)
    return (int(runs[1]) if runs else 0), (_failure(said) if done.returncode else "")


def _failure(said: str) -> str:
    """Return what libFuzzer said of a failure, without its progress."""
    lines = [line for line in said.splitlines() if not re.match(r"#\d+\s|INFO:|\s*$", line)]
    return "\n".join(lines)[-3000:]


def main() -> int:
    """Read the arguments, run, print the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument(
        "--corpus", type=Path, help="Folder of inputs to begin from and add to [default: forgotten]."
    )
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="Where findings are kept.")
    arguments = parser.parse_args()
    arguments.found.mkdir(parents=True, exist_ok=True)
    before = set(arguments.found.iterdir())
    executions, words, total = 0, [], Counter[str]()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        corpus, counts = arguments.corpus or Path(folder) / "corpus", Path(folder) / "counts.json"
        while (left := round(arguments.seconds - (time.monotonic() - began))) > 0:
            counts.write_text("{}", encoding="utf-8")
            ran, said = run_once(left, corpus, arguments.found, counts)
            executions += ran
            total.update(json.loads(counts.read_text(encoding="utf-8")))
            if said:
                words.append(said)
                if not ran:
                    break  # it did not even begin
    found = sorted(set(arguments.found.iterdir()) - before)
    unsigned = sum("AcceptedUnsigned" in each for each in words)
    figures = {
        "seconds": round(time.monotonic() - began),
        "executions": executions,
        "crashes": len(words) - unsigned,
        "accepted_without_a_signature": unsigned,
        "accepted_validly_signed": sum(n for name, n in total.items() if name.endswith("validly signed")),
        "by_target": dict(sorted(total.items())),
        "kept": [str(path) for path in found],
    }
    print("\n".join([*words, json.dumps(figures, indent=1)]))
    return 1 if words or found else 0


if __name__ == "__main__":
    sys.exit(main())
