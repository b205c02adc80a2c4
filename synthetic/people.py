"""The people of a chunk as parallel arrays, and what was true of them on a given day.

Time runs in days since 1 January 1970. Histories reach back `HISTORY_YEARS` before the reference date, because agencies
hold records that were opened years before the contact at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthetic.households import Bools, Ints, Members
from synthetic.naming import Names
from synthetic.pools import Strings

HISTORY_YEARS = 8
MOVES = 6
NEVER = -1_000_000
YEAR = 365.25
NOWHERE = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Everybody of a chunk, one array element a person: first the residents, then pre-adoption identities.

    Attributes:
        number: Person number, unique over the chunks.
        members: Household (-1 for pre-adoption identities), kind, role, age, sex, twin.
        names: Names now and at birth.
        born: Day of birth.
        died: Day of death, or a day after the reference date.
        known_from: First day on which this identity can meet an agency (birth, or adoption).
        known_until: Last such day (death, or the day before adoption).
        nhs: NHS number.
        address: Dwelling by epoch, newest first, shape (N, MOVES + 1); NOWHERE without an address.
        moved: Day of the move into the epoch's dwelling, shape (N, MOVES), newest first; NEVER where there is none.
        renamed: Day since which `names.surname` is used, NEVER where it always was.
        surname_before: The surname before `renamed`.
        reforenamed: Day since which `names.forename` is used, NEVER where it always was.
        forename_before: The forename before `reforenamed`.
        uses_nickname: Goes by a short form.
        looked_after: Fostered or in a children's home.
        care_leaver: Left care, aged 16 to 25.
        protected: Lives at an address that must not be shown.
        adopted: 0 no, 1 the identity after adoption, 2 the one before.
        sex_code: "F", "M" or "X".
        resident: Whether the identity counts among the residents.
    """

    number: Ints
    members: Members
    names: Names
    born: Ints
    died: Ints
    known_from: Ints
    known_until: Ints
    nhs: Ints
    address: Ints
    moved: Ints
    renamed: Ints
    surname_before: Strings
    reforenamed: Ints
    forename_before: Strings
    uses_nickname: Bools
    looked_after: Bools
    care_leaver: Bools
    protected: Bools
    adopted: Ints
    sex_code: Strings
    resident: Bools

    @property
    def size(self) -> int:
        """How many identities there are."""
        return int(self.number.size)

    def dwelling_at(self, rows: Ints, day: Ints) -> Ints:
        """Return the dwelling of each of `rows` on each `day`."""
        dwelling: Ints = self.address[rows, (self.moved[rows] > day[:, None]).sum(axis=1)]
        return dwelling

    def surname_at(self, rows: Ints, day: Ints) -> Strings:
        """Return the surname in use of each of `rows` on each `day`."""
        return np.where(day < self.renamed[rows], self.surname_before[rows], self.names.surname[rows])

    def forename_at(self, rows: Ints, day: Ints) -> Strings:
        """Return the forename of each of `rows` on each `day`."""
        return np.where(day < self.reforenamed[rows], self.forename_before[rows], self.names.forename[rows])


def _rebuilt(change: Callable[..., Any], *sources: Any) -> Any:
    """Return a value of the same class whose arrays are `change` of the arrays of `sources`, nested values included."""
    kind = type(sources[0])
    fields = {}
    for name in kind.__slots__:
        values = [getattr(source, name) for source in sources]
        fields[name] = change(*values) if isinstance(values[0], np.ndarray) else _rebuilt(change, *values)
    return kind(**fields)


def take(people: People, rows: Ints) -> People:
    """Return the people at `rows`."""
    picked: People = _rebuilt(lambda array: array[rows], people)
    return picked


def joined(first: People, second: People) -> People:
    """Return the people of `first` followed by those of `second`."""
    both: People = _rebuilt(lambda one, two: np.concatenate([one, two]), first, second)
    return both
