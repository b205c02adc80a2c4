"""`agreement`: draft and check data-sharing agreements."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from schemas.terminal import FILE, emit, json_option, out_option, refuse_existing


@click.group()
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

    refuse_existing(out)
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
