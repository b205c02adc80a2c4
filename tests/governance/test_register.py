"""The register of gateways: the law as data, with a warning when nobody looked for a year."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest

import governance.register
from governance.agreement import parse_agreement
from governance.agreement_dpv import FIELD_TERMS, dpv_annex
from governance.agreement_reading import parse_source
from governance.draft import agreement_yaml
from governance.register import NO_ADVICE, load_register, register_warnings, shipped_register, unconfirmed
from governance.register.compiled import compiled, document_of, shipped
from schemas.errors import AgreementInvalid
from tests.conftest import run
from tests.governance.agreements import complete_document

ROW = """  - id: {id}
    type: gateway
    citation: An Act, section 1
    url: {url}
    kind: {kind}
    agency_types: [police]
    subjects: [children]
    in_force_from: "2020-01-01"
    checked_on: "2026-01-01"
"""


def written(path: Path, *rows: str) -> Path:
    """Write a register."""
    path.write_text("register: 1\nrows:\n" + "".join(rows), encoding="utf-8")
    return path


def row(**over: str) -> str:
    """A row."""
    return ROW.format(**{"id": "a", "url": "https://example.org", "kind": "duty", **over})


def test_shipped_register_has_the_law_that_agreements_cite() -> None:
    """Every gateway of the domain is there, with citation, address, kind, agencies, people and a day of checking."""
    register = shipped_register()
    assert {
        "ca1989-s17", "ca1989-s47", "ca2004-s10", "ca2004-s11", "ca2004-s16la", "ca2004-s16lc", "care-act-2014-s42",
        "care-act-2014-s45", "cda1998-s17a", "cda1998-s115", "hsca2012-s251b", "dea2017-s35", "ukgdpr-6-1-c",
        "ukgdpr-6-1-e", "ukgdpr-6-1-ea", "ukgdpr-9-2-g", "ukgdpr-9-2-h", "sch1-para-18", "sch8-para-4",
        "national-data-opt-out",
    } <= register.keys()  # fmt: skip
    assert register["cda1998-s115"].kind == "power"
    assert not register["cda1998-s17a"].personal_data
    assert not register["ca2004-s16la"].in_force(date(2026, 11, 22))
    assert register["ukgdpr-6-1-ea"].in_force(date(2026, 2, 5))
    assert not register["ukgdpr-6-1-ea"].in_force(date(2026, 2, 4))


def test_rows_fit_agencies_and_people() -> None:
    """A row is for the agency types and the people that it names, or for any."""
    register = shipped_register()
    assert register["care-act-2014-s42"].is_for("adults_social_care")
    assert not register["care-act-2014-s42"].is_for("police")
    assert register["cda1998-s115"].is_for("anything")
    assert not register["ca1989-s17"].covers(frozenset({"adults"}))
    assert register["ca1989-s17"].covers(frozenset({"adults", "children"}))


def test_row_unchecked_for_a_year_is_named() -> None:
    """A year and a day after its checking each row is named; on the day itself none is."""
    register = shipped_register()
    old = [
        warning
        for warning in register_warnings(register, today=date(2027, 11, 22))
        if "last checked" in warning
    ]
    assert old == []
    warnings = register_warnings(register, today=date(2027, 11, 23))
    assert sum("last checked" in warning for warning in warnings) == len(register)


def test_own_register_is_read(tmp_path: Path) -> None:
    """An organisation keeps its own rows."""
    register = load_register(written(tmp_path / "own.yaml", row(), row(id="b", kind="power")))
    assert list(register) == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ((row(), row()), "rows[1].id"),
        ((row(kind="right"),), "rows[0]"),
        ((row(url="http://x"),), "rows[0]"),
        ((row().replace("2020-01-01", "2020-13-01"),), "rows[0]"),
        ((row() + "    colour: red\n",), "rows[0]"),
        ((row().replace('    checked_on: "2026-01-01"\n', ""),), "rows[0]"),
    ],
)
def test_bad_register_is_refused(tmp_path: Path, rows: tuple[str, ...], where: str) -> None:
    """Two rows of one id, an unknown kind, an unsafe address, no date: each is refused with its place."""
    with pytest.raises(AgreementInvalid) as caught:
        load_register(written(tmp_path / "own.yaml", *rows))
    assert where in str(caught.value)


def test_command_lists_it_and_says_that_it_is_no_advice() -> None:
    """Text and JSON both begin with what the register is not."""
    text = run("agreement", "gateways").stdout
    assert text.startswith(NO_ADVICE)
    assert "Crime and Disorder Act 1998, section 115" in text
    assert "NOT known to be in force" in text
    listed = json.loads(run("agreement", "gateways", "--for", "fire_and_rescue", "--json").stdout)
    assert listed["notice"] == NO_ADVICE
    assert "ca1989-s17" not in {entry["id"] for entry in listed["rows"]}


def test_own_register_counts_in_the_check(tmp_path: Path) -> None:
    """A gateway that the register at hand does not know blocks."""
    complete = Path(__file__).parent / "fixtures" / "agreements" / "good" / "complete.yaml"
    own = written(tmp_path / "own.yaml", row())
    result = run("agreement", "check", complete, "--on", "2026-11-22", "--register", own)
    assert result.exit_code == 1
    assert "is not in the register" in result.stdout


def test_each_row_says_whether_it_was_confirmed() -> None:
    """A row that was confirmed says where; one that was not says which part was not found."""
    for entry in shipped_register().values():
        assert entry.confirmed_by, entry.id
        assert entry.to_dict(date(2026, 11, 22))["confirmed"] == ("yes" if entry.confirmed else "no")
        if not entry.confirmed:
            assert any(word in entry.confirmed_by for word in ("not found", "only", "not looked up")), (
                entry.id
            )


def test_own_rows_are_unconfirmed_until_they_say_so(tmp_path: Path) -> None:
    """`confirmed` is yes or no and nothing else; without it a row counts as not confirmed."""
    said = row(id="b") + '    confirmed: "yes"\n    confirmed_by: Counsel, 3 November\n'
    register = load_register(written(tmp_path / "own.yaml", row(), said))
    assert [entry.confirmed for entry in register.values()] == [False, True]
    assert unconfirmed(register.values()) == ["a (An Act, section 1) is not confirmed."]
    with pytest.raises(AgreementInvalid):
        load_register(written(tmp_path / "bad.yaml", row() + "    confirmed: perhaps\n"))


def agreement(tmp_path: Path, gateway: str) -> Path:
    """Write a complete agreement whose children's social care cites one gateway."""
    document = complete_document()
    for party in document["parties"]:
        for entry in party.get("legal", ()):
            entry.pop("gateways", None)
    document["parties"][0]["legal"][0]["gateways"] = [gateway]
    path = tmp_path / "agreement.yaml"
    path.write_text(agreement_yaml(document), encoding="utf-8")
    return path


