"""The kernels of codes, each held against what NumPy makes of the same arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hashing import coding, digests, grouping, people, seal, sending, shuffling
from hashing.coding import Coded, Mapped
from hashing.contacts import NO_DAY, Contacts
from hashing.native import codes as native
from schemas.scheme import parse_pass

pytestmark = pytest.mark.skipif(
    not native.available(), reason="there is no compiled library; NumPy does the work"
)

Codes = NDArray[np.int32]
VALUES = 6


def _codes(most: int = VALUES, least: int = -1) -> st.SearchStrategy[Codes]:
    """Columns of codes: empty, one row, all missing, all equal and anything else."""
    return st.lists(st.integers(least, most - 1), max_size=90).map(
        lambda rows: np.array(rows, dtype=np.int32)
    )


def _words() -> st.SearchStrategy[NDArray[np.uint64]]:
    """Words of 64 bits, many of them equal or alike in their first or last bits."""
    word = st.integers(0, 2**64 - 1) | st.integers(0, 3) | st.integers(0, 3).map(lambda top: top << 62)
    return st.lists(word, max_size=90).map(lambda rows: np.array(rows, dtype=np.uint64))


def _by_numpy(work: Callable[[], Any]) -> Any:
    """Return what `work` returns where there are no kernels."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(native, "available", lambda: False)
        return work()


def _same(left: Any, right: Any) -> None:
    assert left.dtype == right.dtype
    assert left.tolist() == right.tolist()


@given(_codes(), st.data())
def test_rows_and_tables_are_looked_up(codes: Codes, data: st.DataObject) -> None:
    """Rows may repeat, be numbers of 32 or 64 bits, and count from the end; -1 has the last entry of a table."""
    size = len(codes)
    kind = data.draw(st.sampled_from([np.int32, np.int64]))
    chosen = st.lists(st.integers(-size, size - 1), max_size=40) if size else st.just([])
    rows = np.array(data.draw(chosen), dtype=kind)
    table = np.array([*data.draw(st.permutations(range(VALUES))), -1], dtype=np.int32)
    _same(coding.at(codes, rows), codes[rows])
    column = Mapped(source=codes, table=table, values=pa.array([], pa.string()))
    _same(column.codes, table[codes])
    _same(column.codes_at(rows), table[codes[rows]])
    _same(coding.codes_at(column, rows), column.take(rows).codes)
    _same(column.codes, _by_numpy(lambda: column.codes))


@given(_words(), st.randoms(use_true_random=False))
def test_words_of_rows(words: NDArray[np.uint64], random: Any) -> None:
    """Words are those of the rows, which may repeat, with and without kernels."""
    rows = np.array(random.choices(range(len(words)), k=len(words)) if len(words) else [], dtype=np.int32)
    _same(coding.words_at(words, rows), words[rows])
    _same(_by_numpy(lambda: coding.words_at(words, rows)), words[rows])


