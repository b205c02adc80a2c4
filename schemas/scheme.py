"""The block-sealed token scheme, version 1: what is derived, compared and blocked on.

Both sides read this one description: the agency to know which tokens to make, the linkage unit to know what
equal tokens mean. It holds no key and no data. The full specification is docs/spec/sealing-v1.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SCHEME = "block-sealed-v1"

FIELDS = ("forename", "surname", "dob", "sex", "postcode", "uprn", "nhs_number", "address")
"""The identifiers that the scheme can use, in their fixed order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """One value derived from the identifiers of a subject.

    Attributes:
        name: `field.kind`, or a name of its own for a value made of two fields. It labels the field key too: if two
            tokens of one record could be equal, anyone would see whether its name is a rare one, or whether
            both its names begin alike.
        fields: The identifiers it is computed from.
        implies: Names of the derived values that must be equal whenever this one is.
        bits: Width of its comparison token; 0 when it is only blocked on.
        like: Name of the value that it is compared with across records, and whose field key its digests are made with;
            no record holds both alike. Empty: it is compared with itself, under a key of its own.
    """

    name: str
    fields: tuple[str, ...]
    implies: tuple[str, ...] = ()
    bits: int = 0
    like: str = ""


def _name_values(field: str) -> tuple[Derived, ...]:
    coarse = ("canonical", "phonetic", "first3", "last3", "initial", "letters", "consonants")
    middle = ("nickname", *coarse) if field == "forename" else coarse
    everything = tuple(f"{field}.{kind}" for kind in middle)
    values = [
        Derived(
            name=f"{field}.rare",
            fields=(field,),
            implies=(f"{field}.mid", f"{field}.exact", *everything),
            bits=16,
        ),
        Derived(
            name=f"{field}.mid",
            fields=(field,),
            implies=(f"{field}.exact", *everything),
            bits=16,
        ),
        Derived(name=f"{field}.exact", fields=(field,), implies=everything, bits=16),
        Derived(name=f"{field}.full", fields=(field,)),
        # Many people go by their second forename, so it is compared with the first one of the other record.
        Derived(name=f"{field}.second", fields=(field,), bits=16, like="forename.exact")
        if field == "forename"
        else Derived(name=f"{field}.second", fields=(field,)),
    ]
    for kind in middle:
        implied = (f"{field}.initial",) if kind in {"first3", "consonants"} else ()
        bits = 0 if kind in {"letters", "consonants"} else 16
        values.append(Derived(name=f"{field}.{kind}", fields=(field,), implies=implied, bits=bits))
    return tuple(values)


def _date_values() -> tuple[Derived, ...]:
    parts = ("swap", "month_year", "day_year", "day_month", "year")
    with_year = {"swap", "month_year", "day_year"}
    return (
        Derived(
            name="dob.exact",
            fields=("dob",),
            implies=tuple(f"dob.{p}" for p in parts),
            bits=16,
        ),
        *(
            Derived(
                name=f"dob.{part}",
                fields=("dob",),
                implies=("dob.year",) if part in with_year else (),
                bits=16,
            )
            for part in parts
        ),
    )


def _place_values() -> tuple[Derived, ...]:
    def place(name: str, *implies: str, bits: int = 16) -> Derived:
        return Derived(name=name, fields=(name.split(".", maxsplit=1)[0],), implies=implies, bits=bits)

    return (
        place("postcode.exact", "postcode.sector", "postcode.district"),
        place("postcode.sector", "postcode.district"),
        place("postcode.district"),
        place("uprn.exact", bits=32),
        place("address.exact", "address.house", "address.number_street", "address.street", bits=0),
        place("address.number_street", "address.street"),
        place("address.house"),
        place("address.street"),
    )


