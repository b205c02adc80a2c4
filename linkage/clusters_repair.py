"""The repair of one component: join along the strongest links, but never what must stay apart."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Pairs = tuple[Ints, Ints]
"""Two parallel arrays of subjects."""


class Reason(IntEnum):
    """Why a link above the threshold was cut."""

    DO_NOT_LINK = 1
    NHS_NUMBER = 2
    SIZE = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Barrier:
    """What must stay apart.

    Attributes:
        apart: Pairs that an agency wants kept apart.
        differ: Pairs whose NHS numbers were compared and differ.
        overruled: Pairs that may be one person though their numbers differ.
        number_of: Shape (n,): a number of subject `number_subject[n]`, coded.
        number_subject: Shape (n,).
    """

    apart: Pairs
    differ: Pairs
    overruled: Pairs
    number_of: Ints
    number_subject: Ints


def _beside(pairs: Pairs, among: set[int]) -> dict[int, set[int]]:
    """Return the partners of each subject of `among` in `pairs`."""
    found: dict[int, set[int]] = defaultdict(set)
    listed = np.fromiter(among, dtype=np.int64)
    inside = np.isin(pairs[0], listed) & np.isin(pairs[1], listed)
    for left, right in zip(pairs[0][inside].tolist(), pairs[1][inside].tolist(), strict=True):
        found[left].add(right)
        found[right].add(left)
    return found


class _Groups:
    """Groups of subjects that grow by joining."""

    def __init__(self, barrier: Barrier, subjects: set[int], largest: int) -> None:
        self._largest = largest
        self._members: dict[int, set[int]] = {subject: {subject} for subject in subjects}
        self._group = {subject: subject for subject in subjects}
        self._apart = _beside(barrier.apart, subjects)
        self._differ = _beside(barrier.differ, subjects)
        self._overruled = _beside(barrier.overruled, subjects)
        numbers: dict[int, set[int]] = defaultdict(set)
        listed = np.isin(barrier.number_subject, np.fromiter(subjects, dtype=np.int64))
        subject_of, number_of = barrier.number_subject[listed], barrier.number_of[listed]
        for subject, number in zip(subject_of.tolist(), number_of.tolist(), strict=True):
            numbers[subject].add(number)
        self._numbers = {subject: frozenset(held) for subject, held in numbers.items()}
        # The distinct sets of numbers of a group: usually one, whatever its size.
        self._held = {subject: {held} for subject, held in self._numbers.items()}

    def join(self, left: int, right: int) -> Reason | None:
        """Join the groups of two subjects, or return why they must stay apart."""
        a, b = self._group[left], self._group[right]
        if a == b:
            return None
        if len(self._members[a]) < len(self._members[b]):
            a, b = b, a
        reason = self._against(a, b)
        if reason is None:
            moved = self._members.pop(b)
            self._members[a] |= moved
            self._group.update(dict.fromkeys(moved, a))
            self._held.setdefault(a, set()).update(self._held.pop(b, set()))
        return reason

    def _against(self, a: int, b: int) -> Reason | None:
        large, small = self._members[a], self._members[b]
        if any(self._apart[each] & large for each in small if each in self._apart):
            return Reason.DO_NOT_LINK
        if self._numbers_conflict(a, b):
            return Reason.NHS_NUMBER
        return Reason.SIZE if len(large) + len(small) > self._largest else None

    def _numbers_conflict(self, a: int, b: int) -> bool:
        large, small = self._members[a], self._members[b]
        if any(self._differ[each] & large for each in small if each in self._differ):
            return True
        held_a, held_b = self._held.get(a, set()), self._held.get(b, set())
        if all(one & other for one in held_a for other in held_b):
            return False
        return any(
            not (self._numbers[one] & self._numbers[other]) and one not in self._overruled.get(other, ())
            for other in small
            if other in self._numbers
            for one in large
            if one in self._numbers
        )


def agglomerate(left: Ints, right: Ints, barrier: Barrier, *, largest: int) -> NDArray[np.int8]:
    """Join subjects along links, strongest first.

    What must stay apart only grows as groups do, so a link that is left out would be left out at any later time too.

    Args:
        left: One subject of each link, the strongest link first.
        right: The other one.
        barrier: What must stay apart.
        largest: Most subjects in a group.

    Returns:
        For each link the `Reason` it was left out for, or 0 when its ends are together.
    """
    groups = _Groups(barrier, set(left.tolist()) | set(right.tolist()), largest)
    found = np.zeros(len(left), dtype=np.int8)
    for place, (one, other) in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        found[place] = groups.join(one, other) or 0
    return found
