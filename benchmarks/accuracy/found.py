"""What a system hands over: scored pairs of subjects and how it went, kept so that it need not run again."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from linkage.clusters import Evidence

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Result of one system on one dataset.

    Attributes:
        left, right: Subjects of each pair that it scored.
        score: Its score, 0 to 1.
        weight: Its weight, by which links are told apart when a person is repaired; log odds of the score when None.
        evidence: What the system itself holds against putting records together; None for a system that has no repair.
        settled: Whether scores were weighed against each other (`linkage.settling`) and chains count (`linkage.ties`).
        facts: `threshold` (its default), `candidates` where it blocks, bytes, d, versions, seconds and so on.
    """

    left: Ints
    right: Ints
    score: Floats
    weight: Floats | None = None
    evidence: Evidence | None = None
    settled: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def peak_mb() -> int | None:
    """Return the peak memory of this process so far in MB; None on Windows, where Python cannot tell."""
    if sys.platform == "win32":
        return None
    import resource

    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


class Clock:
    """Wall and processor seconds of named stages, and the peak memory of the process."""

    def __init__(self) -> None:
        self.stages: dict[str, dict[str, float]] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure the block as the stage `name`."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        spent = {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        self.stages[name] = {key: round(value, 3) for key, value in spent.items()}

    def facts(self) -> dict[str, Any]:
        """Return the stages, their sums and the peak memory so far in MB (None where it is unknown)."""
        return {
            "stages": self.stages,
            "seconds": round(sum(stage["seconds"] for stage in self.stages.values()), 2),
            "cpu_seconds": round(sum(stage["cpu_seconds"] for stage in self.stages.values()), 2),
            "peak_mb": peak_mb(),
        }


def save(found: Found, target: Path) -> None:
    """Write a result to `target`.npz and `target`.json."""
    more: dict[str, Any] = {} if found.weight is None else {"weight": found.weight}
    if found.evidence is not None:
        more |= {_EVIDENCE + each.name: getattr(found.evidence, each.name) for each in fields(Evidence)}
    more["settled"] = np.array(found.settled)
    np.savez(target.with_suffix(".npz"), left=found.left, right=found.right, score=found.score, **more)
    target.with_suffix(".json").write_text(json.dumps(found.facts, indent=1) + "\n", encoding="utf-8")


_EVIDENCE = "evidence_"


def load(target: Path) -> Found:
    """Read a result that `save` wrote."""
    with np.load(target.with_suffix(".npz")) as arrays:
        held = {
            name.removeprefix(_EVIDENCE): arrays[name] for name in arrays.files if name.startswith(_EVIDENCE)
        }
        return Found(
            left=arrays["left"].astype(np.int64),
            right=arrays["right"].astype(np.int64),
            score=arrays["score"].astype(np.float64),
            weight=arrays["weight"] if "weight" in arrays.files else None,
            evidence=Evidence(**held) if held else None,
            settled="settled" in arrays.files and bool(arrays["settled"]),
            facts=json.loads(target.with_suffix(".json").read_text(encoding="utf-8")),
        )
