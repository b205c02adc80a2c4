"""Every pair of references that is true or predicted, and shares over such pairs with intervals.

Pairs of one person err together (one wrong birth date spoils all of them), so an interval that took them for
independent would be too narrow. Shares are therefore read as ratios over people: their variance is that of a ratio
estimator with people as sampling units (Cochran, "Sampling Techniques", 3rd ed. 1977, section 6.4), which gives the
number of independent pairs that would say as much (Kish's effective size), and the interval is Wilson's (1927) for
that number. Wilson's, because shares here lie near one and groups are small: intervals by the normal approximation or
by resampling then leave the range or shrink to a point.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from linkage.ties import Ties
from synthetic.evaluation import Refs

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

Z95 = 1.959964
"""Standard normal quantile of a two-sided 95% interval."""

NEVER = -1.0
"""Score of a true pair that was never compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A share with its 95% interval; all None where it is not defined.

    Attributes:
        value, low, high: The share and its bounds, 0 to 1.
        effective: Number of independent pairs that would say as much.
    """

    value: float | None
    low: float | None
    high: float | None
    effective: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    """Pairs of references, each once; parallel arrays.

    Attributes:
        left, right: Positions of the references, left < right.
        score: Probability that they are one person; 1 within a subject, `NEVER` where the run has no opinion.
        true: Whether both are one person.
        compared: Whether the run compared them, so that the score is the model's.
        implied: Whether the run compared them not, and takes them for one person through others.
    """

    left: Ints
    right: Ints
    score: Floats
    true: Bools
    compared: Bools
    implied: Bools

    def take(self, chosen: Bools) -> Pairs:
        """Return the `chosen` pairs only."""
        return Pairs(
            left=self.left[chosen],
            right=self.right[chosen],
            score=self.score[chosen],
            true=self.true[chosen],
            compared=self.compared[chosen],
            implied=self.implied[chosen],
        )


def together(group: Ints) -> tuple[Ints, Ints]:
    """Return every pair of positions with equal `group`, smaller position first; negative groups have none."""
    order = np.argsort(group, kind="stable")
    order = order[group[order] >= 0]
    ranked = group[order]
    lefts, rights = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for step in range(1, len(ranked)):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        if len(same) == 0:
            break
        lefts.append(order[same])
        rights.append(order[same + step])
    left, right = np.concatenate(lefts), np.concatenate(rights)
    return np.minimum(left, right), np.maximum(left, right)


def _across(ties: Ties, subject: Ints, subjects: int) -> tuple[Ints, Ints, Ints]:
    """Return every pair of references of two tied subjects, and which tie is theirs."""
    order = np.argsort(subject, kind="stable")
    starts = np.searchsorted(subject[order], np.arange(subjects + 1))
    sizes = np.diff(starts)
    count = sizes[ties.left] * sizes[ties.right]
    link = np.repeat(np.arange(len(count)), count)
    place = np.arange(len(link)) - np.repeat(np.cumsum(count) - count, count)
    wide = sizes[ties.right][link]
    left = order[starts[ties.left][link] + place // np.maximum(wide, 1)]
    right = order[starts[ties.right][link] + place % np.maximum(wide, 1)]
    return np.minimum(left, right), np.maximum(left, right), link


def pairs_of(ties: Ties, refs: Refs, *, subjects: int) -> Pairs:
    """Return every pair on which the run has an opinion, that is one subject, or that is one person by the truth.

    Args:
        ties: Pairs of subjects with their probabilities.
        refs: References with subject and person.
        subjects: Number of subjects of the run.
    """
    within = together(refs.subject)
    across = _across(ties, refs.subject, subjects)
    left = np.concatenate([within[0], across[0]])
    right = np.concatenate([within[1], across[1]])
    score = np.concatenate([np.ones(len(within[0])), ties.probability[across[2]]])
    nobody = np.zeros(len(within[0]), dtype=bool)
    compared = np.concatenate([nobody, ties.compared[across[2]]])
    implied = np.concatenate([nobody, ~ties.compared[across[2]]])
    same = together(refs.person)
    size = len(refs.person)
    missing = ~np.isin(same[0] * size + same[1], left * size + right)
    left, right = np.concatenate([left, same[0][missing]]), np.concatenate([right, same[1][missing]])
    unmet = int(missing.sum())
    return Pairs(
        left=left,
        right=right,
        score=np.concatenate([score, np.full(unmet, NEVER)]),
        true=refs.person[left] == refs.person[right],
        compared=np.concatenate([compared, np.zeros(unmet, dtype=bool)]),
        implied=np.concatenate([implied, np.zeros(unmet, dtype=bool)]),
    )


def clustered_pairs(cluster: Ints, refs: Refs) -> Pairs:
    """Return every pair that the run put into one person (score 1) or that is one person (else `NEVER`)."""
    usable = refs.subject >= 0
    found = Refs(subject=np.where(usable, cluster[refs.subject], -1), person=refs.person)
    nothing = np.empty(0, dtype=np.int64)
    none = Ties(left=nothing, right=nothing, probability=np.empty(0), compared=np.empty(0, dtype=bool))
    return pairs_of(none, found, subjects=int(cluster.max(initial=-1)) + 1)


def wilson(share: float, number: float, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval for a share seen in `number` independent trials, which need not be whole."""
    centre = share + z * z / (2 * number)
    half = z * sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    scale = 1 + z * z / number
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def ratio(part: Floats, whole: Floats) -> Share:
    """Return sum(part) / sum(whole) over people, with its interval.

    Args:
        part: For each person, what counts of theirs, between 0 and `whole`.
        whole: For each person, out of how much.
    """
    held = whole > 0
    part, whole = part[held], whole[held]
    total = float(whole.sum())
    if total == 0:
        return Share(value=None, low=None, high=None, effective=0.0)
    share, people = float(part.sum()) / total, len(whole)
    spread = float(((part - share * whole) ** 2).sum()) / total**2
    alike = float((whole**2).sum()) / total**2  # variance factor if all pairs of a person always agreed
    known = spread > 0 and people > 1
    effective = share * (1 - share) / (spread * people / (people - 1)) if known else 1 / alike
    # Fewer than one person's worth, or more than there are pairs, is noise of the estimate.
    effective = min(max(effective, 1.0), total)
    low, high = wilson(share, effective)
    return Share(value=share, low=low, high=high, effective=effective)


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """Pairs and their shares at a threshold.

    Attributes:
        true_pairs: Pairs of one person.
        found: Those predicted.
        false: Predicted pairs of different people.
        precision, recall, f1: Shares with intervals.
    """

    true_pairs: int
    found: int
    false: int
    precision: Share
    recall: Share
    f1: Share


