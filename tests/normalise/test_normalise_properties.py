"""Rules that hold for every value, whatever it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashing import normalise as norm
from hashing.normalise import Normalised, Outcome

TODAY = date(2026, 6, 30)
NORMALISERS: dict[str, Callable[[pa.StringArray], Normalised]] = {
    "forename": norm.normalise_forename,
    "surname": norm.normalise_surname,
    "birth": lambda raw: norm.normalise_date(raw, formats=None, today=TODAY, is_birth=True),
    "record": lambda raw: norm.normalise_date(raw, formats=["%d.%m.%y"], today=TODAY, is_birth=False),
    "postcode uk": lambda raw: norm.normalise_postcode(raw, standard="uk"),
    "postcode generic": lambda raw: norm.normalise_postcode(raw, standard="generic"),
    "nhs": lambda raw: norm.normalise_nhs_number(raw, standard="nhs"),
    "identifier": lambda raw: norm.normalise_nhs_number(raw, standard="generic"),
    "uprn": norm.normalise_uprn,
    "address": norm.normalise_address,
    "sex": lambda raw: norm.normalise_sex(raw, codes=None),
}
DERIVERS: dict[str, Callable[[pa.StringArray], dict[str, pa.StringArray]]] = {
    "forename": lambda values: norm.derive_name(values, kind="forename"),
    "surname": lambda values: norm.derive_name(values, kind="surname"),
    "birth": norm.derive_date,
    "postcode uk": lambda values: norm.derive_postcode(values, standard="uk"),
    "postcode generic": lambda values: norm.derive_postcode(values, standard="generic"),
    "address": norm.derive_address,
}
ALPHABETS = {
    "forename": r"[A-Z]+( [A-Z]+)*",
    "surname": r"[A-Z]+( [A-Z]+)*",
    "birth": r"(19|20)\d\d-\d\d-\d\d",
    "record": r"(19|2[01])\d\d-\d\d-\d\d",
    "postcode uk": r"[A-Z]{1,2}\d[A-Z\d]?( \d|\d[A-Z]{2})?",
    "postcode generic": r"[A-Z0-9]{2,}",
    "nhs": r"\d{10}",
    "identifier": r"[A-Z0-9]{4,}",
    "uprn": r"[1-9]\d{0,11}",
    "address": r"[A-Z0-9]+( [A-Z0-9]+)*",
    "sex": r"[MFX]",
}
# Pieces that meet the rules more often than random text does.
PIECES = st.sampled_from(
    [
        *(
            "mr",
            "Dr.",
            "jr",
            "III",
            "nee",
            "née",
            "aka",
            "a.k.a.",
            "known as",
            "or",
            "now",
            "born",
            "(",
            ")",
            '"',
            "'",
            "/",
        ),
        *(
            "O",
            "Mc",
            "mac",
            "de",
            "van",
            "al-",
            "bin",
            "st",
            "st.",
            "baby",
            "twin 1",
            "n/a",
            "-",
            ".",
            ",",
            "unknown",
            "x",
        ),
        *(
            "Anne",
            "marie",
            "JOSÉ",
            "Мухаммад",
            "محمد",
            "小明",
            "ø",
            "ß",
            "12",
            "12a",
            "A",
            "b",
            "flat",
            "road",
            "high",
        ),
        *(
            "LS6",
            "3ab",
            "LS6 3AB",
            "ab1",
            "2cd",
            "1",
            "3",
            "03",
            "2011",
            "11",
            "mar",
            "march",
            "th",
            "2nd",
            "floor",
            ":",
        ),
        *(
            "T",
            "00:00",
            "uk",
            "england",
            "&",
            "c/o",
            "NFA",
            "0",
            "9999",
            "obe",
            "ne",
            "o'",
            "to be",
            "k/a",
            "\u200b",
            "\x00",
        ),
    ]
)
WRITTEN = st.lists(PIECES, max_size=7).flatmap(
    lambda pieces: st.sampled_from(["", " ", "  ", "-", "/"]).map(lambda joint: joint.join(pieces))
)
ANY_TEXT = st.one_of(st.text(max_size=40), WRITTEN)
COLUMN = st.lists(st.one_of(st.none(), ANY_TEXT), max_size=12)
FIELDS = pytest.mark.parametrize("field", NORMALISERS)


def column(values: list[str | None]) -> pa.StringArray:
    """An Arrow column."""
    return pa.array(values, pa.string())


@FIELDS
@settings(max_examples=45, deadline=None)
@given(values=COLUMN)
def test_outcomes_and_values_agree(field: str, values: list[str | None]) -> None:
    """Nothing raises; there is a value exactly where the outcome is OK, of the documented alphabet; null is missing."""
    result = NORMALISERS[field](column(values))
    assert len(result.values) == len(result.outcomes) == len(values)
    assert result.outcomes.dtype == np.uint8
    for raw, value, outcome in zip(values, result.values.to_pylist(), result.outcomes, strict=True):
        assert (value is not None) == (outcome == Outcome.OK)
        assert value is None or re.fullmatch(ALPHABETS[field], value)
        assert outcome == Outcome.MISSING if raw is None or not raw.strip(" ") else True


@FIELDS
@settings(max_examples=60, deadline=None)
@given(values=COLUMN)
def test_a_normalised_value_normalises_to_itself(field: str, values: list[str | None]) -> None:
    """Normalising twice is normalising once."""
    once = NORMALISERS[field](column(values)).values
    kept = once.drop_null()
    again = NORMALISERS[field](kept)
    assert again.values.to_pylist() == kept.to_pylist()


@FIELDS
@settings(max_examples=30, deadline=None)
@given(value=WRITTEN)
def test_case_and_outer_spaces_do_not_matter(field: str, value: str) -> None:
    """Lower case, capitals and spaces around a value give the same."""
    result = NORMALISERS[field](column([value])).values.to_pylist()
    ascii_only = "".join(character if character.isascii() else "e" for character in value)
    lower, upper = (
        NORMALISERS[field](column([text])).values for text in (ascii_only.lower(), ascii_only.upper())
    )
    assert lower.equals(upper)
    assert NORMALISERS[field](column([f"  {value} "])).values.to_pylist() == result


@pytest.mark.parametrize("field", [name for name in NORMALISERS if name not in ("birth", "record")])
@settings(max_examples=30, deadline=None)
@given(values=COLUMN)
def test_a_value_does_not_depend_on_its_neighbours(field: str, values: list[str | None]) -> None:
    """Only dates may look at the rest of their column."""
    together = NORMALISERS[field](column(values))
    alone = [NORMALISERS[field](column([value])) for value in values]
    assert together.values.to_pylist() == [single.values[0].as_py() for single in alone]
    assert together.outcomes.tolist() == [int(single.outcomes[0]) for single in alone]


@pytest.mark.parametrize("field", DERIVERS)
@settings(max_examples=45, deadline=None)
@given(values=COLUMN)
def test_derived_values_are_functions_of_the_normalised_value(field: str, values: list[str | None]) -> None:
    """Same value, same derived values, whatever stands beside it; null gives null; nothing derived is empty."""
    normalised = NORMALISERS[field](column(values)).values
    derived = DERIVERS[field](normalised)
    for row, value in enumerate(normalised.to_pylist()):
        alone = DERIVERS[field](column([value]))
        assert list(alone) == list(derived)
        for name, single in alone.items():
            assert derived[name][row].as_py() == single[0].as_py(), name
            assert single[0].as_py() != ""
            assert value is not None or single[0].as_py() is None


@FIELDS
def test_empty_columns_and_other_arrow_layouts(field: str) -> None:
    """Empty, sliced, chunked, dictionary-coded and all-null columns are read alike."""
    values = ["x", "LS6 3AB", None, "03/04/2011", "12 High Road", "male"]
    plain = NORMALISERS[field](column(values)).values.to_pylist()
    longer = column(["zzz", *values, "yyy"]).slice(1, len(values))
    chunked = pa.chunked_array([column(values[:2]), column(values[2:])])
    for layout in (
        longer,
        chunked,
        column(values).dictionary_encode(),
        column(values).cast(pa.large_string()),
    ):
        assert NORMALISERS[field](layout).values.to_pylist() == plain
    assert NORMALISERS[field](column([])).values.to_pylist() == []
    assert NORMALISERS[field](pa.nulls(2)).outcomes.tolist() == [Outcome.MISSING] * 2


@pytest.mark.parametrize("field", DERIVERS)
def test_derivers_take_empty_columns(field: str) -> None:
    """No rows in, no rows out."""
    assert {len(part) for part in DERIVERS[field](column([])).values()} == {0}
