"""The files: complete truth, listed errors that are real, unlisted ones that do not exist, rates of the profile."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date

import pytest

from synthetic.agencies import all_agencies
from synthetic.profile import load_profile

FIELDS = ("forename", "surname", "dob", "sex", "postcode", "uprn", "nhs_number")
CODES = ("postcode", "nhs_number")
NARROWEST = 25  # characters of a name field


def folded(field, value):
    """Return a value without the case, spacing and width that agencies impose."""
    if field in CODES:
        return value.upper().replace(" ", "")
    return value.upper()[:NARROWEST]


def differing(area):
    """Return, for each agency and field, the references with a row that differs from the truth."""
    found = defaultdict(set)
    for agency, rows in area.extracts.items():
        for row in rows:
            true = area.people[area.truth[agency, row["ref"]]]
            for field in FIELDS:
                if field in row and folded(field, row[field]) != folded(field, true[field]):
                    found[agency, field].add(row["ref"])
    return found


def test_every_reference_is_in_the_truth(area):
    """The truth holds every reference of every extract exactly once, and no other."""
    for agency, rows in area.extracts.items():
        known = {ref for name, ref in area.truth if name == agency}
        assert {row["ref"] for row in rows} == known
    assert set(area.truth.values()) <= set(area.people)


def test_unlisted_values_are_true(area):
    """A value that no entry of truth-errors excuses is the person's true present value."""
    listed = {(row["agency"], row["ref"], row["field"]) for row in area.errors}
    for (agency, field), refs in differing(area).items():
        unexplained = {ref for ref in refs if (agency, ref, field) not in listed}
        if field == "sex":  # One code may stand for both "not known" and "other" in an agency's list.
            unexplained = {r for r in unexplained if area.people[area.truth[agency, r]]["sex"] != "X"}
        assert not unexplained, (agency, field)


def test_listed_errors_are_real(area):
    """Every entry of truth-errors belongs to a reference with a row that differs in that field."""
    found = differing(area)
    for row in area.errors:
        if row["field"] in FIELDS:
            assert row["ref"] in found[row["agency"], row["field"]], row["error"]


def test_police_and_fire_hold_no_nhs_number(area):
    """Agencies have the columns that they have in life."""
    for agency in ("police", "fire_and_rescue", "education", "housing", "voluntary_sector"):
        assert "nhs_number" not in area.mapping[agency]["columns"]
    for agency in ("health", "childrens_social_care", "adults_social_care"):
        assert "nhs_number" in area.mapping[agency]["columns"]


def test_every_agency_has_its_own_headers(area):
    """No two agencies name all columns alike, and each names its reference its own way."""
    assert len({row["columns"]["ref"] for row in area.mapping.values()}) == len(area.mapping)


def test_missing_rates_follow_the_profile(area):
    """Shares of missing values are those of the profile times the agency's factor, within sampling error."""
    profile = load_profile("typical")
    missing = Counter((row["agency"], row["field"]) for row in area.errors if row["error"] == "missing")
    refs = Counter(agency for agency, _ in area.truth)
    for name, agency in all_agencies().items():
        for field in agency.identifiers:
            rate = min(0.95, profile.missing[field] * agency.missing.get(field, 1.0))
            allowed = 5 * (rate * (1 - rate) / refs[name]) ** 0.5 + 2 / refs[name]
            assert missing[name, field] / refs[name] == pytest.approx(rate, abs=allowed), (name, field)


def test_errors_fall_unevenly(area):
    """Transliterated names are misspelt more often than British ones, as linkage studies find."""
    wrong = {
        (r["agency"], r["ref"]) for r in area.errors if r["field"] == "forename" and r["error"] == "spelling"
    }
    rate = {}
    for group, origins in (("british", {"british"}), ("muslim", {"muslim", "arabic"})):
        refs = [key for key, person in area.truth.items() if area.people[person]["name_origin"] in origins]
        rate[group] = sum(key in wrong for key in refs) / len(refs)
    assert rate["muslim"] > 2 * rate["british"]


def test_contacts_lie_in_the_window(area):
    """Record dates lie in the 36 months to the reference date, after birth."""
    for agency, rows in area.extracts.items():
        days = [date.fromisoformat(row["record_date"]) for row in rows]
        assert max(days) <= date(2026, 6, 30)
        assert min(days) >= date(2023, 6, 30)
        for row in rows:
            assert row["record_date"] >= area.people[area.truth[agency, row["ref"]]]["dob"]


def test_codes_are_in_the_lists(area):
    """Case status is open or closed after decoding, and contact types and lead contacts are never missing."""
    for rows in area.extracts.values():
        assert {row["case_status"] for row in rows} == {"open", "closed"}
        assert all(row["contact_type"] and row["lead_contact"] for row in rows)


def test_some_people_have_two_references_at_one_agency(area):
    """Duplicates occur at about the rate of the profile."""
    times = Counter((agency, person) for (agency, _), person in area.truth.items())
    police = [count for (agency, _), count in times.items() if agency == "police"]
    assert sum(count > 1 for count in police) / len(police) == pytest.approx(0.08, abs=0.03)


def test_rows_of_a_reference_may_disagree(area):
    """Some references show two postcodes or surnames: an update, or a slip."""
    values = defaultdict(set)
    for row in area.extracts["police"]:
        values[row["ref"]].add((row["surname"], row["postcode"]))
    several = sum(len(seen) > 1 for seen in values.values())
    assert 0.005 < several / len(values) < 0.12


def test_adopted_children_stay_two_people(area):
    """No reference of the identity before adoption belongs to the person after, and dates do not overlap."""
    kinds = {person: row["adopted"] for person, row in area.people.items()}
    assert {"before", "after"} <= set(kinds.values())
    after = [row for row in area.people.values() if row["adopted"] == "after"]
    before = [row for row in area.people.values() if row["adopted"] == "before"]
    assert sorted(row["dob"] for row in before) == sorted(row["dob"] for row in after)
    assert not {row["nhs_number"] for row in before} & {row["nhs_number"] for row in after}


def test_protected_addresses_are_withheld_somewhere(area):
    """A withheld address leaves no postcode and no UPRN on the reference."""
    withheld = {(r["agency"], r["ref"]) for r in area.errors if r["error"] == "protected"}
    for agency, rows in area.extracts.items():
        for row in rows:
            if (agency, row["ref"]) in withheld and row["address"] == "Address withheld":
                assert not row["postcode"]
                assert not row.get("uprn")


def test_richer_truth_has_the_group_labels(area):
    """Every label for evaluation by group is there, with both answers where it is yes or no."""
    labels = (
        "mover",
        "name_changer",
        "twin",
        "no_fixed_abode",
        "looked_after",
        "care_leaver",
        "nickname_in_use",
    )
    for label in labels:
        assert {row[label] for row in area.people.values()} == {"yes", "no"}, label
    assert len({row["name_origin"] for row in area.people.values()}) == 11
    assert len({row["age_band"] for row in area.people.values()}) == 8


def test_truth_folder_does_not_look_like_an_agency(area):
    """Scanning the folder for extracts finds the agencies and truth.csv only."""
    names = {path.stem for path in area.folder.glob("*.csv")}
    assert names == {*area.mapping, "truth"}


def test_no_reference_is_shaped_like_a_national_number(area):
    """Local references are neither NHS numbers nor UPRNs."""
    assert not any(ref.isdigit() for _, ref in area.truth)
