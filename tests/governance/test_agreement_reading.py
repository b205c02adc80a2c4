"""Agreements as files: fixtures good and bad, every fault with its line and column, and no value ever repeated."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.agreement import agreement_faults, load_agreement, parse_agreement, read_document
from governance.agreement_check import agreement_findings
from governance.agreement_explain import explained
from governance.agreement_migrate import edit_text
from governance.agreement_reading import _parsed, parse_source
from governance.agreement_schema import FORMS
from governance.draft import agreement_yaml
from governance.rules.base import blocks
from schemas.errors import AgreementInvalid
from tests.governance.agreements import TODAY, complete_document

FIXTURES = Path(__file__).parent / "fixtures" / "agreements"
BAD = sorted((FIXTURES / "bad").glob("*.yaml"))
Faults = list[tuple[int, int, str]]


def expected(path: Path) -> Faults:
    """What the fixture's first lines say that it is found for: line, column (0:0 for the whole file), words."""
    found = re.findall(r"^# expect (\d+):(\d+) (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [(int(line), int(column), words) for line, column, words in found]


def faults(path: Path) -> Faults:
    """What is found: line, column, and the whole text."""
    try:
        _, findings = agreement_findings(path, today=TODAY)
        texts = [f"{found.where} {found.sentence}" for found in findings if found.rule == "D01"]
    except AgreementInvalid as error:
        texts = [str(error)]
    places = [re.search(r"line (\d+), column (\d+)", text) for text in texts]
    return [
        (int(place[1]), int(place[2]), text) if place else (0, 0, text)
        for place, text in zip(places, texts, strict=True)
    ]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_fixture_is_found_for_all_its_faults(path: Path) -> None:
    """Each fault of a fixture is named, at its line and column, once; and nothing else of form is."""
    wanted, found = expected(path), faults(path)
    if path.stem == "placeholders":  # a draft is told what it needs to become active, too
        found = [fault for fault in found if "TODO" in fault[2]]
    assert [(line, column) for line, column, _ in found] == [(line, column) for line, column, _ in wanted]
    for (*_, text), (*_, words) in zip(found, wanted, strict=True):
        assert words in text


def test_complete_fixture_is_read_and_its_signatures_verify() -> None:
    """A file and signatures made once stay good: form, canonical bytes and signature format have not moved."""
    agreement, findings = agreement_findings(FIXTURES / "good" / "complete.yaml", today=TODAY)
    assert findings == []
    assert agreement is not None
    assert agreement.digest == load_agreement(FIXTURES / "good" / "complete.yaml").digest
    assert (agreement.min_cell, agreement.clock, agreement.households) == (5, "latest_contact", False)
    assert agreement.retention["log"].method == "archive"
    assert [entry.kind for entry in agreement.exclusions] == [
        "protected_address", "upheld_objection", "adoption", "protected_person",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["minimal-draft", "own-entries"])
def test_good_drafts_are_read_with_defaults(name: str) -> None:
    """A draft may leave out what only an active agreement needs; sensible values stand for it."""
    agreement, findings = agreement_findings(FIXTURES / "good" / f"{name}.yaml", today=TODAY)
    assert agreement is not None
    assert (agreement.rolling, agreement.households, agreement.record_level_k) == (False, False, 5)
    assert (agreement.largest_cluster, agreement.crowded_cell, agreement.profile) == (50, 20, "standard")
    assert {found.rule for found in blocks(findings)} >= {"D02", "D03", "D06", "D13"}


@pytest.mark.parametrize(
    ("window", "fault"),
    [
        ({"contact_months": 11, "rolling": True}, "must not be fewer than window.months"),
        ({"contact_months": 24}, "only window.rolling needs more than window.months"),
        ({"contact_months": 37, "rolling": True}, "contact_months"),
    ],
)
def test_no_more_contacts_are_sent_than_are_needed(window: dict[str, Any], fault: str) -> None:
    """Contacts of more months than the window are for worst rolling windows only, and never of more than 3 years."""
    document = complete_document()
    document["window"].update(window)
    assert any(fault in str(found) for found in agreement_faults(document))


def test_months_of_contacts_are_those_of_the_window_unless_named() -> None:
    """An agreement without the entry, such as every one signed before it was there, sends what it always sent."""
    document = complete_document()
    assert parse_agreement(document).contact_months == document["window"]["months"] == 12
    document["window"].update(rolling=True, contact_months=24)
    agreement = parse_agreement(document)
    assert (agreement.months, agreement.contact_months) == (12, 24)
    told = " ".join(line for section in explained(agreement) for line in section.lines)
    assert "Agencies send contacts of 24 months" in told


def test_who_is_sealed_is_told_and_is_everybody_unless_said_otherwise() -> None:
    """An agreement without the entry seals all, as it always did; a draft says false; the explanation says which."""
    document = complete_document()
    assert not parse_agreement(document).everyone
    assert "the others stay at the agency" in _told(document)
    del document["window"]["everyone"]
    assert parse_agreement(document).everyone
    assert "also people without a contact" in _told(document)


def _told(document: dict[str, Any]) -> str:
    return " ".join(line for section in explained(parse_agreement(document)) for line in section.lines)


def test_every_form_of_the_schema_has_words() -> None:
    """Each pattern and format that the schema asks for is told in words, with an example or what it is made of."""

    def forms(value: Any) -> Iterator[str]:
        inner = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for name, each in inner:
            if name in ("pattern", "format") and isinstance(each, str):
                yield each
            yield from forms(each)

    schema = json.loads((Path(__file__).parents[2] / "schemas" / "agreement-v1.schema.json").read_text())
    assert set(forms(schema)) == FORMS.keys()


def test_faults_do_not_hide_other_rules(tmp_path: Path) -> None:
    """A fault of form somewhere leaves the findings elsewhere: all are named at once."""
    document = complete_document()
    document["window"]["months"] = 99
    del document["dpia"]
    del document["parties"][0]["legal"]
    path = tmp_path / "agreement.yaml"
    path.write_text(agreement_yaml(document), encoding="utf-8")
    agreement, findings = agreement_findings(path, today=TODAY)
    assert agreement is None
    assert {found.rule for found in blocks(findings)} == {"D01", "D06", "D13"}


def test_edits_keep_comments_and_order(tmp_path: Path) -> None:
    """A round trip changes what it is told to and nothing else."""
    text = (FIXTURES / "good" / "minimal-draft.yaml").read_text(encoding="utf-8")
    assert edit_text(text, lambda _document: None).count("# dates need no quotes") == 1
    edited = edit_text(text, lambda document: document["window"].update(months=6))
    assert edited == edit_text(text, lambda _document: None).replace("months: 12", "months: 6")
    path = tmp_path / "edited.yaml"
    path.write_text(edited, encoding="utf-8")
    assert read_document(path)["window"]["months"] == 6


def test_edit_refuses_equal_keys() -> None:
    """A document with equal keys is not edited: one of them would be lost."""
    with pytest.raises(AgreementInvalid, match="line 2, column 1: a key stands twice"):
        edit_text("a: 1\na: 2\n", lambda _document: None)


LINES = (FIXTURES / "good" / "minimal-draft.yaml").read_text(encoding="utf-8").splitlines(keepends=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(LINES) - 1),
    put=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=12),
    drop=st.booleans(),
)
def test_any_text_is_read_or_refused(at: int, put: str, drop: bool, tmp_path: Path) -> None:
    """Whatever stands in a line, the reader gives findings or one refusal, and never anything else."""
    path = tmp_path / "agreement.yaml"
    path.write_text("".join([*LINES[:at], put, *LINES[at + drop :]]), encoding="utf-8", newline="")
    with contextlib.suppress(AgreementInvalid):
        agreement_findings(path, today=TODAY)


