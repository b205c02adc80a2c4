"""Connected components, held against a search of one node after the other; and what a seal does not load."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from hashing.components import components


def _searched(edges: list[tuple[int, int]], size: int) -> list[int]:
    smallest = []
    for start in range(size):
        seen, waiting = {start}, [start]
        while waiting:
            node = waiting.pop()
            further = {b for a, b in edges if a == node} | {a for a, b in edges if b == node}
            waiting += further - seen
            seen |= further
        smallest.append(min(seen))
    return smallest


@given(
    st.integers(1, 30).flatmap(
        lambda size: st.tuples(st.just(size), st.lists(st.tuples(*[st.integers(0, size - 1)] * 2)))
    )
)
def test_components_are_what_a_search_reaches(graph: tuple[int, list[tuple[int, int]]]) -> None:
    """Each node gets the smallest node that a path leads to, loops and repeated edges included."""
    size, edges = graph
    left, right = (np.array([edge[end] for edge in edges], dtype=np.int32) for end in (0, 1))
    assert components(left, right, size).tolist() == _searched(edges, size)


def test_a_long_path_in_a_bad_order_is_one_component() -> None:
    """A chain whose numbers leap about is still walked to its end."""
    nodes = np.random.default_rng(3).permutation(5_000).astype(np.int32)
    assert not components(nodes[:-1], nodes[1:], len(nodes)).any()


def test_a_seal_loads_neither_pandas_nor_scipy() -> None:
    """The modules of the command are loaded without them, and Arrow still finds pandas when it is asked for."""
    code = (
        "import sys, hashing.commands.packages, hashing.workflow\n"
        "assert not {'pandas', 'scipy', 'splink', 'duckdb'} & set(sys.modules), 'loaded too much'\n"
        "import pyarrow as pa\n"
        "assert list(pa.table({'a': [1]}).to_pandas()['a']) == [1]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pandas_that_is_loaded_stays_known_to_arrow() -> None:
    """Who uses pandas before sealing keeps its missing values as such."""
    code = (
        "import pandas as pd, hashing.workflow, pyarrow as pa\n"
        "assert pa.array(pd.Series([1.0, None])).null_count == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_edge_leaves_everyone_alone() -> None:
    """Without edges each node is its own component."""
    none = np.array([], dtype=np.int32)
    assert pa.array(components(none, none, 3)).to_pylist() == [0, 1, 2]
