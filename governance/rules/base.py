"""What a rule is, and what it finds.

A rule looks at one *subject of a check* (an agreement, a package, a run, a return, a log: a plain value that the
caller has read) and returns findings. It reads no file, asks no clock and changes nothing: everything that it needs
stands in the subject. So each rule is tested by a subject that passes and one that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

Subject = TypeVar("Subject")


class Severity(Enum):
    """How much a finding weighs."""

    BLOCK = "block"
    """The work must not go on."""

    AMBER = "amber"
    """The work may go on; somebody has to look at it by a date."""


class Moment(Enum):
    """When a rule is run."""

    AGREEMENT = "agreement"
    RELEASE = "release"
    """At the agency, before a package leaves."""

    INTAKE = "intake"
    """At the linkage unit, when a package has come."""

    BEFORE_LINK = "before link"
    AFTER_LINK = "after link"
    OUTPUT = "output"
    """Returns, reports and every aggregate that leaves."""

    LOG = "log"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that a rule found. No text of it ever holds an identifier's value, a key or a token.

    Attributes:
        rule: Id of the rule, such as `D06`.
        severity: What the rule weighs, or less when a signed exception covers it.
        sentence: What is wrong, in one plain sentence.
        where: File, line and column, row, part or field path.
        why: The citation: the law, the standard or the clause of the agreement that asks for it.
        evidence: Counts, never values.
        fix: What to do.
        owner: Who must act: a party's id, `linkage unit` or a named role.
        due: Date by which (ISO 8601), when there is one.
        exception: Reference of the signed exception that covers the finding, if one does.
    """

    rule: str
    severity: Severity
    sentence: str
    where: str = ""
    why: str = ""
    evidence: str = ""
    fix: str = ""
    owner: str = ""
    due: str | None = None
    exception: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule(Generic[Subject]):
    """A rule: its id, what it weighs, when it runs, one line on what it asks, and the question itself."""

    id: str
    severity: Severity
    moments: frozenset[Moment]
    title: str
    why: str
    ask: Callable[[Subject], Iterable[Finding]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What a rule written with `rule` yields; the rule adds its id, its weight and its citation.

    Attributes:
        sentence, where, evidence, fix, owner, due: As in `Finding`.
        severity: The rule's own unless another is given (a key that expires soon is amber, an expired one blocks).
    """

    sentence: str
    where: str = ""
    evidence: str = ""
    fix: str = ""
    owner: str = ""
    due: str | None = None
    severity: Severity | None = None


def rule(
    rule_id: str, severity: Severity, moments: Iterable[Moment], title: str, *, why: str
) -> Callable[[Callable[[Subject], Iterable[Fault]]], Rule[Subject]]:
    """Turn a function that yields faults into the rule `rule_id`."""

    def define(find: Callable[[Subject], Iterable[Fault]]) -> Rule[Subject]:
        def ask(subject: Subject) -> Iterable[Finding]:
            for fault in find(subject):
                yield Finding(
                    rule=rule_id,
                    severity=fault.severity or severity,
                    sentence=fault.sentence,
                    where=fault.where,
                    why=why,
                    evidence=fault.evidence,
                    fix=fault.fix,
                    owner=fault.owner,
                    due=fault.due,
                )

        return Rule(id=rule_id, severity=severity, moments=frozenset(moments), title=title, why=why, ask=ask)

    return define


def run_rules(rules: Sequence[Rule[Any]], subject: Any, *, moment: Moment) -> list[Finding]:
    """Ask every rule of `moment` about `subject`; return the findings in the order of the rules."""
    return [finding for rule in rules if moment in rule.moments for finding in rule.ask(subject)]


def blocks(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that stop the work: block findings that no signed exception covers."""
    return [found for found in findings if found.severity is Severity.BLOCK and found.exception is None]
