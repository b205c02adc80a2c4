"""The demonstration and the rehearsal command: run, and leave the report behind."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

from governance.report import rehearsal_html
from schemas.atomic import atomic_folder, atomic_write
from synthetic.generate import synthesise
from synthetic.rehearsal import Rehearsal, as_json, rehearse

REPORT = "report.html"


def run_rehearsal(
    folder: Path,
    out: Path | None,
    *,
    agreement_file: Path | None = None,
    as_of: date | None = None,
    budget: float = 0.2,
    announce: Callable[[str], None] = lambda _name: None,
) -> tuple[Rehearsal, Path | None]:
    """Rehearse `folder`; keep everything and a report in `out`, or nothing when it is None.

    Raises:
        TallystickError: As for `synthetic.rehearsal.rehearse`.
    """
    if out is None:
        # Only encrypted packages, figures and the agreement ever stand in this folder, and it goes when we are done.
        with tempfile.TemporaryDirectory(prefix="tallystick-") as scratch:
            rehearsal = rehearse(
                folder,
                Path(scratch) / "out",
                agreement_file=agreement_file,
                as_of=as_of,
                budget=budget,
                keep_results=False,
                announce=announce,
            )
        return rehearsal, None
    with atomic_folder(out) as work:
        rehearsal = rehearse(
            folder, work, agreement_file=agreement_file, as_of=as_of, budget=budget, announce=announce
        )
        atomic_write(work / REPORT, rehearsal_html(as_json(rehearsal), dict(rehearsal.agreement.document)))
    return rehearsal, out / REPORT


def run_demo(
    out: Path, *, people: int, seed: int, announce: Callable[[str], None] = lambda _name: None
) -> tuple[Rehearsal, Path]:
    """Invent a population, rehearse it, and leave everything in `out`.

    Args:
        out: Folder to create, or a demonstration's folder to replace.
        people: Residents.
        seed: Seed of the population.
        announce: Told what is being done.

    Raises:
        OutputError: `out` holds something else than an earlier demonstration.
    """
    if (out / REPORT).exists() and (out / "extracts").is_dir():
        shutil.rmtree(out)
    with atomic_folder(out) as work:
        announce("inventing people")
        synthesise(work / "extracts", people=people, seed=seed)
        rehearsal = rehearse(work / "extracts", work / "rehearsal", announce=announce)
        atomic_write(work / REPORT, rehearsal_html(as_json(rehearsal), dict(rehearsal.agreement.document)))
    return rehearsal, out / REPORT
