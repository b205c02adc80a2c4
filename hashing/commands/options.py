"""Options and words that the commands of an agency share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from schemas.terminal import FILE, Command, agreement_option, emit

if TYPE_CHECKING:
    from hashing.secret import LinkageSecret
    from schemas.identity import PrivateIdentity


def agency_options(command: Command) -> Command:
    """Add the options of an agency's commands."""
    for option in (
        click.option("mapping_file", "--mapping", type=FILE, help="mapping.yaml: which column is which."),
        click.option("secret_file", "--secret", type=FILE, required=True, help="The linkage secret."),
        click.option("key_file", "--key", type=FILE, required=True, help="Your agency's key file."),
        agreement_option(),
    ):
        command = option(command)
    return command


def unlock(key_file: Path, secret_file: Path, words: bytes | None) -> tuple[PrivateIdentity, LinkageSecret]:
    """Open the agency's key file and the linkage secret, one after the other.

    Not at the same time: OpenSSL's Argon2id waits for ever when two threads of a process run it (tried with 4.0.3).

    Raises:
        KeyFileInvalid, WrongPassphrase, CeremonyError: Of the key file, or else of the linkage secret.
    """
    from hashing.secret import load_secret
    from schemas.identity import load_identity

    return load_identity(key_file, words), load_secret(secret_file, words)


def query_options(command: Command) -> Command:
    """Add the options that read the extract from a database instead of a file."""
    for option in (
        click.option(
            "connection_file", "--connection-file", type=FILE, help="File with the connection string."
        ),
        click.option("--connection-env", help="Name of the environment variable with the connection string."),
        click.option("--sql", help="SELECT that gives the extract, instead of a file."),
    ):
        command = option(command)
    return command


def rejects_option(command: Command) -> Command:
    """Add `--rejects FILE`."""
    return click.option(
        "--rejects", type=FILE, help="CSV file to create: row number and reason of rows that cannot be used."
    )(command)


def source_of(
    extract: Path | None, sql: str | None, connection_env: str | None, connection_file: Path | None
) -> Any:
    """Return the file, or the query, that the extract is in."""
    if (extract is None) == (sql is None):
        raise click.UsageError("Give the file of the extract, or --sql with its connection.")
    if sql is not None:
        from hashing.reading.database import Query, connection_from

        return Query(sql=sql, connection=connection_from(variable=connection_env, file=connection_file))
    if connection_env is not None or connection_file is not None:
        raise click.UsageError("A connection needs --sql.")
    return extract


def write_profile(report: Any, html: Path | None) -> None:
    """Write the data-quality report as HTML, where that is wanted."""
    from governance.profile_report import profile_html
    from schemas.atomic import atomic_write

    if html is not None:
        atomic_write(html, profile_html(report.to_dict()))


def show_profile(report: Any, *, html: Path | None, as_json: bool) -> None:
    """Print the data-quality report, and where its HTML form stands."""
    from governance.profile_report import profile_text

    if as_json:
        emit(report.to_dict())
        return
    click.echo(profile_text(report.to_dict()))
    if html is not None:
        click.echo(f"\nReport: {html}")
