"""Ties: every pair with an opinion, against a search over all paths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage import ties
from linkage.ties import Ties, tie

THRESHOLD = 0.5

Links = dict[tuple[int, int], float]
Case = tuple[list[int], Links]
"""The person of each subject, and links with their probabilities."""


@st.composite
def _cases(draw: st.DrawFn) -> Case:
    """Up to 9 subjects of up to four people, and links within and between people."""
    person = draw(st.lists(st.integers(0, 3), max_size=9))
    every = list(combinations(range(len(person)), 2))
    pairs = draw(st.lists(st.sampled_from(every), unique=True, max_size=22)) if every else []
    share = st.one_of(st.sampled_from([0.0, 0.25, THRESHOLD, 0.5000001, 0.9, 1.0]), st.floats(0.0, 1.0))
    turned = [pair[::-1] if draw(st.booleans()) else pair for pair in pairs]
    return person, {pair: draw(share) for pair in turned}


def _tie(person: Sequence[int], links: Links) -> Ties:
    return tie(
        np.array([pair[0] for pair in links], dtype=np.int64),
        np.array([pair[1] for pair in links], dtype=np.int64),
        np.array(list(links.values()), dtype=np.float64),
        person=np.array(person, dtype=np.int64),
        threshold=THRESHOLD,
    )


def _strongest(person: Sequence[int], links: Links, a: int, b: int) -> float:
    """Return the largest product of probabilities over all simple paths inside the person of `a` and `b`."""
    beside: dict[int, dict[int, float]] = {node: {} for node, who in enumerate(person) if who == person[a]}
    for (left, right), probability in links.items():
        if left in beside and right in beside:
            beside[left][right] = beside[right][left] = probability

    def search(node: int, visited: frozenset[int]) -> float:
        if node == b:
            return 1.0
        further = (
            probability * search(other, visited | {other})
            for other, probability in beside[node].items()
            if other not in visited
        )
        return max(further, default=0.0)

    return search(a, frozenset([a]))


def _expected(person: Sequence[int], links: Links) -> list[tuple[int, int, float, bool]]:
    """Return all ties, one by one."""
    found = []
    for (a, b), probability in links.items():
        if person[a] == person[b]:
            found.append((a, b, _strongest(person, links, a, b), True))
        else:
            kept = ties.CUT if probability >= THRESHOLD else 1.0
            found.append((a, b, probability * kept, True))
    for a, b in combinations(range(len(person)), 2):
        compared = (a, b) in links or (b, a) in links
        # A person of two hangs together by its link, or is none.
        if person[a] == person[b] and list(person).count(person[a]) > 2 and not compared:
            found.append((a, b, _strongest(person, links, a, b), False))
    return found


def _check(found: Ties, expected: list[tuple[int, int, float, bool]]) -> None:
    assert found.left.tolist() == [each[0] for each in expected]
    assert found.right.tolist() == [each[1] for each in expected]
    assert found.probability.tolist() == pytest.approx([each[2] for each in expected], rel=1e-12, abs=1e-15)
    assert found.compared.tolist() == [each[3] for each in expected]


@given(_cases())
@settings(max_examples=250, deadline=None)
def test_ties_equal_a_search_over_all_paths(case: Case) -> None:
    """Links come first, in their order; then exactly the uncompared pairs inside people; and all chains are right."""
    person, links = case
    _check(_tie(person, links), _expected(person, links))


@given(_cases(), st.integers(1, 30))
@settings(max_examples=100, deadline=None)
def test_portions_change_nothing(case: Case, cells: int) -> None:
    """However few matrices are worked on at a time, the ties are the same."""
    person, links = case
    whole = _tie(person, links)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ties, "_CELLS", cells)
        portions = _tie(person, links)
    for name in ("left", "right", "probability", "compared"):
        assert getattr(whole, name).tolist() == getattr(portions, name).tolist()


@given(_cases())
@settings(max_examples=100, deadline=None)
def test_no_pair_is_told_twice_and_people_only_add(case: Case) -> None:
    """Every pair stands once; inside a person no link is less likely than by itself, between people none is more."""
    person, links = case
    found = _tie(person, links)
    pairs = [frozenset(pair) for pair in zip(found.left.tolist(), found.right.tolist(), strict=True)]
    assert len(set(pairs)) == len(pairs)
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    for (a, b), probability, told in zip(links, links.values(), found.probability.tolist(), strict=False):
        assert told >= probability if person[a] == person[b] else told <= probability


def test_nothing_is_linked() -> None:
    """Without links, or without subjects, there are no ties."""
    for person in ([], [0], [0, 1, 2]):
        found = _tie(person, {})
        assert [len(getattr(found, name)) for name in ("left", "right", "probability", "compared")] == [0] * 4
        assert found.compared.dtype == bool


def test_a_person_of_two_keeps_its_link() -> None:
    """Between two subjects there is no other way, and nothing is added."""
    _check(_tie([0, 0, 1], {(1, 0): 0.7}), [(1, 0, 0.7, True)])


def test_a_person_of_three() -> None:
    """The pair that was not compared is as likely as both links; a weak link rises to the chain beside it."""
    _check(
        _tie([0, 0, 0], {(0, 1): 0.9, (1, 2): 0.8}),
        [(0, 1, 0.9, True), (1, 2, 0.8, True), (0, 2, 0.72, False)],
    )
    links = {(0, 2): 0.1, (0, 1): 0.9, (1, 2): 0.8}
    _check(_tie([0, 0, 0], links), [(0, 2, 0.72, True), (0, 1, 0.9, True), (1, 2, 0.8, True)])


def test_a_person_of_fifty() -> None:
    """In a chain of 50 subjects, in any order, every pair is as likely as all links on the way between the two."""
    size, link = 50, 0.97
    place = np.random.default_rng(3).permutation(size)
    links = {(int(place[n]), int(place[n + 1])): link for n in range(size - 1)}
    found = _tie([0] * size, links)
    assert len(found.left) == size * (size - 1) // 2
    assert int(found.compared.sum()) == size - 1
    at = np.argsort(place)
    steps = np.abs(at[found.left] - at[found.right])
    assert found.probability.tolist() == pytest.approx((link**steps).tolist())


@pytest.mark.parametrize(
    ("probability", "left"), [(0.99, 0.099), (THRESHOLD, 0.05), (0.49, 0.49), (0.0, 0.0)]
)
def test_a_link_that_was_cut_is_believed_little(probability: float, left: float) -> None:
    """From the threshold up a link of two people was cut; below it, it was never believed and keeps its score."""
    assert _tie([0, 1], {(0, 1): probability}).probability.tolist() == pytest.approx([left])


def test_no_chain_leads_through_somebody_else() -> None:
    """Links to another person make nobody inside one likelier."""
    links = {(0, 1): 0.6, (1, 2): 0.6, (0, 3): 0.99, (2, 3): 0.99}
    found = _tie([0, 0, 0, 1], links)
    _check(
        found,
        [(0, 1, 0.6, True), (1, 2, 0.6, True), (0, 3, 0.099, True), (2, 3, 0.099, True), (0, 2, 0.36, False)],
    )
