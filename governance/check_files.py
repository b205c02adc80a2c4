"""Recognise what a file is, and check it: agreement, mapping, run, log, exception or any table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from governance.agreement import read_document
from governance.agreement_check import agreement_findings
from governance.check import LEGAL_BASIS, Kind, Report
from governance.check_context import Context
from governance.check_errors import finding_of
from governance.check_package import check_package
from governance.check_run import check_log, check_run, check_run_report
from governance.check_tables import check_table, hit_findings
from governance.detect.patterns import Hit, find_in_text
from governance.exceptions import cover, load_exception
from governance.register import cited, shipped_register, unconfirmed
from governance.rules.base import Finding
from schemas.errors import AgreementInvalid, InputError, TallystickError
from schemas.header import MAGIC

_LOG_SUFFIXES = {".audit", ".log"}
_TABLES = {".csv", ".tsv", ".parquet"}
_LOG_BEGINS = b'{"action":"begin"'


def recognise(path: Path) -> Kind:
    """Return what a file or folder seems to be, by its content first and its name second."""
    if path.is_dir():
        return Kind.RUN if (path / "run.json").is_file() else Kind.UNKNOWN
    with path.open("rb") as stream:
        head = stream.read(4096)
    if head.startswith(MAGIC) or path.suffix == ".tally":
        return Kind.PACKAGE
    if path.suffix in _LOG_SUFFIXES or head.startswith(_LOG_BEGINS):
        return Kind.LOG
    if path.suffix in _TABLES:
        return Kind.TABLE
    if b'"payloadType"' in head:
        return Kind.EXCEPTION
    if path.suffix == ".json" and b'"report": "run"' in head:
        return Kind.REPORT
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
        Kind.RUN: check_run,
        Kind.LOG: check_log,
        Kind.EXCEPTION: _exception,
        Kind.REPORT: check_run_report,
        Kind.TABLE: check_table,
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
        unchecked += unconfirmed(cited(agreement.document, shipped_register()))
    return context.report(path, Kind.AGREEMENT, found, families="D", facts=facts, unchecked=unchecked)


def _mapping(path: Path, context: Context) -> Report:
    findings: list[Finding] = []
    unchecked = [
        "Whether the columns are in the extract, and hold what they are said to (tallystick profile)."
    ]
    lent = context.readers.get("mapping")
    reader = None if lent is None else lent()
    try:
        document = read_document(path) if reader is None else _read_with(reader, path)
        findings += hit_findings(_texts_in(document, context.today), str(path), "whoever wrote the mapping")
    except TallystickError as error:
        findings.append(finding_of(error, owner="whoever wrote the mapping"))
    if reader is None:
        unchecked.append("Its entries: the part of Tallystick that reads mappings is not installed here.")
    return context.report(path, Kind.MAPPING, findings, families="MP", unchecked=unchecked)


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
    return context.report(path, Kind.EXCEPTION, findings, families="X", facts=facts, unchecked=unchecked)
