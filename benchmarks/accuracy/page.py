"""Tables, plots and the page docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.accuracy import clk
from benchmarks.accuracy.plot import plot
from schemas.atomic import atomic_write

DOCS = Path(__file__).parents[2] / "docs"
NONE = "\N{EN DASH}"

OTHERS = "## Other benchmarks\n"
"""Heading on the page below which nothing is written anew."""

NAMES = {
    "sealed": "**Tallystick, sealed**",
    "clear": "Splink, clear text",
    "alike": "Splink, clear text, with our last step",
    "keys": "hashed match keys",
    "clk": "CLKs (anonlink)",
}

COLUMNS = (
    "system",
    "P, R, F1 at its threshold",
    "best P, R, F1",
    "people F1 at its threshold / best",
    "blocking recall",
    "d planned / measured",
    "CPU s",
    "wall s",
    "peak MB",
    "bytes a subject",
)

SPEED = ("CPU s", "wall s")
"""Columns that need a quiet machine."""


def _share(value: float | None, digits: int = 4) -> str:
    return NONE if value is None else f"{value:.{digits}f}"


def _pairs(figures: dict[str, Any]) -> str:
    return f"{_share(figures['precision'])} {_share(figures['recall'])} **{_share(figures['f1'])}**"


def _row(system: str, found: dict[str, Any]) -> list[str]:
    d = f"{found['d']:.3f} / {_share(found['d_observed'], 3)}" if "d" in found else NONE
    size = found.get("bytes_a_subject")
    return [
        NAMES[system],
        f"{_pairs(found['default']['pairs'])} ({found['default']['pairs']['threshold']:g})",
        f"{_pairs(found['best']['pairs'])} ({found['best']['pairs']['threshold']:.3g})",
        f"{_share(found['default']['clusters']['f1'])} / {_share(found['best']['clusters']['f1'])}",
        NONE if system == "clk" else _share(found["blocking_recall"]),
        d,
        f"{found['cpu_seconds']:.1f}",
        f"{found['seconds']:.1f}",
        NONE if found["peak_mb"] is None else f"{found['peak_mb']:,}",
        NONE if size is None else f"{size:,.0f}",
    ]


def table(found: dict[str, Any], *, speed: bool = True) -> str:
    """Return the Markdown table of one dataset.

    Args:
        found: Figures by system.
        speed: With seconds; they mean something only where the machine did nothing else.
    """
    rows = [list(COLUMNS), ["---"] * len(COLUMNS), *(_row(system, each) for system, each in found.items())]
    kept = [place for place, name in enumerate(COLUMNS) if speed or name not in SPEED]
    return "\n".join("| " + " | ".join(row[place] for place in kept) + " |" for row in rows)


INTRODUCTION = """# Accuracy, beside clear text

Written by `python -m benchmarks.accuracy --write-docs` (`make accuracy`) down to "Other benchmarks"; do not edit it.
Every system is given the very same records: read, normalised and collapsed to subjects by the same code, several sets
of identifiers a subject where the person was recorded in several ways. Each pair of subjects is scored by its best
pair of such sets, and people are put together at each threshold: connected components of at most 50 subjects, and for
sealed linkage the repair that `tallystick link` does (NHS numbers that differ), which is part of it.

* **Tallystick, sealed**: `rehearse` with passes planned for the data under d \u2264 0.2, through packages and keys. Its
  threshold is that of a drafted agreement.
* **Splink, clear text**: a careful model on DuckDB over the identifiers themselves: up to 27 blocking rules, broad ones
  (birth date alone, forename and surname alone) among them; Jaro-Winkler levels and term frequencies on names,
  nicknames and swapped names; birth dates by edits and parts; home, street, postcode and sector; numbers by edits with
  u of equality fixed; u from 10 million random pairs; up to six EM sessions. `benchmarks/accuracy/clear.py` is all of
  it. Splink has no threshold of its own; 0.95 is that of its tutorials.
* **Splink, clear text, with our last step**: the scores of that model, and then what `tallystick link` does with its
  own: links weighed against each other, and pairs counted that are one person through others
  (docs/adr/0021). No analyst has this today; the row shows what is due to the step and what to sealing and passes.
* **hashed match keys**: keyed hashes of ten combinations of identifiers; any equal one is a link.
* **CLKs**: 1,024-bit Bloom filters of all identifiers, every pair compared, Dice similarity, 0.8 as in its tutorials.

Pairs are pairs of distinct (agency, reference) that are one person by the truth, within and between agencies. **best**
is at the threshold with the best F1, chosen with the truth, so it flatters every system alike. *People* F1 counts
pairs put into one person. *Blocking recall* is the share of true pairs that were compared at all; a pair that was not
can still be found through a third record. *d* is the expected
number of unrelated records that a record meets in all passes; only the sealed run has a budget for it. Memory, and
seconds where they are stated, are of the whole: for the sealed run reading, planning, sealing, linking, the privacy
measure and returns; for the others reading and linking. CLKs compare every pair and are left out above {most:,}
subjects. Hollow circles in the plots are at the system's own threshold, filled ones at its best.
"""


def _versions() -> str:
    names = ("tallystick", "splink", "duckdb", "numpy", "recordlinkage")
    listed = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return f"{listed}, {', '.join(clk.REQUIRES).replace('==', ' ')}, Python {platform.python_version()}"


def _machine() -> str:
    cores = os.cpu_count() or 1
    return f"{platform.system()} on {platform.machine()}, {cores} cores"


def _summary(results: dict[str, Any]) -> str:
    head = (
        "| data | sealed: best F1 | clear text: best F1 | ahead by | clear text with our last step | ahead by "
        "| sealed at its threshold | d |"
    )
    rows = [head, "|" + " --- |" * 8]
    for dataset, found in results.values():
        if not {"sealed", "clear", "alike"} <= found.keys():
            continue
        ours, theirs, alike = (
            found[system]["best"]["pairs"]["f1"] for system in ("sealed", "clear", "alike")
        )
        rows.append(
            f"| {dataset.title} | {ours:.4f} | {theirs:.4f} | {ours - theirs:+.4f} | {alike:.4f} | "
            f"{ours - alike:+.4f} | {found['sealed']['default']['pairs']['f1']:.4f} | {found['sealed']['d']:.3f} |"
        )
    return "\n".join(rows)


def write_page(results: dict[str, Any], *, seed: int, speed: bool = False) -> Path:
    """Write docs/benchmarks.md and a plot for each dataset beside it.

    Args:
        results: Name -> the dataset and its figures by system.
        seed: Seed of the synthetic populations.
        speed: State seconds.

    Returns:
        The page.
    """
    plots = DOCS / "benchmarks"
    plots.mkdir(exist_ok=True)
    parts = [
        INTRODUCTION.format(most=clk.MOST_SUBJECTS),
        f"Versions: {_versions()}. Machine: {_machine()}. Synthetic people: seed {seed}.\n",
        f"## Sealed beside clear text\n\n{_summary(results)}\n",
    ]
    for name, (dataset, found) in results.items():
        atomic_write(plots / f"{name}.svg", plot(dataset.title, found))
        parts.append(
            f"## {dataset.title}\n\n{table(found, speed=speed)}\n\n![Precision over recall](benchmarks/{name}.svg)\n"
        )
    page = DOCS / "benchmarks.md"
    atomic_write(page, "\n".join([*parts, kept_below(page)]))
    return page


def kept_below(page: Path) -> str:
    """Return what stands on the page from `OTHERS` on: other benchmarks, which are written by hand."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, heading, rest = text.partition(OTHERS)
    return heading + rest
