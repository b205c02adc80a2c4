"""From the columns of a source to logical columns: rename, combine, split, constants, as a mapping says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from hashing.coding import encode
from hashing.mapping import COLUMNS, AgencyMapping
from hashing.normalise import split_full_name
from hashing.normalise._words import words
from hashing.reading.table import fold
from schemas.errors import ExtractError, MappingError

_BETWEEN = {"address": ", "}
"""What stands between combined cells, where it is not a space."""


def as_text(column: pa.ChunkedArray, logical: str, source: str) -> pa.StringArray:
    """Return a column as one text array.

    Raises:
        ExtractError: It holds something else than text, numbers or dates.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.string())
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        return array if pa.types.is_string(array.type) else array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ExtractError(
            f"the column for {logical} does not hold text, numbers or dates.",
            where=source,
            remedy="Export it as text.",
        ) from None


def _wanted(mapping: AgencyMapping) -> Iterator[tuple[str, str]]:
    """Yield what the mapping takes from the extract: logical column and header."""
    yield from mapping.columns.items()
    for logical, headers in mapping.combine.items():
        yield from ((logical, header) for header in headers)
    for header in mapping.split:
        yield "the whole name", header


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


def logical_columns(table: pa.Table, mapping: AgencyMapping, source: str) -> dict[str, pa.StringArray]:
    """Return logical column -> text, in the order of the contract.

    Raises:
        ExtractError: There is no reference column, or a column holds no text.
        MappingError: The mapping names a column that the table does not have.
    """
    headers = {fold(header): header for header in table.column_names}
    for logical, wanted in _wanted(mapping):
        if fold(wanted) not in headers:
            raise MappingError(
                f"the mapping says {logical} is in the column {wanted!r}, which the extract does not have.",
                where=source,
                remedy=_columns_hint(table.column_names, mapping),
            )
    renamed = _renamed(headers, mapping)
    if "ref" not in renamed:
        raise ExtractError(
            "there is no column `ref`, so no result could ever be given back.",
            where=source,
            remedy="Name the column with the local reference in mapping.yaml, under columns: ref.",
        )

    def column(header: str, logical: str) -> pa.StringArray:
        return as_text(table.column(headers[fold(header)]), logical, source)

    found = {logical: column(header, logical) for logical, header in renamed.items()}
    for logical, parts in mapping.combine.items():
        cells = [column(header, logical) for header in parts]
        found[logical] = _combined(cells, _BETWEEN.get(logical, " "))
    for header, order in mapping.split.items():
        found["forename"], found["surname"] = _split_names(column(header, "the whole name"), order)
    for logical, constant in mapping.constants.items():
        found[logical] = pa.repeat(pa.scalar(constant, pa.string()), table.num_rows)
    return {logical: found[logical] for logical in COLUMNS if logical in found}
