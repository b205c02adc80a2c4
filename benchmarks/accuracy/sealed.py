"""The project's own linkage: a rehearsal through packages, keys and passes planned for the data."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from benchmarks.accuracy.found import Found, peak_mb
from governance.agreement import Agreement
from synthetic.rehearsal import as_json, rehearse

_UNIT = (
    "take in packages",
    "find candidate pairs",
    "compare, train and score",
    "cluster",
)
"""Stages that the clear-text model has too; the window and the privacy measure are not accuracy's cost."""


def _kind(stage: str) -> str:
    if stage in _UNIT:
        return "link"
    first = stage.split(" ", maxsplit=1)[0]
    return {"read": "read", "normalise": "read", "seal": "seal", "plan": "plan"}.get(first, "rest")


def link(folder: Path, out: Path, *, now: datetime) -> tuple[Found, Agreement]:
    """Rehearse `folder` into `out` with passes planned for the data.

    Returns:
        What was found, and the agreement that was drafted.
    """
    rehearsal = rehearse(folder, out, now=now, keep_results=False)
    result, figures = rehearsal.result, as_json(rehearsal)
    stages: dict[str, dict[str, float]] = {}
    for stage in map(asdict, rehearsal.stages.done):
        if stage["name"] != "evaluate":
            total = stages.setdefault(_kind(stage["name"]), {"seconds": 0.0, "cpu_seconds": 0.0})
            for key in total:
                total[key] = round(total[key] + stage[key], 3)
    packages = sum(path.stat().st_size for path in (out / "agencies").glob("*/*.tally"))
    return Found(
        left=result.links.left,
        right=result.links.right,
        score=result.links.probability,
        weight=result.links.weight,
        evidence=result.clusters.evidence,
        settled=True,
        facts={
            "threshold": rehearsal.agreement.threshold,
            "rules": len(rehearsal.agreement.passes),
            "passes": [blocking.name for blocking in rehearsal.agreement.passes],
            "candidates": len(result.links.left),
            "d": figures["privacy"]["d"],
            "d_observed": figures["privacy"]["d_observed"],
            "reidentification": figures["privacy"]["expected_reidentification"],
            "bytes_a_subject": packages / max(result.subjects, 1),
            "stages": stages,
            "seconds": round(sum(stage["seconds"] for stage in stages.values()), 2),
            "cpu_seconds": round(sum(stage["cpu_seconds"] for stage in stages.values()), 2),
            "peak_mb": peak_mb(),
        },
    ), rehearsal.agreement
