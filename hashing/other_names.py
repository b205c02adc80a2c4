"""Other names of a person: known as, maiden and previous names, aliases; written in a name or in columns of their own.

Each gives one more version of the person, made of the latest record with the other name in it. A forename takes the
place of the forename, a surname that of the surname, a whole name that of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing import normalise
from hashing.coding import Coded, Codes

_LIST = re.compile(r"[;|\r\n]+")
MOST_IN_A_CELL = 20
"""Names read from one cell; a cell with more is no list of names."""

_Pair = tuple[str | None, str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherNames:
    """Other names of records, as codes of the normalised values of the forename and surname fields.

    Attributes:
        record: Record of each other name, int64, ascending.
        forename: Its forename, int32; -1 where the recorded one stays.
        surname: Its surname.
    """

    record: NDArray[np.int64]
    forename: NDArray[np.int32]
    surname: NDArray[np.int32]

    def under(self, number: NDArray[np.int64]) -> OtherNames:
        """Return the other names under the records' new numbers, without those whose record has none (-1)."""
        kept = number[self.record] >= 0
        return OtherNames(
            record=number[self.record[kept]], forename=self.forename[kept], surname=self.surname[kept]
        )


def _rows_of(codes: NDArray[np.int32], table: Mapping[int, Sequence[_Pair]]) -> list[tuple[int, _Pair]]:
    """Return record and pair for every record whose code has other names."""
    if not table:
        return []
    rows = np.flatnonzero(np.isin(codes, np.fromiter(table, dtype=np.int32)))
    return [
        (row, pair)
        for row, code in zip(rows.tolist(), codes[rows].tolist(), strict=True)
        for pair in table[code]
    ]


def split_list(cell: str, delimiter: str | None = None) -> list[str]:
    """Return the names in a cell: at semicolons, bars, line breaks, and at the mapping's delimiter."""
    parts = (
        _LIST.split(cell)
        if delimiter is None
        else [name for part in _LIST.split(cell) for name in part.split(delimiter)]
    )
    names = [part.strip() for part in parts if part.strip()]
    return names if len(names) <= MOST_IN_A_CELL else []


def _normalised(kind: str, texts: Iterable[str]) -> dict[str, str | None]:
    distinct = pa.array(list(dict.fromkeys(texts)), pa.string())
    rule = normalise.normalise_forename if kind == "forename" else normalise.normalise_surname
    return dict(zip(distinct.to_pylist(), rule(distinct).values.to_pylist(), strict=True))


def _of_cells(kind: str, cells: Sequence[str], delimiter: str | None) -> dict[int, list[_Pair]]:
    """Return place of a distinct cell -> its other names, normalised."""
    lists = [split_list(cell, delimiter) for cell in cells]
    if kind == "name":
        distinct = list(dict.fromkeys(name for names in lists for name in names))
        halves = normalise.split_full_name(pa.array(distinct, pa.string()))
        raw = dict(zip(distinct, zip(*(half.to_pylist() for half in halves), strict=True), strict=True))
        forenames = _normalised("forename", (pair[0] for pair in raw.values() if pair[0]))
        surnames = _normalised("surname", (pair[1] for pair in raw.values() if pair[1]))
        made = {
            name: (forenames.get(pair[0] or ""), surnames.get(pair[1] or "")) for name, pair in raw.items()
        }
    else:
        table = _normalised(kind, (name for names in lists for name in names))
        made = {name: (text, None) if kind == "forename" else (None, text) for name, text in table.items()}
    found = {
        place: [pair for pair in map(made.__getitem__, names) if pair != (None, None)]
        for place, names in enumerate(lists)
    }
    return {place: pairs for place, pairs in found.items() if pairs}


def _coded(texts: Sequence[str | None], field: Coded) -> tuple[NDArray[np.int32], pa.StringArray]:
    """Return the codes of texts among the values of a field, and its values with the new ones behind them."""
    array = pa.array(texts, pa.string())
    known = pc.index_in(array, value_set=field.values)
    fresh = pc.unique(array.filter(pc.and_(pc.is_null(known), pc.is_valid(array))))
    values = pa.concat_arrays([field.values, fresh])
    codes = pc.index_in(array, value_set=values).fill_null(-1).to_numpy(zero_copy_only=False)
    return np.where(np.array([text is None for text in texts], dtype=bool), -1, codes).astype(
        np.int32
    ), values


def other_names(
    written: Mapping[str, tuple[Codes, Mapping[int, tuple[str, ...]]]],
    columns: Mapping[str, tuple[Codes, Sequence[str]]],
    fields: dict[str, Coded],
    delimiter: str | None = None,
) -> OtherNames:
    """Return the other names of records; their values are added to those of `fields`, in place.

    Args:
        written: `forename` or `surname` -> code of each record, and the normalised other names in the text of a code.
        columns: `forename`, `surname` or `name` -> code of each record, and the cells that codes stand for.
        fields: Normalised identifiers of each record; other names of a field that is not there are not used.
        delimiter: What separates names in a list besides semicolons, bars and line breaks.
    """
    found: list[tuple[int, _Pair]] = []
    for kind, (codes, beside) in written.items():
        pairs = {
            code: [(name, None) if kind == "forename" else (None, name) for name in names]
            for code, names in beside.items()
        }
        found += _rows_of(codes, pairs)
    for kind, (codes, cells) in columns.items():
        found += _rows_of(codes, _of_cells(kind, cells, delimiter))
    used = ["forename" in fields, "surname" in fields]
    kept = {(row, pair[0] if used[0] else None, pair[1] if used[1] else None) for row, pair in found}
    listed = sorted(
        (each for each in kept if each[1:] != (None, None)),
        key=lambda each: (each[0], each[1] or "", each[2] or ""),
    )
    coded = [np.full(len(listed), -1, dtype=np.int32)] * 2
    for place, field in enumerate(("forename", "surname")):
        if field in fields:
            texts = [each[1] if place == 0 else each[2] for each in listed]
            coded[place], values = _coded(texts, fields[field])
            fields[field] = Coded(codes=fields[field].codes, values=values)
    record = np.array([each[0] for each in listed], dtype=np.int64)
    return OtherNames(record=record, forename=coded[0], surname=coded[1])
