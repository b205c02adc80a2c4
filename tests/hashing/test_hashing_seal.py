"""What a sealed table shows, and what it must not."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sealing_builders import LIMITS, person, subjects_of

from hashing.coding import Column
from hashing.derive import derive, rarity, with_rarity
from hashing.digests import SLICE_ROWS
from hashing.keys import RunKeys
from hashing.seal import roomy, seal
from hashing.shuffling import shuffle
from hashing.tokens import keystream
from schemas.payload import pass_schema
from schemas.scheme import DERIVED, HALVES, TOKENS, Pass, column, parse_pass

PASSES = tuple(map(parse_pass, ("dob+surname.phonetic", "postcode.district+sex", "name_set", "nhs_number")))


@dataclass(frozen=True)
class PassTable:
    """A sealed pass, read whole."""

    blocking: Pass
    table: pa.Table
    incomplete: int
    crowded: int


def keys_of(*, secret: bytes = bytes(32), agreement: str = "sha256:aa", run: str = "2026-06") -> RunKeys:
    """Keys of an invented run."""
    return RunKeys(secret=secret, agreement_digest=agreement, run_id=run)


def sealed(
    derived: dict[str, Column],
    *,
    keys: RunKeys | None = None,
    passes: tuple[Pass, ...] = PASSES,
    crowded: int = 99,
) -> list[PassTable]:
    """Seal with the system's randomness."""
    return [
        PassTable(made.blocking, made.table(), made.incomplete, made.crowded)
        for made in seal(derived, passes, keys or keys_of(), crowded_cell=crowded)
    ]


def derived_of(choices: list[tuple[int, ...]]) -> dict[str, Column]:
    """Derive some rows, the first of which is complete."""
    rows = [person("first", [0] * len(LIMITS)), *(person(f"r{n}", c) for n, c in enumerate(choices))]
    return derive(subjects_of(rows))


def texts(coded: Column) -> list[str | None]:
    """A coded column as plain texts."""
    return coded.values.take(pa.array(coded.codes, mask=coded.codes < 0)).to_pylist()


people = st.lists(st.tuples(*(st.integers(0, limit) for limit in LIMITS)), min_size=3, max_size=14)
MANY = [tuple((n * 7 + k * n * n) % (limit + 1) for k, limit in enumerate(LIMITS)) for n in range(40)]
"""Forty different people, some fields missing."""


@settings(max_examples=25, deadline=None)
@given(people)
def test_tokens_agree_exactly_when_block_and_value_agree(choices: list[tuple[int, ...]]) -> None:
    """Two rows share a block id when the pass's values agree, and a token when the compared value does too."""
    derived = derived_of(choices)
    plain = {name: texts(coded) for name, coded in with_rarity(derived).items()}
    accidents = comparisons = 0
    for made in sealed(derived):
        table = made.table.to_pydict()
        for a, b in combinations(range(made.table.num_rows), 2):
            left, right = table["version"][a], table["version"][b]
            together = all(plain[part][left] == plain[part][right] for part in made.blocking.parts)
            assert (table["block"][a] == table["block"][b]) == together
            for name in made.blocking.tokens:
                values = plain.get(name, [None] * len(plain["dob.exact"]))
                same_value = values[left] is not None and values[left] == values[right]
                token = table[column(name)][a]
                same_token = token is not None and token == table[column(name)][b]
                if together and same_value:
                    assert same_token, name
                else:
                    accidents += same_token
                    comparisons += 1
    # 16-bit tokens of unequal values are equal once in 65,536.
    assert accidents <= 2 + comparisons // 2000


@settings(max_examples=25, deadline=None)
@given(people)
def test_counts_add_up(choices: list[tuple[int, ...]]) -> None:
    """Every version is sealed, incomplete or crowded; the sealed ones hold every value of the pass."""
    derived = derived_of(choices)
    total = len(derived["dob.exact"].codes)
    for made in sealed(derived, crowded=2):
        assert made.table.num_rows + made.incomplete + made.crowded == total
        cells = [tuple(texts(derived[part])[row] for part in made.blocking.parts) for row in range(total)]
        size = Counter(cells)
        expected = [row for row in range(total) if None not in cells[row] and size[cells[row]] <= 2]
        assert made.table.column("version").to_pylist() == expected
        assert made.incomplete == sum(None in cell for cell in cells)


