"""What the rules of an agreement look at: a plain value that the caller has read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from governance.agreement_faults import spoils
from governance.agreement_reading import Fault, Source, path_text
from governance.agreement_signatures import Signatures
from governance.register import Register
from governance.rules.base import Finding, Severity

UNIT = "linkage unit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is about to be done under the agreement.

    Attributes:
        agreement_digest: Digest that the linkage secret or the packages are bound to, when it is known.
        purpose: Id of the purpose, when one is named.
    """

    agreement_digest: str | None = None
    purpose: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AgreementSubject:
    """An agreement and everything that its rules ask about.

    Attributes:
        document: The document, which may have faults.
        today: The day of the check.
        register: The law, as data.
        faults: What is wrong with its form.
        wanting: For a draft: what its form lacks before it can be active.
        digest: Digest of the document; None when it has faults.
        signatures: What its signature files prove.
        job: What is about to be done under it, when something is.
        source: Where it was read, for lines and columns.
        where: Name of the file.
    """

    document: Mapping[str, Any]
    today: date
    register: Register
    faults: tuple[Fault, ...] = ()
    wanting: tuple[Fault, ...] = ()
    digest: str | None = None
    signatures: Signatures = field(default_factory=Signatures)
    job: Job | None = None
    source: Source | None = None
    where: str = "agreement"

    def sound(self, *sections: str) -> bool:
        """Whether these sections are there, as far as they must be, and have no fault of form."""
        return all(self._clean(name) for name in sections)

    def place(self, *path: str | int) -> str:
        """Return where `path` stands: file, line, column and field path."""
        found = self.source.place(path, key=True) if self.source else None
        return f"{self.where}{f', {found}' if found else ''}: {path_text(path)}"

    def fault_place(self, fault: Fault) -> str:
        """Return where a fault of form stands: file, line and column."""
        return f"{self.where}, {fault.place}" if fault.place else self.where

    def _clean(self, *path: str | int) -> bool:
        return not any(spoils(fault, path) for fault in self.faults)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a section, empty when it is not there or has a fault of form."""
        value = self.document.get(name)
        return value if isinstance(value, Mapping) and self._clean(name) else {}

    def items(self, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield number and entry of a list section, without the entries that have a fault of form."""
        value = self.document.get(name)
        for number, entry in enumerate(value if isinstance(value, list | tuple) else ()):
            if isinstance(entry, Mapping) and self._clean(name, number):
                yield number, entry

    @property
    def controllers(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Number and entry of the parties that are controllers."""
        return ((number, party) for number, party in self.items("parties") if party["role"] != "processor")

    def legal(self, party: Mapping[str, Any], purpose: str) -> tuple[int, Mapping[str, Any]] | None:
        """Return number and entry of what a party relies on for a purpose, None when it names nothing."""
        entries = enumerate(party.get("legal", ()))
        return next(((n, entry) for n, entry in entries if entry["purpose"] == purpose), None)

    def reliances(self) -> Iterator[tuple[int, Mapping[str, Any], int, Mapping[str, Any]]]:
        """Yield party number, party, entry number and entry of everything that controllers rely on."""
        for number, party in self.controllers:
            for at, entry in enumerate(party.get("legal", ())):
                yield number, party, at, entry

    @property
    def health_parties(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Parties that hold confidential patient information."""
        return ((n, party) for n, party in self.items("parties") if party["agency_type"] in HEALTH_TYPES)


HEALTH_TYPES = frozenset(
    {"adults_social_care", "ambulance", "gp", "health", "hospital", "mental_health", "nhs"}
)
"""Agency types under the National Data Opt-out policy: health, and adult social care in England."""


def is_todo(value: object) -> bool:
    """Whether a text still is a placeholder of a draft."""
    return isinstance(value, str) and value.lstrip().upper().startswith("TODO")


def block(rule: str, sentence: str, **details: Any) -> Finding:
    """Return a finding that stops the work."""
    return Finding(rule=rule, severity=Severity.BLOCK, sentence=sentence, **details)


def amber(rule: str, sentence: str, **details: Any) -> Finding:
    """Return a finding that somebody has to look at."""
    return Finding(rule=rule, severity=Severity.AMBER, sentence=sentence, **details)
