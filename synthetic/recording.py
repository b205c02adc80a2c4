"""What each agency wrote down: the true state on the day of recording, and what went wrong on the way.

The table has one element a reference. Every departure from the person's true present identity is logged with its
reason, so that an evaluation can ask which errors cost which matches. A departure is `former_…` (true once), `missing`,
`protected`, `copied_forward` or a kind of error of the profile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import numpy as np

from synthetic import corrupt
from synthetic.agencies import Agency
from synthetic.contacts import Contacts
from synthetic.corrupt import Corruption
from synthetic.geography import NO_FIXED_ABODE, Dwellings
from synthetic.households import Bools, Floats, Ints
from synthetic.naming import COMMUNITY
from synthetic.people import NOWHERE, People
from synthetic.pools import Strings, nicknames, spelling_variants
from synthetic.profile import Profile
from synthetic.records import NO_DATE, ErrorLog, Recorded, address_texts

_1900 = -25567  # 1 January 1900

_TEXT_ERRORS: dict[str, Corruption] = {
    "keyboard": corrupt.keyboard,
    "phonetic": corrupt.phonetic,
    "ocr": corrupt.ocr,
    "initial": corrupt.initial,
    "truncated": corrupt.truncated,
    "half": corrupt.half,
    "punctuation": corrupt.punctuation,
    "gender_ending": corrupt.gender_ending,
    "placeholder": corrupt.name_placeholder,
}
_POSTCODE_ERRORS: dict[str, Corruption] = {
    "keyboard": corrupt.postcode_keyed,
    "ocr": corrupt.ocr_code,
    "outward_only": corrupt.outward_only,
    "placeholder": corrupt.postcode_placeholder,
}


@dataclass(kw_only=True, slots=True)
class Recorder:
    """Records all references of a chunk. `record` is the one entry point; the rest are its steps."""

    rng: np.random.Generator
    people: People
    dwellings: Dwellings
    agencies: Sequence[Agency]
    contacts: Contacts
    profile: Profile
    today: int
    log: ErrorLog = field(default_factory=ErrorLog)

    def record(self) -> tuple[Recorded, Ints]:
        """Return the recorded values of each reference, and the day on which each was taken down."""
        day = self._recording_day()
        values = self.state(np.arange(self.contacts.person.size), day)
        dwelling = self.people.dwelling_at(self.contacts.person, day)
        text = Random(int(self.rng.integers(2**63)))
        factor = self._factors()
        self._forenames(values.forename, factor, text, day)
        self._surnames(values.surname, factor, text)
        self._swaps(values, factor)
        self._dates(values.dob, factor, text)
        self._sexes(values.sex)
        self._postcodes(values.postcode, dwelling, text)
        self._uprns(values.uprn, dwelling, text)
        self._nhs_numbers(values.nhs_number, text)
        self._copy_forward(values)
        self._protect(values)
        self._blank(values)
        return values, day

    def state(self, refs: Ints, day: Ints) -> Recorded:
        """Return the true values of the persons of `refs` on each `day`, as fresh arrays."""
        person = self.contacts.person[refs]
        return Recorded(
            forename=self.people.forename_at(person, day),
            surname=self.people.surname_at(person, day),
            dob=self.people.born[person].copy(),
            sex=self.people.sex_code[person].copy(),
            nhs_number=self.people.nhs[person].astype(str).astype(object),
            **address_texts(self.dwellings, self.people.dwelling_at(person, day)),
        )

    def _recording_day(self) -> Ints:
        refreshed = self.rng.random(self.contacts.person.size) < self.profile.process["address_refreshed"]
        return np.where(refreshed, self.contacts.last, self.contacts.opened)

    def _factors(self) -> Floats:
        """Return the factor on name and date errors of each reference."""
        groups, names = self.profile.groups, self.people.names
        factor = np.ones(self.people.size)
        for label, members in (
            ("south_asian_or_arabic", ("muslim", "sikh", "hindu", "arabic")),
            ("west_african", ("west_african",)),
            ("chinese", ("chinese",)),
            ("eastern_european", ("eastern_european",)),
        ):
            factor[np.isin(names.community, [COMMUNITY[name] for name in members])] *= groups[label]
        factor[self.people.members.age < 1] *= groups["infant"]
        factor[self.people.looked_after] *= groups["looked_after"]
        factor[self.people.address[:, 0] == NOWHERE] *= groups["no_fixed_abode"]
        result = factor[self.contacts.person]
        # A second reference exists because the search for the first failed: its details are worse than usual.
        same = np.zeros(result.size, dtype=np.bool_)
        same[1:] = (np.diff(self.contacts.person) == 0) & (np.diff(self.contacts.agency) == 0)
        result[same] *= groups["second_reference"]
        return result

    def _hits(self, rates: dict[str, float], factor: Floats | float) -> dict[str, Ints]:
        """Return the references that each kind of error hits; a reference is hit by at most one kind."""
        draw = self.rng.random(self.contacts.person.size)
        hits, low = {}, np.zeros(draw.size)
        for kind, rate in rates.items():
            high = low + rate * factor
            hits[kind] = np.flatnonzero((draw >= low) & (draw < high))
            low = high
        return hits

    def _apply(
        self, values: Strings, column: str, kind: str, refs: Ints, change: Corruption, text: Random
    ) -> None:
        for ref in refs.tolist():
            if values[ref]:
                values[ref] = change(values[ref], text)
        self.log.add(refs, column, kind)

    def _of(self, eligible: Bools, rate: float | Floats) -> Ints:
        return np.flatnonzero(eligible & (self.rng.random(eligible.size) < rate))

    def _respell(self, values: Strings, column: str, chance: Floats, text: Random) -> None:
        variants = spelling_variants()
        refs = self._of(np.array([name in variants for name in values], dtype=np.bool_), chance)
        for ref in refs.tolist():
            values[ref] = corrupt.pick(variants[values[ref]], text)
        self.log.add(refs, column, "spelling")

    def _forenames(self, values: Strings, factor: Floats, text: Random, day: Ints) -> None:
        rates = dict(self.profile.errors["forename"])
        newborn = rates.pop("newborn_placeholder")
        person = self.contacts.person
        self.log.add(
            np.flatnonzero(values != self.people.names.forename[person]), "forename", "former_forename"
        )
        short = nicknames()
        goes_by = self.people.uses_nickname[person] & np.array(
            [name in short for name in values], dtype=np.bool_
        )
        called = self._of(goes_by, rates.pop("nickname"))
        for ref in called.tolist():
            options = short[values[ref]]
            values[ref] = options[int(person[ref]) % len(options)]
        self.log.add(called, "forename", "nickname")
        self._respell(values, "forename", rates.pop("spelling") * factor, text)
        self._second_names(
            values, rates.pop("second_name"), rates.pop("second_name_customary"), rates.pop("middle_used")
        )
        for kind, refs in self._hits(rates, factor).items():
            self._apply(values, "forename", kind, refs, _TEXT_ERRORS[kind], text)
        infant = (day - self.people.born[person] < 30) & (self.people.members.age[person] < 4)
        unnamed = self._of(infant, newborn)
        self._apply(values, "forename", "placeholder", unnamed, corrupt.infant_placeholder, text)

    def _second_names(self, values: Strings, added: float, usual: float, used: float) -> None:
        middle = self.people.names.middle[self.contacts.person]
        customary = np.array([agency.style["forename"] == "second_name" for agency in self.agencies])
        rate = np.where(customary[self.contacts.agency], usual, added)
        draw = self.rng.random(values.size)
        both = np.flatnonzero((middle != "") & (draw < rate))
        values[both] = values[both] + " " + middle[both]
        self.log.add(both, "forename", "second_name")
        only = np.flatnonzero((middle != "") & (draw >= rate) & (draw < rate + used))
        values[only] = middle[only]
        self.log.add(only, "forename", "middle_used")

    def _surnames(self, values: Strings, factor: Floats, text: Random) -> None:
        rates = dict(self.profile.errors["surname"])
        person = self.contacts.person
        self.log.add(np.flatnonzero(values != self.people.names.surname[person]), "surname", "former_surname")
        self._respell(values, "surname", rates.pop("spelling") * factor, text)
        conditions: dict[str, Callable[[str], bool]] = {
            "half": lambda name: " " in name or "-" in name,
            "punctuation": lambda name: "'" in name or "-" in name or " " in name or name[:2] in ("Mc", "Ma"),
            "gender_ending": lambda name: name[-3:] in ("ska", "cka", "ova", "eva"),
        }
        for kind, applies in conditions.items():
            refs = self._of(np.array([applies(name) for name in values], dtype=np.bool_), rates.pop(kind))
            self._apply(values, "surname", kind, refs, _TEXT_ERRORS[kind], text)
        for kind, refs in self._hits(rates, factor).items():
            self._apply(values, "surname", kind, refs, _TEXT_ERRORS[kind], text)

    def _swaps(self, values: Recorded, factor: Floats) -> None:
        rate = self.profile.errors["names"]["swapped"]
        family_first = self.people.names.community[self.contacts.person] == COMMUNITY["chinese"]
        chance = rate * factor * np.where(family_first, 10.0, 1.0)
        refs = np.flatnonzero(self.rng.random(factor.size) < chance)
        values.forename[refs], values.surname[refs] = (
            values.surname[refs].copy(),
            values.forename[refs].copy(),
        )
        self.log.add(refs, "forename", "swapped")
        self.log.add(refs, "surname", "swapped")

    def _dates(self, values: Ints, factor: Floats, text: Random) -> None:
        for kind, refs in self._hits(dict(self.profile.errors["dob"]), factor).items():
            wrong = _wrong_dates(values[refs], kind, self.rng, text)
            # Entry screens refuse a date of birth in the future or before 1900, so those mistakes are not made.
            values[refs] = np.where((wrong > self.today) | (wrong < _1900), values[refs], wrong)
            self.log.add(refs, "dob", kind)

    def _sexes(self, values: Strings) -> None:
        refs = self._hits(dict(self.profile.errors["sex"]), 1.0)["wrong"]
        values[refs] = np.where(values[refs] == "F", "M", "F")
        self.log.add(refs, "sex", "wrong")

    def _postcodes(self, values: Strings, dwelling: Ints, text: Random) -> None:
        now = self.people.address[self.contacts.person, 0]
        moved = np.flatnonzero(dwelling != now)
        for column in ("postcode", "uprn", "address"):
            self.log.add(moved, column, "former_address")
        homeless = self._of(dwelling == NOWHERE, 0.5)
        values[homeless] = NO_FIXED_ABODE
        self.log.add(homeless, "postcode", "placeholder")
        for kind, refs in self._hits(dict(self.profile.errors["postcode"]), 1.0).items():
            here = refs[values[refs] != ""]
            self._apply(values, "postcode", kind, here, _POSTCODE_ERRORS[kind], text)

    def _uprns(self, values: Strings, dwelling: Ints, text: Random) -> None:
        hits = self._hits(dict(self.profile.errors["uprn"]), 1.0)
        refs = hits["neighbour"][dwelling[hits["neighbour"]] != NOWHERE]
        beside = np.where(dwelling[refs] > 0, dwelling[refs] - 1, dwelling[refs] + 1)
        values[refs] = self.dwellings.uprn[beside]
        self.log.add(refs, "uprn", "neighbour")
        self._apply(values, "uprn", "keyboard", hits["keyboard"], corrupt.digits, text)

    def _nhs_numbers(self, values: Strings, text: Random) -> None:
        hits = self._hits(dict(self.profile.errors["nhs_number"]), 1.0)
        self._apply(values, "nhs_number", "keyboard", hits["keyboard"], corrupt.digits, text)
        self._apply(values, "nhs_number", "placeholder", hits["placeholder"], corrupt.nhs_placeholder, text)
        refs = hits["relative"]
        person, home = self.contacts.person[refs], self.people.members.household
        for step in (1, -1):
            beside = (person + step).clip(0, self.people.size - 1)
            kin = (home[beside] == home[person]) & (home[person] >= 0) & (beside != person)
            values[refs[kin]] = self.people.nhs[beside[kin]].astype(str).astype(object)
        self.log.add(refs, "nhs_number", "relative")

    def _copy_forward(self, values: Recorded) -> None:
        """Copy names and date of birth of some references from the person's record elsewhere, errors included."""
        person, agency = self.contacts.person, self.contacts.agency
        order = np.lexsort((self.contacts.opened, person))
        target, origin = order[1:], order[:-1]
        other = (person[target] == person[origin]) & (agency[target] != agency[origin])
        chosen = other & (self.rng.random(target.size) < self.profile.process["copied_forward"])
        target, origin = target[chosen], origin[chosen]
        for column in ("forename", "surname", "dob"):
            cells = getattr(values, column)
            # Read all origins before writing: a copy of a copy would depend on the order of the loop.
            cells[target] = cells[origin].copy()
            self.log.add(target, column, "copied_forward")

    def _protect(self, values: Recorded) -> None:
        refs = self._of(self.people.protected[self.contacts.person], 0.5)
        values.address[refs] = "Address withheld"
        self.log.add(refs, "address", "protected")
        for column in ("postcode", "uprn"):
            getattr(values, column)[refs] = ""
            self.log.add(refs, column, "protected")

    def _blank(self, values: Recorded) -> None:
        for column, rate in self.profile.missing.items():
            factor = np.array([agency.missing.get(column, 1.0) for agency in self.agencies])
            chance = (rate * factor).clip(max=0.95)[self.contacts.agency]
            refs = np.flatnonzero(self.rng.random(chance.size) < chance)
            getattr(values, column)[refs] = NO_DATE if column == "dob" else ""
            self.log.add(refs, column, "missing")


def _wrong_dates(days: Ints, kind: str, rng: np.random.Generator, text: Random) -> Ints:
    dates = days.astype("datetime64[D]")
    years = dates.astype("datetime64[Y]").astype(np.int64)
    either = np.where(rng.random(days.size) < 0.5, -1, 1)
    result = days.copy()
    if kind == "year_off":
        result += either * np.where(rng.random(days.size) < 0.15, 3652, 365)
    elif kind == "day_off":
        result += either
    elif kind == "first_january":
        result[:] = years.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    elif kind == "placeholder":
        result[:] = np.where(rng.random(days.size) < 0.6, _1900, 0)
    if kind not in ("day_month", "keyboard"):
        return result
    for row, day in enumerate(dates.astype(str)):
        year, month, date = day[:4], day[5:7], day[8:]
        wrong = f"{year}-{date}-{month}" if kind == "day_month" else corrupt.digits(day, text)
        try:
            result[row] = np.datetime64(wrong, "D").astype(np.int64)
        except ValueError:  # No such day: the agency's system refused the entry, so the error did not happen.
            continue
    return result