def test_what_is_not_confirmed_is_shown(tmp_path: Path) -> None:
    """`agreement check`, `check`, `explain` and `gateways` say which of the law that is cited was not confirmed."""
    path = agreement(tmp_path, "cda1998-s115")
    said = "cda1998-s115 (Crime and Disorder Act 1998, section 115 (disclosure of information)) is not confirmed: "
    text = run("agreement", "check", path, "--on", "2026-11-22").stdout
    assert said in text
    told = json.loads(run("agreement", "check", path, "--on", "2026-11-22", "--json").stdout)["not_confirmed"]
    assert any(sentence.startswith(said) for sentence in told)
    checked = json.loads(run("check", path, "--on", "2026-11-22", "--json").stdout)["reports"][0]
    assert any(sentence.startswith(said) for sentence in checked["not_checked"])
    explained = run("agreement", "explain", path).stdout
    assert said in explained
    assert "section 115 (disclosure of information) [not confirmed]" in explained
    listed = run("agreement", "gateways").stdout
    assert "NOT confirmed: Its words as enacted, a power. Its day was not found" in listed
    confirmed = run("agreement", "check", agreement(tmp_path, "ca2004-s11"), "--on", "2026-11-22").stdout
    assert "ca2004-s11 (" not in confirmed


@pytest.mark.parametrize("gateway", ["ca2004-s16la", "ca2004-s16lc"])
def test_law_without_a_first_day_is_not_known_to_be_in_force(tmp_path: Path, gateway: str) -> None:
    """The duty to share of 2026 has no day yet: citing it blocks in these words, and every list warns of it."""
    path = agreement(tmp_path, gateway)
    checked = run("agreement", "check", path, "--on", "2026-11-22")
    assert checked.exit_code == 1
    assert f"{gateway}, which is not known to be in force" in checked.stdout
    assert "[not known to be in force]" in run("agreement", "explain", path).stdout
    listed = run("agreement", "gateways")
    assert "NOT known to be in force" in listed.stdout
    assert f"Warning: {gateway} is not known to be in force" in listed.stderr


