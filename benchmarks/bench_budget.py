"""What a smaller privacy budget costs: the same extracts rehearsed with passes planned under several budgets.

    python -m benchmarks.bench_budget --people 20000 --profile typical --folder NEW
    python -m benchmarks.bench_budget --people 20000 --profile poor --folder NEW --budgets 0.2 0.05

Prints a Markdown table: accuracy at the agreed threshold, and what a thief of all linkage files would learn.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.roles import tallystick

BUDGETS = (0.2, 0.1, 0.05, 0.02)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--profile", choices=("low", "typical", "poor"), default="typical")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--budgets", type=float, nargs="+", default=BUDGETS)
    parser.add_argument("--folder", type=Path, required=True, help="where the extracts are kept")
    return parser.parse_args()


def _row(budget: float, figures: dict[str, Any]) -> str:
    pairs, blocking, privacy = figures["pairs"]["agreement"], figures["blocking"], figures["privacy"]
    thief = (
        privacy[name] for name in ("expected_reidentification", "expected_reidentification_with_records")
    )
    shares = [f"{pairs[name]:.4f}" for name in ("precision", "recall", "f1")]
    numbers = [
        f"{privacy['d']:.3f} / {privacy['d_observed']:.3f}",
        *(f"{1000 * share:.0f}" for share in thief),
    ]
    cells = [f"{budget:g}", str(blocking["passes"]), f"{blocking['recall']:.4f}", *shares, *numbers]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Make the extracts unless they are there, rehearse under each budget, and print the table."""
    given = _arguments()
    extracts = given.folder / f"{given.profile}-{given.people}-seed{given.seed}"
    if not extracts.exists():
        size, seed = ["--people", str(given.people)], ["--seed", str(given.seed)]
        tallystick("synth", str(extracts), *size, *seed, "--profile", given.profile)
    heads = ("budget d", "passes", "blocking recall", "precision", "recall", "F1", "d planned / measured")
    print("| " + " | ".join((*heads, "thief, of 1,000", "thief with the agencies' records")) + " |")
    print("|" + " --- |" * (len(heads) + 2))
    for budget in given.budgets:
        told = tallystick("rehearse", str(extracts), "--budget", str(budget), "--json")
        print(_row(budget, json.loads(told)), flush=True)


if __name__ == "__main__":
    main()