def test_missing_values_are_null_and_nothing_else_is() -> None:
    """A token is null exactly where its value is missing, also outside a rarity class."""
    derived = derived_of(MANY)
    for made in sealed(derived):
        rows = made.table.column("version").to_pylist()
        for name in made.blocking.tokens:
            base = name.replace(".rare", ".exact").replace(".mid", ".exact")
            plain = texts(derived[base]) if base in derived else [None] * len(MANY)
            nulls = [token is None for token in made.table.column(column(name)).to_pylist()]
            assert nulls == [plain[row] is None for row in rows]


def test_a_field_that_is_not_held_is_null_throughout() -> None:
    """Tokens of absent fields are null, and a pass over them seals nobody."""
    rows = [{"ref": str(n), "surname": "Smith", "dob": f"1990-03-{n + 1:02d}"} for n in range(4)]
    tables = sealed(derive(subjects_of(rows)), passes=(parse_pass("dob+surname"), parse_pass("nhs_number")))
    assert tables[0].table.column("nhs_number_exact").null_count == 4
    assert tables[0].table.column("forename_rare").null_count == 4
    assert (tables[1].table.num_rows, tables[1].incomplete, tables[1].crowded) == (0, 4, 0)


def test_schema_is_exact() -> None:
    """Every table has the columns, types and nullability that a reader demands, empty ones too."""
    derived = derived_of(MANY)
    for made in sealed(derived) + sealed(derived, crowded=0):
        assert made.table.schema.equals(pass_schema(made.blocking), check_metadata=True)
        made.table.validate(full=True)


@pytest.mark.parametrize(
    "other",
    [keys_of(secret=b"\1" * 32), keys_of(agreement="sha256:ab"), keys_of(run="2026-07")],
    ids=["secret", "agreement", "run"],
)
def test_other_runs_share_nothing(other: RunKeys) -> None:
    """The same people under another secret, agreement or run share no block id and, but by accident, no token."""
    derived = derived_of(MANY)
    equal = compared = 0
    for ours, theirs in zip(sealed(derived), sealed(derived, keys=other), strict=True):
        assert not set(ours.table.column("block").to_pylist()) & set(theirs.table.column("block").to_pylist())
        for name in ours.blocking.tokens:
            pairs = zip(
                *(made.table.column(column(name)).to_pylist() for made in (ours, theirs)), strict=True
            )
            equal += sum(a == b for a, b in pairs if a is not None)
            compared += ours.table.num_rows
    assert compared > 1000
    assert equal <= 4


def test_passes_share_nothing() -> None:
    """A person's block ids and tokens in two passes over the same values have nothing in common."""
    derived = derived_of(MANY)
    one, two = sealed(derived, passes=(parse_pass("dob+surname"), parse_pass("surname+dob")))
    assert not set(one.table.column("block").to_pylist()) & set(two.table.column("block").to_pylist())
    pairs = zip(
        one.table.column("forename_exact").to_pylist(),
        two.table.column("forename_exact").to_pylist(),
        strict=True,
    )
    assert sum(a == b for a, b in pairs if a is not None) <= 2


def test_a_record_alone_shows_nothing() -> None:
    """No two tokens of one record agree: not the classes of a rare name, not names that are or begin alike."""
    rows = [
        {"ref": str(n), "forename": "James", "surname": "James", "dob": f"1990-03-{n + 1:02d}", "sex": "M"}
        for n in range(20)
    ]
    (made,) = sealed(derive(subjects_of(rows)), passes=(parse_pass("dob+sex"),))
    equal = sum(
        len(tokens) - len(set(tokens))
        for row in made.table.to_pylist()
        if (tokens := [row[column(name)] for name in made.blocking.tokens if row[column(name)] is not None])
    )
    assert equal <= 3  # 20 records of about 20 tokens: 0.06 accidents expected


def test_rarity_tokens_are_random_outside_the_class() -> None:
    """A common name's rarity token comes from the random source and changes each time; a rare one's is a token."""
    rows = [
        {"ref": str(n), "surname": "Smith", "dob": "1990-03-04", "postcode": "LS6 3AB", "uprn": str(1000 + n)}
        for n in range(12)
    ]
    rows.append({"ref": "rare", "surname": "Quillfeather", "dob": "1990-03-04", "postcode": "LS6 3AB"})
    derived = derive(subjects_of(rows))
    exact = derived["surname.exact"]
    member = rarity(exact)["rare"][exact.codes]
    assert member.tolist() == [False] * 12 + [True]
    passes = (parse_pass("dob+postcode"),)
    asked: list[int] = []

    def noise(size: int) -> bytes:
        asked.append(size)
        return bytes(range(size))

    (quiet,) = (
        made.table() for made in seal(derived, passes, keys_of(), crowded_cell=99, random_bytes=noise)
    )
    tokens = np.array(quiet.column("surname_rare").to_pylist(), dtype="<u2")
    assert tokens[:12].tobytes() == bytes(range(24))
    assert asked == [26, 26]  # rare and mid, two bytes for each of thirteen
    (first,), (second,) = sealed(derived, passes=passes), sealed(derived, passes=passes)
    left, right = (t.table.column("surname_rare").to_pylist() for t in (first, second))
    assert left[12] == right[12] == tokens[12]
    assert sum(a == b for a, b in zip(left[:12], right[:12], strict=True)) <= 1
    assert len(set(left[:12])) >= 11
    assert len(set(first.table.column("surname_exact").to_pylist()[:12])) == 1