@given(st.text(max_size=40))
def test_any_small_text_is_a_document_or_refused(text: str) -> None:
    """The reader of documents raises nothing but its own error."""
    try:
        source = parse_source(text, where="x")
    except AgreementInvalid:
        return
    assert isinstance(source.document, dict)
    assert all(fault.place for fault in source.faults)


def test_values_are_not_repeated(tmp_path: Path) -> None:
    """What stands in a wrong field, or as an unknown entry's name, is in no finding."""
    document = complete_document()
    document["status"] = "QUILLFEATHER"
    document["QUILLFEATHER"] = 1
    document["parties"][0]["QUILLFEATHER"] = "QUILLFEATHER"
    document["parties"][1]["regime"] = "QUILLFEATHER"
    document["parties"][1]["legal"][0]["gateways"] = ["quillfeather"]
    document["matching"]["threshold"] = "QUILLFEATHER"
    path = tmp_path / "agreement.yaml"
    path.write_text(agreement_yaml(document), encoding="utf-8")
    _, findings = agreement_findings(path, today=TODAY)
    assert len(findings) >= 5
    assert "quillfeather" not in str(findings).lower()


def test_a_document_is_parsed_once_however_strictly() -> None:
    """What only YAML 1.1 reads otherwise is named to a strict reader; equal keys to everybody; from one parse."""
    text = "name: no\nother: 1\nother: 2\n# parsed by no other test\n"
    before = _parsed.cache_info().misses
    lax, strict = (parse_source(text, where="x", strict=strict).faults for strict in (False, True))
    assert [str(fault.place) for fault in lax] == ["line 3, column 1"]
    assert [str(fault.place) for fault in strict] == ["line 3, column 1", "line 1, column 7"]
    assert _parsed.cache_info().misses == before + 1
