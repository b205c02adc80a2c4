"""The people of one chunk, from households to lives."""

from __future__ import annotations

from datetime import date

import numpy as np

from synthetic.geography import HOUSEHOLDS_PER_UNIT, UNITS_PER_SECTOR, Dwellings, build_dwellings
from synthetic.households import ADULT_CHILD, FOSTERED, KIND, RESIDENT, Bools, Ints, Members, build_households
from synthetic.lives import (
    Homes,
    before_adoption,
    draw_addresses,
    draw_adoptions,
    draw_deaths,
    draw_renames,
)
from synthetic.naming import draw_communities, draw_forenames, draw_names
from synthetic.nhs import nhs_numbers
from synthetic.people import NEVER, YEAR, People, joined
from synthetic.pools import Strings

_FORENAME_CHANGED = 0.0008  # within the history, transition included, assumed
_PROTECTED_HOME = 0.003  # assumed
_NICKNAME_IN_USE = 0.22  # of people whose name has a short form, assumed
_SEX_X = 0.0008  # recorded as neither male nor female, assumed
_VACANT = 0.04  # dwellings without a household, assumed (Census 2021: 6%, second homes included)
NHS_PLACES = 70_000  # places in the sequence of NHS numbers that a chunk may use


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
        first: Person number of the first resident; at most 1.02 x residents + 64 numbers are used.
        residents: How many residents, 1 to 50,000.
        as_of: Reference date.
        window_days: Length of the contact history.
        offset: Where the sequence of NHS numbers begins.
    """
    today = (as_of - date(1970, 1, 1)).days
    members = build_households(rng, residents)
    households = int(members.household.max()) + 1
    local = int(households * (1 + _VACANT)) + 8
    dwellings = build_dwellings(rng, chunk=chunk, households=local, elsewhere=max(64, local // 12))
    homes = Homes.of(dwellings, rng.permutation(local)[:households])
    born = _birthdays(members, today)
    sector = homes.dwelling // (HOUSEHOLDS_PER_UNIT * UNITS_PER_SECTOR)
    community = draw_communities(rng, members, sector)
    names = draw_names(rng, members, community, born / YEAR + 1970)
    looked_after = (members.role == FOSTERED) | (members.kind == KIND["childrens_home"])
    address, moved = draw_addresses(rng, members, homes, looked_after, today)
    renamed, surname_before = draw_renames(rng, members, names, born, today)
    died = draw_deaths(rng, members.age, today, window_days)
    # Lives end after their last move and wedding, not before: postpone the death rather than undo the life.
    died = np.where(died <= today, np.maximum(died, np.maximum(moved[:, 0], renamed)), died)
    adopted, adopted_on = draw_adoptions(rng, members, born, today)
    changed = (rng.random(residents) < _FORENAME_CHANGED) & (members.age > 14) & ~adopted
    nhs = nhs_numbers(rng, start=chunk * NHS_PLACES, count=residents + residents // 64 + 64, offset=offset)
    people = People(
        number=first + np.arange(residents),
        members=members,
        names=names,
        born=born,
        died=died,
        known_from=np.where(adopted, adopted_on, born),
        known_until=died.clip(max=today),
        nhs=nhs[:residents],
        address=address,
        moved=moved,
        renamed=np.where(adopted, NEVER, renamed),
        surname_before=surname_before,
        reforenamed=np.where(changed, today - rng.integers(60, 2000, residents), NEVER),
        forename_before=draw_forenames(rng, community, members.female, born / YEAR + 1970),
        uses_nickname=rng.random(residents) < _NICKNAME_IN_USE,
        looked_after=looked_after,
        care_leaver=(members.kind == KIND["care_leavers"]) & (members.role == RESIDENT),
        protected=(rng.random(households) < _PROTECTED_HOME)[members.household],
        adopted=adopted.astype(np.int64),
        sex_code=_codes(rng, members.female),
        resident=np.ones(residents, bool),
    )
    earlier = before_adoption(rng, people, homes, first=first + residents, nhs=nhs[residents:])
    return joined(people, earlier), dwellings


def _codes(rng: np.random.Generator, female: Bools) -> Strings:
    codes = np.where(female, "F", "M").astype(object)
    codes[rng.random(female.size) < _SEX_X] = "X"
    return codes


def _birthdays(members: Members, today: int) -> Ints:
    born = today - (members.age * YEAR).astype(np.int64)
    twin = members.twin & (members.role != ADULT_CHILD)
    same = twin[1:] & twin[:-1] & (members.household[1:] == members.household[:-1])
    for row in np.flatnonzero(same & (members.age[1:] == members.age[:-1])):
        born[row + 1] = born[row]
    return born
