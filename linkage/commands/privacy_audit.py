"""`privacy-audit`: what a thief of the linkage files could do, beside what was planned, with controls."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from governance.audit.access import audited, note
from schemas.terminal import FILE, agreement_option, announced, announcing, emit, json_option, passphrase


@click.command("privacy-audit")
@click.argument(
    "subjects", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="RUN | PACKAGES"
)
@agreement_option(required=False)
@click.option("key_file", "--key", type=FILE, help="The linkage unit's key file, to audit packages.")
@click.option("--html", type=FILE, help="Also write the audit as one page.")
@json_option
@audited("privacy-audit", reads={"subjects": "audited"}, makes={"html": "report"})
def privacy_audit(
    subjects: tuple[Path, ...],
    agreement_file: Path | None,
    key_file: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """At the linkage unit: measured re-identification, d and λ planned and found, with controls.

    Give a run folder; or packages with --agreement and --key: they are linked for the audit and nothing of it is
    kept. Exit code 1 when something is over the limits or a control fails.

    \b
    Example:  tallystick privacy-audit run --html privacy.html
    """
    from linkage.privacy_audit import audit_dict, audit_html, audit_run, audit_text
    from schemas.atomic import atomic_file
    from schemas.errors import InputError

    if len(subjects) == 1 and subjects[0].is_dir():
        audit = audit_run(subjects[0])
    elif agreement_file is None or key_file is None:
        raise InputError(
            "packages are audited with --agreement and --key.",
            where="--agreement, --key",
            remedy="Give both, or name one run folder.",
        )
    else:
        with TemporaryDirectory() as spare:
            audit = audit_run(_linked(subjects, Path(spare) / "run", agreement_file, key_file))
    note(run=audit.run_id, counts={"passes": len(audit.passes), "faults": len(audit.faults)})
    if html is not None:
        with atomic_file(html) as sink:
            sink.write(audit_html(audit).encode())
    if as_json:
        emit(audit_dict(audit))
    else:
        click.echo(audit_text(audit))
    if audit.faults:
        raise click.exceptions.Exit(1)


def _linked(packages: tuple[Path, ...], out: Path, agreement_file: Path, key_file: Path) -> Path:
    """Link packages as `tallystick link` does, into a folder that is thrown away; no register is written."""
    from governance.agreement_check import require_agreement
    from linkage.run import link
    from schemas.identity import load_identity

    identity = load_identity(key_file, passphrase("the unit's key file"))
    now = datetime.now(UTC)
    agreed = require_agreement(agreement_file, today=now.date(), party=identity.party)
    with announcing() as announce:
        link(
            packages,
            out,
            agreement=agreed,
            unit=identity,
            known=agreed.identities,
            created_at=now,
            stage=announced(announce),
        )
    return out
