"""From rows to subjects, versions and contacts."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import LIMITS, TODAY, Row, extract_of, person, subjects_of

from hashing.coding import Coded
from hashing.mapping import AgencyMapping
from hashing.subjects import NO_DAY, VERSIONS_KEPT, Subjects, collapse, guess_standards
from schemas.errors import ExtractError

MARY = {"forename": "Mary", "surname": "Jones", "dob": "1990-03-04", "postcode": "LS6 3AB"}


def groups(subjects: Subjects) -> set[frozenset[str]]:
    """References by subject."""
    found = defaultdict(set)
    for ref, subject in zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True):
        found[subject].add(ref)
    return {frozenset(refs) for refs in found.values()}


def texts(coded: Coded) -> list[str | None]:
    """A coded column as plain texts."""
    return [None if code < 0 else coded.values[int(code)].as_py() for code in coded.codes]


def versions_of(subjects: Subjects, field: str) -> dict[int, list[str | None]]:
    """Values of a field by subject, in order."""
    found: dict[int, list[str | None]] = defaultdict(list)
    for subject, text in zip(subjects.version_subject.tolist(), texts(subjects.fields[field]), strict=True):
        found[subject].append(text)
    return found


def test_same_reference_is_one_subject() -> None:
    """Rows of one reference are one subject, whatever else differs; spaces around it do not count."""
    rows = [{"ref": "7", **MARY}, {"ref": " 7 ", **MARY, "surname": "Smith", "dob": None}]
    subjects = subjects_of(rows)
    assert groups(subjects) == {frozenset({"7"})}
    assert subjects.count == 1


def test_same_complete_identifiers_are_one_subject() -> None:
    """Two references with the same identifiers, however they are written, are one subject."""
    rows = [
        {"ref": "7", **MARY},
        {"ref": "8", "forename": "MARY", "surname": "jones", "dob": "04/03/1990", "postcode": "ls63ab"},
        {"ref": "9", **MARY, "forename": "Marie"},
    ]
    assert groups(subjects_of(rows)) == {frozenset({"7", "8"}), frozenset({"9"})}


@pytest.mark.parametrize("lacking", ["forename", "surname", "dob", "postcode"])
def test_incomplete_identifiers_join_nobody(lacking: str) -> None:
    """Without both names, the date of birth and some place or number, equal rows stay two subjects."""
    row = {**MARY, lacking: None}
    assert len(groups(subjects_of([{"ref": "7", **row}, {"ref": "8", **row}]))) == 2


@pytest.mark.parametrize(
    "place", [{"uprn": "100071"}, {"nhs_number": "612 345 1782"}, {"address": "12 High Street"}]
)
def test_any_place_or_number_completes(place: Row) -> None:
    """A UPRN, an NHS number or an address does as well as a postcode."""
    row = {**MARY, "postcode": None, **place}
    assert len(groups(subjects_of([{"ref": "7", **row}, {"ref": "8", **row}]))) == 1


def test_joined_through_a_chain() -> None:
    """One reference with two sets of identifiers joins two other references."""
    smith = {**MARY, "surname": "Smith"}
    rows = [{"ref": "7", **MARY}, {"ref": "8", **MARY}, {"ref": "8", **smith}, {"ref": "9", **smith}]
    assert groups(subjects_of(rows)) == {frozenset({"7", "8", "9"})}


choices = st.lists(
    st.tuples(st.integers(0, 6), st.tuples(*(st.integers(0, min(limit, 2)) for limit in LIMITS))),
    min_size=1,
    max_size=14,
)


@settings(max_examples=30, deadline=None)
@given(choices)
def test_subjects_are_the_components_of_a_graph(drawn: list[tuple[int, tuple[int, ...]]]) -> None:
    """Subjects are what joining rows one by one gives; every row is a contact, every subject has a version."""
    rows = [person(f"r{ref}", choice) for ref, choice in [(0, (0,) * len(LIMITS)), *drawn]]
    subjects = subjects_of(rows)
    group = {row["ref"]: row["ref"] for row in rows}
    for a in rows:
        for b in rows:
            known = {name: text for name, text in a.items() if text is not None}
            whole = {"forename", "surname", "dob"} <= known.keys()
            placed = known.keys() & {"postcode", "uprn", "nhs_number", "address"}
            same = all(a[name] == b[name] for name in a if name != "ref")
            if whole and placed and same:
                old, new = group[b["ref"]], group[a["ref"]]
                group = {ref: new if of == old else of for ref, of in group.items()}
    expected = defaultdict(set)
    for ref, of in group.items():
        expected[of].add(ref)
    assert groups(subjects) == {frozenset(refs) for refs in expected.values()}
    assert subjects.count == len(expected)
    assert set(subjects.version_subject.tolist()) == set(range(subjects.count))
    of_ref = dict(zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True))
    assert subjects.contacts.subject.tolist() == [of_ref[row["ref"]] for row in rows]


def test_gaps_are_filled_with_the_latest_value() -> None:
    """A row that lacks a value takes the subject's latest one; a value that is there stays."""
    rows = [
        {"ref": "7", **MARY, "postcode": "LS6 3AB", "record_date": "2025-01-01"},
        {"ref": "7", **MARY, "postcode": "BD1 1AA", "record_date": "2026-01-01"},
        {"ref": "7", **MARY, "forename": None, "postcode": None, "record_date": "2025-06-01"},
    ]
    subjects = subjects_of(rows)
    assert texts(subjects.fields["forename"]) == ["MARY", "MARY"]
    assert sorted(map(str, texts(subjects.fields["postcode"]))) == ["BD11AA", "LS63AB"]


