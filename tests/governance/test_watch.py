"""The figures that the watch draws from batches are those of all of them."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.detect import watch
from governance.detect.patterns import Kind
from governance.detect.watch import PartFacts, PartWatch, _Heaviest, no_chance
from schemas.payload import pass_schema
from schemas.scheme import parse_pass

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


NHS = 9434765919
"""A valid number of the NHS's own test range."""


OTHER = 4010232137
"""Another one."""


def _seen(blocks: list[np.ndarray]) -> PartFacts:
    """Return what a watch finds in the block ids of a pass, batch by batch."""
    schema = pass_schema(parse_pass("dob+surname.exact"))
    seen = PartWatch("tokens-00", schema, today=date(2026, 11, 22), rows=sum(map(len, blocks)))
    for ids in blocks:
        arrays = [pa.array(ids) if e.name == "block" else pa.nulls(len(ids), e.type) for e in schema]
        seen.see(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return seen.facts()


def _hits(blocks: list[np.ndarray]) -> dict[Kind, int]:
    return {hit.kind: hit.cells for hit in _seen(blocks).hits}


def _random_ids(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, rows)


def test_a_block_id_that_reads_as_an_nhs_number_by_chance_is_let_through() -> None:
    """Block ids are random: one of 10,000 that reads so does not stop a package, but several do."""
    ids = [_random_ids(5000, seed) for seed in (1, 2)]
    assert _hits(ids) == {}
    ids[0][17] = NHS
    assert _hits(ids) == {}
    ids[1][4000:4010] = NHS  # all rows of a block share its id
    assert _hits(ids) == {}
    ids[1][50] = OTHER
    assert _hits(ids) == {Kind.NHS_NUMBER: 12}


def test_a_few_nhs_numbers_in_place_of_block_ids_are_seen() -> None:
    """In a table of a few rows even one is no chance."""
    assert _hits([np.array([NHS])]) == {Kind.NHS_NUMBER: 1}
    assert _hits([np.full(5, NHS)]) == {Kind.NHS_NUMBER: 5}


def test_small_numbers_are_counted_by_cells_and_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of many rows is one number; beyond a bound numbers are not told apart any more."""
    ids = [_random_ids(5000, seed) for seed in (1, 2)]
    ids[0][:12], ids[1][:3], ids[1][3] = 77, -77, 78
    facts = _seen(ids).columns["block"]
    assert (facts.small, facts.different) == (16, 3)
    monkeypatch.setattr(watch, "_MOST_DIFFERENT", 2)
    facts = _seen(ids).columns["block"]
    assert (facts.small, facts.different) == (16, 2)


@pytest.mark.parametrize(
    ("rows", "fewest"), [(1, 1), (20, 1), (10_000, 2), (900_000, 2), (10**7, 3), (10**8, 4), (10**10, 10)]
)
def test_how_many_are_no_chance(rows: int, fewest: int) -> None:
    """As many as random numbers hold less than once in 10^9 tables, by the Poisson distribution summed up here."""
    mean = rows * 9e9 / 11 / 2**64
    assert not no_chance(fewest - 1, rows)
    assert no_chance(fewest, rows)
    assert 1 - sum(_poisson(mean, cells) for cells in range(fewest)) < 1e-9 + 1e-15


def _poisson(mean: float, cells: int) -> float:
    return float(np.exp(-mean) * mean**cells / np.prod(np.arange(1, cells + 1, dtype=float)))


def test_share_of_numbers_that_read_as_nhs_numbers() -> None:
    """One in eleven of ten digits, dummies left out, as counted in a sample of them."""
    from governance.detect.columns import nhs_numbers

    sample = np.random.default_rng(5).integers(0, 10**10, 2_000_000)
    assert nhs_numbers(sample) / len(sample) * 10**10 / 2**64 == pytest.approx(watch._NHS_SHARE, rel=0.02)
