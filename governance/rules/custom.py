"""An organisation's own rules as bounds in a YAML file, without a line of Python.

    rules_version: 1
    rules:
      - id: x-nhs-number-missing
        check: most_missing
        field: nhs_number
        at_most: 0.3
        severity: amber
        why: Local data quality standard 4

The kinds of `check` are the keys of `CHECKS`; docs/guides/check.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance.agreement import read_document
from governance.rules.base import Fault, Moment, Rule, Severity, rule
from governance.rules.linkage import LinkageSubject
from governance.rules.output import OutputSubject
from governance.rules.package_subject import PackageSubject
from governance.rules.registry import Family
from schemas.errors import AgreementInvalid, RulesInvalid

Bound = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A kind of bound.

    Attributes:
        family: What it looks at.
        moments: When it runs.
        takes: Its entries and their types.
        find: Returns what is wrong, or None.
    """

    family: Family
    moments: tuple[Moment, ...]
    takes: Mapping[str, type | tuple[type, ...]]
    find: Callable[[Any, Bound], Fault | None]


_NUMBER = (int, float)


def _share(package: PackageSubject, bound: Bound, kinds: tuple[str, ...], what: str) -> Fault | None:
    quality: Any = package.stated.facts.get("quality")
    fields = quality.get("fields", {}) if isinstance(quality, Mapping) else {}
    counts = fields.get(bound["field"])
    if not isinstance(counts, Mapping):
        return None
    rows = max(sum(value for value in counts.values() if type(value) is int), 1)
    found = sum(int(counts.get(kind, 0)) for kind in kinds)
    if found <= bound["at_most"] * rows:
        return None
    return Fault(
        sentence=f"More of {bound['field']} is {what} than your organisation allows.",
        where=package.where,
        evidence=f"{found:,} of {rows:,} values, limit {100 * bound['at_most']:g}%",
        owner=package.stated.sender,
    )


def _missing(package: PackageSubject, bound: Bound) -> Fault | None:
    return _share(package, bound, ("missing", "placeholder"), "missing")


def _invalid(package: PackageSubject, bound: Bound) -> Fault | None:
    return _share(package, bound, ("invalid",), "invalid")


def _fewest(package: PackageSubject, bound: Bound) -> Fault | None:
    found = package.stated.counts.get("subjects", 0)
    if found >= bound["at_least"]:
        return None
    return Fault(
        sentence="The package holds fewer people than your organisation sends.",
        where=package.where,
        evidence=f"{found:,} people, at least {bound['at_least']:,}",
        owner=package.stated.sender,
    )


def _forbidden_party(package: PackageSubject, bound: Bound) -> Fault | None:
    agreed = {party.id for party in package.agreement.parties} | {package.agreement.unit_id}
    if bound["party"] not in agreed | {package.stated.sender, package.stated.recipient}:
        return None
    return Fault(
        sentence="Your organisation does not share with a party of this agreement.",
        where=f"{package.where}: {bound['party']}",
        owner=package.stated.sender,
    )


def _forbidden_field(package: PackageSubject, bound: Bound) -> Fault | None:
    if bound["field"] not in package.agreement.match_fields:
        return None
    return Fault(
        sentence="Your organisation does not let this identifier be matched on.",
        where=f"agreement: {bound['field']}",
        owner=package.stated.sender,
    )


def _fewest_senders(run: LinkageSubject, bound: Bound) -> Fault | None:
    found = len({stated.sender for stated in run.packages})
    if found >= bound["at_least"]:
        return None
    return Fault(
        sentence="Fewer agencies take part in the run than your organisation asks for.",
        where=run.where,
        evidence=f"{found}, at least {bound['at_least']}",
        owner="linkage unit",
    )


def _most_people(output: OutputSubject, bound: Bound) -> Fault | None:
    if output.people is None or output.people <= bound["at_most"]:
        return None
    return Fault(
        sentence="The output tells of more people than your organisation allows.",
        where=output.where,
        evidence=f"{output.people:,}, limit {bound['at_most']:,}",
        owner="linkage unit",
    )


