"""Simulated second records: copies of an agency's own versions with typical recording errors and gaps.

Used by the pass planner only, in memory. The rates are assumptions about administrative data of middling quality
(docs/adr/0005-plan-passes-by-simulation.md); a plan is robust to them because it weighs passes against each other.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hashing.coding import Coded, encode
from hashing.subjects import Subjects
from schemas.scheme import FIELDS

Column = list[str | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Errors:
    """Probability of each kind of difference between two records of one person.

    A share `messy` of the pairs has all of them `messy_factor` times as often, since errors come together.
    """

    name_typo: float = 0.03
    name_other: float = 0.02
    surname_changed: float = 0.03
    initial_only: float = 0.005
    names_swapped: float = 0.004
    day_month_swapped: float = 0.006
    date_part: float = 0.02
    date_other: float = 0.004
    sex_other: float = 0.006
    moved: float = 0.15
    postcode_typo: float = 0.015
    address_other: float = 0.05
    number_typo: float = 0.006
    messy: float = 0.25
    messy_factor: float = 4.0


ERRORS = Errors()


def typo(text: str, random: np.random.Generator) -> str:
    """Return `text` with one letter replaced, dropped, doubled up by another, or swapped with the next."""
    if not text:
        return text
    at = int(random.integers(len(text)))
    letter = string.ascii_uppercase[int(random.integers(26))]
    kind = int(random.integers(4))
    if kind == 0:
        return text[:at] + letter + text[at + 1 :]
    if kind == 1 and len(text) > 1:
        return text[:at] + text[at + 1 :]
    if kind == 2 and at + 1 < len(text):
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + letter + text[at:]


def _digit_typo(text: str, random: np.random.Generator) -> str:
    at = int(random.integers(len(text)))
    return text[:at] + str(int(random.integers(10))) + text[at + 1 :]


def _swap_day_month(text: str, _random: np.random.Generator) -> str:
    year, month, day = text.split("-")
    return f"{year}-{day}-{month}" if int(day) <= 12 else text


def _date_part(text: str, random: np.random.Generator) -> str:
    year, month, day = (int(part) for part in text.split("-"))
    kind = int(random.integers(3))
    if kind == 0:
        day = int(random.integers(1, 29))
    elif kind == 1:
        month = int(random.integers(1, 13))
        day = min(day, 28)
    else:
        year += int(random.choice([-10, -1, 1, 10]))
        day = min(day, 28)
    return f"{year:04d}-{month:02d}-{day:02d}"


def _initial(text: str, _random: np.random.Generator) -> str:
    return text[0]


class _Copies:
    """The copies being made: text columns, and the chance of errors of each row."""

    def __init__(self, columns: dict[str, Column], errors: Errors, random: np.random.Generator) -> None:
        self.columns = columns
        self.random = random
        self.rows = len(next(iter(columns.values())))
        messy = random.random(self.rows) < errors.messy
        self.factor = np.where(messy, errors.messy_factor, 1.0)

    def chosen(self, rate: float) -> list[int]:
        return np.flatnonzero(self.random.random(self.rows) < rate * self.factor).tolist()

    def edit(self, field: str, rate: float, change: Callable[[str, np.random.Generator], str]) -> None:
        column = self.columns.get(field)
        if column is None:
            return
        for row in self.chosen(rate):
            text = column[row]
            if text:
                column[row] = change(text, self.random)

    def other(self, fields: Sequence[str], rate: float) -> None:
        """Take these fields of another row, all together."""
        for row in self.chosen(rate):
            donor = int(self.random.integers(self.rows))
            for field in fields:
                if field in self.columns:
                    self.columns[field][row] = self.columns[field][donor]

    def swap_names(self, rate: float) -> None:
        if {"forename", "surname"} <= self.columns.keys():
            forename, surname = self.columns["forename"], self.columns["surname"]
            for row in self.chosen(rate):
                forename[row], surname[row] = surname[row], forename[row]


def _texts(coded: Coded, rows: NDArray[np.int64]) -> Column:
    codes = coded.codes[rows]
    texts: Column = coded.values.take(pa.array(codes, mask=codes < 0)).to_pylist()
    return texts


def _sampled(subjects: Sequence[Subjects], sample: int, random: np.random.Generator) -> dict[str, Column]:
    """Return text columns of `sample` versions drawn from all agencies together, by size."""
    sizes = np.array([len(each.version_subject) for each in subjects])
    drawn = random.multinomial(sample, sizes / sizes.sum())
    columns: dict[str, Column] = {
        field: [] for field in FIELDS if any(field in each.fields for each in subjects)
    }
    for each, count in zip(subjects, drawn.tolist(), strict=True):
        rows = random.integers(len(each.version_subject), size=count)
        for field, column in columns.items():
            coded = each.fields.get(field)
            column.extend([None] * count if coded is None else _texts(coded, rows))
    return columns


def _as_subjects(columns: dict[str, Column], like: Subjects) -> Subjects:
    rows = len(next(iter(columns.values())))
    return replace(
        like,
        count=rows,
        version_subject=np.arange(rows, dtype=np.int32),
        fields={field: encode(pa.array(column, type=pa.string())) for field, column in columns.items()},
    )


def perturb(
    subjects: Sequence[Subjects], *, sample: int, errors: Errors, random: np.random.Generator
) -> tuple[Subjects, Subjects]:
    """Return a sample of versions and, row by row, simulated other records of the same people.

    Args:
        subjects: Each agency's subjects.
        sample: Number of pairs.
        errors: Error rates.
        random: Source of randomness.
    """
    originals = _sampled(subjects, sample, random)
    copies = _Copies({field: list(column) for field, column in originals.items()}, errors, random)
    copies.other(["postcode", "uprn", "address"], errors.moved)
    copies.other(["address"], errors.address_other)
    copies.other(["surname"], errors.surname_changed)
    copies.other(["dob"], errors.date_other)
    copies.other(["sex"], errors.sex_other)
    for name in ("forename", "surname"):
        copies.edit(name, errors.name_typo, typo)
        copies.other([name], errors.name_other)
    copies.edit("forename", errors.initial_only, _initial)
    copies.swap_names(errors.names_swapped)
    copies.edit("dob", errors.day_month_swapped, _swap_day_month)
    copies.edit("dob", errors.date_part, _date_part)
    copies.edit("postcode", errors.postcode_typo, typo)
    copies.edit("nhs_number", errors.number_typo, _digit_typo)
    copies.edit("uprn", errors.number_typo, _digit_typo)
    gaps = _sampled(subjects, sample, random)
    order = random.permutation(sample)
    copied = {
        field: [
            None if gaps[field][row] is None else text
            for row, text in zip(order.tolist(), column, strict=True)
        ]
        for field, column in copies.columns.items()
    }
    return _as_subjects(originals, subjects[0]), _as_subjects(copied, subjects[0])
