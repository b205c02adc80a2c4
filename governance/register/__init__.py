"""The register of gateways: the law that agreements cite, as data that an officer can correct. No legal advice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from governance.agreement_reading import parse_source, read_source
from governance.register.compiled import YAML, shipped
from schemas.errors import AgreementInvalid

NO_ADVICE = (
    "This register is no legal advice, and no lawyer has confirmed it. Have each row confirmed before you rely "
    "on it."
)
LONGEST_UNCHECKED = timedelta(days=365)
"""After this time a row counts as unchecked; law changes about yearly."""

_REQUIRED = {
    "id",
    "type",
    "citation",
    "url",
    "kind",
    "agency_types",
    "subjects",
    "in_force_from",
    "checked_on",
}
_OPTIONAL = {"in_force_to", "note", "personal_data", "confirmed", "confirmed_by"}
_CONFIRMED = {"yes": True, "no": False}
_KINDS = {"power", "duty", "condition"}
_TYPES = {"gateway", "article_6", "article_9", "dpa_condition", "duty_of_confidence"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Gateway:
    """A row of the register.

    Attributes:
        id: What agreements cite it by.
        type: gateway, article_6, article_9, dpa_condition or duty_of_confidence.
        citation: Statute and section, in words.
        url: Where it can be read.
        kind: power, duty or condition.
        agency_types: Agency types it is for; `any` for all.
        subjects: Kinds of people it is for; `any` for all.
        in_force_from: First day in force; None while it is not, or while that was not confirmed.
        in_force_to: Last day in force; None while there is none.
        checked_on: Day on which somebody last compared the row with the law.
        personal_data: False when it covers only depersonalised information.
        note: What a reader should know.
        confirmed: Whether words, power or duty, and first day were all found in what was published.
        confirmed_by: Where, or which part was not found.
    """

    id: str
    type: str
    citation: str
    url: str
    kind: str
    agency_types: frozenset[str]
    subjects: frozenset[str]
    in_force_from: date | None
    in_force_to: date | None
    checked_on: date
    personal_data: bool = True
    note: str = ""
    confirmed: bool = False
    confirmed_by: str = ""

    def in_force(self, day: date) -> bool:
        """Whether it is in force on `day`, as far as the register knows."""
        started = self.in_force_from is not None and self.in_force_from <= day
        return started and (self.in_force_to is None or day <= self.in_force_to)

    def is_for(self, agency_type: str) -> bool:
        """Whether it is for agencies of this type."""
        return bool(self.agency_types & {"any", agency_type})

    def covers(self, subjects: frozenset[str]) -> bool:
        """Whether it is for at least one of these kinds of people; for nobody in particular it always is."""
        return "any" in self.subjects or not subjects or bool(self.subjects & subjects)

    def unchecked(self, day: date) -> bool:
        """Whether nobody compared it with the law for a year."""
        return day - self.checked_on > LONGEST_UNCHECKED

    def to_dict(self, day: date) -> dict[str, Any]:
        """Return the row as JSON values, and whether it is in force and was checked as on `day`."""
        return {
            **{name: getattr(self, name) for name in ("id", "type", "citation", "url", "kind", "note")},
            "confirmed": "yes" if self.confirmed else "no",
            "confirmed_by": self.confirmed_by,
            "agency_types": sorted(self.agency_types),
            "subjects": sorted(self.subjects),
            "personal_data": self.personal_data,
            "in_force_from": self.in_force_from.isoformat() if self.in_force_from else None,
            "in_force_to": self.in_force_to.isoformat() if self.in_force_to else None,
            "in_force": self.in_force(day),
            "checked_on": self.checked_on.isoformat(),
            "unchecked": self.unchecked(day),
        }


Register = Mapping[str, Gateway]
"""Id -> row, in the order of the file."""


def _day(value: Any) -> date | None:
    return None if value is None else date.fromisoformat(value)


def _row(entry: Mapping[str, Any]) -> Gateway:
    """Raises ValueError or TypeError when the entry is no row."""
    if not _REQUIRED <= entry.keys() <= _REQUIRED | _OPTIONAL:
        raise ValueError("keys")
    if entry["kind"] not in _KINDS or entry["type"] not in _TYPES or not entry["url"].startswith("https://"):
        raise ValueError("kind")
    checked = _day(entry["checked_on"])
    if checked is None or not all(isinstance(entry[name], str) for name in ("id", "citation")):
        raise ValueError("text")
    return Gateway(
        **{name: entry[name] for name in ("id", "type", "citation", "url", "kind")},
        agency_types=frozenset(entry["agency_types"]),
        subjects=frozenset(entry["subjects"]),
        in_force_from=_day(entry["in_force_from"]),
        in_force_to=_day(entry.get("in_force_to")),
        checked_on=checked,
        personal_data=entry.get("personal_data", True),
        note=entry.get("note", ""),
        confirmed=_CONFIRMED[entry.get("confirmed", "no")],
        confirmed_by=entry.get("confirmed_by", ""),
    )


def _parse(document: Mapping[str, Any], where: str) -> Register:
    if document.get("register") != 1 or not isinstance(document.get("rows"), list):
        raise AgreementInvalid("this is no register of gateways (register: 1, rows: …).", where=where)
    rows: dict[str, Gateway] = {}
    for number, entry in enumerate(document["rows"]):
        try:
            row = _row(entry)
        except (ValueError, TypeError, AttributeError, KeyError):
            raise AgreementInvalid(
                "this row is not as governance/register/gateways.yaml describes.",
                where=f"{where}: rows[{number}]",
            ) from None
        if row.id in rows:
            raise AgreementInvalid("this id stands twice.", where=f"{where}: rows[{number}].id")
        rows[row.id] = row
    return rows


def load_register(path: Path) -> Register:
    """Read a register of your own.

    Raises:
        AgreementInvalid: It cannot be read, or a row is not as it has to be.
    """
    return _parse(read_source(path).document, str(path))


@cache
def shipped_register() -> Register:
    """Return the register that comes with this release."""
    text, document = shipped()
    return _parse(document or parse_source(text, where=YAML).document, YAML)


def cited(document: Mapping[str, Any], register: Register) -> list[Gateway]:
    """Return the rows that an agreement cites (gateways, and conditions by their id), in the order of the register."""
    named: set[str] = set()
    for party in document.get("parties", ()):
        for entry in party.get("legal", ()):
            named |= {*entry.get("gateways", ()), entry.get("dpa_condition"), entry.get("part_3_basis")}
    return [row for row in register.values() if row.id in named]


def unconfirmed(rows: Iterable[Gateway]) -> list[str]:
    """Return a sentence for each row that was not confirmed: which, and what of it."""
    return [
        f"{row.id} ({row.citation}) is not confirmed{f': {row.confirmed_by}' if row.confirmed_by else '.'}"
        for row in rows
        if not row.confirmed
    ]


def register_warnings(register: Register, *, today: date) -> list[str]:
    """Return a sentence for each row that is not known to be in force, or was not compared with the law for a year."""
    return [
        f"{row.id} is not known to be in force: the register has no first day for it."
        for row in register.values()
        if row.in_force_from is None
    ] + [
        f"{row.id} was last checked on {row.checked_on.isoformat()}, more than a year ago."
        for row in register.values()
        if row.unchecked(today)
    ]
