"""Recognise what a file is, and check it: agreement, mapping, run, log, exception or any table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from governance.agreement import read_document
from governance.agreement_check import agreement_findings
from governance.check import LEGAL_BASIS, Kind, Report
from governance.check_context import Context
from governance.check_errors import finding_of
from governance.check_moments import open_keys
from governance.check_package import check_package
from governance.detect.columns import ColumnScan
from governance.detect.hashes import NOT_PROBED
from governance.detect.patterns import Hit, find_in_text
from governance.detect.patterns import Kind as Identifier
from governance.exceptions import cover, load_exception
from governance.rules.base import Finding, Moment, Severity
from governance.rules.linkage import LinkageSubject
from governance.rules.log import log_findings
from governance.rules.output import Artefact, OutputSubject
from governance.rules.registry import Family, findings_of
from schemas.container import inspect_header
from schemas.errors import AgreementInvalid, InputError, TallystickError
from schemas.header import MAGIC

_LOG_SUFFIXES = {".audit", ".log"}
_TABLES = {".csv", ".tsv", ".parquet"}
RUN_COLUMNS = frozenset({"agency", "agency_l", "agency_r", "about", "found_by", "pattern", "reason", "group"})
"""Text columns of a run's tables that hold names of agencies, passes and levels, and so are not scanned."""


def recognise(path: Path) -> Kind:
    """Return what a file or folder seems to be, by its content first and its name second."""
    if path.is_dir():
        return Kind.RUN if (path / "run.json").is_file() else Kind.UNKNOWN
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(MAGIC) or path.suffix == ".tally":
        return Kind.PACKAGE
    if path.suffix in _LOG_SUFFIXES:
        return Kind.LOG
    if path.suffix in _TABLES:
        return Kind.TABLE
    if b'"payloadType"' in head:
        return Kind.EXCEPTION
    if path.suffix in {".yaml", ".yml"}:
        return (
            Kind.MAPPING if b"mapping_version" in head or b"\nagencies:" in b"\n" + head else Kind.AGREEMENT
        )
    return Kind.UNKNOWN


def check_file(path: Path, context: Context) -> Report:
    """Check one file.

    Raises:
        InputError: There is no such file, or nobody knows what it is.
    """
    if not path.exists():
        raise InputError("there is no such file.", where=str(path), remedy="Check the path.")
    kind = recognise(path)
    readers = {
        Kind.PACKAGE: check_package,
        Kind.AGREEMENT: _agreement,
        Kind.MAPPING: _mapping,
        Kind.RUN: _run,
        Kind.LOG: _log,
        Kind.EXCEPTION: _exception,
        Kind.TABLE: _table,
    }
    if kind not in readers:
        raise InputError(
            "this is nothing that Tallystick can check.",
            where=str(path),
            remedy="It checks agreements, mappings, packages, run folders, returns, audit logs, exceptions and tables.",
        )
    return readers[kind](path, context)


def _agreement(path: Path, context: Context) -> Report:
    unchecked = [
        LEGAL_BASIS,
        "Whether the documents that the agreement refers to exist and say what it says.",
    ]
    try:
        agreement, found = agreement_findings(path, today=context.today)
    except AgreementInvalid as error:
        agreement, found = None, [finding_of(error, owner="author of the agreement")]
    facts = {}
    if agreement is not None:
        facts = {
            "agreement": f"{agreement.id} {agreement.version} ({agreement.status})",
            "digest": agreement.digest,
            "parties": ", ".join(party.id for party in agreement.parties),
        }
        found = cover(found, context.exceptions, party=agreement.unit_id, today=context.today)
    return Report(
        subject=str(path),
        kind=Kind.AGREEMENT,
        checked_on=context.today,
        findings=tuple(found),
        families="D",
        facts=facts,
        unchecked=tuple(unchecked),
    )


