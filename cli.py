"""The command line: thin click commands over the packages. What a command does lives in the package it calls."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from schemas.errors import InputError, TallystickError

Command = TypeVar("Command", bound=Callable[..., Any])

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
DAY = click.DateTime(formats=["%Y-%m-%d"])


class Commands(click.Group):
    """Turns every failure into one message and an exit code, and never lets a value into a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except TallystickError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Stopped. Nothing was left half-written.", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            # The reader of a pipe has seen enough (head); that is no failure of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            ctx.exit(0)
        except (click.exceptions.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            # The message of an unexpected error can quote a cell, so only its type and place are shown.
            click.echo(
                f"Error: an unexpected {type(error).__name__} stopped the work. {_place(error)}", err=True
            )
            ctx.exit(1)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames[-4:]]
    return f"Please report it with this place: {' > '.join(places)}. Nothing was left half-written."


@contextmanager
def announcing() -> Iterator[Callable[[str], None]]:
    """Show the stage that is running on a terminal; say nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda _name: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=None)
        yield lambda name: progress.update(task, description=name)


def passphrase(purpose: str, *, new: bool = False) -> bytes:
    """Return a passphrase from TALLYSTICK_PASSPHRASE, from the file TALLYSTICK_PASSPHRASE_FILE, or a prompt."""
    if value := os.environ.get("TALLYSTICK_PASSPHRASE"):
        return value.encode()
    if name := os.environ.get("TALLYSTICK_PASSPHRASE_FILE"):
        try:
            return Path(name).read_text(encoding="utf-8").rstrip("\r\n").encode()
        except OSError as error:
            raise InputError(
                f"the passphrase file cannot be read ({error.strerror}).", where="TALLYSTICK_PASSPHRASE_FILE"
            ) from None
    text: str = click.prompt(f"Passphrase of {purpose}", hide_input=True, confirmation_prompt=new, err=True)
    return text.encode()


def emit(value: Any) -> None:
    """Print one JSON value."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False))


def json_option(command: Command) -> Command:
    """Add `--json`."""
    return click.option("as_json", "--json", is_flag=True, help="Print one JSON object instead of text.")(
        command
    )


def out_option(help_text: str, *, required: bool = True) -> Callable[[Command], Command]:
    """Add `--out FILE`."""
    return click.option("--out", type=FILE, required=required, help=help_text)


def agreement_option(*, required: bool = True) -> Callable[[Command], Command]:
    """Add `--agreement FILE`."""
    return click.option(
        "agreement_file", "--agreement", type=FILE, required=required, help="The agreement (YAML)."
    )


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tallystick")
def main() -> None:
    """Find the people known to several agencies without any identifier leaving an agency.

    \b
    Try it:            tallystick demo
    On your extracts:  tallystick rehearse FOLDER
    At an agency:      tallystick keys new, seal, open
    At the unit:       tallystick link
    For governance:    tallystick agreement new, agreement check
    """


# --- all roles on one machine ---------------------------------------------------------------------------


