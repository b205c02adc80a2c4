"""The people: ages, households, names and lives are distributed as published figures say."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pytest

from synthetic.households import ADULT_CHILD, CHILD, HEAD, KIND, KINDS, PARTNER
from synthetic.naming import COMMUNITY
from synthetic.nhs import check_digits
from synthetic.people import NEVER, NOWHERE, YEAR
from synthetic.pools import SURNAME_SHARES, surnames

TODAY = (date(2026, 6, 30) - date(1970, 1, 1)).days


def residents(people):
    """Return the rows of the residents."""
    return np.flatnonzero(people.resident)


def born_year(people):
    """Return the year of birth with its fraction."""
    return people.born / YEAR + 1970


def test_ages_follow_the_census(people):
    """Shares under 15, 15 to 64 and over are within two points of the Census 2021 (17.4%, 64.1%, 18.6%)."""
    age = people.members.age[residents(people)]
    shares = [(age < 15).mean(), ((age >= 15) & (age < 65)).mean(), (age >= 65).mean()]
    assert shares == pytest.approx([0.174, 0.641, 0.186], abs=0.02)
    assert (people.members.female[residents(people)]).mean() == pytest.approx(0.51, abs=0.01)


def test_household_sizes_follow_the_census(people):
    """30.2% of private households hold one person and the mean is 2.4 (Census 2021)."""
    rows = residents(people)
    private = rows[people.members.kind[rows] < KIND["care_home"]]
    sizes = np.unique(people.members.household[private], return_counts=True)[1]
    assert (sizes == 1).mean() == pytest.approx(0.302, abs=0.015)
    assert sizes.mean() == pytest.approx(2.4, abs=0.08)


def test_exactly_as_many_residents_as_asked(people):
    """Pre-adoption identities come on top of the residents and are marked."""
    assert people.resident.sum() == 50_000
    assert (people.adopted[~people.resident] == 2).all()


def test_every_kind_of_household_occurs(people):
    """Establishments hold many people at one UPRN; homeless people have no address."""
    members = people.members
    assert set(np.unique(members.kind)) == set(range(len(KINDS)))
    homes = members.household[members.kind == KIND["care_home"]]
    assert np.unique(homes, return_counts=True)[1].max() >= 30
    for home in np.unique(homes):
        assert np.unique(people.address[members.household == home, 0]).size == 1
    assert (people.address[members.kind == KIND["no_fixed_abode"], 0] == NOWHERE).all()


def test_parents_are_old_enough(people):
    """No child is born before its mother is 15."""
    members = people.members
    heads = (members.role == HEAD) & members.female
    mother = dict(zip(members.household[heads].tolist(), members.age[heads].tolist(), strict=True))
    gaps = [
        mother[home] - age
        for home, age in zip(
            members.household[members.role == CHILD].tolist(),
            members.age[members.role == CHILD].tolist(),
            strict=True,
        )
        if home in mother
    ]
    assert min(gaps) > 15
    assert np.mean(gaps) == pytest.approx(30.5, abs=1.5)


def test_twins_share_a_birthday_and_a_home_but_not_a_name(people):
    """Twins have one date of birth, one household and two forenames; about 15 births in a thousand are multiple."""
    members = people.members
    rows = np.flatnonzero(members.twin & (members.role == CHILD) & people.resident)
    groups = {}
    for row in rows.tolist():
        groups.setdefault((members.household[row], people.born[row]), []).append(row)
    whole = [group for group in groups.values() if len(group) >= 2]
    assert len(whole) > 0.9 * len(groups)
    assert all(len({people.names.forename[row] for row in group}) == len(group) for group in whole)
    births = (members.role == CHILD).sum()
    assert len(whole) / births == pytest.approx(0.0146, abs=0.005)


def test_surnames_have_a_heavy_tail(people):
    """The commonest surname is borne by about 1% and the commonest 500 by about 40%; many are borne by one person."""
    counts = np.array(sorted(Counter(people.names.surname[residents(people)]).values(), reverse=True))
    assert counts[0] / counts.sum() == pytest.approx(0.0095, abs=0.003)
    assert counts[:500].sum() / counts.sum() == pytest.approx(0.40, abs=0.05)
    assert (counts == 1).mean() > 0.3
    assert counts.size > 7_000


def test_the_head_of_the_surname_pool_is_the_published_one():
    """Shares at the published ranks are the electoral register's; the first 500 take 34% of British people."""
    pool = surnames()["british"]
    shares = 100 * np.diff(np.r_[0.0, pool.cumulative])
    assert [shares[rank - 1] for rank, _ in SURNAME_SHARES] == pytest.approx(
        [share for _, share in SURNAME_SHARES]
    )
    assert pool.cumulative[499] == pytest.approx(0.34, abs=0.005)
    assert (np.diff(shares) < 0.005).all()
    assert pool.names.size == np.unique(pool.names).size > 90_000