def _mapping(path: Path, context: Context) -> Report:
    findings: list[Finding] = []
    unchecked = [
        "Whether the columns are in the extract, and hold what they are said to (tallystick profile)."
    ]
    lent = context.readers.get("mapping")
    reader = None if lent is None else lent()
    try:
        document = read_document(path) if reader is None else _read_with(reader, path)
        findings += _hit_findings(_texts_in(document, context.today), str(path), "whoever wrote the mapping")
    except TallystickError as error:
        findings.append(finding_of(error, owner="whoever wrote the mapping"))
    if reader is None:
        unchecked.append("Its entries: the part of Tallystick that reads mappings is not installed here.")
    return Report(
        subject=str(path),
        kind=Kind.MAPPING,
        checked_on=context.today,
        findings=tuple(findings),
        families="MP",
        unchecked=tuple(unchecked),
    )


def _read_with(reader: Any, path: Path) -> dict[str, Any]:
    reader(path)
    return read_document(path)


def _texts_in(value: Any, today: date, place: str = "mapping") -> list[Hit]:
    """Return what looks like an identifier in a document; a header can be one when an extract has no header line."""
    if isinstance(value, Mapping):
        found = [hit for key in value for hit in find_in_text(str(key), place, today=today)]
        return found + [hit for key, entry in value.items() for hit in _texts_in(entry, today, place)]
    if isinstance(value, list):
        return [hit for entry in value for hit in _texts_in(entry, today, place)]
    return find_in_text(value, place, today=today) if isinstance(value, str) else []


