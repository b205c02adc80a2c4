"""`agreement explain`, `diff`, `gateways` and `migrate`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from schemas.terminal import FILE, emit, json_option, out_option, refuse_existing


@click.command("explain")
@click.argument("file", type=FILE)
@click.option("--html", type=FILE, help="Write one page that prints well instead of text.")
@click.option("--dpv", type=FILE, help="Write the annex in terms of the Data Privacy Vocabulary (JSON-LD).")
def explain(file: Path, html: Path | None, dpv: Path | None) -> None:
    """Say in plain English what FILE agrees.

    \b
    Example:  tallystick agreement explain agreement.yaml --html agreement.html
    """
    from governance.agreement import load_agreement
    from governance.agreement_dpv import dpv_annex
    from governance.agreement_explain import explain_html, explain_text, explained
    from schemas.atomic import atomic_write

    agreement = load_agreement(file)
    if html is not None:
        atomic_write(html, explain_html(agreement))
        click.echo(f"Wrote {html}.")
    if dpv is not None:
        atomic_write(dpv, json.dumps(dpv_annex(agreement), indent=1, ensure_ascii=False) + "\n")
        click.echo(f"Wrote {dpv}.")
    if html is None and dpv is None:
        click.echo(explain_text(explained(agreement)))


@click.command("diff")
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@json_option
def diff(before: Path, after: Path, as_json: bool) -> None:
    """Say what AFTER widens and narrows against BEFORE, and whether it has to be signed again.

    \b
    Example:  tallystick agreement diff agreement.yaml agreement-2027.yaml
    """
    from governance.agreement import load_agreement
    from governance.agreement_diff import Direction, difference

    found = difference(load_agreement(before).document, load_agreement(after).document)
    if as_json:
        emit(
            {
                "signing_needed": found.signing_needed,
                "wider": len(found.wider),
                "changes": [change.to_dict() for change in found.changes],
            }
        )
        return
    if not found.signing_needed:
        click.echo("The content is the same: signatures and linkage secret still hold.")
        return
    click.echo(
        f"To be signed again by every controller, with a new linkage secret: {len(found.changes)} change(s), "
        f"{len(found.wider)} of them wider."
    )
    for direction in Direction:
        changes = [change for change in found.changes if change.direction is direction]
        if changes:
            click.echo(f"{direction.value.capitalize()}:")
        for change in changes:
            click.echo(f"  {change.sentence}")


@click.command("gateways")
@click.option("--register", type=FILE, help="Register of your own (YAML) [default: the one shipped].")
@click.option("--for", "agency_type", help="Only rows for this agency type.")
@json_option
def gateways(register: Path | None, agency_type: str | None, as_json: bool) -> None:
    """List the register of gateways: the law that agreements cite, and when each row was last checked.

    \b
    Example:  tallystick agreement gateways --for police
    """
    from governance.register import NO_ADVICE, load_register, register_warnings, shipped_register

    rows = load_register(register) if register is not None else shipped_register()
    today = datetime.now(UTC).date()
    listed = {name: row for name, row in rows.items() if agency_type is None or row.is_for(agency_type)}
    if as_json:
        emit({"notice": NO_ADVICE, "rows": [row.to_dict(today) for row in listed.values()]})
        return
    click.echo(NO_ADVICE)
    for row in listed.values():
        known = "NOT in force" if row.in_force_from else "NOT known to be in force"
        force = "in force" if row.in_force(today) else known
        click.echo(f"\n{row.id}: {row.citation} ({row.kind}; {force})")
        click.echo(
            f"  Agencies: {', '.join(sorted(row.agency_types))}. People: {', '.join(sorted(row.subjects))}."
        )
        said = "Confirmed" if row.confirmed else "NOT confirmed"
        click.echo(f"  {said}: {row.confirmed_by or 'nobody said by what.'}")
        click.echo(f"  Checked on {row.checked_on.isoformat()}. {row.url}")
        if row.note:
            click.echo(f"  {row.note}")
    for warning in register_warnings(listed, today=today):
        click.echo(f"Warning: {warning}", err=True)


@click.command("migrate")
@click.argument("file", type=FILE)
@out_option("Migrated agreement to create.")
def migrate(file: Path, out: Path) -> None:
    """Bring an agreement of an older schema version to this one, keeping its comments.

    Its digest changes, so it has to be signed again.

    \b
    Example:  tallystick agreement migrate old.yaml --out agreement.yaml
    """
    from governance.agreement_migrate import migrate_file
    from schemas.atomic import atomic_write

    refuse_existing(out)
    text, notes = migrate_file(file)
    atomic_write(out, text)
    for note in notes:
        click.echo(note)
    click.echo(f"Wrote {out}. Check it, and have every controller sign it: tallystick agreement check {out}")
