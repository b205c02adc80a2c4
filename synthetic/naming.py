"""Names of people: communities, forenames by cohort, surnames by naming system and family.

Eleven communities with their own naming systems. Shares follow the Census 2021 of England and Wales (ONS TS021 ethnic
group, TS030 religion, TS012 country of birth), rounded; "arabic" and "iberian" are assumed from country of birth and
main language. A community here is a naming system, not a statement about anybody's ethnicity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.households import (
    ADULT_CHILD,
    CHILD,
    GRANDPARENT,
    HEAD,
    KIND,
    PARTNER,
    Bools,
    Floats,
    Ints,
    Members,
)
from synthetic.pools import BRITISH_COHORTS, Strings, forenames, surnames

COMMUNITIES = (
    "british",
    "irish_scottish",
    "muslim",
    "sikh",
    "hindu",
    "arabic",
    "eastern_european",
    "west_african",
    "caribbean",
    "chinese",
    "iberian",
)
COMMUNITY = {name: number for number, name in enumerate(COMMUNITIES)}
_SHARES = (74.9, 5.0, 5.6, 1.0, 2.2, 1.2, 4.0, 2.2, 2.0, 0.9, 1.0)

# Couples of two communities: about one in ten (ONS, inter-ethnic relationships, Census 2011: 9%).
_MIXED_COUPLE = 0.09

# How likely a person bears a forename of the British pool: (born before 1990, born since). Assumed.
_BRITISH_FORENAME = {
    "irish_scottish": (0.45, 0.60),
    "muslim": (0.01, 0.03),
    "sikh": (0.02, 0.06),
    "hindu": (0.02, 0.08),
    "arabic": (0.01, 0.04),
    "eastern_european": (0.02, 0.30),
    "west_african": (0.20, 0.30),
    "caribbean": (0.45, 0.55),
    "chinese": (0.10, 0.55),
    "iberian": (0.02, 0.20),
}
# Wives who take the husband's surname. British: almost 90% of married women (survey of 2016 cited by Duncan,
# Ellingsæter and Carter, "Understanding tradition", Sociological Research Online 2020). The others: customs of the
# naming system, shares assumed.
_TAKES_HUSBANDS = {
    "british": 0.88,
    "irish_scottish": 0.82,
    "muslim": 0.22,
    "sikh": 0.45,
    "hindu": 0.80,
    "arabic": 0.08,
    "eastern_european": 0.85,
    "west_african": 0.70,
    "caribbean": 0.75,
    "chinese": 0.15,
    "iberian": 0.12,
}
_MARRIED_SHARE = 0.757  # of people living as a couple, ONS, living arrangements, Census 2021
_DOUBLE_BARREL = 0.04  # assumed
_LOCAL_NAMES, _LOCAL_SHARE = (
    600,
    0.12,
)  # surnames of the place and the share of British people who bear one, assumed


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """Names of N people.

    Attributes:
        community: Index into `COMMUNITIES`.
        forename: Given name at birth.
        middle: Second given name, "" where there is none.
        surname: The surname used now.
        surname_birth: The surname given at birth.
        married: Took the spouse's surname, or part of it.
    """

    community: Ints
    forename: Strings
    middle: Strings
    surname: Strings
    surname_birth: Strings
    married: Bools


def draw_communities(rng: np.random.Generator, members: Members, sector: Ints) -> Ints:
    """Return a community for each person: shared by a family, clustered by postcode sector.

    Args:
        rng: Source of randomness.
        members: The people.
        sector: Postcode sector number of each household.
    """
    tilt = np.exp(rng.normal(0.0, 0.9, (int(sector.max()) + 1, len(COMMUNITIES))) - 0.4)
    tilt[:, 0] = 1.0
    weights = tilt * np.array(_SHARES)
    cumulative = (weights / weights.sum(axis=1, keepdims=True)).cumsum(axis=1)
    home = (cumulative[sector] < rng.random(sector.size)[:, None]).sum(axis=1).clip(max=len(COMMUNITIES) - 1)
    own = (cumulative[sector[members.household]] < rng.random(members.age.size)[:, None]).sum(axis=1)
    own = own.clip(max=len(COMMUNITIES) - 1)
    alone = (members.role > GRANDPARENT) | (
        (members.role == PARTNER) & (rng.random(own.size) < 2 * _MIXED_COUPLE)
    )
    chosen: Ints = np.where(alone, own, home[members.household])
    return chosen


def draw_forenames(rng: np.random.Generator, community: Ints, female: Bools, born: Floats) -> Strings:
    """Return a given name for each person, by community, sex and birth cohort.

    Args:
        rng: Source of randomness.
        community: Index into `COMMUNITIES`.
        female: Sex.
        born: Year of birth with its fraction.
    """
    pools = forenames()
    names = np.empty(community.size, dtype=object)
    chance = np.array([(1.0, 1.0), *_BRITISH_FORENAME.values()])
    british = rng.random(community.size) < chance[community, (born >= 1990).astype(int)]
    cohort = np.searchsorted(np.array(BRITISH_COHORTS), born, side="right") - 1
    # Cohorts in the lists are decades around the year; people born early in one often have names of the one before.
    cohort = np.maximum(0, cohort - (rng.random(born.size) < 0.12))
    for sex, chosen in (("F", female), ("M", ~female)):
        for number, year in enumerate(BRITISH_COHORTS):
            rows = np.flatnonzero(british & chosen & (cohort == number))
            names[rows] = pools["british", sex, year].draw(rng, rows.size)
        for number, name in enumerate(COMMUNITIES[1:], start=1):
            rows = np.flatnonzero(~british & chosen & (community == number))
            names[rows] = pools[name, sex, 0].draw(rng, rows.size)
    return names


def _feminine(name: str) -> str:
    for masculine, feminine in (
        ("ski", "ska"),
        ("cki", "cka"),
        ("dzki", "dzka"),
        ("ov", "ova"),
        ("ev", "eva"),
    ):
        if name.endswith(masculine):
            return name[: -len(masculine)] + feminine
    return name + "ova" if name in {"Novak", "Kovac", "Horvath"} else name


def gendered(names: Strings, community: Ints, female: Bools) -> Strings:
    """Return `names` with the endings that Slavic surnames take for women."""
    result = names.copy()
    for row in np.flatnonzero(female & (community == COMMUNITY["eastern_european"])):
        result[row] = _feminine(result[row])
    return result


def birth_surnames(rng: np.random.Generator, community: Ints, female: Bools) -> Strings:
    """Return a surname given at birth for each person, by the custom of the community."""
    names = np.empty(community.size, dtype=object)
    for number, name in enumerate(COMMUNITIES):
        rows = np.flatnonzero(community == number)
        names[rows] = surnames()[name].draw(rng, rows.size)
    custom = rng.random(community.size)
    muslim_women = female & (community == COMMUNITY["muslim"]) & (custom < 0.42)
    given = np.array(["Begum", "Bibi", "Akhtar", "Khatun", "Kauser", "Parveen"], object)
    names[muslim_women] = rng.choice(
        given, size=int(muslim_women.sum()), p=[0.42, 0.22, 0.14, 0.10, 0.06, 0.06]
    )
    sikh = community == COMMUNITY["sikh"]
    names[sikh & female & (custom < 0.40)] = "Kaur"
    names[sikh & ~female & (custom < 0.35)] = "Singh"
    iberian = np.flatnonzero(community == COMMUNITY["iberian"])
    names[iberian] = names[iberian] + " " + surnames()["iberian"].draw(rng, iberian.size)
    return gendered(names, community, female)


def _localise(rng: np.random.Generator, community: Ints, names: Strings) -> None:
    """Give some people a surname of the place: rare names cluster (Cheshire, Longley and Singleton 2010)."""
    pool = surnames()["british"].names
    local = pool[rng.integers(200, pool.size, _LOCAL_NAMES)]
    weights = 1 / np.arange(8, _LOCAL_NAMES + 8)
    rows = np.flatnonzero((community == 0) & (rng.random(community.size) < _LOCAL_SHARE))
    names[rows] = local[rng.choice(_LOCAL_NAMES, size=rows.size, p=weights / weights.sum())]


def _first_of(members: Members, rows: Bools, homes: int) -> Ints:
    first = np.full(homes, -1, dtype=np.int64)
    chosen = np.flatnonzero(rows)[::-1]
    first[members.household[chosen]] = chosen
    return first


def _masculine(names: Strings, community: Ints) -> Strings:
    result = names.copy()
    for row in np.flatnonzero(community == COMMUNITY["eastern_european"]):
        for feminine, masculine in (("ska", "ski"), ("cka", "cki"), ("ova", "ov"), ("eva", "ev")):
            if result[row].endswith(feminine):
                result[row] = result[row][: -len(feminine)] + masculine
    return result


def _inherit(
    rng: np.random.Generator, members: Members, community: Ints, birth: Strings, now: Strings
) -> None:
    """Give children the surname of their father, of a lone parent, or of a father who lives elsewhere."""
    homes = int(members.household.max()) + 1
    adult = (members.role == HEAD) | (members.role == PARTNER)
    father = _first_of(members, adult & ~members.female, homes)
    parent = np.where(father >= 0, father, _first_of(members, adult, homes))
    mother = _first_of(members, adult & members.female, homes)
    absent = (father < 0) & (rng.random(homes) < 0.5)
    elsewhere = birth_surnames(rng, community[parent.clip(0)], np.zeros(homes, bool))
    child = np.flatnonzero((members.role == CHILD) | (members.role == ADULT_CHILD))
    home = members.household[child]
    names = np.where(absent[home], elsewhere[home], now[parent[home]])
    names = _masculine(names, community[child])
    # About one child in eight of a couple has another father or kept the mother's earlier name (assumed).
    step = (father[home] >= 0) & (mother[home] >= 0)
    step &= (rng.random(homes) < 0.12)[home]
    names[step] = elsewhere[home[step]]
    both = (father[home] >= 0) & (mother[home] >= 0) & ~step & (community[child] <= 1)
    both &= (rng.random(homes) < _DOUBLE_BARREL)[home]
    names[both] = birth[mother[home[both]]] + "-" + now[father[home[both]]]
    iberian = (community[child] == COMMUNITY["iberian"]) & (father[home] >= 0) & (mother[home] >= 0)
    for row in np.flatnonzero(iberian):
        names[row] = f"{birth[father[home[row]]].split()[0]} {birth[mother[home[row]]].split()[-1]}"
    birth[child] = now[child] = gendered(names, community[child], members.female[child])


def _marry(
    rng: np.random.Generator, members: Members, community: Ints, birth: Strings
) -> tuple[Strings, Bools]:
    """Give wives the surname that the custom of the couple's naming system gives them."""
    homes = int(members.household.max()) + 1
    adult = (members.role == HEAD) | (members.role == PARTNER)
    wife = _first_of(members, adult & members.female, homes)
    husband = _first_of(members, adult & ~members.female, homes)
    home = np.flatnonzero((wife >= 0) & (husband >= 0) & (rng.random(homes) < _MARRIED_SHARE))
    wife, husband = wife[home], husband[home]
    takes = np.array([_TAKES_HUSBANDS[name] for name in COMMUNITIES])[community[husband]]
    draw = rng.random(home.size)
    now, married = birth.copy(), np.zeros(birth.size, bool)
    took = draw < takes
    hers = gendered(
        _masculine(birth[husband], community[husband]), community[husband], np.ones(home.size, bool)
    )
    now[wife[took]] = hers[took]
    both = (draw >= takes) & (draw < takes + _DOUBLE_BARREL) & (community[wife] <= 1)
    now[wife[both]] = birth[wife[both]] + "-" + birth[husband[both]]
    married[wife[took | both]] = True
    # Most women over 66 who live alone were married once, and so were many lone mothers (assumed shares).
    once = np.isin(members.kind, [KIND["single_pensioner"], KIND["care_home"], KIND["lone_parent"]])
    once &= members.female & (members.role != CHILD)
    once &= rng.random(birth.size) < np.where(members.age > 60, 0.85, 0.3) * (community <= 1)
    now[once] = birth_surnames(rng, community, np.zeros(birth.size, bool))[once]
    return now, married | once