def test_the_chance_that_two_people_share_a_surname_is_as_measured(people):
    """Isonymy of British names is near 0.001 (Lasker 1983: coefficient 0.00048, which is half of it)."""
    british = people.names.surname_birth[people.names.community == COMMUNITY["british"]]
    shares = np.array(list(Counter(british).values())) / british.size
    assert 0.0005 < (shares**2).sum() < 0.0016


def test_forenames_belong_to_their_time(people):
    """Margaret is common among women born before 1950 and rare after 2000; Isla the other way round."""
    british_women = people.members.female & (people.names.community == COMMUNITY["british"])
    old = people.names.forename[british_women & (born_year(people) < 1950)]
    young = people.names.forename[british_women & (born_year(people) > 2005)]
    assert (old == "Margaret").mean() > 0.03
    assert (young == "Margaret").mean() < 0.004
    assert (young == "Isla").mean() > 0.008
    assert (old == "Isla").mean() < 0.004


def test_forenames_became_less_concentrated(people):
    """The ten commonest names cover at least twice the share in the 1950s that they cover in the 2010s."""
    women = people.members.female & (people.names.community == COMMUNITY["british"])

    def top_ten(first, last):
        names = people.names.forename[women & (born_year(people) >= first) & (born_year(people) < last)]
        return sum(count for _, count in Counter(names).most_common(10)) / names.size

    assert top_ten(1950, 1960) > 2 * top_ten(2010, 2020)
    assert top_ten(2010, 2020) == pytest.approx(0.12, abs=0.05)


def test_naming_systems(people):
    """Slavic women have feminine endings, Iberian people two surnames, Muslim wives mostly names of their own."""
    names, female = people.names, people.members.female
    slavic = names.community == COMMUNITY["eastern_european"]
    assert not any(name.endswith(("ski", "cki")) for name in names.surname[slavic & female])
    assert any(name.endswith("ska") for name in names.surname[slavic & female])
    iberian = names.surname_birth[names.community == COMMUNITY["iberian"]]
    assert np.mean([" " in name for name in iberian]) > 0.9
    wives = np.flatnonzero((people.members.role == HEAD) & female & (names.community == COMMUNITY["muslim"]))
    husband = {
        int(h): n
        for h, n, r in zip(people.members.household, names.surname, people.members.role, strict=True)
        if r == PARTNER
    }
    shared = [husband.get(int(people.members.household[w])) == names.surname[w] for w in wives]
    assert np.mean(shared) < 0.35


def test_families_share_surnames(people):
    """Most British wives bear their husband's surname and most children their father's or mother's."""
    members, names = people.members, people.names
    kind = members.kind == KIND["couple_children"]
    adults = {}
    for row in np.flatnonzero(kind & (members.role <= PARTNER)).tolist():
        adults.setdefault(members.household[row], set()).add(names.surname[row])
    children = np.flatnonzero(kind & (members.role == CHILD) & people.resident)
    shared = [names.surname[row] in adults.get(members.household[row], set()) for row in children]
    assert 0.65 < np.mean(shared) < 0.95


def test_moves_a_year(people):
    """About one person in eleven moved within the last year (English Housing Survey rates, plus personal moves)."""
    moved = people.moved[residents(people), 0] > TODAY - 365
    assert moved.mean() == pytest.approx(0.095, abs=0.025)
    children = (people.members.age < 18) & people.resident
    looked_after = people.moved[children & people.looked_after, 0] > TODAY - 365
    others = people.moved[children & ~people.looked_after, 0] > TODAY - 365
    assert looked_after.mean() > 3 * others.mean()