def test_no_gap_is_filled_from_another_subject() -> None:
    """A value that a subject has nowhere stays missing."""
    rows = [{"ref": "7", **MARY}, {"ref": "8", **MARY, "postcode": None}]
    subjects = subjects_of(rows)
    by_subject = versions_of(subjects, "postcode")
    of_ref = dict(zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True))
    assert by_subject[of_ref["8"]] == [None]


def test_every_different_set_of_identifiers_is_a_version() -> None:
    """Equal rows are one version, newest first; another surname makes another version."""
    rows = [
        {"ref": "7", **MARY, "record_date": "2025-01-01"},
        {"ref": "7", **MARY, "surname": "Smith", "record_date": "2026-01-01"},
        {"ref": "7", **MARY, "record_date": "2025-02-01"},
    ]
    subjects = subjects_of(rows)
    assert texts(subjects.fields["surname"]) == ["SMITH", "JONES"]
    assert subjects.quality.versions == 2
    assert len(subjects.contacts.day) == 3


def test_oldest_versions_beyond_the_cap_are_left_out() -> None:
    """A subject keeps its latest versions, the rest are counted; other subjects are not touched."""
    names = [f"Surname{'abcdefghijkl'[n]}" for n in range(VERSIONS_KEPT + 3)]
    rows = [
        {"ref": "7", **MARY, "surname": name, "record_date": f"2025-{n + 1:02d}-01"}
        for n, name in enumerate(names)
    ]
    subjects = subjects_of([*rows, {"ref": "8", **MARY}])
    by_subject = versions_of(subjects, "surname")
    of_ref = dict(zip(subjects.refs.to_pylist(), subjects.ref_subject.tolist(), strict=True))
    assert by_subject[of_ref["7"]] == [name.upper() for name in reversed(names)][:VERSIONS_KEPT]
    assert by_subject[of_ref["8"]] == ["JONES"]
    assert subjects.quality.versions_left_out == 3


def test_contacts() -> None:
    """Every usable row is a contact with its day, whether it is open, and whom to ring."""
    rows = [
        {"ref": "7", **MARY, "record_date": "2026-06-30", "case_status": "Open", "lead_contact": " Team A "},
        {"ref": "7", **MARY, "record_date": "2026-07-01", "case_status": "closed", "lead_contact": "Team B"},
        {"ref": "7", **MARY, "record_date": None, "case_status": "pending", "lead_contact": None},
    ]
    subjects = subjects_of(rows)
    contacts = subjects.contacts
    assert contacts.subject.tolist() == [0, 0, 0]
    # The second is dated tomorrow. Whether that is a date is the normaliser's matter; a missing one has no day.
    assert contacts.day.tolist()[0] == (date(2026, 6, 30) - date(1970, 1, 1)).days
    assert contacts.day.tolist()[2] == NO_DAY
    assert contacts.is_open.tolist() == [1, 0, -1]
    assert texts(contacts.lead) == ["Team A", "Team B", None]
    assert subjects.quality.undated_contacts == contacts.day.tolist().count(int(NO_DAY))


@pytest.mark.parametrize(
    ("word", "flag"),
    [
        ("OPEN", 1), ("active", 1), (" Current ", 1), ("Y", 1), ("1", 1),
        ("Closed", 0), ("ended", 0), ("N", 0), ("0", 0), ("NFA", 0),
        ("maybe", -1), ("", -1), (None, -1),
    ],
)  # fmt: skip
def test_words_for_open_and_closed(word: str | None, flag: int) -> None:
    """Common words and codes are understood, anything else is not known."""
    subjects = subjects_of([{"ref": "7", **MARY, "case_status": word}])
    assert subjects.contacts.is_open.tolist() == [flag]


def test_own_codes_for_open_and_closed() -> None:
    """The agency's own codes come first, and its other words are read as usual."""
    mapping = AgencyMapping(codes={"case_status": {"9": "open", "O": "closed"}})
    rows = [{"ref": str(n), **MARY, "case_status": word} for n, word in enumerate(["9", "O", "open", "8"])]
    assert subjects_of(rows, mapping=mapping).contacts.is_open.tolist() == [1, 0, 1, -1]


def test_without_status_nothing_is_known() -> None:
    """An extract without the column has neither open nor closed contacts."""
    assert subjects_of([{"ref": "7", **MARY}]).contacts.is_open.tolist() == [-1]


