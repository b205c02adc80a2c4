"""`purge` and `erase`: what goes when its time is over, and what goes because somebody may ask for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from governance.audit.access import audited, current, note
from governance.commands.requests import requests_option
from schemas.terminal import DAY, FILE, FOLDER, agreement_option, emit, json_option, passphrase

if TYPE_CHECKING:
    from governance.agreement import Agreement
    from governance.lifecycle.answering import Answered
    from governance.lifecycle.erase_agency import AgencyErasure
    from governance.lifecycle.erase_unit import UnitErasure
    from governance.lifecycle.erasing import Plan
    from governance.lifecycle.request_register import RequestRegister
    from schemas.identity import PrivateIdentity

PLACE = click.Path(path_type=Path, exists=True)


@click.command()
@click.argument("places", type=PLACE, nargs=-1, required=True)
@agreement_option()
@click.option(
    "key_file", "--key", type=FILE, help="Your key file: packages to you then tell when they were made."
)
@click.option("--as-of", type=DAY, help="Judge as of this day [default: today].")
@click.option(
    "--yes", is_flag=True, help="Really delete; without it the command only says what it would delete."
)
@json_option
@audited("purge")
def purge(
    places: tuple[Path, ...],
    agreement_file: Path,
    key_file: Path | None,
    as_of: datetime | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Delete what is past its date by the agreement's retention, in the files and folders PLACES.

    Packages, runs, returns, crosswalks, opened results and closed audit logs are found by what they are, not by their
    names; nothing else is touched.

    \b
    Example:  tallystick purge . --agreement agreement.yaml --key police.key --yes
    """
    from governance.agreement import load_agreement
    from governance.audit.entry import Artefact
    from governance.lifecycle.purge import judge, purge_text
    from governance.lifecycle.purge import purge as purge_now
    from schemas.identity import load_identity

    access = current()
    judged = judge(
        places,
        agreement=load_agreement(agreement_file),
        today=(as_of or datetime.now(UTC)).date(),
        identity=None if key_file is None else load_identity(key_file, passphrase("your key file")),
        in_use=None if access is None else access.log.path,
    )
    if yes:
        done = purge_now(judged)
        note(
            counts=done.counts,
            artefacts=[Artefact(kind=kind, digest=value) for kind, value in done.digests if value],
        )
    else:
        note(counts={"dry-run": 1})
    if as_json:
        emit({"deleted": yes, "artefacts": [each.to_dict() for each in judged]})
    else:
        click.echo(purge_text(judged, acted=yes))


@click.command()
@click.argument("places", type=PLACE, nargs=-1, required=True)
@agreement_option()
@click.option(
    "key_file", "--key", type=FILE, required=True, help="Your key file, as an agency or as the linkage unit."
)
@click.option("--refs", type=FILE, help="At an agency: file with the references of the people, one a line.")
@click.option(
    "request_files",
    "--request",
    type=FILE,
    multiple=True,
    help="Request of an agency, or notice of the unit (repeat).",
)
@click.option("agencies", "--agency", multiple=True, help="Erase all of this agency, which left (repeat).")
@click.option(
    "--withdrawn", is_flag=True, help="Erase all that was made under the agreement, which was withdrawn."
)
@click.option("send", "--send", type=FOLDER, help="Folder for the requests or notices that others need.")
@click.option("--receipt", type=FILE, help="Signed receipt to create; or, with --verify, to verify.")
@click.option("--verify", is_flag=True, help="Change nothing: compare PLACES with the receipt.")
@click.option(
    "--yes", is_flag=True, help="Really erase; without it the command only says what it would change."
)
@requests_option
@json_option
@audited("erase", reads={"request_files": "request"}, makes={"receipt": "receipt", "send": "requests"})
def erase(
    places: tuple[Path, ...],
    agreement_file: Path,
    key_file: Path,
    refs: Path | None,
    request_files: tuple[Path, ...],
    agencies: tuple[str, ...],
    withdrawn: bool,
    send: Path | None,
    receipt: Path | None,
    verify: bool,
    yes: bool,
    requests_file: Path | None,
    as_json: bool,
) -> None:
    """Erase people, an agency, or a withdrawn agreement from all artefacts in PLACES, and prove it by a receipt.

    At an agency, --refs names the people; references never stand on the command line. --send writes a request for the
    linkage unit, which names row numbers of a run and nobody. The unit applies it with --request, and writes notices
    for the agencies that were told of them, which they apply with --request in turn. In the register of requests
    (--request-register) an erasure of people is written down as soon as it is asked for, and closed when it was done.

    \b
    Example:  tallystick erase . --refs erase.txt --agreement agreement.yaml --key police.key \\
                  --send to-unit --receipt receipt.json --yes
    """
    from governance.agreement import load_agreement
    from governance.lifecycle.erasing import plan_text
    from governance.lifecycle.request_register import register_for
    from schemas.identity import load_identity

    if verify == (sum(map(bool, (refs, request_files, agencies, withdrawn))) == 1) or (
        verify and receipt is None
    ):
        raise click.UsageError(
            "Give one of --refs, --request, --agency, --withdrawn; or --verify with --receipt."
        )
    agreement = load_agreement(agreement_file)
    if verify:
        assert receipt is not None  # noqa: S101 - checked above
        _verify(receipt, places, agreement, as_json)
        return
    if yes and receipt is None:
        raise click.UsageError("An erasure is proved by its receipt: give --receipt FILE.")
    identity = load_identity(key_file, passphrase("your key file"))
    work = _work(places, agreement, identity, refs, request_files, agencies, withdrawn)
    plan = work.plan()
    answered = _answered(work, identity, register_for(requests_file, agreement_file))
    sent: list[Any] = []
    if yes:
        assert receipt is not None  # noqa: S101 - checked above
        sent = _erase(work, plan, identity, agreement, receipt, send)
        answered.close(datetime.now(UTC).date())
    plan.notes += answered.notes(acted=yes)
    counts = {"artefacts": len(plan.steps), "rows": plan.remaining, "subjects": len(plan.subjects)}
    note(counts=counts if yes else {**counts, "dry-run": 1})
    if as_json:
        emit(_plan_dict(plan, yes, sent))
        return
    click.echo(plan_text(plan, acted=yes))
    if sent and send is not None:
        click.echo(f"{len(sent)} file(s) to send, in {send}.")


