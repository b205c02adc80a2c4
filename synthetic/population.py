"""People and their lives: where they lived when, what they were called when, who died, who was adopted.

Time runs in days since 1 January 1970. The histories reach back `HISTORY_YEARS` before the reference date, because
agencies hold records that were opened years before the contact at hand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from synthetic.geography import HOUSEHOLDS_PER_UNIT, UNITS_PER_SECTOR, Dwellings, build_dwellings
from synthetic.households import (
    ADULT_CHILD,
    CHILD,
    FOSTERED,
    KIND,
    PARTNER,
    RESIDENT,
    SHARER,
    Bools,
    Floats,
    Ints,
    Members,
    build_households,
)
from synthetic.naming import Names, draw_communities, draw_forenames, draw_names, gendered
from synthetic.nhs import nhs_numbers
from synthetic.pools import Strings, surnames

HISTORY_YEARS = 8
MOVES = 6
NEVER = -1_000_000
YEAR = 365.25
NOWHERE = -1

# Moves a year. Private renters 22%, social 6%, owners 3.5% (DLUHC, English Housing Survey 2022-23, recent movers);
# 69% of looked-after children had one placement in the year, 10% three or more (DfE 2024). The others are assumed.
_TENURES = (("own", 0.63, 0.035), ("social", 0.17, 0.06), ("rent", 0.20, 0.22))
_PERSONAL_MOVES = {
    "looked_after": 0.55,
    "care_leaver": 0.80,
    "sharer": 0.45,
    "care_home": 0.35,
    "prison": 0.90,
    "students": 0.80,
    "hostel": 1.40,
    "no_fixed_abode": 1.10,
    "young_partner": 0.22,
}
_FAR_MOVE = 0.14  # moves from outside the area, assumed

# Adoptions: 2,980 children in England, year to March 2024, of some 12 million (DfE 2024). Over the history that is 0.2%.
_ADOPTED = 0.0020
_TRANS_OR_OTHER_FORENAME_CHANGE = 0.0008  # within the history, assumed
_PROTECTED_HOME = 0.003  # assumed
_NICKNAME_IN_USE = 0.22  # of people whose name has a short form, assumed


@dataclass(frozen=True, kw_only=True, slots=True)
class People:
    """Everybody of a chunk, one array element a person: first the residents, then pre-adoption identities.

    Attributes:
        number: Person number, unique over the chunks.
        members: Household, kind, role, age, sex, twin.
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
        forename_before: The forename before `reforenamed`.
        reforenamed: Day since which `names.forename` is used, NEVER where it always was.
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
    forename_before: Strings
    reforenamed: Ints
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
        return self.address[rows, (self.moved[rows] > day[:, None]).sum(axis=1)]

    def surname_at(self, rows: Ints, day: Ints) -> Strings:
        """Return the surname in use of each of `rows` on each `day`."""
        return np.where(day < self.renamed[rows], self.surname_before[rows], self.names.surname[rows])

    def forename_at(self, rows: Ints, day: Ints) -> Strings:
        """Return the forename of each of `rows` on each `day`."""
        return np.where(day < self.reforenamed[rows], self.forename_before[rows], self.names.forename[rows])


def _tenure_rates(rng: np.random.Generator, homes: int) -> Floats:
    shares = np.array([share for _, share, _ in _TENURES])
    return np.array([rate for _, _, rate in _TENURES])[rng.choice(3, size=homes, p=shares)]


def _histories(
    rng: np.random.Generator, rates: Floats, now: Ints, local: int, dwellings: int, today: int
) -> tuple[Ints, Ints]:
    """Return dwellings by epoch and the days of the moves for movers with `rates` moves a year."""
    count = rng.poisson(rates * HISTORY_YEARS).clip(max=MOVES)
    days = rng.integers(1, int(HISTORY_YEARS * YEAR), (rates.size, MOVES))
    moved = np.where(np.arange(MOVES) < count[:, None], today - days, NEVER)
    earlier = rng.integers(0, local, (rates.size, MOVES))
    far = rng.random(earlier.shape) < _FAR_MOVE
    earlier[far] = rng.integers(local, dwellings, int(far.sum()))
    return np.c_[now, earlier], np.sort(moved, axis=1)[:, ::-1]


def _personal_rates(rng: np.random.Generator, members: Members, looked_after: Bools) -> Floats:
    rates = np.zeros(members.age.size)
    rates[members.role == SHARER] = _PERSONAL_MOVES["sharer"]
    recent = (members.role == PARTNER) & (members.age < 36) & (rng.random(rates.size) < 0.5)
    rates[recent] = _PERSONAL_MOVES["young_partner"]
    for name in ("care_home", "prison", "students", "hostel", "no_fixed_abode"):
        rates[members.kind == KIND[name]] = _PERSONAL_MOVES[name]
    rates[members.kind == KIND["care_leavers"]] = _PERSONAL_MOVES["care_leaver"]
    rates[looked_after] = _PERSONAL_MOVES["looked_after"]
    return rates