def _hit_findings(hits: list[Hit], where: str, owner: str) -> list[Finding]:
    rules = {Identifier.UNKEYED_HASH: "P04", Identifier.FREE_TEXT: "P11"}
    return [
        Finding(
            rule=rules.get(hit.kind, "P03"),
            severity=Severity.BLOCK,
            sentence=f"Something here looks like {hit.kind.phrase}.",
            where=f"{where}: {hit.place}",
            why="UK GDPR Art 32(1)(a), pseudonymisation",
            evidence=f"{hit.cells:,} cell{'' if hit.cells == 1 else 's'}",
            fix="Do not send the file. Take it out.",
            owner=owner,
        )
        for hit in hits
    ]


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as table:
                yield from table.iter_batches(65_536)
            return
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline()
        delimiter = max("\t,;|", key=header.count)
        names = [name.strip().strip('"') for name in header.rstrip("\r\n").split(delimiter)]
        options = pa_csv.ConvertOptions(column_types={name: pa.string() for name in names})
        yield from pa_csv.open_csv(
            path, parse_options=pa_csv.ParseOptions(delimiter=delimiter), convert_options=options
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise InputError("this table cannot be read.", where=str(path)) from None


def _scan(path: Path, today: date, allowed: frozenset[str] = frozenset()) -> list[Hit]:
    """Return what looks like an identifier in a table: its name, its headers, its cells."""
    scans: dict[str, ColumnScan] = {}
    for batch in _batches(path):
        for number, (name, values) in enumerate(zip(batch.schema.names, batch.columns, strict=True), 1):
            if name not in allowed:
                scans.setdefault(name, ColumnScan(f"column {number}", today=today)).see(values)
    found = find_in_text(path.name, "file name", today=today)
    found += [hit for name in scans for hit in find_in_text(name, "a header", today=today)]
    return found + [hit for scan in scans.values() for hit in scan.hits()]


def _table(path: Path, context: Context) -> Report:
    hits = _scan(path, context.today)
    return Report(
        subject=str(path),
        kind=Kind.TABLE,
        checked_on=context.today,
        findings=tuple(_hit_findings(hits, str(path), "whoever made the file")),
        families="P",
        unchecked=(NOT_PROBED, "Names that are on none of the lists that Tallystick ships.", LEGAL_BASIS),
    )


def _log(path: Path, context: Context) -> Report:
    unchecked = [LEGAL_BASIS, "Whether the reasons that people gave are true."]
    known = context.agreement.identities if context.agreement is not None else context.known
    try:
        found = log_findings(path, today=context.today, checkpoints=context.checkpoints, known=known)
    except TallystickError as error:
        found = [finding_of(error, owner="governance officer")]
    return Report(
        subject=str(path),
        kind=Kind.LOG,
        checked_on=context.today,
        findings=tuple(found),
        families="R",
        unchecked=tuple(unchecked),
    )


def _exception(path: Path, context: Context) -> Report:
    findings: list[Finding] = []
    facts: dict[str, str] = {}
    unchecked = ["Whether the reason is good enough."]
    if context.agreement is None:
        unchecked.append("Who signed it, and whether that role may: name the agreement with --agreement.")
    else:
        try:
            granted = load_exception(path, context.agreement)
            facts = {"exception": granted.sign_off()}
        except TallystickError as error:
            findings.append(finding_of(error, owner="whoever asked for the exception"))
    return Report(
        subject=str(path),
        kind=Kind.EXCEPTION,
        checked_on=context.today,
        findings=tuple(findings),
        families="X",
        facts=facts,
        unchecked=tuple(unchecked),
    )


def _read_run(path: Path) -> dict[str, Any]:
    try:
        summary = json.loads((path / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = None
    if not isinstance(summary, dict):
        raise InputError("run.json of this run cannot be read.", where=str(path))
    return summary


def _made(summary: Mapping[str, Any]) -> date | None:
    try:
        return datetime.fromisoformat(str(summary.get("created_at"))).date()
    except ValueError:
        return None


def _run_findings(path: Path, summary: Mapping[str, Any], context: Context) -> list[Finding]:
    agreement = context.agreement
    if agreement is None:
        return []
    made = _made(summary)
    artefacts = () if made is None else (Artefact(kind="run", where=str(path), made=made),)
    run = LinkageSubject(
        where=str(path),
        agreement=agreement,
        settings=summary.get("settings"),
        summary=summary,
        readable_keys=open_keys([path, path.parent]),
    )
    output = OutputSubject(where=str(path), agreement=agreement, today=context.today, artefacts=artefacts)
    found = findings_of(Family.LINKAGE, run, moment=Moment.AFTER_LINK, own=context.own)
    found += findings_of(Family.OUTPUT, output, moment=Moment.OUTPUT, own=context.own)
    return cover(found, context.exceptions, party=agreement.unit_id, today=context.today)


def _granted(summary: Mapping[str, Any]) -> list[Finding]:
    """Return what the run's own rules found when it was made, so that its exceptions stay on every report."""
    entries = summary.get("compliance", [])
    names = Finding.__dataclass_fields__
    return [
        Finding(
            **{
                **{name: entry[name] for name in names if name in entry},
                "severity": Severity(entry["severity"]),
            }
        )
        for entry in entries
        if isinstance(entry, dict) and entry.get("exception")
    ]


def _run(path: Path, context: Context) -> Report:
    summary = _read_run(path)
    findings = [*_granted(summary), *_run_findings(path, summary, context)]
    for table in sorted(path.glob("*.parquet")):
        findings += _hit_findings(_scan(table, context.today, RUN_COLUMNS), str(table), "linkage unit")
    for package in sorted(path.glob("returns/*.tally")):
        try:
            inspect_header(package)
        except TallystickError as error:
            findings.append(finding_of(error, owner="linkage unit"))
    unchecked = [
        "What the returns say: each is encrypted to its agency, which checks it with its own key.",
        LEGAL_BASIS,
    ]
    if context.agreement is None:
        unchecked.insert(0, "Whether the run was done as agreed: name the agreement with --agreement.")
    agreed = summary.get("agreement", {})
    return Report(
        subject=str(path),
        kind=Kind.RUN,
        checked_on=context.today,
        findings=tuple(dict.fromkeys(findings)),
        families="PL" + ("O" if context.agreement is not None else ""),
        facts={
            "run": str(summary.get("run")),
            "agreement": f"{agreed.get('id')} {agreed.get('version')}",
            "digest": str(agreed.get("digest")),
            "senders": ", ".join(summary.get("senders", {})),
        },
        unchecked=tuple(unchecked),
    )
