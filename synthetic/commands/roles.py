"""`demo` and `rehearse`: all roles on one machine."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from schemas.terminal import DAY, FOLDER, agreement_option, announcing, emit, json_option


@click.command()
@click.option(
    "--people", type=click.IntRange(200), default=20_000, show_default=True, help="Residents to invent."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same people.")
@click.option("--out", type=FOLDER, default=Path("demo"), show_default=True, help="Folder to create.")
@json_option
def demo(people: int, seed: int, out: Path, as_json: bool) -> None:
    """Invent five agencies and play all roles on this machine, ending with a report.

    \b
    Example:  tallystick demo --people 5000 --out demo
    """
    from synthetic.demo import run_demo

    with announcing() as announce:
        rehearsal, report = run_demo(out, people=people, seed=seed, announce=announce)
    _show_rehearsal(rehearsal, report, as_json=as_json)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--out", type=FOLDER, help="Folder to create for everything made; by default nothing is kept.")
@agreement_option(required=False)
@click.option("--as-of", type=DAY, help="Last day of the window [default: the day of the latest contact].")
@click.option(
    "--budget",
    type=click.FloatRange(0.001, 0.2),
    help="Privacy budget d to plan passes under, when no agreement is given  [default: 0.2]. Less costs recall.",
)
@json_option
def rehearse(
    folder: Path,
    out: Path | None,
    agreement_file: Path | None,
    as_of: datetime | None,
    budget: float | None,
    as_json: bool,
) -> None:
    """Play all roles on the extracts in FOLDER, one CSV file for each agency.

    FOLDER may hold mapping.yaml (which column is which) and truth.csv (agency, ref, person), against which the
    result is then measured. Without --agreement one is drafted for the data, under which everybody is sealed, and, with
    --out, kept for you to adapt. Under an agreement whose window.everyone is false, only people with a contact in the
    window are sealed and measured, as `seal` does.

    \b
    Example:  tallystick rehearse extracts --out rehearsal
              tallystick rehearse extracts --json > figures.json
    """
    from synthetic.demo import run_rehearsal

    if budget is not None and agreement_file is not None:
        raise click.UsageError("--budget is for passes that are planned; an agreement states its own.")
    with announcing() as announce:
        rehearsal, report = run_rehearsal(
            folder,
            out,
            agreement_file=agreement_file,
            as_of=as_of.date() if as_of else None,
            budget=0.2 if budget is None else budget,
            announce=announce,
        )
    _show_rehearsal(rehearsal, report, as_json=as_json)


def _show_rehearsal(rehearsal: Any, report: Path | None, *, as_json: bool) -> None:
    from governance.summary import summary_text
    from synthetic.rehearsal import as_json as figures_of

    figures = figures_of(rehearsal)
    if as_json:
        emit(figures)
        return
    click.echo(summary_text(figures))
    if report is not None:
        click.echo(f"\nReport: {report}")