DERIVED: dict[str, Derived] = {
    value.name: value
    for value in (
        *_name_values("forename"),
        *_name_values("surname"),
        # The two names in alphabetical order: equal when forename and surname were entered the wrong way round.
        Derived(name="name_set", fields=("forename", "surname"), bits=16),
        *_date_values(),
        Derived(name="sex.exact", fields=("sex",), bits=16),
        *_place_values(),
        Derived(
            name="nhs_number.exact",
            fields=("nhs_number",),
            implies=("nhs_number.head", "nhs_number.tail"),
            bits=32,
        ),
        Derived(name="nhs_number.head", fields=("nhs_number",), bits=16),
        Derived(name="nhs_number.tail", fields=("nhs_number",), bits=16),
    )
}
"""Every derived value by name, in the order in which token columns appear in a package."""


def closure(names: Iterable[str]) -> frozenset[str]:
    """Return `names` and every derived value that must agree when all of `names` agree."""
    fixed: set[str] = set()
    for name in names:
        fixed.add(name)
        fixed.update(DERIVED[name].implies)
    return frozenset(fixed)


# --- comparisons ----------------------------------------------------------------------------------------

Term = tuple[str, ...]
"""Derived values that must all agree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """One comparison level: two subjects are at it when any of its terms agrees and no earlier level's does.

    Attributes:
        name: Stable name, used in the manifest and in the model.
        label: Plain words for charts and reports.
        terms: Alternatives; each is a tuple of derived values that must all agree.
        m_prior: P(level | same person), used where a run has too little data to estimate it. These are
            priors only: assumed from clear-text linkage of administrative data, re-estimated in each run.
        crossed: More alternatives: two derived values, the first of one subject and the second of the other.
    """

    name: str
    label: str
    terms: tuple[Term, ...]
    m_prior: float
    crossed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A comparison: an ordered ladder of levels over tokens.

    Attributes:
        name: Output column of the comparison.
        presence: The comparison is null unless both subjects have at least one of these derived values.
        levels: From the strongest to the weakest; the implicit last level is "else".
        fixed_u: u probabilities that counts cannot give (level name -> probability).
    """

    name: str
    presence: tuple[str, ...]
    levels: tuple[Level, ...]
    fixed_u: tuple[tuple[str, float], ...] = ()

    @property
    def tokens(self) -> tuple[str, ...]:
        """Derived values that this comparison needs a token of."""
        needed = {name for level in self.levels for term in (*level.terms, *level.crossed) for name in term}
        needed |= set(self.presence)
        return tuple(name for name in DERIVED if name in needed)

    @property
    def else_prior(self) -> float:
        """P(no level agrees | same person), prior."""
        return 1.0 - sum(level.m_prior for level in self.levels)


def _level(name: str, label: str, m_prior: float, *terms: Term) -> Level:
    return Level(name=name, label=label, terms=terms, m_prior=m_prior)


