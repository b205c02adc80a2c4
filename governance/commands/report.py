"""`report`: the officers' report of a linkage run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from governance.audit.access import audited, note
from governance.commands.check import exception_option
from governance.commands.requests import requests_option
from schemas.terminal import FILE, FOLDER, agreement_option, emit, json_option, out_option


@click.command("report")
@click.argument("run", type=FOLDER)
@agreement_option()
@click.option("log_file", "--log", type=FILE, help="The unit's audit log, to verify and name in the report.")
@click.option(
    "checkpoint_files", "--checkpoint", type=FILE, multiple=True, help="Checkpoint of that log (repeat)."
)
@exception_option
@requests_option
@out_option("HTML page to create.", required=False)
@json_option
@audited("report", makes={"out": "report"})
def report(
    run: Path,
    agreement_file: Path,
    log_file: Path | None,
    checkpoint_files: tuple[Path, ...],
    exception_files: tuple[Path, ...],
    requests_file: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Write the report of the run folder RUN for officers: figures that may leave, small counts suppressed.

    `run.json` itself holds exact counts and stays at the linkage unit.

    \b
    Example:  tallystick report run --agreement agreement.yaml --out report.html
    """
    from governance.agreement import load_agreement
    from governance.audit.checkpoint import read_checkpoint
    from governance.audit.log import AuditLog
    from governance.audit.verify import verify_log
    from governance.exceptions import load_exceptions
    from governance.lifecycle.request_register import register_for
    from governance.run_report import Told, report_figures, run_report_html, verdict_of
    from schemas.atomic import atomic_write

    if out is None and not as_json:
        raise click.UsageError("Give --out FILE, or --json.")
    agreement = load_agreement(agreement_file)
    log = None
    if log_file is not None:
        read = [(str(path), read_checkpoint(path, agreement.identities)) for path in checkpoint_files]
        log = verify_log(AuditLog(log_file), read)
    register = register_for(requests_file, agreement_file)
    told = Told(
        requests=() if register is None else register.asking()(()),
        exceptions=load_exceptions(exception_files, agreement),
    )
    figures = report_figures(run, agreement=agreement, now=datetime.now(UTC), log=log, told=told)
    note(run=str(figures["run"]))
    if out is not None:
        atomic_write(out, run_report_html(figures, agreement))
    if as_json:
        emit(figures)
    else:
        click.echo(f"{verdict_of(figures)}\nReport: {out}")