def counts(pairs: Pairs, person: Ints, threshold: float) -> Counts:
    """Count `pairs` at a threshold.

    A false pair belongs half to each of its two people.

    Args:
        pairs: The pairs.
        person: Person of each reference, numbered from 0.
        threshold: Pairs at or above it are predicted.
    """
    size = int(person.max(initial=-1)) + 1
    predicted = pairs.score >= threshold

    def by_person(chosen: Bools) -> Floats:
        ends = np.concatenate([person[pairs.left[chosen]], person[pairs.right[chosen]]])
        return np.bincount(ends, minlength=size) / 2.0

    found, missed = by_person(predicted & pairs.true), by_person(~predicted & pairs.true)
    false = by_person(predicted & ~pairs.true)
    return Counts(
        true_pairs=int(pairs.true.sum()),
        found=int((predicted & pairs.true).sum()),
        false=int((predicted & ~pairs.true).sum()),
        precision=ratio(found, found + false),
        recall=ratio(found, found + missed),
        # F1 = 2 found / (2 found + false + missed) is a ratio over people too.
        f1=ratio(found, found + (false + missed) / 2),
    )


def best_threshold(pairs: Pairs) -> float:
    """Return the threshold with the best F1, chosen with the truth; 1 where there is no pair."""
    held = pairs.score >= 0
    order = np.argsort(-pairs.score[held], kind="stable")
    score, true = pairs.score[held][order], pairs.true[held][order]
    if len(score) == 0:
        return 1.0
    found, predicted = np.cumsum(true), np.arange(1, len(score) + 1)
    ends = np.flatnonzero(np.diff(score, append=-1.0) != 0)  # a threshold falls between distinct scores only
    f1 = 2 * found[ends] / (predicted[ends] + int(pairs.true.sum()))
    return float(score[ends[np.argmax(f1)]])