TERMS_OF_DPV = {
    "dpv:Adult", "dpv:Child", "dpv:DataController", "dpv:DataProcessor", "dpv:DataSubject", "dpv:Encryption",
    "dpv:JointDataControllers", "dpv:LegalBasis", "dpv:PersonalData", "dpv:Process", "dpv:Pseudonymisation",
    "dpv:Purpose", "dpv:SpecialCategoryPersonalData", "dpv:StorageDuration", "dpv:VulnerableDataSubject",
    "dpv:hasDataSubject", "dpv:hasEntity", "dpv:hasLegalBasis", "dpv:hasPersonalData", "dpv:hasPurpose",
    "dpv:hasStorageCondition", "dpv:hasTechnicalMeasure", "pd:BirthDate", "pd:Contact", "pd:Gender", "pd:Identifier",
    "pd:Name", "pd:OfficialID", "pd:PhysicalAddress", "pd:PostalCode", "eu-gdpr:A6-1-c", "eu-gdpr:A6-1-e",
    "eu-gdpr:A9-2-g", "eu-gdpr:A9-2-h",
}  # fmt: skip
"""Compared with the term lists of DPV 2.0, 2.2 and 2.3: all are in each of them."""


def test_dpv_annex_uses_terms_that_dpv_has() -> None:
    """Every class and property of the annex is in the published vocabulary."""
    annex = json.dumps(dpv_annex(parse_agreement(complete_document())))
    used = set(re.findall(r'"((?:dpv|pd|eu-gdpr):[A-Za-z0-9-]+)"', annex))
    assert "eu-gdpr:A6-1-e" in used
    assert used <= TERMS_OF_DPV
    assert set(FIELD_TERMS.values()) <= TERMS_OF_DPV


def test_the_compiled_register_is_the_register() -> None:
    """The JSON holds what the YAML does; otherwise run: python -m governance.register."""
    text, document = shipped()
    assert document is not None
    assert document == parse_source(text, where="gateways.yaml").document
    beside = Path(governance.register.__file__).with_name("gateways.json")
    assert beside.read_text(encoding="utf-8") == compiled(text, document)


@pytest.mark.parametrize("made", ["", "[]", "{}", "null", '{"of": 1}', '{"of": "sha256:0", "document": {}}'])
def test_a_corrected_register_is_read_from_its_yaml(monkeypatch: pytest.MonkeyPatch, made: str) -> None:
    """A JSON that was made from another text, or is none, is not used."""
    text, document = shipped()
    assert document is not None
    assert document_of(text, made) is None
    assert document_of(text + "\n# corrected", compiled(text, document)) is None
    corrected = text.replace("Children Act 1989, section 17", "Children Act 1989, s 17")
    assert corrected != text
    monkeypatch.setattr(governance.register, "shipped", lambda: (corrected, document_of(corrected, made)))
    assert shipped_register.__wrapped__()["ca1989-s17"].citation.startswith("Children Act 1989, s 17")
