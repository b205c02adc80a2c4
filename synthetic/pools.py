"""Weighted pools of names, read from `data/` and completed with composed rarer names.

Real surnames have a heavy tail: the commonest 500 cover about 40% of people and most of the others are borne by a
handful. A generator that draws from a short list makes linkage look harder on common names and easier on rare ones
than it is. The head of each pool is an ordered list; the tail is composed from the elements that real names of the
same naming system are made of (place-name elements, patronymic endings, name stems), with rank weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

DATA = Path(__file__).parent / "data"

Strings = npt.NDArray[np.object_]
Rules = tuple[tuple[str, str], ...]

BRITISH_COHORTS = (1900, 1925, 1940, 1950, 1960, 1970, 1980, 1990, 2000, 2010, 2020)

# Percent of people by rank of their surname, UK electoral register 1996 (P. Dance, "Modern British Surnames",
# comparative table of 300 leading surnames). Only these shares are taken from it, not the list.
SURNAME_SHARES = ((1, 1.20), (2, 0.90), (3, 0.62), (5, 0.56), (7, 0.42), (10, 0.33), (15, 0.29), (20, 0.25))
# From rank 20 to 500 a power law whose exponent puts 34% of British people, and with the surnames of the other
# communities about 40% of all, in the commonest 500. From there on Zipf's law shares out the rest.
_HEAD_EXPONENT = 0.734
_TAIL_FROM, _TAIL_EXPONENT = 500, 1.0

# England has more surnames than this (lists of a quarter of a million are quoted); more would slow the start.
_RARE_SURNAMES = 120_000

# Share of a British cohort that bears one of its listed names. Naming has become far less concentrated: in 2017 the ten
# commonest girls' names took 10% of births and the hundred commonest less than half; in 2018 657,076 babies had 62,729
# different names (ONS, baby names in England and Wales). The shares of the other cohorts are assumed.
_COHORT_LISTED = {
    1900: 0.86,
    1925: 0.86,
    1940: 0.84,
    1950: 0.82,
    1960: 0.80,
    1970: 0.74,
    1980: 0.68,
    1990: 0.56,
}
_COHORT_LISTED |= {2000: 0.42, 2010: 0.29, 2020: 0.26}
_COINED_SINCE = 1990  # hyphenated and coined given names such as Ellie-Mae


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """Distinct strings and their cumulative probabilities.

    Attributes:
        names: Object array of n strings, most common first.
        cumulative: Float array of n, increasing to 1.
    """

    names: Strings
    cumulative: npt.NDArray[np.float64]

    @classmethod
    def of(cls, names: list[str], weights: npt.NDArray[np.float64]) -> Pool:
        """Return a pool of `names`, whose weights need not sum to 1."""
        cumulative = np.cumsum(weights / weights.sum())
        cumulative[-1] = 1.0
        return cls(names=np.array(names, dtype=object), cumulative=cumulative)

    def draw(self, rng: np.random.Generator, count: int) -> Strings:
        """Return `count` strings drawn with replacement."""
        return self.names[np.searchsorted(self.cumulative, rng.random(count), side="right")]


def _rows(name: str) -> Iterator[list[str]]:
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            yield line.split()


def words_of(name: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the label and the words of each line of a file in `data/`."""
    for label, *words in _rows(name):
        yield label, words


def _spaced(word: str) -> str:
    return word.replace("_", " ")


def _compose(first: str, second: str) -> Iterator[str]:
    for start, end in product(first.split("|"), second.split("|")):
        # A doubled consonant at the joint would spell the same element twice: Hal + ley stays, Hall + ley does not.
        yield _spaced(start + (end[1:] if end and start[-2:] == end[:1] * 2 else end))


