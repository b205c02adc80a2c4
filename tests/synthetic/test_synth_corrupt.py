"""What goes wrong with one value: each error is of its kind and nothing else."""

from __future__ import annotations

from random import Random

import jellyfish
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic import corrupt

NAMES = st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'- é", min_size=2, max_size=25)
SEEDS = st.integers(0, 2**32)
EVERY = [
    corrupt.keyboard,
    corrupt.digits,
    corrupt.phonetic,
    corrupt.ocr,
    corrupt.ocr_code,
    corrupt.postcode_keyed,
    corrupt.initial,
    corrupt.truncated,
    corrupt.half,
    corrupt.punctuation,
    corrupt.gender_ending,
    corrupt.name_placeholder,
    corrupt.infant_placeholder,
    corrupt.outward_only,
    corrupt.postcode_placeholder,
    corrupt.nhs_placeholder,
]


@given(NAMES, SEEDS)
def test_a_keying_error_is_one_edit(name, seed):
    """One insertion, deletion, substitution or transposition, case aside (Damerau 1964)."""
    typed = corrupt.keyboard(name, Random(seed))
    assert jellyfish.damerau_levenshtein_distance(name.lower(), typed.lower()) <= 1


@given(st.from_regex(r"[0-9]{10}", fullmatch=True), SEEDS)
def test_a_digit_error_keeps_the_length(number, seed):
    """One digit mistyped or two neighbours swapped; the result is as long and all digits."""
    typed = corrupt.digits(number, Random(seed))
    assert len(typed) == 10
    assert typed.isdigit()
    assert jellyfish.damerau_levenshtein_distance(number, typed) <= 1


@pytest.mark.parametrize("change", EVERY)
@given(text=st.text(min_size=1, max_size=30), seed=SEEDS)
def test_no_text_breaks_an_error_process(change, text, seed):
    """Every process takes any text and gives back a text."""
    assert isinstance(change(text, Random(seed)), str)


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (corrupt.half, "Silva Santos", {"Silva", "Santos"}),
        (corrupt.half, "Smith", {"Smith"}),
        (corrupt.punctuation, "O'Brien", {"OBrien", "O Brien", "O`Brien"}),
        (corrupt.punctuation, "MacDonald", {"McDonald"}),
        (corrupt.punctuation, "McDonald", {"MacDonald", "Mc Donald"}),
        (corrupt.gender_ending, "Kowalska", {"Kowalski"}),
        (corrupt.gender_ending, "Petrova", {"Petrov"}),
        (corrupt.outward_only, "WS1 2AB", {"WS1"}),
        (corrupt.initial, "Margaret", {"M", "M."}),
    ],
)
def test_what_each_process_does(change, before, after):
    """Known values of the processes whose results can be listed, all of them reached."""
    assert {change(before, Random(seed)) for seed in range(60)} == after


def test_neighbouring_keys_are_neighbours():
    """A substituted letter is next to the one that was meant."""
    near = {corrupt.keyboard("gg", Random(seed))[:1] for seed in range(400)}
    assert near <= set("gtyfhvbrnc")
