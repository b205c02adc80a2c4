"""CLKs (cryptographic long-term keys: Bloom filters of bigrams) by clkhash and anonlink, in their own environment.

clkhash and anonlink are never dependencies of this project: `prepare` installs them into a virtual environment outside
it, and `benchmarks/accuracy/_clk_script.py` runs there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np
import pyarrow.csv as pc_csv

from benchmarks.accuracy.found import Found
from benchmarks.accuracy.records import Records
from schemas.scheme import FIELDS

THRESHOLD = 0.8
"""The similarity that anonlink's tutorials link at."""

MOST_SUBJECTS = 60_000
"""Every pair is compared, so the work grows with the square of the records; larger sets are left out."""

REQUIRES = ("clkhash==0.18.3", "anonlink==0.15.3")

_SCRIPT = Path(__file__).with_name("_clk_script.py")


def prepare(home: Path) -> Path | None:
    """Make the environment in `home` if it is not there; return its Python, or None where it cannot be made."""
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIRES], check=False)
    works = subprocess.run([python, "-c", "import clkhash, anonlink"], check=False, capture_output=True)
    return python if works.returncode == 0 else None


def link(records: Records, *, python: Path) -> Found | None:
    """Link `records` by CLKs; None when they are too many."""
    if records.subjects > MOST_SUBJECTS:
        return None
    with tempfile.TemporaryDirectory(prefix="tallystick-clk-") as scratch:
        given, made = Path(scratch) / "versions.csv", Path(scratch) / "pairs"
        pc_csv.write_csv(records.versions.select(["subject", *FIELDS]), given)
        subprocess.run([python, _SCRIPT, given, made], check=True, capture_output=True)
        with np.load(made.with_suffix(".npz")) as arrays:
            left, right, score = (arrays[name].copy() for name in ("left", "right", "score"))
        facts = json.loads(made.with_suffix(".json").read_text(encoding="utf-8"))
    facts["bytes_a_subject"] = facts.pop("bytes") / max(records.subjects, 1)
    return Found(
        left=left.astype(np.int64),
        right=right.astype(np.int64),
        score=score.astype(np.float64),
        facts={"threshold": THRESHOLD, "candidates": len(left), **facts},
    )