_PACKAGE = (Moment.RELEASE, Moment.INTAKE)
CHECKS: dict[str, Check] = {
    "most_missing": Check(
        family=Family.PACKAGE, moments=_PACKAGE, takes={"field": str, "at_most": _NUMBER}, find=_missing
    ),
    "most_invalid": Check(
        family=Family.PACKAGE, moments=_PACKAGE, takes={"field": str, "at_most": _NUMBER}, find=_invalid
    ),
    "fewest_people": Check(family=Family.PACKAGE, moments=_PACKAGE, takes={"at_least": int}, find=_fewest),
    "forbidden_party": Check(
        family=Family.PACKAGE, moments=_PACKAGE, takes={"party": str}, find=_forbidden_party
    ),
    "forbidden_field": Check(
        family=Family.PACKAGE, moments=_PACKAGE, takes={"field": str}, find=_forbidden_field
    ),
    "fewest_agencies": Check(
        family=Family.LINKAGE, moments=(Moment.BEFORE_LINK,), takes={"at_least": int}, find=_fewest_senders
    ),
    "most_people_told": Check(
        family=Family.OUTPUT, moments=(Moment.OUTPUT,), takes={"at_most": int}, find=_most_people
    ),
}
_COMMON = {"id": str, "check": str, "severity": str, "title": str, "why": str, "fix": str}


def _bound(entry: Any, where: str) -> tuple[Family, Rule[Any]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        raise RulesInvalid("a rule is a list of `name: value` entries with an id.", where=where)
    check = CHECKS.get(str(entry.get("check")))
    if check is None:
        raise RulesInvalid("there is no such check.", where=where, remedy=f"Use one of: {', '.join(CHECKS)}.")
    takes = {**_COMMON, **check.takes}
    unknown = set(entry) - set(takes)
    wrong = [name for name, kind in takes.items() if name in entry and not _is(entry[name], kind)]
    missing = [name for name in check.takes if name not in entry]
    if unknown or wrong or missing:
        raise RulesInvalid(
            f"entries are unknown ({len(unknown)}), missing ({', '.join(missing) or 'none'}) or of the wrong type "
            f"({', '.join(wrong) or 'none'}).",
            where=where,
            remedy=f"This check takes: {', '.join(takes)}.",
        )
    if entry.get("severity", "block") not in {severity.value for severity in Severity}:
        raise RulesInvalid("severity is block or amber.", where=f"{where}.severity")

    def find(subject: Any) -> Iterator[Fault]:
        found = check.find(subject, entry)
        if found is not None:
            yield Fault(
                sentence=found.sentence,
                where=found.where,
                evidence=found.evidence,
                fix=entry.get("fix", "Ask who keeps your organisation's rules."),
                owner=found.owner,
            )

    made = rule(
        entry["id"],
        Severity(entry.get("severity", "block")),
        check.moments,
        entry.get("title", entry["check"].replace("_", " ")),
        why=entry.get("why", "Your organisation's own rule"),
    )
    return check.family, made(find)


def _is(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def load_bounds(path: Path) -> list[tuple[Family, Rule[Any]]]:
    """Read an organisation's rules.

    Raises:
        RulesInvalid: The file cannot be read, or a rule in it is not well formed.
    """
    try:
        document = read_document(path)
    except AgreementInvalid as error:
        raise RulesInvalid(error.message, where=error.where, remedy=error.remedy) from None
    listed = document.get("rules")
    if (
        set(document) != {"rules_version", "rules"}
        or document["rules_version"] != 1
        or not isinstance(listed, list)
    ):
        raise RulesInvalid("at the top stand `rules_version: 1` and the list `rules`.", where=str(path))
    return [_bound(entry, f"{path}: rules[{number}]") for number, entry in enumerate(listed)]
