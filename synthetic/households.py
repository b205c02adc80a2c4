"""Who lives with whom: households, families, establishments, ages and sexes.

Shares follow the Census 2021 of England and Wales (ONS TS003 household composition, TS017 household size: 30.2% of
households hold one person, the mean is 2.4) and the figures named beside each constant; what no source gives is marked
"assumed". docs/synthetic.md lists them all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HEAD, PARTNER, CHILD, ADULT_CHILD, GRANDPARENT, SHARER, FOSTERED, RESIDENT = range(8)

KINDS = (
    "single_working",
    "single_pensioner",
    "couple_working",
    "couple_pensioner",
    "couple_children",
    "couple_adult_children",
    "lone_parent",
    "lone_parent_adult_children",
    "sharers",
    "multigenerational",
    "foster",
    "care_home",
    "prison",
    "students",
    "childrens_home",
    "care_leavers",
    "hostel",
    "no_fixed_abode",
)
KIND = {name: number for number, name in enumerate(KINDS)}

# Private households, percent: Census 2021 TS003, grouped; sharers, multigenerational and foster split as assumed.
_PRIVATE = {
    "single_working": 17.3,
    "single_pensioner": 12.9,
    "couple_working": 13.0,
    "couple_pensioner": 11.0,
    "couple_children": 21.2,
    "couple_adult_children": 6.6,
    "lone_parent": 6.9,
    "lone_parent_adult_children": 4.2,
    "sharers": 4.4,
    "multigenerational": 2.6,
    # 83,630 children looked after in England, 31 March 2024, 67% in foster care (DfE 2024): about 0.2% of households.
    "foster": 0.19,
}
# Share of all residents and people an establishment. Census 2021: 1.7% live in communal establishments, 0.6% in care
# homes, 0.6% in halls; 88 thousand in prison (MoJ 2024). Children's homes: 10% of looked-after children (DfE 2024).
# Homeless outside temporary accommodation and the two supported kinds: assumed.
_COMMUNAL = {
    "care_home": (0.0058, 36),
    "prison": (0.0014, 600),
    "students": (0.0060, 90),
    "childrens_home": (0.00016, 4),
    "care_leavers": (0.0008, 6),
    "hostel": (0.0010, 25),
    "no_fixed_abode": (0.0025, 1),
}
# Dependent children in a family (ONS, "Families and households in the UK" 2023: 45%, 41%, 14% with one, two, more).
_CHILDREN = (0.44, 0.41, 0.105, 0.045)
# Share of gaps between siblings that are none, so that about 15 births in a thousand are multiple (ONS, birth
# characteristics in England and Wales: 14.6 maternities in a thousand in 2022).
_TWIN_GAP = 0.032


@dataclass(frozen=True, kw_only=True, slots=True)
class Members:
    """People of many households, one array element a person.

    Attributes:
        household: Household number, ascending; members of one household are adjacent.
        kind: Index into `KINDS`.
        role: HEAD, PARTNER, ….
        age: Years at the reference date.
        female: Sex.
        twin: Shares the birth with the person before or after in the household.
    """

    household: Ints
    kind: Ints
    role: Ints
    age: Floats
    female: Bools
    twin: Bools

    def take(self, rows: Ints) -> Members:
        """Return the people at `rows`."""
        return Members(**{name: getattr(self, name)[rows] for name in self.__slots__})


def _people(
    kind: int, household: Ints, role: int, age: Floats, female: Bools, twin: Bools | None = None
) -> Members:
    size = household.size
    return Members(
        household=household,
        kind=np.full(size, kind),
        role=np.full(size, role),
        age=age,
        female=female,
        twin=np.zeros(size, bool) if twin is None else twin,
    )


def _join(parts: list[Members]) -> Members:
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Members.__slots__}
    everyone = Members(**joined)
    return everyone.take(np.lexsort((-everyone.age, everyone.role, everyone.household)))


def _couple(rng: np.random.Generator, kind: int, homes: Ints, woman: Floats) -> list[Members]:
    # Men are about two years older (ONS, couples' age difference, Census 2021); 2% same-sex couples (assumed).
    man = np.maximum(18.2, woman + rng.normal(2.2, 4.0, homes.size))
    same, swap = rng.random(homes.size) < 0.02, rng.random(homes.size) < 0.5
    head_female = np.where(same, swap, True)
    partner_female = np.where(same, swap, False)
    return [
        _people(kind, homes, HEAD, woman, head_female),
        _people(kind, homes, PARTNER, man, partner_female),
    ]


def _siblings(rng: np.random.Generator, kind: int, homes: Ints, youngest: Floats) -> tuple[Members, Floats]:
    count = rng.choice(np.arange(1, 5), size=homes.size, p=_CHILDREN)
    gaps = 1.1 + rng.gamma(2.0, 0.9, (homes.size, 3))
    gaps[rng.random(gaps.shape) < _TWIN_GAP] = 0.0
    age = youngest[:, None] + np.c_[np.zeros(homes.size), gaps.cumsum(axis=1)]
    here = (np.arange(4) < count[:, None]) & (age < 24)
    twin = np.zeros_like(here)
    same = (gaps == 0.0) & here[:, 1:] & here[:, :-1]
    twin[:, 1:] |= same
    twin[:, :-1] |= same
    row, _ = np.nonzero(here)
    children = _people(kind, homes[row], CHILD, age[here], rng.random(row.size) < 0.4878, twin[here])
    return children, np.where(here, age, 0.0).max(axis=1)


def _mother(rng: np.random.Generator, youngest: Floats, eldest: Floats) -> Floats:
    # Mean age of mothers 30.9 (ONS, births 2022); the last child comes a little later.
    return np.maximum(
        eldest + rng.uniform(16.0, 19.0, eldest.size), youngest + rng.normal(32.0, 5.2, eldest.size)
    )


def _with_children(rng: np.random.Generator, kind: int, homes: Ints, *, lone: bool) -> list[Members]:
    youngest = 18.4 * rng.beta(1.0, 1.05, homes.size)
    children, eldest = _siblings(rng, kind, homes, youngest)
    mother = _mother(rng, youngest, eldest)
    if not lone:
        return [*_couple(rng, kind, homes, mother), children]
    # 85% of lone parents with dependent children are mothers (ONS, families and households 2023).
    return [_people(kind, homes, HEAD, mother, rng.random(homes.size) < 0.85), children]


def _with_adult_children(rng: np.random.Generator, kind: int, homes: Ints, *, lone: bool) -> list[Members]:
    age = 18.5 + rng.gamma(1.4, 5.5, homes.size)
    grown = [_people(kind, homes, ADULT_CHILD, age, rng.random(homes.size) < 0.42)]
    two = rng.random(homes.size) < 0.35
    second = np.maximum(13.0, age[two] - rng.uniform(1.5, 5.0, int(two.sum())))
    grown.append(_people(kind, homes[two], ADULT_CHILD, second, rng.random(second.size) < 0.45))
    mother = age + rng.normal(29.0, 5.0, homes.size).clip(17)
    if not lone:
        return [*_couple(rng, kind, homes, mother), *grown]
    return [_people(kind, homes, HEAD, mother, rng.random(homes.size) < 0.84), *grown]


def _sharers(rng: np.random.Generator, kind: int, homes: Ints) -> list[Members]:
    many = np.repeat(homes, rng.integers(2, 6, homes.size))
    return [
        _people(
            kind,
            many,
            SHARER,
            18.5 + rng.gamma(2.0, 6.0, many.size).clip(max=45),
            rng.random(many.size) < 0.46,
        )
    ]


def _three_generations(rng: np.random.Generator, kind: int, homes: Ints) -> list[Members]:
    family = _with_children(rng, kind, homes, lone=False)
    elder = family[0].age + rng.normal(28.0, 5.0, homes.size).clip(18)
    both = rng.random(homes.size) < 0.4
    first = _people(kind, homes, GRANDPARENT, elder.clip(max=99), rng.random(homes.size) < 0.72)
    second = _people(kind, homes[both], GRANDPARENT, (elder[both] + 2.5).clip(max=99), ~first.female[both])
    return [*family, first, second]


def _foster(rng: np.random.Generator, kind: int, homes: Ints) -> list[Members]:
    adults = _couple(rng, kind, homes, rng.uniform(38, 63, homes.size))
    many = np.repeat(homes, rng.choice([1, 2, 3], size=homes.size, p=[0.55, 0.35, 0.10]))
    # Looked-after children are older than children at large: 38% are 10 to 15, 27% are 16 or over (DfE 2024).
    fostered = _people(kind, many, FOSTERED, 18 * rng.beta(1.7, 1.0, many.size), rng.random(many.size) < 0.44)
    return [*adults, fostered]


def _private(rng: np.random.Generator, name: str, homes: Ints) -> list[Members]:
    kind, size = KIND[name], homes.size
    if name == "single_working":
        return [_people(kind, homes, HEAD, 19 + 47 * rng.beta(1.9, 1.3, size), rng.random(size) < 0.42)]
    if name == "single_pensioner":
        return [_people(kind, homes, HEAD, 66 + 34 * rng.beta(1.35, 1.9, size), rng.random(size) < 0.67)]
    if name == "couple_working":
        young = rng.random(size) < 0.36
        woman = np.where(young, rng.normal(30, 4.5, size), rng.normal(56, 6.5, size)).clip(19, 66)
        return _couple(rng, kind, homes, woman)
    if name == "couple_pensioner":
        return _couple(rng, kind, homes, 63.5 + 33 * rng.beta(1.3, 2.3, size))
    if name in ("couple_children", "lone_parent"):
        return _with_children(rng, kind, homes, lone=name == "lone_parent")
    if name in ("couple_adult_children", "lone_parent_adult_children"):
        return _with_adult_children(rng, kind, homes, lone=name != "couple_adult_children")
    builders = {"sharers": _sharers, "multigenerational": _three_generations, "foster": _foster}
    return builders[name](rng, kind, homes)


def _communal_ages(rng: np.random.Generator, name: str, size: int) -> tuple[Floats, Bools]:
    female = {
        "care_home": 0.70,
        "prison": 0.04,
        "childrens_home": 0.38,
        "hostel": 0.42,
        "no_fixed_abode": 0.24,
    }
    ages = {
        "care_home": 62 + 40 * rng.beta(2.6, 1.7, size),
        "prison": 18 + rng.gamma(2.6, 7.5, size).clip(max=62),
        "students": 18.1 + rng.gamma(1.3, 1.4, size),
        "childrens_home": rng.uniform(9.0, 17.9, size),
        "care_leavers": rng.uniform(16.5, 24.5, size),
        "hostel": 17 + rng.gamma(2.4, 7.0, size).clip(max=60),
        "no_fixed_abode": 18 + rng.gamma(3.2, 6.5, size).clip(max=60),
    }
    return ages[name], rng.random(size) < female.get(name, 0.5)


def build_households(rng: np.random.Generator, people: int) -> Members:
    """Return exactly `people` residents of private households and establishments.

    Households are numbered from 0 in an order that says nothing about their kind. The last private household may
    lose members so that the count fits.
    """
    parts: list[Members] = []
    communal = 0
    home = 0
    for name, (share, size) in _COMMUNAL.items():
        count = int(people * share + rng.random())
        homes = home + np.arange(count) // size
        home += -(-count // size)
        communal += count
        age, female = _communal_ages(rng, name, count)
        parts.append(_people(KIND[name], homes, RESIDENT, age, female))
    wanted = people - communal
    private = int(wanted / 2.2) + 20
    shares = np.array(list(_PRIVATE.values()))
    kinds = rng.choice(len(_PRIVATE), size=private, p=shares / shares.sum())
    for number, name in enumerate(_PRIVATE):
        parts.extend(_private(rng, name, home + np.flatnonzero(kinds == number)))
    everyone = _join(parts)
    # Establishments come first in the numbering, so cutting at the end only ever cuts private households.
    everyone = everyone.take(np.arange(people))
    numbers = np.unique(everyone.household)
    shuffled = rng.permutation(numbers.size)[np.searchsorted(numbers, everyone.household)]
    order = np.argsort(shuffled, kind="stable")
    mixed = everyone.take(order)
    return Members(**{**{n: getattr(mixed, n) for n in Members.__slots__}, "household": shuffled[order]})
