"""Clusters: components, repaired where something speaks against them, against a plain Kruskal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkage_oracle import components

from linkage.clusters import OVERRULED, Clusters, Evidence, cluster
from linkage.clusters_evidence import relatives
from linkage.clusters_metrics import cluster_metrics
from linkage.clusters_review import REVIEW as REVIEW_SCHEMA
from linkage.clusters_review import review_table
from linkage.comparing import PATTERN_BITS, place_of
from linkage.model import gamma_of
from schemas.scheme import COMPARISONS

Link = tuple[int, int, float]
THRESHOLD, REVIEW = 0.9, 0.4


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[int, list[Link]]:
    """Number of subjects, and links with weights among which there are ties."""
    subjects = draw(st.integers(1, 18))
    pair = st.tuples(st.integers(0, subjects - 1), st.integers(0, subjects - 1)).filter(lambda p: p[0] < p[1])
    pairs = draw(st.lists(pair, unique=True, max_size=45)) if subjects > 1 else []
    return subjects, [(a, b, draw(st.integers(-3, 12)) / 1.0) for a, b in pairs]


def _run(subjects: int, links: list[Link], largest: int, evidence: Evidence | None = None) -> Clusters:
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
        evidence=evidence,
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


Against = tuple[int, list[Link], dict[str, Any]]


@st.composite
def _contested(draw: st.DrawFn) -> Against:
    """A graph, and what speaks against its joins: flags a link, numbers a subject, pairs to keep apart."""
    subjects, links = draw(_graphs())
    flags = st.lists(st.booleans(), min_size=len(links), max_size=len(links))
    subject = st.integers(0, subjects - 1)
    return (
        subjects,
        links,
        {
            "differ": draw(flags),
            "relatives": draw(flags),
            "numbers": draw(st.lists(st.tuples(subject, st.integers(0, 3)), unique=True, max_size=8)),
            "apart": draw(
                st.lists(st.tuples(subject, subject).filter(lambda p: p[0] != p[1]), max_size=4)
                if subjects > 1
                else st.just([])
            ),
        },
    )


def _evidence(against: dict[str, Any]) -> Evidence:
    numbers = np.array(against["numbers"], dtype=np.int64).reshape(-1, 2)
    apart = np.array(against["apart"], dtype=np.int64).reshape(-1, 2)
    return Evidence(
        numbers_differ=np.array(against["differ"], dtype=bool),
        relatives=np.array(against["relatives"], dtype=bool),
        number_subject=numbers[:, 0],
        number_of=numbers[:, 1],
        apart_left=apart[:, 0],
        apart_right=apart[:, 1],
    )


def _cannot_link(links: list[Link], against: dict[str, Any]) -> set[frozenset[int]]:
    """Return every pair that must stay apart, spelled out."""
    sure = {frozenset(link[:2]) for link in links if _probability(link) >= OVERRULED}
    held: dict[int, set[int]] = {}
    for subject, number in against["numbers"]:
        held.setdefault(subject, set()).add(number)
    conflicting = {frozenset((a, b)) for a in held for b in held if a < b and not held[a] & held[b]} | {
        frozenset(link[:2]) for link, differ in zip(links, against["differ"], strict=True) if differ
    }
    return (conflicting - sure) | {frozenset(pair) for pair in against["apart"]}


def _plain_repair(
    subjects: int, links: list[Link], against: dict[str, Any], largest: int
) -> set[frozenset[int]]:
    """Kruskal with cannot-link pairs over the whole graph, one link after the other."""
    cannot = _cannot_link(links, against)
    believed = [link for link in links if _probability(link) >= THRESHOLD]
    group = {node: frozenset([node]) for node in range(subjects)}
    for left, right, _ in sorted(believed, key=lambda link: (-link[2], link[0], link[1])):
        joined = group[left] | group[right]
        if len(joined) <= largest and not any(
            frozenset((a, b)) in cannot for a in group[left] for b in group[right] if a != b
        ):
            for node in joined:
                group[node] = joined
    return set(group.values())


@given(_contested(), st.integers(2, 8))
@settings(max_examples=150, deadline=None)
def test_what_must_stay_apart_stays_apart(case: Against, largest: int) -> None:
    """No pair that must stay apart is one person, however many links would join it through others."""
    subjects, links, against = case
    found = _run(subjects, links, largest, _evidence(against))
    for pair in _cannot_link(links, against):
        one, other = sorted(pair)
        assert found.person[one] != found.person[other]


@given(_contested(), st.integers(2, 8))
@settings(max_examples=150, deadline=None)
def test_repair_equals_a_plain_one(case: Against, largest: int) -> None:
    """Repairing only affected components makes the people that a plain repair of everything makes."""
    subjects, links, against = case
    found = _run(subjects, links, largest, _evidence(against))
    assert _partition(found) == _plain_repair(subjects, links, against, largest)
    cut = [
        _probability(link) >= THRESHOLD and found.person[link[0]] != found.person[link[1]] for link in links
    ]
    assert (found.reason > 0).tolist() == cut
    assert found.cut == sum(cut) == sum(found.cut_by.values())


@given(_contested(), st.integers(2, 8), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_the_order_of_rows_does_not_matter(case: Against, largest: int, random: Any) -> None:
    """The same links, numbers and pairs in another order make the same people, for the same reasons."""
    subjects, links, against = case
    order = list(range(len(links)))
    random.shuffle(order)
    moved: dict[str, Any] = {
        "differ": [against["differ"][n] for n in order],
        "relatives": [against["relatives"][n] for n in order],
        "numbers": random.sample(against["numbers"], len(against["numbers"])),
        "apart": [pair[::-1] for pair in against["apart"]],
    }
    first = _run(subjects, links, largest, _evidence(against))
    second = _run(subjects, [links[n] for n in order], largest, _evidence(moved))
    assert first.person.tolist() == second.person.tolist()
    assert first.reason[order].tolist() == second.reason.tolist()


NOTHING: dict[str, Any] = {"numbers": [], "apart": []}


def test_a_chain_over_two_numbers_is_cut_at_its_weaker_link() -> None:
    """Records with different NHS numbers are not joined through a third that holds none."""
    links = [(0, 1, 9.0), (1, 2, 8.0)]
    against = {"differ": [False] * 2, "relatives": [False] * 2, "numbers": [(0, 1), (2, 2)], "apart": []}
    found = _run(3, links, 50, _evidence(against))
    assert _partition(found) == {frozenset({0, 1}), frozenset({2})}
    assert found.cut_by == {"do_not_link": 0, "nhs_number": 1, "size": 0}


@pytest.mark.parametrize(("weight", "joined"), [(4.2, False), (4.3, True)])
def test_sure_links_overrule_different_numbers(weight: float, joined: bool) -> None:
    """Two records that agree on all else, from OVERRULED up, are one person with a number entered wrongly."""
    against = {**NOTHING, "differ": [True], "relatives": [False]}
    assert (_run(2, [(0, 1, weight)], 50, _evidence(against)).count == 1) == joined
    apart = {**against, "apart": [(1, 0)]}
    assert _run(2, [(0, 1, weight)], 50, _evidence(apart)).count == 2  # but never a do-not-link pair


def test_a_believed_link_of_twins_joins_them() -> None:
    """What twins look like cuts nothing: from the threshold up the two are one person, below it they are not."""
    against = {**NOTHING, "differ": [False], "relatives": [True]}
    joined = _run(2, [(0, 1, 3.2)], 50, _evidence(against))
    assert (joined.count, joined.cut) == (1, 0)
    assert _run(2, [(0, 1, 3.1)], 50, _evidence(against)).count == 2
    differing = {**against, "differ": [True]}
    cut = _run(2, [(0, 1, 3.2)], 50, _evidence(differing))
    assert (cut.count, cut.cut_by) == (2, {"do_not_link": 0, "nhs_number": 1, "size": 0})


def _pattern(**levels: str | None) -> int:
    """Return the pattern of a pair at the named levels; "else" by default, None for null."""
    pattern = 0
    for comparison in COMPARISONS:
        name = levels.get(comparison.name, "else")
        names = [level.name for level in comparison.levels]
        gamma = -1 if name is None else 0 if name == "else" else gamma_of(comparison, names.index(name))
        pattern |= (gamma + 1) << (PATTERN_BITS * place_of(comparison.name))
    return pattern


def test_what_counts_as_relatives() -> None:
    """Same surname, birth date and place, forenames that share nothing, and no NHS number in common."""
    twins = {"surname": "rare", "dob": "exact", "location": "home", "sex": "exact", "nhs_number": None}
    cases = [
        (twins, True),
        (twins | {"nhs_number": "else"}, True),
        (twins | {"surname": "mid", "location": "postcode"}, True),
        (twins | {"nhs_number": "exact"}, False),
        (twins | {"forename": "initial"}, False),
        (twins | {"forename": None}, False),
        (twins | {"dob": "two_parts"}, False),
        (twins | {"location": "district"}, False),
        (twins | {"surname": "initial"}, False),
    ]
    patterns = np.array([_pattern(**case) for case, _ in cases], dtype=np.int64)
    assert relatives(patterns).tolist() == [expected for _, expected in cases]


@given(_graphs())
@settings(max_examples=100, deadline=None)
def test_metrics_equal_plain_ones(graph: tuple[int, list[Link]]) -> None:
    """Sizes and density are counted right, and a bridged person is one that falls apart when some link is cut."""
    subjects, links = graph
    found = _run(subjects, links, largest=subjects)
    inside = [(a, b) for a, b, w in links if _probability((a, b, w)) >= THRESHOLD]
    metrics = cluster_metrics(
        found.person,
        np.array([a for a, _ in inside], dtype=np.int64),
        np.array([b for _, b in inside], dtype=np.int64),
    )
    people = _partition(found)
    assert sum(size * count for size, count in metrics.sizes.items()) == subjects
    assert sum(metrics.sizes.values()) == len(people)
    pairs = sum(len(each) * (len(each) - 1) // 2 for each in people)
    assert metrics.density == (len(inside) / pairs if pairs else None)
    bridged = 0
    for each in people:
        own = [link for link in inside if link[0] in each]
        split = any(
            len([part for part in components(own[:n] + own[n + 1 :], subjects) if part & each]) > 1
            for n in range(len(own))
        )
        bridged += len(each) >= 3 and split
    assert metrics.bridged == bridged


Row = tuple[str, str, str, bool]


def _reviewed(links: list[Link], against: dict[str, Any], largest: int = 50) -> tuple[list[Row], Clusters]:
    """Return the rows of the review file, and the people."""
    subjects = 1 + max(max(link[:2]) for link in links)
    found = _run(subjects, links, largest, _evidence(against))
    weight = np.array([link[2] for link in links])
    arrays = [np.array([link[n] for link in links], dtype=np.int64) for n in (0, 1)]
    table = review_table(
        np.array([f"police:{n}" for n in range(subjects)], dtype=object),
        arrays[0],
        arrays[1],
        weight,
        1 / (1 + 2.0**-weight),
        clusters=found,
        threshold=THRESHOLD,
        review_from=REVIEW,
    )
    assert table.schema.equals(REVIEW_SCHEMA)
    rows = table.to_pylist()
    return [(row["record_a"], row["record_b"], row["reason"], row["joined"]) for row in rows], found


def test_review_lists_what_people_should_look_at() -> None:
    """The band, what was cut and what was overruled, by the run's labels; never a pair that must stay apart."""
    links = [(0, 1, 0.0), (2, 3, 3.5), (4, 5, 9.0), (6, 7, 9.0), (8, 9, 9.0), (0, 9, -5.0)]
    against = {
        "differ": [False, True, True, False, False, True],
        "relatives": [False] * 6,
        "numbers": [],
        "apart": [(6, 7)],
    }
    rows, found = _reviewed(links, against)
    assert rows == [
        ("police:0", "police:1", "band", False),
        ("police:4", "police:5", "nhs_number", True),
        ("police:2", "police:3", "nhs_number", False),
    ]
    assert found.cut_by["do_not_link"] == 1


def test_review_lists_twins_that_are_believed() -> None:
    """Twins stand in the review file from the threshold up, joined, unless the band or numbers are the reason."""
    links = [(0, 1, 3.2), (2, 3, 12.0), (4, 5, 1.0), (6, 7, 3.2), (8, 9, 12.0), (10, 11, -5.0), (12, 13, 9.0)]
    against = {
        "differ": [False, False, False, True, True, False, False],
        "relatives": [True] * 6 + [False],
        "numbers": [],
        "apart": [],
    }
    assert _reviewed(links, against)[0] == [
        ("police:4", "police:5", "band", False),
        ("police:8", "police:9", "nhs_number", True),
        ("police:6", "police:7", "nhs_number", False),
        ("police:2", "police:3", "relatives", True),
        ("police:0", "police:1", "relatives", True),
    ]


def test_review_lists_links_that_made_a_person_too_large() -> None:
    """A link that was cut by size is listed as cut, also where it looks like twins."""
    against = {**NOTHING, "differ": [False] * 3, "relatives": [False, True, False]}
    rows, _ = _reviewed([(0, 1, 9.0), (1, 2, 5.0), (2, 3, 9.0)], against, largest=2)
    assert rows == [("police:1", "police:2", "size", False)]
