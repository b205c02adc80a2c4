"""Rules of spelling and sound by a compiled kernel and by Python's regular expressions: the same, bit for bit."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashing.native import columns, names
from hashing.native.patterns import paths_of
from hashing.normalise import _folding, _phonetic, derive_name
from hashing.normalise._name_parts import Kind

needs_kernels = pytest.mark.skipif(not names.available(), reason="the kernels are not compiled here")

_RULES = (
    *(*_folding._GENDERED, *_folding._SPELLINGS, *_folding._VOWELS),
    *(*_phonetic._BEGINNINGS, *_phonetic._SOUNDS, *_phonetic._SKELETON),
)
# What the rules speak of: the letters in a row that their expressions name.
_PIECES = sorted({piece for pattern, _ in _RULES for piece in re.findall("[A-Z]+", pattern)})
_NAME = st.lists(
    st.sampled_from(_PIECES) | st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", max_size=4), max_size=8
).map("".join)
_NAMES = st.lists(_NAME.filter(bool), max_size=12)
_LONG = ["X" * 95, "X" * 96, "X" * 97, "AX" * 48, "S" * 300, "CK" * 40]


@needs_kernels
@settings(max_examples=50, deadline=None)
@given(written=_NAMES)
@example(written=_LONG)
def test_each_rule_rewrites_as_its_expression_does(written: list[str]) -> None:
    """One rule at a time, so that none hides behind another."""
    array = pa.array(written, pa.string())
    for rule in _RULES:
        assert _folding.rewrite(array, (rule,)) == _folding._by_expressions(array, (rule,)), rule


@needs_kernels
@pytest.mark.parametrize("kind", ["forename", "surname"])
@settings(deadline=None)  # the word lists are read at first use
@given(written=_NAMES)
@example(written=[])
@example(written=_LONG)
@example(written=["KOWALSKA", "WRIGHT", "MACKENZIE", "SIOBHAN", "TCHAIKOVSKY", "MOHAMMED", "BOB"])
def test_derived_values_are_the_same_without_kernels(kind: Kind, written: list[str]) -> None:
    """Every key of a name is what Python and Arrow make of it."""
    array = pa.array([*written, None], pa.string())
    by_kernels = derive_name(array, kind=kind)
    for made in by_kernels.values():
        made.validate(full=True)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(columns, "available", lambda: False)
        assert by_kernels == derive_name(array, kind=kind)


@needs_kernels
def test_the_kernel_needs_no_help_with_names_of_usual_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of up to 80 letters, the longest that there are, are all its own."""
    asked: list[int] = []
    monkeypatch.setattr(_folding, "_by_expressions", lambda left, _rules: (asked.append(len(left)), left)[1])
    _phonetic.phonetic(pa.array(["X" * 8, "SCHWARZENEGGER", "O" * 80]))
    assert asked == [0]


def test_something_else_than_letters_is_left_to_the_expressions() -> None:
    """A value that no normaliser gives is no reason to stop, and reaches no kernel."""
    assert _phonetic.phonetic(pa.array(["O-BRIEN"])).to_pylist() == ["A-BRN"]


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        (r"S(?=EAN$|IAN$)|^SCH(?![OU])", ["SEAN", "SEANA", "SCHE", "SCHO", "ASCHE", "SCH"]),
        (r"PH(?<!SHEPH)", ["PH", "SHEPH", "HEPH", "XSHEPH", "SHAPH"]),
        (r"A{3}B?|C", ["AAAB", "AAAA", "AA", "CC", "AAAAAAB"]),
        (r"E$(?:(?<=[B-D]E)|(?<=[AO]{2}E))", ["BE", "E", "OAE", "EB", "AE"]),
    ],
)
def test_paths_match_where_the_expression_does(pattern: str, texts: list[str]) -> None:
    """Paths, gone by hand, take what `re` takes at every place of a text."""
    for text in texts:
        for place in range(len(text)):
            expected = re.compile(pattern).match(text, place)
            taken = next((path.taken for path in paths_of(pattern) if _fits(path.masks, text, place)), None)
            assert taken == (None if expected is None else len(expected[0])), (text, place)


def _fits(masks: dict[int, int], text: str, place: int) -> bool:
    cells = {place: ord(letter) - ord("A") for place, letter in enumerate(text)}
    return all(mask >> cells.get(place + around, 26) & 1 for around, mask in masks.items())


@pytest.mark.parametrize("pattern", ["A*", "a", "(AB)", "A?", "(?:A", "A)", r"\bA", "A.", "A+"])
def test_an_expression_that_is_not_known_is_refused(pattern: str) -> None:
    """Rather than read as something else."""
    with pytest.raises(ValueError, match="expression"):
        paths_of(pattern)


@pytest.mark.parametrize(("pattern", "instead"), [("A(?=[A-Z]{9})", ""), ("A", "a"), ("A", "ABCDEFGHI")])
def test_a_rule_that_does_not_fit_the_kernel_is_refused(pattern: str, instead: str) -> None:
    """It looks at nine letters ahead, or writes what is no name."""
    with pytest.raises(ValueError, match="expression"):
        names.Rules.of([(pattern, instead)])


@needs_kernels
def test_only_letters_reach_the_kernels_of_names() -> None:
    """Anything else is refused before an array is read with it."""
    array = np.array([ord("A"), ord("a")], dtype=np.uint8)
    ends = np.array([0, 2])
    for kernel in (
        lambda: names.letters(array, ends),
        lambda: names.consonants(array, ends, np.zeros(256, dtype=np.bool_)),
        lambda: names.rewritten(array, ends, names.Rules.of([("A", "B")])),
    ):
        with pytest.raises(ValueError, match="A to Z"):
            kernel()
