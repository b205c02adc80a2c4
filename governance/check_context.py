"""What a file is checked against: the agreement, keys, the run, the packages taken in before.

A folder may hold a file `check.yaml` that names all this, so that `tallystick check FILE` needs no options. Whoever can
write that file decides what passes, so it is only looked for beside the file when nothing is named, and every report
made with it says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from governance.agreement import Agreement, read_document
from governance.check import Kind, Report
from governance.exceptions import SignedException, cover
from governance.rules.base import Finding, Moment
from governance.rules.output import OutputSubject, Request
from governance.rules.registry import AnyRule, Family, findings_of
from schemas.errors import AgreementInvalid, InputError, WrongPassphrase
from schemas.identity import PrivateIdentity, PublicIdentity, load_identity, load_public
from schemas.policies import Expectation

BESIDE = "check.yaml"
NO_REGISTER = (
    "Whether erasures and upheld objections were applied by their date (rule O06): no register of requests was named "
    "(--request-register)."
)
_ENTRIES = {"check_version", "agreement", "key", "parties", "expect", "tables", "after"}
_EXPECTED = {"kind", "agreement_digest", "run", "sender", "purpose", "key_check", "normaliser"}
_TYPES = {"int32": pa.int32(), "int64": pa.int64(), "uint16": pa.uint16(), "uint32": pa.uint32()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What files are checked against.

    Attributes:
        today: Day of the check.
        agreement: The agreement.
        key: The checker's own identity, to open packages that are for it.
        known: Public identities of those who may send.
        expect: What a package has to state.
        tables: Tables of packages that are under no agreement (the vectors of the format).
        after: File name -> packages that were taken in before it.
        exceptions: Verified exceptions.
        own: The organisation's own rules.
        last_run: Agency -> subjects of the run before.
        readers: Kind of file -> function that returns what reads it, or None where that is not installed.
        checkpoints: Checkpoints of an audit log.
        requests: Erasures and objections of the register that was named, for rule O06; None when there is none.
        beside: Path of the `check.yaml` that was found beside the file, if it was.
    """

    today: date
    agreement: Agreement | None = None
    key: PrivateIdentity | None = None
    known: Mapping[str, PublicIdentity] = field(default_factory=dict)
    expect: Expectation = field(default_factory=Expectation)
    tables: Mapping[str, pa.Schema] = field(default_factory=dict)
    after: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    exceptions: tuple[SignedException, ...] = ()
    own: Mapping[Family, tuple[AnyRule, ...]] = field(default_factory=dict)
    last_run: Mapping[str, int] = field(default_factory=dict)
    readers: Mapping[str, Callable[[], Callable[[Path], object] | None]] = field(default_factory=dict)
    checkpoints: Sequence[Path] = ()
    requests: Sequence[Request] | None = None
    beside: Path | None = None

    def report(
        self,
        path: Path,
        kind: Kind,
        findings: Sequence[Finding],
        *,
        families: str = "",
        facts: Mapping[str, str] | None = None,
        unchecked: Sequence[str] = (),
        partial: bool = False,
    ) -> Report:
        """Return the report on `path`; when rules on outputs were asked without a register, it says so."""
        missing = (NO_REGISTER,) if "O" in families and self.requests is None else ()
        return Report(
            subject=str(path),
            kind=kind,
            checked_on=self.today,
            findings=tuple(dict.fromkeys(findings)),
            families=families,
            facts=dict(facts or {}),
            unchecked=(*missing, *unchecked),
            partial=partial,
        )

    def output_findings(self, path: Path, **told: Any) -> list[Finding]:
        """Ask the rules on outputs about `path`, exceptions included; nothing without an agreement.

        Args:
            path: The file.
            told: Entries of `OutputSubject`: what the file tells.
        """
        if self.agreement is None:
            return []
        subject = OutputSubject(
            where=str(path),
            agreement=self.agreement,
            today=self.today,
            requests=self.requests or (),
            **told,
        )
        found = findings_of(Family.OUTPUT, subject, moment=Moment.OUTPUT, own=self.own)
        return cover(found, self.exceptions, party=self.agreement.unit_id, today=self.today)


def _bad(path: Path, entry: str) -> InputError:
    return InputError(
        "this entry is not as docs/guides/check.md describes it.",
        where=f"{path}: {entry}",
        remedy="Correct it, or name --agreement and --key instead.",
    )


def _identities(entries: Any, path: Path) -> dict[str, PublicIdentity]:
    if not isinstance(entries, list):
        raise _bad(path, "parties")
    found = [
        load_public(path.parent / entry) if isinstance(entry, str) else PublicIdentity.from_dict(entry)
        for entry in entries
    ]
    return {identity.party: identity for identity in found}


def _tables(entries: Any, path: Path) -> dict[str, pa.Schema]:
    try:
        return {
            name: pa.schema(
                [pa.field(column, _TYPES[kind], nullable=False) for column, kind in columns.items()]
            )
            for name, columns in entries.items()
        }
    except (AttributeError, KeyError):
        raise _bad(path, "tables") from None


def read_beside(path: Path, passphrase: Callable[[], bytes | None]) -> dict[str, Any]:
    """Read a `check.yaml` and return the entries of a `Context` that it sets, and `agreement_file`.

    Raises:
        TallystickError: It is not well formed, or a key in it cannot be opened.
    """
    try:
        document = read_document(path)
    except AgreementInvalid as error:
        raise InputError(error.message, where=error.where, remedy=error.remedy) from None
    if set(document) - _ENTRIES or document.get("check_version") != 1:
        raise _bad(path, "(top)")
    expected = document.get("expect", {})
    if not isinstance(expected, dict) or set(expected) - _EXPECTED:
        raise _bad(path, "expect")
    after = document.get("after", {})
    named = {"run_id" if name == "run" else name: value for name, value in expected.items()}
    found: dict[str, Any] = {
        "expect": Expectation(**named),
        "tables": _tables(document.get("tables", {}), path),
        "after": {name: tuple(path.parent / entry for entry in entries) for name, entries in after.items()},
        "known": _identities(document.get("parties", []), path),
        "beside": path,
    }
    if "agreement" in document:
        found["agreement_file"] = path.parent / document["agreement"]
    if "key" in document:
        found["key"] = open_identity(path.parent / document["key"], passphrase)
    return found


def open_identity(path: Path, passphrase: Callable[[], bytes | None]) -> PrivateIdentity:
    """Return the identity in a key file; the passphrase is asked for only when the file has one."""
    try:
        return load_identity(path, None)
    except WrongPassphrase:
        return load_identity(path, passphrase())
