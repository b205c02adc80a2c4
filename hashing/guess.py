"""Draft a mapping from the headers of an extract and a sample of its cells, for a person to correct.

The headers that are known stand in hashing/data/headers.csv, the likeliest of a role first.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files

import pyarrow as pa
import pyarrow.compute as pc

from hashing.mapping import COLUMNS
from hashing.normalise import Outcome, guess_standards, normalise_sex
from hashing.reading.columns import as_text, plain_strings
from hashing.reading.table import fold
from hashing.subjects import CLOSED_WORDS, OPEN_WORDS
from schemas.errors import ExtractError

SAMPLED_ROWS = 20_000
_SAMPLED_DATES = 1000
_MOST_CODES = 8
_LONGEST_CODE = 3
_PREFIXES = (
    *("serviceuser", "client", "person", "patient", "pupil", "child", "student", "learner", "customer"),
    *("tenant", "nominal", "subject", "victim", "individual", "su", "yp"),
)
"""Words that say whose column it is, and nothing of what it holds."""
_ADDRESS_LINE = re.compile(r"(?:home|current)?(?:address|addr|add)(?:line)?([1-9])")
_DATE_FORMATS = (
    *("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d%m%Y"),
    *("%d-%b-%Y", "%d %b %Y", "%d/%b/%Y", "%d %B %Y", "%d/%m/%y", "%d-%m-%y", "%d-%b-%y", "%d.%m.%y"),
    *(
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%d/%m/%Y %H:%M",
        "%d/%m/%Y %H:%M:%S",
        "%Y-%m-%d %H:%M:%S.%f",
    ),
)
"""Formats tried, the likeliest in this country first: where two read as much, the first is taken."""
_WORTH_A_FORMAT = 0.01
"""Share of the sampled dates that a second format must read."""
_MONTH_FIRST = "%m/%d/%Y"
_DAY_FIRST = "%d/%m/%Y"


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """A drafted mapping of one agency.

    Attributes:
        agency: Name of the entry.
        columns: Logical column -> header.
        combine: Logical column -> headers to join.
        split: Header of the whole name -> order.
        dates: Logical column -> formats.
        codes: Logical column -> their code -> ours; "" where the code is not known.
        standards: Field -> standard, where the values are not the UK's.
        unrecognised: Headers that are not made use of.
        notes: What a person should look at, free of values.
    """

    agency: str
    columns: Mapping[str, str]
    combine: Mapping[str, tuple[str, ...]]
    split: Mapping[str, str]
    dates: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, Mapping[str, str]]
    standards: Mapping[str, str]
    unrecognised: tuple[str, ...]
    notes: tuple[str, ...]


@cache
def known_headers() -> dict[str, tuple[str, int]]:
    """Return folded header -> its role and its place in the list, the likeliest header of a role first."""
    text = files("hashing").joinpath("data/headers.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {fold(row["header"]): (row["role"], place) for place, row in enumerate(rows)}


def role_of(header: str) -> tuple[str, int] | None:
    """Return the role of a header and how likely it is (least first), or None where it is not known."""
    name, known = fold(header), known_headers()
    if (line := _ADDRESS_LINE.fullmatch(name)) is not None:
        return "address_line", int(line[1])
    if name in known:
        return known[name]
    for prefix in _PREFIXES:
        rest = name.removeprefix(prefix)
        if rest != name and (found := role_of(rest) if rest else None) is not None:
            return found[0], found[1] + len(known)
    return None


def _roles(headers: Sequence[str]) -> dict[str, list[str]]:
    """Return role -> headers, the likeliest first."""
    found = [(role_of(header), header) for header in headers]
    ranked = sorted((known[1], known[0], header) for known, header in found if known is not None)
    roles: dict[str, list[str]] = {}
    for _, role, header in ranked:
        roles.setdefault(role, []).append(header)
    return roles


def _reads(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def guess_formats(values: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the date formats that read these distinct values, and whether day and month could not be told apart."""
    left = [text.strip() for text in values if text.strip()][:_SAMPLED_DATES]
    total, chosen = len(left), []
    read = {form: {text for text in left if _reads(text, form)} for form in _DATE_FORMATS}
    open_order = bool(read[_DAY_FIRST]) and read[_DAY_FIRST] == read[_MONTH_FIRST]
    rest = set(left)
    while rest:
        best = max(_DATE_FORMATS, key=lambda form: len(read[form] & rest))
        if len(read[best] & rest) <= _WORTH_A_FORMAT * total:
            break
        chosen.append(best)
        rest -= read[best]
    return tuple(chosen), open_order and _DAY_FIRST in chosen


def _known_code(logical: str, code: str) -> str | None:
    """Return our code for theirs, or None."""
    if logical == "sex":
        result = normalise_sex(pa.array([code]), codes=None)
        text = result.values[0].as_py()
        return text or ("U" if result.outcomes[0] == Outcome.MISSING else None)
    word = code.strip().upper()
    if word in OPEN_WORDS:
        return "open"
    return "closed" if word in CLOSED_WORDS else None


