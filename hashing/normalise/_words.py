"""The word lists that ship with the package: placeholders, titles, suffixes, particles."""

from __future__ import annotations

import csv
from functools import lru_cache
from importlib.resources import files

import numpy as np
import pyarrow as pa

from hashing.normalise._arrays import DIGITS, UPPER, Bytes, Column, Mask, is_in
from hashing.normalise.outcome import Outcome

DATA_FILES = (
    "address_words.csv",
    "name_families.csv",
    "nicknames.csv",
    "not_homes.csv",
    "placeholders.csv",
    "postcode_areas.csv",
    "words.csv",
)


def data_bytes(name: str) -> bytes:
    """The content of one shipped list, with the line ends of the repository."""
    return files("hashing.normalise").joinpath(f"data/{name}").read_bytes().replace(b"\r\n", b"\n")


def read_csv(name: str) -> list[dict[str, str]]:
    """The rows of one shipped list, by column name."""
    return list(csv.DictReader(data_bytes(name).decode("ascii").splitlines()))


@lru_cache(maxsize=16)
def placeholders(*kinds: str) -> frozenset[str]:
    """Phrases that stand for "no value" in a field of these kinds, in capitals with single spaces."""
    return frozenset(row["phrase"] for row in read_csv("placeholders.csv") if row["kind"] in kinds)


@lru_cache(maxsize=16)
def words(role: str, kind: str) -> frozenset[str]:
    """Words of one role (title, suffix, closing, particle, compound) for forenames or surnames."""
    return frozenset(
        row["word"] for row in read_csv("words.csv") if row["role"] == role and row["kind"] in (kind, "both")
    )


@lru_cache(maxsize=16)
def _squeezed(*kinds: str) -> pa.StringArray:
    return pa.array(sorted({phrase.replace(" ", "") for phrase in placeholders(*kinds)}), pa.string())


def is_placeholder(text: pa.StringArray, *kinds: str) -> Mask:
    """Flags whole values that stand for "no value": the general list, those of `kinds`, or only punctuation.

    Args:
        text: n values in ASCII capitals; null and empty are not placeholders (they are missing).
        kinds: Further kinds of the shipped list.
    """
    column = Column.of(text)
    letters = column.keep(UPPER)
    digits = column.count(DIGITS) > 0
    nothing = (column.lengths > 0) & (letters.lengths == 0) & ~digits
    return np.asarray(nothing | (~digits & is_in(letters.strings(), _squeezed("any", *kinds))))


def mark_placeholders(text: pa.StringArray, outcomes: Bytes, *kinds: str) -> None:
    """Turn INVALID into PLACEHOLDER, in place, where the value stands for "no value"."""
    rows = np.flatnonzero(outcomes == Outcome.INVALID)
    outcomes[rows[is_placeholder(text.take(pa.array(rows)), *kinds)]] = Outcome.PLACEHOLDER
