"""`profile` and `mapping`: look at an extract before anything is sealed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from hashing.commands.options import query_options, rejects_option, show_profile, source_of, write_profile
from schemas.errors import InputError
from schemas.terminal import FILE, agreement_option, json_option, out_option


@click.command("profile")
@click.argument("extract", type=FILE, required=False)
@click.option("mapping_file", "--mapping", type=FILE, help="mapping.yaml: which column is which.")
@click.option("--agency", help="Its entry in mapping.yaml [default: the only one, or the file's name].")
@agreement_option(required=False)
@query_options
@rejects_option
@click.option("--html", type=FILE, help="Report to create, one HTML file.")
@json_option
def profile_command(
    extract: Path | None,
    mapping_file: Path | None,
    agency: str | None,
    agreement_file: Path | None,
    sql: str | None,
    connection_env: str | None,
    connection_file: Path | None,
    rejects: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """At the agency: report on the quality of EXTRACT before anything is sealed. Counts only, never a value.

    \b
    Example:  tallystick profile police.csv --mapping mapping.yaml --html quality.html
              tallystick profile --sql "SELECT * FROM nominals" --connection-env CASES
    """
    from hashing.workflow import profile
    from schemas.atomic import together

    with together():
        report = profile(
            source_of(extract, sql, connection_env, connection_file),
            agency=agency,
            mapping_file=mapping_file,
            agreement_file=agreement_file,
            today=datetime.now(UTC).date(),
            rejects=rejects,
        )
        write_profile(report, html)
    show_profile(report, html=html, as_json=as_json)


@click.group("mapping")
def mapping_group() -> None:
    """Say which of your columns is which."""


@mapping_group.command("guess")
@click.argument("extract", type=FILE, required=False)
@click.option("--agency", help="Your id in the agreement [default: the name of the file].")
@query_options
@out_option("mapping.yaml to create [default: print it].", required=False)
def mapping_guess(
    extract: Path | None,
    agency: str | None,
    sql: str | None,
    connection_env: str | None,
    connection_file: Path | None,
    out: Path | None,
) -> None:
    """Draft mapping.yaml from the headers of EXTRACT and a sample of its cells, for you to correct.

    Of the cells only short codes (of sex and case status) are shown. What to check, and the columns that were not
    recognised, are told beside the draft.

    \b
    Example:  tallystick mapping guess police.csv --agency police --out mapping.yaml
    """
    from hashing.workflow import draft_mapping
    from schemas.atomic import atomic_write

    if out is not None and out.exists():
        raise InputError("this file already exists.", where=str(out), remedy="Name a new file.")
    text, remarks = draft_mapping(source_of(extract, sql, connection_env, connection_file), agency=agency)
    if out is None:
        click.echo(text, nl=False)
    else:
        atomic_write(out, text)
        click.echo(f"Drafted {out}. Correct it, then run: tallystick profile --mapping {out} …")
    for remark in remarks:
        click.echo(remark, err=out is None)