_SURNAME_ENDINGS: Rules = (
    ("ley", "leigh"),
    ("ton", "tone"),
    ("field", "feild"),
    ("by", "bie"),
    ("y", "ey"),
    ("k", "ke"),
)
_SURNAME_ENDINGS += (("d", "de"), ("n", "ne"), ("ham", "am"), ("worth", "th"), ("s", "se"), ("man", "mann"))
_SURNAME_SPELLINGS: Rules = (
    ("i", "y"),
    ("ll", "l"),
    ("ck", "k"),
    ("ee", "ea"),
    ("tt", "t"),
    ("ou", "o"),
    ("e", "a"),
    ("a", "o"),
)
_FORENAME_ENDINGS: Rules = (
    ("y", "ie"),
    ("ie", "y"),
    ("ey", "i"),
    ("a", "ah"),
    ("ah", "a"),
    ("n", "nn"),
    ("e", "ee"),
)
_FORENAME_SPELLINGS: Rules = (
    ("i", "y"),
    ("y", "i"),
    ("c", "k"),
    ("ph", "f"),
    ("ll", "l"),
    ("l", "ll"),
    ("ai", "ay"),
    ("s", "z"),
)


def _respelled(name: str, endings: Rules, spellings: Rules) -> Iterator[str]:
    """Yield `name` and other ways to write it: one change at the end, or the first chance of one further in."""
    yield name
    for old, new in endings:
        if name.endswith(old) and len(name) > len(old) + 2:
            yield name[: -len(old)] + new
    for old, new in spellings:
        position = name.find(old, 1)
        if position > 0:
            yield name[:position] + new + name[position + len(old) :]


def _shuffled(names: list[str]) -> list[str]:
    # The order of the tail decides which composed names are rare. It must look arbitrary and never change.
    order = np.random.default_rng(1189).permutation(len(names))
    return [names[i] for i in order]


