"""The kernels of sealing do what NumPy does, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashing.digests import Digests, ValueDigests, side_by_side
from hashing.native import library
from hashing.native import tokens as native
from hashing.places import Places
from hashing.side_by_side import seal_columns
from hashing.tokens import _mark_present, _replace_outside

needs_kernels = pytest.mark.skipif(library.kernels() is None, reason="there are no compiled kernels here")
BIT = np.uint64(4)


def _digests(source: np.ndarray, distinct: int, seed: int) -> Digests:
    """Digests of one value of a field, and of one with a row a version."""
    rng = np.random.default_rng(seed)

    def table(rows: int) -> np.ndarray:
        blocks = rng.integers(0, 2**63, size=(rows + 1, 2), dtype=np.uint64)
        blocks[-1] = 0
        return blocks.view(np.complex128)[:, 0]

    values = {
        "other": ValueDigests(source=source, table=table(distinct)),
        "some": ValueDigests(source=source, table=table(distinct)),
        "each": ValueDigests(source=None, table=table(len(source))),
    }
    held = rng.integers(0, 8, size=len(source), dtype=np.uint64)
    return Digests(values=values, bits={}, held=held, member=held, classes=frozenset())


@pytest.fixture
def by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy does the work of the kernels."""
    monkeypatch.setattr(native, "available", lambda: False)


@needs_kernels
@given(st.lists(st.integers(-1, 6), max_size=90), st.booleans(), st.integers(0, 99))
def test_fetching_by_kernel_and_by_numpy(codes: list[int], shared: bool, seed: int) -> None:
    """A slice of digests is the same from both, missing values included, from a table of one value or of several."""
    source = np.array(codes, dtype=np.int32)
    digests = _digests(source, 7, seed)
    rows = np.random.default_rng(seed).permutation(len(codes)).astype(np.int32)
    piece = slice(len(rows) // 3, len(rows))
    add = np.random.default_rng(seed).integers(0, 2**63, size=(len(rows[piece]), 2), dtype=np.uint64)
    wide = replace(digests, values=side_by_side(dict(digests.values))) if shared else digests
    for name in digests.values:
        by_kernel, by_numpy = np.empty_like(add), np.empty_like(add)
        Places(wide, rows).fetch(name, piece, by_kernel, add=add)
        places = Places(digests, rows)
        places._compiled, places._versions = False, rows.astype(np.intp)
        places.fetch(name, piece, by_numpy, add=add)
        assert np.array_equal(by_kernel, by_numpy)


@needs_kernels
def test_a_code_outside_its_table_is_never_read() -> None:
    """A kernel does not look where it reads, so that its caller does."""
    blocks = np.zeros((2, 2), dtype=np.uint64)
    for wrong in (3, 2, -2):  # of two values and the row of a missing one, codes are -1, 0 and 1
        digests = _digests(np.array([0, wrong], dtype=np.int32), 2, 1)
        places = Places(digests, np.arange(2, dtype=np.int32))
        with pytest.raises(IndexError):
            places.fetch("some", slice(0, 2), blocks.copy(), add=blocks)
        field = native.FieldDigests(
            table=digests.values["some"].table[:, None], places=places.of("some"), chosen=[0]
        )
        with pytest.raises(IndexError):
            native.ColumnKernels([field], blocks, [np.zeros(2, dtype=np.uint16)])


@needs_kernels
@given(st.lists(st.integers(-1, 6), min_size=1, max_size=60), st.integers(0, 99), st.integers(1, 20))
def test_columns_by_kernel_and_one_by_one(codes: list[int], seed: int, slice_rows: int) -> None:
    """All columns of a batch made together, slice by slice, are those made one by one, in 16 and in 32 bits."""
    source = np.array(codes, dtype=np.int32)
    digests = _digests(source, 7, seed)
    wide = replace(digests, values=side_by_side(dict(digests.values)))
    rows = np.random.default_rng(seed).permutation(len(codes)).astype(np.int32)
    states = np.random.default_rng(seed).integers(0, 2**63, size=(len(codes), 2), dtype=np.uint64)
    kinds = {"other": "<u4", "each": "<u2", "some": "<u2"}
    outs = {name: np.zeros(len(codes), dtype=kind) for name, kind in kinds.items()}

    def update(source: memoryview, target: memoryview) -> None:
        target[: len(source)] = bytes(255 - byte for byte in source)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hashing.side_by_side._SLICE_ROWS", slice_rows)
        seal_columns(list(kinds), wide, Places(wide, rows), states, update, outs)
    for name, kind in kinds.items():
        value = digests.values[name]
        places = rows if value.source is None else value.source[rows]
        first = value.table[places].view(np.uint64)[::2] ^ states[:, 0]
        assert np.array_equal(outs[name], (~first).astype(kind))


@needs_kernels
@given(st.lists(st.integers(0, 2**64 - 1), max_size=70), st.sets(st.integers(0, 63)))
def test_presence_by_kernel_and_by_numpy(held: list[int], bits: set[int]) -> None:
    """Bits of presence are those of `packbits`, the last bits of a byte included, and only for what is asked."""
    flags = np.array(held, dtype=np.uint64)
    made = {np.uint64(1 << bit): np.full(-(-len(held) // 8), 255, dtype=np.uint8) for bit in bits}
    _mark_present(flags, made)
    for bit, out in made.items():
        assert np.array_equal(out, np.packbits((flags & bit) != 0, bitorder="little"))


@pytest.mark.usefixtures("by_numpy")
def test_presence_by_numpy() -> None:
    """Without kernels the same bits are written."""
    out = np.full(1, 255, dtype=np.uint8)
    _mark_present(np.array([4, 0, 7], dtype=np.uint64), {BIT: out})
    assert out.tolist() == [0b101]


@pytest.mark.usefixtures("by_numpy")
def test_noise_by_numpy() -> None:
    """Without kernels tokens outside a class are replaced, others stay."""
    tokens = np.array([1, 2, 3], dtype=np.uint16)
    _replace_outside(np.array([4, 0, 5], dtype=np.uint64), BIT, np.array([7, 8, 9], dtype=np.uint16), tokens)
    assert tokens.tolist() == [1, 8, 3]


@needs_kernels
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 65535), st.integers(0, 65535)), max_size=70))
def test_noise_by_kernel(rows: list[tuple[int, int, int]]) -> None:
    """Tokens outside a class are replaced by noise, and no others."""
    member = np.array([row[0] for row in rows], dtype=np.uint64)
    noise, tokens = (np.array([row[at] for row in rows], dtype=np.uint16) for at in (1, 2))
    expected = np.where((member & BIT) == 0, noise, tokens)
    _replace_outside(member, BIT, noise, tokens)
    assert np.array_equal(tokens, expected)


