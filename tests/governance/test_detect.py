"""Raw identifiers are found wherever they are planted, and tokens are never taken for them."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_builders import stated

from governance.detect.columns import ColumnScan, scan_table
from governance.detect.hashes import ALL, count_known, number_prefixes, probe_table
from governance.detect.names import holds_name, name_lists
from governance.detect.patterns import Hit, Kind, find_in_text, valid_nhs_number
from governance.detect.shapes import token_shape
from governance.rules.package_subject import metadata_hits

TODAY = date(2026, 6, 30)
ROOT = Path(__file__).parents[2]
FORENAMES, SURNAMES = (sorted(names) for names in name_lists())


def kinds(values: pa.Array | list[object]) -> set[Kind]:
    """Return what a scan of one column finds."""
    scan = ColumnScan("x", today=TODAY)
    scan.see(values if isinstance(values, pa.Array) else pa.array(values))
    return {hit.kind for hit in scan.hits()}


def nhs_number(body: int) -> str:
    """Return nine digits with their check digit, or of the next body that has one (modulus 11)."""
    while True:
        digits = f"{body:09d}"
        total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 1, -1), strict=True))
        check = (11 - total % 11) % 11
        if check < 10 and valid_nhs_number(f"{digits}{check}"):
            return f"{digits}{check}"
        body += 1


def _nhs(rng: np.random.Generator) -> str:
    digits = nhs_number(int(rng.integers(400_000_000, 799_999_999)))
    return str(
        rng.choice(
            [digits, f"{digits[:3]} {digits[3:6]} {digits[6:]}", f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"]
        )
    )


def _postcode(rng: np.random.Generator) -> str:
    area = rng.choice(["LS", "BD", "M", "B", "SW", "EC", "W", "NE"])
    out = {"SW": "SW1A", "EC": "EC1A", "W": "W1T"}.get(str(area), f"{area}{rng.integers(1, 29)}")
    letters = "".join(rng.choice(list("ABDEFGHJLNPQRSTUWXYZ"), 2))
    text = f"{out}{rng.choice([' ', ''])}{rng.integers(0, 10)}{letters}"
    return text.lower() if rng.random() < 0.3 else text


def _uprn(rng: np.random.Generator) -> str:
    number = int(rng.integers(10**10, 10**12 - 1))
    return f"{number:012d}" if rng.random() < 0.5 else str(number)


def _birth_date(rng: np.random.Generator) -> str:
    day = TODAY - timedelta(days=int(rng.integers(1, 110 * 365)))
    formats = (
        "%d/%m/%Y",
        "%Y-%m-%d",
        "%d-%m-%Y",
        "%d.%m.%Y",
        "%d %B %Y",
        "%d %b %Y",
        "%Y%m%d",
        "%d%m%Y",
        "%d/%m/%y",
    )
    return day.strftime(str(rng.choice(formats)))


def _email(rng: np.random.Generator) -> str:
    return f"{rng.choice(FORENAMES).lower().replace(' ', '')}.{rng.integers(1, 99)}@example{rng.integers(1, 9)}.org.uk"


def _phone(rng: np.random.Generator) -> str:
    rest = f"{rng.integers(10**8, 10**9 - 1)}"
    return str(
        rng.choice(
            [
                f"07{rest}",
                f"07{rest[:3]} {rest[3:]}",
                f"+447{rest}",
                f"+44 7{rest[:3]} {rest[3:]}",
                f"0113 {rest[:3]} {rest[3:7]}",
            ]
        )
    )


def _ni(rng: np.random.Generator) -> str:
    head = str(rng.choice(["AB", "CE", "JH", "PR", "SX", "WM"]))
    body = [f"{rng.integers(0, 100):02d}" for _ in range(3)]
    return rng.choice([" ", ""]).join([head, *body, str(rng.choice(list("ABCD")))])


def _name(rng: np.random.Generator) -> str:
    forename, surname = rng.choice(FORENAMES), rng.choice(SURNAMES)
    forms = [f"{forename} {surname}", f"{surname}, {forename}", surname, forename]
    return str(rng.choice([form if rng.random() < 0.5 else form.title() for form in forms]))


PLANTED: dict[Kind, Callable[[np.random.Generator], str]] = {
    Kind.NHS_NUMBER: _nhs,
    Kind.POSTCODE: _postcode,
    Kind.UPRN: _uprn,
    Kind.DATE_OF_BIRTH: _birth_date,
    Kind.EMAIL: _email,
    Kind.PHONE: _phone,
    Kind.NATIONAL_INSURANCE: _ni,
    Kind.PERSON_NAME: _name,
}


def tokens(rng: np.random.Generator, rows: int, *, width: int, coding: str) -> pa.Array:
    """Return random tokens of `width` bytes as text."""
    raw = rng.bytes(rows * width)
    cells = (raw[at : at + width] for at in range(0, len(raw), width))
    if coding == "hex":
        return pa.array([cell.hex() for cell in cells])
    encode = base64.urlsafe_b64encode if coding == "base64url" else base64.b64encode
    return pa.array([encode(cell).decode() for cell in cells])


@pytest.mark.parametrize("kind", PLANTED, ids=lambda kind: kind.name)
def test_every_planted_identifier_is_found(kind: Kind) -> None:
    """All of 200 planted identifiers of each kind are found, each in a cell of its own."""
    rng = np.random.default_rng(3)
    make = PLANTED[kind]
    missed = [text for text in (make(rng) for _ in range(200)) if kind not in kinds([text])]
    assert missed == []


@pytest.mark.parametrize("kind", PLANTED, ids=lambda kind: kind.name)
def test_found_among_tokens(kind: Kind) -> None:
    """One identifier among 5,000 tokens is found, and is the only thing found."""
    rng = np.random.default_rng(4)
    cells = tokens(rng, 5000, width=16, coding="hex").to_pylist()
    cells[int(rng.integers(0, 5000))] = PLANTED[kind](rng)
    found = kinds(cells)
    assert kind in found
    assert Kind.UNKEYED_HASH not in found


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    before=st.sampled_from(["", "ref ", "(", "case: "]),
    after=st.sampled_from(["", " x", ")", ", ok"]),
)
def test_found_inside_other_text(seed: int, before: str, after: str) -> None:
    """Words and punctuation around an identifier do not hide it."""
    for kind, make in PLANTED.items():
        text = make(np.random.default_rng(seed))
        if kind is Kind.PERSON_NAME and (before or after):
            forename, surname = FORENAMES[seed % len(FORENAMES)], SURNAMES[seed % len(SURNAMES)]
            text = f"{forename} {surname}" if " " not in forename + surname else "MARY JONES"
        assert kind in kinds([f"{before}{text}{after}"]), kind


def test_a_million_tokens_give_no_alarm() -> None:
    """One million cells of tokens in the shapes that tokens are stored in: nothing is found."""
    rng = np.random.default_rng(5)
    columns: list[pa.Array] = [
        *(tokens(rng, 100_000, width=width, coding="hex") for width in (4, 8, 16)),
        *(tokens(rng, 100_000, width=width, coding="base64") for width in (12, 16)),
        tokens(rng, 100_000, width=15, coding="base64url"),
        pa.array(rng.integers(-(2**63), 2**63 - 1, 200_000)),
        pa.array([rng.bytes(16) for _ in range(200_000)]),
    ]
    assert sum(map(len, columns)) == 1_000_000
    for number, column in enumerate(columns):
        assert kinds(column) == set(), number


def test_token_shape_needs_even_letters() -> None:
    """Names, dates and counters of one width are no tokens; hexadecimal and base64 ones are."""
    rng = np.random.default_rng(6)
    assert (
        token_shape(pa.array([f"{day:%d/%m/%Y}" for day in (TODAY - timedelta(days=n) for n in range(500))]))
        is None
    )
    assert token_shape(pa.array([f"{number:012d}" for number in range(1000)])) is None
    assert token_shape(pa.array(["smithson"] * 100)) is None
    assert token_shape(tokens(rng, 500, width=8, coding="hex")) is not None
    assert token_shape(tokens(rng, 500, width=16, coding="base64")) is not None


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256"])
@pytest.mark.parametrize("written", ["1980-03-12", "12/03/1980", "12031980", "SMITH", "smith"])
@pytest.mark.parametrize("coding", ["hex", "HEX", "base64", "raw", "truncated", "number"])
def test_unkeyed_hashes_are_found(algorithm: str, written: str, coding: str) -> None:
    """A hash of a date of birth or a listed name is found in every way it is usually stored."""
    made = hashlib.new(algorithm, written.encode()).digest()
    cell = {
        "hex": made.hex(),
        "HEX": made.hex().upper(),
        "base64": base64.b64encode(made).decode(),
        "raw": made,
        "truncated": made.hex()[:16],
        "number": int.from_bytes(made[:8], "big", signed=True),
    }[coding]
    assert Kind.UNKEYED_HASH in kinds([cell])


def test_keyed_hashes_are_not() -> None:
    """The same dates under a key are not found: the probe looks for what anybody could make."""
    made = [hashlib.blake2b(str(n).encode(), key=b"secret", digest_size=32).hexdigest() for n in range(2000)]
    assert kinds(made) == set()


def test_probe_covers_every_plausible_date() -> None:
    """Each day of 120 years is in the table, in both byte orders of a number."""
    assert len(probe_table(TODAY, ALL)) > 12 * 3 * 43_000
    made = hashlib.sha256(b"1906-01-01").digest()
    for order in ("big", "little"):
        number = np.array([int.from_bytes(made[:8], order, signed=True)], dtype=np.int64)  # type: ignore[arg-type]
        assert count_known(number_prefixes(number), TODAY) == 1


@pytest.mark.parametrize(
    "values",
    [
        pa.array([9434765919], pa.int64()),
        pa.array([9434765919.0], pa.float64()),
        pa.array([date(1980, 3, 12)]),
        pa.array([b"Mary Jones"]),
        pa.array([["LS6 3AB"]]),
        pa.array(["LS6 3AB", None]).dictionary_encode(),
    ],
    ids=["int", "float", "date", "bytes", "list", "dictionary"],
)
def test_every_type_of_column(values: pa.Array) -> None:
    """An identifier is found whatever the type of its column."""
    assert kinds(values)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("smith_john_1980-03-12.csv", Kind.DATE_OF_BIRTH),
        ("smith_john.tally", Kind.PERSON_NAME),
        ("LS6 3AB.tally", Kind.POSTCODE),
        ("943 476 5919", Kind.NHS_NUMBER),
        ("a.person@example.org", Kind.EMAIL),
        ("100012345678", Kind.UPRN),
    ],
)
def test_file_names_and_metadata(text: str, kind: Kind) -> None:
    """Identifiers in names and metadata are found."""
    assert kind in {hit.kind for hit in find_in_text(text, "file name", today=TODAY)}


@pytest.mark.parametrize(
    "text",
    [
        "police.tally",
        "2026-06",
        "run-2026-06-30T09-00-00Z",
        "sha256:" + "0123456789abcdef" * 4,
        "dob+forename.initial+postcode",
        "name_set+dob.month_year",
        "childrens_social_care",
        "block-sealed-v1",
    ],
)
def test_words_of_the_work_are_not_identifiers(text: str) -> None:
    """Run ids, digests, names of passes and agencies are left alone."""
    assert find_in_text(text, "x", today=TODAY) == []


def test_a_window_long_ago_is_no_birth() -> None:
    """The first day of the window is a date of the work however old it is; anything else in its place is looked at."""
    assert metadata_hits(stated(facts_contacts_after="2000-01-01"), "police.tally", today=TODAY) == ()
    (hit,) = metadata_hits(stated(facts_contacts_after="born 2000-01-01"), "police.tally", today=TODAY)
    assert hit.kind is Kind.DATE_OF_BIRTH


def test_scan_of_a_table() -> None:
    """Headers are looked at, columns that are allowed are not, and no value stands in what is found."""
    batch = pa.RecordBatch.from_pydict({"Mary Jones": ["x"], "ref": ["LS6 3AB"], "home": ["LS6 3AB"]})
    found = scan_table([batch], today=TODAY, allowed=frozenset({"ref"}))
    assert Hit(kind=Kind.PERSON_NAME, place="header", cells=1) in found
    assert [hit.place for hit in found if hit.kind is Kind.POSTCODE] == ["column home"]


def test_names_of_the_normaliser_are_on_the_list() -> None:
    """The list that is looked through holds every name of the normaliser's lists."""
    data = ROOT / "hashing" / "normalise" / "data"
    with (data / "name_families.csv").open(encoding="utf-8", newline="") as stream:
        families = {row["family"] for row in csv.DictReader(stream)}
    with (data / "nicknames.csv").open(encoding="utf-8", newline="") as stream:
        known = {row["representative"] for row in csv.DictReader(stream)}
    forenames, surnames = name_lists()
    assert families <= forenames | surnames
    assert known <= forenames
    assert holds_name("seen with Mary Jones")
    assert not holds_name("seen with care")
