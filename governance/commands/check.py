"""`check`: any artefact against the rules, the verdict first."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from governance.audit.access import audited
from governance.commands.requests import requests_option
from schemas.terminal import DAY, FILE, Command, agreement_option, emit, json_option, passphrase


def exception_option(command: Command) -> Command:
    """Add `--exception FILE`, which may be repeated."""
    return click.option(
        "exception_files",
        "--exception",
        multiple=True,
        type=FILE,
        help="Signed exception to a rule (repeat); it is shown on every report.",
    )(command)


@click.command("check")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@agreement_option(required=False)
@click.option("key_file", "--key", type=FILE, help="Your key file, to look into packages that are for you.")
@click.option("--run", "run_id", help="Id of the run that a package has to be for.")
@click.option("--rules", "rules_file", type=FILE, help="Your organisation's own rules (YAML).")
@exception_option
@click.option(
    "--last-run", type=click.Path(path_type=Path, file_okay=False), help="Run folder of the run before."
)
@click.option(
    "checkpoint_files",
    "--checkpoint",
    type=FILE,
    multiple=True,
    help="Checkpoint to compare a log with (repeat).",
)
@requests_option
@click.option("--on", "on", type=DAY, help="Check as on this day [default: today].")
@click.option("--html", "html_file", type=FILE, help="Also write the officer's report, one HTML page.")
@click.option("--sarif", "sarif_file", type=FILE, help="Also write the findings as SARIF 2.1.0.")
@json_option
@audited("check", reads={"files": "checked"}, makes={"html_file": "report"})
@click.pass_context
def check(
    ctx: click.Context,
    files: tuple[Path, ...],
    agreement_file: Path | None,
    key_file: Path | None,
    run_id: str | None,
    rules_file: Path | None,
    exception_files: tuple[Path, ...],
    last_run: Path | None,
    checkpoint_files: tuple[Path, ...],
    requests_file: Path | None,
    on: datetime | None,
    html_file: Path | None,
    sarif_file: Path | None,
    as_json: bool,
) -> None:
    """Check FILES: agreements, mappings, packages, runs and their reports, returns, audit logs, exceptions, tables.

    What a file is, is recognised. The verdict stands first, then each finding with its reason, evidence, fix and
    owner, and what was not checked. Exit code 0: nothing stops the work. 1: something does. 2: the call has to be
    corrected.

    \b
    Example:  tallystick check police.tally --agreement agreement.yaml --key unit.key --html report.html
    """
    from governance.check_files import check_file
    from governance.check_text import report_text, sarif
    from schemas.atomic import atomic_write

    options = {
        "today": on.date() if on else datetime.now(UTC).date(),
        "run_id": run_id,
        "rules_file": rules_file,
        "exception_files": exception_files,
        "last_run": last_run,
        "checkpoint_files": checkpoint_files,
        "requests_file": requests_file,
        "readers": (ctx.find_root().obj or {}).get("readers", {}),
    }
    contexts = _Contexts(agreement_file, key_file, options)
    reports = [
        _noting(check_file(path, context), context) for path in files for context in [contexts.of(path)]
    ]
    if html_file is not None:
        from governance.check_html import report_html

        atomic_write(html_file, report_html(reports))
    if sarif_file is not None:
        atomic_write(sarif_file, json.dumps(sarif(reports), indent=1, ensure_ascii=False) + "\n")
    if as_json:
        emit(
            {
                "blocked": any(report.blocked for report in reports),
                "reports": [report.to_dict() for report in reports],
            }
        )
    else:
        click.echo("\n\n".join(report_text(report) for report in reports))
    ctx.exit(1 if any(report.blocked for report in reports) else 0)


def _noting(report: Any, context: Any) -> Any:
    """Say on the report that what it was checked against was found beside the file."""
    if context.beside is None:
        return report
    note = (
        f"Whether {context.beside} is yours: the file was checked against what it names, because you named neither "
        "--agreement nor --key."
    )
    return replace(report, unchecked=(note, *report.unchecked))


class _Contexts:
    """What each file is checked against; read once for all files of a folder."""

    def __init__(self, agreement_file: Path | None, key_file: Path | None, options: dict[str, Any]) -> None:
        self._named = agreement_file is not None or key_file is not None
        self._agreement_file, self._key_file, self._options = agreement_file, key_file, options
        self._made: dict[Path | None, Any] = {}

    def of(self, path: Path) -> Any:
        from governance.check_context import BESIDE

        beside = path.parent / BESIDE
        found = None if self._named or not beside.is_file() or path.name == BESIDE else beside
        if found not in self._made:
            self._made[found] = self._make(found)
        return self._made[found]

    def _make(self, beside: Path | None) -> Any:
        from governance.agreement import load_agreement
        from governance.check_context import Context, open_identity, read_beside
        from governance.check_moments import subjects_of_run
        from governance.exceptions import load_exceptions
        from governance.lifecycle.request_register import register_for
        from governance.rules.registry import own_rules
        from schemas.policies import Expectation

        options, once = self._options, _once(lambda: passphrase("your key file"))
        entries = read_beside(beside, once) if beside is not None else {}
        agreement_file = entries.pop("agreement_file", self._agreement_file)
        agreement = None if agreement_file is None else load_agreement(agreement_file)
        if self._key_file is not None:
            entries["key"] = open_identity(self._key_file, once)
        if agreement is not None:
            entries["known"] = {**entries.get("known", {}), **agreement.identities}
        expect = entries.pop("expect", Expectation())
        if agreement is not None and expect.agreement_digest is None:
            expect = replace(expect, agreement_digest=agreement.digest)
        register = register_for(options["requests_file"], agreement_file)
        return Context(
            today=options["today"],
            agreement=agreement,
            expect=replace(expect, run_id=options["run_id"] or expect.run_id),
            exceptions=load_exceptions(options["exception_files"], agreement)
            if agreement is not None
            else (),
            own=own_rules(options["rules_file"]),
            last_run=subjects_of_run(options["last_run"]),
            readers=options["readers"],
            checkpoints=options["checkpoint_files"],
            requests=None if register is None else register.asking()(()),
            **entries,
        )


def _once(ask: Callable[[], bytes]) -> Callable[[], bytes]:
    """Return `ask`, asked once at most."""
    asked: list[bytes] = []

    def answer() -> bytes:
        if not asked:
            asked.append(ask())
        return asked[0]

    return answer