def _addresses(
    rng: np.random.Generator,
    members: Members,
    homes: Ints,
    looked_after: Bools,
    local: int,
    dwellings: int,
    today: int,
) -> tuple[Ints, Ints]:
    family, family_moved = _histories(rng, _tenure_rates(rng, homes.size), homes, local, dwellings, today)
    address, moved = family[members.household], family_moved[members.household]
    rates = _personal_rates(rng, members, looked_after)
    own = np.flatnonzero(rates > 0)
    address[own], moved[own] = _histories(
        rng, rates[own], homes[members.household[own]], local, dwellings, today
    )
    address[members.kind == KIND["no_fixed_abode"], 0] = NOWHERE
    return address, moved


def _deaths(rng: np.random.Generator, age: Floats, today: int, window: int) -> Ints:
    # Gompertz: about 0.7% a year at 60, 5% at 80, 14% at 90 (ONS, national life tables, rounded).
    hazard = 0.05 * np.exp(0.1 * (age - 80))
    dies = rng.random(age.size) < 1 - np.exp(-hazard * window / YEAR)
    return np.where(dies, today - rng.integers(0, window, age.size), today + 1)


def _renames(
    rng: np.random.Generator, members: Members, names: Names, born: Ints, today: int
) -> tuple[Ints, Strings]:
    """Return since when the present surname is used, and the one before."""
    size = members.age.size
    before = names.surname_birth.copy()
    # Mean age at marriage about 31 for women, sd 7 (ONS, marriages 2022: median 32.7 for women).
    wedding = born + (np.maximum(18.0, rng.normal(31.0, 7.0, size)) * YEAR).astype(np.int64)
    recent = names.married & (wedding > today - HISTORY_YEARS * YEAR) & (wedding <= today)
    late = names.married & (wedding > today)
    recent |= late
    wedding = np.where(late, today - rng.integers(30, int(HISTORY_YEARS * YEAR), size), wedding)
    # Separations, remarriages and children who take a stepfather's name: 4% of women of 20 to 60 and of children (assumed).
    other = ~recent & members.female & (members.age > 20) & (members.age < 60) & (rng.random(size) < 0.04)
    other |= ~recent & (members.role == CHILD) & (members.age > 2) & (rng.random(size) < 0.03)
    before[other] = surnames()["british"].draw(rng, int(other.sum()))
    before = gendered(before, names.community, members.female)
    day = np.where(recent, wedding, today - rng.integers(30, int(6 * YEAR), size))
    changed = (recent | other) & (before != names.surname) & (day > born)
    return np.where(changed, day, NEVER), before


def _codes(rng: np.random.Generator, female: Bools) -> Strings:
    codes = np.where(female, "F", "M").astype(object)
    codes[rng.random(female.size) < 0.0008] = "X"
    return codes


def _before_adoption(
    rng: np.random.Generator, people: People, dwellings: int, local: int, first: int, nhs: Ints
) -> People:
    """Return the identities that adopted children had before: other surname, NHS number, home, often forename."""
    rows = np.flatnonzero(people.adopted == 1)
    members = people.members.take(rows)
    count = rows.size
    community = people.names.community[rows]
    born_year = people.born[rows] / YEAR + 1970
    keeps = rng.random(count) < 0.6
    forename = np.where(
        keeps, people.names.forename[rows], draw_forenames(rng, community, members.female, born_year)
    )
    surname = surnames()["british"].draw(rng, count)
    names = Names(
        community=community,
        forename=forename,
        middle=people.names.middle[rows],
        surname=surname,
        surname_birth=surname,
        married=np.zeros(count, bool),
    )
    today = int(people.known_until[rows].max(initial=0))
    address, moved = _histories(
        rng, np.full(count, 0.9), rng.integers(0, local, count), local, dwellings, max(today, 1)
    )
    until = people.known_from[rows] - 1
    shift = (people.known_from[rows] - today)[:, None]
    return replace(
        _rows(people, rows),
        number=first + np.arange(count),
        names=names,
        nhs=nhs[:count],
        members=replace(members, household=np.full(count, -1)),
        address=address,
        moved=np.where(moved == NEVER, NEVER, moved + shift),
        renamed=np.full(count, NEVER),
        surname_before=surname,
        forename_before=forename,
        reforenamed=np.full(count, NEVER),
        known_from=people.born[rows],
        known_until=until,
        adopted=np.full(count, 2),
        looked_after=np.ones(count, bool),
        uses_nickname=np.zeros(count, bool),
        resident=np.zeros(count, bool),
    )


def _rows(people: People, rows: Ints) -> People:
    picked = {}
    for field in People.__slots__:
        value = getattr(people, field)
        if isinstance(value, Members):
            picked[field] = value.take(rows)
        elif isinstance(value, Names):
            picked[field] = Names(**{name: getattr(value, name)[rows] for name in Names.__slots__})
        else:
            picked[field] = value[rows]
    return People(**picked)