COMPARISONS: tuple[Comparison, ...] = (
    Comparison(
        name="forename",
        presence=("forename.exact",),
        levels=(
            _level("rare", "same forename, a rare one", 0.20, ("forename.rare",)),
            _level("mid", "same forename, an uncommon one", 0.25, ("forename.mid",)),
            _level("exact", "same forename", 0.41, ("forename.exact",)),
            _level("nickname", "nickname of the same forename", 0.03, ("forename.nickname",)),
            _level("canonical", "spelling variant of the same forename", 0.02, ("forename.canonical",)),
            Level(
                name="second",
                label="forename of one is the second forename of the other",
                terms=(),
                m_prior=0.01,
                crossed=(("forename.exact", "forename.second"),),
            ),
            _level("swapped", "forename and surname the other way round", 0.004, ("name_set",)),
            _level("phonetic", "forenames sound alike", 0.02, ("forename.phonetic",)),
            _level(
                "ends", "first or last three letters agree", 0.03, ("forename.first3",), ("forename.last3",)
            ),
            _level("initial", "same initial", 0.01, ("forename.initial",)),
        ),
    ),
    Comparison(
        name="surname",
        presence=("surname.exact",),
        levels=(
            _level("rare", "same surname, a rare one", 0.35, ("surname.rare",)),
            _level("mid", "same surname, an uncommon one", 0.30, ("surname.mid",)),
            _level("exact", "same surname", 0.25, ("surname.exact",)),
            _level("canonical", "spelling variant of the same surname", 0.015, ("surname.canonical",)),
            _level("swapped", "forename and surname the other way round", 0.004, ("name_set",)),
            _level("phonetic", "surnames sound alike", 0.015, ("surname.phonetic",)),
            _level(
                "ends", "first or last three letters agree", 0.025, ("surname.first3",), ("surname.last3",)
            ),
            _level("initial", "same initial", 0.005, ("surname.initial",)),
        ),
        # Swapped names are one observation of both names; the forename comparison counts it.
        fixed_u=(("swapped", 0.004),),
    ),
    Comparison(
        name="dob",
        presence=("dob.exact",),
        levels=(
            _level("exact", "same date of birth", 0.95, ("dob.exact",)),
            _level("swap", "day and month swapped", 0.005, ("dob.swap",)),
            _level(
                "two_parts",
                "two of day, month and year agree",
                0.03,
                ("dob.month_year",),
                ("dob.day_year",),
                ("dob.day_month",),
            ),
            _level("year", "same year of birth", 0.005, ("dob.year",)),
        ),
    ),
    Comparison(
        name="sex", presence=("sex.exact",), levels=(_level("exact", "same sex", 0.985, ("sex.exact",)),)
    ),
    Comparison(
        name="location",
        presence=("uprn.exact", "postcode.district", "address.street"),
        levels=(
            _level("home", "same home", 0.70, ("uprn.exact",), ("postcode.exact", "address.house")),
            _level("number_street", "same house number and street", 0.03, ("address.number_street",)),
            _level("postcode", "same postcode", 0.05, ("postcode.exact",)),
            _level(
                "sector",
                "same postcode sector or street name",
                0.03,
                ("postcode.sector",),
                ("address.street",),
            ),
            _level("district", "same postcode district", 0.05, ("postcode.district",)),
        ),
    ),
    Comparison(
        name="nhs_number",
        presence=("nhs_number.exact",),
        levels=(
            _level(
                "same_home",
                "same NHS number, same home",
                0.70,
                ("nhs_number.exact", "uprn.exact"),
                ("nhs_number.exact", "postcode.exact", "address.house"),
            ),
            _level("exact", "same NHS number", 0.28, ("nhs_number.exact",)),
            _level(
                "half", "one half of the number agrees", 0.005, ("nhs_number.head",), ("nhs_number.tail",)
            ),
        ),
        # Random agreement of a near-unique number cannot be read off counts: nearly every repeat within an
        # agency is the same person (docs/adr/0003). 1e-7: about one chance collision in ten million pairs.
        # Within a home a relative's number is copied now and then: assumed for one pair of relatives in 500.
        fixed_u=(("same_home", 2e-3), ("exact", 1e-7)),
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyLevel:
    """One level of the family correction.

    Attributes:
        name: Stable name.
        label: Plain words.
        terms: As in `Level`.
        surname, location: Levels of these comparisons that the pair is at.
        twin: Whether the date of birth agrees too.
    """

    name: str
    label: str
    terms: tuple[Term, ...]
    surname: str
    location: str
    twin: bool


_HOME: tuple[Term, ...] = (("uprn.exact",), ("postcode.exact", "address.house"))
_NEAR: tuple[Term, ...] = (("postcode.exact",), ("address.number_street",))


def _family_levels() -> tuple[FamilyLevel, ...]:
    levels = []
    for twin in (True, False):
        for location, places, place in (
            ("home", _HOME, "home"),
            ("postcode", _NEAR, "postcode or street number"),
        ):
            for surname, part in (("rare", "rare"), ("mid", "mid"), ("exact", "canonical")):
                born = ("dob.exact",) if twin else ()
                levels.append(
                    FamilyLevel(
                        name=f"{'twin' if twin else 'family'}_{location}_{surname}",
                        label=f"same {place} and {surname} surname" + (" and date of birth" if twin else ""),
                        terms=tuple((f"surname.{part}", *born, *term) for term in places),
                        surname=surname,
                        location=location,
                        twin=twin,
                    )
                )
    return tuple(levels)


FAMILY = "family"
FAMILY_LEVELS: tuple[FamilyLevel, ...] = _family_levels()
"""Relatives agree on surname and home (and twins on date of birth) far more often than chance would have two
strangers agree on each. This correction to the other comparisons takes out what they count twice: its u is the
ratio of the joint rate, counted by the agencies, to the product of the single rates; its m is one."""

CROSSED: tuple[str, ...] = tuple(
    dict.fromkeys(
        name
        for comparison in COMPARISONS
        for level in comparison.levels
        for pair in level.crossed
        for name in pair
    )
)
"""Derived values that are compared with another one."""

TOKENS: tuple[str, ...] = tuple(
    name for name in DERIVED if any(name in comparison.tokens for comparison in COMPARISONS)
)
"""Derived values that have a comparison token, in package order."""


def column(name: str) -> str:
    """Return the column name of a derived value: `forename.first3` -> `forename_first3`."""
    return name.replace(".", "_")


# --- passes ---------------------------------------------------------------------------------------------


HALVES = ("nhs_number.head", "nhs_number.tail")
"""Halves of a number that has no check digit, where a typed error gives another number. Real NHS numbers have none: an
error shows in the check digit, and those of twins often follow one another."""


def absent_under(standards: Mapping[str, str]) -> frozenset[str]:
    """Return the derived values that no record has under these standards (field -> standard)."""
    return frozenset() if standards.get("nhs_number") == "generic" else frozenset(HALVES)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pass:
    """A blocking pass: subjects meet in it when all its derived values agree.

    Attributes:
        parts: The derived values.
        absent: Derived values that no record of the run has; they carry no token.
    """

    parts: tuple[str, ...]
    absent: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name in agreements and reports, for example `dob+surname.phonetic`."""
        return "+".join(part.removesuffix(".exact") for part in self.parts)

    @property
    def fixed(self) -> frozenset[str]:
        """Derived values that agree for every pair of the pass; they carry no token in it."""
        return closure(self.parts)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Derived values that carry a comparison token in this pass, in package order."""
        without = self.fixed | self.absent
        return tuple(name for name in TOKENS if name not in without and not self._settles(DERIVED[name]))

    def _settles(self, value: Derived) -> bool:
        """Whether the pass is made of the value that this one is compared with: then the two hardly ever agree."""
        return bool(value.like) and not self.fields.isdisjoint(value.fields)

    @property
    def fields(self) -> frozenset[str]:
        """The identifiers the pass is made of."""
        return frozenset(field for part in self.parts for field in DERIVED[part].fields)


def parse_pass(name: str, *, absent: frozenset[str] = frozenset()) -> Pass:
    """Return the pass called `name`, without tokens of the derived values `absent`.

    Raises:
        ValueError: A part is no derived value of the scheme or cannot be blocked on (a rarity class), or the pass
            has none or repeats one. The message names the part, which comes from an agreement and is no
            personal data.
    """
    parts = []
    for part in name.split("+"):
        full = part if part in DERIVED else f"{part}.exact"
        if full not in DERIVED:
            raise ValueError(f"{part!r} is not a derived value of {SCHEME}")
        if full.endswith((".rare", ".mid")):
            raise ValueError(f"{part!r} is only compared, never blocked on")
        if full in parts:
            raise ValueError(f"{part!r} stands twice in one pass")
        parts.append(full)
    return Pass(parts=tuple(parts), absent=absent)
