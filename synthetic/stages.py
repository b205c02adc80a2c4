"""Measure the stages of a rehearsal: wall time, processor time and peak memory of each."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, kw_only=True, slots=True)
class StageFigures:
    """What one stage took. `peak_mb` is the process's peak resident memory in MB while it ran, None if unknown."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_mb: int | None


def _reset_peak() -> None:
    try:
        _CLEAR_REFS.write_text("5")  # proc(5): resets the peak resident set size
    except OSError:
        return


def _peak_mb() -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return _peak_of_process()
    for line in lines:
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024)
    return _peak_of_process()


def _peak_of_process() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


@dataclass(slots=True)
class Stages:
    """Collects the figures of stages; `announce` is told each stage's name when it begins."""

    announce: Callable[[str], None] = lambda _name: None
    done: list[StageFigures] = field(default_factory=list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure the block as the stage `name`."""
        self.announce(name)
        _reset_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.done.append(
            StageFigures(
                name=name,
                seconds=round(time.perf_counter() - wall, 3),
                cpu_seconds=round(time.process_time() - cpu, 3),
                peak_mb=_peak_mb(),
            )
        )