def _unique(*groups: list[str]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _surname_weights(count: int) -> npt.NDArray[np.float64]:
    rank = np.arange(1, count + 1, dtype=np.float64)
    places, shares = (np.log(np.array(column)) for column in zip(*SURNAME_SHARES, strict=True))
    weight: npt.NDArray[np.float64] = np.exp(np.interp(np.log(rank), places, shares)) / 100
    last, lowest = SURNAME_SHARES[-1]
    middle, tail = rank > last, rank > _TAIL_FROM
    weight[middle] = lowest / 100 * (rank[middle] / last) ** -_HEAD_EXPONENT
    if tail.any():
        weight[tail] = rank[tail] ** -_TAIL_EXPONENT
        weight[tail] *= (1.0 - weight[~tail].sum()) / weight[tail].sum()
    return weight


def _listed_weights(head: int, tail: int, *, share: float, exponent: float) -> npt.NDArray[np.float64]:
    front = np.arange(2, head + 2, dtype=np.float64) ** -exponent
    if not tail:
        return front
    back = np.arange(8, tail + 8, dtype=np.float64) ** -0.9
    return np.concatenate([share * front / front.sum(), (1 - share) * back / back.sum()])


@cache
def surnames() -> dict[str, Pool]:
    """Return a surname pool for each community (`british`, `muslim`, …)."""
    listed: dict[str, list[str]] = {}
    parts: dict[str, list[str]] = {}
    for label, *words in _rows("surnames.txt"):
        if label == "parts":
            parts[words[0]] = list(dict.fromkeys(_compose(words[1], words[2])))
        else:
            listed[label] = [_spaced(word) for word in words]
    english = [name for kind in ("toponym", "patronymic", "descriptive", "welsh") for name in parts[kind]]
    for _ in range(2):
        english = _unique(
            [v for name in english for v in _respelled(name, _SURNAME_ENDINGS, _SURNAME_SPELLINGS)]
        )
    tails = {
        "british": _shuffled(english)[:_RARE_SURNAMES],
        "irish_scottish": _shuffled(parts["gaelic"]),
        "muslim": _shuffled(parts["south_asian"]),
        "eastern_european": _shuffled(parts["slavic"]),
        "hindu": _shuffled(parts["indian"]),
        "west_african": _shuffled(parts["nigerian"]),
        "caribbean": listed["british"],
    }
    pools = {}
    for community, head in listed.items():
        names = _unique(head, tails.get(community, []))
        if community == "british":
            weights = _surname_weights(len(names))
        else:
            weights = _listed_weights(len(head), len(names) - len(head), share=0.75, exponent=0.75)
        pools[community] = Pool.of(names, weights)
    return pools


def _british_cohort(cohorts: list[list[str]], number: int, others: list[str], composed: list[str]) -> Pool:
    """Return a cohort's pool: its list, the lists of other cohorts (fading with distance), and rarer names.

    Args:
        cohorts: Listed names of every cohort.
        number: The cohort.
        others: Names of all times that no list holds.
        composed: Names that came into use in the last decades.
    """
    names = cohorts[number]
    modern = BRITISH_COHORTS[number] >= _COINED_SINCE
    age = {name: abs(other - number) for other, listed in enumerate(cohorts) for name in listed}
    for other, listed in enumerate(cohorts):
        age |= {name: min(age[name], abs(other - number)) for name in listed}
    rare = _shuffled(others + composed) if modern else others + composed
    rest = [name for name in _unique(*cohorts, rare) if name not in set(names)]
    weights = _listed_weights(
        len(names), len(rest), share=_COHORT_LISTED[BRITISH_COHORTS[number]], exponent=0.6
    )
    coined = set(composed)
    for place, name in enumerate(rest, start=len(names)):
        # A name goes out of use in two or three decades; what is out of use lives on in a few (assumed).
        weights[place] *= 4.0 * 0.35 ** (age[name] - 1) if name in age else 1.0
        weights[place] *= 0.02 if name in coined and not modern else 1.0
    weights[len(names) :] *= (1 - _COHORT_LISTED[BRITISH_COHORTS[number]]) / weights[len(names) :].sum()
    return Pool.of(names + rest, weights)


@cache
def forenames() -> dict[tuple[str, str, int], Pool]:
    """Return forename pools by (community, sex "F" or "M", first birth year of the cohort; 0 where there is one)."""
    listed: dict[tuple[str, str, str], list[str]] = {}
    parts: dict[tuple[str, str], list[str]] = {}
    for community, sex, kind, *words in _rows("forenames.txt"):
        if kind in ("parts", "coined"):
            composed = list(dict.fromkeys(_compose(words[0], words[1])))
            parts[community, sex] = _shuffled(_unique(parts.get((community, sex), []), composed))
        else:
            listed[community, sex, kind] = _unique([_spaced(word) for word in words])
    pools = {}
    for (community, sex, kind), names in listed.items():
        if kind == "all":
            tail = [name for name in parts.get((community, sex), []) if name not in set(names)]
            weights = _listed_weights(len(names), len(tail), share=0.85, exponent=0.7)
            pools[community, sex, 0] = Pool.of(names + tail, weights)
        elif kind != "tail":
            cohorts = [listed["british", sex, str(year)] for year in BRITISH_COHORTS]
            number = BRITISH_COHORTS.index(int(kind))
            others, composed = listed["british", sex, "tail"], parts["british", sex]
            recent = _unique(*cohorts[BRITISH_COHORTS.index(_COINED_SINCE) :])
            restyled = [
                v for name in recent for v in _respelled(name, _FORENAME_ENDINGS, _FORENAME_SPELLINGS)
            ]
            composed = _unique(composed, restyled)
            pools[community, sex, int(kind)] = _british_cohort(cohorts, number, others, composed)
    return pools


@cache
def spelling_variants() -> dict[str, tuple[str, ...]]:
    """Return, for a name, the other spellings that clerks and interpreters use for it."""
    groups: dict[str, list[str]] = {}
    for words in _rows("variants.txt"):
        names = _unique([_spaced(word) for word in words])
        for name in names:
            groups.setdefault(name, []).extend(other for other in names if other != name)
    return {name: tuple(dict.fromkeys(others)) for name, others in groups.items()}


@cache
def nicknames() -> dict[str, tuple[str, ...]]:
    """Return, for a given name, the short forms in everyday use."""
    return {name: tuple(_spaced(word) for word in words) for name, *words in _rows("nicknames.txt")}
