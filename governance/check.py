"""What `tallystick check` finds about one file: the verdict, the findings by section, and what was not checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from typing import Any

from governance.gate import finding_dict
from governance.rules.base import Finding, Severity, blocks

LEGAL_BASIS = (
    "Whether the legal basis is right and the sharing necessary and proportionate: that is for people."
)


class Kind(Enum):
    """What a file was recognised as."""

    AGREEMENT = "agreement"
    MAPPING = "mapping"
    PACKAGE = "package"
    RUN = "run"
    LOG = "audit log"
    EXCEPTION = "exception"
    REPORT = "report of a run"
    TABLE = "table"
    UNKNOWN = "unknown file"


SECTIONS = {
    "D": "Agreement",
    "P": "Package",
    "L": "Linkage",
    "O": "Outputs and retention",
    "R": "Audit log",
    "X": "Exceptions",
    "M": "Mapping",
    "x": "Your organisation's own rules",
}
"""First letter of a rule's id -> the section of the report it stands in."""


class Status(Enum):
    """What a section comes to: words and a symbol, so that nobody depends on colour."""

    BLOCK = ("✖", "Blocked")
    EXCEPTION = ("◆", "Exception")
    AMBER = ("▲", "Look at this")
    GOOD = ("✔", "Nothing found")

    @property
    def symbol(self) -> str:
        """A sign that can be told apart in black and white."""
        return self.value[0]

    @property
    def words(self) -> str:
        """The same in words."""
        return self.value[1]


def status_of(found: Finding) -> Status:
    """Return what one finding comes to."""
    if found.exception is not None:
        return Status.EXCEPTION
    return Status.BLOCK if found.severity is Severity.BLOCK else Status.AMBER


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """The findings of one family of rules."""

    title: str
    status: Status
    findings: tuple[Finding, ...]

    @property
    def groups(self) -> tuple[tuple[Finding, ...], ...]:
        """The findings, those together that differ only in place, sentence and evidence: one rule, one thing to do."""
        found: dict[Finding, list[Finding]] = {}
        for each in self.findings:
            found.setdefault(replace(each, where="", sentence="", evidence=""), []).append(each)
        return tuple(map(tuple, found.values()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The result of checking one file.

    Attributes:
        subject: The file.
        kind: What it was recognised as.
        checked_on: Day of the check.
        findings: All findings.
        families: First letters of the rules that were asked.
        facts: What the reader has to know of it: agreement, digest, sender, counts.
        unchecked: What was not checked, and why, a sentence each.
        partial: Whether the content could not be looked into at all.
    """

    subject: str
    kind: Kind
    checked_on: date
    findings: tuple[Finding, ...] = ()
    families: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    unchecked: tuple[str, ...] = ()
    partial: bool = False

    @property
    def blocked(self) -> bool:
        """Whether the work must not go on."""
        return bool(blocks(self.findings))

    @property
    def verdict(self) -> str:
        """The first thing that everybody reads."""
        if self.partial and not self.findings:
            return "Nothing found in what could be checked, which is not its content"
        return verdict_of(self.findings)

    @property
    def status(self) -> Status:
        """What the whole comes to."""
        return Status.AMBER if self.partial and not self.findings else _worst(self.findings)

    @property
    def sections(self) -> tuple[Section, ...]:
        """The findings by family, families that were asked and found nothing included."""
        letters = dict.fromkeys([*self.families, *(found.rule[0] for found in self.findings)])
        sections = []
        for letter, title in SECTIONS.items():
            if letter in letters:
                held = tuple(sorted(self._of(letter), key=_gravest_first))
                sections.append(Section(title=title, status=_worst(held), findings=held))
        return tuple(sections)

    @property
    def owners(self) -> tuple[str, ...]:
        """Who must act, those who can lift a block first."""
        ordered = sorted(self.findings, key=_gravest_first)
        return tuple(
            dict.fromkeys(found.owner for found in ordered if found.owner and found.exception is None)
        )

    @property
    def exceptions(self) -> tuple[str, ...]:
        """The sign-offs under which findings do not block."""
        return tuple(dict.fromkeys(found.exception for found in self.findings if found.exception is not None))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "subject": self.subject,
            "kind": self.kind.value,
            "verdict": self.verdict,
            "blocked": self.blocked,
            "checked_on": self.checked_on.isoformat(),
            "facts": dict(self.facts),
            "owners": list(self.owners),
            "sections": [
                {"title": section.title, "status": section.status.words.lower()} for section in self.sections
            ],
            "findings": [finding_dict(found) for found in sorted(self.findings, key=_gravest_first)],
            "exceptions": list(self.exceptions),
            "not_checked": list(self.unchecked),
        }

    def _of(self, letter: str) -> list[Finding]:
        return [found for found in self.findings if found.rule[0] == letter]


_ORDER = {Status.BLOCK: 0, Status.EXCEPTION: 1, Status.AMBER: 2, Status.GOOD: 3}


def _gravest_first(found: Finding) -> tuple[int, str]:
    return _ORDER[status_of(found)], found.rule


def _worst(findings: Sequence[Finding]) -> Status:
    return min((status_of(found) for found in findings), key=_ORDER.__getitem__, default=Status.GOOD)


def _number(count: int, one: str) -> str:
    return f"{count} {one}{'' if count == 1 else 's'}"


def verdict_of(findings: Sequence[Finding]) -> str:
    """Return the verdict in words: whether to go on, and how many findings stand in the way."""
    stopping = len(blocks(findings))
    excepted = sum(found.exception is not None for found in findings)
    ambers = sum(status_of(found) is Status.AMBER for found in findings)
    if stopping:
        return f"Do not run: {_number(stopping, 'block')}"
    if excepted:
        return f"Go on under {_number(excepted, 'exception')}" + (
            f", look at {_number(ambers, 'point')}" if ambers else ""
        )
    if ambers:
        return f"Go on, and look at {_number(ambers, 'point')}"
    return "Nothing found that stops it"


_PLACE = re.compile(r"line (\d+)(?:, column (\d+))?")


def line_of(found: Finding) -> tuple[int, int] | None:
    """Return the line and column that a finding names, if it does."""
    match = _PLACE.search(found.where)
    return None if match is None else (int(match.group(1)), int(match.group(2) or 1))
