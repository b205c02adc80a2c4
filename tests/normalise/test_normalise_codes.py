"""NHS numbers, UPRNs, postcodes, addresses, sex codes, and the fingerprint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashing import normalise as norm
from hashing.normalise import Outcome, _words, fingerprint
from schemas.errors import MappingError


def one(result: norm.Normalised) -> tuple[str | None, Outcome]:
    """The only value of a result."""
    return result.values[0].as_py(), Outcome(int(result.outcomes[0]))


def nhs(text: str) -> tuple[str | None, Outcome]:
    """One NHS number."""
    return one(norm.normalise_nhs_number(pa.array([text]), standard="nhs"))


def uk(text: str) -> tuple[str | None, Outcome]:
    """One UK postcode."""
    return one(norm.normalise_postcode(pa.array([text]), standard="uk"))


def check_digit(nine: str) -> int | None:
    """Modulus 11 written out as the NHS Data Dictionary tells it, step by step."""
    total = 0
    for position in range(9):
        total += int(nine[position]) * (10 - position)
    check = 11 - total % 11
    if check == 11:
        return 0
    return None if check == 10 else check


@settings(max_examples=300, deadline=None)
@given(
    number=st.integers(4_000_000_000, 7_999_999_999).map(str),
    spaces=st.sampled_from(["{}{}{}", "{} {} {}", "{}-{}-{}"]),
)
def test_nhs_numbers_are_valid_as_the_independent_rule_says(number: str, spaces: str) -> None:
    """Ten digits are accepted exactly when the check digit fits."""
    value, outcome = nhs(spaces.format(number[:3], number[3:6], number[6:]))
    if len(set(number)) == 1:
        assert outcome == Outcome.PLACEHOLDER
    elif check_digit(number[:9]) == int(number[9]):
        assert value == number or outcome == Outcome.PLACEHOLDER
    else:
        assert outcome == Outcome.INVALID


@settings(max_examples=100, deadline=None)
@given(
    nine=st.integers(400_000_000, 799_999_999).map(str), position=st.integers(0, 8), step=st.integers(1, 9)
)
def test_one_wrong_digit_is_always_found(nine: str, position: int, step: int) -> None:
    """Modulus 11 finds every single wrong digit."""
    check = check_digit(nine)
    if check is not None:
        wrong = str((int(nine[position]) + step) % 10)
        assert nhs(nine[:position] + wrong + nine[position + 1 :] + str(check))[1] != Outcome.OK


@pytest.mark.parametrize(
    "text", ["0000000000", "999 123 4560", "9999999999", "1234567890", "n/a", "unknown", "943 476 5919"]
)
def test_dummy_nhs_numbers(text: str) -> None:
    """Repeated digits, the test range and printed examples are placeholders."""
    assert nhs(text) == (None, Outcome.PLACEHOLDER)


@pytest.mark.parametrize("text", ["9434765871", "943476587", "94347658700", "943476587A", "9.43E+09", "abc"])
def test_invalid_nhs_numbers(text: str) -> None:
    """A wrong check digit, a wrong length, letters."""
    assert nhs(text) == (None, Outcome.INVALID)


def test_identifiers_of_other_schemes() -> None:
    """Letters and digits of at least four characters, not all the same."""
    generic = norm.normalise_nhs_number(
        pa.array(["ab-1234", "rec 0042.0", "abc", "0000", "n/a", None]), standard="generic"
    )
    assert generic.values.to_pylist() == ["AB1234", "REC00420", None, None, None, None]
    assert generic.outcomes.tolist() == [
        0,
        0,
        Outcome.INVALID,
        Outcome.PLACEHOLDER,
        Outcome.PLACEHOLDER,
        Outcome.MISSING,
    ]


def test_uprns() -> None:
    """Up to twelve digits; leading zeros and decimals of spreadsheets go; fillers are placeholders."""
    raw = [
        "100098765432",
        "000012345678901",
        "123.0",
        "0",
        "000",
        "7777777",
        "1234567890123",
        "1.0E+11",
        "12a",
        "tbc",
    ]
    result = norm.normalise_uprn(pa.array(raw))
    assert result.values.to_pylist() == ["100098765432", None, "123", *[None] * 7]
    assert norm.normalise_uprn(pa.array(["00012345679"])).values.to_pylist() == ["12345679"]
    codes = [Outcome(int(code)).name for code in result.outcomes]
    assert codes[1:2] + codes[3:] == [*["PLACEHOLDER"] * 4, *["INVALID"] * 3, "PLACEHOLDER"]


AREAS = [row["area"] for row in _words.read_csv("postcode_areas.csv")]
OUTWARD = st.tuples(st.sampled_from(AREAS), st.integers(1, 99)).map(lambda parts: f"{parts[0]}{parts[1]}")
INWARD = st.from_regex(r"\A[0-9][ABD-HJLNP-UW-Z]{2}\Z")
NOT_HOMES = {row["postcode"] for row in _words.read_csv("not_homes.csv")}


@settings(max_examples=200, deadline=None)
@given(outward=OUTWARD, inward=INWARD, joint=st.sampled_from(["", " ", "  ", "-"]), lower=st.booleans())
def test_uk_postcodes_come_out_compact(outward: str, inward: str, joint: str, lower: bool) -> None:
    """Case and spacing do not matter; sector, district and area are cut from the compact form."""
    written = f"{outward}{joint}{inward}"
    value, outcome = uk(written.lower() if lower else written)
    if outward + inward in NOT_HOMES:
        assert outcome == Outcome.PLACEHOLDER
        return
    assert (value, outcome) == (outward + inward, Outcome.OK)
    parts = {
        name: part[0].as_py() for name, part in norm.derive_postcode(pa.array([value]), standard="uk").items()
    }
    area = outward.rstrip("0123456789")
    assert parts == {"exact": value, "sector": outward + inward[0], "district": outward, "area": area}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("L56 3AB", "L563AB"),
        ("LS6 3A8", "LS63AB"),
        ("0X1 1AB", "OX11AB"),
        ("LS6 SAB", "LS65AB"),
        ("LS1O 1AB", "LS1O1AB"),
    ],
)
def test_look_alikes_are_mended_only_where_the_form_leaves_no_choice(written: str, meant: str) -> None:
    """A digit in a letter's place is a letter; where both can stand nothing is changed."""
    assert uk(written)[0] == meant