def guess_codes(logical: str, column: pa.StringArray) -> tuple[dict[str, str], int]:
    """Return the codes of a column that may be shown, with ours or "", and how many are not shown.

    A code is shown when it is a word of our lists, or when it has at most three characters and the column holds few
    codes that repeat: anything else might be a person's data under a wrong header.
    """
    present = pc.utf8_trim_whitespace(column.drop_null())
    codes = sorted(code for code in pc.unique(present).to_pylist() if code)
    few = len(codes) <= _MOST_CODES and len(present) >= 2 * len(codes)
    shown: dict[str, str] = {}
    for code in codes[: 4 * _MOST_CODES]:
        ours = _known_code(logical, code)
        if ours is not None:
            shown[code] = ours
        elif few and len(code) <= _LONGEST_CODE:
            shown[code] = ""
    return shown, len(codes) - len(shown)


def _name_order(sample: pa.StringArray) -> str:
    names = [name for name in sample.to_pylist() if name and " " in name.strip()]
    commas = sum("," in name for name in names)
    capitals = sum(name.split()[0].isupper() and not name.split()[-1].isupper() for name in names)
    return "surname_first" if 2 * (commas + capitals) > len(names) else "forename_first"


class _Draft:
    """A mapping in the making."""

    def __init__(self, table: pa.Table, source: str) -> None:
        self.table = table.slice(0, SAMPLED_ROWS)
        self.source = source
        self.roles = _roles(table.column_names)
        self.columns: dict[str, str] = {}
        self.combine: dict[str, tuple[str, ...]] = {}
        self.split: dict[str, str] = {}
        self.dates: dict[str, tuple[str, ...]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.standards: dict[str, str] = {}
        self.notes: list[str] = []

    def sample(self, header: str) -> pa.StringArray:
        column = self.table.column(header).unify_dictionaries().combine_chunks()
        return plain_strings(as_text(column, "a drafted mapping", self.source))

    def place_columns(self) -> None:
        for logical in COLUMNS:
            if logical in self.roles:
                self.columns[logical] = self.roles[logical][0]
        if "ref" not in self.columns:
            self.notes.append("No column looks like your reference: name it under `columns: ref`.")

    def place_names(self) -> None:
        if "middle" in self.roles and "forename" in self.columns:
            self.combine["forename"] = (self.columns.pop("forename"), self.roles["middle"][0])
        whole = self.roles.get("full_name")
        has = {"forename", "surname"} & (self.columns.keys() | self.combine.keys())
        if not whole or len(has) == 2:
            return
        if has:
            self.notes.append("There is a whole name beside one part of it; only the part is used.")
            return
        order = _name_order(self.sample(whole[0]))
        self.split[whole[0]] = order
        self.notes.append(f"The whole name is read as {order}; check it (surname_first or forename_first).")

    def place_address(self) -> None:
        lines = self.roles.get("address_line", [])
        if "address" not in self.columns and lines:
            if len(lines) == 1:
                self.columns["address"] = lines[0]
            else:
                self.combine["address"] = tuple(lines)

    def read_dates(self) -> None:
        for logical in ("dob", "record_date"):
            if logical not in self.columns:
                continue
            formats, is_open = guess_formats(
                pc.unique(self.sample(self.columns[logical]).drop_null()).to_pylist()
            )
            if formats:
                self.dates[logical] = formats
            else:
                self.notes.append(f"No date format fits {logical}; most forms are read without one.")
            if is_open:
                self.notes.append(f"Nothing in {logical} tells day from month; day first is taken.")

    def read_codes(self) -> None:
        for logical in sorted({"sex", "case_status"} & self.columns.keys()):
            shown, hidden = guess_codes(logical, self.sample(self.columns[logical]))
            if shown:
                self.codes[logical] = shown
            if unknown := sum(not ours for ours in shown.values()):
                self.notes.append(f"{unknown} code(s) of {logical} are not known: fill them in.")
            if hidden:
                self.notes.append(
                    f"{hidden} value(s) of {logical} are no short codes: look them up yourself."
                )

    def read_standards(self) -> None:
        for field in ("postcode", "nhs_number"):
            header = self.columns.get(field)
            if header is not None and guess_standards(field, self.sample(header)) == "generic":
                self.standards[field] = "generic"
        for field in self.standards:
            self.notes.append(
                f"Most values of {field} are not of the UK form: generic is drafted, agree it with all."
            )


def guess_mapping(table: pa.Table, *, agency: str, source: str) -> Guess:
    """Draft a mapping of `table`.

    Args:
        table: The extract under its own headers.
        agency: Name of the entry.
        source: The file, for messages.

    Raises:
        ExtractError: Fewer than two headers are known, so the first line may be a person's data; none is repeated.
    """
    draft = _Draft(table, source)
    if sum(map(len, draft.roles.values())) < 2:
        raise ExtractError(
            "fewer than two columns have a name that is known, so the first line may not be the header.",
            where=source,
            remedy="Make the first line the header, or write mapping.yaml by hand (docs/guides/extracts.md).",
        )
    for step in (
        draft.place_columns,
        draft.place_names,
        draft.place_address,
        draft.read_dates,
        draft.read_codes,
        draft.read_standards,
    ):
        step()
    used = {
        *draft.columns.values(),
        *draft.split,
        *(part for parts in draft.combine.values() for part in parts),
    }
    return Guess(
        agency=agency,
        columns=draft.columns,
        combine=draft.combine,
        split=draft.split,
        dates=draft.dates,
        codes=draft.codes,
        standards=draft.standards,
        unrecognised=tuple(header for header in table.column_names if header and header not in used),
        notes=tuple(draft.notes),
    )
