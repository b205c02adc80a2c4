"""`evaluate`: how right a run was, and for whom."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.terminal import FILE, FOLDER, agreement_option, emit, json_option, passphrase


@click.command()
@click.argument("run", type=FOLDER)
@click.option(
    "--truth", type=FILE, help="truth.csv: agency, ref, person [default: beside the extracts of a demo]."
)
@click.option("--extracts", type=FOLDER, help="Folder that was rehearsed [default: where truth.csv lies].")
@click.option(
    "crosswalks",
    "--crosswalk",
    type=FILE,
    multiple=True,
    help="Of a real run: an agency's crosswalk, or a table of ref and subject named after it (repeat).",
)
@click.option(
    "key_files", "--key", type=FILE, multiple=True, help="Agency's key file, to open its crosswalk (repeat)."
)
@click.option(
    "--people", type=FILE, help="Row a person: person, and columns to group by [default: what synth left]."
)
@click.option(
    "by", "--by", multiple=True, help="Column of --people to group by (repeat) [default: all usual ones]."
)
@agreement_option(required=False)
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="Believe links from here [default: the agreement's]."
)
@click.option("html_file", "--html", type=FILE, help="Also write the evaluation as a page with plots.")
@json_option
def evaluate(
    run: Path,
    truth: Path | None,
    extracts: Path | None,
    crosswalks: tuple[Path, ...],
    key_files: tuple[Path, ...],
    people: Path | None,
    by: tuple[str, ...],
    agreement_file: Path | None,
    threshold: float | None,
    html_file: Path | None,
    as_json: bool,
) -> None:
    """Measure a run against the truth: precision, recall and F1 by threshold, agencies and group, and calibration.

    RUN is what `demo`, `rehearse --out` or `link --out` left. It needs the truth, which there is for invented people
    and for samples that were reviewed by hand.

    \b
    Example:  tallystick evaluate demo
              tallystick evaluate rehearsal --truth extracts/truth.csv --html evaluation.html
              tallystick evaluate run --truth truth.csv --crosswalk police.csv --crosswalk health.csv --threshold 0.5
    """
    from governance.evaluation_report import evaluation_html, evaluation_text, reading
    from schemas.atomic import atomic_write
    from schemas.identity import load_identity
    from synthetic.evaluation_inputs import Asked, evaluate_run

    figures = evaluate_run(
        Asked(
            run=run,
            truth=truth,
            extracts=extracts,
            crosswalks=crosswalks,
            keys=tuple(load_identity(path, passphrase(str(path))) for path in key_files),
            people=people,
            by=by,
            agreement=agreement_file,
            threshold=threshold,
        )
    )
    if html_file is not None:
        atomic_write(html_file, evaluation_html(figures))
    if as_json:
        emit({**figures, "reading": reading(figures)})
        return
    click.echo(evaluation_text(figures))
    if html_file is not None:
        click.echo(f"\nPage: {html_file}")
