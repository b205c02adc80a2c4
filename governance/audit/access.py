"""One decorator that lets a command say who used it, for whom, for what purpose and why.

The entry is written *before* the command runs, so that nothing is read or made that no log knows of, and again
afterwards with how it ended. Without a log the command says nothing, unless the agreement demands one.
"""

from __future__ import annotations

import functools
import getpass
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from governance.agreement_reading import read_document
from governance.audit.entry import WITHHOLD, Artefact, Event
from governance.audit.log import AuditLog
from schemas.canonical import digest
from schemas.errors import AuditIncomplete, TallystickError
from schemas.identity import load_public
from schemas.terminal import FILE, Command

READABLE = frozenset({"result", "rejects", "report"})
GUESSABLE = frozenset({".csv", ".tsv", ".txt", ".json", ".xlsx", ".xls", ".ods", ".parquet"})
"""Kinds and endings of files whose content somebody could guess and so find by its digest: they get a salted
commitment. A package is encrypted under a key of its own, so nobody can."""

_current: ContextVar[Access | None] = ContextVar("access", default=None)


@dataclass(slots=True)
class Access:
    """What the running command told of itself; `note` adds to it.

    Attributes:
        log: The log.
        event: What was written when it began, without files.
        number: Number of that entry.
        run, artefacts, counts, files: As for `note`.
    """

    log: AuditLog
    event: Event
    number: int
    run: str | None = None
    artefacts: list[Artefact] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    files: list[tuple[str, Path]] = field(default_factory=list)


def note(
    *,
    run: str | None = None,
    counts: Mapping[str, int] | None = None,
    files: Sequence[tuple[str, Path]] = (),
    artefacts: Sequence[Artefact] = (),
) -> None:
    """Add to the entry of the running command; without a log nothing happens.

    Args:
        run: Id of the run.
        counts: Counts by name (letters, digits, `.`, `_`, `-`); never a value.
        files: Kind and path of further files read or made, which are digested when the command has ended.
        artefacts: Kind and digest of files that will be gone by then.
    """
    access = _current.get()
    if access is not None:
        access.run = run or access.run
        access.counts.update(counts or {})
        access.files.extend(files)
        access.artefacts.extend(artefacts)


def note_exceptions(rules: Iterable[str]) -> None:
    """Count, in the entry of the running command, the findings that a signed exception set aside, by rule.

    Args:
        rules: Rule of each such finding.
    """
    access = _current.get()
    if access is not None:
        for rule in rules:
            name = f"exception.{rule}"
            access.counts[name] = access.counts.get(name, 0) + 1


def note_withheld(left_out: Mapping[str, Any] | None) -> None:
    """Record the decision not to share people (rule R04); without a log, or anybody left out, nothing happens.

    Args:
        left_out: `people`, and `by_kind` with the count of each reason; `unstated` is one without.
    """
    access = _current.get()
    if access is None or left_out is None or not left_out["people"]:
        return
    kinds = left_out["by_kind"]
    stated = sorted(set(kinds) - {"unstated"})
    access.log.append(
        replace(
            access.event,
            action=WITHHOLD,
            reason=f"Left out before sealing: {', '.join(stated)}." if stated else "",
            of=access.number,
            counts={**kinds, "subjects": left_out["people"]},
        ),
        now=datetime.now(UTC),
    )


def current() -> Access | None:
    """Return the access that is being recorded, for commands that write entries about subjects."""
    return _current.get()


def audit_required(document: Mapping[str, Any]) -> bool:
    """Whether an agreement demands an audit log: `security.audit_required` or `x-audit-required`."""
    security = document.get("security")
    inside = isinstance(security, Mapping) and bool(security.get("audit_required"))
    return inside or document.get("x-audit-required") is True


