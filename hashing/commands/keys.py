"""`keys`: identities, the ceremony that makes the linkage secret, and what becomes of both."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click

from hashing.commands.ceremony import combine, contribute, hand_over, rotate, status, take_over
from schemas.terminal import FILE, emit, json_option, out_option, passphrase, refuse_existing


@click.group()
def keys() -> None:
    """Identities, the ceremony that makes the linkage secret, and what becomes of both."""


for command in (contribute, combine, status, rotate, hand_over, take_over):
    keys.add_command(command)


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

    refuse_existing(out)
    identity = PrivateIdentity.generate(party)
    save_identity(identity, out, passphrase("the new key file", new=True))
    click.echo(f"Made the keys of {party} in {out}. Keep the file and the passphrase apart.")
    click.echo(f"Fingerprint: {identity.public.fingerprint}")


def _today() -> date:
    return datetime.now(UTC).date()


def _age_text(ceremony: Any, on: date) -> str:
    """Return how old a linkage secret is, and what follows from it."""
    state = ceremony.state(on)
    if state == "not yet valid":
        return f"Not yet valid: usable from {ceremony.starts_on} to {ceremony.expires_on}."
    day = (on - ceremony.starts_on).days + 1
    if state == "expired":
        return (
            f"Expired: {day - ceremony.days} day(s) past its last, {ceremony.expires_on}. `seal` refuses it; `open` "
            "still opens returns of packages that were sealed before. Next: tallystick keys rotate."
        )
    text = (
        f"Usable from {ceremony.starts_on} to {ceremony.expires_on}: day {day} of {ceremony.days} "
        f"({ceremony.age(on):.0%} over), {state}."
    )
    if state == "expiring":
        left = (ceremony.expires_on - on).days
        text += f" {left} day(s) left: hold the next ceremony now (tallystick keys rotate)."
    return text


def _show_secret(file: Path, ceremony: Any, *, only_age: bool, as_json: bool) -> None:
    from hashing.ceremony import check_value, load_secret

    today = _today()
    value = None if only_age else check_value(load_secret(file, passphrase("the linkage secret")))
    if as_json:
        emit(
            {
                **ceremony.to_dict(),
                "state": ceremony.state(today),
                "age": round(ceremony.age(today), 4),
                "days_left": (ceremony.expires_on - today).days,
                "check_value": value,
            }
        )
    else:
        click.echo(f"Linkage secret of epoch {ceremony.epoch}, for {', '.join(ceremony.parties)}.")
        click.echo(_age_text(ceremony, today))
        if value is not None:
            click.echo(f"Check value: {value}")


@keys.command("show")
@click.argument("file", type=FILE)
@click.option("--public", is_flag=True, help="Print the public keys as they go into the agreement.")
@click.option(
    "--age",
    "only_age",
    is_flag=True,
    help="Of a linkage secret show its age only: no passphrase, exit code 1 when it has expired.",
)
@json_option
def keys_show(file: Path, public: bool, only_age: bool, as_json: bool) -> None:
    """Show the fingerprint of a key file, or age and check value of a linkage secret, to read out to each other.

    \b
    Example:  tallystick keys show police.key --public
              tallystick keys show police.secret
              tallystick keys show police.secret --age
    """
    from governance.draft import keys_yaml
    from hashing.lifecycle import ceremony_in
    from schemas.identity import load_public
    from schemas.keyfile import describe_secret_file

    holds, content = describe_secret_file(file)
    if holds == "identity":
        identity = load_public(file)
        if as_json:
            emit({**identity.to_dict(), "fingerprint": identity.fingerprint})
        elif public:
            click.echo(keys_yaml(identity), nl=False)
        else:
            click.echo(f"Keys of {identity.party}\nFingerprint: {identity.fingerprint}")
        return
    ceremony = ceremony_in(holds, content, where=str(file))
    if holds == "contribution":
        click.echo(
            f"Contribution of {content.get('party')} to the ceremony of epoch {ceremony.epoch}, for "
            f"{', '.join(ceremony.parties)}. Destroy it when the secret is combined (tallystick keys destroy)."
        )
        return
    _show_secret(file, ceremony, only_age=only_age, as_json=as_json)
    if only_age and ceremony.state(_today()) == "expired":
        click.get_current_context().exit(1)


@keys.command("destroy")
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def keys_destroy(files: tuple[Path, ...], yes: bool) -> None:
    """Overwrite and delete key FILES: contributions after combining, a secret after its returns, all when you leave.

    Says what was destroyed, for your records. Backups are yours to find: each holds the file as it was.

    \b
    Example:  tallystick keys destroy police.contribution police.secret
    """
    from hashing.lifecycle import ceremony_in
    from schemas.keyfile import describe_secret_file, destroy_secret_file

    described = [describe_secret_file(file) for file in files]
    lines = []
    for file, (holds, content) in zip(files, described, strict=True):
        whose = (
            f"of {content.get('party')}"
            if holds == "identity"
            else f"of epoch {ceremony_in(holds, content, where=str(file)).epoch}"
        )
        lines.append(f"{file}: {holds.replace('-', ' ')} {whose}")
    if not yes:
        click.echo("\n".join(lines))
        click.confirm("Destroy these for good?", abort=True)
    for file, line in zip(files, lines, strict=True):
        destroy_secret_file(file)
        click.echo(f"Destroyed on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {line}.")
    click.echo("Destroy their copies too: backups, other machines, the folder of the ceremony.")
