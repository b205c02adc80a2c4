"""Settling: links are weighed against each other as a plain loop over the formulas weighs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import log2, prod, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage import settling
from linkage.settling import Settled, settle

LEAST_LEFT, LIMIT = 0.02, 60.0


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Links between subjects of agencies; `agency` holds one number a subject."""

    agency: tuple[int, ...]
    agencies: int
    links: tuple[tuple[int, int, float], ...]


def _settle(graph: Graph, rounds: int | None = None) -> Settled:
    """Settle; with `rounds`, make that many turns, not fewer."""
    with pytest.MonkeyPatch.context() as patch:
        if rounds is not None:
            patch.setattr(settling, "ROUNDS", rounds)
            patch.setattr(settling, "_STEADY", -1.0)
        return settle(
            np.array([link[0] for link in graph.links], dtype=np.int64),
            np.array([link[1] for link in graph.links], dtype=np.int64),
            np.array([link[2] for link in graph.links], dtype=np.float64),
            agency=np.array(graph.agency, dtype=np.int64),
            agencies=graph.agencies,
        )


@st.composite
def _graphs(draw: st.DrawFn, weights: st.SearchStrategy[float] | None = None) -> Graph:
    """Up to 12 subjects of one to four agencies, of which some may have none, and links within and between them."""
    agencies = draw(st.integers(1, 4))
    agency = draw(st.lists(st.integers(0, agencies - 1), min_size=0, max_size=12))
    every = list(combinations(range(len(agency)), 2))
    pairs = draw(st.lists(st.sampled_from(every), unique=True, max_size=30)) if every else []
    weight = weights if weights is not None else st.floats(-15.0, 20.0)
    turned = [pair[::-1] if draw(st.booleans()) else pair for pair in pairs]
    return Graph(
        agency=tuple(agency), agencies=agencies, links=tuple((a, b, draw(weight)) for a, b in turned)
    )


def _probability(weight: float) -> float:
    return float(1 / (1 + 2**-weight))