@pytest.mark.parametrize("text", ["QQ1 1AA", "LS6 3A", "LS", "123456", "LS66 63AB", "hello", "5O1 888"])
def test_malformed_postcodes(text: str) -> None:
    """Unknown areas and other forms are invalid."""
    assert uk(text) == (None, Outcome.INVALID)


@pytest.mark.parametrize(
    "text", ["ZZ99 3VZ", "zz993cz", "GIR 0AA", "AA1 1AA", "SW1A 1AA", "NFA", "unknown", "-"]
)
def test_postcodes_that_are_no_home(text: str) -> None:
    """Pseudo-postcodes, examples and institutions are placeholders."""
    assert uk(text) == (None, Outcome.PLACEHOLDER)


def test_local_institutions_can_be_added() -> None:
    """An agency's own list works like the shipped one."""
    result = norm.normalise_postcode(pa.array(["LS6 3AB", "LS6 3AD"]), standard="uk", not_homes=["ls6 3ab"])
    assert result.outcomes.tolist() == [Outcome.PLACEHOLDER, Outcome.OK]


def test_partial_postcodes_keep_what_they_tell() -> None:
    """A district or a sector alone is usable and derives no more than it says."""
    values = norm.normalise_postcode(pa.array(["ls6", "ls6 3", "SW1A", "M13", "M1 3"]), standard="uk").values
    assert values.to_pylist() == ["LS6", "LS6 3", "SW1A", "M13", "M1 3"]
    parts = {name: part.to_pylist() for name, part in norm.derive_postcode(values, standard="uk").items()}
    assert parts["exact"] == [None] * 5
    assert parts["sector"] == [None, "LS63", None, None, "M13"]
    assert parts["district"] == ["LS6", "LS6", "SW1A", "M13", "M1"]


def test_postcodes_of_other_countries() -> None:
    """Letters and digits, cut from the right; a cut that leaves nothing is null."""
    values = norm.normalise_postcode(pa.array(["902-10", "AB", "00000", "7"]), standard="generic").values
    assert values.to_pylist() == ["90210", "AB", None, None]
    parts = {
        name: part.to_pylist()[:2] for name, part in norm.derive_postcode(values, standard="generic").items()
    }
    assert parts == {
        "exact": ["90210", "AB"],
        "sector": ["9021", "A"],
        "district": ["902", None],
        "area": ["9", "A"],
    }


ADDRESSES = {
    "Flat 2, 12a High Street, Leeds LS6 3AB": ("FLAT 2 12A HIGH ST LEEDS", "2-12A", "12A", "HIGH"),
    "12 St. John's Rd": ("12 ST JOHNS RD", "12", "12", "STJOHNS"),
    "12 B Saint Johns road, England": ("12B ST JOHNS RD", "12B", "12B", "STJOHNS"),
    "Rose Cottage, Main St": ("ROSE COTT MAIN ST", "ROSE", None, "MAIN"),
    "Ground Floor Flat, 7 Mill Lane": ("GROUND FLOOR FLAT 7 MILL LN", "GROUNDFLOOR-7", "7", "MILL"),
    "Apt 4, 12-14 Mill Ln.": ("FLAT 4 12 14 MILL LN", "4-12", "12", "MILL"),
    "7 Broadway, Leeds": ("7 BROADWAY LEEDS", "7", "7", "BROADWAY"),
    "The Old Mill": ("THE OLD MILL", "OLD", None, "THE"),
}