@given(_codes(), st.booleans(), st.randoms(use_true_random=False))
def test_codes_are_numbered_in_the_same_order(codes: Codes, mixed: bool, random: Any) -> None:
    """With rows in any order, or all as they stand."""
    rows = np.array(
        random.sample(range(len(codes)), len(codes) // 2 if mixed else len(codes)), dtype=np.int32
    )
    for chosen in (None, rows):
        found = coding.in_order(codes, VALUES, chosen)
        for one, other in zip(found, _by_numpy(lambda: coding.in_order(codes, VALUES, chosen)), strict=True):  # noqa: B023
            _same(one, other)


def test_codes_that_all_appear_leave_no_room() -> None:
    """As many values as rows, then as many rows as values."""
    for rows in (np.arange(5), np.array([4, 3, 2, 1, 0, 0, -1, 1])):
        made, old = native.in_order(rows.astype(np.int32), 5)
        assert old.tolist() == list(dict.fromkeys(rows[rows >= 0].tolist()))
        assert [-1 if new < 0 else old[new] for new in made.tolist()] == rows.tolist()


@given(_codes())
def test_rows_are_counted_by_value(codes: Codes) -> None:
    """Each record counts for its rows, in whole numbers."""
    size = np.arange(len(codes), dtype=np.int64) + (1 << 40)
    _same(
        people._weighed(codes, size, VALUES + 2),
        _by_numpy(lambda: people._weighed(codes, size, VALUES + 2)),
    )


@given(_codes(), _words())
def test_flags_are_added_by_value(codes: Codes, words: NDArray[np.uint64]) -> None:
    """What was marked stays, and a missing value has the last flags."""
    flags = np.resize(np.append(words, np.uint64(1) << np.uint64(63)), VALUES + 1)
    before = np.arange(len(codes), dtype=np.uint64) << np.uint64(4)
    one, other = before.copy(), before.copy()
    coding.mark(flags, codes, one)
    _by_numpy(lambda: coding.mark(flags, codes, other))
    _same(one, other)
    _same(one, before | flags[codes])


@given(_words(), st.integers(0, 2**64 - 1))
def test_versions_that_hold_all_parts_are_found(held: NDArray[np.uint64], mask: int) -> None:
    """A pass of two parts, of which each version holds what its word says."""
    bits = {"dob.exact": np.uint64(1), "surname.canonical": np.uint64(mask)}
    made = digests.Digests(values={}, bits=bits, held=held, member=held, classes=frozenset())
    blocking = parse_pass("dob+surname.canonical")
    found = seal._complete(blocking, made)
    _same(found, _by_numpy(lambda: seal._complete(blocking, made)))
    assert found.tolist() == [
        row for row, word in enumerate(held.tolist()) if word & (mask | 1) == (mask | 1)
    ]


@given(st.integers(0, 60), st.integers(1, 3), st.randoms(use_true_random=False))
def test_rows_that_share_a_tuple_are_the_same(rows: int, width: int, random: Any) -> None:
    """Rows, codes and counts; a row that lacks a value shares nothing."""
    columns = [np.array([random.randint(-1, 2) for _ in range(rows)], dtype=np.int32) for _ in range(width)]
    found, other = coding.shared(columns), _by_numpy(lambda: coding.shared(columns))
    assert [list(each) if isinstance(each, np.ndarray) else each for each in found] == [
        list(each) if isinstance(each, np.ndarray) else each for each in other
    ]
    tuples = list(zip(*(column.tolist() for column in columns), strict=True))
    whole = [each for each in tuples if min(each) >= 0]
    assert found[0].tolist() == [
        row for row, each in enumerate(tuples) if min(each) >= 0 and whole.count(each) > 1
    ]
    assert found[3] == len(whole)


@given(_words(), st.integers(0, 4) | st.sampled_from([254, 255, 10_000]))
def test_whatever_occurs_too_often_is_suspected(hashes: NDArray[np.uint64], limit: int) -> None:
    """The same rows as by NumPy; among them every one whose hash occurs too often."""
    found = coding.suspects(hashes, limit)
    assert found.tolist() == _by_numpy(lambda: coding.suspects(hashes, limit)).tolist()
    often = hashes.tolist()
    assert set(found.tolist()) >= {row for row, each in enumerate(often) if often.count(each) > limit}


@pytest.mark.parametrize("limit", [253, 254, 255, 300])
def test_cells_larger_than_a_count_goes(limit: int) -> None:
    """Cells of up to 301 versions, of which a bucket counts 255."""
    ids = np.repeat(np.arange(6, dtype=np.int64) << 20, [253, 254, 255, 256, 300, 301])
    kept = seal.roomy(ids, limit)
    _same(kept, _by_numpy(lambda: seal.roomy(ids, limit)))
    assert kept.sum() == sum(size for size in (253, 254, 255, 256, 300, 301) if size <= limit)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3), max_size=120))
def test_keys_get_the_same_codes(keys: list[int]) -> None:
    """Any numbers of 64 bits."""
    array = np.array(keys, dtype=np.int64)
    (codes, count), (others, size) = coding.factorize(array), coding._factorize(array)
    _same(codes, others)
    assert count == size


def test_many_keys_get_the_same_codes() -> None:
    """Far more keys than are asked for ahead, half of them met before; regular ones too."""
    random = np.random.default_rng(7)
    for keys in (random.integers(0, 30_000, 60_000), np.arange(50_000) << 40, np.arange(50_000) * 3 % 9973):
        _same(coding.factorize(keys)[0], coding._factorize(keys)[0])


@given(_words())
@settings(max_examples=200)
def test_a_permutation_is_the_order_of_its_numbers(words: NDArray[np.uint64]) -> None:
    """Random numbers or not, equal ones as they stand."""
    made = shuffling._permutation(len(words), lambda size: words.tobytes()[:size])
    _same(made, np.argsort(words, kind="stable").astype(np.int32))


@pytest.mark.parametrize("size", [1, 64, 65, 100, 5_000, 100_003])
def test_a_permutation_of_many(size: int) -> None:
    """Random numbers, and numbers that are all alike in their first bits or all equal."""
    random = np.random.default_rng(size)
    for words in (
        np.frombuffer(random.bytes(8 * size), dtype=np.uint64),
        random.integers(0, 9, size).astype(np.uint64),
        np.full(size, 2**63, dtype=np.uint64),
    ):
        made = shuffling._permutation(size, lambda _bytes: words.tobytes())  # noqa: B023
        _same(made, np.argsort(words, kind="stable").astype(np.int32))
    assert native.ascending(np.frombuffer(random.bytes(8 * size), dtype=np.uint64)) is not None


