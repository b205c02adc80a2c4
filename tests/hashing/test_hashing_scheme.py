"""The description of the scheme is true of the values that are really derived."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import subjects_of

from hashing.coding import encode
from hashing.derive import derive, rarity, with_rarity
from schemas.payload import pass_part, pass_schema, token_type
from schemas.scheme import COMPARISONS, DERIVED, FAMILY_LEVELS, FIELDS, TOKENS, closure, column, parse_pass

names = st.one_of(
    st.text(alphabet="ABCDEHIJKLMNOSTUXY", min_size=2, max_size=6).map(str.title),
    st.sampled_from(
        ["Li", "O'Brien", "de Souza", "Mary Ann", "Siobhan", "Muhammad Ali", "J Robert", "Smith-Jones"]
    ),
)
postcodes = st.sampled_from(["LS6 3AB", "LS6 3AD", "LS6 4AB", "LS6", "LS6 3", "BD1 1AA"])
addresses = st.sampled_from(
    [
        "12 High Street",
        "12 High Road",
        "Flat 2, 12 High Street",
        "Rose Cottage, Mill Lane",
        "Rose Cottage",
        "14 Low Lane",
    ]
)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "forename": names,
            "surname": names,
            "dob": st.dates(date(1930, 1, 1), date(2020, 1, 1)).map(date.isoformat),
            "postcode": postcodes,
            "address": addresses,
        }
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_equal_values_imply_what_the_scheme_says(drawn: list[dict[str, str]]) -> None:
    """If two records agree on a value they agree on everything that it implies (a missing value agrees with one)."""
    derived = with_rarity(derive(subjects_of([{"ref": str(n), **row} for n, row in enumerate(drawn)])))
    for name, coded in derived.items():
        for implied in DERIVED[name].implies:
            if implied.endswith((".rare", ".mid")):
                continue  # classes: an agency's own counts decide, see the test of rarity
            pairs = {
                (int(a), int(b)) for a, b in zip(coded.codes, derived[implied].codes, strict=True) if a >= 0
            }
            assert len(pairs) == len({a for a, _ in pairs}), (name, implied)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_presence_is_the_least_that_is_there(drawn: list[dict[str, str]]) -> None:
    """Wherever a finer value is there, so is every coarser one that tells whether a comparison is null."""
    derived = derive(subjects_of([{"ref": str(n), **row} for n, row in enumerate(drawn)]))
    always = (("exact", "canonical"), ("exact", "phonetic"), ("exact", "initial"))
    for finer, coarser in (
        ("postcode.exact", "postcode.district"),
        ("postcode.sector", "postcode.district"),
        ("address.number_street", "address.street"),
        *(
            (f"{field}.{kind}", f"{field}.exact")
            for field in ("forename", "surname")
            for kind in ("first3", "last3")
        ),
        *((f"forename.{x}", f"forename.{y}") for x, y in always),
        *((f"surname.{x}", f"surname.{y}") for x, y in always),
        *(("dob.exact", f"dob.{kind}") for kind in ("swap", "month_year", "day_year", "day_month", "year")),
    ):
        assert not ((derived[finer].codes >= 0) & (derived[coarser].codes < 0)).any(), (finer, coarser)


def test_swapped_days_and_names_agree() -> None:
    """The values made for entries the wrong way round are equal for both ways."""
    row = {"surname": "Jones", "forename": "Mary", "dob": "1990-03-04", "postcode": "LS6 3AB"}
    other = {"surname": "Mary", "forename": "Jones", "dob": "1990-04-03", "postcode": "LS6 3AB"}
    derived = derive(subjects_of([{"ref": "1", **row}, {"ref": "2", **other}]))
    for name in ("name_set", "dob.swap"):
        assert derived[name].codes[0] == derived[name].codes[1] >= 0
    assert derived["dob.exact"].codes[0] != derived["dob.exact"].codes[1]


def test_rarity_goes_by_the_share_of_versions() -> None:
    """At most one in 4,000 is rare, at most one in 500 uncommon; a name borne once is both."""
    borne = {
        "A": 7000,
        "B": 1,
        "C": 2,
        "D": 14,
        "E": 15,
    }  # of 7,032; 1 in 4,000 is 1.76 and 1 in 500 is 14.06
    exact = encode(
        pa.array([name for name, times in borne.items() for _ in range(times)] + [None], pa.string())
    )
    found = rarity(exact)
    names = exact.values.to_pylist()
    assert {name for name, rare in zip(names, found["rare"], strict=True) if rare} == {"B"}
    assert {name for name, mid in zip(names, found["mid"], strict=True) if mid} == {"B", "C", "D"}


def test_closure_is_transitive() -> None:
    """What an implied value implies is implied too, so that one step is enough."""
    for name in DERIVED:
        assert closure(closure([name])) == closure([name])


def test_values_imply_only_values_of_their_own_fields() -> None:
    """Agreement on one field never claims agreement on another."""
    for value in DERIVED.values():
        for implied in value.implies:
            assert set(DERIVED[implied].fields) <= set(value.fields)


def test_names_and_widths() -> None:
    """Names are unique column names, fields are known, and a token has 16 or 32 bits exactly where it is compared."""
    assert len({column(name) for name in DERIVED}) == len(DERIVED)
    assert {field for value in DERIVED.values() for field in value.fields} == set(FIELDS)
    for name, value in DERIVED.items():
        assert value.name == name
        assert (name in TOKENS) <= (value.bits in {16, 32})


def test_comparisons_are_ladders() -> None:
    """Level names are unique in a comparison, every term is a known value, priors leave room for "else"."""
    for comparison in COMPARISONS:
        assert len({level.name for level in comparison.levels}) == len(comparison.levels)
        terms = [term for level in comparison.levels for term in (*level.terms, *level.crossed)]
        assert {name for term in terms for name in term} <= set(DERIVED)
        assert all(level.terms or level.crossed for level in comparison.levels)
        assert 0 < comparison.else_prior < 0.2
        assert set(dict(comparison.fixed_u)) <= {level.name for level in comparison.levels}
    for level in FAMILY_LEVELS:
        assert {name for term in level.terms for name in term} <= set(DERIVED)


parts = st.lists(
    st.sampled_from([name for name in DERIVED if not name.endswith((".rare", ".mid"))]),
    min_size=1,
    max_size=5,
    unique=True,
)


@given(parts)
def test_pass_names_round_trip(drawn: list[str]) -> None:
    """A pass parses from its own name, and from the full names of its parts."""
    blocking = parse_pass("+".join(drawn))
    assert blocking.parts == tuple(drawn)
    assert parse_pass(blocking.name) == blocking
    assert blocking.fields == {field for name in drawn for field in DERIVED[name].fields}


@given(parts)
def test_fixed_values_have_no_token(drawn: list[str]) -> None:
    """A pass carries a token of every compared value but those it fixes, in one order, under an exact schema.

    A second forename is of no use where the first one has to agree.
    """
    blocking = parse_pass("+".join(drawn))
    settled = {"forename.second"} if any("forename" in DERIVED[part].fields for part in drawn) else set()
    assert set(blocking.tokens) == set(TOKENS) - closure(drawn) - settled
    assert list(blocking.tokens) == [name for name in TOKENS if name in set(blocking.tokens)]
    schema = pass_schema(blocking)
    assert schema.names == ["version", "block", *map(column, blocking.tokens)]
    assert [field.nullable for field in schema] == [False, False, *[True] * len(blocking.tokens)]
    for name in blocking.tokens:
        assert schema.field(column(name)).type == token_type(name)
        assert token_type(name) == {16: pa.uint16(), 32: pa.uint32()}[DERIVED[name].bits]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "''"),
        ("dob+", "''"),
        ("dob+birthplace", "'birthplace'"),
        ("dob+dob.exact", "twice"),
        ("dob+surname.soundex", "'surname.soundex'"),
        ("dob + surname", "'dob '"),
        ("dob+surname.rare", "'surname.rare' is only compared"),
        ("forename.mid+dob", "only compared"),
        ("DOB+surname", "'DOB'"),
    ],
)
def test_bad_passes_are_refused(text: str, words: str) -> None:
    """An unknown, repeated, empty or class-only part is refused by its name."""
    with pytest.raises(ValueError, match=words):
        parse_pass(text)


def test_part_names_sort_like_their_numbers() -> None:
    """Up to 62 passes have part names in order."""
    made = [pass_part(index) for index in range(62)]
    assert made == sorted(made)
    assert len(set(made)) == 62
