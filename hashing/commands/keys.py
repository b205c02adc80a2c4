"""`keys`: identities, and the ceremony that makes the linkage secret."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from schemas.terminal import (
    DAY,
    FILE,
    FOLDER,
    Command,
    agreement_option,
    out_option,
    passphrase,
    refuse_existing,
)


@click.group()
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

    refuse_existing(out)
    identity = PrivateIdentity.generate(party)
    save_identity(identity, out, passphrase("the new key file", new=True))
    click.echo(f"Made the keys of {party} in {out}. Keep the file and the passphrase apart.")
    click.echo(f"Fingerprint: {identity.public.fingerprint}")


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

    refuse_existing(out)
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
