"""From the columns of a source to logical columns: rename, combine, split, constants, as a mapping says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashing.coding import encode
from hashing.mapping import ALSO, COLUMNS, AgencyMapping
from hashing.normalise import split_full_name
from hashing.normalise._words import words
from hashing.reading.hashes import text_buffers
from hashing.reading.table import cell_text, fold
from schemas.errors import ExtractError, MappingError

_BETWEEN = {"address": ", "}
"""What stands between combined cells, where it is not a space."""
_NUMBERS = frozenset({"ref", "nhs_number"})
"""What would join different people if it were cut short. A UPRN with an exponent is invalid in any case."""
_CUT_SHORT = r"^\s*[0-9]([.][0-9]+)?E[+][0-9]+\s*$"
_EXACT = 2.0**53
"""Floats below it hold whole numbers exactly (IEEE 754, binary64)."""


def _each_value(array: pa.Array) -> pa.StringArray:
    coded = array.dictionary_encode()
    return pa.array(map(cell_text, coded.dictionary.to_pylist()), pa.string()).take(coded.indices)


def _of_floats(array: pa.Array) -> pa.StringArray:
    """Return floats as text: statistics packages hold whole numbers with gaps so; Arrow's own text has exponents."""
    known = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
    whole = pc.and_(pc.equal(pc.floor(known), known), pc.less(pc.abs(known), _EXACT))
    if pc.all(whole).as_py() is False:
        return _each_value(known)
    return known.cast(pa.int64()).cast(pa.string())


def _local(array: pa.Array) -> pa.Array:
    try:
        return pc.local_timestamp(array)
    except pa.ArrowInvalid:  # Arrow finds no list of zones on Windows; Python brings one (tzdata)
        times = [time and time.replace(tzinfo=None) for time in array.to_pylist()]
        return pa.array(times, pa.timestamp("us"))


def _of_times(array: pa.Array) -> pa.StringArray:
    """Return timestamps as they were written in their own zone, without fractions; as dates where none has a time."""
    local = array if array.type.tz is None else _local(array)
    seconds = pc.floor_temporal(local, unit="second").cast(pa.timestamp("s"))
    days = seconds.cast(pa.date32(), safe=False)
    if pc.all(pc.equal(days.cast(pa.timestamp("s")), seconds)).as_py() is False:
        return seconds.cast(pa.string())
    return days.cast(pa.string())


def _plain_text(array: pa.Array) -> pa.Array:
    """Return values as the text that an export would hold, as cells of workbooks and databases become text."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return pa.DictionaryArray.from_arrays(array.indices, _plain_text(array.dictionary))
    if pa.types.is_floating(kind):
        return _of_floats(array.cast(pa.float64()))
    if pa.types.is_timestamp(kind):
        return _of_times(array)
    if pa.types.is_boolean(kind) or (pa.types.is_decimal(kind) and kind.scale != 0):
        return _each_value(array)
    return array.cast(pa.string())


def as_text(array: pa.Array, header: str, source: str) -> pa.Array:
    """Return a column as text: strings, or dictionary-coded strings if it is dictionary-coded.

    Args:
        array: The column.
        header: Its header, for messages.
        source: The source, for messages.

    Raises:
        ExtractError: It holds something else than text, numbers or dates.
    """
    if pa.types.is_string(array.type):
        return array
    if pa.types.is_dictionary(array.type) and pa.types.is_string(array.type.value_type):
        return array
    try:
        return _plain_text(array)
    except (pa.ArrowException, ValueError, KeyError):  # KeyError: an unknown zone
        raise ExtractError(
            "the column does not hold text, numbers or dates.",
            where=f"{source}, column {header!r}",
            remedy="Export it as text.",
        ) from None


def _holds(texts: pa.StringArray, letter: int) -> bool:
    """Tell whether a byte occurs in texts; nulls may hide one, which serves to rule it out quickly."""
    offsets, data = text_buffers(texts)
    return bool((data[offsets[0] : offsets[-1]] == letter).any())


def cut_numbers(texts: pa.Array) -> bool:
    """Tell whether a text column holds a number with an exponent, as spreadsheets write those they have no room for."""
    plain = texts.dictionary if pa.types.is_dictionary(texts.type) else texts
    if not _holds(plain, ord("+")):
        return False
    likely = plain.filter(pc.match_substring(plain, "E+"))  # far quicker than the expression alone
    return bool(pc.any(pc.match_substring_regex(likely, _CUT_SHORT)).as_py())


def plain_strings(array: pa.Array) -> pa.StringArray:
    """Return a text column without dictionary coding."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _wanted(mapping: AgencyMapping) -> Iterator[tuple[str, str]]:
    """Yield what the mapping takes from the extract: logical column and header."""
    yield from mapping.columns.items()
    for logical, headers in mapping.combine.items():
        yield from ((logical, header) for header in headers)
    for header in mapping.split:
        yield "the whole name", header
    for kind, headers in mapping.also.items():
        yield from ((f"another {kind}", header) for header in headers)


def _columns_hint(headers: Sequence[str], mapping: AgencyMapping) -> str:
    """Name the columns, unless the first line may be a person's data: then no name of it is one that is expected."""
    expected = {fold(name) for name in (*COLUMNS, *(header for _, header in _wanted(mapping)))}
    if expected & {fold(header) for header in headers}:
        return f"Its columns are: {', '.join(headers)}."
    return "None of its columns has an expected name; the first line must be the header."


