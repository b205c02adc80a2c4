"""The commands of `keys` that make, renew and hand over the linkage secret."""

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
    emit,
    json_option,
    out_option,
    passphrase,
    refuse_existing,
)

_LONGEST_LIFE = 366


def _key_option(command: Command) -> Command:
    return click.option("key_file", "--key", type=FILE, required=True, help="Your agency's key file.")(
        command
    )


def _folder_option(command: Command) -> Command:
    return click.option(
        "--folder", type=FOLDER, required=True, help="Folder that the agencies exchange files through."
    )(command)


def _life_options(command: Command) -> Command:
    """Add the options that all agencies of a ceremony must give alike, when it has no `ceremony.json` yet."""
    for option in (
        click.option(
            "--days",
            type=click.IntRange(1, _LONGEST_LIFE),
            help="Life of the secret [default: as long as the agreement allows].",
        ),
        click.option(
            "--starts", type=DAY, help="First day of the secret [default: first day of the agreement]."
        ),
        click.option("--epoch", type=click.IntRange(1), help="1, then 2 … at rotation [default: 1]."),
    ):
        command = option(command)
    return command


def _agencies(agreement: Any) -> tuple[str, ...]:
    return tuple(sorted(party.id for party in agreement.parties))


def _new_ceremony(agreement: Any, *, epoch: int, starts_on: date, days: int | None) -> Any:
    from hashing.ceremony import Ceremony
    from schemas.errors import CeremonyError

    longest = min(_LONGEST_LIFE, agreement.max_key_age_days)
    if days is not None and days > longest:
        raise CeremonyError(
            f"the agreement lets a linkage secret last {longest} days at most.",
            where="--days",
            remedy="Give fewer days.",
        )
    return Ceremony(
        agreement_digest=agreement.digest,
        epoch=epoch,
        parties=_agencies(agreement),
        starts_on=starts_on,
        expires_on=starts_on + timedelta(days=(days or longest) - 1),
    )


def _ceremony(
    agreement: Any, folder: Path, epoch: int | None, starts: datetime | None, days: int | None
) -> Any:
    """Return the ceremony that the folder is for, which must be what the agreement and the options say.

    Without `ceremony.json` the options say it all, and the file is written for the other agencies.
    """
    from hashing.exchange import CEREMONY_FILE, read_ceremony, write_ceremony
    from schemas.errors import CeremonyError

    path = folder / CEREMONY_FILE
    if not path.exists():
        first = starts.date() if starts else date.fromisoformat(agreement.document["in_force"]["from"])
        ceremony = _new_ceremony(agreement, epoch=epoch or 1, starts_on=first, days=days)
        write_ceremony(folder, ceremony)
        return ceremony
    ceremony = read_ceremony(path)
    given = (
        ("agreement", ceremony.agreement_digest, agreement.digest),
        ("agencies", ceremony.parties, _agencies(agreement)),
        ("--epoch", ceremony.epoch, epoch or ceremony.epoch),
        ("--starts", ceremony.starts_on, starts.date() if starts else ceremony.starts_on),
        ("--days", ceremony.days, days or ceremony.days),
    )
    for name, stands, wanted in given:
        if stands != wanted:
            raise CeremonyError(
                f"the folder is for a ceremony with another value of: {name}.",
                where=str(path),
                remedy="Agree with the other agencies; a new ceremony needs a new folder.",
            )
    # Only the life is checked again: whoever can write to the folder may have made it longer than was agreed.
    return _new_ceremony(agreement, epoch=ceremony.epoch, starts_on=ceremony.starts_on, days=ceremony.days)


def _require_life(ceremony: Any) -> None:
    from schemas.errors import CeremonyError

    if ceremony.state(datetime.now(UTC).date()) == "expired":
        raise CeremonyError(
            f"the secret of this ceremony would have expired on {ceremony.expires_on}.",
            remedy="Begin a ceremony with later days (tallystick keys rotate).",
        )


def _said(ceremony: Any) -> str:
    return (
        f"Ceremony of epoch {ceremony.epoch}, for {', '.join(ceremony.parties)}; the secret is to be used from "
        f"{ceremony.starts_on} to {ceremony.expires_on}."
    )


