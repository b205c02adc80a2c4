"""Draft a mapping from the headers of an extract and a sample of its cells, for a person to correct."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from hashing.mapping import COLUMNS
from hashing.normalise import Outcome, guess_standards, normalise_sex
from hashing.reading.columns import as_text, cut_numbers, plain_strings
from hashing.reading.headers import role_of
from hashing.subjects import CLOSED_WORDS, OPEN_WORDS
from schemas.errors import ExtractError

SAMPLED_ROWS = 20_000
_SAMPLED_DATES = 1000
_MOST_CODES = 8
_LONGEST_CODE = 3
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
    *("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M"),
)
"""Formats tried, the likeliest in this country first: where two read as much, the first is taken."""
_WORTH_A_FORMAT = 0.01
"""Share of the sampled dates that a second format must read."""
_SERIAL = re.compile("[1-7][0-9]{4}([.][0-9]+)?")
"""Day numbers of spreadsheets from 1927 to 2119."""
_YES, _NO = frozenset({"Y", "YES", "TRUE", "T", "1"}), frozenset({"N", "NO", "FALSE", "F", "0"})
_ENOUGH = 50
_FEWEST_DISTINCT = 0.02
"""Share of the rows from which a column may be the reference of people who are seen several times."""
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


def _roles(table: pa.Table) -> dict[str, list[str]]:
    """Return role -> headers: those with a value in the sample before empty ones, then the likeliest first."""
    found = [(role_of(header), _is_empty(table, header), header) for header in table.column_names]
    ranked = sorted(
        (empty, known[1], known[0], header) for known, empty, header in found if known is not None
    )
    roles: dict[str, list[str]] = {}
    for _, _, role, header in ranked:
        roles.setdefault(role, []).append(header)
    return roles


def _is_empty(table: pa.Table, header: str) -> bool:
    column = table.column(header)
    return bool(column.null_count == len(column))


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


def _begins_with_a_house(addresses: pa.StringArray) -> bool:
    """Tell whether most addresses hold a figure, which would be the house."""
    present = addresses.drop_null()
    figures = pc.sum(
        pc.match_substring_regex(present, r"^\W*(?:flat|unit|apartment)?\W*\d", ignore_case=True)
    )
    return 2 * (figures.as_py() or 0) > len(present)


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
        self.roles = _roles(self.table)
        self.is_closed_flag = False
        self.columns: dict[str, str] = {}
        self.combine: dict[str, tuple[str, ...]] = {}
        self.split: dict[str, str] = {}
        self.dates: dict[str, tuple[str, ...]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.standards: dict[str, str] = {}
        self.notes: list[str] = []

    def sample(self, header: str) -> pa.StringArray:
        column = self.table.column(header).unify_dictionaries().combine_chunks()
        return plain_strings(as_text(column, header, self.source))

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
        """Put an address together from its parts, in the order in which it is written."""
        house = self.roles.get("address_house", [])
        lines = self.roles.get("address_line", [])
        if "address" in self.columns:
            whole = self.columns["address"]
            if house and not _begins_with_a_house(self.sample(whole)):
                self.combine["address"] = (*house, self.columns.pop("address"))
            return
        parts = (*house, *lines, *self.roles.get("address_town", []))
        if lines and len(parts) == 1:
            self.columns["address"] = lines[0]
        elif lines:
            self.combine["address"] = parts

    def place_closed(self) -> None:
        """Take a column that says whether a case is closed where none says whether it is open."""
        if "case_status" in self.columns or "closed" not in self.roles:
            return
        header = self.roles["closed"][0]
        texts = {text.strip().upper() for text in pc.unique(self.sample(header).drop_null()).to_pylist()}
        if texts <= _YES | _NO | {""}:
            self.columns["case_status"], self.is_closed_flag = header, True
        else:
            self.notes.append("A column about closing holds no yes and no, so it says nothing of open cases.")

    def read_dates(self) -> None:
        for logical in ("dob", "record_date"):
            if logical in self.columns:
                self._read_dates(
                    logical, pc.unique(self.sample(self.columns[logical]).drop_null()).to_pylist()
                )

    def _read_dates(self, logical: str, texts: list[str]) -> None:
        formats, is_open = guess_formats(texts)
        if formats:
            self.dates[logical] = formats
        elif not texts:
            self.notes.append(f"The column for {logical} is empty, at least where it was looked at.")
        elif all(_SERIAL.fullmatch(text.strip()) for text in texts):
            self.notes.append(f"{logical} holds day numbers of a spreadsheet; they are read as dates.")
        else:
            self.notes.append(f"No date format fits {logical}; most forms are read without one.")
        if is_open:
            self.notes.append(f"Nothing in {logical} tells day from month; day first is taken.")

    def read_codes(self) -> None:
        for logical in sorted({"sex", "case_status"} & self.columns.keys()):
            shown, hidden = guess_codes(logical, self.sample(self.columns[logical]))
            if logical == "case_status" and self.is_closed_flag:
                shown = {code: "closed" if code.strip().upper() in _YES else "open" for code in shown}
            if shown:
                self.codes[logical] = shown
            if unknown := sum(not ours for ours in shown.values()):
                self.notes.append(f"{unknown} code(s) of {logical} are not known: fill them in.")
            if hidden:
                self.notes.append(
                    f"{hidden} value(s) of {logical} are no short codes: look them up yourself."
                )

    def look_at_references(self) -> None:
        """Tell when what was taken for the reference hardly tells people apart."""
        if "ref" not in self.columns:
            return
        refs = self.sample(self.columns["ref"]).drop_null()
        if len(refs) == 0:
            self.notes.append("The column for ref is empty: name your reference under `columns: ref`.")
        elif len(refs) >= _ENOUGH and len(pc.unique(refs)) < _FEWEST_DISTINCT * len(refs):
            self.notes.append("The column for ref holds few different values: is it the person's reference?")

    def leave_out_cut_numbers(self) -> None:
        """Leave out numbers that a spreadsheet has shortened to a few digits; a reference stays, to be refused."""
        for logical in ("ref", "nhs_number", "uprn"):
            header = self.columns.get(logical)
            if header is None or not cut_numbers(self.sample(header)):
                continue
            self.notes.append(
                f"The column for {logical} went through a spreadsheet that cut its numbers short (like 1.23E+11): "
                "export it again as text."
            )
            if logical != "ref":
                del self.columns[logical]

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
            remedy="Make the first line the header; or write mapping.yaml by hand (docs/guides/extracts.md).",
        )
    for step in (
        draft.place_columns,
        draft.place_names,
        draft.place_address,
        draft.place_closed,
        draft.look_at_references,
        draft.leave_out_cut_numbers,
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