def audited(
    action: str, *, reads: Mapping[str, str] | None = None, makes: Mapping[str, str] | None = None
) -> Callable[[Command], Command]:
    """Record each use of a click command. Put it next to the function, below the other options.

    It adds `--audit`, `--purpose` and `--reason`. A parameter called `agreement_file` names the agreement, `key_file`
    the organisation, `run_id` the run, `exception_files` signed exceptions, which are digested in every case.

    Args:
        action: What the log calls it, such as `seal`.
        reads: Parameter -> kind of the file (or files) that it names, digested when the command begins.
        makes: The same for files that the command makes, digested when it has ended.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def recorded(
            *arguments: Any,
            audit_file: Path | None,
            audit_purpose: str | None,
            audit_reason: str | None,
            **options: Any,
        ) -> Any:
            document = _document(options.get("agreement_file"))
            if audit_file is None:
                _require_none(document)
                return command(*arguments, **options)
            event = _event(action, document, audit_purpose, audit_reason)
            with recording(
                audit_file,
                replace(
                    event, organisation=_organisation(options.get("key_file")), run=options.get("run_id")
                ),
                reads=_files(options, {**(reads or {}), "exception_files": "exception"}),
                makes=_files(options, makes),
            ):
                return command(*arguments, **options)

        return _with_options(recorded)  # type: ignore[return-value]

    return decorate


@contextmanager
def recording(
    path: Path,
    event: Event,
    *,
    reads: Sequence[tuple[str, Path]] = (),
    makes: Sequence[tuple[str, Path]] = (),
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Access]:
    """Write `event` to the log as begun, let the block run, and write how it ended.

    Raises:
        AuditError, AuditIncomplete, OutputError: The log cannot take the entry; the block does not run.
    """
    log = AuditLog(path)
    event = replace(event, organisation=event.organisation or log.organisation)
    begun = replace(event, outcome="begun", artefacts=artefacts_of(log, reads))
    number = log.append(begun, now=clock()).n
    access = Access(log=log, event=event, number=number, run=event.run)
    token = _current.set(access)
    outcome, detail = "stopped", None
    try:
        yield access
        outcome = "done"
    except click.exceptions.Exit as error:
        outcome = "done" if error.exit_code == 0 else "failed"
        detail = None if error.exit_code == 0 else f"exit code {error.exit_code}"
        raise
    except Exception as error:
        outcome, detail = "failed", type(error).__name__  # its message may quote what must not be logged
        raise
    finally:
        _current.reset(token)
        ended = replace(
            event,
            outcome=outcome,
            of=number,
            run=access.run,
            counts=access.counts,
            detail=detail,
            artefacts=[*access.artefacts, *artefacts_of(log, [*makes, *access.files])],
        )
        log.append(ended, now=clock())


def artefacts_of(log: AuditLog, files: Sequence[tuple[str, Path]]) -> list[Artefact]:
    """Return kind and digest of the files and folders that exist; a readable one gets a salted commitment."""
    made = []
    for kind, path in files:
        if path.exists():
            value = path_digest(path)
            made.append(Artefact(kind=kind, digest=log.commit(value.encode()) if kind in READABLE else value))
    return made


def path_digest(path: Path) -> str:
    """Return `sha256:…` of a file, or of the names and digests of all files in a folder."""
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file())
        return digest({each.relative_to(path).as_posix(): path_digest(each) for each in inside})
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def user_name() -> str:
    """Return who runs the command: TALLYSTICK_USER, or the name that they are signed in with.

    Raises:
        AuditIncomplete: Neither is known.
    """
    try:
        return os.environ.get("TALLYSTICK_USER") or getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise AuditIncomplete(
            "nobody is signed in under a name.", remedy="Set TALLYSTICK_USER for the audit log."
        ) from None


def purpose_of(document: Mapping[str, Any] | None, named: str | None) -> str:
    """Return the purpose of an access: the one named, or the only one that the agreement has.

    Raises:
        AuditIncomplete: It is not known, or is none of the agreement's.
    """
    listed = [
        each["id"]
        for each in (document or {}).get("purposes", ())
        if isinstance(each, Mapping) and "id" in each
    ]
    if named is None and len(listed) == 1:
        return str(listed[0])
    if not named or (listed and named not in listed):
        raise AuditIncomplete(
            "the audit log needs the purpose of this access"
            + (f": one of {', '.join(listed)}." if listed else "."),
            remedy="Give --purpose, or set TALLYSTICK_PURPOSE.",
        )
    return named


def _event(action: str, document: Mapping[str, Any] | None, purpose: str | None, reason: str | None) -> Event:
    if not reason or not reason.strip():
        raise AuditIncomplete(
            "the audit log needs the reason of this access.",
            remedy="Give --reason, or set TALLYSTICK_REASON; a few words without any identifier.",
        )
    return Event(
        action=action,
        user=user_name(),
        purpose=purpose_of(document, purpose),
        reason=reason.strip(),
        agreement=None if document is None else digest(document),
    )


def _document(path: Path | None) -> Mapping[str, Any] | None:
    """Return the agreement's document; a file with faults is left to the command, which names them."""
    try:
        return None if path is None else read_document(path)
    except TallystickError:
        return None


def _require_none(document: Mapping[str, Any] | None) -> None:
    if document is not None and audit_required(document):
        raise AuditIncomplete(
            "this agreement demands that each access is recorded.",
            remedy="Give --audit FILE, or set TALLYSTICK_AUDIT; begin a log with: tallystick audit new.",
        )


def _organisation(key_file: Path | None) -> str:
    try:
        return "" if key_file is None else load_public(key_file).party
    except TallystickError:
        return ""


def _files(options: Mapping[str, Any], kinds: Mapping[str, str] | None) -> list[tuple[str, Path]]:
    found = []
    for name, kind in (kinds or {}).items():
        value = options.get(name)
        paths = value if isinstance(value, tuple | list) else [value]
        found += [(kind, path) for path in paths if isinstance(path, Path)]
    return found


def _with_options(command: Command) -> Command:
    for option in (
        click.option(
            "audit_reason",
            "--reason",
            envvar="TALLYSTICK_REASON",
            help="Why, for the log [TALLYSTICK_REASON].",
        ),
        click.option(
            "audit_purpose",
            "--purpose",
            envvar="TALLYSTICK_PURPOSE",
            help="Purpose, for the log [TALLYSTICK_PURPOSE; default: the agreement's, if it has one only].",
        ),
        click.option(
            "audit_file",
            "--audit",
            type=FILE,
            envvar="TALLYSTICK_AUDIT",
            help="Audit log to record this in [TALLYSTICK_AUDIT].",
        ),
    ):
        command = option(command)
    return command
