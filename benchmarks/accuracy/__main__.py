"""Compare sealed linkage with clear-text Splink, hashed match keys and CLKs on the same records.

    python -m benchmarks.accuracy                        all datasets but the largest, as a table
    python -m benchmarks.accuracy typical-20k --errors   one dataset, and what its errors have in common
    python -m benchmarks.accuracy --large --write-docs   everything, into docs/benchmarks.md

Results are kept in the working folder and used again as long as the code that made them is the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.accuracy import clk
from benchmarks.accuracy.datasets import Dataset, all_datasets
from benchmarks.accuracy.figures import figures, settled_alike
from benchmarks.accuracy.fingerprint import fingerprint
from benchmarks.accuracy.found import load
from benchmarks.accuracy.page import table, write_page
from benchmarks.accuracy.records import Records, read_records
from benchmarks.accuracy.worker import NOW

SYSTEMS = ("sealed", "clear", "keys", "clk")
CACHE = Path.home() / ".cache" / "tallystick-benchmarks"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("datasets", nargs="*", help="names [default: all but the large ones]")
    parser.add_argument("--large", action="store_true", help="also the datasets of 200,000 people")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS, help="systems to run")
    parser.add_argument("--seed", type=int, default=2, help="seed of the synthetic people")
    parser.add_argument("--work", type=Path, default=CACHE / "accuracy", help="folder for data and results")
    parser.add_argument(
        "--clk-env", type=Path, default=CACHE / "clk", help="environment of clkhash and anonlink"
    )
    parser.add_argument("--again", action="store_true", help="run systems anew whatever is kept")
    parser.add_argument(
        "--errors", action="store_true", help="print what missed and false pairs have in common"
    )
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md and its plots")
    parser.add_argument(
        "--speed", action="store_true", help="state seconds on the page too (on a quiet machine)"
    )
    return parser.parse_args()


def _chosen(given: argparse.Namespace) -> list[Dataset]:
    known = all_datasets(seed=given.seed)
    unknown = [name for name in given.datasets if name not in known]
    if unknown:
        sys.exit(f"There is no dataset {unknown[0]}. There are: {', '.join(known)}.")
    if given.datasets:
        return [known[name] for name in given.datasets]
    return [dataset for dataset in known.values() if given.large or not dataset.large]


def _stated(path: Path) -> dict[str, Any]:
    """Return a kept JSON object, empty where there is none."""
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return kept


def _run(system: str, extracts: Path, result: Path, given: argparse.Namespace) -> bool:
    """Run a system in a process of its own unless its result is kept; return whether there is a result."""
    made_by = f"{fingerprint('data')}-{fingerprint(system)}"
    facts = result.with_suffix(".json")
    if given.again or _stated(facts).get("made_by") != made_by:
        facts.unlink(missing_ok=True)
        command = [sys.executable, "-m", "benchmarks.accuracy.worker", system, str(extracts), str(result)]
        if system == "clk":
            python = clk.prepare(given.clk_env)
            if python is None:
                return False
            command += ["--python", str(python)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            print(
                f"{system} failed on {extracts.parent.name}: {done.stderr.strip()[-2000:]}", file=sys.stderr
            )
            return False
        if facts.exists():
            facts.write_text(
                json.dumps({**_stated(facts), "made_by": made_by}, indent=1) + "\n", encoding="utf-8"
            )
    return facts.exists()


def _figures(result: Path, records: Records, *, alike: bool = False) -> dict[str, Any]:
    """Return the figures of a kept result, worked out once; `alike` after the last step of sealed linkage."""
    kept = result.with_name(f"{result.name}{'-alike' if alike else ''}-figures.json")
    found, code = load(result), fingerprint("figures")
    stated = _stated(kept)
    if stated.get("figured_by") != code or stated.get("made_by") != found.facts["made_by"]:
        found = settled_alike(found, records) if alike else found
        stated = {**figures(found, records), "figured_by": code}
        kept.write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")
    return stated


def _extracts(dataset: Dataset, home: Path) -> Path:
    """Make the dataset unless it is kept."""
    extracts, marker, code = home / "extracts", home / "data.txt", fingerprint("data")
    if not marker.exists() or marker.read_text(encoding="utf-8") != code:
        shutil.rmtree(extracts, ignore_errors=True)
        home.mkdir(parents=True, exist_ok=True)
        dataset.make(extracts)
        marker.write_text(code, encoding="utf-8")
    return extracts


def measure(dataset: Dataset, given: argparse.Namespace) -> tuple[dict[str, Any], Records, Path]:
    """Run the systems on a dataset; return the figures by system, the records and the folder of the results."""
    home = given.work / f"{dataset.name}-seed{given.seed}"
    extracts = _extracts(dataset, home)
    records = read_records(extracts, today=NOW.date())
    found: dict[str, Any] = {}
    for system in given.systems:
        if _run(system, extracts, home / system, given):
            found[system] = _figures(home / system, records)
            if system == "clear":
                found["alike"] = _figures(home / system, records, alike=True)
    return found, records, home


def main() -> None:
    """Run the benchmark."""
    given = _arguments()
    results: dict[str, tuple[Dataset, dict[str, Any]]] = {}
    for dataset in _chosen(given):
        found, records, home = measure(dataset, given)
        results[dataset.name] = (dataset, found)
        print(f"\n## {dataset.title}\n\n{table(found)}", flush=True)
        if given.errors:
            from benchmarks.accuracy.errors import error_text

            print(error_text(records, home, found), flush=True)
    if given.write_docs:
        print(f"\nWritten: {write_page(results, seed=given.seed, speed=given.speed)}")


if __name__ == "__main__":
    main()
