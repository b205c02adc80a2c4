"""Who is known to whom: margins of each agency, and agencies that know the same people."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from synthetic.agencies import choose_agencies
from synthetic.contacts import meet
from synthetic.households import KIND

TODAY = (date(2026, 6, 30) - date(1970, 1, 1)).days
AGENCIES = choose_agencies(None)


@pytest.fixture(scope="module")
def contacts(people):
    """Contacts of the whole chunk at the five usual agencies."""
    return meet(
        np.random.default_rng(8),
        people,
        AGENCIES,
        today=TODAY,
        window_days=1096,
        duplicate_rate=np.full(len(AGENCIES), 0.05),
        opened_earlier=0.3,
    )


def known(people, contacts, name):
    """Return who is known to the agency called `name`."""
    code = [agency.name for agency in AGENCIES].index(name)
    mask = np.zeros(people.size, bool)
    mask[contacts.person[contacts.agency == code]] = True
    return mask


def test_coverage_is_what_the_agency_says(people, contacts):
    """Among ordinary residents the share known to the police in each age band is the coverage of the file."""
    police = known(people, contacts, "police")
    ordinary = people.resident & (people.members.kind < KIND["foster"]) & (people.adopted == 0)
    for (low, high), rate in zip(
        [(0, 5), (5, 11), (11, 18), (18, 25), (25, 45), (45, 65), (65, 80)],
        next(a for a in AGENCIES if a.name == "police").coverage,
        strict=False,
    ):
        band = ordinary & (people.members.age >= low) & (people.members.age < high)
        assert police[band].mean() == pytest.approx(rate, rel=0.2, abs=0.01)


def test_agencies_know_the_same_people(people, contacts):
    """Children known to social care are known to the police at least twice as often as other children."""
    children = people.resident & (people.members.age < 18)
    social, police = known(people, contacts, "childrens_social_care"), known(people, contacts, "police")
    assert police[children & social].mean() > 2 * police[children & ~social].mean()


def test_a_good_share_is_known_beyond_health(people, contacts):
    """A quarter to 45% of residents are known to an agency other than health; several agencies know many of them."""
    names = [agency.name for agency in AGENCIES]
    masks = np.array([known(people, contacts, name) for name in names])[:, people.resident]
    beyond = np.delete(masks, names.index("health"), axis=0).any(axis=0)
    assert 0.25 < beyond.mean() < 0.45
    assert (masks.sum(axis=0) >= 2).mean() > 0.18
    assert (masks.sum(axis=0) >= 3).mean() > 0.04


def test_looked_after_children_are_known_to_social_care(people, contacts):
    """Every looked-after child alive in the window is known to children's social care."""
    social = known(people, contacts, "childrens_social_care")
    rows = people.looked_after & (people.known_until >= np.maximum(people.known_from, TODAY - 1095))
    assert social[rows].mean() > 0.99


def test_households_are_met_together(people, contacts):
    """A partner of somebody whom the fire service met is met far more often than residents at large."""
    fire = known(people, contacts, "fire_and_rescue")
    members = people.members
    met = np.zeros(int(members.household.max()) + 1, bool)
    met[members.household[fire & (members.role == 0) & people.resident]] = True
    partners = (members.role == 1) & people.resident
    assert fire[partners & met[members.household]].mean() > 4 * fire[people.resident].mean()


def test_nobody_is_met_before_birth_or_after_death(people, contacts):
    """Contacts and opening days lie in the time in which the identity exists."""
    person = contacts.person[contacts.row_ref]
    assert (contacts.row_day >= people.known_from[person]).all()
    assert (contacts.row_day <= people.known_until[person]).all()
    assert (contacts.opened >= people.known_from[contacts.person]).all()
    first = np.full(contacts.person.size, TODAY)
    np.minimum.at(first, contacts.row_ref, contacts.row_day)
    assert (contacts.opened <= first).all()
    assert (contacts.row_day > TODAY - 1096).all()


def test_contacts_are_spread_unevenly(contacts):
    """A tenth of the references account for at least three tenths of the contacts."""
    counts = np.sort(np.bincount(contacts.row_ref))[::-1]
    assert counts.min() >= 1
    assert counts[: counts.size // 10].sum() / counts.sum() > 0.3
