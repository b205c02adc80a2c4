"""What a kept result depends on: a digest of the code that made it, so that a stale one is made anew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]

_READING = (
    "hashing/normalise",
    "hashing/reading",
    "hashing/subjects.py",
    "hashing/extract.py",
    "hashing/derive.py",
)
_RECORDS = (
    *_READING,
    "benchmarks/accuracy/records.py",
    "synthetic/evaluation_run.py",
    "synthetic/rehearsal_inputs.py",
)
CODE = {
    "sealed": ("schemas", "governance", "hashing", "linkage", "synthetic", "benchmarks/accuracy/sealed.py"),
    "clear": (*_RECORDS, "benchmarks/accuracy/clear.py"),
    "keys": (*_RECORDS, "benchmarks/accuracy/keys.py"),
    "clk": (*_RECORDS, "benchmarks/accuracy/clk.py", "benchmarks/accuracy/_clk_script.py"),
    "data": ("synthetic", "benchmarks/febrl.py"),
    "figures": (
        "benchmarks/accuracy/figures.py",
        "benchmarks/accuracy/found.py",
        "linkage/clusters.py",
        "linkage/clusters_repair.py",
        "linkage/settling.py",
        "linkage/ties.py",
        "synthetic/evaluation_pairs.py",
    ),
}
"""What each system, the data and the figures are made by, as folders and files from the root."""

_NOT_DATA = ("evaluation", "rehears", "demo", "stages", "commands")
"""Beginnings of names in `synthetic` that make no data."""


def _files(places: Sequence[str]) -> list[Path]:
    found = []
    for place in places:
        path = ROOT / place
        found += sorted(path.rglob("*.*")) if path.is_dir() else [path]
    return [
        path for path in found if path.is_file() and path.suffix in {".py", ".yaml", ".json", ".csv", ".txt"}
    ]


def fingerprint(what: str) -> str:
    """Return a digest of the code that makes `what`: a system, "data" or "figures"."""
    digest = hashlib.sha256()
    for path in _files(CODE[what]):
        inside = path.relative_to(ROOT)
        if what == "data" and inside.parts[0] == "synthetic" and inside.parts[1].startswith(_NOT_DATA):
            continue
        digest.update(inside.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
