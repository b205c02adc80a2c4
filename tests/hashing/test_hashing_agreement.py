"""Agreements: a good one is read, a bad one is told all its faults at once, and the digest is of what it says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from governance.agreement import load_agreement, parse_agreement, read_document, require_in_force
from governance.draft import agreement_yaml, draft_agreement
from schemas.errors import AgreementInvalid, NotInForce
from schemas.identity import PrivateIdentity
from schemas.scheme import FIELDS, HALVES, parse_pass

DAY = date(2026, 1, 1)
PASSES = ["dob+surname.phonetic", "nhs_number"]
IDENTITIES = {name: PrivateIdentity.generate(name).public for name in ("police", "health", "unit-1")}


def draft() -> dict[str, Any]:
    """A draft between two agencies, with keys."""
    return draft_agreement(
        parties={"police": "police", "health": "health"},
        passes=PASSES,
        today=DAY,
        identities=IDENTITIES,
        unit_id="unit-1",
        standards={"postcode": "generic"},
    )


def faults_of(document: dict[str, Any]) -> list[str]:
    """The lines of the refusal."""
    with pytest.raises(AgreementInvalid) as caught:
        parse_agreement(document)
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def written(path: Path, text: str) -> Path:
    """Write a document."""
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place for an agreement."""
    return tmp_path / "agreement.yaml"


def test_draft_is_valid() -> None:
    """A draft passes its own check, and every stage finds in it what it obeys."""
    agreement = parse_agreement(draft())
    assert [party.id for party in agreement.parties] == ["police", "health"]
    assert agreement.party("health") is agreement.parties[1]
    assert agreement.party("nobody") is None
    assert agreement.identities == IDENTITIES
    assert agreement.match_fields == frozenset(FIELDS)
    assert agreement.standards == {"postcode": "generic"}
    assert agreement.passes == tuple(parse_pass(text, absent=frozenset(HALVES)) for text in PASSES)
    assert (agreement.budget.d, agreement.budget.lambda_, agreement.crowded_cell) == (0.2, 0.05, 20)
    assert (agreement.months, agreement.minimum_agencies) == (12, 2)
    assert agreement.digest.startswith("sha256:")


def test_halves_of_numbers_are_sealed_only_where_numbers_have_no_check_digit() -> None:
    """Under the standard of real NHS numbers no pass has room for them; under the generic one each has."""
    document = draft()
    assert not any(set(HALVES) & set(blocking.tokens) for blocking in parse_agreement(document).passes)
    for entry in document["fields"]:
        if entry["name"] == "nhs_number":
            entry["standard"] = "generic"
    passes = parse_agreement(document).passes
    assert any(set(HALVES) <= set(blocking.tokens) for blocking in passes)
    assert all(set(HALVES) <= {*blocking.tokens, *blocking.fixed} for blocking in passes)


def test_draft_round_trips_through_its_file(file: Path) -> None:
    """The written draft reads back as the same document, with the same digest."""
    document = draft()
    written(file, agreement_yaml(document))
    assert read_document(file) == document
    assert load_agreement(file, today=DAY) == parse_agreement(document)


Change = Callable[[dict[str, Any]], Any]


def _share(document: dict[str, Any], key: str) -> None:
    document["parties"][1]["keys"][key] = document["parties"][0]["keys"][key]


