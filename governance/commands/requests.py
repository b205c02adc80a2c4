"""`requests`: who asked to be erased or objected, and by when it has to be done; without saying who."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from governance.audit.access import audited, note
from schemas.terminal import DAY, FILE, Command, emit, json_option

if TYPE_CHECKING:
    from governance.lifecycle.request_register import Entry


def requests_option(command: Command) -> Command:
    """Add `--request-register FILE`."""
    return click.option(
        "requests_file",
        "--request-register",
        type=FILE,
        envvar="TALLYSTICK_REQUESTS",
        help="Register of requests, for rule O06 [TALLYSTICK_REQUESTS; default: AGREEMENT.requests, if it is there].",
    )(command)


def _day(given: datetime | None) -> date:
    return (given or datetime.now(UTC)).date()


@click.group("requests")
def requests() -> None:
    """Keep the register of erasure requests and upheld objections, without a name in it.

    Rule O06 judges by it: while one is past its date, `link`, `open` and `report` refuse, and `check` says so.
    """


@requests.command("new")
@click.argument("register", type=FILE)
def requests_new(register: Path) -> None:
    """Begin the register REGISTER, and its salt beside it. Called AGREEMENT.requests, it is found by itself.

    \b
    Example:  tallystick requests new agreement.yaml.requests
    """
    from governance.lifecycle.request_register import RequestRegister

    RequestRegister.create(register)
    click.echo(
        f"Begun {register}. Back it up together with {register}.salt, and never send the salt to anybody: with it "
        "a guess at a reference can be tried."
    )


@requests.command("add")
@click.argument("register", type=FILE)
@click.option(
    "--kind", type=click.Choice(["erasure", "objection"]), required=True, help="What was asked for."
)
@click.option("--agency", required=True, help="The agency that was asked, by its name in the agreement.")
@click.option(
    "--refs",
    type=FILE,
    help="File with the person's references, one a line; they are not kept, only commitments.",
)
@click.option("--case", help="Your case number [default: request-1, request-2, …]. Never a name.")
@click.option("--received", type=DAY, help="Day on which it came [default: today].")
@click.option("--due", type=DAY, help="Last day to apply it [default: a month after it came].")
@click.option("--why-longer", default="", help="Why more than a month is needed; at most three in all.")
@json_option
@audited("request-add", makes={"register": "requests"})
def requests_add(
    register: Path,
    kind: str,
    agency: str,
    refs: Path | None,
    case: str | None,
    received: datetime | None,
    due: datetime | None,
    why_longer: str,
    as_json: bool,
) -> None:
    """Write down that a person asked to be erased, or that an objection was upheld.

    Name the references in a file, never on the command line: `erase` then knows which request it answers, and
    `open` sees when somebody is told of again who should not be.

    \b
    Example:  tallystick requests add agreement.yaml.requests --kind erasure --agency police --refs erase.txt
    """
    from governance.audit.show import read_refs
    from governance.lifecycle.request_register import RequestRegister

    entry = RequestRegister(register).add(
        kind=kind,
        agency=agency,
        received=_day(received),
        refs=read_refs(refs) if refs is not None else (),
        case=case,
        due=due.date() if due else None,
        why_longer=why_longer,
    )
    note(counts={"references": len(entry.people)})
    if as_json:
        emit(entry.to_dict())
    else:
        click.echo(f"{entry.case}: {entry.kind}, to be applied by {entry.due.isoformat()}.")


@requests.command("list")
@click.argument("register", type=FILE)
@click.option("--open", "only_open", is_flag=True, help="Only those that are not closed.")
@click.option("--on", "on", type=DAY, help="Judge as on this day [default: today].")
@json_option
def requests_list(register: Path, only_open: bool, on: datetime | None, as_json: bool) -> None:
    """List the requests, those first whose date comes first. Exit code 1 when one is past its date.

    \b
    Example:  tallystick requests list agreement.yaml.requests --open
    """
    from governance.lifecycle.request_register import RequestRegister

    today = _day(on)
    entries = [entry for entry in RequestRegister(register).entries() if not (only_open and entry.outcome)]
    entries.sort(key=lambda entry: (entry.outcome is not None, entry.due))
    late = [entry for entry in entries if entry.outcome is None and today > entry.due]
    if as_json:
        emit({"requests": [entry.to_dict() for entry in entries], "late": [entry.case for entry in late]})
    else:
        click.echo("\n".join(_line(entry, today) for entry in entries) or "No requests.")
    if late:
        raise click.exceptions.Exit(1)


def _line(entry: Entry, today: date) -> str:
    head = f"{entry.case}: {entry.kind} at {entry.agency}, received {entry.received.isoformat()}"
    if entry.outcome is not None and entry.closed is not None:
        late = ", after its date" if entry.outcome == "applied" and entry.closed > entry.due else ""
        return f"{head}; {entry.outcome} on {entry.closed.isoformat()}{late}."
    days = (entry.due - today).days
    left = f"{days} days left" if days >= 0 else f"PAST ITS DATE by {-days} days"
    return f"{head}; to be applied by {entry.due.isoformat()}: {left}."


@requests.command("close")
@click.argument("register", type=FILE)
@click.argument("case")
@click.option(
    "--as",
    "outcome",
    type=click.Choice(["applied", "refused", "withdrawn"]),
    default="applied",
    show_default=True,
    help="How it ended: applied, refused by law (tell the person why), or taken back by the person.",
)
@click.option("--on", "on", type=DAY, help="Day on which it was [default: today].")
@audited("request-close", makes={"register": "requests"})
def requests_close(register: Path, case: str, outcome: str, on: datetime | None) -> None:
    """Close the request CASE. `erase` does it by itself for the requests whose references it erases.

    \b
    Example:  tallystick requests close agreement.yaml.requests request-2 --as applied
    """
    from governance.lifecycle.request_register import RequestRegister

    closed = RequestRegister(register).close(case, outcome, on=_day(on))
    note(counts={outcome: 1})
    click.echo(_line(closed, _day(on)))
