"""From links to people: connected components above the threshold, repaired where something speaks against them.

Three things speak against a join. *Do not link*: an agency said so (adoption). *NHS number*: two records with
different valid numbers, unless they agree so well on all else that a wrong number is likelier (`OVERRULED`). *Size*:
more subjects than the agreement lets one person have. What twins look like (one home, surname and birth date,
forenames with nothing in common) is not cut: where both twins are known, each record has its better partner
(`linkage.settling`); what is left was right nine times in ten (docs/adr/0021) and stands in the review file.

The repair takes the links of an affected component from the strongest down (Kruskal 1956) and leaves out each that
would bring together what must stay apart: constrained agglomeration with cannot-link pairs (Wagstaff and Cardie 2000).
Components without a conflict, nearly all, are found in one vectorised step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from linkage.clusters_repair import Barrier, Reason, agglomerate

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

OVERRULED = 0.95
"""A link at or above this probability stands though NHS numbers differ. Among 20,000 synthetic people no false link
with differing numbers reached it and all but a few true ones did; an assumption elsewhere, so every such link stands in
the review file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What speaks against joins.

    Attributes:
        numbers_differ: Shape (links,): both subjects hold NHS numbers, none in common.
        relatives: Shape (links,): the link of what may be twins; it cuts nothing, and is for people to look at.
        number_of: Shape (n,): a number of subject `number_subject[n]`, coded; a subject may have several.
        number_subject: Shape (n,).
        apart_left, apart_right: Shape (pairs,): pairs of subjects that an agency wants kept apart.
    """

    numbers_differ: Bools
    relatives: Bools
    number_of: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    number_subject: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    apart_left: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    apart_right: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


@dataclass(frozen=True, kw_only=True, slots=True)
class Clusters:
    """Who is whom.

    Attributes:
        person: Shape (subjects,): person of each subject, numbered from 0.
        count: Number of people.
        largest: Subjects of the largest one.
        review: Links between the review bound and the threshold: for people to look at, not clustered.
        cut: Links above the threshold whose ends are different people after the repair.
        cut_by: The same by reason.
        reason: Shape (links,), int8: the `Reason` why a link was cut; 0 for the others.
        evidence: What spoke against joins.
    """

    person: Ints
    count: int
    largest: int
    review: int
    cut: int
    cut_by: Mapping[str, int]
    reason: NDArray[np.int8]
    evidence: Evidence


def components(left: Ints, right: Ints, subjects: int) -> Ints:
    """Return the connected component of each subject, numbered by their first subjects."""
    graph = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(subjects, subjects))
    component: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return component


def _barrier(left: Ints, right: Ints, probability: Floats, evidence: Evidence) -> Barrier:
    """Return the pairs that must stay apart, and the pairs whose strong link overrules differing numbers."""
    sure = probability >= OVERRULED
    against = evidence.numbers_differ & ~sure
    return Barrier(
        apart=(evidence.apart_left, evidence.apart_right),
        differ=(left[against], right[against]),
        overruled=(left[sure], right[sure]),
        number_of=evidence.number_of,
        number_subject=evidence.number_subject,
    )


def _suspect(person: Ints, barrier: Barrier, largest: int) -> Bools:
    """Return for each component whether it is too large or holds something that must stay apart."""
    count = int(person.max(initial=-1)) + 1
    suspect = np.bincount(person, minlength=count) > largest
    for left, right in (barrier.apart, barrier.differ):
        suspect[person[left][person[left] == person[right]]] = True
    owner = person[barrier.number_subject]
    low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
    np.minimum.at(low, owner, barrier.number_of)
    np.maximum.at(high, owner, barrier.number_of)
    return suspect | (low < high)


def cluster(
    left: Ints,
    right: Ints,
    weight: Floats,
    probability: Floats,
    *,
    subjects: int,
    threshold: float,
    review_from: float,
    largest: int,
    evidence: Evidence | None = None,
) -> Clusters:
    """Cluster subjects into people.

    Args:
        left: One subject of each link.
        right: The other one.
        weight: Match weight of each link.
        probability: Match probability of each link.
        subjects: Number of subjects.
        threshold: Links at or above this probability are believed.
        review_from: Links from here up to the threshold are counted for review.
        largest: Most subjects in one person.
        evidence: What speaks against joins; nothing when None.
    """
    nothing = np.zeros(len(left), dtype=bool)
    evidence = evidence or Evidence(numbers_differ=nothing, relatives=nothing)
    strong = probability >= threshold
    barrier = _barrier(left, right, probability, evidence)
    person = components(left[strong], right[strong], subjects)
    reason = np.zeros(len(left), dtype=np.int8)
    affected = np.flatnonzero(strong & _suspect(person, barrier, largest)[person[left]])
    if len(affected):
        order = affected[np.lexsort((right[affected], left[affected], -weight[affected]))]
        reason[order] = agglomerate(left[order], right[order], barrier, largest=largest)
        kept = strong & (reason == 0)
        person = components(left[kept], right[kept], subjects)
    sizes = np.bincount(person, minlength=1)
    return Clusters(
        person=person,
        count=len(sizes) if subjects else 0,
        largest=int(sizes.max(initial=0)),
        review=int(((probability >= review_from) & ~strong).sum()),
        cut=int((reason > 0).sum()),
        cut_by={each.name.lower(): int((reason == each).sum()) for each in Reason},
        reason=reason,
        evidence=evidence,
    )