@given(_codes(least=0), st.randoms(use_true_random=False))
def test_records_go_by_subject_as_they_stand(subject: Codes, random: Any) -> None:
    """Some records in any order."""
    records = np.array(random.sample(range(len(subject)), len(subject) // 2), dtype=np.int32)
    _same(
        grouping._by_subject(records, subject, VALUES),
        _by_numpy(lambda: grouping._by_subject(records, subject, VALUES)),
    )


@given(_codes(least=0), st.booleans(), st.randoms(use_true_random=False))
def test_contacts_go_by_subject_and_day(subject: Codes, undated: bool, random: Any) -> None:
    """With and without contacts that have no date."""
    days = [int(NO_DAY)] * undated + [20_000, 20_001, 20_003]
    day = np.array([random.choice(days) for _ in subject], dtype=np.int32)
    contacts = Contacts(
        subject=subject,
        day=day,
        is_open=np.zeros(len(day), dtype=np.int8),
        lead=Coded(codes=np.arange(len(day), dtype=np.int32), values=pa.array([], pa.string())),
    )
    order = sending._by_subject_and_day(contacts)
    assert order.tolist() == np.lexsort((day, subject)).tolist()
    assert sending.contacts_batch(contacts).equals(_by_numpy(lambda: sending.contacts_batch(contacts)))


@pytest.mark.parametrize(
    "work",
    [
        lambda column: native.look_up(column, rows=np.array([4])),
        lambda column: native.look_up(column, rows=np.array([-5])),
        lambda column: native.look_up(column, table=column[:3]),
        lambda column: native.look_up(column, rows=np.array([3]), table=column[:3]),
        lambda column: native.look_up(column[:0], rows=np.array([0])),
        lambda column: native.pick(column.astype(np.uint64), np.array([4])),
        lambda column: native.pick(column.astype(np.uint64), np.array([-1])),
        lambda column: native.in_order(column, 3),
        lambda column: native.in_order(column - 3, 4),
        lambda column: native.in_order(column, 4, np.array([0, 4])),
        lambda column: native.weigh(column, np.ones(4, dtype=np.int64), 3),
        lambda column: native.mark(np.zeros(3, dtype=np.uint64), column, np.zeros(4, dtype=np.uint64)),
        lambda column: native.grouped(column, 3),
        lambda column: native.grouped(column - 1, 4),
        lambda column: native.grouped(column, 4, np.array([4])),
    ],
)
def test_a_place_outside_is_refused(work: Callable[[Codes], object]) -> None:
    """Nothing is read outside an array, as NumPy would not."""
    with pytest.raises(IndexError, match="outside"):
        work(np.arange(4, dtype=np.int32))


@pytest.mark.parametrize(
    "work",
    [
        lambda column: native.look_up(column, rows=np.array([True, False])),
        lambda column: native.look_up(column.astype(float)),
        lambda column: native.look_up(column.reshape(2, 2)),
        lambda column: native.hash_tuples([column, column[:2]]),
        lambda column: native.weigh(column, np.ones(3, dtype=np.int64), 9),
        lambda column: native.mark(np.zeros(9, dtype=np.uint64), column, np.zeros(3, dtype=np.uint64)),
        lambda column: native.mark(np.zeros(9, dtype=np.uint64), column, np.zeros(4, dtype=np.int64)),
        lambda column: native.mark(np.zeros(9, dtype=np.uint64), column, np.zeros(8, dtype=np.uint64)[::2]),
    ],
)
def test_arrays_that_do_not_fit_are_refused(work: Callable[[Codes], object]) -> None:
    """Flags for rows, broken numbers, tables for columns, and columns of several lengths."""
    with pytest.raises(ValueError, match=r"kernel reads|do not fit"):
        work(np.arange(4, dtype=np.int32))


def test_columns_that_lie_apart_are_read() -> None:
    """Every second element, and elements that begin at an odd byte."""
    column = np.array([2, 9, 0, 9, 2, 9, 1, 9], dtype=np.int32)[::2]
    assert native.in_order(column, 3)[0].tolist() == [0, 1, 0, 2]
    odd = np.frombuffer(b"x" + column.tobytes(), dtype=np.int32, offset=1)
    assert native.in_order(odd, 3)[0].tolist() == [0, 1, 0, 2]
