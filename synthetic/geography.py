"""Dwellings of a synthetic area: UPRN, address line and a postcode of realistic shape.

A postcode unit holds about 15 to 17 households and a sector some 150 live units (Royal Mail and ONS Postcode Directory
orders of magnitude: 1.75 million live units, 11 thousand sectors, 3 thousand districts, 124 areas). Area letters are
the real ones, because normalisers test for them; which unit lies where is invented.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from faker import Faker

from synthetic.pools import Strings, words_of

Ints = npt.NDArray[np.int64]

HOUSEHOLDS_PER_UNIT = 16
UNITS_PER_SECTOR = 150
SECTORS_PER_DISTRICT = 4
DISTRICTS_PER_AREA = 24
# 50,000 people live in some 1,400 units. Areas come round again beyond 49 million people.
_DISTRICTS_A_CHUNK = 3

_PLACES = dict(words_of("places.txt"))
_AREAS, _STREETS, _STREET_KINDS = _PLACES["areas"], _PLACES["streets"], _PLACES["kinds"]
# The third and fourth letters of an inward code never use these (Royal Mail, Programmers' Guide: C I K M O V).
_INWARD = np.array(list("ABDEFGHJLNPQRSTUWXYZ"), dtype=object)

# ONS pseudo-postcode for people without a fixed address (ONS, "Pseudo country codes", ZZ99 3VZ).
NO_FIXED_ABODE = "ZZ99 3VZ"


@dataclass(frozen=True, kw_only=True, slots=True)
class Dwellings:
    """Every address that somebody of the chunk lives or has lived at.

    Attributes:
        uprn: Object array of D strings.
        address: Object array of D address lines, without the postcode.
        postcode: Object array of D postcodes with a space.
        local: The first `local` dwellings lie in the area, the rest elsewhere in the country.
    """

    uprn: Strings
    address: Strings
    postcode: Strings
    local: int


def _districts(first: int, count: int) -> list[str]:
    numbers = range(first, first + count)
    return [f"{_AREAS[n // DISTRICTS_PER_AREA % len(_AREAS)]}{n % DISTRICTS_PER_AREA + 1}" for n in numbers]


def _units(rng: np.random.Generator, chunk: int, count: int) -> Strings:
    sectors = -(-count // UNITS_PER_SECTOR)
    districts = -(-sectors // SECTORS_PER_DISTRICT)
    names = _districts(chunk * max(districts, _DISTRICTS_A_CHUNK), districts)
    sector = np.array(
        [f"{names[s // SECTORS_PER_DISTRICT]} {s % SECTORS_PER_DISTRICT + 1}" for s in range(sectors)], object
    )
    pairs = np.add.outer(_INWARD, _INWARD).ravel()
    letters = np.concatenate([rng.permutation(pairs)[:UNITS_PER_SECTOR] for _ in range(sectors)])
    units: Strings = np.repeat(sector, UNITS_PER_SECTOR)[:count] + letters[:count]
    return units


def _streets(seed: int, count: int, towns: int) -> tuple[Strings, Strings]:
    faker = Faker("en_GB")
    faker.seed_instance(seed)
    # Half the streets bear the names that every British town has; the other half are Faker's.
    common = [f"{name} {kind}" for name in _STREETS for kind in _STREET_KINDS]
    usual = [faker.random_element(common) for _ in range(count // 2)]
    streets = usual + [
        f"{faker.last_name()} {faker.random_element(_STREET_KINDS)}" for _ in range(count // 2)
    ]
    return np.array(streets, object), np.array([faker.city() for _ in range(towns)], object)


def _unit_of(rng: np.random.Generator, count: int) -> Ints:
    # Unit sizes vary from a handful (a farm lane) to most of a tower block; the mean is what is known.
    sizes = 1 + rng.negative_binomial(
        3, 3 / (3 + HOUSEHOLDS_PER_UNIT - 1), size=2 * count // HOUSEHOLDS_PER_UNIT + 8
    )
    return np.repeat(np.arange(sizes.size), sizes)[:count]


def _lines(rng: np.random.Generator, unit: Ints, streets: Strings, towns: Strings) -> Strings:
    count = unit.size
    starts = np.r_[True, unit[1:] != unit[:-1]]
    position = np.arange(count) - np.maximum.accumulate(np.where(starts, np.arange(count), 0))
    street = rng.integers(0, streets.size, size=int(unit.max()) + 1)[unit]
    base = rng.integers(1, 60, size=int(unit.max()) + 1)[unit]
    block = (rng.random(int(unit.max()) + 1) < 0.14)[unit]
    number = np.where(block, base, base + 2 * position).astype(str).astype(object)
    flat = np.where(block, "Flat " + (position + 1).astype(str).astype(object) + ", ", "").astype(object)
    town = towns[unit // UNITS_PER_SECTOR % towns.size]
    lines: Strings = flat + number + " " + streets[street] + ", " + town
    return lines


def build_dwellings(rng: np.random.Generator, *, chunk: int, households: int, elsewhere: int) -> Dwellings:
    """Return the dwellings of one chunk: `households` in the area, then `elsewhere` in other parts of the country.

    Args:
        rng: Source of randomness.
        chunk: Number of the chunk; postcodes and UPRNs of two chunks never coincide.
        households: Dwellings in the area, at least 1.
        elsewhere: Dwellings outside, at least 1.
    """
    streets, towns = _streets(int(rng.integers(2**31)), 400, 12)
    unit = _unit_of(rng, households)
    outside = _unit_of(rng, elsewhere)
    postcode = _units(rng, chunk, int(unit.max()) + 1)[unit]
    far = _far_units(rng, int(outside.max()) + 1)[outside]
    # UPRNs run roughly along streets. The prefixes mark invented authorities, one a chunk and one for elsewhere.
    uprn = 10_070_000_000 + chunk * 1_000_000 + np.arange(households) * 3
    uprn_far = 200_000_000_000 + chunk * 1_000_000 + np.arange(elsewhere) * 7
    return Dwellings(
        uprn=np.concatenate([uprn, uprn_far]).astype(str).astype(object),
        address=np.concatenate([_lines(rng, unit, streets, towns), _lines(rng, outside, streets, towns)]),
        postcode=np.concatenate([postcode, far]),
        local=households,
    )


def _far_units(rng: np.random.Generator, count: int) -> Strings:
    area = np.array(_AREAS, object)[rng.integers(0, len(_AREAS), count)]
    district = rng.integers(DISTRICTS_PER_AREA + 1, DISTRICTS_PER_AREA + 40, count).astype(str).astype(object)
    sector = rng.integers(1, 9, count).astype(str).astype(object)
    first, second = (_INWARD[rng.integers(0, _INWARD.size, count)] for _ in range(2))
    units: Strings = area + district + " " + sector + first + second
    return units
