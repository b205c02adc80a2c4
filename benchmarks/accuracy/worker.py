"""Run one system on one dataset in a process of its own, so that time and memory are its own.

python -m benchmarks.accuracy.worker SYSTEM EXTRACTS RESULT --seed 1 [--python PYTHON]
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.accuracy import clear, clk, keys, sealed
from benchmarks.accuracy.found import Clock, Found, save
from benchmarks.accuracy.records import read_records

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""The day of every run: dates after it are invalid, so that results do not change with the calendar."""


def run(system: str, extracts: Path, result: Path, *, seed: int, python: Path | None) -> Found | None:
    """Run `system`; None when it does not take so many records.

    Args:
        system: "sealed", "clear", "keys" or "clk".
        extracts: Folder with the extracts.
        result: Where the result will be kept; the sealed run works beside it.
        seed: Of what is random in the system.
        python: Python of the environment of clkhash and anonlink.
    """
    if system == "sealed":
        out = result.with_name(result.name + "-run")
        shutil.rmtree(out, ignore_errors=True)
        return sealed.link(extracts, out, now=NOW)[0]
    clock = Clock()
    with clock("read"):
        records = read_records(extracts, today=NOW.date())
    if system == "clk":
        assert python is not None
        return clk.link(records, python=python)
    found = (
        clear.link(records, clock=clock, seed=seed) if system == "clear" else keys.link(records, clock=clock)
    )
    return replace(found, facts={**found.facts, **clock.facts()})


def main() -> None:
    """Parse the arguments, run and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=("sealed", "clear", "keys", "clk"))
    parser.add_argument("extracts", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--python", type=Path)
    given = parser.parse_args()
    found = run(given.system, given.extracts, given.result, seed=given.seed, python=given.python)
    if found is not None:
        save(found, given.result)


if __name__ == "__main__":
    main()
