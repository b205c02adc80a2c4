"""Controls of the privacy measure: encodings whose answer is known, on an invented population.

They show that the measure can find harm (field hashes, weak passes) and can find its absence (strong passes). They
say nothing of the packages at hand: whoever holds those cannot unmake their blocks. 20,000 children are invented, with
surnames and forenames of Zipf frequencies (Zipf 1949), homes of one to six people who share a surname, streets of
fifteen homes, and twins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.privacy_refinement import Incidence, refine

Ints = NDArray[np.int64]

PEOPLE = 20_000
"""People of the invented population: enough for the known answers, a second of work."""

_SURNAMES, _FORENAMES, _DAYS, _TWINS = 20_000, 3_000, 18 * 365, 0.03


@dataclass(frozen=True, kw_only=True, slots=True)
class Control:
    """An encoding whose answer is known.

    Attributes:
        name: Short name.
        what: What is published of a person, in plain words.
        expected: Share of people that a thief with a perfect list would name correctly.
        at_least: Smallest share that the measure has to find.
        at_most: Largest.
    """

    name: str
    what: str
    expected: float
    at_least: float
    at_most: float

    @property
    def held(self) -> bool:
        """Whether the measure found what is known."""
        return self.at_least <= self.expected <= self.at_most


def invented_people(people: int, *, seed: int = 1) -> dict[str, Ints]:
    """Return the identifiers of invented children under 18, each a column of codes."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 7, size=people)
    home = np.repeat(np.arange(people), sizes)[:people]

    def zipf(count: int, size: int) -> Ints:
        shares = 1 / np.arange(1, count + 1)
        return draw.choice(count, size=size, p=shares / shares.sum()).astype(np.int64)

    surname = zipf(_SURNAMES, int(home[-1]) + 1)[home] if people else home
    born = draw.integers(0, _DAYS, size=people)
    twin = np.flatnonzero((draw.random(people) < _TWINS)[1:] & (home[1:] == home[:-1])) + 1
    born[twin] = born[twin - 1]
    return {
        "forename": zipf(_FORENAMES, people),
        "surname": surname,
        "dob": born,
        "sex": draw.integers(0, 2, size=people),
        "postcode": home // 15,
        "number": draw.permutation(people),
    }


def _cells(columns: list[Ints]) -> Incidence:
    """Return who carries which token, when a token is made of all `columns` together."""
    _, cell = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    return np.arange(len(columns[0]), dtype=np.int64), cell.astype(np.int64).reshape(-1)


def _share(kinds: list[list[Ints]]) -> float:
    people = len(kinds[0][0])
    start = np.ones(people, dtype=np.uint64)
    return refine(start, [_cells(columns) for columns in kinds])[0] / max(people, 1)


def run_controls(people: int = PEOPLE, *, seed: int = 1) -> tuple[Control, ...]:
    """Measure the three encodings whose answer is known (docs/threat-model.md)."""
    who = invented_people(people, seed=seed)
    year, initial = who["dob"] // 365, who["forename"] % 20
    fields = [[who[name]] for name in ("forename", "surname", "dob", "sex", "postcode", "number")]
    weak = [[who["dob"]], [who["postcode"], year], [who["surname"], year, who["sex"]], [who["number"]]]
    strong = [
        [who["number"]],
        [who["dob"], who["forename"], who["surname"]],
        [who["dob"], who["surname"], who["sex"]],
        [who["dob"], who["postcode"], initial],
        [who["forename"], who["surname"], who["postcode"]],
    ]
    return (
        Control(
            name="field hashes",
            what="one keyed hash a field, comparable across the whole file",
            expected=_share(fields),
            at_least=0.97,
            at_most=1.0,
        ),
        Control(
            name="weak passes",
            what="block ids of birth date; postcode and year; surname, year and sex; NHS number",
            expected=_share(weak),
            at_least=0.95,
            at_most=1.0,
        ),
        Control(
            name="strong passes",
            what="block ids of NHS number and of birth date or full name with two more identifiers",
            expected=_share(strong),
            at_least=0.0,
            at_most=0.01,
        ),
    )