@pytest.mark.parametrize("written", ADDRESSES)
def test_addresses(written: str) -> None:
    """One spelling, and the house and street in it."""
    value, house, number, street = ADDRESSES[written]
    normalised = norm.normalise_address(pa.array([written])).values
    parts = {name: part[0].as_py() for name, part in norm.derive_address(normalised).items()}
    both = f"{number} {street}" if number and street else None
    assert parts == {
        "exact": value,
        "house": house,
        "number": number,
        "street": street,
        "number_street": both,
    }


@pytest.mark.parametrize(
    "text", ["NFA", "No fixed abode", "c/o A Friend, 3 High St", "unknown", "Care of somebody", "-"]
)
def test_addresses_that_are_no_home(text: str) -> None:
    """No fixed abode, care of and unknown are placeholders."""
    assert one(norm.normalise_address(pa.array([text]))) == (None, Outcome.PLACEHOLDER)


def test_sex_codes() -> None:
    """Words and ISO/IEC 5218 digits; the agreement's own list decides about its codes."""
    raw = pa.array(["Male", "f", "1", "02", "2.0", "9", "0", "U", "Not known", "non-binary", "3", None])
    assert norm.normalise_sex(raw, codes=None).values.to_pylist() == [
        "M",
        "F",
        "M",
        "F",
        "F",
        *[None] * 4,
        "X",
        None,
        None,
    ]
    assert norm.normalise_sex(raw, codes=None).outcomes.tolist() == [0] * 5 + [Outcome.MISSING] * 4 + [
        0,
        Outcome.INVALID,
        1,
    ]
    own = norm.normalise_sex(raw, codes={"1": "F", "2": "m", "3": "X", "Male": "U"})
    assert own.values.to_pylist() == [None, "F", "F", "M", "M", None, None, None, None, "X", "X", None]
    assert own.outcomes.tolist()[5:7] == [Outcome.INVALID] * 2


def test_sex_codes_must_map_to_known_letters() -> None:
    """A wrong list is refused without showing it."""
    with pytest.raises(MappingError) as caught:
        norm.normalise_sex(pa.array(["1"]), codes={"canary-code": "canary-target"})
    assert "canary" not in str(caught.value)


def test_guessing_standards() -> None:
    """Under half of the usable values fitting the UK rule means another standard."""
    assert norm.guess_standards("postcode", pa.array(["LS6 3AB", "90210", "unknown", None])) == "uk"
    assert norm.guess_standards("postcode", pa.array(["LS6 3AB", "90210", "10001"])) == "generic"
    assert norm.guess_standards("nhs_number", pa.array(["943 476 5870", "450 557 7104"])) == "nhs"
    assert norm.guess_standards("nhs_number", pa.array(["A-1234", "B-3456", "943 476 5870"])) == "generic"
    assert norm.guess_standards("nhs_number", pa.array([None, None], pa.string())) == "nhs"


def test_the_fingerprint_changes_with_rules_lists_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stable in one installation, other under another list, nickname table or version."""
    first = norm.normaliser_fingerprint()
    assert len(first) == 32
    seen = {first}

    def again() -> bytes:
        norm.normaliser_fingerprint.cache_clear()
        return norm.normaliser_fingerprint()

    assert again() == first
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "NORMALISER_VERSION", "other")
        seen.add(again())
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "nickname_table", lambda: {"BOB": "ROBERT"})
        seen.add(again())
    original = _words.data_bytes
    with monkeypatch.context() as patch:
        patch.setattr(
            _words, "data_bytes", lambda name: original(name) + (b"\n" if name == "words.csv" else b"")
        )
        seen.add(again())
    assert len(seen) == 4
    assert again() == first


VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS["normalise"], ids=lambda case: f"{case['function']}")
def test_vectors_normalise(case: dict[str, object]) -> None:
    """The published vectors hold."""
    options = dict(case["options"])  # type: ignore[call-overload]
    if case["function"] == "normalise_date":
        options = {**options, "today": np.datetime64(options["today"]).item()}
    function = getattr(norm, str(case["function"]))
    rows = case["rows"]
    result = function(pa.array([row["raw"] for row in rows], pa.string()), **options)  # type: ignore[attr-defined]
    names = [Outcome(int(code)).name for code in result.outcomes]
    made = zip(result.values.to_pylist(), names, strict=True)
    for row, (value, name) in zip(rows, made, strict=True):  # type: ignore[call-overload]
        assert (value, name) == (row["value"], row["outcome"])


@pytest.mark.parametrize("case", VECTORS["derive"], ids=lambda case: f"{case['function']}")
def test_vectors_derive(case: dict[str, object]) -> None:
    """The published derived values hold."""
    function = getattr(norm, str(case["function"]))
    rows = case["rows"]
    made = function(pa.array([row["value"] for row in rows]), **case["options"])  # type: ignore[attr-defined]
    for position, row in enumerate(rows):  # type: ignore[arg-type]
        assert {name: part[position].as_py() for name, part in made.items()} == row["derived"]