def _work(
    places: tuple[Path, ...],
    agreement: Agreement,
    identity: PrivateIdentity,
    refs: Path | None,
    request_files: tuple[Path, ...],
    agencies: tuple[str, ...],
    withdrawn: bool,
) -> Any:
    from governance.audit.show import read_refs
    from governance.lifecycle.erase_agency import AgencyErasure
    from governance.lifecycle.erase_all import Withdrawal
    from governance.lifecycle.erase_unit import UnitErasure
    from governance.lifecycle.requests import read_asked

    if withdrawn:
        return Withdrawal(places=places, agreement=agreement, owner=identity)
    known = {**agreement.identities, identity.party: identity.public}
    asked = [read_asked(path, reader=identity, known=known, agreement=agreement) for path in request_files]
    if identity.party == agreement.unit_id:
        if refs is not None:
            raise click.UsageError("The linkage unit knows no references: it needs a request of the agency.")
        return UnitErasure(
            places=places, agreement=agreement, unit=identity, requests=asked, agencies=frozenset(agencies)
        )
    return AgencyErasure(
        places=places,
        agreement=agreement,
        owner=identity,
        refs=frozenset(read_refs(refs)) if refs is not None else frozenset(),
        notices=asked,
        agencies=frozenset(agencies),
    )


def _answered(work: Any, identity: PrivateIdentity, register: RequestRegister | None) -> Answered:
    """Write down the requests that an erasure answers, so that none is forgotten between the plan and the deed."""
    from governance.lifecycle.answering import Answered, answered_by
    from governance.lifecycle.erase_agency import AgencyErasure
    from governance.lifecycle.erase_unit import UnitErasure

    today = datetime.now(UTC).date()
    if isinstance(work, AgencyErasure) and work.refs:
        return answered_by(
            register, today=today, agency=identity.party, refs=work.refs, covered=work.all_refs
        )
    if isinstance(work, UnitErasure) and work.requests:
        packages = {asked.package_id: asked.sender for asked in work.requests}
        return answered_by(register, today=today, packages=packages)
    return Answered(register=None)


def _erase(
    work: AgencyErasure | UnitErasure,
    plan: Plan,
    identity: PrivateIdentity,
    agreement: Agreement,
    receipt: Path,
    send: Path | None,
) -> list[Any]:
    """Write for others first, because afterwards nobody knows the numbers any more; then erase, then sign."""
    from governance.audit.entry import MAX_LIST
    from governance.lifecycle.erase_agency import AgencyErasure
    from governance.lifecycle.erase_unit import UnitErasure
    from governance.lifecycle.erasing import carry_out
    from governance.lifecycle.receipt import receipt_body, write_receipt

    now, sent = datetime.now(UTC), []
    if send is not None and isinstance(work, AgencyErasure):
        sent = work.write_requests(send, now)
    elif send is not None and isinstance(work, UnitErasure):
        sent = work.write_notices(send, now)
    changes, left = carry_out(plan, work.plan)
    body = receipt_body(
        agreement=agreement.digest,
        organisation=identity.party,
        scope=plan.scope,
        changes=changes,
        remaining=left,
        unread=plan.look_at,
        sent=sent,
        now=now,
    )
    write_receipt(receipt, body, identity)
    if (access := current()) is not None and plan.subjects:
        access.log.forget(plan.subjects)
        for first in range(0, len(plan.subjects), MAX_LIST):
            access.log.append(
                replace(access.event, action="erase-subject", of=access.number),
                subjects=plan.subjects[first : first + MAX_LIST],
                now=now,
            )
    return sent


def _plan_dict(plan: Plan, acted: bool, sent: list[Any]) -> dict[str, Any]:
    return {
        "erased": acted,
        "scope": plan.scope,
        "artefacts": [
            {
                "kind": step.kind,
                "name": step.name,
                "rows": step.rows.before if step.rows else None,
                "removed": step.rows.removed if step.rows else None,
                "why": step.why,
            }
            for step in plan.steps
        ],
        "look_at": plan.look_at,
        "notes": plan.notes,
        "sent": sent,
    }


def _verify(receipt: Path, places: tuple[Path, ...], agreement: Agreement, as_json: bool) -> None:
    from governance.lifecycle.receipt import departures, read_receipt

    body = read_receipt(receipt, agreement.identities)
    wrong = departures(body, places)
    if as_json:
        emit(
            {
                "valid": not wrong,
                "organisation": body["organisation"],
                "made_at": body["made_at"],
                "changed": wrong,
            }
        )
    else:
        click.echo(
            f"{receipt}: signed by {body['organisation']}, {body['made_at']}, {len(body['artefacts']):,} artefacts, "
            f"{body['remaining']} rows left."
        )
        for name in wrong:
            click.echo(f"  {name} is not as the erasure left it.")
    if wrong:
        raise click.exceptions.Exit(1)