def test_no_value_and_no_plain_hash_is_in_the_bytes() -> None:
    """Neither a value, nor its unkeyed hash (whole or truncated as tokens are), nor its digest is in the file."""
    rows = [
        {
            "ref": f"REF{n}", "forename": name, "surname": "Quillfeather", "dob": f"1990-03-{n + 10}", "sex": "F",
            "postcode": "LS6 3AB", "nhs_number": "612 345 1782", "uprn": "100077661", "address": "12 High Street",
        }
        for n, name in enumerate(("Zebedee", "Ermintrude", "Dougal"))
    ]  # fmt: skip
    derived = derive(subjects_of(rows))
    stream = io.BytesIO()
    for made in sealed(derived):
        with pa.ipc.new_stream(stream, made.table.schema) as writer:
            writer.write_table(made.table)
    content = stream.getvalue()
    found = []
    for name, coded in derived.items():
        values = [text for text in coded.values.to_pylist() if len(text) >= 6]
        digests = keys_of().digests(name, pa.array(values, pa.string()))
        for text, keyed in zip(values, digests, strict=True):
            forms = [text.encode(), text.lower().encode(), text.encode("utf-16-le"), keyed.tobytes()[:8]]
            forms += [
                hashlib.new(kind, text.encode()).digest()[:8] for kind in ("md5", "sha1", "sha256", "sha512")
            ]
            found += [(name, place) for place, form in enumerate(forms) if form in content]
    assert not found
    assert b"REF" not in content


def test_a_second_forename_meets_the_first_one_of_another_record() -> None:
    """In a block the token of Peter as a second name is that of Peter as a first one; in no record are both alike."""
    home = {"surname": "QUILL", "dob": "1990-03-04", "postcode": "LS6 3AB"}
    rows = [
        {"ref": "a", "forename": "John Peter", **home},
        {"ref": "b", "forename": "Peter", **home},
        {"ref": "c", "forename": "Paul Paul", **home},
    ]
    subjects = subjects_of(rows)
    made = sealed(derive(subjects), passes=(parse_pass("dob+surname"), parse_pass("dob+forename.initial")))
    first, second = (made[0].table.column(name).to_pylist() for name in ("forename_exact", "forename_second"))
    john, peter, paul = (subjects.refs.to_pylist().index(ref) for ref in "abc")
    assert second[john] == first[peter]
    assert first[john] not in second
    assert second[paul] is None
    assert "forename_second" not in made[1].table.column_names


def test_halves_of_a_number_without_a_check_digit() -> None:
    """A typed error leaves one half alike; a short number has no halves, and a real NHS number none either."""
    rows = [
        {"ref": ref, "surname": "QUILL", "dob": "1990-03-04", "nhs_number": number}
        for ref, number in (("a", "8872631"), ("b", "8872731"), ("c", "88726"))
    ]
    for standard, expected in (("generic", True), ("nhs", False)):
        subjects = replace(
            subjects_of(rows, standards={"nhs_number": "generic"}), standards={"nhs_number": standard}
        )
        made = sealed(derive(subjects), passes=(parse_pass("dob+surname"),))[0].table
        a, b, c = (subjects.refs.to_pylist().index(ref) for ref in "abc")
        head, tail = (made.column(f"nhs_number_{half}").to_pylist() for half in ("head", "tail"))
        assert (head[a] is not None and head[a] == head[b]) == expected
        assert tail[a] is None or tail[a] != tail[b]
        assert (head[c], tail[c]) == (None, None)


