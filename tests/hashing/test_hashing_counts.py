"""Every count that is shipped, against a loop over all pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sealing_builders import LIMITS, person, subjects_of

from hashing import counts as counting
from hashing import pairs as pairing
from hashing.coding import Coded, Column, combine, encode, factorize, recode, repeated
from hashing.counts import chance_pairs, counts_of, independent_rows, stranger_pairs
from hashing.derive import derive, with_rarity
from hashing.likeness import levels_of, model_of
from hashing.mapping import AgencyMapping
from hashing.pairs import PairCounter, family_pairs, level_pairs
from schemas.scheme import COMPARISONS, FAMILY_LEVELS, Comparison, FamilyLevel, Level, parse_pass

people = st.lists(st.tuples(*(st.integers(0, limit) for limit in LIMITS)), min_size=2, max_size=20)
"""Choices for `person`: small ranges, so that many values agree and many are missing."""

few = settings(max_examples=25, deadline=None)


def derived_of(choices: Sequence[Sequence[int]]) -> tuple[dict[str, Column], np.ndarray]:
    """Derive rows, the first of which is complete so that something is usable."""
    rows = [person("first", [0] * len(LIMITS)), *(person(f"r{n}", c) for n, c in enumerate(choices))]
    subjects = subjects_of(rows)
    return with_rarity(derive(subjects)), subjects.version_subject


Texts = Mapping[str, list[str | None]]


def texts_of(derived: Mapping[str, Column]) -> Texts:
    """The columns as plain texts."""
    return {
        name: coded.values.take(pa.array(coded.codes, mask=coded.codes < 0)).to_pylist()
        for name, coded in derived.items()
    }


def agrees(texts: Texts, names: Sequence[str], a: int, b: int) -> bool:
    """Whether rows a and b hold all of `names` and agree on them."""
    return all(
        name in texts and texts[name][a] is not None and texts[name][a] == texts[name][b] for name in names
    )


def crosses(texts: Texts, names: tuple[str, str], a: int, b: int) -> bool:
    """Whether the first value of one row is the second of the other."""
    return crossings(texts, names, a, b) > 0


def crossings(texts: Texts, names: tuple[str, str], a: int, b: int) -> int:
    """In how many of the two directions they do."""
    one, other = (texts.get(name, [None] * (max(a, b) + 1)) for name in names)
    return sum(one[x] is not None and one[x] == other[y] for x, y in ((a, b), (b, a)))


def level_of(texts: Texts, levels: Sequence[Level | FamilyLevel], a: int, b: int) -> str:
    """The first level that a pair is at."""
    for level in levels:
        crossed = level.crossed if isinstance(level, Level) else ()
        if any(agrees(texts, t, a, b) for t in level.terms) or any(crosses(texts, t, a, b) for t in crossed):
            return level.name
    return "else"


def brute_levels(texts: Texts, comparison: Comparison, rows: int) -> dict[str, int]:
    """Count every pair at its level, one by one."""
    found = dict.fromkeys(("comparable", *(level.name for level in comparison.levels), "else"), 0)
    for a, b in combinations(range(rows), 2):
        found["comparable"] += any(
            name in texts and texts[name][a] is not None and texts[name][b] is not None
            for name in comparison.presence
        )
        # Crossed levels are counted by themselves, whatever else a pair is at.
        plain = [level for level in comparison.levels if not level.crossed]
        found[level_of(texts, plain, a, b)] += 1
        for level in comparison.levels:
            for one, other in level.crossed:
                found[level.name] += crossings(texts, (one, other), a, b)
    return found


@few
@given(people)
def test_levels_equal_a_loop_over_all_pairs(choices: list[tuple[int, ...]]) -> None:
    """Pairs at each level, and comparable pairs, are exact; the rare level adds half a pair for each rare name."""
    derived, owners = derived_of(choices)
    texts = texts_of(derived)
    counter = PairCounter(derived)
    for comparison in COMPARISONS:
        expected = brute_levels(texts, comparison, len(owners))
        del expected["else"]
        rare = derived.get(f"{comparison.name}.rare")
        if rare is not None:
            expected["rare"] += int((rare.codes >= 0).sum()) // 2
        assert level_pairs(counter, comparison) == expected


@few
@given(people, st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), min_size=1, max_size=4))
def test_any_of_several_terms(choices: list[tuple[int, ...]], picks: list[list[int]]) -> None:
    """Inclusion and exclusion over any terms counts the pairs that agree on at least one of them."""
    derived, owners = derived_of(choices)
    texts = texts_of(derived)
    held = sorted(set(derived) - {"forename.rare", "forename.mid", "surname.rare", "surname.mid"})
    terms = [frozenset(held[pick % len(held)] for pick in pick_list) for pick_list in picks]
    # A coarser value that is missing where a finer one is not (a two-letter name has no first three
    # letters) is agreement by the finer one alone, so only values that are always there together are drawn.
    whole = {"first3", "last3", "sector", "district", "house", "number_street", "street"}
    terms = [term for term in terms if not any(name.split(".")[-1] in whole for name in term)]
    expected = sum(
        any(agrees(texts, sorted(term), a, b) for term in terms)
        for a, b in combinations(range(len(owners)), 2)
    )
    assert PairCounter(derived).agreeing(terms) == expected


@few
@given(people)
def test_rates_cells_and_pairs(choices: list[tuple[int, ...]]) -> None:
    """Sizes of cells, rates and listed agreement are those of a loop."""
    derived, owners = derived_of(choices)
    texts = texts_of(derived)
    counter = PairCounter(derived)
    every = np.array(list(combinations(range(len(owners)), 2)), dtype=np.int64).reshape(-1, 2)
    assert counter.pairs == len(every)
    for names in (("dob.exact",), ("surname.exact", "postcode.exact"), ("sex.exact", "forename.initial")):
        looped = np.array([agrees(texts, names, a, b) for a, b in every.tolist()], dtype=bool)
        assert (counter.agree(names, every) == looped).all()
        cells = counter.cells(names)
        assert int((cells * (cells - 1) // 2).sum()) == looped.sum()
    looped = np.array([agrees(texts, ("sex.exact",), a, b) for a, b in every.tolist()], dtype=bool)
    assert counter.rate("sex.exact") == pytest.approx(looped.sum() / max(len(every), 1))


@few
@given(people)
def test_families_equal_a_loop_over_all_pairs(choices: list[tuple[int, ...]]) -> None:
    """Pairs of relatives are exact at every level of the family correction."""
    derived, owners = derived_of(choices)
    texts = texts_of(derived)
    expected = dict.fromkeys((level.name for level in FAMILY_LEVELS), 0)
    for a, b in combinations(range(len(owners)), 2):
        at = level_of(texts, FAMILY_LEVELS, a, b)
        if at != "else":
            expected[at] += 1
    assert family_pairs(PairCounter(derived)) == expected


@few
@given(
    people, st.sampled_from(["dob+surname", "postcode.district+sex", "name_set+dob.year"]), st.integers(2, 6)
)
def test_strangers_of_a_pass_equal_a_loop(choices: list[tuple[int, ...]], text: str, crowded: int) -> None:
    """Of the pairs that meet in a pass, crowded cells left out, the sum of P(two people); or chance if more."""
    derived, owners = derived_of(choices)
    texts = texts_of(derived)
    blocking = parse_pass(text)
    rows = range(len(owners))
    size = {a: sum(agrees(texts, blocking.parts, a, b) for b in rows) for a in rows}
    met = [
        (a, b) for a, b in combinations(rows, 2) if agrees(texts, blocking.parts, a, b) and size[a] <= crowded
    ]
    counter = PairCounter(derived)
    model = model_of(counter)
    pairs = np.array(met, dtype=np.int64).reshape(-1, 2)
    strangers = float(model.stranger(levels_of(counter, pairs)).sum())
    chance = chance_pairs(counter, blocking.parts)
    assert chance == pytest.approx(counter.pairs * np.prod([counter.rate(part) for part in blocking.parts]))
    expected = max(strangers, chance)
    assert stranger_pairs(counter, blocking, model, crowded_cell=crowded) == pytest.approx(expected)


@few
@given(people)
def test_levels_of_pairs_equal_those_of_texts(choices: list[tuple[int, ...]]) -> None:
    """The level of a listed pair is the first one that its texts reach; null where one side has nothing."""
    derived, owners = derived_of(choices)
    texts = texts_of(derived)
    pairs = np.array(list(combinations(range(len(owners)), 2)), dtype=np.int64).reshape(-1, 2)
    found = levels_of(PairCounter(derived), pairs)
    for place, comparison in enumerate(COMPARISONS):
        names = [level.name for level in comparison.levels]
        for row, (a, b) in enumerate(pairs.tolist()):
            held = any(
                name in texts and texts[name][a] is not None and texts[name][b] is not None
                for name in comparison.presence
            )
            at = level_of(texts, comparison.levels, a, b)
            expected = -1 if not held else len(names) if at == "else" else names.index(at)
            assert found.comparisons[row, place] == expected, comparison.name


def test_model_tells_a_duplicate_from_a_relative() -> None:
    """Two records alike in all but a letter are likely one person; brothers of one home are not."""
    rows = [
        {
            "ref": str(n),
            "forename": "AEIOU"[n % 5]
            + "BCDFGHJ"[n % 7]
            + "AEIO"[n % 4]
            + "LMNRST"[n % 6]
            + "AEIU"[n // 7 % 4],
            "surname": "KLMNPRST"[n % 8] + "AEI"[n % 3] + "BDGMN"[n % 5] + "SON",
            "dob": f"{1950 + n % 60}-0{1 + n % 9}-{10 + n % 19}",
            "postcode": f"LS{1 + n % 9} {n % 10}AB",
            "uprn": str(10007700000 + n),
        }
        for n in range(300)
    ]
    one = {
        "forename": "SIOBHAN",
        "surname": "QUILL",
        "dob": "1990-03-04",
        "postcode": "LS6 3AB",
        "uprn": "10007712345",
    }
    brother = one | {"forename": "PATRICK", "dob": "1987-11-19"}
    rows += [{"ref": "a", **one}, {"ref": "b", **one, "forename": "SIOBHANE"}, {"ref": "c", **brother}]
    derived = with_rarity(derive(subjects_of(rows)))
    counter = PairCounter(derived)
    model = model_of(PairCounter({name: column.take(np.arange(300)) for name, column in derived.items()}))
    same, kin = model.posterior(levels_of(counter, np.array([[300, 301], [300, 302]])))
    assert same > 0.9
    assert kin < 0.1


@few
@given(people)
def test_people_recorded_twice_are_counted_once(choices: list[tuple[int, ...]]) -> None:
    """Of every group of subjects that look alike, joined through any chain, exactly the first row stays."""
    derived, owners = derived_of(choices)
    texts = texts_of(derived)
    first = [int(np.flatnonzero(owners == subject)[0]) for subject in np.unique(owners)]
    group = {row: row for row in first}
    for a, b in combinations(first, 2):
        if any(agrees(texts, names, a, b) for names in counting._SAME_PERSON):
            old, new = group[b], group[a]
            group = {row: new if of == old else of for row, of in group.items()}
    kept = sorted(next(row for row in first if group[row] == of) for of in set(group.values()))
    assert sorted(independent_rows(derived, owners).tolist()) == kept


def test_twins_stay_two_people() -> None:
    """Same surname, date and home with other forenames and numbers is not one person recorded twice."""
    rows = [person("a", [0, 1, 0, 0, 0, 0, 0, 0]), person("b", [2, 1, 0, 0, 0, 0, 1, 0])]
    subjects = subjects_of(rows)
    assert len(independent_rows(derive(subjects), subjects.version_subject)) == 2


def test_more_rows_than_are_counted_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a fixed stride keeps at most that many rows, each of them once."""
    monkeypatch.setattr(counting, "COUNTED_ROWS", 10)
    codes = np.arange(35, dtype=np.int32)
    coded = Coded(codes=codes, values=pa.array([f"S{n}" for n in codes]))
    kept = independent_rows({"surname.exact": coded}, codes)
    assert len(kept) <= 10
    assert len(set(kept.tolist())) == len(kept)