def test_looked_after_children_as_many_as_in_england(people):
    """Some 70 in 10,000 children are looked after (DfE 2024)."""
    children = (people.members.age < 18) & people.resident
    assert people.looked_after[children].mean() == pytest.approx(0.0070, abs=0.0025)


def test_deaths(people):
    """A little under one person in a hundred dies in a year, mostly old people; nobody is met after death."""
    dead = (people.died <= TODAY) & people.resident
    assert dead.sum() / 50_000 / 3 == pytest.approx(0.0095, abs=0.0025)
    assert people.members.age[dead].mean() > 70
    assert (people.known_until <= np.minimum(people.died, TODAY)).all()


def test_nothing_happens_after_death(people):
    """Nobody moves or is renamed after the day of death."""
    assert (people.moved[:, 0] <= people.died).all()
    assert (people.renamed <= people.died).all()


def test_addresses_change_on_the_day_of_the_move(people):
    """The dwelling on the day before a move differs from the one on the day, which is the present one."""
    once = (people.moved[:, 0] > NEVER) & (people.moved[:, 0] != people.moved[:, 1])
    rows = np.flatnonzero(once & (people.address[:, 0] != NOWHERE))
    day = people.moved[rows, 0]
    assert (people.dwelling_at(rows, day) == people.address[rows, 0]).all()
    assert (people.dwelling_at(rows, day - 1) == people.address[rows, 1]).all()


def test_surnames_change_on_the_day_of_the_wedding(people):
    """A renamed person has the former surname until the day and the present one from then on."""
    rows = np.flatnonzero(people.renamed > NEVER)
    assert rows.size > 500
    assert (people.surname_at(rows, people.renamed[rows]) == people.names.surname[rows]).all()
    assert (people.surname_at(rows, people.renamed[rows] - 1) == people.surname_before[rows]).all()
    assert (people.surname_before[rows] != people.names.surname[rows]).all()


def test_adoption_makes_two_identities(people):
    """The identity before has another person number, NHS number and time; the birthday is the same."""
    before, after = np.flatnonzero(people.adopted == 2), np.flatnonzero(people.adopted == 1)
    assert before.size == after.size > 0
    assert (people.born[before] == people.born[after]).all()
    assert (people.nhs[before] != people.nhs[after]).all()
    assert (people.known_until[before] < people.known_from[after]).all()
    assert np.intersect1d(people.number[before], people.number[after]).size == 0


def test_nhs_numbers_are_valid_and_unique(people):
    """Every NHS number passes modulus 11, is unique and lies in a range that is in use."""
    assert (check_digits(people.nhs // 10) == people.nhs % 10).all()
    assert np.unique(people.nhs).size == people.size
    assert set(np.unique(people.nhs // 1_000_000_000)) <= {4, 6, 7}


@pytest.mark.parametrize("number", [9434765919, 4010232137])
def test_known_nhs_numbers(number):
    """The examples that the NHS publishes have the check digit that we compute."""
    assert check_digits(np.array([number // 10]))[0] == number % 10


def test_postcodes_have_the_shape_and_size_of_real_ones(chunk):
    """Units hold about sixteen homes, and every postcode has an outward and an inward half of the right form."""
    _, dwellings = chunk
    units, sizes = np.unique(dwellings.postcode[: dwellings.local], return_counts=True)
    assert sizes.mean() == pytest.approx(16, abs=1.5)
    outward, inward = zip(*(unit.split() for unit in units), strict=True)
    assert all(len(half) == 3 and half[0].isdigit() and half[1:].isalpha() for half in inward)
    assert not any(letter in "CIKMOV" for half in inward for letter in half[1:])
    assert all(half[0].isalpha() and half[-1].isdigit() and 2 <= len(half) <= 4 for half in outward)
    assert len({half[0] for half in outward}) >= 1
    assert np.unique(dwellings.uprn).size == dwellings.uprn.size
    assert max(map(len, dwellings.uprn)) <= 12


def test_adult_children_are_not_twins_of_children(people):
    """The twin mark is for children only."""
    assert not people.members.twin[people.members.role == ADULT_CHILD].any()