def test_truncation_is_as_wide_as_the_scheme_says() -> None:
    """Tokens of near-unique numbers have 32 bits, all others 16, and they use the whole width."""
    derived = derived_of(MANY)
    blocking = parse_pass("dob.year+surname.initial", absent=frozenset(HALVES))
    made = sealed(derived, passes=(blocking,))[0]
    for name in made.blocking.tokens:
        tokens = [token for token in made.table.column(column(name)).to_pylist() if token is not None]
        assert max(tokens) < 2 ** DERIVED[name].bits
        assert max(tokens) > 2 ** (DERIVED[name].bits - 3)


def test_shuffling_hides_the_order_and_keeps_the_facts() -> None:
    """Numbers of subjects, versions and leads are permuted; who is who, and whose lead is whose, stays."""
    rows = [
        {**person(f"r{n}", choice), "record_date": f"2026-01-{n % 28 + 1:02d}", "lead_contact": f"Team {n}"}
        for n, choice in enumerate(MANY)
        if choice[1] < LIMITS[1]
    ]
    before = subjects_of(rows)
    after = shuffle(before)

    def facts(subjects: object) -> tuple[object, ...]:
        s = subjects
        ref_of = dict(zip(s.ref_subject.tolist(), s.refs.to_pylist(), strict=True))  # type: ignore[attr-defined]
        lead = texts(s.contacts.lead)  # type: ignore[attr-defined]
        contacts = Counter(
            zip((ref_of[x] for x in s.contacts.subject.tolist()), s.contacts.day.tolist(), lead, strict=True)  # type: ignore[attr-defined]
        )
        columns = [texts(s.fields[name]) for name in sorted(s.fields)]  # type: ignore[attr-defined]
        owners = [ref_of[x] for x in s.version_subject.tolist()]  # type: ignore[attr-defined]
        return contacts, Counter(zip(owners, *columns, strict=True))

    assert facts(after) == facts(before)
    assert after.ref_subject.tolist() != before.ref_subject.tolist()
    assert after.version_subject.tolist() != sorted(after.version_subject.tolist())
    assert after.contacts.lead.values.to_pylist() != before.contacts.lead.values.to_pylist()
    assert sorted(after.contacts.lead.values.to_pylist()) == sorted(before.contacts.lead.values.to_pylist())


def test_shuffling_keeps_contacts_without_a_lead() -> None:
    """No lead before is no lead after, also when nobody has one."""
    rows = [person(f"r{n}", [n % limit for limit in LIMITS]) for n in range(5)]
    assert shuffle(subjects_of(rows)).contacts.lead.codes.tolist() == [-1] * 5


def test_every_token_is_asked_for_by_a_comparison() -> None:
    """No token is shipped that nothing compares."""
    derived = derived_of(MANY)
    shipped = {name for made in sealed(derived) for name in made.blocking.tokens}
    assert shipped <= set(TOKENS)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 12), max_size=80), st.integers(1, 6), st.integers(0, 2**58))
def test_crowded_cells_are_counted_exactly(cells: list[int], limit: int, spread: int) -> None:
    """A block id is kept exactly when it occurs at most as often as allowed, whatever bucket it falls in."""
    ids = np.array([cell * spread + (cell << 20) for cell in cells], dtype=np.int64)
    size = Counter(ids.tolist())
    assert roomy(ids, limit).tolist() == [size[number] <= limit for number in ids.tolist()]


def test_slices_and_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows sealed in many small slices and batches by two threads are those sealed in one."""
    derived = derived_of(MANY)

    def nothing(size: int) -> bytes:
        return bytes(size)

    def tables() -> list[pa.Table]:
        return [m.table() for m in seal(derived, PASSES, keys_of(), crowded_cell=99, random_bytes=nothing)]

    whole = tables()
    assert len(MANY) < SLICE_ROWS
    monkeypatch.setattr("hashing.tokens.SLICE_ROWS", 3)
    monkeypatch.setattr("hashing.seal.BATCH_ROWS", 7)
    for one, many in zip(whole, tables(), strict=True):
        assert many.column(0).num_chunks > 1 or one.num_rows <= 7
        assert one.equals(many.combine_chunks())


def test_noise_never_repeats() -> None:
    """Random tokens are of the asked length, differ from draw to draw and from source to source, and spread evenly."""
    one, other = keystream(), keystream()
    draws = [one(4096), one(4096), other(4096), other(4096)]
    assert [len(drawn) for drawn in draws] == [4096] * 4
    assert len(set(draws)) == 4
    ones = sum(byte.bit_count() for drawn in draws for byte in drawn) / (4 * 4096 * 8)
    assert abs(ones - 0.5) < 0.01  # seven standard deviations of a fair coin
