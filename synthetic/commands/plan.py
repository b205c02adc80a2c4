"""`agreement plan-passes`: choose the blocking passes of an agreement."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from schemas.terminal import FILE, FOLDER, announcing, emit, json_option


@click.command("plan-passes")
@click.argument("agreement_file", metavar="AGREEMENT", type=FILE)
@click.option(
    "--extracts", type=FOLDER, help="Folder of extracts to plan on, as for `rehearse`; your own is enough."
)
@click.option(
    "--profile",
    default="typical",
    show_default=True,
    help="Without extracts: data quality of the invented people, low, typical or poor.",
)
@click.option(
    "--population",
    type=click.IntRange(2),
    help="Subjects of all agencies together in a run [default: those planned on].",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed and data, same plan.")
@click.option(
    "--write", is_flag=True, help="Write the passes into AGREEMENT; comments stay, signatures lapse."
)
@json_option
def plan_passes(
    agreement_file: Path,
    extracts: Path | None,
    profile: str,
    population: int | None,
    seed: int,
    write: bool,
    as_json: bool,
) -> None:
    """Choose the passes that find the most people within AGREEMENT's privacy budget. Prints counts only.

    The plan is tried on the likely pairs of the extracts at hand. An agency that plans on its own extract states the
    size of a whole run with --population.

    \b
    Example:  tallystick agreement plan-passes agreement.yaml --population 300000 --write
              tallystick agreement plan-passes agreement.yaml --extracts extracts --json
    """
    from governance.agreement import load_agreement
    from governance.agreement_migrate import edit_text
    from governance.agreement_reading import read_text
    from schemas.atomic import atomic_write
    from schemas.errors import ExtractError
    from synthetic.planning import as_json as plan_json
    from synthetic.planning import as_text, plan_agreement

    agreement = load_agreement(agreement_file)
    with announcing() as announce:
        announce("planning")
        planned = plan_agreement(
            agreement,
            today=datetime.now(UTC).date(),
            extracts=extracts,
            profile=profile,
            population=population,
            seed=seed,
        )
    if not planned.plan.passes:
        raise ExtractError(
            "no combination of the identifiers is strong enough to link so many people by within the budget.",
            where=str(agreement_file),
            remedy="Agree on more identifiers, or check that the columns of the extracts were recognised.",
        )
    if write:
        names = [each.name for each in planned.plan.passes]
        text = edit_text(
            read_text(agreement_file),
            lambda document: document["sealing"].__setitem__("passes", names),
            where=str(agreement_file),
        )
        atomic_write(agreement_file, text)
    if as_json:
        emit(plan_json(planned))
        return
    click.echo(as_text(planned))
    if write:
        click.echo(f"\nWritten to {agreement_file}. Its digest has changed: every party signs again.")
    else:
        click.echo("\nNothing was written. Add --write to put these passes into the agreement.")