def _distinct_siblings(
    rng: np.random.Generator, members: Members, community: Ints, born: Floats, names: Strings
) -> None:
    child = np.flatnonzero((members.role == CHILD) | (members.role == ADULT_CHILD))
    for _ in range(6):
        key = np.array([f"{h}|{n}" for h, n in zip(members.household[child], names[child], strict=True)])
        _, first, count = np.unique(key, return_index=True, return_counts=True)
        again = np.setdiff1d(np.arange(child.size), first)
        if not again.size or count.max() == 1:
            return
        rows = child[again]
        names[rows] = draw_forenames(rng, community[rows], members.female[rows], born[rows])


def _juniors(rng: np.random.Generator, members: Members, names: Strings) -> None:
    """Give a few sons the father's forename: two people of one name at one address (share assumed: 2%)."""
    homes = int(members.household.max()) + 1
    adult = ((members.role == HEAD) | (members.role == PARTNER)) & ~members.female
    father = _first_of(members, adult, homes)
    child = ((members.role == CHILD) | (members.role == ADULT_CHILD)) & ~members.female
    son = _first_of(members, child, homes)
    home = np.flatnonzero((father >= 0) & (son >= 0) & (rng.random(homes) < 0.02))
    names[son[home]] = names[father[home]]


def draw_names(rng: np.random.Generator, members: Members, community: Ints, born: Floats) -> Names:
    """Return the names of all people of a chunk.

    Args:
        rng: Source of randomness.
        members: Households and roles.
        community: Index into `COMMUNITIES` for each person.
        born: Year of birth with its fraction.
    """
    forename = draw_forenames(rng, community, members.female, born)
    _distinct_siblings(rng, members, community, born, forename)
    _juniors(rng, members, forename)
    middle = draw_forenames(rng, community, members.female, born - 25)
    middle[rng.random(middle.size) < 0.22] = ""
    birth = birth_surnames(rng, community, members.female)
    _localise(rng, community, birth)
    now, married = _marry(rng, members, community, birth)
    elder = members.role == GRANDPARENT
    homes = int(members.household.max()) + 1
    head = _first_of(members, ((members.role == HEAD) | (members.role == PARTNER)) & ~members.female, homes)
    with_family = elder & (head[members.household] >= 0) & (rng.random(elder.size) < 0.5)
    theirs = birth[head[members.household[with_family]]]
    theirs = gendered(theirs, community[with_family], members.female[with_family])
    birth[with_family] = now[with_family] = theirs
    _inherit(rng, members, community, birth, now)
    return Names(
        community=community,
        forename=forename,
        middle=middle,
        surname=now,
        surname_birth=birth,
        married=married,
    )
