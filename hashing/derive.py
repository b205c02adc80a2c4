"""Derived values of every version, as codes: each is computed once for each distinct normalised value."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from hashing import normalise
from hashing.coding import Coded, combine, recode
from hashing.subjects import Subjects
from schemas.scheme import DERIVED

RARE_SHARE = 1 / 4000
"""A name is rare when at most this share of an agency's versions bear it."""

MID_SHARE = 1 / 500
"""A name is uncommon when at most this share of an agency's versions bear it."""


def _kinds(field: str, values: pa.StringArray, standards: Mapping[str, str]) -> dict[str, pa.StringArray]:
    match field:
        case "forename" | "surname":
            return normalise.derive_name(values, kind=field)
        case "dob":
            return normalise.derive_date(values)
        case "postcode":
            made = normalise.derive_postcode(
                values, standard="generic" if standards.get("postcode") == "generic" else "uk"
            )
            # A generic postcode too short to have a district would agree at a fine level and not at a coarse one.
            present = pc.is_valid(made["district"])
            return {kind: pc.if_else(present, column, None) for kind, column in made.items()}
        case "address":
            return normalise.derive_address(values)
        case _:
            return {"exact": values}


def _name_set(forename: Coded, surname: Coded) -> Coded:
    """Both names in alphabetical order, so that swapped columns give the same value."""
    pairs, count = combine([forename.codes, surname.codes])
    first_row = np.empty(count, dtype=np.int64)
    first_row[pairs[::-1]] = np.arange(len(pairs))[::-1]

    def texts(coded: Coded) -> pa.StringArray:
        codes = coded.codes[first_row]
        return coded.values.take(pa.array(codes, mask=codes < 0))

    left, right = texts(forename), texts(surname)
    swap = pc.greater(left, right)
    joined = pc.binary_join_element_wise(
        pc.if_else(swap, right, left), pc.if_else(swap, left, right), "|", null_handling="emit_null"
    )
    return recode(Coded(codes=pairs.astype(np.int32), values=pa.nulls(count, pa.string())), joined)


def derive(subjects: Subjects) -> dict[str, Coded]:
    """Return every derived value that the subjects' fields allow: name -> codes of each version.

    The rarity classes are no values of their own; see `rarity`.
    """
    derived: dict[str, Coded] = {}
    for field, coded in subjects.fields.items():
        for kind, values in _kinds(field, coded.values, subjects.standards).items():
            name = f"{field}.{kind}"
            if name in DERIVED:
                derived[name] = recode(coded, values)
    if {"forename.canonical", "surname.canonical"} <= derived.keys():
        derived["name_set"] = _name_set(derived["forename.canonical"], derived["surname.canonical"])
    return derived


def rarity(exact: Coded) -> dict[str, NDArray[np.bool_]]:
    """Return, for the classes `rare` and `mid`, whether each version's name belongs to the class.

    Judged by the agency's own counts: an extract of a few thousand people is enough to tell a name that one
    person in 500 bears from one that one in 4,000 bears. A name near the border may be judged differently by two
    agencies; their tokens then disagree at that level and agree at the next one, so nothing false is claimed.
    """
    present = exact.codes[exact.codes >= 0]
    counts = np.bincount(present, minlength=max(len(exact.values), 1))
    total = max(len(present), 1)
    share = np.where(exact.codes >= 0, counts[exact.codes] / total, 1.0)
    # With fewer than 4,000 people no share can be that small: a name borne once counts as rare.
    once = np.where(exact.codes >= 0, counts[exact.codes] == 1, False)
    return {"rare": (share <= RARE_SHARE) | once, "mid": (share <= MID_SHARE) | once}


def with_rarity(derived: Mapping[str, Coded]) -> dict[str, Coded]:
    """Add `forename.rare` and so on as values that are missing outside their class (for counting, not sealing)."""
    result = dict(derived)
    for field in ("forename", "surname"):
        exact = derived.get(f"{field}.exact")
        if exact is not None:
            for kind, member in rarity(exact).items():
                codes = np.where(member, exact.codes, np.int32(-1))
                result[f"{field}.{kind}"] = Coded(codes=codes, values=exact.values)
    return result
