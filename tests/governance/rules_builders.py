"""Subjects of the rules that pass, to be spoilt one thing at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from governance.agreement import Agreement, parse_agreement
from governance.detect.watch import ColumnFacts, PartFacts
from governance.draft import draft_agreement
from governance.rules.linkage import LinkageSubject, settings_of
from governance.rules.output import Artefact, CountTable, OutputSubject, Request
from governance.rules.package_subject import PackageSubject, Stated, expected_schemas
from schemas.scheme import SCHEME

TODAY = date(2026, 6, 30)
PASSES = ("dob+surname.phonetic", "nhs_number")
_EPOCH = date(1970, 1, 1)


def agreement_of(**changes: Any) -> Agreement:
    """Return a drafted agreement between police and health, with entries replaced."""
    document = draft_agreement(
        parties={"police": "police", "health": "health"}, passes=PASSES, today=date(2026, 1, 1)
    )
    return parse_agreement({**document, **changes})


AGREEMENT = agreement_of()


def days(day: date) -> int:
    """Return a date as Arrow counts it."""
    return (day - _EPOCH).days


def part_facts(name: str, schema: pa.Schema, *, rows: int = 100) -> PartFacts:
    """Return the figures of a table as an honest sealer makes them."""
    columns = {}
    for entry in schema:
        low, high = 0, 99
        if pa.types.is_int64(entry.type):
            low, high = -(2**62), 2**62
        elif pa.types.is_unsigned_integer(entry.type):
            low, high = 3, 2**entry.type.bit_width - 5
        elif pa.types.is_date(entry.type):
            low, high = days(date(2025, 7, 2)), days(date(2026, 6, 29))
        elif pa.types.is_binary(entry.type):
            low, high = 92, 156
        columns[entry.name] = ColumnFacts(type=str(entry.type), low=low, high=high)
    expected = {entry.name: str(entry.type) for entry in schema}
    return PartFacts(name=name, rows=rows, columns=columns, expected=expected, heaviest=3)


def stated(**changes: Any) -> Stated:
    """Return what an honest sender states; `facts_…` replaces a fact, None takes it out."""
    facts: dict[str, Any] = {
        "scheme": SCHEME,
        "seal_id": "5f" * 16,
        "contacts_after": "2025-06-30",
        "people_without_contact": 0,
        "key_check": "right",
        "normaliser": "right",
        "quality": {"fields": {"dob": {"ok": 98, "missing": 1, "placeholder": 0, "invalid": 1}}},
        "linkage_secret": {"epoch": 1, "starts_on": "2026-01-01", "expires_on": "2026-12-31"},
    }
    for name in [name for name in changes if name.startswith("facts_")]:
        facts[name.removeprefix("facts_")] = changes.pop(name)
    values: dict[str, Any] = {
        "kind": "sealed",
        "agreement_digest": AGREEMENT.digest,
        "run_id": "2026-06",
        "sender": "police",
        "recipient": AGREEMENT.unit_id,
        "purpose": AGREEMENT.purpose,
        "created_at": datetime(2026, 6, 30, 9, tzinfo=UTC),
        "counts": {"rows": 120, "subjects": 100, "versions": 100, "contacts": 100},
        "facts": {name: value for name, value in facts.items() if value is not None},
    }
    return Stated(**{**values, **changes})


def package(**changes: Any) -> PackageSubject:
    """Return a package without a fault."""
    parts = {name: part_facts(name, schema) for name, schema in expected_schemas(AGREEMENT).items()}
    values: dict[str, Any] = {
        "where": "police.tally",
        "stated": stated(),
        "agreement": AGREEMENT,
        "today": TODAY,
        "parts": parts,
        "signer": "police",
        "key_check": "right",
        "normaliser": "right",
        "last_rows": 100,
    }
    return PackageSubject(**{**values, **changes})


def with_part(name: str, **changes: Any) -> PackageSubject:
    """Return a package with one table's figures replaced; `column_x` replaces figures of the column x."""
    good = package()
    assert good.parts is not None
    part = good.parts[name]
    columns = dict(part.columns)
    for key in [key for key in changes if key.startswith("column_")]:
        column = key.removeprefix("column_")
        columns[column] = replace(columns.get(column, ColumnFacts(type="string")), **changes.pop(key))
    spoilt = replace(part, columns=columns, **changes)
    return replace(good, parts={**good.parts, name: spoilt})


def run(**changes: Any) -> LinkageSubject:
    """Return a finished run without a fault."""
    values: dict[str, Any] = {
        "where": "run",
        "agreement": AGREEMENT,
        "packages": (stated(), stated(sender="health")),
        "package_ids": ("sha256:1", "sha256:2"),
        "settings": settings_of(AGREEMENT),
        "summary": {"agreement": {"digest": AGREEMENT.digest}, "clusters": {"largest": 9, "cut": 0}},
        "person": {("police", 0): 1, ("health", 0): 1, ("health", 1): 2},
        "do_not_link": ((("police", 0), ("health", 1)),),
    }
    return LinkageSubject(**{**values, **changes})


def output(**changes: Any) -> OutputSubject:
    """Return a return without a fault."""
    values: dict[str, Any] = {
        "where": "police.tally",
        "agreement": AGREEMENT,
        "today": TODAY,
        "columns": {
            "subject": 50,
            "person": 50,
            "agency": 50,
            "own": 50,
            "contact_count": 50,
            "lead_sealed": 20,
        },
        "people": 20,
        "first": date(2025, 7, 1),
        "last": date(2026, 6, 30),
        "as_of": date(2026, 6, 30),
        "tables": (CountTable(name="people by agencies", cells=((12, 8),), row_totals=(20,)),),
        "artefacts": (Artefact(kind="return", where="police.tally", made=date(2026, 6, 20)),),
        "requests": (Request(kind="erasure", reference="case 7", due=date(2026, 7, 1)),),
    }
    return OutputSubject(**{**values, **changes})
