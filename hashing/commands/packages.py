"""`seal` and `open`: make a package for the linkage unit, and read its return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from governance.audit.access import audited, note, note_withheld
from governance.commands.check import exception_option
from governance.commands.requests import requests_option
from hashing.commands.options import (
    agency_options,
    query_options,
    rejects_option,
    show_profile,
    source_of,
    unlock,
)
from schemas.terminal import DAY, FILE, announcing, emit, json_option, loading, out_option, passphrase

if TYPE_CHECKING:
    from hashing.foresight import Foreseen
    from hashing.opening import Opened
    from hashing.order import Order


_MOST_LINES = 6
"""Lines of one refusal that a dry run shows."""


def _counts(excluded: tuple[str, ...]) -> dict[str, int] | None:
    """Return kind -> count of `KIND=COUNT` texts; the texts themselves are not repeated in a refusal."""
    pairs = [text.partition("=") for text in excluded]
    if not all(kind and count.isascii() and count.isdecimal() for kind, _, count in pairs):
        raise click.BadParameter(
            "write KIND=COUNT, for example protected_address=3.", param_hint="--excluded"
        )
    return {kind: int(count) for kind, _, count in pairs} or None


def _told_lines(told: Mapping[str, Any]) -> list[str]:
    """Return what is said of people who are left out and of pairs that are kept apart, real or foreseen."""
    lines = []
    if left := told.get("left_out"):
        lines.append(
            f"Left out before sealing: {left['people']:,} people. References of the file that the extract does not "
            f"have: {left['not_found']:,}."
        )
    if (alone := told.get("without_contact")) is not None:
        lines.append(f"Without a contact in the window, and so not sealed: {alone:,} people.")
    if apart := told.get("do_not_link"):
        lines.append(
            f"Pairs to be kept apart: {apart['pairs']:,} of {apart['listed']:,} listed. With a reference that the "
            f"extract does not have: {apart['not_held']:,}."
        )
    return lines


def _shortened(refusal: str) -> str:
    """Return a refusal as an entry of a list; of an agreement that is still a draft not every line."""
    lines = refusal.splitlines()
    if len(lines) > _MOST_LINES:
        left = len(lines) - _MOST_LINES
        lines = [*lines[:_MOST_LINES], f"  … and {left} more lines; see: tallystick agreement check"]
    return "  - " + "\n    ".join(lines)


def _foreseen_lines(foreseen: Foreseen) -> list[str]:
    """Return what a dry run says below the report on the extract."""
    from hashing.foresight import NOT_ASKED

    told = foreseen.told
    after = f", all after {told['contacts_after']}" if told["contacts_after"] else ""
    lines = [
        *_told_lines(told),
        f"Contacts that would leave: {told['contacts_sent']:,}{after}. Kept back, outside the window or undated: "
        f"{told['contacts_kept_back']:,}.",
        *foreseen.remarks,
    ]
    if foreseen.refusals:
        return [
            *lines,
            "",
            "Sealed now, this would be refused:",
            *map(_shortened, foreseen.refusals),
        ]
    return [*lines, "", f"Sealed now, this would not be refused. Not asked: {NOT_ASKED}; and the passphrase."]


def _foretell(order: Order, key_file: Path, secret_file: Path, *, as_json: bool) -> None:
    """Report on the extract, and say what the real call would refuse: then the exit code is 1, as there."""
    from hashing.foresight import foresee
    from schemas.identity import load_public

    foreseen = foresee(order, identity=load_public(key_file), secret_file=secret_file, now=datetime.now(UTC))
    note(counts={"dry-run": 1})
    if as_json:
        emit(foreseen.to_dict())
    else:
        show_profile(foreseen.profile, html=None, as_json=False)
        click.echo("\n" + "\n".join(_foreseen_lines(foreseen)))
    if foreseen.refusals:
        click.get_current_context().exit(1)


@click.command()
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
@click.option(
    "--excluded", multiple=True, help="KIND=COUNT: people you left out of the extract, as agreed (repeat)."
)
@click.option(
    "--exclude",
    type=FILE,
    help="CSV file (ref, reason) of people to leave out, counted by reason; it stays with you.",
)
@click.option(
    "--do-not-link",
    type=FILE,
    help="CSV file (ref, other_ref) of pairs of your references that must never be one person.",
)
@rejects_option
@exception_option
@requests_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Make nothing, need no passphrase: report on the extract, and on what would be refused or left out.",
)
@json_option
@audited("seal", reads={"mapping_file": "mapping"}, makes={"out": "package", "crosswalk": "crosswalk"})
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
    excluded: tuple[str, ...],
    exclude: Path | None,
    do_not_link: Path | None,
    rejects: Path | None,
    exception_files: tuple[Path, ...],
    requests_file: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """At the agency: normalise, hash and tokenise EXTRACT into a sealed package for the linkage unit.

    \b
    Example:  tallystick seal police.csv --agreement agreement.yaml --key police.key \\
                  --secret police.secret --run 2026-11 --out police.tally --crosswalk police.crosswalk

    With --dry-run at its end, the same call makes nothing: it reports on the quality of the extract, and says whom it
    would leave out and why it would be refused (exit code 1, as then). When the agreement names exclusions, let
    --exclude leave them out, or say how many you left out: --excluded objection=3. People without a contact in the
    window are left out too, and counted, where the agreement says window.everyone: false.
    """
    from governance.lifecycle.request_register import register_for
    from hashing.order import Order
    from hashing.unlocking import Unlocking

    order = Order(
        extract=source_of(extract, sql, connection_env, connection_file),
        agreement_file=agreement_file,
        mapping_file=mapping_file,
        run_id=run_id,
        out=out,
        crosswalk=crosswalk,
        as_of=as_of.date() if as_of else None,
        rejects=rejects,
        exceptions=exception_files,
        exclusions=_counts(excluded),
        exclude=exclude,
        do_not_link=do_not_link,
        requests=register_for(requests_file, agreement_file),
    )
    if dry_run:
        _foretell(order, key_file, secret_file, as_json=as_json)
        return
    words = passphrase("your key files")
    with announcing() as announce, Unlocking(key_file, secret_file, words) as unlocking:
        with loading():  # takes as long as the keys: one beside the other
            from hashing.workflow import seal_extract

        report = seal_extract(order, keys=unlocking.result, now=datetime.now(UTC), announce=announce)
    note(counts={"rows": report["quality"]["rows"], "subjects": report["quality"]["subjects"]})
    note_withheld(report.get("left_out"))
    if as_json:
        emit(report)
    else:
        from governance.summary import seal_text

        click.echo(f"{report['source']}: read as {report['read_as']}.")
        click.echo(seal_text(report))
        click.echo("".join(f"{line}\n" for line in _told_lines(report)), nl=False)
        click.echo(f"\nSend {out} to the linkage unit. Keep {crosswalk}: you need it to open the return.")


def _further_lines(opened: Opened) -> list[str]:
    """Say what else the agreement lets a return tell, and which rows of the result it is."""
    from schemas.results import BUSIEST, SAME_HOME

    further, lines = opened.further, []
    if further.at_home is not None:
        lines.append(
            f"{further.at_home:,} of your people share a home with somebody else whom other agencies were in contact "
            f'with (rows "{SAME_HOME}").'
        )
    if further.busiest is not None:
        lines.append(
            f"{further.busiest:,} of your people were in contact with several agencies within some {opened.months} "
            f'months (rows "{BUSIEST}"). For {further.cut:,} of them these began before the contacts that agencies '
            "sent: more may have happened."
        )
    return lines


@click.command("open")
@click.argument("package", type=FILE)
@click.option("--extract", type=FILE, help="Your extract, to show your own names.")
@agency_options
@query_options
@exception_option
@requests_option
@click.option("--crosswalk", type=FILE, required=True, help="The crosswalk that `seal` left with you.")
@out_option("CSV file to create with your own people, named again.")
@json_option
@audited("open", reads={"package": "return", "crosswalk": "crosswalk"}, makes={"out": "result"})
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
    exception_files: tuple[Path, ...],
    requests_file: Path | None,
    crosswalk: Path,
    out: Path,
    as_json: bool,
) -> None:
    """At the agency: open a return and put your own names beside what the other agencies know.

    \b
    Example:  tallystick open run/returns/police.tally --extract police.csv --agreement agreement.yaml \\
                  --key police.key --secret police.secret --crosswalk police.crosswalk --out results.csv
    """
    from governance.gate import finding_dict, remarks
    from governance.lifecycle.request_register import register_for
    from hashing.workflow import open_to_csv

    source = source_of(extract, sql, connection_env, connection_file)
    identity, secret = unlock(key_file, secret_file, passphrase("your key files"))
    opened = open_to_csv(
        package,
        extract=source,
        agreement_file=agreement_file,
        mapping_file=mapping_file,
        identity=identity,
        secret=secret,
        crosswalk=crosswalk,
        out=out,
        today=datetime.now(UTC).date(),
        exceptions=exception_files,
        requests=register_for(requests_file, agreement_file),
    )
    note(run=opened.run_id, counts={"people": opened.people, "rows": opened.table.num_rows})
    if as_json:
        emit(
            {
                "people": opened.people,
                "rows": opened.table.num_rows,
                **asdict(opened.further),
                "as_of": opened.as_of,
                "run": opened.run_id,
                "compliance": [finding_dict(found) for found in opened.findings],
            }
        )
    else:
        click.echo(
            f"{opened.people:,} of your people were in contact with several agencies in the {opened.months} months "
            f"up to {opened.as_of}. Who, with whom and whom to ring: {out}"
        )
        click.echo("".join(f"{line}\n" for line in _further_lines(opened)), nl=False)
        click.echo("\n".join(remarks(opened.findings)), nl=bool(opened.findings))