def _renamed(headers: dict[str, str], mapping: AgencyMapping) -> dict[str, str]:
    """Return logical column -> header, for the columns that are taken as they are."""
    made = {*mapping.combine, *mapping.constants} | ({"forename", "surname"} if mapping.split else set())
    found = {}
    for logical in COLUMNS:
        header = headers.get(fold(mapping.columns.get(logical, logical)))
        if header is not None and logical not in made:
            found[logical] = header
    return found


def _combined(parts: Sequence[pa.StringArray], between: str) -> pa.StringArray:
    """Join the cells of each row that are not empty; null where all are."""
    empty = pa.scalar(None, pa.string())
    joined: pa.StringArray | None = None
    for part in parts:
        trimmed = pc.utf8_trim_whitespace(part)
        filled = pc.if_else(pc.equal(trimmed, ""), empty, trimmed)
        if joined is None:
            joined = filled
            continue
        both = pc.binary_join_element_wise(joined, filled, between, null_handling="emit_null")
        joined = pc.coalesce(both, joined, filled)
    return joined


def _plain(word: str) -> str:
    return "".join(filter(str.isalpha, word)).upper()


def with_comma(name: str) -> str:
    """Return "Surname Forenames" as "Surname, Forenames"; particles stay with the surname, titles before it go.

    A name that has a comma already says so itself and stays.
    """
    parts = name.split()
    if "," in name or len(parts) < 2:
        return name
    titles = words("title", "forename") | words("title", "surname")
    particles = words("particle", "surname")
    start = 1 if len(parts) > 2 and _plain(parts[0]) in titles else 0
    end = start
    while end < len(parts) - 2 and _plain(parts[end]) in particles:
        end += 1
    return f"{' '.join(parts[start : end + 1])}, {' '.join(parts[end + 1 :])}"


def _split_names(raw: pa.StringArray, order: str) -> tuple[pa.StringArray, pa.StringArray]:
    """Return forenames and surnames of whole names; each distinct name is split once."""
    coded = encode(raw)
    distinct = coded.values
    if order == "surname_first":
        distinct = pa.array([with_comma(name) for name in distinct.to_pylist()], pa.string())
    forenames, surnames = split_full_name(distinct)
    rows = pa.array(coded.codes, mask=coded.codes < 0)
    return forenames.take(rows), surnames.take(rows)


class LogicalColumns:
    """How the columns of a source become logical columns; the headers are checked once, before any row is read.

    Args:
        names: Headers of the source.
        mapping: What the mapping says.
        source: The source, for messages.

    Raises:
        ExtractError: There is no reference column.
        MappingError: The mapping names a column that the source does not have.
    """

    def __init__(self, names: Sequence[str], mapping: AgencyMapping, source: str) -> None:
        self._headers = {fold(header): header for header in names}
        self._mapping, self._source = mapping, source
        for logical, wanted in _wanted(mapping):
            if fold(wanted) not in self._headers:
                raise MappingError(
                    f"the mapping says {logical} is in the column {wanted!r}, which the extract does not have.",
                    where=source,
                    remedy=_columns_hint(names, mapping),
                )
        self._renamed = _renamed(self._headers, mapping)
        if "ref" not in self._renamed:
            raise ExtractError(
                "there is no column `ref`, so no result could ever be given back.",
                where=source,
                remedy="Name the column with the local reference in mapping.yaml, under columns: ref.",
            )
        made = {*self._renamed, *mapping.combine, *mapping.constants}
        made |= {"forename", "surname"} if mapping.split else set()
        also = [logical for kind, logical in ALSO.items() if kind in mapping.also]
        self.names = (*(logical for logical in COLUMNS if logical in made), *also)

    def used(self) -> list[str]:
        """Return the headers that are made use of, in the order of the source."""
        wanted = {fold(header) for _, header in _wanted(self._mapping)}
        wanted |= {fold(header) for header in self._renamed.values()}
        return [header for folded, header in self._headers.items() if folded in wanted]

    def of(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """Return logical column -> text of a batch, in the order of the contract; then those of other names.

        Raises:
            ExtractError: A column holds no text, or references or numbers of people that were cut short.
        """

        def column(header: str) -> pa.Array:
            header = self._headers[fold(header)]
            return as_text(batch.column(header), header, self._source)

        found = {logical: column(header) for logical, header in self._renamed.items()}
        for logical, parts in self._mapping.combine.items():
            cells = [plain_strings(column(header)) for header in parts]
            found[logical] = _combined(cells, _BETWEEN.get(logical, " "))
        for header, order in self._mapping.split.items():
            whole = plain_strings(column(header))
            found["forename"], found["surname"] = _split_names(whole, order)
        for kind, headers in self._mapping.also.items():
            cells = [plain_strings(column(header)) for header in headers]
            found[ALSO[kind]] = _combined(cells, "\n")
        for logical, constant in self._mapping.constants.items():
            found[logical] = _constant(constant, batch.num_rows)
        for logical in _NUMBERS & found.keys():
            self._refuse_cut_numbers(logical, found[logical])
        return {logical: found[logical] for logical in self.names}

    def _refuse_cut_numbers(self, logical: str, texts: pa.Array) -> None:
        if cut_numbers(texts):
            raise ExtractError(
                "holds numbers that a spreadsheet has cut short (like 1.23E+11): different people have the same one.",
                where=f"{self._source}, column {self._renamed[logical]!r}",
                remedy="Export it again with this column as text; do not open it in a spreadsheet in between.",
            )


def _constant(value: str, rows: int) -> pa.DictionaryArray:
    places = pa.array(np.zeros(rows, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(places, pa.array([value], pa.string()))
