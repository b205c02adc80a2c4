"""Numbering by first appearance, held against a dictionary that is filled row by row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashing import shuffling
from hashing.coding import Coded, by_appearance, factorize, in_order


def _by_dictionary(keys: Iterable[Hashable]) -> list[int]:
    seen: dict[Hashable, int] = {}
    return [seen.setdefault(key, len(seen)) for key in keys]


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5)))
def test_keys_are_numbered_in_the_order_of_their_first_rows(keys: list[int]) -> None:
    """Any 64-bit numbers, repeated or not, get dense codes in order."""
    codes, count = factorize(np.array(keys, dtype=np.int64))
    assert codes.tolist() == _by_dictionary(keys)
    assert count == len(set(keys))


def test_keys_that_share_slots_are_told_apart() -> None:
    """Many keys meet in the table of slots; none of them is taken for another one."""
    keys = np.random.default_rng(5).integers(0, 40_000, 60_000)
    codes, count = factorize(keys)
    assert codes.tolist() == _by_dictionary(keys.tolist())
    assert count == len(np.unique(keys))


@given(st.lists(st.integers(-1, 6)))
def test_codes_are_numbered_anew_and_missing_ones_stay_missing(codes: list[int]) -> None:
    """-1 stays -1, the others count up as they appear, and each new code knows its old one."""
    dense, old = in_order(np.array(codes, dtype=np.int32), 7)
    present = [code for code in codes if code >= 0]
    assert dense[np.array(codes, dtype=int) >= 0].tolist() == _by_dictionary(present)
    assert [code for code, new in zip(codes, dense.tolist(), strict=True) if new < 0] == [-1] * codes.count(
        -1
    )
    assert old.tolist() == list(dict.fromkeys(present))


def test_a_column_by_appearance_reads_the_same() -> None:
    """The rows keep their values; a value that no row has is left out."""
    column = Coded(codes=np.array([2, -1, 0, 2], dtype=np.int32), values=pa.array(["c", "unused", "a"]))
    made, places = by_appearance(column)
    assert made.codes.tolist() == [0, -1, 1, 0]
    assert made.values.to_pylist() == ["a", "c"]
    assert places.tolist() == [2, 0]


@pytest.mark.parametrize("cores", [1, 2, 8])
def test_fields_are_ordered_two_at_a_time(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    """Each field gets its own column, as if it had been the only one, however many are made at a time."""
    random = np.random.default_rng(3)
    fields = {
        str(size): Coded(
            codes=random.integers(-1, size, 500, np.int32), values=pa.array(map(str, range(size)))
        )
        for size in (1, 9, 200, 40, 3)
    }
    order = random.permutation(500)
    monkeypatch.setattr(shuffling, "FORK_ROWS", 500)
    monkeypatch.setattr(shuffling, "cores", lambda: cores)
    made = shuffling._ordered(fields, order)
    assert list(made) == list(fields)
    for name, (column, places) in made.items():
        alone, old = by_appearance(fields[name].take(order))
        assert column.codes.tolist() == alone.codes.tolist()
        assert column.values.equals(alone.values)
        assert places.tolist() == old.tolist()
