"""`explain`: why two records are one person or not, and the charts of a run's model."""

from __future__ import annotations

from pathlib import Path

import click

from governance.audit.access import audited, note
from schemas.terminal import FILE, FOLDER, emit, json_option


@click.command("explain")
@click.argument("run", type=FOLDER)
@click.option(
    "pair",
    "--pair",
    nargs=2,
    metavar="A B",
    help="Two records by agency and row number, as in review.parquet: police:123 health:45.",
)
@click.option("--html", type=FILE, help="Write Splink's charts to this page; it needs no network.")
@json_option
@audited("explain", reads={"run": "run"}, makes={"html": "report"})
def explain_command(run: Path, pair: tuple[str, str] | None, html: Path | None, as_json: bool) -> None:
    """At the linkage unit: tell the steps of a pair's score, or show the model of RUN. Needs no key and no package.

    \b
    Example:  tallystick explain run --pair police:123 health:45 --html pair.html
    """
    from dataclasses import asdict

    from linkage.explain import explain_pair, explanation_text, model_of, model_text
    from schemas.atomic import atomic_file

    run_id, model = model_of(run)
    found = explain_pair(run, *pair) if pair else None
    note(run=run_id, counts={"pairs": 0 if found is None else 1})
    if html is not None:
        from linkage.charts import model_html, pair_html

        page = pair_html(found, model["splink"]) if found else model_html(run_id, model["splink"])
        with atomic_file(html) as sink:
            sink.write(page.encode())
    if as_json:
        emit(asdict(found) if found else {name: entry for name, entry in model.items() if name != "splink"})
        return
    click.echo(explanation_text(found) if found else model_text(run_id, model))
    if html is not None:
        click.echo(f"\nCharts: {html}")