@click.command("contribute")
@agreement_option()
@_key_option
@_life_options
@_folder_option
@click.option(
    "--own", type=FILE, required=True, help="Your contribution, kept by you until the secret is combined."
)
def contribute(
    agreement_file: Path,
    key_file: Path,
    epoch: int | None,
    starts: datetime | None,
    days: int | None,
    folder: Path,
    own: Path,
) -> None:
    """Take part in a ceremony: first commit, then (run again when all have committed) reveal.

    The first run makes your random contribution and writes FOLDER/<you>.commitment.json. When the commitments of all
    agencies are there, the second run writes FOLDER/<you>-to-<other>.reveal, each readable by that agency only. Epoch
    and days are those of FOLDER/ceremony.json, which the first agency to come (or `keys rotate`) writes.

    \b
    Example:  tallystick keys contribute --agreement agreement.yaml --key police.key \\
                  --folder exchange --own police.contribution
    """
    from governance.agreement import load_agreement
    from hashing.exchange import contribute_step, require_own_part
    from schemas.identity import load_identity

    agreement = load_agreement(agreement_file)
    words = passphrase("your key file")
    identity = load_identity(key_file, words)
    require_own_part(_agencies(agreement), identity, agreement.identities)
    ceremony = _ceremony(agreement, folder, epoch, starts, days)
    _require_life(ceremony)
    outcome = contribute_step(
        ceremony,
        identity=identity,
        known=agreement.identities,
        folder=folder,
        own=own,
        passphrase=words,
        now=datetime.now(UTC),
    )
    click.echo(f"{_said(ceremony)}\n{outcome}")