FAULTS: list[tuple[str, Change, str]] = [
    ("missing", lambda d: d.pop("window"), "(top): a required entry is missing: window."),
    ("unknown", lambda d: d.update(colour="red"), "(top): there is an entry here that the schema does not know"),
    ("nested unknown", lambda d: d["matching"].update(speed=1), "matching: there is an entry here"),
    ("enum", lambda d: d["parties"][1].update(role="friend"), "parties[1].role: the value is not one of the allowed"),
    ("type", lambda d: d["window"].update(months="12"), "window.months: the value is of the wrong type: write a whole"),
    ("version", lambda d: d.update(version="1.0"), "version: the value does not have the required form: write three"),
    ("const", lambda d: d.update(agreement_schema=2), "agreement_schema: the value is not the one that this version"),
    ("day", lambda d: d["in_force"].update({"to": "2026-02-30"}), "in_force.to: the value does not have the required"),
    ("empty list", lambda d: d["sealing"].update(passes=[]), "sealing.passes: the list is too short."),
    ("repeated", lambda d: d["sealing"].update(passes=["nhs_number"] * 2), "sealing.passes: the list repeats"),
    ("budget", lambda d: d["sealing"]["budget"].update(d=0.3), "sealing.budget.d: the number is too large"),
    ("λ", lambda d: d["sealing"]["budget"].update({"lambda": 0}), "sealing.budget.lambda: the number is too small"),
    ("same id", lambda d: (d["parties"][1].update(id="police"), d["parties"][1].pop("keys")), "parties: the id police"),
    ("unit", lambda d: d["linkage_unit"].update(id="health"), "linkage_unit.id: the linkage unit must not be"),
    ("pass", lambda d: d["sealing"].update(passes=["dob+star_sign"]), "sealing.passes[0]: 'star_sign' is not"),
    ("class", lambda d: d["sealing"].update(passes=["dob+surname.rare"]), "sealing.passes[0]: 'surname.rare' is only"),
    ("review", lambda d: d["matching"].update(review_from=0.9), "matching.review_from: must not be above"),
    ("dates", lambda d: d["in_force"].update({"to": "2025-01-01"}), "in_force.to: lies before in_force.from."),
    ("field twice", lambda d: d["fields"].append(dict(d["fields"][1])), "fields: forename stands twice."),
    ("unmatched", lambda d: d["fields"][3].update(use="display"), "sealing.passes[0]: is made of dob, which `fields`"),
    ("base64", lambda d: d["parties"][0]["keys"].update(signing_key="!" * 44), "parties[0].keys: "),
    ("short key", lambda d: d["linkage_unit"]["keys"].update(receiving_key="A" * 44), "linkage_unit.keys: "),
    ("shared signing key", lambda d: _share(d, "signing_key"), "keys: health and police have the same signing key."),
    ("shared receiving key", lambda d: _share(d, "receiving_key"), "keys: health and police have the same rec"),
    ("borrowed key", lambda d: d["parties"][0]["keys"].update(party="health"), "parties[0].keys.party: is not the id"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "line"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS]
)
def test_each_fault_is_named_with_its_path(change: Change, line: str) -> None:
    """One fault gives one line that begins with the field path."""
    document = copy.deepcopy(draft())
    change(document)
    found = faults_of(document)
    assert len(found) == 1, found
    assert found[0].startswith(line)


def test_all_faults_are_named_at_once() -> None:
    """Faults of the schema come together, and so do those that no schema can express."""
    document = draft()
    document.pop("window")
    document["status"] = "signed"
    document["parties"][0]["role"] = "friend"
    assert len(faults_of(document)) == 3
    document = draft()
    document["matching"]["review_from"] = 0.9
    document["sealing"]["passes"] = ["dob+star_sign", "dob+dob"]
    document["in_force"]["to"] = "2025-01-01"
    assert len(faults_of(document)) == 4


def test_a_wrong_value_is_not_repeated() -> None:
    """What stands in a field of the wrong form is not in the message: it may be a secret pasted by mistake."""
    document = draft()
    document["parties"][0]["keys"]["signing_key"] = "QUILLFEATHER" * 5
    document["review_due"] = "QUILLFEATHER"
    document["window"]["months"] = "QUILLFEATHER"
    assert not any("QUILLFEATHER" in line for line in faults_of(document))


def test_own_entries_are_kept_and_signed() -> None:
    """Entries that begin with x- are allowed, and change the digest."""
    document = draft() | {"x-local": {"reference": "IG-7"}}
    assert parse_agreement(document).digest != parse_agreement(draft()).digest


