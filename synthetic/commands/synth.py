"""`synth`: invent a population."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click

from schemas.terminal import DAY, FOLDER, announcing, json_option


@click.command()
@click.argument("folder", type=FOLDER)
@click.option(
    "--people", type=click.IntRange(1), default=20_000, show_default=True, help="Residents to invent."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same bytes.")
@click.option("--profile", default="typical", show_default=True, help="Error profile: low, typical or poor.")
@click.option(
    "file_format",
    "--format",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="Files.",
)
@click.option(
    "--agency", "agencies", multiple=True, help="Agency to include (repeat) [default: five of them]."
)
@click.option("--as-of", type=DAY, default="2026-06-30", show_default=True, help="Last day of the contacts.")
@click.option("--describe", is_flag=True, help="Also write describe.html, plots beside public figures.")
@json_option
def synth(
    folder: Path,
    people: int,
    seed: int,
    profile: str,
    file_format: str,
    agencies: tuple[str, ...],
    as_of: datetime,
    describe: bool,
    as_json: bool,
) -> None:
    """Invent a population: one extract for each agency in FOLDER, with mapping.yaml and truth.csv.

    \b
    Example:  tallystick synth extracts --people 20000 --seed 7 --profile poor
    """
    from dataclasses import asdict

    from synthetic.describe import describe as write_description
    from synthetic.generate import synthesise

    with announcing() as announce:
        summary = synthesise(
            folder,
            people=people,
            seed=seed,
            profile=profile,
            agencies=list(agencies) or None,
            file_format=file_format,  # type: ignore[arg-type]
            as_of=as_of.date(),
            progress=lambda name, _share: announce(name),
        )
        if describe:
            write_description(folder, folder / "describe.html")
    if as_json:
        click.echo(json.dumps(asdict(summary), indent=1, default=str))
    else:
        click.echo(f"Wrote a synthetic population of {people:,} people to {folder}.")
