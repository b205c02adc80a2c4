"""`mapping.yaml`: which of an agency's columns is which, in what formats, with which codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.agreement import read_document
from schemas.errors import AgreementInvalid, MappingError

COLUMNS = (
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
"""Logical columns of an extract, in the order of the contract."""

_AGENCY_ENTRIES = {"agency_type", "columns", "dates", "codes", "standards"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AgencyMapping:
    """How one agency's extract is read.

    Attributes:
        agency_type: Open list: police, health, childrens_social_care …; None when not stated.
        columns: Logical column -> header in the extract. Columns not named keep their own name.
        dates: Logical column -> strptime formats, tried in order.
        codes: Logical column -> their code -> our code.
        standards: Field -> standard ("uk", "nhs" or "generic"), where it is stated.
    """

    agency_type: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    standards: Mapping[str, str] = field(default_factory=dict)


def _entries(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise MappingError("this must be a list of `name: value` entries.", where=where)
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise MappingError("this must be text; put it in quotes.", where=where)
    return value


def _logical(entries: Mapping[str, Any], where: str) -> None:
    for name in entries:
        if name not in COLUMNS:
            raise MappingError(
                f"{name!r} is no column that Tallystick knows.",
                where=where,
                remedy=f"Use one of: {', '.join(COLUMNS)}.",
            )


def _formats(value: Any, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise MappingError("this must be a date format such as '%d/%m/%Y', or a list of them.", where=where)
    return tuple(_text(entry, where) for entry in listed)


def _codes(value: Any, where: str) -> dict[str, str]:
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        # YAML reads 01 as 1, which is another code.
        raise MappingError(
            "a code is not text.", where=where, remedy='Put the codes in quotes, for example "1": F.'
        )
    return {code: _text(ours, f"{where}.{code}") for code, ours in _entries(value, where).items()}


def _agency(entry: Any, where: str) -> AgencyMapping:
    entries = _entries(entry, where)
    for name in entries:
        if name not in _AGENCY_ENTRIES:
            raise MappingError(
                f"{name!r} is no part of a mapping.",
                where=where,
                remedy=f"Use one of: {', '.join(sorted(_AGENCY_ENTRIES))}.",
            )
    parts = {
        name: _entries(entries.get(name), f"{where}.{name}")
        for name in ("columns", "dates", "codes", "standards")
    }
    for name, values in parts.items():
        _logical(values, f"{where}.{name}")
    agency_type = entries.get("agency_type")
    return AgencyMapping(
        agency_type=None if agency_type is None else _text(agency_type, f"{where}.agency_type"),
        columns={name: _text(value, f"{where}.columns.{name}") for name, value in parts["columns"].items()},
        dates={name: _formats(value, f"{where}.dates.{name}") for name, value in parts["dates"].items()},
        codes={name: _codes(value, f"{where}.codes.{name}") for name, value in parts["codes"].items()},
        standards={
            name: _text(value, f"{where}.standards.{name}") for name, value in parts["standards"].items()
        },
    )


def load_mapping(path: Path) -> dict[str, AgencyMapping]:
    """Read `mapping.yaml` and return the mapping of each agency it names.

    Raises:
        MappingError: The file is not a mapping, or names a column that Tallystick does not know.
    """
    try:
        document = read_document(path)
    except AgreementInvalid as error:
        raise MappingError(error.message, where=error.where, remedy=error.remedy) from None
    unknown = set(document) - {"mapping_version", "agencies"}
    if unknown:
        raise MappingError(
            f"{sorted(map(str, unknown))[0]!r} is no part of a mapping.",
            where=str(path),
            remedy="At the top stand `mapping_version: 1` and `agencies:`.",
        )
    if document.get("mapping_version", 1) != 1:
        raise MappingError("this release reads mapping_version 1 only.", where=f"{path}: mapping_version")
    agencies = _entries(document.get("agencies"), f"{path}: agencies")
    return {name: _agency(entry, f"{path}: agencies.{name}") for name, entry in agencies.items()}