@needs_kernels
def test_arrays_that_do_not_fit_are_refused() -> None:
    """A wrapper refuses arrays of other lengths, other kinds or with gaps before a kernel sees them."""
    table, places = np.zeros(2, dtype=np.complex128), np.zeros(3, dtype=np.int32)
    blocks, out = np.zeros((3, 2), dtype=np.uint64), np.zeros((3, 2), dtype=np.uint64)
    native.fetch(table, places, blocks, out)
    with pytest.raises(ValueError, match="fit"):
        native.fetch(table, places[:2], blocks, out)
    with pytest.raises(ValueError, match="fit"):
        native.fetch(table, places.astype(np.int64), blocks, out)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="fit"):
        native.fetch(table, places, out, out)
    with pytest.raises(ValueError, match="one after the other"):
        native.fetch(table, np.zeros(6, dtype=np.int32)[::2], blocks, out)
    field = native.FieldDigests(table=table[:, None], places=places, chosen=[0])
    tokens = np.zeros(3, dtype=np.uint16)
    columns = native.ColumnKernels([field], blocks, [tokens])
    with pytest.raises(ValueError, match="fit"):
        columns.fetch(2, np.zeros((1, 2, 2), dtype=np.uint64))
    with pytest.raises(ValueError, match="fit"):
        columns.keep(0, np.zeros((2, 3, 2), dtype=np.uint64))
    for wrong in ([tokens, tokens], [tokens[:2]], [np.zeros(3, dtype=np.uint64)]):
        with pytest.raises(ValueError, match="fit"):
            native.ColumnKernels([field], blocks, wrong)
    with pytest.raises(ValueError, match="fit"):
        native.ColumnKernels(
            [native.FieldDigests(table=table[:, None], places=places, chosen=[1])], blocks, [tokens]
        )
