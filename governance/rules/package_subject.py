"""What the rules on packages look at: what the sender states, and the figures of its tables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any

import pyarrow as pa

from governance.agreement import Agreement
from governance.detect.patterns import Hit, find_in_text
from governance.detect.watch import PartFacts
from schemas.canonical import JSON
from schemas.manifest import Manifest
from schemas.payload import (
    APART,
    CONTACTS,
    HOMES,
    LEADS,
    RETURN,
    RETURN_HOUSEHOLDS,
    RETURN_ROLLING,
    VERSIONS,
    pass_part,
    pass_schema,
)
from schemas.scheme import Pass


@dataclass(frozen=True, kw_only=True, slots=True)
class Stated:
    """What the sender states; at the agency the manifest is not signed yet, so this is all there is of it."""

    kind: str
    agreement_digest: str
    run_id: str
    sender: str
    recipient: str
    purpose: str
    created_at: datetime
    counts: Mapping[str, int]
    facts: Mapping[str, JSON]

    @classmethod
    def of(cls, manifest: Manifest) -> Stated:
        """Return what a manifest states."""
        return cls(
            kind=manifest.kind,
            agreement_digest=manifest.agreement_digest,
            run_id=manifest.run_id,
            sender=manifest.sender,
            recipient=manifest.recipient,
            purpose=manifest.purpose,
            created_at=manifest.created_at,
            counts=manifest.counts,
            facts=manifest.facts,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageSubject:
    """A package as the rules see it.

    Attributes:
        where: File name, for messages.
        stated: What the sender states.
        agreement: The agreement it has to fit.
        today: Day of the check.
        parts: Figures of its tables; None when they were not read.
        hits: What looks like an identifier in the file's name and in the metadata.
        signer: Party whose key signed, when a signature was verified.
        key_check, normaliser: What its fellows state, when there are any.
        last_rows: Subjects that this sender sent for the run before, when that is known.
        limits: Limits of P13 and P15 that differ from the usual ones, from the organisation's own rules.
    """

    where: str
    stated: Stated
    agreement: Agreement
    today: date
    parts: Mapping[str, PartFacts] | None = None
    hits: tuple[Hit, ...] = ()
    signer: str | None = None
    key_check: str | None = None
    normaliser: str | None = None
    last_rows: int | None = None
    limits: Mapping[str, float] = field(default_factory=dict)

    @property
    def secret(self) -> Mapping[str, Any] | None:
        """What the sender states of its linkage secret: `epoch`, `starts_on` and `expires_on`."""
        stated = self.stated.facts.get("linkage_secret")
        return stated if isinstance(stated, Mapping) else None


def expected_schemas(agreement: Agreement, kind: str = "sealed") -> Mapping[str, pa.Schema]:
    """Return the tables that a package of `kind` has under the agreement, and the columns of each."""
    return _schemas(agreement.passes, agreement.households, agreement.rolling, kind)


@cache
def _schemas(passes: tuple[Pass, ...], households: bool, rolling: bool, kind: str) -> Mapping[str, pa.Schema]:
    if kind == "return":
        more = {"households": RETURN_HOUSEHOLDS} if households else {}
        return {"contacts": RETURN, **more, **({"rolling": RETURN_ROLLING} if rolling else {})}
    tokens = {pass_part(index): pass_schema(blocking) for index, blocking in enumerate(passes)}
    homes = {"homes": HOMES} if households else {}
    return {"versions": VERSIONS, **tokens, **homes, "apart": APART, "contacts": CONTACTS, "leads": LEADS}


def texts_of(value: JSON, path: str) -> list[tuple[str, str]]:
    """Return every text in a JSON value with its path; an object's keys are texts too.

    A text of a key that is no plain word is not shown in a path: it may itself be an identifier.
    """
    if isinstance(value, str):
        return [(path, value)]
    if isinstance(value, Mapping):
        found = []
        for number, (key, entry) in enumerate(value.items()):
            known = key.isidentifier() and key.islower() and len(key) <= 40
            step = f"{path}.{key}" if known else f"{path}[{number}]"
            found += [(step, key), *texts_of(entry, step)]
        return found
    if isinstance(value, list | tuple):
        return [item for number, entry in enumerate(value) for item in texts_of(entry, f"{path}[{number}]")]
    return []


_FORMS = {
    "key_check": re.compile(r"[0-9a-f]{32}"),
    "seal_id": re.compile(r"[0-9a-f]{32}"),
    "normaliser": re.compile(r"[0-9a-f]{64}"),
}
"""Facts that are random or hashed numbers of a fixed length. Whatever their letters spell is chance."""


def _has_its_form(name: str, value: JSON) -> bool:
    """Whether a fact is what it has to be and can hold nothing else.

    The window's first day is such a fact too: with --as-of it can lie as far back as a birth.
    """
    if name in _FORMS:
        return _FORMS[name].fullmatch(str(value)) is not None
    try:
        return name == "contacts_after" and date.fromisoformat(str(value)) is not None
    except ValueError:
        return False


def metadata_hits(stated: Stated, file_name: str, *, today: date) -> tuple[Hit, ...]:
    """Return what looks like an identifier in the file's name and in what the sender states."""
    told: dict[str, JSON] = {
        "run": stated.run_id,
        "purpose": stated.purpose,
        "counts": stated.counts,
        "facts": {name: value for name, value in stated.facts.items() if not _has_its_form(name, value)},
    }
    texts = [("file name", file_name), *texts_of(told, "manifest")]
    return tuple(hit for place, text in texts for hit in find_in_text(text, place, today=today))
