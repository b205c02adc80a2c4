"""The agencies of `data/agencies.yaml` as values, and the mapping file that explains their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from schemas.errors import InputError
from synthetic.pools import DATA

FIELDS = (
    "ref",
    "forename",
    "surname",
    "dob",
    "sex",
    "postcode",
    "uprn",
    "nhs_number",
    "address",
    "record_date",
    "contact_type",
    "case_status",
    "lead_contact",
)
IDENTIFIERS = ("forename", "surname", "dob", "sex", "postcode", "uprn", "nhs_number", "address")


@dataclass(frozen=True, kw_only=True, slots=True)
class Agency:
    """One agency; the attributes are those of `data/agencies.yaml`, where they are explained."""

    name: str
    source: str
    default: bool
    prefix: str
    columns: dict[str, str]
    dates: dict[str, str]
    sex: dict[str, str]
    status: dict[str, str]
    style: dict[str, str]
    width: dict[str, int]
    coverage: tuple[float, ...]
    need: float
    family: float
    contacts: float
    spread_days: float
    open: float
    history: bool
    contact_types: dict[str, float]
    missing: dict[str, float]

    @property
    def identifiers(self) -> tuple[str, ...]:
        """The identifiers that this agency holds."""
        return tuple(field for field in IDENTIFIERS if field in self.columns)


@cache
def all_agencies() -> dict[str, Agency]:
    """Return every agency that can be generated, in the order of the file."""
    raw = YAML(typ="safe").load((DATA / "agencies.yaml").read_text(encoding="utf-8"))
    return {
        name: Agency(name=name, **{**raw[name], "coverage": tuple(raw[name]["coverage"])})
        for name in raw["agency_order"]
    }


def choose_agencies(names: Sequence[str] | None) -> tuple[Agency, ...]:
    """Return the named agencies in the file's order; the five usual ones when `names` is None.

    Raises:
        InputError: A name is unknown, or the list is empty.
    """
    known = all_agencies()
    if names is None:
        return tuple(agency for agency in known.values() if agency.default)
    unknown = sorted(set(names) - set(known))
    if unknown or not names:
        raise InputError(
            f"unknown agency: {', '.join(unknown)}." if unknown else "no agency was named.",
            where="agencies",
            remedy=f"Choose from {', '.join(known)}.",
        )
    return tuple(agency for name, agency in known.items() if name in set(names))


def mapping(agencies: Sequence[Agency]) -> dict[str, Any]:
    """Return the content of `mapping.yaml`: their columns, date formats and code lists."""
    described: dict[str, Any] = {}
    for agency in agencies:
        sex: dict[str, str] = {}
        for ours in ("F", "M", "U", "X"):
            # A code list may hold one code for two of ours (9 for both); the first, less specific, reading wins.
            if agency.sex[ours]:
                sex.setdefault(agency.sex[ours], ours)
        described[agency.name] = {
            "agency_type": agency.name,
            "columns": {field: agency.columns[field] for field in FIELDS if field in agency.columns},
            "dates": {field: [form] for field, form in agency.dates.items()},
            "codes": {"sex": sex, "case_status": {theirs: ours for ours, theirs in agency.status.items()}},
        }
    return {"mapping_version": 1, "agencies": described}
