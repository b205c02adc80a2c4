"""Lives over time: moves, deaths, marriages and other changes of name, adoptions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from synthetic.geography import Dwellings
from synthetic.households import CHILD, KIND, PARTNER, SHARER, Bools, Floats, Ints, Members
from synthetic.naming import Names, birth_surnames, draw_forenames
from synthetic.people import HISTORY_YEARS, MOVES, NEVER, NOWHERE, YEAR, People, take
from synthetic.pools import Strings

# Tenure: 65% own, 16% rent socially, 19% privately (DLUHC, English Housing Survey 2022-23, headline report). Moves
# a year from the shares resident for less than three years, 14%, 17% and 50% (the same survey 2021-22, household
# moves): -ln(1 - share) / 3.
_TENURES = (("own", 0.65, 0.050), ("social", 0.16, 0.062), ("rent", 0.19, 0.231))
# One looked-after child in ten had three or more placements in the year (DfE 2024); the other rates are assumed.
_PERSONAL_MOVES = {
    "looked_after": 0.55,
    "care_leavers": 0.80,
    "care_home": 0.35,
    "prison": 0.90,
    "students": 0.80,
    "hostel": 1.40,
    "no_fixed_abode": 1.10,
    "sharer": 0.45,
    "young_partner": 0.22,
}
_FAR_MOVE = 0.14  # moves from outside the area, assumed

# Adoptions: 2,980 children in England in the year to March 2024, of some 12 million (DfE 2024): 0.2% in eight years.
_ADOPTED = 0.0020
_KEEPS_FORENAME = 0.6  # of adopted children, assumed

_RENAMED_WOMEN = (
    0.04  # separated, remarried or renamed otherwise within the history, of women of 20 to 60, assumed
)
_RENAMED_FAMILIES = 0.03  # families whose children took another surname within the history, assumed


@dataclass(frozen=True, kw_only=True, slots=True)
class Homes:
    """Where people can live.

    Attributes:
        dwelling: Dwelling of each household.
        local: Dwellings of the area come first; this many.
        total: All dwellings.
    """

    dwelling: Ints
    local: int
    total: int

    @classmethod
    def of(cls, dwellings: Dwellings, dwelling: Ints) -> Homes:
        """Return the homes of households that live in `dwelling`."""
        return cls(dwelling=dwelling, local=dwellings.local, total=int(dwellings.uprn.size))


def _histories(
    rng: np.random.Generator, rates: Floats, now: Ints, homes: Homes, today: int
) -> tuple[Ints, Ints]:
    """Return dwellings by epoch and the days of the moves for movers with `rates` moves a year."""
    count = rng.poisson(rates * HISTORY_YEARS).clip(max=MOVES)
    days = rng.integers(1, int(HISTORY_YEARS * YEAR), (rates.size, MOVES))
    moved = np.where(np.arange(MOVES) < count[:, None], today - days, NEVER)
    earlier = rng.integers(0, homes.local, (rates.size, MOVES))
    far = rng.random(earlier.shape) < _FAR_MOVE
    earlier[far] = rng.integers(homes.local, homes.total, int(far.sum()))
    return np.c_[now, earlier], np.sort(moved, axis=1)[:, ::-1]


def _personal_rates(rng: np.random.Generator, members: Members, looked_after: Bools) -> Floats:
    rates = np.zeros(members.age.size)
    rates[members.role == SHARER] = _PERSONAL_MOVES["sharer"]
    recent = (members.role == PARTNER) & (members.age < 36) & (rng.random(rates.size) < 0.5)
    rates[recent] = _PERSONAL_MOVES["young_partner"]
    for name in ("care_home", "prison", "students", "hostel", "no_fixed_abode", "care_leavers"):
        rates[members.kind == KIND[name]] = _PERSONAL_MOVES[name]
    rates[looked_after] = _PERSONAL_MOVES["looked_after"]
    return rates


def draw_addresses(
    rng: np.random.Generator, members: Members, homes: Homes, looked_after: Bools, today: int
) -> tuple[Ints, Ints]:
    """Return `People.address` and `People.moved`: families move together, some people on their own."""
    shares, yearly = (np.array(column, dtype=float) for column in list(zip(*_TENURES, strict=True))[1:])
    tenure = rng.choice(len(_TENURES), size=homes.dwelling.size, p=shares)
    family, family_moved = _histories(rng, yearly[tenure], homes.dwelling, homes, today)
    address, moved = family[members.household], family_moved[members.household]
    rates = _personal_rates(rng, members, looked_after)
    own = np.flatnonzero(rates > 0)
    now = homes.dwelling[members.household[own]]
    address[own], moved[own] = _histories(rng, rates[own], now, homes, today)
    address[members.kind == KIND["no_fixed_abode"], 0] = NOWHERE
    return address, moved


def draw_deaths(rng: np.random.Generator, age: Floats, today: int, window: int) -> Ints:
    """Return the day of death within the last `window` days, or a day after `today`."""
    # Gompertz: about 0.7% a year at 60, 5% at 80, 14% at 90 (ONS, national life tables, rounded).
    hazard = 0.05 * np.exp(0.1 * (age - 80))
    dies = rng.random(age.size) < 1 - np.exp(-hazard * window / YEAR)
    return np.where(dies, today - rng.integers(0, window, age.size), today + 1)


def draw_renames(
    rng: np.random.Generator, members: Members, names: Names, born: Ints, today: int
) -> tuple[Ints, Strings]:
    """Return `People.renamed` and `People.surname_before`."""
    size = members.age.size
    # Median age of women at marriage 32.7 (ONS, marriages in England and Wales 2022).
    wedding = born + (np.maximum(18.0, rng.normal(32.0, 7.0, size)) * YEAR).astype(np.int64)
    within = rng.integers(30, int(HISTORY_YEARS * YEAR), size)
    wedding = np.where(names.married & (wedding > today), today - within, wedding)
    recent = names.married & (wedding > today - HISTORY_YEARS * YEAR)
    grown = members.female & (members.age > 20) & (members.age < 60)
    other = ~recent & grown & (rng.random(size) < _RENAMED_WOMEN)
    homes = int(members.household.max()) + 1
    family = (rng.random(homes) < _RENAMED_FAMILIES)[members.household]
    child = ~recent & family & (members.role == CHILD) & (members.age > 2)
    earlier = birth_surnames(rng, names.community, members.female)
    # Brothers and sisters had the same surname before: that of the first of them.
    first = np.full(homes, -1, dtype=np.int64)
    rows = np.flatnonzero(child)
    first[members.household[rows[::-1]]] = rows[::-1]
    before = np.where(other, earlier, names.surname_birth)
    before[rows] = earlier[first[members.household[rows]]]
    family_day = today - rng.integers(30, int(6 * YEAR), homes)
    day = np.where(recent, wedding, np.where(child, family_day[members.household], today - within))
    changed = (recent | other | child) & (before != names.surname) & (day > born)
    return np.where(changed, day, NEVER), before


def draw_adoptions(rng: np.random.Generator, members: Members, born: Ints, today: int) -> tuple[Bools, Ints]:
    """Return who was adopted, and when. A population with any child of a couple holds at least one."""
    child = (members.kind == KIND["couple_children"]) & (members.role == CHILD)
    candidates = np.flatnonzero(child & (members.age > 1) & (members.age < 12))
    share = _ADOPTED * (members.age < 18).sum() / max(1, candidates.size)
    chosen = candidates[rng.random(candidates.size) < share]
    adopted = np.zeros(members.age.size, bool)
    adopted[chosen if chosen.size else candidates[:1]] = True
    # Put inside the three years that contacts reach back: only then can an agency hold both identities of one child.
    days = np.minimum((today - born - 180).clip(1), rng.integers(60, 1000, members.age.size))
    return adopted, today - days


def before_adoption(
    rng: np.random.Generator, people: People, homes: Homes, *, first: int, nhs: Ints
) -> People:
    """Return the identities that adopted children had before: other surname, NHS number, home, often forename.

    Args:
        rng: Source of randomness.
        people: The people; `adopted == 1` marks those who were adopted.
        homes: Where they can have lived.
        first: Person number of the first identity.
        nhs: At least as many unused NHS numbers.
    """
    rows = np.flatnonzero(people.adopted == 1)
    count, members = rows.size, people.members.take(rows)
    community = people.names.community[rows]
    other = draw_forenames(rng, community, members.female, people.born[rows] / YEAR + 1970)
    forename = np.where(rng.random(count) < _KEEPS_FORENAME, people.names.forename[rows], other)
    surname = birth_surnames(rng, community, members.female)
    address, moved = _histories(rng, np.full(count, 0.9), rng.integers(0, homes.local, count), homes, today=0)
    adopted_on = people.known_from[rows]
    return replace(
        take(people, rows),
        number=first + np.arange(count),
        members=replace(members, household=np.full(count, -1), twin=np.zeros(count, bool)),
        names=replace(
            take(people, rows).names,
            forename=forename,
            surname=surname,
            surname_birth=surname,
            married=np.zeros(count, bool),
        ),
        nhs=nhs[:count],
        address=address,
        moved=np.where(moved == NEVER, NEVER, moved + adopted_on[:, None]),
        renamed=np.full(count, NEVER),
        surname_before=surname,
        reforenamed=np.full(count, NEVER),
        forename_before=forename,
        known_from=people.born[rows],
        known_until=adopted_on - 1,
        adopted=np.full(count, 2),
        looked_after=np.ones(count, bool),
        uses_nickname=np.zeros(count, bool),
        protected=np.zeros(count, bool),
        resident=np.zeros(count, bool),
    )
