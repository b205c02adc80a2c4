"""Who is known to which agency, under how many references, and when they met.

Being known to an agency is a draw from a Gaussian copula: a person's latent need (part of it the family's and the
neighbourhood's) is shared by all agencies, so the margins are the coverage rates of the agency and the joint
probability of several agencies is far above independence, as it is in life.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from synthetic.agencies import Agency
from synthetic.geography import HOUSEHOLDS_PER_UNIT, UNITS_PER_SECTOR
from synthetic.households import (
    CHILD,
    FOSTERED,
    GRANDPARENT,
    HEAD,
    KIND,
    PARTNER,
    RESIDENT,
    Bools,
    Floats,
    Ints,
)
from synthetic.people import YEAR, People

_BANDS = (5, 11, 18, 25, 45, 65, 80)
# Parts of the variance of need: the postcode sector's, the household's, the person's own (assumed).
_SECTOR_NEED, _HOUSEHOLD_NEED, _OWN_NEED = 0.08, 0.52, 0.40
_MOST_CONTACTS = 60

# Coverage of particular groups over 36 months, whatever their age; assumed.
_GROUPS = {
    "looked_after": {"childrens_social_care": 1.0, "police": 0.35, "health": 0.95, "education": 0.75},
    "care_leaver": {"childrens_social_care": 0.95, "police": 0.50, "housing": 0.55, "voluntary_sector": 0.30},
    "care_home": {"adults_social_care": 0.80, "health": 0.92, "police": 0.06, "fire_and_rescue": 0.01},
    "prison": {"police": 0.97, "health": 0.80, "fire_and_rescue": 0.0, "housing": 0.10},
    "hostel": {
        "police": 0.50,
        "health": 0.80,
        "housing": 0.85,
        "adults_social_care": 0.15,
        "voluntary_sector": 0.40,
    },
    "no_fixed_abode": {
        "police": 0.60,
        "health": 0.75,
        "housing": 0.60,
        "adults_social_care": 0.15,
        "voluntary_sector": 0.45,
    },
    "before_adoption": {"childrens_social_care": 1.0, "health": 0.90, "police": 0.15},
    "after_adoption": {"childrens_social_care": 0.60, "health": 0.85},
}
# Adults recorded with a child known to children's social care: two mothers in three, two fathers in five (assumed).
_PARENT_RECORDED = {HEAD: 0.65, PARTNER: 0.40}


@dataclass(frozen=True, kw_only=True, slots=True)
class Contacts:
    """References and contacts of one chunk at all agencies.

    Attributes:
        agency: Index of the agency of each of R references.
        person: Row of the person in `People`.
        opened: Day on which the reference was opened.
        last: Day of the last contact.
        row_ref: Reference of each of C contacts.
        row_day: Day of each contact, ascending within a reference.
    """

    agency: Ints
    person: Ints
    opened: Ints
    last: Ints
    row_ref: Ints
    row_day: Ints


def _need(rng: np.random.Generator, people: People) -> Floats:
    """Return the latent need of each person, standard normal: the sector's, the household's and the person's own."""
    homes = int(people.members.household.max()) + 1
    sector = people.address[:, 0].clip(0) // (HOUSEHOLDS_PER_UNIT * UNITS_PER_SECTOR)
    around = rng.standard_normal(int(sector.max()) + 1)[sector]
    # A small area has few sectors; centred, they move need about within it and leave the agency's coverage alone.
    around -= around.mean()
    family = rng.standard_normal(homes)[people.members.household]
    own = rng.standard_normal(people.size)
    need: Floats = (
        np.sqrt(_SECTOR_NEED) * around + np.sqrt(_HOUSEHOLD_NEED) * family + np.sqrt(_OWN_NEED) * own
    )
    return need


def _group_masks(people: People) -> dict[str, Bools]:
    masks = {
        "looked_after": people.looked_after,
        "care_leaver": people.care_leaver,
        "before_adoption": people.adopted == 2,
        "after_adoption": people.adopted == 1,
    }
    for name in ("care_home", "prison", "hostel", "no_fixed_abode"):
        masks[name] = (people.members.kind == KIND[name]) & (people.members.role == RESIDENT)
    return masks


