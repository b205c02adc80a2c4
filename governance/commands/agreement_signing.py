"""`agreement sign` and `agreement verify`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import click

from schemas.terminal import FILE, FOLDER, emit, json_option, passphrase


@click.command("sign")
@click.argument("file", type=FILE)
@click.option("key_file", "--key", type=FILE, required=True, help="Key file of the party that signs.")
@json_option
def sign(file: Path, key_file: Path, as_json: bool) -> None:
    """Sign FILE for a party. Nobody can sign a draft, or what a rule blocks for another reason than signatures.

    The signature stands in FILE.sigs/PARTY.dsse.json; send that file to the other parties.

    \b
    Example:  tallystick agreement sign agreement.yaml --key police.key
    """
    from governance.agreement_check import agreement_subject
    from governance.agreement_signatures import write_signature
    from governance.gate import gate
    from governance.rules.base import Moment
    from governance.rules.registry import Family, findings_of
    from schemas.identity import load_identity

    agreement, subject = agreement_subject(file, today=datetime.now(UTC).date())
    day = _first_day(subject.section("in_force").get("from"), subject.today)
    _, subject = agreement_subject(file, today=day)
    found = findings_of(Family.AGREEMENT, subject, moment=Moment.AGREEMENT)
    gate(finding for finding in found if finding.rule not in {"D03", "D22"})
    assert agreement is not None  # noqa: S101 - what has faults is blocked by D01
    identity = load_identity(key_file, passphrase(f"the key file {key_file.name}"))
    made = write_signature(file, agreement, identity)
    if as_json:
        emit({"signer": identity.party, "digest": agreement.digest, "signature": str(made)})
        return
    click.echo(f"{identity.party} signed {agreement.id} version {agreement.version}.")
    click.echo(f"Digest: {agreement.digest}")
    click.echo(
        f"Signature: {made}. Send it to the other parties, to stand in their folder {made.parent.name}."
    )


def _first_day(starts: str | None, today: date) -> date:
    """Return the day to judge by: an agreement may be signed before it comes into force."""
    return max(today, date.fromisoformat(starts)) if starts else today


@click.command("verify")
@click.argument("file", type=FILE)
@click.option("--signatures", type=FOLDER, help="Folder of the signature files [default: FILE.sigs].")
@json_option
def verify(file: Path, signatures: Path | None, as_json: bool) -> None:
    """Say which controllers signed FILE, exactly as it stands, and which did not.

    The same key under two ids counts once. Exit code 0: all signed. 1: not all.

    \b
    Example:  tallystick agreement verify agreement.yaml
    """
    from governance.agreement import load_agreement
    from governance.agreement_signatures import read_signatures, signatures_folder

    agreement = load_agreement(file)
    found = read_signatures(signatures or signatures_folder(file), agreement)
    missing = [party.id for party in agreement.controllers if party.id not in found.signers]
    if as_json:
        emit(
            {
                "digest": agreement.digest,
                "signed": sorted(found.signers),
                "missing": missing,
                "broken": dict(found.broken),
                "earlier_versions": [document["version"] for document in found.earlier],
            }
        )
    else:
        click.echo(
            "Every controller has signed."
            if not missing
            else f"Not signed by all: {len(missing)} controller(s) missing."
        )
        click.echo(f"{agreement.id} version {agreement.version}, digest {agreement.digest}")
        for party in agreement.controllers:
            said = "signed" if party.id in found.signers else "has not signed this version"
            keys = f"keys {party.keys.fingerprint}" if party.keys else "the agreement holds no keys of it"
            click.echo(f"  {party.id}: {said} ({keys})")
        for name, reason in found.broken.items():
            click.echo(f"  {name} {reason}.")
        for document in found.earlier:
            click.echo(f"  There are valid signatures over version {document['version']}.")
    if missing or found.broken:
        raise click.exceptions.Exit(1)
