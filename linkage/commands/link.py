"""`link`: link the packages of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from governance.audit.access import audited, note
from governance.commands.check import exception_option
from governance.commands.requests import requests_option
from schemas.terminal import (
    DAY,
    FILE,
    FOLDER,
    agreement_option,
    announced,
    announcing,
    emit,
    json_option,
    passphrase,
)

if TYPE_CHECKING:
    from governance.agreement import Agreement
    from governance.check_moments import RunJudge
    from linkage.results import RunResult
    from linkage.reuse import SavedModel

ENGINES = ("duckdb", "spark")
"""As in `linkage.engine`, which takes long to load."""


@click.command("link")
@click.argument("packages", type=FILE, nargs=-1, required=True)
@agreement_option()
@click.option("key_file", "--key", type=FILE, required=True, help="The linkage unit's key file.")
@click.option("--run", "run_id", help="Id of the run [default: that of the first package].")
@click.option("--as-of", type=DAY, help="Last day of the window [default: the day of the latest contact].")
@click.option(
    "--register", type=FILE, help="Register of packages already taken in; keeps replays out across runs."
)
@click.option(
    "model_file", "--model", type=FILE, help="Score with the model.json of an earlier run; do not train."
)
@click.option(
    "--fill-model",
    is_flag=True,
    help="Give levels that the model lacks the shipped priors and this run's counts; without, they stop the run.",
)
@click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=ENGINES[0],
    show_default=True,
    help="What finds and compares the pairs; spark for areas larger than the memory of this machine.",
)
@exception_option
@requests_option
@click.option(
    "--last-run", type=FOLDER, help="Run folder of the run before, to compare the numbers of records."
)
@click.option("--out", type=FOLDER, required=True, help="Run folder to create.")
@json_option
@audited("link", reads={"packages": "package"}, makes={"out": "run"})
def link_command(
    packages: tuple[Path, ...],
    agreement_file: Path,
    key_file: Path,
    run_id: str | None,
    as_of: datetime | None,
    register: Path | None,
    model_file: Path | None,
    fill_model: bool,
    engine: str,
    exception_files: tuple[Path, ...],
    requests_file: Path | None,
    last_run: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """At the linkage unit: link sealed packages and write one return for each agency. Needs no linkage secret.

    \b
    Example:  tallystick link *.tally --agreement agreement.yaml --key unit.key --out run
    """
    from governance.agreement_check import require_agreement
    from linkage.run import link
    from schemas.identity import load_identity
    from schemas.policies import ReplayGuard

    identity = load_identity(key_file, passphrase("the unit's key file"))
    agreed = require_agreement(
        agreement_file,
        today=datetime.now(UTC).date(),
        exceptions=exception_files,
        party=identity.party,
    )
    model = _model(model_file, agreed)
    judge = _judge(
        agreed,
        exception_files=exception_files,
        last_run=last_run,
        folders={key_file.parent, *(path.parent for path in packages)},
        requests=(requests_file, agreement_file),
    )
    with announcing() as announce:
        result = link(
            packages,
            out,
            agreement=agreed,
            unit=identity,
            known=agreed.identities,
            created_at=datetime.now(UTC),
            as_of=as_of.date() if as_of else None,
            run_id=run_id,
            guard=ReplayGuard(register),
            judge=judge,
            model=model,
            fill_model=fill_model,
            engine=engine,
            stage=announced(announce),
        )
    note(run=result.run_id, counts={"packages": len(packages), "subjects": result.subjects})
    _tell(result, agreed, out, as_json=as_json)


def _model(model_file: Path | None, agreed: Agreement) -> SavedModel | None:
    """Return the model to score with, and warn where it was trained under something else."""
    from linkage.reuse import load_model

    model = None if model_file is None else load_model(model_file)
    if model is not None and model.agreement_digest != agreed.digest:
        click.echo(
            "Warning: the model was trained under another agreement, or another version of it.", err=True
        )
    return model


def _judge(
    agreed: Agreement,
    *,
    exception_files: tuple[Path, ...],
    last_run: Path | None,
    folders: set[Path],
    requests: tuple[Path | None, Path],
) -> RunJudge:
    """Return who asks the rules of this run.

    Args:
        agreed: The agreement of the run.
        exception_files: Exceptions that were granted.
        last_run: Folder of the run before.
        folders: Where keys may lie open.
        requests: The register of requests, None for the usual one, and the agreement's file that it stands beside.
    """
    from governance.check_moments import RunJudge, open_keys, subjects_of_run
    from governance.exceptions import load_exceptions
    from governance.lifecycle.request_register import register_for

    asked_for = register_for(*requests)
    return RunJudge(
        agreed,
        today=datetime.now(UTC).date(),
        exceptions=load_exceptions(exception_files, agreed),
        last_run=subjects_of_run(last_run),
        readable_keys=open_keys(folders),
        requests=() if asked_for is None else asked_for.asking()(()),
    )


def _tell(result: RunResult, agreed: Agreement, out: Path, *, as_json: bool) -> None:
    """Print what the run found."""
    from governance.summary import run_text
    from linkage.run import summary_of

    figures = summary_of(result, agreed)
    if as_json:
        emit(figures)
    else:
        click.echo(run_text(figures, min_cell=agreed.min_cell))
        click.echo(f"\nSend each agency its own file in {out / 'returns'}.")