def _known(rng: np.random.Generator, people: People, agency: Agency, need: Floats) -> Bools:
    members = people.members
    rate = np.array(agency.coverage)[np.digitize(members.age, _BANDS)]
    for name, mask in _group_masks(people).items():
        if agency.name in _GROUPS[name]:
            rate[mask] = _GROUPS[name][agency.name]
    homes = int(members.household.max()) + 1
    shared = rng.standard_normal(homes)[members.household]
    own = rng.standard_normal(people.size)
    rest = np.sqrt(agency.family) * shared + np.sqrt(1 - agency.family) * own
    latent = agency.need * need + np.sqrt(1 - agency.need**2) * rest
    known: Bools = latent > -ndtri(rate.clip(1e-9, 1 - 1e-9))
    if agency.name == "childrens_social_care":
        known |= _parents_recorded(rng, people, known)
    if agency.name == "fire_and_rescue":
        known &= _named_at_visit(rng, people)
    return known


def _parents_recorded(rng: np.random.Generator, people: People, known: Bools) -> Bools:
    members = people.members
    homes = np.zeros(int(members.household.max()) + 1, bool)
    child = known & ((members.role == CHILD) | (members.role == FOSTERED)) & (members.household >= 0)
    homes[members.household[child & (members.role == CHILD)]] = True
    chance = np.zeros(people.size)
    for role, share in _PARENT_RECORDED.items():
        chance[members.role == role] = share
    return homes[members.household] & (members.household >= 0) & (rng.random(people.size) < chance)


def _named_at_visit(rng: np.random.Generator, people: People) -> Bools:
    role = people.members.role
    named = np.where(
        role == PARTNER, 0.55, np.where(role == CHILD, 0.15, np.where(role == GRANDPARENT, 0.6, 1.0))
    )
    return rng.random(people.size) < named


def _counts(rng: np.random.Generator, agency: Agency, need: Floats) -> Ints:
    # Negative binomial with a log-normal tilt by need: a few people account for a large part of the contacts.
    mean = (agency.contacts - 1) * np.exp(0.45 * need - 0.10)
    rate = rng.gamma(0.7, mean / 0.7)
    return (1 + rng.poisson(rate)).clip(max=_MOST_CONTACTS)


def _days(rng: np.random.Generator, agency: Agency, count: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Return the reference and the day of each contact: episodes that begin anywhere in the window."""
    ref = np.repeat(np.arange(count.size), count)
    start = low + rng.random(count.size) * (high - low + 1)
    position = np.arange(ref.size) - np.repeat(count.cumsum() - count, count)
    gap = rng.exponential(agency.spread_days, ref.size)
    gap[position == 0] = 0.0
    total = gap.cumsum()
    since = total - np.repeat(total[count.cumsum() - count], count)
    day = start[ref] + since
    # An episode that runs past the end began earlier: wrap it round into the window.
    span = (high - low + 1)[ref]
    day = low[ref] + (day - low[ref]) % span
    return ref, np.floor(day).astype(np.int64)


def meet(
    rng: np.random.Generator,
    people: People,
    agencies: Sequence[Agency],
    *,
    today: int,
    window_days: int,
    duplicate_rate: Floats,
    opened_earlier: float,
) -> Contacts:
    """Return the references and contacts of all `agencies` over the window.

    Args:
        rng: Source of randomness.
        people: The people of the chunk.
        agencies: Agencies in order; their position is the agency code.
        today: Reference date, as a day.
        window_days: Length of the contact history.
        duplicate_rate: For each agency, the share of known people with a second reference.
        opened_earlier: Share of references opened before the first contact in the window.
    """
    need = _need(rng, people)
    low = np.maximum(people.known_from, today - window_days + 1)
    high = people.known_until
    parts: list[Contacts] = []
    refs = 0
    for code, agency in enumerate(agencies):
        stream = np.random.default_rng(rng.integers(2**63))
        known = np.flatnonzero(_known(stream, people, agency, need) & (high >= low))
        again = known[stream.random(known.size) < duplicate_rate[code]]
        thrice = again[stream.random(again.size) < 0.08]
        person = np.sort(np.concatenate([known, again, thrice]))
        ref, day = _days(stream, agency, _counts(stream, agency, need[person]), low[person], high[person])
        order = np.lexsort((day, ref))
        ref, day = ref[order], day[order]
        first = day[np.r_[True, ref[1:] != ref[:-1]]] if ref.size else day
        last = day[np.r_[ref[1:] != ref[:-1], True]] if ref.size else day
        earlier = np.where(
            stream.random(person.size) < opened_earlier, stream.exponential(1.6 * YEAR, person.size), 0
        )
        opened = np.maximum(people.known_from[person], first - earlier.astype(np.int64))
        parts.append(
            Contacts(
                agency=np.full(person.size, code),
                person=person,
                opened=opened,
                last=last,
                row_ref=ref + refs,
                row_day=day,
            )
        )
        refs += person.size
    return Contacts(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Contacts.__slots__}
    )
