"""Postcodes: UK (BS 7666, ONS pseudo-postcodes) and any other country's."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hashing.normalise import _words
from hashing.normalise._arrays import (
    ALNUM,
    DIGITS,
    UPPER,
    Bytes,
    Column,
    Mask,
    finish,
    is_in,
    matrix_strings,
    plain,
    same_character,
    start_outcomes,
)
from hashing.normalise.outcome import Normalised, Outcome

# Letters that a scanner or a typist writes for digits, and back; used only where the form forces the kind.
_LOOK_ALIKES = (("O", "0"), ("I", "1"), ("S", "5"), ("Z", "2"), ("B", "8"), ("G", "6"))
_MOST_REPAIRS = 2
_SECTOR_ONLY = r"^[A-Z]{1,2}[0-9][A-Z0-9]? [0-9]$"


def _look_alike(pairs: tuple[tuple[str, str], ...]) -> Bytes:
    table = np.arange(256, dtype=np.uint8)
    for wrong, right in pairs:
        table[ord(wrong)] = ord(right)
    return table


_TO_DIGIT = _look_alike((*_LOOK_ALIKES, ("L", "1")))
_TO_LETTER = _look_alike(tuple((right, wrong) for wrong, right in _LOOK_ALIKES))


@lru_cache(maxsize=1)
def _areas() -> npt.NDArray[np.bool_]:
    """Flags of shape (256, 256): first letter, second letter (0 for none)."""
    table = np.zeros((256, 256), dtype=bool)
    for row in _words.read_csv("postcode_areas.csv"):
        area = row["area"].encode("ascii")
        table[area[0], area[1] if len(area) == 2 else 0] = True
    return table


@lru_cache(maxsize=1)
def _not_homes() -> pa.StringArray:
    return pa.array([row["postcode"] for row in _words.read_csv("not_homes.csv")], pa.string())


def _outward(column: Column, lengths: npt.NDArray[np.int64]) -> Bytes:
    """The first `lengths` bytes of each value in a matrix of shape (n, 4), 0 beyond the end."""
    cells = np.zeros((len(column), 4), dtype=np.uint8)
    for position in range(4):
        cells[:, position] = np.where(lengths > position, column.at(position), 0)
    return cells


def _repair_outward(cells: Bytes, lengths: npt.NDArray[np.int64]) -> Bytes:
    """Letters and digits put right where the outward form (A9, A99, AA9, AA99, A9A, AA9A) leaves no choice."""
    fixed = cells.copy()
    fixed[:, 0] = _TO_LETTER[cells[:, 0]]
    two, four = lengths == 2, lengths == 4
    fixed[two, 1] = _TO_DIGIT[cells[two, 1]]
    fixed[four, 1] = _TO_LETTER[cells[four, 1]]
    fixed[four, 2] = _TO_DIGIT[cells[four, 2]]
    return fixed


def _outward_fits(cells: Bytes, lengths: npt.NDArray[np.int64]) -> Mask:
    """Whether each row of a matrix of shape (n, 4) is an outward code of a known area."""
    letter, digit = UPPER[cells], DIGITS[cells]
    two_letters = letter[:, 1]
    number = np.where(two_letters, digit[:, 2], digit[:, 1])
    last_at = np.where(two_letters, 3, 2)
    last = np.take_along_axis(cells, last_at[:, None], axis=1)[:, 0]
    area = _areas()[cells[:, 0], np.where(two_letters, cells[:, 1], 0)]
    size = lengths - two_letters
    return np.asarray(area & number & ((size == 2) | ((size == 3) & ALNUM[last])))


def _full(compact: Column) -> tuple[Bytes, Mask]:
    """Read every value as outward and inward code.

    Returns:
        Repaired postcodes as a matrix of shape (n, 7), and whether each is well formed.
    """
    lengths = compact.lengths
    outward_lengths = np.clip(lengths - 3, 0, 4)
    raw_outward = _outward(compact, outward_lengths)
    outward = _repair_outward(raw_outward, outward_lengths)
    raw_inward = np.stack([compact.at(position) for position in (-3, -2, -1)], axis=1)
    inward = np.stack(
        [_TO_DIGIT[raw_inward[:, 0]], _TO_LETTER[raw_inward[:, 1]], _TO_LETTER[raw_inward[:, 2]]], axis=1
    )
    repairs = (outward != raw_outward).sum(axis=1) + (inward != raw_inward).sum(axis=1)
    fits = (
        (lengths >= 5)
        & (lengths <= 7)
        & (repairs <= _MOST_REPAIRS)
        & _outward_fits(outward, outward_lengths)
        & DIGITS[inward[:, 0]]
        & UPPER[inward[:, 1]]
        & UPPER[inward[:, 2]]
    )
    return np.concatenate([outward, inward], axis=1), np.asarray(fits)


def _uk(raw: pa.StringArray, not_homes: Collection[str]) -> Normalised:
    text = plain(raw)
    outcomes = start_outcomes(text)
    compact = Column.of(text).keep(ALNUM)
    lengths = compact.lengths
    spaced = pc.replace_substring_regex(text, r"\s+", " ")
    sector_only = np.asarray(pc.fill_null(pc.match_substring_regex(spaced, _SECTOR_ONLY), False))
    cells, full = _full(compact)
    full &= ~sector_only
    outward_lengths = np.where(sector_only, lengths - 1, lengths)
    outward = _outward(compact, np.minimum(outward_lengths, 4))
    partial = ~full & (outward_lengths <= 4) & _outward_fits(outward, outward_lengths)
    outcomes[full | partial] = Outcome.OK
    written = compact.strings()
    values = pc.if_else(pa.array(full), matrix_strings(cells, ~full), written)
    values = pc.if_else(pa.array(sector_only), spaced, values)
    local = plain(pa.array(list(not_homes), pa.string()))
    dummy = is_in(written, _not_homes()) | is_in(values, _not_homes())
    dummy |= is_in(values, Column.of(local).keep(ALNUM).strings())
    # ONS/NHS pseudo-postcodes: ZZ99 and three more (no fixed abode, country of origin, not known).
    dummy |= np.asarray(pc.fill_null(pc.starts_with(written, "ZZ99"), False))
    outcomes[dummy] = Outcome.PLACEHOLDER
    _words.mark_placeholders(text, outcomes, "postcode")
    return finish(values, outcomes)


def _generic(raw: pa.StringArray) -> Normalised:
    text = plain(raw)
    outcomes = start_outcomes(text)
    compact = Column.of(text).keep(ALNUM)
    outcomes[compact.lengths >= 2] = Outcome.OK
    zeros = same_character(compact) & ((compact.at(0) == 48) | (compact.at(0) == 57))
    outcomes[zeros | _words.is_placeholder(text, "postcode")] = Outcome.PLACEHOLDER
    return finish(compact.strings(), outcomes)


def normalise_postcode(
    raw: pa.StringArray, *, standard: Literal["uk", "generic"], not_homes: Collection[str] = ()
) -> Normalised:
    """Normalise postcodes.

    Args:
        raw: n raw values.
        standard: `uk`: a full postcode compact ("AB12CD"), an outward code as given ("LS6"), or an outward
            code and sector with its space ("LS6 3"), without which "LS63" could be a district. Look-alike
            characters are put right where the form forces a letter or a digit, at most two in a postcode.
            Pseudo-postcodes and the shipped list of places that are nobody's home are placeholders.
            `generic`: letters and digits of any country, at least two.
        not_homes: Further postcodes to treat as placeholders (a local hospital, an agency's own offices).

    Returns:
        Capitals and digits; a space only in an outward code with sector.
    """
    return _uk(raw, not_homes) if standard == "uk" else _generic(raw)


def _cut(column: Column, drop: int) -> pa.StringArray:
    """Each value without its last `drop` bytes, null where nothing would be left."""
    texts = column.strings()
    return pc.if_else(pa.array(column.lengths > drop), pc.utf8_slice_codeunits(texts, 0, -drop), None)


def _derive_uk(values: pa.StringArray) -> dict[str, pa.StringArray]:
    compact = Column.of(values).keep(ALNUM)
    whole = np.asarray(
        DIGITS[compact.at(-3)] & UPPER[compact.at(-2)] & UPPER[compact.at(-1)] & (compact.lengths >= 5)
    )
    sector_only = np.asarray(pc.fill_null(pc.match_substring(values, " "), False))
    texts = compact.strings()
    null = pa.scalar(None, pa.string())
    sector = pc.if_else(pa.array(whole), _cut(compact, 2), pc.if_else(pa.array(sector_only), texts, null))
    district = pc.if_else(
        pa.array(whole), _cut(compact, 3), pc.if_else(pa.array(sector_only), _cut(compact, 1), texts)
    )
    district = pc.if_else(pc.is_null(values), null, district)
    return {
        "exact": pc.if_else(pa.array(whole), values, null),
        "sector": sector,
        "district": district,
        "area": pc.replace_substring_regex(district, "[0-9].*$", ""),
    }


def derive_postcode(
    values: pa.StringArray, *, standard: Literal["uk", "generic"]
) -> dict[str, pa.StringArray]:
    """Derived values of normalised postcodes.

    Args:
        values: n normalised postcodes or nulls.
        standard: As for `normalise_postcode`.

    Returns:
        `exact`, `sector`, `district`, `area`, n values each, null where the postcode is not that precise;
        for `generic`: the whole, all but the last, all but the last two, and the first character.
    """
    if standard == "uk":
        return _derive_uk(values)
    column = Column.of(values)
    area = pc.if_else(pc.is_valid(values), pc.utf8_slice_codeunits(values, 0, 1), None)
    return {"exact": values, "sector": _cut(column, 1), "district": _cut(column, 2), "area": area}