class _Plain:
    """The same, link by link, from the formulas."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.by_itself = [max(-LIMIT, min(LIMIT, link[2])) for link in graph.links]
        self.probability = [_probability(weight) for weight in self.by_itself]
        sizes = [graph.agency.count(a) for a in range(graph.agencies)]
        self.sizes = sizes
        self.pairs = {(a, a): n * (n - 1) / 2 for a, n in enumerate(sizes)}
        self.pairs |= {(a, b): sizes[a] * sizes[b] for a, b in combinations(range(graph.agencies), 2)}
        self.prior = sum(self.probability) / max(sum(self.pairs.values()), 1)
        self.told = {(link, end): 1.0 for link in range(len(graph.links)) for end in (0, 1)}
        self.link_of = {frozenset(link[:2]): n for n, link in enumerate(graph.links)}

    def kind(self, link: int) -> tuple[int, int]:
        """Return the two agencies of a link, the smaller number first."""
        one, other = sorted(self.graph.agency[end] for end in self.graph.links[link][:2])
        return one, other

    def shift(self, kind: tuple[int, int]) -> float:
        """Return log2 of (matches seen + 1) to (matches that the common rate would give + 1)."""
        seen = sum(p for link, p in enumerate(self.probability) if self.kind(link) == kind)
        return log2((seen + 1) / (self.pairs[kind] * self.prior + 1))

    def covered(self, of: int, by: int) -> float:
        """Return the expected partners in agency `of` of a record of agency `by`."""
        found = 0.0
        for link, (left, right, _) in enumerate(self.graph.links):
            for near, far in ((left, right), (right, left)):
                ends = self.graph.agency[near], self.graph.agency[far]
                found += self.probability[link] if ends == (by, of) and by != of else 0.0
        return found / (self.sizes[by] + 1)

    def repeated(self, agency: int) -> float:
        """Return the expected further records of a person in its agency, from the links that are believed."""
        found = 0.0
        for link, p in enumerate(self.probability):
            found += p if self.kind(link) == (agency, agency) and p >= 0.5 else 0.0
        return 2 * found / (self.sizes[agency] + 1)

    def _changed(self, link: int, near: int, far: int, odds: Sequence[float]) -> float:
        """Return (1 + sum k r) / (n + sum r) at the end `near`."""
        agency = self.graph.agency
        covered = self.covered(agency[far], agency[near])
        free = min(1.0, self.repeated(agency[far]) / max(covered, 1e-9))
        none = max(LEAST_LEFT, 1 - min(covered, 1.0) * (1 - free))
        above, below = 1.0, sqrt(none)
        for rival, (left, right, _) in enumerate(self.graph.links):
            if rival == link or near not in (left, right):
                continue
            beside = right if left == near else left
            if agency[beside] != agency[far]:
                continue
            between = self.link_of.get(frozenset((far, beside)))
            alike = 0.0 if between is None else self.probability[between]
            # As the rival's own far end sees it: less, where that one is taken.
            strength = odds[rival] * self.told[rival, 0 if left == beside else 1]
            above += (free * (1 - alike) + alike) * strength
            below += strength
        return above / below

    def turn(self) -> list[float]:
        """Weigh every link once more; return the weights."""
        shifts = {kind: self.shift(kind) for kind in self.pairs}
        weights = [weight + shifts[self.kind(n)] for n, weight in enumerate(self.by_itself)]
        odds, fresh = [2**weight for weight in weights], dict(self.told)
        for link, (left, right, _) in enumerate(self.graph.links):
            if self.graph.agency[left] != self.graph.agency[right]:
                for end, (near, far) in enumerate(((left, right), (right, left))):
                    fresh[link, end] = sqrt(self.told[link, end] * self._changed(link, near, far, odds))
        self.told = fresh
        settled = [weight + log2(fresh[link, 0] * fresh[link, 1]) for link, weight in enumerate(weights)]
        self.probability = [_probability(weight) for weight in settled]
        return settled


@given(_graphs(), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_a_turn_equals_a_plain_one(graph: Graph, rounds: int) -> None:
    """One, two and three turns give every link the weight, and the agencies the counts, of a loop over the formulas."""
    plain = _Plain(graph)
    for _ in range(rounds):
        shifts = {kind: plain.shift(kind) for kind in plain.pairs}
        weights = plain.turn()
    found = _settle(graph, rounds)
    assert found.weight.tolist() == pytest.approx(weights, abs=1e-9)
    assert found.probability.tolist() == pytest.approx(plain.probability, abs=1e-9)
    assert found.agencies.tolist() == pytest.approx(
        [shifts[plain.kind(link)] for link in range(len(graph.links))], abs=1e-9
    )
    for a in range(graph.agencies):
        assert found.repeated[a] == pytest.approx(plain.repeated(a))
        for b in range(graph.agencies):
            assert found.shift[a, b] == pytest.approx(shifts[min(a, b), max(a, b)], abs=1e-9)
            assert found.covered[a, b] == pytest.approx(plain.covered(a, b))


EXTREME = st.one_of(st.sampled_from([-1000.0, 1000.0, 0.0, -0.0, 60.0, -60.0]), st.floats(-1e6, 1e6))


@given(_graphs(EXTREME))
@settings(max_examples=150, deadline=None)
def test_figures_stay_finite(graph: Graph) -> None:
    """Whatever the weights, and where agencies hold nobody or nothing is linked, all figures are finite."""
    found = _settle(graph)
    assert found.weight.shape == found.probability.shape == found.agencies.shape == (len(graph.links),)
    for each in (found.weight, found.agencies, found.shift, found.covered, found.repeated):
        assert np.isfinite(each).all()
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
    assert found.probability.tolist() == pytest.approx((1 / (1 + np.exp2(-found.weight))).tolist())
    assert found.shift.tolist() == found.shift.T.tolist()
    assert (found.covered >= 0).all()
    assert (found.repeated >= 0).all()


def test_nothing_is_linked() -> None:
    """Without links there is nothing to settle, however many agencies there are."""
    for agency in ((), (0, 0, 1)):
        found = _settle(Graph(agency=agency, agencies=3, links=()))
        assert (len(found.weight), found.shift.shape) == (0, (3, 3))
        assert not found.shift.any()
        assert not found.covered.any()


def _same(one: Settled, other: Settled, order: Sequence[int]) -> None:
    """Assert that link `order[n]` of `one` is settled as link n of `other`."""
    assert one.weight[list(order)].tolist() == pytest.approx(other.weight.tolist(), abs=1e-6)
    assert one.agencies[list(order)].tolist() == pytest.approx(other.agencies.tolist(), abs=1e-6)


@given(_graphs(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_and_the_sides_of_links_do_not_matter(graph: Graph, random: object) -> None:
    """The same links in another order, some of them turned round, are settled alike."""
    order = list(range(len(graph.links)))
    random.shuffle(order)  # type: ignore[attr-defined]
    links = []
    for n in order:
        left, right, weight = graph.links[n]
        links.append((right, left, weight) if random.random() < 0.5 else (left, right, weight))  # type: ignore[attr-defined]
    _same(_settle(graph, 5), _settle(replace(graph, links=tuple(links)), 5), order)


@given(_graphs(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_numbers_of_agencies_and_subjects_do_not_matter(graph: Graph, random: object) -> None:
    """Subjects and agencies by other numbers are settled alike, and what is said of agencies moves with them."""
    subject, agency = list(range(len(graph.agency))), list(range(graph.agencies))
    random.shuffle(subject)  # type: ignore[attr-defined]
    random.shuffle(agency)  # type: ignore[attr-defined]
    renamed = [0] * len(subject)
    for old, new in enumerate(subject):
        renamed[new] = agency[graph.agency[old]]
    moved = Graph(
        agency=tuple(renamed),
        agencies=graph.agencies,
        links=tuple((subject[a], subject[b], weight) for a, b, weight in graph.links),
    )
    first, second = _settle(graph, 5), _settle(moved, 5)
    _same(first, second, range(len(graph.links)))
    for a in range(graph.agencies):
        assert first.repeated[a] == pytest.approx(second.repeated[agency[a]])
        for b in range(graph.agencies):
            assert first.covered[a, b] == pytest.approx(second.covered[agency[a], agency[b]])
            assert first.shift[a, b] == pytest.approx(second.shift[agency[a], agency[b]], abs=1e-6)


@given(_graphs())
@settings(max_examples=80, deadline=None)
def test_more_rounds_change_little(graph: Graph) -> None:
    """The turns come to rest: three times as many give the same probabilities, and so does a second call."""
    found = _settle(graph)
    assert found.probability.tolist() == pytest.approx(_settle(graph, 60).probability.tolist(), abs=1e-3)
    assert found.weight.tobytes() == _settle(graph).weight.tobytes()


@given(st.lists(st.floats(-15.0, 20.0), min_size=1, max_size=8), st.integers(0, 5))
def test_one_agency_has_no_rivals(weights: list[float], alone: int) -> None:
    """In a run of one agency every pair keeps its weight, since nothing says that the agency holds nobody twice."""
    links = tuple((0, n + 1, weight) for n, weight in enumerate(weights))
    found = _settle(Graph(agency=(0,) * (len(weights) + 1 + alone), agencies=1, links=links))
    assert found.weight.tolist() == pytest.approx(weights, abs=1e-6)


def _two_files(people: int, further: Sequence[tuple[int, int, float]], *, twice: bool = False) -> Graph:
    """Two agencies that know the same `people`, one certain link each, and more links among records of nobody else.

    Of `further`, subject -n is the n-th record of agency 1 beyond its people, and subject n the n-th of agency 0. With
    `twice`, agency 1 holds everybody two times, which are linked to each other and to the record of agency 0.
    """
    copies = 2 if twice else 1
    mine, theirs = people, people * copies
    left = 1 + max((link[0] for link in further), default=-1)
    right = max((-link[1] for link in further), default=0)
    agency = (0,) * (mine + left) + (1,) * (theirs + right)
    begin = mine + left
    links = [(n, begin + n + people * copy, 12.0) for n in range(people) for copy in range(copies)]
    links += [(begin + n, begin + n + people, 12.0) for n in range(people)] if twice else []

    def subject(n: int) -> int:
        return mine + n if n >= 0 else begin + theirs - n - 1

    links += [(subject(a), subject(b), weight) for a, b, weight in further]
    return Graph(agency=agency, agencies=2, links=tuple(links))


def test_a_link_without_rivals_keeps_its_weight() -> None:
    """Where all agencies share people at one rate, and few records have a partner, settling changes next to nothing."""
    half = 200
    agency = (0,) * half + (1,) * half
    # Of 19,900 pairs within each agency two match, of 40,000 between them four.
    links = [(0, 1, 9.0), (2, 3, 9.0), (half, half + 1, 9.0), (half + 2, half + 3, 9.0)]
    links += [(10 + n, half + 10 + n, 9.0) for n in range(4)]
    found = _settle(Graph(agency=agency, agencies=2, links=tuple(links)))
    assert found.weight.tolist() == pytest.approx([9.0] * len(links), abs=0.1)


def test_of_two_candidates_the_stronger_gains() -> None:
    """Where nobody is held twice, two candidates share one probability by their odds: it is not given away twice."""
    graph = _two_files(40, [(0, -1, 3.0), (0, -2, 1.0)])
    found = _settle(graph)
    weak = found.weight[-1]
    assert 0.97 < found.probability[-2:].sum() <= 1.0
    assert found.probability[-2] / found.probability[-1] == pytest.approx(2**3 / 2**1, rel=0.05)
    # A third record of agency 0 that has the weaker one only, and no rival: nearly everybody else has a partner.
    left = _settle(_two_files(40, [(0, -1, 3.0), (1, -2, 1.0)]))
    assert left.weight[-1] > 1.0
    assert left.weight[-1] > weak + 2


def test_a_rival_costs_little_where_people_are_held_twice() -> None:
    """Where an agency holds everybody twice, the weaker of two candidates loses little, and far less than elsewhere."""
    lost = []
    for twice in (False, True):
        found = _settle(_two_files(40, [(0, -1, 3.0), (0, -2, 1.0)], twice=twice))
        lost.append(1.0 + found.agencies[-1] - found.weight[-1])
    assert lost[0] > 1.5
    # A record has two partners there about as freely as one: by the formula it cannot lose more than log2(1 / k) = 1.
    assert lost[1] < 0.5


def test_rivals_that_look_alike_are_none() -> None:
    """Two candidates that were compared and look like one person do not weaken each other; strangers do."""
    weights = {}
    for between in (None, -12.0, 12.0):
        graph = _two_files(40, [(0, -1, 3.0), (0, -2, 1.0)])
        pair = (len(graph.agency) - 2, len(graph.agency) - 1)
        assert {link[1] for link in graph.links[-2:]} == set(pair)
        if between is not None:
            graph = replace(graph, links=((*pair, between), *graph.links))
        weights[between] = _settle(graph).weight[-2:]
    assert weights[-12.0].tolist() == pytest.approx(weights[None].tolist(), abs=0.05)
    assert weights[12.0][1] > 1.0
    assert weights[12.0][1] > weights[None][1] + 2
    assert weights[12.0][0] > weights[None][0]


def test_agencies_that_share_nobody_are_told_apart_from_those_that_share_all() -> None:
    """The same weight says more between agencies that share many people than between those that share nearly none."""
    size = 60
    agency = tuple(n // size for n in range(3 * size))
    links = [(n, size + n, 12.0) for n in range(40)]
    links += [(50, size + 50, 1.0), (50, 2 * size + 50, 1.0)]
    found = _settle(Graph(agency=agency, agencies=3, links=tuple(links)))
    assert found.shift[0, 1] > 1 > -1 > found.shift[0, 2]
    assert found.agencies[-2:].tolist() == pytest.approx([found.shift[0, 1], found.shift[0, 2]])
    assert found.weight[-2] > 1.0 > found.weight[-1]
    assert found.covered[1, 0] == pytest.approx(40 / 61, abs=0.03)
    assert found.covered[2, 0] < 0.02


def test_the_example_of_the_guide() -> None:
    """The three left-over records of docs/guides/linkage-unit.md have the weights that the guide prints."""
    found = _settle(_two_files(97, [(0, -1, 4.0), (0, -2, 2.0), (1, -2, 1.0)]))
    assert [round(weight, 1) for weight in found.weight[-3:].tolist()] == [9.0, -9.6, 7.3]
    assert [round(share, 3) for share in found.probability[-3:].tolist()] == [0.998, 0.001, 0.994]
    alone = _settle(_two_files(97, [(0, -1, 4.0), (0, -2, 2.0)]))
    assert [round(share, 2) for share in alone.probability[-2:].tolist()] == [0.8, 0.2]
    assert [round(_probability(weight), 2) for weight in (4.0, 2.0, 1.0)] == [0.94, 0.8, 0.67]


@given(st.lists(st.floats(-4.0, 6.0), min_size=4, max_size=4))
@settings(max_examples=40, deadline=None)
def test_a_chain_of_candidates_equals_all_its_matchings(weights: list[float]) -> None:
    """Where nobody is held twice, probabilities are those of a sum over every way to pair the records one to one."""
    ends = [(0, -1), (0, -2), (1, -2), (1, -3)]
    graph = _two_files(97, [(*pair, weight) for pair, weight in zip(ends, weights, strict=True)])
    found = _settle(graph, 400)
    left_over = [max(LEAST_LEFT, 1 - found.covered[0, 1]), max(LEAST_LEFT, 1 - found.covered[1, 0])]
    none = sqrt(left_over[0] * left_over[1])  # of either end, each for half
    odds = [2 ** (weight + found.shift[0, 1]) / none for weight in weights]
    total, held = 0.0, [0.0] * len(ends)
    for size in range(len(ends) + 1):
        for chosen in combinations(range(len(ends)), size):
            used = [end for n in chosen for end in ends[n]]
            if len(set(used)) == len(used):
                ways = prod(odds[n] for n in chosen)
                total += ways
                for n in chosen:
                    held[n] += ways
    assert found.probability[-4:].tolist() == pytest.approx([way / total for way in held], abs=1e-4)
