"""P12 to P15: whether exclusions are attested, and whether the figures of a package are plausible."""

from __future__ import annotations

from collections.abc import Iterator

from governance.rules.base import Fault, Moment, Rule, Severity, rule
from governance.rules.package_subject import PackageSubject

_BOTH = (Moment.RELEASE, Moment.INTAKE)
_ACCURATE = "UK GDPR Art 5(1)(d), accuracy"

MOST_NULL, MOST_INVALID, MOST_CHANGE = 0.5, 0.05, 0.3
"""Limits of P13 and P15 unless the organisation sets its own: shares of the rows."""


@rule(
    "P12", Severity.BLOCK, _BOTH, "The agreed exclusions are attested by count", why="Agreement, exclusions"
)
def exclusions(package: PackageSubject) -> Iterator[Fault]:
    """For each agreed kind of exclusion the agency says how many people it left out; none is a count too."""
    agreed = [entry.kind for entry in package.agreement.exclusions]
    stated = package.stated.facts.get("exclusions")
    counts = stated if isinstance(stated, dict) else {}
    missing = [kind for kind in agreed if type(counts.get(kind)) is not int]
    if missing:
        yield Fault(
            sentence="The agency does not attest how many people it left out before sealing.",
            where=f"{package.where}: manifest, facts.exclusions",
            evidence=f"not attested: {', '.join(missing)}",
            fix="Seal with --exclude FILE, or leave them out of the extract and state each with --excluded KIND=COUNT.",
            owner=package.stated.sender,
        )


@rule("P13", Severity.AMBER, _BOTH, "Few values are missing or invalid", why=_ACCURATE)
def null_rate(package: PackageSubject) -> Iterator[Fault]:
    """Amber when more than half of an identifier is missing, or more than 5% of it invalid."""
    quality = package.stated.facts.get("quality")
    fields = quality.get("fields") if isinstance(quality, dict) else None
    if not isinstance(fields, dict):
        return
    null, invalid = package.limits.get("null", MOST_NULL), package.limits.get("invalid", MOST_INVALID)
    for name, counts in fields.items():
        if not isinstance(counts, dict) or name not in package.agreement.match_fields:
            continue
        numbers = {key: value for key, value in counts.items() if type(value) is int}
        rows = max(sum(numbers.values()), 1)
        absent = numbers.get("missing", 0) + numbers.get("placeholder", 0)
        for count, most, what in ((absent, null, "missing"), (numbers.get("invalid", 0), invalid, "invalid")):
            if count > most * rows:
                yield Fault(
                    sentence=f"More of {name} is {what} than is usual.",
                    where=package.where,
                    evidence=f"{count:,} of {rows:,} values, limit {100 * most:g}%",
                    fix="Look at the column, its date format and its codes (tallystick profile).",
                    owner=package.stated.sender,
                )


@rule("P14", Severity.AMBER, _BOTH, "No token is over-frequent", why="Agreement, sealing.crowded_cell")
def frequent(package: PackageSubject) -> Iterator[Fault]:
    """Amber when one block holds ten times the crowd from which records skip a pass: a default value got through."""
    most = 10 * package.agreement.crowded_cell
    for part in (package.parts or {}).values():
        if part.heaviest > most:
            yield Fault(
                sentence="One block is far larger than a group of people can be.",
                where=f"{package.where}: part {part.name}",
                evidence=f"about {part.heaviest:,} of {part.rows:,} records, limit {most:,}",
                fix="Look for a default date, name or address in the extract (tallystick profile).",
                owner=package.stated.sender,
            )


@rule("P15", Severity.AMBER, _BOTH, "The number of records is like that of the last run", why=_ACCURATE)
def row_count(package: PackageSubject) -> Iterator[Fault]:
    """Amber when the number of subjects differs by more than 30% from the run before."""
    before, now = package.last_rows, package.stated.counts.get("subjects")
    if not before or now is None:
        return
    if abs(now - before) > package.limits.get("change", MOST_CHANGE) * before:
        yield Fault(
            sentence="The number of people differs much from the last run.",
            where=package.where,
            evidence=f"{now:,} now, {before:,} in the last run",
            fix="Check that the extract is complete, and of the right date.",
            owner=package.stated.sender,
        )


QUALITY: tuple[Rule[PackageSubject], ...] = (exclusions, null_rate, frequent, row_count)
