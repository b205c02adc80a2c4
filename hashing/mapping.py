"""`mapping.yaml`: which column is which, in what formats, with which codes (docs/guides/extracts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from governance.agreement import STANDARDS, read_document
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

COMBINED = ("forename", "surname", "address")
"""Logical columns that may be put together from several columns of the extract."""

CONSTANT = ("sex", "record_date", "contact_type", "case_status", "lead_contact")
"""Logical columns that may have one value in all rows; one that tells people apart may not."""

ALSO = {"forename": "also_forename", "surname": "also_surname", "name": "also_name"}
"""What columns with other names of a person hold -> the logical column that all such columns become."""

ORDERS = ("forename_first", "surname_first")
"""How a column that holds the whole name is written."""

_TEXTS = ("agency_type", "encoding", "delimiter", "sheet", "list_delimiter")
_BY_COLUMN = ("columns", "dates", "codes", "standards", "combine", "constants")
_AGENCY_ENTRIES = {*_TEXTS, *_BY_COLUMN, "split", "also"}


@dataclass(frozen=True, kw_only=True, slots=True)
class AgencyMapping:
    """How one agency's extract is read.

    Attributes:
        agency_type: Open list: police, health, childrens_social_care …; None when not stated.
        columns: Logical column -> header in the extract. Columns not named keep their own name.
        dates: Logical column -> strptime formats, tried in order.
        codes: Logical column -> their code -> our code.
        standards: Field -> standard ("uk", "nhs" or "generic"), where it is stated.
        combine: Logical column -> headers whose cells are joined, in this order.
        split: Header of a column that holds the whole name -> one of `ORDERS`; at most one.
        constants: Logical column -> the value of every row.
        encoding: Encoding of a CSV file; found out when None.
        delimiter: Delimiter of a CSV file; found out when None.
        sheet: Name of the sheet of a workbook; the first one when None.
        also: `forename`, `surname` or `name` (a whole name) -> headers of columns with other names of the person.
        list_delimiter: What separates several names in such a column, besides semicolons, bars and line breaks.
    """

    agency_type: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    standards: Mapping[str, str] = field(default_factory=dict)
    combine: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    split: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    list_delimiter: str | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """The columns of the extract that are named here."""
        listed = (*self.combine.values(), *self.also.values())
        return (*self.columns.values(), *(header for headers in listed for header in headers), *self.split)


def _entries(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise MappingError(
            "this must be a list of `name: value` entries.",
            where=where,
            remedy="Write each entry on a line of its own, indented below this name.",
        )
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise MappingError(
            "this must be text.", where=where, remedy="Put it in quotes; if it is a list, leave one of it."
        )
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
        raise MappingError(
            "this must be a date format, or a list of them.", where=where, remedy="Write '%d/%m/%Y', or such."
        )
    return tuple(_text(entry, where) for entry in listed)


def _codes(value: Any, where: str) -> dict[str, str]:
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        # YAML reads 01 as 1, which is another code.
        raise MappingError(
            "a code is not text.", where=where, remedy='Put the codes in quotes, for example "1": F.'
        )
    return {code: _text(ours, f"{where}.{code}") for code, ours in _entries(value, where).items()}


def _texts(entries: Mapping[str, Any], where: str) -> dict[str, str]:
    return {name: _text(value, f"{where}.{name}") for name, value in entries.items()}


def _standards(entries: Mapping[str, Any], where: str) -> dict[str, str]:
    found = _texts(entries, where)
    for name, standard in found.items():
        if standard not in STANDARDS.get(name, ()):
            known = "; ".join(f"{known}: {' or '.join(listed)}" for known, listed in STANDARDS.items())
            raise MappingError(
                "there is no such standard.", where=f"{where}.{name}", remedy=f"The known ones are {known}."
            )
    return found


def _headers(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise MappingError(
            "this must be a list of columns of the extract.",
            where=where,
            remedy="Write them in brackets, such as [first, middle].",
        )
    return tuple(_text(header, where) for header in value)


def _among(name: str, allowed: tuple[str, ...], where: str) -> None:
    if name not in allowed:
        raise MappingError(
            f"{name!r} cannot stand here.", where=where, remedy=f"Use one of: {', '.join(allowed)}."
        )


def _split(entries: Mapping[str, Any], where: str) -> dict[str, str]:
    found = _texts(entries, where)
    for header, order in found.items():
        _among(order, ORDERS, f"{where}.{header}")
    if len(found) > 1:
        raise MappingError(
            "only one column can hold the whole name.",
            where=where,
            remedy="Leave one here; name the others under `also: name`.",
        )
    return found


def _refuse_two_origins(mapping: AgencyMapping, where: str) -> None:
    """Refuse a logical column that is to come from two places."""
    origins = [*mapping.columns, *mapping.combine, *mapping.constants]
    origins += ["forename", "surname"] if mapping.split else []
    doubled = sorted({name for name in origins if origins.count(name) > 1})
    if doubled:
        raise MappingError(
            f"{doubled[0]} is to come from two places.",
            where=where,
            remedy="Name it under one of `columns`, `combine`, `split` and `constants` only.",
        )


def _delimiter(text: str | None, where: str) -> str | None:
    text = "\t" if text == "tab" else text
    if text is not None and (len(text) != 1 or text in '"\r\n' or not text.isascii()):
        raise MappingError(
            "this must be one character.", where=where, remedy='Write one character such as ";", or tab.'
        )
    return text


def _agency(entry: Any, where: str) -> AgencyMapping:
    entries = _entries(entry, where)
    for name in entries:
        if name not in _AGENCY_ENTRIES:
            raise MappingError(
                f"{name!r} is no part of a mapping.",
                where=where,
                remedy=f"Use one of: {', '.join(sorted(_AGENCY_ENTRIES))}.",
            )
    parts = {name: _entries(entries.get(name), f"{where}.{name}") for name in (*_BY_COLUMN, "split", "also")}
    for name in _BY_COLUMN:
        _logical(parts[name], f"{where}.{name}")
    for kind, allowed in (("combine", COMBINED), ("constants", CONSTANT), ("also", tuple(ALSO))):
        for name in parts[kind]:
            _among(name, allowed, f"{where}.{kind}")
    texts = {
        name: _text(entries[name], f"{where}.{name}") for name in _TEXTS if entries.get(name) is not None
    }
    mapping = AgencyMapping(
        agency_type=texts.get("agency_type"),
        columns=_texts(parts["columns"], f"{where}.columns"),
        dates={name: _formats(value, f"{where}.dates.{name}") for name, value in parts["dates"].items()},
        codes={name: _codes(value, f"{where}.codes.{name}") for name, value in parts["codes"].items()},
        standards=_standards(parts["standards"], f"{where}.standards"),
        combine={
            name: _headers(value, f"{where}.combine.{name}") for name, value in parts["combine"].items()
        },
        split=_split(parts["split"], f"{where}.split"),
        constants=_texts(parts["constants"], f"{where}.constants"),
        encoding=texts.get("encoding"),
        delimiter=_delimiter(texts.get("delimiter"), f"{where}.delimiter"),
        sheet=texts.get("sheet"),
        also={name: _headers(value, f"{where}.also.{name}") for name, value in parts["also"].items()},
        list_delimiter=_delimiter(texts.get("list_delimiter"), f"{where}.list_delimiter"),
    )
    _refuse_two_origins(mapping, where)
    return mapping


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
        raise MappingError(
            "this release reads mapping_version 1 only.",
            where=f"{path}: mapping_version",
            remedy="Write mapping_version: 1, or use a newer release.",
        )
    agencies = _entries(document.get("agencies"), f"{path}: agencies")
    return {name: _agency(entry, f"{path}: agencies.{name}") for name, entry in agencies.items()}
