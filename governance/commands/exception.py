"""`exception`: grant and show signed exceptions to rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from schemas.terminal import (
    DAY,
    FILE,
    agreement_option,
    emit,
    json_option,
    out_option,
    passphrase,
    refuse_existing,
)


@click.group("exception")
def exception() -> None:
    """Grant and show signed exceptions to rules: who set which rule aside, for whom, why, until when."""


@exception.command("new")
@click.argument("rule")
@agreement_option()
@click.option("key_file", "--key", type=FILE, required=True, help="Key file of the party that grants it.")
@click.option(
    "--role", required=True, help="Role that grants it, as the agreement lists it under `exceptions`."
)
@click.option("--concerns", required=True, help="Party whose work it lets go on.")
@click.option("--reason", required=True, help="Why, in a sentence; it is shown on every report.")
@click.option("--until", type=DAY, required=True, help="Last day on which it counts.")
@click.option("--from", "starts", type=DAY, help="First day on which it counts [default: today].")
@out_option("Exception to create.")
def exception_new(
    rule: str,
    agreement_file: Path,
    key_file: Path,
    role: str,
    concerns: str,
    reason: str,
    until: datetime,
    starts: datetime | None,
    out: Path,
) -> None:
    """Sign an exception to RULE, such as P12, for a party and for a time.

    The agreement says which role of which party may do so, to which rules, and for how long.

    \b
    Example:  tallystick exception new P12 --agreement agreement.yaml --key health.key --role caldicott_guardian \\
                  --concerns police --reason "Counts follow on Monday" --until 2026-12-01 --out p12.exception.json
    """
    from governance.agreement import load_agreement
    from governance.exceptions import load_exception, new_exception
    from schemas.atomic import atomic_write
    from schemas.identity import load_identity

    refuse_existing(out)
    agreement = load_agreement(agreement_file)
    envelope = new_exception(
        agreement=agreement,
        rule=rule,
        concerns=concerns,
        role=role,
        reason=reason,
        starts_on=(starts or datetime.now(UTC)).date(),
        expires_on=until.date(),
        identity=load_identity(key_file, passphrase("your key file")),
    )
    atomic_write(out, json.dumps(envelope, indent=1, ensure_ascii=False) + "\n")
    click.echo(f"Granted in {out}: {load_exception(out, agreement).sign_off()}")


@exception.command("show")
@click.argument("file", type=FILE)
@agreement_option()
@json_option
def exception_show(file: Path, agreement_file: Path, as_json: bool) -> None:
    """Verify the exception in FILE and say what it sets aside.

    \b
    Example:  tallystick exception show p12.exception.json --agreement agreement.yaml
    """
    from governance.agreement import load_agreement
    from governance.exceptions import load_exception

    granted = load_exception(file, load_agreement(agreement_file))
    if as_json:
        emit(
            {
                "rule": granted.rule,
                "concerns": granted.concerns,
                "role": granted.role,
                "granted_by": granted.granted_by,
                "reason": granted.reason,
                "from": granted.starts_on.isoformat(),
                "until": granted.expires_on.isoformat(),
                "reference": granted.reference,
            }
        )
    else:
        click.echo(granted.sign_off())