def _append(first: People, second: People) -> People:
    joined = {}
    for field in People.__slots__:
        one, two = getattr(first, field), getattr(second, field)
        if isinstance(one, Members | Names):
            joined[field] = type(one)(
                **{n: np.concatenate([getattr(one, n), getattr(two, n)]) for n in type(one).__slots__}
            )
        else:
            joined[field] = np.concatenate([one, two])
    return People(**joined)


def _adoptions(rng: np.random.Generator, members: Members, born: Ints, today: int) -> tuple[Bools, Ints]:
    child = (
        (members.kind == KIND["couple_children"])
        & (members.role == CHILD)
        & (members.age > 1)
        & (members.age < 12)
    )
    candidates = np.flatnonzero(child)
    share = _ADOPTED * (members.age < 18).sum() / max(1, candidates.size)
    chosen = candidates[rng.random(candidates.size) < share]
    if not chosen.size:
        chosen = candidates[:1]
    adopted = np.zeros(members.age.size, bool)
    adopted[chosen] = True
    # Mean age at adoption 3 years 5 months (DfE 2024). The histories of contacts reach back three years, so adoptions
    # are put inside them: only those give an agency two identities of one child.
    days = np.minimum((today - born - 180).clip(1), rng.integers(60, 1000, members.age.size))
    return adopted, today - days


def build_people(
    rng: np.random.Generator,
    *,
    chunk: int,
    first: int,
    residents: int,
    as_of: date,
    window_days: int,
    offset: int,
) -> tuple[People, Dwellings]:
    """Return the people of one chunk and all dwellings they ever had.

    Args:
        rng: Source of randomness.
        chunk: Number of the chunk.
        first: Person number of the first resident; numbers of at most 1.02 × residents + 16 people follow.
        residents: How many residents, at least 1.
        as_of: Reference date.
        window_days: Length of the contact history.
        offset: Where the sequence of NHS numbers begins.
    """
    today = (as_of - date(1970, 1, 1)).days
    members = build_households(rng, residents)
    homes = int(members.household.max()) + 1
    local = int(homes * 1.04) + 8
    dwellings = build_dwellings(rng, chunk=chunk, households=local, elsewhere=max(64, local // 12))
    home = rng.permutation(local)[:homes]
    born = today - (members.age * YEAR).astype(np.int64)
    community = draw_communities(rng, members, home // (HOUSEHOLDS_PER_UNIT * UNITS_PER_SECTOR))
    born = _twins_share_birthdays(members, born)
    names = draw_names(rng, members, community, born / YEAR + 1970)
    looked_after = (members.role == FOSTERED) | (members.kind == KIND["childrens_home"])
    address, moved = _addresses(rng, members, home, looked_after, local, dwellings.uprn.size, today)
    renamed, before = _renames(rng, members, names, born, today)
    died = _deaths(rng, members.age, today, window_days)
    adopted, adoption_day = _adoptions(rng, members, born, today)
    size = residents
    reforenamed = np.where(
        rng.random(size) < _TRANS_OR_OTHER_FORENAME_CHANGE * (members.age > 14),
        today - rng.integers(60, 2000, size),
        NEVER,
    )
    spare = size // 64 + 64
    nhs = nhs_numbers(rng, start=int(first * 1.4) + chunk * 4096, count=size + spare, offset=offset)
    people = People(
        number=first + np.arange(size),
        members=members,
        names=names,
        born=born,
        died=died,
        known_from=np.where(adopted, adoption_day, born),
        known_until=died.clip(max=today),
        nhs=nhs[:size],
        address=address,
        moved=moved,
        renamed=np.where(adopted, NEVER, renamed),
        surname_before=before,
        forename_before=draw_forenames(rng, community, members.female, born / YEAR + 1970),
        reforenamed=np.where(adopted, NEVER, reforenamed),
        uses_nickname=rng.random(size) < _NICKNAME_IN_USE,
        looked_after=looked_after,
        care_leaver=(members.kind == KIND["care_leavers"]) & (members.role == RESIDENT),
        protected=(rng.random(homes) < _PROTECTED_HOME)[members.household],
        adopted=adopted.astype(np.int64),
        sex_code=_codes(rng, members.female),
        resident=np.ones(size, bool),
    )
    earlier = _before_adoption(rng, people, dwellings.uprn.size, local, first + size, nhs[size:])
    return _append(people, earlier), dwellings


def _twins_share_birthdays(members: Members, born: Ints) -> Ints:
    grown = members.role == ADULT_CHILD
    twin = members.twin & ~grown
    same = twin[1:] & twin[:-1] & (members.household[1:] == members.household[:-1])
    same &= members.age[1:] == members.age[:-1]
    result = born.copy()
    for row in np.flatnonzero(same):
        result[row + 1] = result[row]
    return result