def test_no_term_agrees_in_a_field_that_is_not_held() -> None:
    """A field that the extract lacks gives no pairs, and no comparable ones."""
    rows = [{"ref": f"r{n}", "surname": "SMITH", "dob": "1990-03-04"} for n in range(3)]
    derived = derive(subjects_of(rows))
    counter = PairCounter(derived)
    nhs = next(comparison for comparison in COMPARISONS if comparison.name == "nhs_number")
    assert set(level_pairs(counter, nhs).values()) == {0}
    blocking = parse_pass("nhs_number")
    assert stranger_pairs(counter, blocking, model_of(counter), crowded_cell=9) == 0
    assert family_pairs(counter) == dict.fromkeys((level.name for level in FAMILY_LEVELS), 0)


def test_large_groups_are_no_families(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows further apart than the largest family in one group of surname and place are not listed."""
    monkeypatch.setattr(pairing, "_LARGEST_FAMILY", 3)
    keys, rows = np.zeros(5, dtype=np.int64), np.arange(5, dtype=np.int64)
    assert sorted(map(tuple, pairing.pairs_in_groups(keys, rows).tolist())) == [
        (a, b) for a, b in combinations(range(5), 2) if b - a < 3
    ]


def test_levels_of_a_short_generic_postcode() -> None:
    """A postcode too short to have a district counts as missing, so that no level ends up with fewer than no pairs."""
    rows = [
        {"ref": f"r{n}", "surname": name, "dob": f"199{n}-03-04", "postcode": "A7"}
        for n, name in enumerate(("SMITH", "JONES", "THOMAS"))
    ]
    derived = derive(subjects_of(rows, mapping=AgencyMapping(standards={"postcode": "generic"})))
    location = next(comparison for comparison in COMPARISONS if comparison.name == "location")
    assert set(level_pairs(PairCounter(derived), location).values()) == {0}


def test_what_is_shipped() -> None:
    """Counts by level, family level and pass, for one row a person, are plain numbers under stable names."""
    choices = [[n % (limit + 1) for limit in LIMITS] for n in range(20)]
    derived, owners = derived_of(choices)
    passes = (parse_pass("dob+surname.phonetic"), parse_pass("nhs_number"))
    made = counts_of(derived, owners, passes, crowded_cell=5)
    rows = len(independent_rows(derived, owners))
    assert made["rows"] == rows
    assert made["pairs"] == rows * (rows - 1) // 2
    assert set(made["levels"]) == {comparison.name for comparison in COMPARISONS}
    assert set(made["passes"]) == {"dob+surname.phonetic", "nhs_number"}
    assert all(type(n) is int for counts in made["levels"].values() for n in counts.values())


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=12))
def test_dictionary_coding_keeps_every_value(texts: list[str | None]) -> None:
    """Codes and values give the column back, nulls as -1; recoding maps value by value."""
    coded = encode(pa.array(texts, pa.string()))
    assert [None if c < 0 else coded.values[int(c)].as_py() for c in coded.codes] == texts
    mapped = [None if text.startswith("a") else text[:1] for text in coded.values.to_pylist()]
    again = recode(coded, pa.array(mapped, pa.string()))
    expected = [None if text is None or text.startswith("a") else text[:1] for text in texts]
    assert [None if c < 0 else again.values[int(c)].as_py() for c in again.codes] == expected


@given(st.lists(st.tuples(*[st.integers(-1, 4)] * 3), max_size=20))
def test_combining_columns_tells_tuples_apart(rows: list[tuple[int, int, int]]) -> None:
    """Two rows get one code exactly when their tuples are equal (a missing value is a value here)."""
    columns = [np.array([row[k] for row in rows], dtype=np.int32) for k in range(3)]
    keys, size = combine(columns)
    assert size == len(set(rows))
    assert sorted(set(keys.tolist())) == list(range(size))
    for a, b in combinations(range(len(rows)), 2):
        assert (keys[a] == keys[b]) == (rows[a] == rows[b])


def test_factorize_numbers_by_first_appearance() -> None:
    """Codes are dense and in order of first appearance."""
    keys, size = factorize(np.array([70, -5, 70, 9], dtype=np.int64))
    assert keys.tolist() == [0, 1, 0, 2]
    assert size == 3


def _crowd(duplicates: int) -> PairCounter:
    """Five hundred strangers, of whom `duplicates` stand twice with another day of birth; 40 pairs share a home."""
    rows = [*range(500), *range(duplicates)]
    number = np.array(rows, dtype=np.int32)
    again = np.arange(len(rows)) >= 500
    return PairCounter(
        {
            name: Coded(codes=codes.astype(np.int32), values=pa.array([], pa.string()))
            for name, codes in {
                "forename.exact": number,
                "forename.rare": number,
                "forename.canonical": number,
                "surname.exact": number % 100,
                "surname.canonical": number % 100,
                "dob.exact": np.where(again, number + 1000, number),
                "dob.month_year": number,
                "postcode.exact": number % 460,
                "postcode.district": number % 20,
            }.items()
        }
    )


def test_strangers_leave_duplicates_out() -> None:
    """Duplicates that no key finds do not make a pass look weak; strangers who share a home still count."""
    blocking = parse_pass("surname.canonical+postcode")
    alone, crowded = _crowd(0), _crowd(300)
    model = model_of(alone)
    strangers = stranger_pairs(alone, blocking, model, crowded_cell=20)
    met = sum(n % 460 == m % 460 and n % 100 == m % 100 for n, m in combinations(range(500), 2))
    assert strangers == pytest.approx(max(met, chance_pairs(alone, blocking.parts)), rel=0.05)
    assert stranger_pairs(crowded, blocking, model, crowded_cell=20) < 40


def test_strangers_are_never_fewer_than_chance_brings_together() -> None:
    """`independent_rows` takes out the very pairs that meet in the strictest passes, so chance is the floor."""
    counter = _crowd(100)
    model = model_of(counter)
    for text in ("dob+surname.canonical", "surname.canonical+postcode", "forename.canonical+postcode"):
        blocking = parse_pass(text)
        met = stranger_pairs(counter, blocking, model, crowded_cell=20)
        assert met >= chance_pairs(counter, blocking.parts) - 1e-9


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(-1, 3)), max_size=60))
def test_repeated_tuples_are_found_with_dense_codes(tuples: list[tuple[int, int]]) -> None:
    """Exactly the rows whose tuple another row bears are told, equal tuples by equal codes from 0 on."""
    columns = [np.array([each[place] for each in tuples], dtype=np.int32) for place in (0, 1)]
    rows, keys, count = repeated(columns)
    often = Counter(tuples)
    assert rows.tolist() == [row for row, each in enumerate(tuples) if often[each] > 1]
    assert count == sum(size > 1 for size in often.values())
    assert sorted(set(keys.tolist())) == list(range(count))
    named = {tuples[row]: key for row, key in zip(rows.tolist(), keys.tolist(), strict=True)}
    assert [named[tuples[row]] for row in rows.tolist()] == keys.tolist()
    assert len(set(named.values())) == len(named)


def _strangers_of_one_name() -> tuple[dict[str, Column], NDArray[np.int32]]:
    """Three hundred people, of whom pairs, threes and eights share both names and nothing else."""
    rows = []
    for n in range(300):
        name = f"{'BCDFGHJKLM'[n % 10]}{'AEIOU'[n // 10 % 5]}{'LMNRST'[n // 50 % 6]}"
        of = 0 if n < 8 else 1 + n // 2  # one name eight times, the others twice
        rows.append(
            {
                "ref": f"r{n}",
                "forename": f"{'KLMNPRST'[of % 8]}{'AEIO'[of // 8 % 4]}{'DGLMN'[of // 32 % 5]}AN",
                "surname": f"{'BCDFGHJKLM'[of % 10]}{'AEIOU'[of // 10 % 5]}{'LMNRST'[of // 50 % 6]}WORTH",
                "dob": f"{1930 + n % 70}-0{1 + n % 9}-{10 + n % 19}",
                "address": f"{1 + n} {name} Street",
            }
        )
    subjects = subjects_of(rows)
    return with_rarity(derive(subjects)), subjects.version_subject


def test_strangers_are_counted_among_all_records_of_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the sample for levels all records count for a pass, and cells are as crowded as in the file."""
    derived, owner = _strangers_of_one_name()
    blocking = parse_pass("forename.canonical+surname.canonical")

    def rate(crowded_cell: int) -> float:
        made: dict[str, Any] = counts_of(derived, owner, [blocking], crowded_cell=crowded_cell)
        return float(made["passes"][blocking.name] / made["pairs"])

    small = rate(20)
    monkeypatch.setattr(counting, "COUNTED_ROWS", len(owner) // 4)
    assert rate(20) == pytest.approx(small, rel=0.25)
    # A sample of a quarter would hold a quarter of the crowded cell, and not see that it is one.
    assert rate(3) < rate(20) - 20 / PairCounter(derived).pairs