@click.command("combine")
@agreement_option()
@_key_option
@_life_options
@_folder_option
@click.option("--own", type=FILE, required=True, help="Your contribution.")
@out_option("Linkage secret to create, for example police.secret.")
def combine(
    agreement_file: Path,
    key_file: Path,
    epoch: int | None,
    starts: datetime | None,
    days: int | None,
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
    words = passphrase("your key file")
    secret = combine_step(
        _ceremony(agreement, folder, epoch, starts, days),
        identity=load_identity(key_file, words),
        known=agreement.identities,
        folder=folder,
        own=own,
        passphrase=words,
    )
    save_secret(secret, out, words)
    click.echo(f"Made the linkage secret in {out}. Read this check value to the other agencies:")
    click.echo(f"Check value: {check_value(secret)}")
    click.echo(f"When all agree, destroy your contribution: tallystick keys destroy {own}")


@click.command("status")
@agreement_option()
@_folder_option
@json_option
def status(agreement_file: Path, folder: Path, as_json: bool) -> None:
    """Say how far a ceremony is, and which agencies are awaited. Needs no key.

    \b
    Example:  tallystick keys status --agreement agreement.yaml --folder exchange
    """
    from governance.agreement import load_agreement
    from hashing.exchange import CEREMONY_FILE, progress, read_ceremony

    agreement = load_agreement(agreement_file)
    ceremony = read_ceremony(folder / CEREMONY_FILE)
    found = progress(ceremony, known=agreement.identities, folder=folder)
    if as_json:
        emit(
            {
                "ceremony": ceremony.to_dict(),
                "uncommitted": list(found.uncommitted),
                "unrevealed": {
                    party: list(missing) for party, missing in found.unrevealed.items() if missing
                },
                "awaited": list(found.awaited),
            }
        )
        return
    click.echo(_said(ceremony))
    if found.uncommitted:
        click.echo(f"Not committed yet: {', '.join(found.uncommitted)}.")
    elif found.awaited:
        click.echo(f"All have committed. Not revealed to all yet: {', '.join(found.awaited)}.")
    else:
        click.echo("All have committed and revealed. Each agency can combine (tallystick keys combine).")


@click.command("rotate")
@click.option(
    "--after",
    type=FILE,
    required=True,
    help="The linkage secret to replace, or ceremony.json of a ceremony that cannot end.",
)
@agreement_option()
@_folder_option
@click.option("--starts", type=DAY, help="First day of the new secret [default: today].")
@click.option(
    "--days",
    type=click.IntRange(1, _LONGEST_LIFE),
    help="Life of the new secret [default: as long as the agreement allows].",
)
def rotate(
    after: Path, agreement_file: Path, folder: Path, starts: datetime | None, days: int | None
) -> None:
    """Begin the ceremony of the next epoch in a new FOLDER, for the agencies that the agreement names now.

    One agency runs it: before the secret expires, when it may be known to others, when an agency left or joined (the
    agreement says so first), or when a ceremony cannot end. Then all contribute and combine as the first time.

    \b
    Example:  tallystick keys rotate --after police.secret --agreement agreement.yaml --folder exchange-2
    """
    from governance.agreement import load_agreement
    from hashing.exchange import CEREMONY_FILE, write_ceremony
    from hashing.lifecycle import ceremony_of, change_between
    from schemas.errors import CeremonyError

    agreement = load_agreement(agreement_file)
    before = ceremony_of(after)
    first = starts.date() if starts else datetime.now(UTC).date()
    ceremony = _new_ceremony(agreement, epoch=before.epoch + 1, starts_on=first, days=days)
    _require_life(ceremony)
    if folder.is_dir() and any(folder.iterdir()):
        raise CeremonyError(
            "this folder is not empty.",
            where=str(folder),
            remedy="Each ceremony has a folder of its own: what was revealed before is never used again.",
        )
    write_ceremony(folder, ceremony)
    change = change_between(before, ceremony)
    click.echo(_said(ceremony))
    for word, parties in (("Stay", change.stay), ("Join", change.join), ("Leave", change.leave)):
        if parties:
            click.echo(f"{word}: {', '.join(parties)}.")
    click.echo(
        f"Wrote {folder / CEREMONY_FILE}. Each agency now runs, with a new file for --own:\n"
        f"  tallystick keys contribute --agreement {agreement_file} --folder {folder} --key … --own …"
    )


@click.command("hand-over")
@agreement_option()
@_key_option
@click.option("secret_file", "--secret", type=FILE, required=True, help="The linkage secret.")
@click.option("--to", "recipient", required=True, help="Id of the agency that lost its copy.")
@out_option("File to create for that agency; nobody else can open it.")
def hand_over(agreement_file: Path, key_file: Path, secret_file: Path, recipient: str, out: Path) -> None:
    """Seal the linkage secret to an agency of the ceremony that lost its copy, and had it not stolen (then: rotate).

    \b
    Example:  tallystick keys hand-over --agreement agreement.yaml --key police.key \\
                  --secret police.secret --to health --out health.handover
    """
    from governance.agreement import load_agreement
    from hashing.ceremony import load_secret, write_handover
    from hashing.lifecycle import require_agreement
    from schemas.errors import CeremonyError
    from schemas.identity import load_identity

    refuse_existing(out)
    agreement = load_agreement(agreement_file)
    words = passphrase("your key files")
    secret = load_secret(secret_file, words)
    identity = load_identity(key_file, words)
    require_agreement(secret.ceremony, agreement.digest, _agencies(agreement), where=str(secret_file))
    if recipient == identity.party or recipient not in agreement.identities:
        raise CeremonyError(
            f"{recipient} is no other agency of the agreement with keys in it.",
            where="--to",
            remedy=f"Its agencies: {', '.join(_agencies(agreement))}.",
        )
    write_handover(
        out,
        secret,
        sender=identity,
        recipient=agreement.identities[recipient],
        created_at=datetime.now(UTC),
    )
    click.echo(
        f"Sealed the linkage secret of epoch {secret.ceremony.epoch} to {recipient} in {out}.\n"
        f"Another agency, not you, now reads its check value to {recipient} (tallystick keys show)."
    )


@click.command("take-over")
@click.argument("file", type=FILE)
@agreement_option()
@_key_option
@click.option(
    "--check-value",
    "spoken",
    required=True,
    help='As read out by an agency other than the sender, for example "12345 67890 12345 67890".',
)
@out_option("Linkage secret to create, for example health.secret.")
def take_over(file: Path, agreement_file: Path, key_file: Path, spoken: str, out: Path) -> None:
    """Open the linkage secret that another agency handed over, and compare it with the check value of a third.

    \b
    Example:  tallystick keys take-over health.handover --agreement agreement.yaml --key health.key \\
                  --check-value "96639 98614 42997 78766" --out health.secret
    """
    from governance.agreement import load_agreement
    from hashing.ceremony import save_secret
    from hashing.lifecycle import take_over as opened
    from schemas.identity import load_identity

    refuse_existing(out)
    agreement = load_agreement(agreement_file)
    words = passphrase("your key file")
    secret = opened(
        file,
        recipient=load_identity(key_file, words),
        known=agreement.identities,
        agreement_digest=agreement.digest,
        parties=_agencies(agreement),
        spoken=spoken,
    )
    save_secret(secret, out, words)
    click.echo(f"Made the linkage secret of epoch {secret.ceremony.epoch} in {out}; its check value agrees.")
