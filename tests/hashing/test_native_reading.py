"""The kernels of reading do what NumPy and Arrow do, bit for bit."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashing.native import library
from hashing.native import reading as native
from hashing.reading.cells import Cells, Hashed, hash_cells
from hashing.reading.hashes import LANES, _hash_in_arrays, _mix_in_arrays, hash_rows, hash_texts, mix, of_null
from hashing.reading.index import HashIndex
from hashing.reading.vocabulary import _numbered_by_arrow, _numbered_by_hash

needs_kernels = pytest.mark.skipif(library.kernels() is None, reason="there are no compiled kernels here")

TEXT = st.one_of(st.none(), st.text(max_size=30), st.sampled_from(["", "a" * 8, "a" * 16, "a" * 17, "\0"]))
WORD = st.integers(0, 2**64 - 1)
KEYS = st.lists(st.integers(0, 30), max_size=50)


@pytest.fixture
def by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy does the work of the kernels."""
    monkeypatch.setattr(native, "available", lambda: False)


def _words(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


@needs_kernels
@given(st.lists(TEXT, max_size=40), st.integers(0, 9), st.integers(0, 9))
def test_texts_hash_as_in_arrays(texts: list[str | None], skipped: int, left: int) -> None:
    """Both lanes of texts are those of NumPy, in a part of a column also, nulls and texts of all lengths included."""
    array = pa.array(texts, pa.string())[skipped : len(texts) - left]
    for made, lane in zip(hash_texts(array, null=True), LANES, strict=True):
        expected = np.full(len(array) + 1, of_null(lane))
        _hash_in_arrays(array, lane, expected[:-1])
        assert made.tolist() == expected.tolist()


@needs_kernels
@given(st.lists(st.tuples(WORD, st.integers(-1, 5)), max_size=40), st.booleans())
def test_words_are_mixed_as_in_arrays(rows: list[tuple[int, int]], by_place: bool) -> None:
    """States take in words, looked up or as they are, as NumPy does it; -1 looks up the last word."""
    lane, table = LANES[1], _words([0, 1, 2**64 - 1, 2**63, 7, 8, 9])
    state = _words([row[0] for row in rows])
    expected = state.copy()
    places = np.array([row[1] for row in rows], dtype=np.int32)
    words = table if by_place else state[::-1].copy()
    _mix_in_arrays(expected, words[places] if by_place else words, lane)
    mix(state, words, lane, places if by_place else None)
    assert state.tolist() == expected.tolist()


@pytest.mark.usefixtures("by_numpy")
def test_rows_hash_by_numpy() -> None:
    """Without kernels cells have the same hashes however they are coded, and other rows other ones."""
    columns = [pa.array(texts, pa.string()) for texts in (["a", None, "a", ""], ["b", "b", "b", None])]
    plain = hash_cells([Hashed.of(Cells.of(column)) for column in columns], 4)
    coded = hash_cells([Hashed.of(Cells.repeated(column)) for column in columns], 4)
    for one, other in zip(plain, coded, strict=True):
        assert one.tolist() == other.tolist()
        assert one[0] == one[2]
        assert len(set(one.tolist())) == 3


@needs_kernels
def test_kernels_and_numpy_hash_rows_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash of a row does not depend on who makes it."""
    columns = [_words([1, 2, 2**64 - 1]), _words([0, 5, 6])]
    made = [hash_rows(columns, lane).tolist() for lane in LANES]
    monkeypatch.setattr(native, "available", lambda: False)
    assert made == [hash_rows(columns, lane).tolist() for lane in LANES]


@needs_kernels
@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), max_size=40), st.integers(0, 9))
def test_nulls_among_places(places: list[int | None], skipped: int) -> None:
    """A null's place is -1, wherever in its array a batch begins."""
    indices = pa.array(places, pa.int32())
    values = pa.array(list("abcdefghij"))
    cells = Cells.of(pa.DictionaryArray.from_arrays(indices, values)[skipped:])
    assert cells.places is not None
    assert cells.places.tolist() == [-1 if place is None else place for place in places[skipped:]]


@needs_kernels
@given(st.lists(KEYS, max_size=5), st.integers(1, 7), st.sampled_from([1, 2**31, 2**40]))
def test_keys_are_numbered_as_in_arrays(batches: list[list[int]], crowding: int, factor: int) -> None:
    """Numbers and first rows are those of NumPy, also of keys that crowd into a few slots."""
    by_kernel, by_numpy = HashIndex(), HashIndex()
    for batch in batches:
        keys = _words(batch)
        begin = (keys % np.uint64(crowding)) * np.uint64(factor)
        numbers, rows = by_kernel.add(begin, keys)
        expected, expected_rows = by_numpy._add_in_arrays(begin, keys)
        assert (numbers.tolist(), rows.tolist()) == (expected.tolist(), expected_rows.tolist())


@needs_kernels
@pytest.mark.parametrize("compiled", [True, False])
def test_many_keys_through_growth(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys keep their numbers while the table grows, whoever places them, and room made at once changes nothing."""
    monkeypatch.setattr(native, "available", lambda: compiled)
    rng = np.random.default_rng(7)
    keys = rng.integers(0, 40_000, size=(60_000,), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    first: dict[int, int] = {}
    expected = [first.setdefault(key, len(first)) for key in keys.tolist()]
    for index in (HashIndex(), HashIndex(len(first))):
        made = [index.add(part >> np.uint64(7), part)[0] for part in np.split(keys, 30)]
        assert np.concatenate(made).tolist() == expected
        assert len(index) == len(first)


@needs_kernels
@given(st.lists(st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh")), max_size=12), max_size=5))
def test_texts_are_numbered_as_arrow_does(chunks: list[list[str | None]]) -> None:
    """Distinct texts of several arrays have the numbers and the order that Arrow's dictionary gives them."""
    made, values = _numbered_by_hash([pa.array(chunk, pa.string()) for chunk in chunks])
    expected, expected_values = _numbered_by_arrow([pa.array(chunk, pa.string()) for chunk in chunks])
    assert made.tolist() == expected.tolist()
    assert values.to_pylist() == expected_values.to_pylist()


def _hash(offsets: list[int], size: int = 4) -> None:
    low, high = np.empty(len(offsets) - 1, dtype=np.uint64), np.empty(len(offsets) - 1, dtype=np.uint64)
    lanes = np.ones((2, 3), dtype=np.uint64)
    data = np.zeros(size, dtype=np.uint8)
    native.hash_texts(data, np.array(offsets, dtype=np.int32), None, 0, lanes, low, high)


@needs_kernels
@pytest.mark.parametrize("offsets", [[0, 5], [3, 2], [-1, 2], [0, 4, 3, 4]])
def test_offsets_outside_are_refused(offsets: list[int]) -> None:
    """Texts that would lie outside of their buffer, or end before they begin, are not read."""
    _hash([0, 1, 4])
    with pytest.raises(ValueError, match="fit"):
        _hash(offsets)


@needs_kernels
def test_arrays_that_do_not_fit_are_refused() -> None:
    """A wrapper refuses arrays of other lengths, other kinds or with gaps, and places outside of their table."""
    words, one = _words([1, 2, 3]), np.uint64(1)
    with pytest.raises(ValueError, match="fit"):
        native.mix(words, words[:2], None, one, one)
    with pytest.raises(ValueError, match="fit"):
        native.mix(words, words.copy(), np.array([0, 1, 3], dtype=np.int32), one, one)
    with pytest.raises(ValueError, match="fit"):
        native.mix(words, words.copy(), np.array([0, 1, 2]), one, one)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one after the other"):
        native.mix(words, _words([1] * 6)[::2], None, one, one)
    with pytest.raises(ValueError, match="fit"):
        native.places(np.zeros(9, dtype=np.int32), np.zeros(1, dtype=np.uint8), 0)


@needs_kernels
@pytest.mark.parametrize(("slots", "room", "held"), [(3, 4, 0), (4, 4, 2), (8, 2, 0)])
def test_a_table_without_room_is_refused(slots: int, room: int, held: int) -> None:
    """A table of keys must leave a slot free and have room for all of the new ones, or the search never ends."""
    table = np.full(slots, -1, dtype=np.int32)
    begins, sames = np.zeros(room, dtype=np.uint32), np.zeros(room, dtype=np.uint64)
    with pytest.raises(ValueError, match="fit"):
        native.index_add(table, begins, sames, held, _words([1, 2, 3]), _words([1, 2, 3]))
    with pytest.raises(ValueError, match="fit"):
        native.index_place(table, begins, slots)
