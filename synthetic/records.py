"""Recorded identities as arrays, the true ones to compare them with, and the log of what was done to them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from synthetic.agencies import IDENTIFIERS
from synthetic.geography import Dwellings
from synthetic.households import Ints
from synthetic.people import NOWHERE, People
from synthetic.pools import Strings

NO_DATE = -2_000_000
FIELD = {name: number for number, name in enumerate(IDENTIFIERS)}


@dataclass(kw_only=True, slots=True)
class ErrorLog:
    """Which errors were applied to which reference, as parallel arrays under construction."""

    ref: list[Ints] = field(default_factory=list)
    column: list[Ints] = field(default_factory=list)
    kind: list[Strings] = field(default_factory=list)

    def add(self, refs: Ints, column: str, kind: str | Strings) -> None:
        """Note that `refs` have an error of `kind` in `column`."""
        self.ref.append(refs)
        self.column.append(np.full(refs.size, FIELD[column]))
        self.kind.append(np.full(refs.size, kind, dtype=object) if isinstance(kind, str) else kind)

    def arrays(self) -> tuple[Ints, Ints, Strings]:
        """Return reference, column number and kind of every entry."""
        return np.concatenate(self.ref), np.concatenate(self.column), np.concatenate(self.kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """Recorded values, one element a version of a reference.

    `dob` is a day, NO_DATE where missing; the other fields are texts, "" where missing.
    """

    forename: Strings
    surname: Strings
    dob: Ints
    sex: Strings
    postcode: Strings
    uprn: Strings
    nhs_number: Strings
    address: Strings

    def take(self, rows: Ints) -> Recorded:
        """Return the versions at `rows`."""
        return Recorded(**{name: getattr(self, name)[rows] for name in IDENTIFIERS})


def true_values(people: People, dwellings: Dwellings) -> Recorded:
    """Return the true present identity of everybody, one element a person."""
    home = people.address[:, 0]
    return Recorded(
        forename=people.names.forename,
        surname=people.names.surname,
        dob=people.born,
        sex=people.sex_code,
        nhs_number=people.nhs.astype(str).astype(object),
        **address_texts(dwellings, home),
    )


def address_texts(dwellings: Dwellings, home: Ints) -> dict[str, Strings]:
    """Return postcode, UPRN and address line of each dwelling of `home`, which may be NOWHERE."""
    nowhere = home == NOWHERE
    return {
        "postcode": np.where(nowhere, "", dwellings.postcode[home]),
        "uprn": np.where(nowhere, "", dwellings.uprn[home]),
        "address": np.where(nowhere, "No fixed abode", dwellings.address[home]),
    }
