"""The figures that the watch draws from batches are those of all of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.detect import watch
from governance.detect.watch import _Heaviest

ids = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@given(st.lists(st.lists(st.one_of(ids, st.sampled_from([0, -1, 7, 7 + 2**40])), max_size=60), max_size=6))
def test_heaviest_counts_by_low_bits(batches: list[list[int]]) -> None:
    """The bound is the most rows that share their low bits, so no number is commoner; batches change nothing."""
    sketch = _Heaviest(sum(map(len, batches)))
    for batch in batches:
        sketch.see(np.array(batch, dtype=np.int64))
    everything = [number for batch in batches for number in batch]
    assert sketch.most == max(Counter(number % 2**12 for number in everything).values(), default=0)
    assert sketch.most >= max(Counter(everything).values(), default=0)


@pytest.mark.parametrize("rows", [0, 100, 10**4, 10**6, 10**8])
def test_heaviest_of_any_size(rows: int) -> None:
    """One block that holds a third of the rows is seen at every size of the sketch."""
    rng = np.random.default_rng(1)
    sketch = _Heaviest(rows)
    for _ in range(3):
        sketch.see(np.append(rng.integers(-(2**63), 2**63 - 1, 2000), np.full(1000, -(2**50))))
    assert 3000 <= sketch.most <= 3100


def test_heaviest_beyond_32_bits() -> None:
    """Before more rows were counted than 32 bits hold, the counts are widened, and none is lost."""
    sketch = _Heaviest(10)
    sketch.see(np.full(5, 9, dtype=np.int64))
    sketch._counts[9] = sketch._rows = watch._MOST_COUNTED - 1
    sketch.see(np.full(5, 9, dtype=np.int64))
    assert sketch.most == watch._MOST_COUNTED + 4
