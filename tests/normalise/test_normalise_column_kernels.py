"""Columns of bytes by compiled kernels and by NumPy: the same, bit for bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashing.native import columns
from hashing.normalise import identifiers
from hashing.normalise._arrays import DIGITS, UPPER, Column, byte_class, same_character

pytestmark = pytest.mark.skipif(not columns.available(), reason="the kernels are not compiled here")

_TEXTS = st.lists(st.none() | st.text("0123456789 .-AZaz\x00\x7fé", max_size=14), max_size=20)
_NUMBERS = st.lists(st.integers(0, 10**11).map(str) | st.integers(10**9, 10**10 - 1).map(str), max_size=20)


def _results(texts: list[str | None], start: int) -> list[list[object]]:
    """Everything that has a kernel, made of a slice of texts."""
    column = Column.of(pa.array(texts, pa.string()).slice(start))
    table = np.arange(256, dtype=np.uint8)[::-1].copy()
    kept = [column.keep(members) for members in (DIGITS, UPPER, byte_class(""))]
    found = [column.at(place) for place in range(-15, 15)]
    found += [column.count(members) for members in (DIGITS, UPPER, byte_class(""))]
    found += [part for one in kept for part in (one.data, one.offsets)]
    found += [column.translate(table).data, same_character(column)]
    return [[part.dtype.kind, part.tolist()] for part in found]


@settings(deadline=None)
@given(texts=_TEXTS, start=st.integers(0, 3))
@example(texts=[], start=0)
@example(texts=[None, None], start=1)
@example(texts=["", "1"], start=0)
def test_kernels_and_numpy_agree_on_any_column(texts: list[str | None], start: int) -> None:
    """Counting, keeping, picking, replacing and comparing bytes give the same arrays of the same kinds."""
    by_kernels = _results(texts, start)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(columns, "available", lambda: False)
        assert by_kernels == _results(texts, start)


@settings(deadline=None)
@given(numbers=_NUMBERS)
@example(numbers=["9434765919", "9434765918", "4010232137", "0000000000", ""])
def test_kernel_and_numpy_agree_on_check_digits(numbers: list[str]) -> None:
    """The check digit of an NHS number fits for one as for the other; fewer or more digits fit for neither."""
    digits = Column.of(pa.array(numbers, pa.string()))
    by_kernel = identifiers._nhs_check_digit_fits(digits)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(columns, "available", lambda: False)
        assert by_kernel.tolist() == identifiers._nhs_check_digit_fits(digits).tolist()


def test_arrays_that_do_not_fit_together_never_reach_a_kernel() -> None:
    """Offsets that leave the data or go back, and tables that are too short, are refused."""
    data, whole = np.zeros(4, dtype=np.uint8), np.array([0, 4])
    for offsets in ([0, 5], [1, 4], [0, 3, 2, 4], []):
        with pytest.raises(ValueError, match="fit together"):
            columns.same(data, np.array(offsets, dtype=np.int64))
    with pytest.raises(ValueError, match="fit together"):
        columns.count(data, whole, np.zeros(255, dtype=np.bool_))
    with pytest.raises(ValueError, match="fit together"):
        columns.translate(data, np.zeros(256, dtype=np.int64))  # type: ignore[arg-type]