@pytest.mark.parametrize("value", [float("nan"), {1: 2}, 2**60, b"\0"])
def test_entries_without_canonical_form_are_refused(value: object) -> None:
    """What cannot be digested portably cannot be signed."""
    with pytest.raises(AgreementInvalid, match=r"canonical|cannot carry|must be text"):
        parse_agreement(draft() | {"x-local": value})


def test_digest_is_of_the_content_alone(file: Path) -> None:
    """Comments, layout, quoting and the order of keys do not change it; any value does."""
    document = draft()
    digest = parse_agreement(document).digest
    turned = {key: document[key] for key in reversed(document)}
    assert parse_agreement(turned).digest == digest
    text = agreement_yaml(turned).replace("status: draft", "status:   'draft'   # not yet signed")
    assert load_agreement(written(file, text)).digest == digest
    document["window"]["months"] = 11
    assert parse_agreement(document).digest != digest


def test_order_of_lists_counts() -> None:
    """Passes are numbered by their order, so another order is another agreement."""
    turned = draft()
    turned["sealing"]["passes"].reverse()
    assert parse_agreement(turned).digest != parse_agreement(draft()).digest


def test_words_and_dates_stay_text(file: Path) -> None:
    """NO is a country, on is a word, and a date or a time is the text it is; digest and form depend on it."""
    text = "a: NO\nb: on\nc: 2026-06-30\nd: 2026-06-30T12:00:00Z\ne: y\nf: 12:30:45\n"
    assert read_document(written(file, text)) == {
        "a": "NO", "b": "on", "c": "2026-06-30", "d": "2026-06-30T12:00:00Z", "e": "y", "f": "12:30:45",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: a key stands twice"),
        ("a:\n  b: 1\n  b: 1\n", "line 3, column 3: a key stands twice"),
        ("a: [1\nb: 2\n", "line 2.*not well-formed"),
        ("a:\n\t- b\n", "line 2, column 1"),
        ("a: &x [1]\nb: *x\n", r"line 2, column 4: references"),
        ("a: &x [*x]\n", "references"),
        ("a: {b: &x {c: 1}, d: {<<: *x}}\n", "references"),
        ("a: !!int one\n", "not well-formed"),
        ("a: !!python/object/apply:os.getcwd []\n", "not well-formed"),
        ("a: " + "[" * 1200, "not well-formed"),
        ("a: 1\n---\nb: 2\n", "not well-formed"),
        ("- a\n", "must be a list of `name: value`"),
        ("", "must be a list of `name: value`"),
        ("just text", "must be a list of `name: value`"),
    ],
)  # fmt: skip
def test_bad_yaml_is_refused(file: Path, text: str, words: str) -> None:
    """Each way of being no document is refused, with the line where there is one."""
    with pytest.raises(AgreementInvalid, match=words) as caught:
        read_document(written(file, text))
    assert str(file) in str(caught.value)


def test_unreadable_files_are_refused(file: Path) -> None:
    """A missing file, a file of other bytes and one far too large."""
    with pytest.raises(AgreementInvalid, match="cannot be read"):
        read_document(file)
    file.write_bytes(b"a: \xff\xfe")
    with pytest.raises(AgreementInvalid, match="UTF-8"):
        read_document(file)
    file.write_bytes(b"#" * (4 * 1024 * 1024 + 1))
    with pytest.raises(AgreementInvalid, match="larger"):
        read_document(file)


def test_in_force() -> None:
    """From its first to its last day, unless it is suspended or ended."""
    agreement = parse_agreement(draft())
    for day in (DAY, date(2027, 1, 1)):
        require_in_force(agreement, day)
    for day in (date(2025, 12, 31), date(2027, 1, 2)):
        with pytest.raises(NotInForce, match=r"D02.*not today"):
            require_in_force(agreement, day)
    for status in ("suspended", "terminated"):
        with pytest.raises(NotInForce, match=f"D02: the agreement is {status}"):
            require_in_force(parse_agreement(draft() | {"status": status}), DAY)
