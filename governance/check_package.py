"""Check a package: what is visible without its recipient's key, and every cell with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa

from governance.aggregates import tables_of_return
from governance.agreement import Agreement
from governance.check import LEGAL_BASIS, Kind, Report
from governance.check_context import Context
from governance.check_errors import finding_of
from governance.check_moments import return_subject
from governance.detect.hashes import NOT_PROBED
from governance.detect.watch import PackageWatch
from governance.exceptions import cover
from governance.return_parts import part_subjects
from governance.rules.base import Finding, Moment
from governance.rules.linkage import LinkageSubject
from governance.rules.package_subject import PackageSubject, Stated, expected_schemas, metadata_hits
from governance.rules.registry import Family, findings_of
from schemas.container import OpenedPackage, inspect_header, open_package, read_manifest
from schemas.errors import PackageError, TallystickError
from schemas.header import PackageHeader
from schemas.manifest import Manifest
from schemas.payload import RETURN_PARTS
from schemas.policies import ReplayGuard
from schemas.tables import ARROW_STREAM, read_batches

_NEEDS_KEY = "Signature, manifest and cells: they are encrypted; name the recipient's key file with --key."
_NEEDS_AGREEMENT = "Whether it fits an agreement, and who signed it: name the agreement with --agreement."
_AFTER = "What follows this failure: a package that is refused is not looked into."
_SHORT_TOKENS = "A single identifier hidden among 16-bit or 32-bit tokens: no test can tell it from a token."


def check_package(path: Path, context: Context) -> Report:
    """Check a package as far as the keys at hand reach."""
    try:
        header = inspect_header(path)
    except PackageError as error:
        return _report(path, context, [finding_of(error)], unchecked=[_AFTER])
    if context.key is None:
        facts = {"encrypted to": _addressee(header, context)}
        return _report(path, context, [], facts=facts, unchecked=[_NEEDS_KEY], partial=True)
    if not context.known:
        return _report(path, context, [], unchecked=[_NEEDS_AGREEMENT], partial=True)
    try:
        with open_package(
            path, recipient=context.key, known_senders=context.known, expect=context.expect
        ) as package:
            return _opened(path, package, context)
    except TallystickError as error:
        return _report(path, context, [finding_of(error)], unchecked=[_AFTER])


def _addressee(header: PackageHeader, context: Context) -> str:
    known = context.agreement.identities if context.agreement is not None else context.known
    for party, identity in known.items():
        if identity.receiving_key_id == header.recipient_key_id:
            return party
    return f"the key {header.recipient_key_id.hex()}"


def _report(
    path: Path,
    context: Context,
    findings: list[Finding],
    *,
    families: str = "",
    facts: dict[str, str] | None = None,
    unchecked: list[str] | None = None,
    partial: bool = False,
) -> Report:
    agreement = context.agreement
    told = (
        {}
        if agreement is None
        else {"agreement": f"{agreement.id} {agreement.version}", "digest": agreement.digest}
    )
    return context.report(
        path,
        Kind.PACKAGE,
        findings,
        families=families,
        facts={**told, **(facts or {})},
        unchecked=(*(unchecked or ()), LEGAL_BASIS),
        partial=partial,
    )


def _opened(path: Path, package: OpenedPackage, context: Context) -> Report:
    manifest, agreement = package.manifest, context.agreement
    schemas: Mapping[str, pa.Schema] = context.tables
    if agreement is not None and manifest.kind in ("sealed", "return"):
        schemas = expected_schemas(agreement, manifest.kind)
    rows = max([*manifest.counts.values(), 1])
    watch = PackageWatch(schemas, today=context.today, rows=rows, probe=True)
    returned = _read_tables(package, schemas, watch)
    findings = _against_agreement(path, manifest, watch, returned, context) if agreement is not None else []
    findings += _replayed(path, manifest, context)
    unchecked = [NOT_PROBED, _SHORT_TOKENS] if agreement is not None else [_NEEDS_AGREEMENT]
    return _report(
        path,
        context,
        findings,
        families="PL" + ("O" if manifest.kind == "return" else ""),
        facts=_facts(manifest, watch),
        unchecked=unchecked,
    )


def _facts(manifest: Manifest, watch: PackageWatch) -> dict[str, str]:
    counts = ", ".join(f"{count:,} {name}" for name, count in sorted(manifest.counts.items()))
    return {
        "content": f"{manifest.kind} package of {manifest.sender} for {manifest.recipient}",
        "run": manifest.run_id,
        "purpose": manifest.purpose,
        "made": manifest.created_at.date().isoformat(),
        "counts": counts,
        "rows looked at": f"{sum(part.rows for part in watch.parts.values()):,}",
    }


def _read_tables(
    package: OpenedPackage, schemas: Mapping[str, pa.Schema], watch: PackageWatch
) -> dict[str, pa.Table]:
    """Pass every table through `watch`; return the tables of a return by part.

    Raises:
        SchemaMismatch, DecompressionBomb: A table is not well formed, or has other columns than its schema.
    """
    most = max([*package.manifest.counts.values(), 1])
    kept: dict[str, pa.Table] = {}
    for part in package.manifest.parts:
        if part.media_type != ARROW_STREAM:
            continue
        schema = schemas.get(part.name) or _own_schema(package, part.name)
        batches = watch.batches(part.name, read_batches(package, part.name, schema=schema, max_rows=most))
        if package.manifest.kind == "return" and part.name in RETURN_PARTS:
            kept[part.name] = pa.Table.from_batches(list(batches), schema=schema)
            continue
        for _ in batches:
            pass
    return kept


def _own_schema(package: OpenedPackage, name: str) -> pa.Schema:
    """Return the schema that a table states of itself, so that an unknown table can be looked at all the same."""
    try:
        messages = pa.ipc.MessageReader.open_stream(package.part(name))
        first = messages.read_next_message()
        if first.type == "schema":
            return pa.ipc.read_schema(first)
    except (pa.ArrowException, OSError, ValueError, StopIteration):
        pass
    return pa.schema([])  # read_batches then says what is wrong


def _against_agreement(
    path: Path, manifest: Manifest, watch: PackageWatch, returned: Mapping[str, pa.Table], context: Context
) -> list[Finding]:
    assert context.agreement is not None  # noqa: S101 - the caller looked
    stated = Stated.of(manifest)
    if manifest.kind == "return":
        return _return_findings(path, manifest, returned, context)
    if manifest.kind != "sealed":
        return []
    subject = PackageSubject(
        where=str(path),
        stated=stated,
        agreement=context.agreement,
        today=context.today,
        parts=watch.parts,
        hits=metadata_hits(stated, path.name, today=context.today),
        signer=manifest.sender,
        key_check=context.expect.key_check,
        normaliser=context.expect.normaliser,
        last_rows=context.last_run.get(manifest.sender),
    )
    found = findings_of(Family.PACKAGE, subject, moment=Moment.INTAKE, own=context.own)
    run = LinkageSubject(where=str(path), agreement=context.agreement, packages=(stated,))
    found += findings_of(Family.LINKAGE, run, moment=Moment.BEFORE_LINK, own=context.own)
    return cover(found, context.exceptions, party=manifest.sender, today=context.today)


def _return_findings(
    path: Path, manifest: Manifest, returned: Mapping[str, pa.Table], context: Context
) -> list[Finding]:
    agreement: Agreement | None = context.agreement
    if "contacts" not in returned or agreement is None:
        return []
    as_of = date.fromisoformat(str(manifest.facts.get("as_of")))
    output = return_subject(
        returned["contacts"],
        agreement,
        where=str(path),
        people=manifest.counts.get("people", 0),
        as_of=as_of,
        made=manifest.created_at.date(),
        today=context.today,
        requests=context.requests or (),
        tables=tables_of_return(manifest.counts, manifest.facts),
    )
    further = part_subjects(returned, agreement, where=str(path), as_of=as_of, today=context.today)
    found = [
        finding
        for subject in (output, *further)
        for finding in findings_of(Family.OUTPUT, subject, moment=Moment.OUTPUT, own=context.own)
    ]
    return cover(found, context.exceptions, party=agreement.unit_id, today=context.today)


def _replayed(path: Path, manifest: Manifest, context: Context) -> list[Finding]:
    """Say whether the package was taken in before, by the packages that are named as taken in."""
    assert context.key is not None  # noqa: S101 - the package was opened with it
    guard = ReplayGuard()
    for before in context.after.get(path.name, ()):
        guard.admit(read_manifest(before, recipient=context.key, known_senders=context.known))
    try:
        guard.admit(manifest, where=str(path))
    except PackageError as error:
        return [finding_of(error)]
    return []
