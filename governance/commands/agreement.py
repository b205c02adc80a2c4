"""`agreement`: draft, check, sign, explain and compare data-sharing agreements."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from governance.commands.agreement_reading import diff, explain, gateways, migrate
from governance.commands.agreement_signing import sign, verify
from schemas.terminal import DAY, FILE, FOLDER, emit, json_option, out_option, refuse_existing

TEMPLATES = ("county-safeguarding", "adults", "early-help")


@click.group()
def agreement() -> None:
    """Draft, check, sign, explain and compare data-sharing agreements."""


@agreement.command("new")
@click.option("--template", type=click.Choice(TEMPLATES), help="Common case to begin with.")
@click.option(
    "--party", "parties", multiple=True, help="Agency id, or id=type (repeat) [default: the template's]."
)
@click.option(
    "--keys", "key_files", multiple=True, type=FILE, help="Key file whose public keys to put in (repeat)."
)
@click.option("--unit", default="linkage-unit", show_default=True, help="Id of the linkage unit.")
@click.option(
    "--id", "agreement_id", default="draft-agreement", show_default=True, help="Id of the agreement."
)
@click.option("--title", help="Title [default: the template's].")
@click.option(
    "--ask/--no-ask", "ask", default=None, help="Ask for the main entries [default: on a terminal]."
)
@out_option("Agreement to create.")
def agreement_new(
    template: str | None,
    parties: tuple[str, ...],
    key_files: tuple[Path, ...],
    unit: str,
    agreement_id: str,
    title: str | None,
    ask: bool | None,
    out: Path,
) -> None:
    """Draft an agreement for you to adapt: everything it has to say, with TODO where only you know.

    On a terminal it asks for what the options do not say.

    \b
    Example:  tallystick agreement new --template county-safeguarding --out agreement.yaml
              tallystick agreement new --party police --party health --keys police.key --out agreement.yaml
    """
    import sys

    from governance.agreement_template import Wishes, ask_wishes, draft_from_template
    from governance.draft import agreement_yaml
    from schemas.atomic import atomic_write
    from schemas.identity import load_public

    refuse_existing(out)
    wishes = Wishes(
        template=template or TEMPLATES[0],
        parties={name: kind or name for name, _, kind in (party.partition("=") for party in parties)},
        agreement_id=agreement_id,
        unit_id=unit,
        title=title,
    )
    wanted = sys.stdin.isatty() and template is None and not parties if ask is None else ask
    if wanted:
        wishes = ask_wishes(wishes, TEMPLATES, ask=click.prompt)
    found = [load_public(path) for path in key_files]
    document = draft_from_template(
        wishes, today=datetime.now(UTC).date(), identities={identity.party: identity for identity in found}
    )
    atomic_write(out, agreement_yaml(document))
    click.echo(f"Drafted {out}. Replace each TODO, then run: tallystick agreement check {out}")


@agreement.command("check")
@click.argument("file", type=FILE)
@click.option("--signatures", type=FOLDER, help="Folder of the signature files [default: FILE.sigs].")
@click.option("--register", type=FILE, help="Register of gateways of your own (YAML).")
@click.option("--on", type=DAY, help="Check as on this day [default: today].")
@json_option
def agreement_check(
    file: Path, signatures: Path | None, register: Path | None, on: datetime | None, as_json: bool
) -> None:
    """Run the rules D01 to D22 on FILE: the verdict first, then each finding with its line.

    Exit code 0: nothing blocks. 1: something does. 2: the file cannot be read.

    \b
    Example:  tallystick agreement check agreement.yaml
    """
    from governance.agreement_check import agreement_findings
    from governance.agreement_verdict import verdict_dict, verdict_text
    from governance.register import cited, load_register, shipped_register, unconfirmed
    from governance.rules.base import blocks

    today = on.date() if on else datetime.now(UTC).date()
    rows = load_register(register) if register is not None else shipped_register()
    checked, findings = agreement_findings(file, today=today, signatures=signatures, register=rows)
    law = unconfirmed(cited(checked.document, rows)) if checked is not None else []
    if as_json:
        emit(verdict_dict(checked, findings, where=str(file), today=today, law=law))
    else:
        click.echo(verdict_text(checked, findings, where=str(file), today=today, law=law))
    if blocks(findings):
        raise click.exceptions.Exit(1)


for command in (sign, verify, explain, diff, gateways, migrate):
    agreement.add_command(command)