def test_unusable_rows_are_counted() -> None:
    """Rows without a reference are left out, rows without identifiers stay contacts; both are counted."""
    rows = [
        {"ref": "7", **MARY},
        {"ref": None, **MARY},
        {"ref": "  ", **MARY},
        {"ref": "8", "forename": None, "surname": "unknown", "dob": "01/01/1900", "postcode": "ZZ99 3VZ"},
    ]
    subjects = subjects_of(rows)
    assert subjects.quality.unusable == {"no reference": 2, "no usable identifier": 1}
    assert groups(subjects) == {frozenset({"7"}), frozenset({"8"})}
    assert subjects.quality.rows == 4


def test_sex_alone_is_no_identifier() -> None:
    """A row of which only the sex is known cannot be used."""
    subjects = subjects_of([{"ref": "7", **MARY, "sex": "F"}, {"ref": "8", "sex": "F"}])
    assert subjects.quality.unusable["no usable identifier"] == 1


@pytest.mark.parametrize(
    "rows",
    [
        [{"ref": None, **MARY}],
        [{"ref": "7", "surname": "unknown"}],
        [{"ref": "7", "sex": "F"}],
        [{"ref": "7"}],
    ],
)
def test_nothing_usable_is_refused(rows: list[Row]) -> None:
    """An extract of which no row can be used is refused with its file name and no value."""
    with pytest.raises(ExtractError, match="no row has both") as caught:
        subjects_of(rows)
    assert "extract.csv" in str(caught.value)


def test_quality_counts_rows_by_outcome() -> None:
    """Every row is counted once in every field of the extract."""
    rows = [
        {"ref": "7", **MARY},
        {"ref": "8", **MARY, "dob": None},
        {"ref": "9", **MARY, "dob": "01/01/1900"},
        {"ref": "10", **MARY, "dob": "2026-07-01"},
    ]
    quality = subjects_of(rows).quality.fields["dob"]
    assert (quality.ok, quality.missing, quality.placeholder, quality.invalid) == (1, 1, 1, 1)


def test_only_agreed_fields_are_read() -> None:
    """An identifier that the agreement does not let match is not even normalised."""
    extract = extract_of([{"ref": "7", **MARY, "nhs_number": "612 345 1782"}])
    allowed = frozenset({"forename", "surname", "dob"})
    subjects = collapse(extract, today=TODAY, match_fields=allowed)
    assert subjects.fields.keys() == allowed
    assert subjects.quality.fields.keys() == allowed


def test_formats_of_the_mapping() -> None:
    """Dates follow the agency's own formats."""
    mapping = AgencyMapping(dates={"dob": ("%m/%d/%Y",), "record_date": ("%d.%m.%Y",)})
    rows = [{"ref": "7", **MARY, "dob": "03/04/1990", "record_date": "05.06.2026"}]
    subjects = subjects_of(rows, mapping=mapping)
    assert texts(subjects.fields["dob"]) == ["1990-03-04"]
    assert subjects.contacts.day.tolist() == [(date(2026, 6, 5) - date(1970, 1, 1)).days]


def test_standards_are_guessed_from_all_extracts_together() -> None:
    """UK-shaped values keep the UK rules; a column of other numbers is generic; missing columns say nothing."""
    uk = extract_of([{"ref": str(n), "postcode": "LS6 3AB", "nhs_number": "612 345 1782"} for n in range(3)])
    other = extract_of([{"ref": str(n), "postcode": "48103", "nhs_number": "ID-7781"} for n in range(9)])
    assert guess_standards({"a": uk}) == {}
    assert guess_standards({"a": other}) == {"postcode": "generic", "nhs_number": "generic"}
    assert guess_standards({"a": uk, "b": other}) == {"postcode": "generic", "nhs_number": "generic"}
    assert guess_standards({"a": extract_of([{"ref": "1", "surname": "Smith"}])}) == {}


def test_standard_decides_what_is_valid() -> None:
    """The agreement's standard is used, and the mapping's before it."""
    rows = [{"ref": "7", **MARY, "postcode": "48103"}]
    extract = extract_of(rows)
    assert texts(collapse(extract, today=TODAY).fields["postcode"]) == [None]
    generic = collapse(extract, today=TODAY, standards={"postcode": "generic"})
    assert texts(generic.fields["postcode"]) == ["48103"]
    mapping = AgencyMapping(standards={"postcode": "generic"})
    own = collapse(extract, today=TODAY, standards={"postcode": "uk"}, mapping=mapping)
    assert texts(own.fields["postcode"]) == ["48103"]


def test_numbers_are_dense() -> None:
    """Subjects are numbered from 0 without gaps, versions point into them."""
    subjects = subjects_of([person(f"r{n}", [n % limit for limit in LIMITS]) for n in range(12)])
    assert np.array_equal(np.unique(subjects.version_subject), np.arange(subjects.count))
    assert np.array_equal(np.unique(subjects.ref_subject), np.arange(subjects.count))
