"""Addresses by compiled kernels and by the general rules: the same, bit for bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashing.native import addresses
from hashing.normalise import _words, address, derive_address, normalise_address

needs_kernels = pytest.mark.skipif(not addresses.available(), reason="the kernels are not compiled here")

_LISTED = [row["word"] for row in _words.read_csv("address_words.csv")]
_TRICKY = (
    *(
        "1ST",
        "2ND",
        "5TH",
        "9TH",
        "FLR",
        "AVENUE",
        "LS6",
        "3AB",
        "LS63AB",
        "AA9A",
        "1AA",
        "A1",
        "2ND",
        "SW1A",
        "1A",
    ),
    *("12", "12A", "7", "0", "A", "N", "THE", "UK", "GB", "ENGLAND", "UNITED", "KINGDOM", "GREAT", "BRITAIN"),
    *(
        "C/O",
        "CARE",
        "OF",
        "D'CARE",
        "C/O'X",
        "&",
        "'",
        "/",
        "-",
        ",",
        "é",
        "日本",
        "½",
        "\t",
        "X" * 20,
        "Flat",
        "St.",
    ),
    *("NO FIXED ABODE", "UNKNOWN", "high", "leeds"),
)
_WORD = st.one_of(st.sampled_from(_LISTED), st.sampled_from(_TRICKY), st.text(max_size=4))
_GAP = st.sampled_from((" ", " ", " ", ", ", "  ", "", "-", "'"))
_WRITTEN = st.lists(st.tuples(_WORD, _GAP), max_size=12).map(
    lambda pieces: "".join(word + gap for word, gap in pieces)
)


def _both_ways(texts: list[str | None], monkeypatch: pytest.MonkeyPatch) -> list[list[object]]:
    """What the kernels make of texts, and what the general rules do."""
    ways: list[list[object]] = []
    for there in (True, False):
        monkeypatch.setattr(address, "available", lambda there=there: there)
        normal = normalise_address(pa.array(texts, pa.string()))
        normal.values.validate(full=True)
        derived = derive_address(normal.values)
        ways.append([normal.values, normal.outcomes.tolist(), derived])
    monkeypatch.undo()
    return ways


@needs_kernels
@settings(deadline=None)  # the word lists are read at first use
@given(texts=st.lists(st.none() | _WRITTEN, max_size=12))
@example(texts=[])
@example(texts=[None])
@example(texts=["A12 B1 2ND FLOOR 2AA"])
@example(texts=["A1 B1 1AA 1AA"])  # taking a postcode out makes another one
@example(texts=["A " * 200, "9 B" * 150, "&" * 120, "FLAT " * 130, "'" * 600])
def test_kernels_and_general_rules_agree_on_any_address(texts: list[str | None]) -> None:
    """Values, outcomes and derived values are the same, whichever did it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        by_kernels, by_rules = _both_ways(texts, monkeypatch)
    assert by_kernels == by_rules


@needs_kernels
@pytest.mark.parametrize(
    ("written", "spelled"),
    [
        ("Flat 2, 12 a High Street, Leeds LS6 3AB, England", "FLAT 2 12A HIGH ST LEEDS"),
        ("B1 2nd Floor, Main Road", "B1 SECOND FLOOR MAIN RD"),
        ("O'Connor & Sons Yard, United Kingdom", "OCONNOR AND SONS YARD"),
        ("England", "ENGLAND"),
    ],
)
def test_what_the_kernel_spells(written: str, spelled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel alone, without a fallback to the general rules, spells usual addresses."""
    monkeypatch.setattr(address, "_spell", lambda text: text if not len(text) else pytest.fail("by rules"))
    assert normalise_address(pa.array([written])).values.to_pylist() == [spelled]


def test_slices_are_read_where_they_lie() -> None:
    """A slice of an array gives what the same texts give by themselves."""
    texts = ["1 High Street", None, "Rose Cottage, Mill Lane", "c/o 3 Low Road", "x " * 150]
    whole = pa.array([*texts, *texts])
    apart = normalise_address(pa.array(texts[1:]))
    part = normalise_address(whole.slice(6))
    assert part.values == apart.values
    assert part.outcomes.tolist() == apart.outcomes.tolist()
    assert derive_address(part.values) == derive_address(apart.values)


def test_a_list_of_words_refuses_what_a_kernel_could_not_find() -> None:
    """Two words in one, an empty one or a long one are refused when the table is made."""
    for word, short in (("TWO WORDS", "X"), ("", "X"), ("X", ""), ("X" * 17, "X")):
        with pytest.raises(ValueError, match="listed word"):
            addresses.word_list({word: (short, 0)})


@needs_kernels
def test_arrays_that_do_not_fit_together_never_reach_a_kernel() -> None:
    """Offsets that leave the data, or go back, are refused."""
    words, data = addresses.word_list({"A": ("A", 1)}), np.zeros(4, dtype=np.uint8)
    for offsets in ([0, 5], [1, 4], [0, 3, 2, 4], []):
        for kernel in (addresses.spelled, addresses.parts):
            with pytest.raises(ValueError, match="fit together"):
                kernel(data, np.array(offsets, dtype=np.int64), words)
