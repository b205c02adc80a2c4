"""Clusters: components, cut where they are too large, against a plain Kruskal."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from linkage_oracle import components

from linkage.clusters import Clusters, cluster

Link = tuple[int, int, float]
THRESHOLD, REVIEW = 0.9, 0.4


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[int, list[Link]]:
    """Number of subjects, and links with weights among which there are ties."""
    subjects = draw(st.integers(1, 18))
    pair = st.tuples(st.integers(0, subjects - 1), st.integers(0, subjects - 1)).filter(lambda p: p[0] < p[1])
    pairs = draw(st.lists(pair, unique=True, max_size=45)) if subjects > 1 else []
    return subjects, [(a, b, draw(st.integers(-3, 12)) / 1.0) for a, b in pairs]


def _run(subjects: int, links: list[Link], largest: int) -> Clusters:
    weight = np.array([link[2] for link in links], dtype=np.float64)
    return cluster(
        np.array([link[0] for link in links], dtype=np.int64),
        np.array([link[1] for link in links], dtype=np.int64),
        weight,
        1 / (1 + 2.0**-weight),
        subjects=subjects,
        threshold=THRESHOLD,
        review_from=REVIEW,
        largest=largest,
    )


def _partition(found: Clusters) -> set[frozenset[int]]:
    groups: dict[int, set[int]] = {}
    for subject, person in enumerate(found.person.tolist()):
        groups.setdefault(person, set()).add(subject)
    return {frozenset(group) for group in groups.values()}


def _probability(link: Link) -> float:
    return 1 / (1 + 2.0 ** -link[2])


def _kruskal(subjects: int, links: list[Link], largest: int) -> set[frozenset[int]]:
    group = {node: frozenset([node]) for node in range(subjects)}
    for left, right, _ in sorted(links, key=lambda link: (-link[2], link[0], link[1])):
        joined = group[left] | group[right]
        if len(joined) <= largest:
            for node in joined:
                group[node] = joined
    return set(group.values())


@given(_graphs())
@settings(max_examples=80, deadline=None)
def test_people_are_the_components_of_strong_links(graph: tuple[int, list[Link]]) -> None:
    """Without a size limit that bites, people are the connected components of the links at or above the threshold."""
    subjects, links = graph
    found = _run(subjects, links, largest=subjects)
    strong = [(a, b) for a, b, w in links if _probability((a, b, w)) >= THRESHOLD]
    assert _partition(found) == components(strong, subjects)
    assert found.cut == 0


@given(_graphs(), st.integers(1, 6))
@settings(max_examples=120, deadline=None)
def test_oversized_clusters_are_cut_at_their_weakest_links(
    graph: tuple[int, list[Link]], largest: int
) -> None:
    """No person has more subjects than agreed, and the strongest links decide who stays together."""
    subjects, links = graph
    found = _run(subjects, links, largest)
    strong = [link for link in links if _probability(link) >= THRESHOLD]
    partition = _partition(found)
    assert partition == _kruskal(subjects, strong, largest)
    assert found.largest == max(map(len, partition)) <= largest
    assert found.count == len(partition)
    assert sorted(set(found.person.tolist())) == list(range(found.count))
    assert found.cut == sum(found.person[a] != found.person[b] for a, b, _ in strong)


@given(_graphs(), st.integers(2, 6), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_links_does_not_matter(
    graph: tuple[int, list[Link]], largest: int, random: object
) -> None:
    """The same links in another order make the same people."""
    subjects, links = graph
    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = _run(subjects, links, largest), _run(subjects, shuffled, largest)
    assert _partition(first) == _partition(second)
    assert (first.cut, first.review) == (second.cut, second.review)


@given(_graphs())
@settings(max_examples=100, deadline=None)
def test_review_counts_links_between_the_bounds(graph: tuple[int, list[Link]]) -> None:
    """Links from the review bound up to the threshold are counted and do not join anybody."""
    subjects, links = graph
    found = _run(subjects, links, largest=subjects)
    assert found.review == sum(REVIEW <= _probability(link) < THRESHOLD for link in links)


def test_nobody_is_linked() -> None:
    """Without links, everybody is a person of their own."""
    found = _run(4, [], largest=5)
    assert (found.count, found.largest, found.review, found.cut) == (4, 1, 0, 0)


def test_the_weakest_link_of_a_chain_goes() -> None:
    """Two pairs of certain links joined by a weaker one come apart there."""
    found = _run(4, [(0, 1, 20.0), (1, 2, 5.0), (2, 3, 20.0)], largest=3)
    assert _partition(found) == {frozenset({0, 1}), frozenset({2, 3})}
    assert found.cut == 1