@main.command()
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


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--out", type=FOLDER, help="Folder to create for everything made; by default nothing is kept.")
@agreement_option(required=False)
@click.option("--as-of", type=DAY, help="Last day of the window [default: the day of the latest contact].")
@json_option
def rehearse(
    folder: Path, out: Path | None, agreement_file: Path | None, as_of: datetime | None, as_json: bool
) -> None:
    """Play all roles on the extracts in FOLDER, one CSV file for each agency.

    FOLDER may hold mapping.yaml (which column is which) and truth.csv (agency, ref, person), against which the
    result is then measured. Without --agreement one is drafted for the data and, with --out, kept for you to adapt.

    \b
    Example:  tallystick rehearse extracts --out rehearsal
              tallystick rehearse extracts --json > figures.json
    """
    from synthetic.demo import run_rehearsal

    with announcing() as announce:
        rehearsal, report = run_rehearsal(
            folder,
            out,
            agreement_file=agreement_file,
            as_of=as_of.date() if as_of else None,
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


@main.command()
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


# --- keys -----------------------------------------------------------------------------------------------


@main.group()
def keys() -> None:
    """Identities, and the ceremony that makes the linkage secret."""


@keys.command("new")
@click.argument("party")
@out_option("Key file to create, for example police.key.")
def keys_new(party: str, out: Path) -> None:
    """Make the signing and receiving keys of PARTY, in a key file locked with a passphrase.

    The passphrase is asked for, or read from TALLYSTICK_PASSPHRASE or the file TALLYSTICK_PASSPHRASE_FILE.

    \b
    Example:  tallystick keys new police --out police.key
    """
    from schemas.identity import PrivateIdentity, save_identity

    _refuse_existing(out)
    identity = PrivateIdentity.generate(party)
    save_identity(identity, out, passphrase("the new key file", new=True))
    click.echo(f"Made the keys of {party} in {out}. Keep the file and the passphrase apart.")
    click.echo(f"Fingerprint: {identity.public.fingerprint}")


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise InputError("this file already exists; keys are never overwritten.", where=str(path))


@keys.command("show")
@click.argument("file", type=FILE)
@click.option("--public", is_flag=True, help="Print the public keys as they go into the agreement.")
def keys_show(file: Path, public: bool) -> None:
    """Show the fingerprint of a key file, or the check value of a linkage secret, to read out to each other.

    \b
    Example:  tallystick keys show police.key --public
              tallystick keys show police.secret
    """
    from governance.draft import keys_yaml
    from hashing.ceremony import check_value, load_secret
    from schemas.errors import KeyFileInvalid
    from schemas.identity import load_public

    try:
        identity = load_public(file)
    except KeyFileInvalid:
        secret = load_secret(file, passphrase("the linkage secret"))
        click.echo(
            f"Linkage secret of epoch {secret.ceremony.epoch}, for {', '.join(secret.ceremony.parties)}."
        )
        click.echo(f"Usable from {secret.ceremony.starts_on} to {secret.ceremony.expires_on}.")
        click.echo(f"Check value: {check_value(secret)}")
        return
    if public:
        click.echo(keys_yaml(identity), nl=False)
    else:
        click.echo(f"Keys of {identity.party}\nFingerprint: {identity.fingerprint}")


def _ceremony(agreement: Any, epoch: int, starts: datetime | None, days: int) -> Any:
    from hashing.ceremony import Ceremony

    force = agreement.document["in_force"]
    starts_on = starts.date() if starts else date.fromisoformat(force["from"])
    return Ceremony(
        agreement_digest=agreement.digest,
        epoch=epoch,
        parties=tuple(sorted(party.id for party in agreement.parties)),
        starts_on=starts_on,
        expires_on=starts_on + timedelta(days=days - 1),
    )


def ceremony_options(command: Command) -> Command:
    """Add the options that all agencies of a ceremony must give alike."""
    for option in (
        click.option(
            "--days", type=click.IntRange(1, 366), default=366, show_default=True, help="Life of the secret."
        ),
        click.option(
            "--starts", type=DAY, help="First day of the secret [default: first day of the agreement]."
        ),
        click.option(
            "--epoch", type=click.IntRange(1), default=1, show_default=True, help="1, then 2 … at rotation."
        ),
        click.option("key_file", "--key", type=FILE, required=True, help="Your agency's key file."),
        agreement_option(),
    ):
        command = option(command)
    return command


@keys.command("contribute")
@ceremony_options
@click.option("--folder", type=FOLDER, required=True, help="Folder that the agencies exchange files through.")
@click.option(
    "--own", type=FILE, required=True, help="Your contribution, kept by you until the secret is combined."
)
def keys_contribute(
    agreement_file: Path,
    key_file: Path,
    epoch: int,
    starts: datetime | None,
    days: int,
    folder: Path,
    own: Path,
) -> None:
    """Take part in a ceremony: first commit, then (run again when all have committed) reveal.

    The first run makes your random contribution and writes FOLDER/<you>.commitment.json. When the commitments of all
    agencies are there, the second run writes FOLDER/<you>-to-<other>.reveal, each readable by that agency only.

    \b
    Example:  tallystick keys contribute --agreement agreement.yaml --key police.key \\
                  --folder exchange --own police.contribution
    """
    from governance.agreement import load_agreement
    from hashing.exchange import contribute_step
    from schemas.identity import load_identity

    agreement = load_agreement(agreement_file)
    secret_words = passphrase("your key file")
    outcome = contribute_step(
        _ceremony(agreement, epoch, starts, days),
        identity=load_identity(key_file, secret_words),
        known=agreement.identities,
        folder=folder,
        own=own,
        passphrase=secret_words,
        now=datetime.now(UTC),
    )
    click.echo(outcome)


@keys.command("combine")
@ceremony_options
@click.option("--folder", type=FOLDER, required=True, help="Folder that the agencies exchange files through.")
@click.option("--own", type=FILE, required=True, help="Your contribution.")
@out_option("Linkage secret to create, for example police.secret.")
def keys_combine(
    agreement_file: Path,
    key_file: Path,
    epoch: int,
    starts: datetime | None,
    days: int,
    folder: Path,
    own: Path,
    out: Path,
) -> None:
    """Combine all contributions into the linkage secret. All agencies must then read out the same check value.

    \b
    Example:  tallystick keys combine --agreement agreement.yaml --key police.key \\
                  --folder exchange --own police.contribution --out police.secret
    """
    from governance.agreement import load_agreement
    from hashing.ceremony import check_value, save_secret
    from hashing.exchange import combine_step
    from schemas.identity import load_identity

    _refuse_existing(out)
    agreement = load_agreement(agreement_file)
    secret_words = passphrase("your key file")
    secret = combine_step(
        _ceremony(agreement, epoch, starts, days),
        identity=load_identity(key_file, secret_words),
        known=agreement.identities,
        folder=folder,
        own=own,
        passphrase=secret_words,
    )
    save_secret(secret, out, secret_words)
    click.echo(f"Made the linkage secret in {out}. Read this check value to the other agencies:")
    click.echo(f"Check value: {check_value(secret)}")


# --- agreement ------------------------------------------------------------------------------------------


@main.group()
def agreement() -> None:
    """Draft and check data-sharing agreements."""


@agreement.command("new")
@click.option("--party", "parties", multiple=True, required=True, help="Agency id, or id=type (repeat).")
@click.option(
    "--keys", "key_files", multiple=True, type=FILE, help="Key file whose public keys to put in (repeat)."
)
@click.option("--unit", default="linkage-unit", show_default=True, help="Id of the linkage unit.")
@click.option(
    "--id", "agreement_id", default="draft-agreement", show_default=True, help="Id of the agreement."
)
@out_option("Agreement to create.")
def agreement_new(
    parties: tuple[str, ...], key_files: tuple[Path, ...], unit: str, agreement_id: str, out: Path
) -> None:
    """Draft an agreement between agencies, with a set of strong blocking passes, for you to adapt.

    \b
    Example:  tallystick agreement new --party police --party health --out agreement.yaml
    """
    from governance.agreement import parse_agreement
    from governance.draft import DEFAULT_PASSES, agreement_yaml, draft_agreement
    from schemas.atomic import atomic_write
    from schemas.identity import load_public

    _refuse_existing(out)
    found = [load_public(path) for path in key_files]
    document = draft_agreement(
        parties={name: kind or name for name, _, kind in (party.partition("=") for party in parties)},
        passes=DEFAULT_PASSES,
        today=datetime.now(UTC).date(),
        identities={identity.party: identity for identity in found},
        agreement_id=agreement_id,
        unit_id=unit,
    )
    parse_agreement(document, where=str(out))
    atomic_write(out, agreement_yaml(document))
    click.echo(f"Drafted {out}. Adapt it, then run: tallystick agreement check {out}")


@agreement.command("check")
@click.argument("file", type=FILE)
@json_option
def agreement_check(file: Path, as_json: bool) -> None:
    """Check that FILE is a well-formed agreement in force, naming every fault at once.

    Exit code 0: it is. 1: it is not in force. 2: it has faults.

    \b
    Example:  tallystick agreement check agreement.yaml
    """
    from governance.agreement import load_agreement, require_in_force

    checked = load_agreement(file)
    require_in_force(checked, datetime.now(UTC).date(), where=str(file))
    facts = {
        "id": checked.id,
        "version": checked.version,
        "status": checked.document["status"],
        "digest": checked.digest,
        "parties": [party.id for party in checked.parties],
        "passes": len(checked.passes),
        "fingerprints": {name: keys.fingerprint for name, keys in checked.identities.items()},
    }
    if as_json:
        emit(facts)
        return
    click.echo(
        f"{file} is a well-formed agreement: {checked.id} version {checked.version} ({facts['status']})."
    )
    click.echo(f"Parties: {', '.join(party.id for party in checked.parties)}. Passes: {len(checked.passes)}.")
    click.echo(f"Digest: {checked.digest}")
    for name, keys in checked.identities.items():
        click.echo(f"Keys of {name}: {keys.fingerprint}")


# --- at an agency ---------------------------------------------------------------------------------------


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


def _source(
    extract: Path | None, sql: str | None, connection_env: str | None, connection_file: Path | None
) -> Any:
    """Return the file, or the query, that the extract is in."""
    from hashing.reading.database import Query, connection_from

    if (extract is None) == (sql is None):
        raise click.UsageError("Give the file of the extract, or --sql with its connection.")
    if sql is not None:
        return Query(sql=sql, connection=connection_from(variable=connection_env, file=connection_file))
    if connection_env is not None or connection_file is not None:
        raise click.UsageError("A connection needs --sql.")
    return extract


def _show_profile(report: Any, *, html: Path | None, as_json: bool) -> None:
    from governance.profile_report import profile_html, profile_text
    from schemas.atomic import atomic_write

    figures = report.to_dict()
    if html is not None:
        atomic_write(html, profile_html(figures))
    if as_json:
        emit(figures)
        return
    click.echo(profile_text(figures))
    if html is not None:
        click.echo(f"\nReport: {html}")


@main.command("profile")
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

    report = profile(
        _source(extract, sql, connection_env, connection_file),
        agency=agency,
        mapping_file=mapping_file,
        agreement_file=agreement_file,
        today=datetime.now(UTC).date(),
        rejects=rejects,
    )
    _show_profile(report, html=html, as_json=as_json)


@main.group("mapping")
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
    text, remarks = draft_mapping(_source(extract, sql, connection_env, connection_file), agency=agency)
    if out is None:
        click.echo(text, nl=False)
    else:
        atomic_write(out, text)
        click.echo(f"Drafted {out}. Correct it, then run: tallystick profile --mapping {out} …")
    for remark in remarks:
        click.echo(remark, err=out is None)


@main.command()
@click.argument("extract", type=FILE, required=False)
@agency_options
@query_options
@click.option(
    "--run", "run_id", required=True, help="Id of the run, the same at every agency, new for each run."
)
@out_option("Package to create for the linkage unit, for example police.tally.")
@click.option(
    "--crosswalk", type=FILE, required=True, help="File to create that stays with you until you open."
)
@click.option("--as-of", type=DAY, help="Last day of the window [default: the day of your latest contact].")
@rejects_option
@click.option("--dry-run", is_flag=True, help="Make nothing, need no passphrase: report on the extract only.")
@json_option
def seal(
    extract: Path | None,
    agreement_file: Path,
    key_file: Path,
    secret_file: Path,
    mapping_file: Path | None,
    sql: str | None,
    connection_env: str | None,
    connection_file: Path | None,
    run_id: str,
    out: Path,
    crosswalk: Path,
    as_of: datetime | None,
    rejects: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """At the agency: normalise, hash and tokenise EXTRACT into a sealed package for the linkage unit.

    \b
    Example:  tallystick seal police.csv --agreement agreement.yaml --key police.key \\
                  --secret police.secret --run 2026-11 --out police.tally --crosswalk police.crosswalk

    With --dry-run at its end, the same call makes nothing and reports on the quality of the extract.
    """
    from governance.summary import seal_text
    from hashing.ceremony import load_secret
    from hashing.workflow import rehearse_seal, seal_extract
    from schemas.identity import load_identity, load_public

    source = _source(extract, sql, connection_env, connection_file)
    if dry_run:
        profile = rehearse_seal(
            source,
            agreement_file=agreement_file,
            mapping_file=mapping_file,
            agency=load_public(key_file).party,
            out=out,
            crosswalk=crosswalk,
            now=datetime.now(UTC),
            rejects=rejects,
        )
        _show_profile(profile, html=None, as_json=as_json)
        return
    words = passphrase("your key files")
    with announcing() as announce:
        report = seal_extract(
            source,
            agreement_file=agreement_file,
            mapping_file=mapping_file,
            identity=load_identity(key_file, words),
            secret=load_secret(secret_file, words),
            run_id=run_id,
            out=out,
            crosswalk=crosswalk,
            now=datetime.now(UTC),
            as_of=as_of.date() if as_of else None,
            rejects=rejects,
            announce=announce,
        )
    if as_json:
        emit(report)
    else:
        click.echo(f"{report['source']}: read as {report['read_as']}.")
        click.echo(seal_text(report))
        click.echo(f"\nSend {out} to the linkage unit. Keep {crosswalk}: you need it to open the return.")


@main.command("open")
@click.argument("package", type=FILE)
@click.option("--extract", type=FILE, help="Your extract, to show your own names.")
@agency_options
@query_options
@click.option("--crosswalk", type=FILE, required=True, help="The crosswalk that `seal` left with you.")
@out_option("CSV file to create with your own people, named again.")
@json_option
def open_command(
    package: Path,
    extract: Path | None,
    agreement_file: Path,
    key_file: Path,
    secret_file: Path,
    mapping_file: Path | None,
    sql: str | None,
    connection_env: str | None,
    connection_file: Path | None,
    crosswalk: Path,
    out: Path,
    as_json: bool,
) -> None:
    """At the agency: open a return and put your own names beside what the other agencies know.

    \b
    Example:  tallystick open run/returns/police.tally --extract police.csv --agreement agreement.yaml \\
                  --key police.key --secret police.secret --crosswalk police.crosswalk --out results.csv
    """
    from hashing.ceremony import load_secret
    from hashing.workflow import open_to_csv
    from schemas.identity import load_identity

    source = _source(extract, sql, connection_env, connection_file)
    words = passphrase("your key files")
    opened = open_to_csv(
        package,
        extract=source,
        agreement_file=agreement_file,
        mapping_file=mapping_file,
        identity=load_identity(key_file, words),
        secret=load_secret(secret_file, words),
        crosswalk=crosswalk,
        out=out,
    )
    if as_json:
        emit(
            {
                "people": opened.people,
                "rows": opened.table.num_rows,
                "as_of": opened.as_of,
                "run": opened.run_id,
            }
        )
    else:
        click.echo(
            f"{opened.people:,} of your people were in contact with several agencies in the {opened.months} months "
            f"up to {opened.as_of}. Who, with whom and whom to ring: {out}"
        )


# --- at the linkage unit --------------------------------------------------------------------------------


@main.command("link")
@click.argument("packages", type=FILE, nargs=-1, required=True)
@agreement_option()
@click.option("key_file", "--key", type=FILE, required=True, help="The linkage unit's key file.")
@click.option("--run", "run_id", help="Id of the run [default: that of the first package].")
@click.option("--as-of", type=DAY, help="Last day of the window [default: the day of the latest contact].")
@click.option(
    "--register", type=FILE, help="Register of packages already taken in; keeps replays out across runs."
)
@click.option("--out", type=FOLDER, required=True, help="Run folder to create.")
@json_option
def link_command(
    packages: tuple[Path, ...],
    agreement_file: Path,
    key_file: Path,
    run_id: str | None,
    as_of: datetime | None,
    register: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """At the linkage unit: link sealed packages and write one return for each agency. Needs no linkage secret.

    \b
    Example:  tallystick link *.tally --agreement agreement.yaml --key unit.key --out run
    """
    from governance.agreement import load_agreement
    from governance.summary import run_text
    from linkage.run import link, summary_of
    from schemas.identity import load_identity
    from schemas.policies import ReplayGuard

    agreed = load_agreement(agreement_file, today=datetime.now(UTC).date())
    identity = load_identity(key_file, passphrase("the unit's key file"))
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
            stage=_announced(announce),
        )
    figures = summary_of(result, agreed)
    if as_json:
        emit(figures)
    else:
        click.echo(run_text(figures))
        click.echo(f"\nSend each agency its own file in {out / 'returns'}.")


def _announced(announce: Callable[[str], None]) -> Callable[[str], Any]:
    @contextmanager
    def stage(name: str) -> Iterator[None]:
        announce(name)
        yield

    return stage
