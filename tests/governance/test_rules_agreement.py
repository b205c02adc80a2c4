"""Rules D01 to D22: a complete agreement passes each, and each finds what it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from governance.agreement import agreement_faults
from governance.agreement_signatures import Signatures
from governance.register import shipped_register
from governance.rules.agreement import RULES
from governance.rules.agreement_subject import AgreementSubject, Job
from governance.rules.base import Finding, Severity
from schemas.canonical import digest
from tests.governance.agreements import AGENCIES, TODAY, complete_document

Change = Callable[[dict[str, Any]], Any]
BY_ID = {rule.id: rule for rule in RULES}
B, A = Severity.BLOCK, Severity.AMBER


def subject(change: Change = lambda _document: None, **over: Any) -> AgreementSubject:
    """The complete agreement, signed by all, after `change` was made to it."""
    document = complete_document()
    change(document)
    faults = tuple(agreement_faults(document))
    made = AgreementSubject(
        document=document,
        today=TODAY,
        register=shipped_register(),
        faults=faults,
        digest=None if faults else digest(document),
        signatures=Signatures(signers=frozenset(AGENCIES)),
        where="agreement.yaml",
    )
    return replace(made, **over)


def ask(rule: str, about: AgreementSubject) -> list[Finding]:
    """What a rule finds."""
    return list(BY_ID[rule].ask(about))


def party(document: dict[str, Any], name: str) -> dict[str, Any]:
    """An agency's entry."""
    return next(entry for entry in document["parties"] if entry["id"] == name)


def legal(document: dict[str, Any], name: str) -> dict[str, Any]:
    """What an agency relies on."""
    entry: dict[str, Any] = party(document, name)["legal"][0]
    return entry


def _share_signing_key(document: dict[str, Any]) -> None:
    party(document, "police")["keys"]["signing_key"] = party(document, "health")["keys"]["signing_key"]


def _earlier(change: Change) -> Signatures:
    """Signatures of nobody over this version, and a signed version that differed by `change`."""
    before = complete_document()
    change(before)
    return Signatures(earlier=(before,))


def _signed(*names: str, **broken: str) -> Signatures:
    """Signatures of these parties, and files that prove nothing."""
    return Signatures(signers=frozenset(names), broken=broken)


def _research_without_reason(document: dict[str, Any]) -> None:
    document["purposes"][0]["kind"] = "research"
    party(document, "health")["opt_out"].pop("reason")


def _policy_overdue(document: dict[str, Any]) -> None:
    legal(document, "health")["policy_document"]["review_due"] = "2026-11-21"


DAY = timedelta(days=1)
FAILS: list[tuple[str, AgreementSubject, Severity, str]] = [
    ("D01", subject(lambda d: d.update(colour="red")), B, "an entry here that the schema does not know"),
    ("D01", subject(lambda d: d.pop("window")), B, "a required entry is missing: window"),
    ("D01", subject(lambda d: d.pop("exclusions")), B, "missing from an active agreement: exclusions"),
    ("D01", subject(lambda d: d["rights"].update(access="TODO: who")), B, "placeholder"),
    ("D02", subject(lambda d: d.update(status="draft")), B, "draft and binds nobody"),
    ("D02", subject(lambda d: d.update(status="suspended")), B, "is suspended"),
    ("D02", subject(today=TODAY - DAY), B, "not today"),
    ("D02", subject(today=TODAY + timedelta(days=366)), B, "not today"),
    ("D03", subject(signatures=_signed("police", "health")), B, "childrens_social_care has not signed"),
    ("D03", subject(signatures=_signed(*AGENCIES, torn="cannot be read")), B, "signature file torn cannot be read"),
    ("D03", subject(_share_signing_key), B, "health and police have the same signing key"),
    ("D04", subject(job=Job(agreement_digest="sha256:" + "0" * 64)), B, "another agreement"),
    ("D05", subject(job=Job(purpose="research")), B, "does not name"),
    ("D06", subject(lambda d: legal(d, "health").pop("article_6")), B, "health names no Article 6 basis"),
    ("D06", subject(lambda d: party(d, "health").update(legal=[])), B, "health names no Article 6 basis"),
    ("D06", subject(lambda d: legal(d, "police").pop("part_3_basis")), B, "police names no basis under section 35"),
    ("D07", subject(lambda d: legal(d, "health").pop("article_9")), B, "without an Article 9 condition"),
    ("D07", subject(lambda d: legal(d, "health").pop("dpa_condition")), B, "a condition of Schedule 1"),
    ("D07", subject(lambda d: legal(d, "police").pop("dpa_condition")), B, "a condition of Schedule 8"),
    ("D08", subject(lambda d: legal(d, "police").update(dpa_condition="sch1-para-18")), B, "cites Schedule 1"),
    ("D08", subject(lambda d: legal(d, "health").update(dpa_condition="sch8-para-4")), B, "cites Schedule 8"),
    ("D09", subject(lambda d: legal(d, "health").update(article_6="6(1)(a)")), A, "relies on consent"),
    ("D10", subject(lambda d: legal(d, "health").update(gateways=["ca2004-s16la"])), B, "is not known to be in force"),
    ("D10", subject(lambda d: legal(d, "health").update(gateways=["ca1989-s17"])), B, "not for agencies of the type"),
    ("D10", subject(lambda d: legal(d, "health").update(gateways=["cda1998-s17a"])), B, "only depersonalised"),
    ("D10", subject(lambda d: legal(d, "health").update(gateways=["sch1-para-18"])), B, "is no gateway"),
    ("D10", subject(lambda d: legal(d, "health").update(gateways=["made-up"])), B, "is not in the register"),
    ("D10", subject(lambda d: d["purposes"][0].update(subjects=["adults"])), B, "not for the people of this purpose"),
    ("D11", subject(lambda d: legal(d, "health").update(article_6="6(1)(f)")), A, "public authority but relies"),
    ("D12", subject(lambda d: legal(d, "health").pop("policy_document")), B, "without a policy document"),
    ("D12", subject(_policy_overdue), A, "due for review"),
    ("D13", subject(lambda d: d.pop("dpia")), B, "no approved data protection impact assessment"),
    ("D13", subject(lambda d: d["dpia"].pop("approved")), B, "lacks: approved"),
    ("D13", subject(lambda d: d["dpia"].update(approved="2026-11-23")), B, "in the future"),
    ("D13", subject(lambda d: d["dpia"].update(review_due="2026-11-21")), A, "was due for review"),
    ("D14", subject(lambda d: d.update(review_due="2026-11-21")), A, "was due for review on 2026-11-21"),
    ("D14", subject(lambda d: d.update(review_due="2026-08-23")), B, "was due for review on 2026-08-23"),
    ("D15", subject(lambda d: d.pop("joint_controller_arrangement")), B, "joint controllers without an arrangement"),
    ("D15", subject(lambda d: party(d, "health").update(role="processor")), B, "a processor without a contract"),
    ("D15", subject(lambda d: d["linkage_unit"].pop("contract")), B, "linkage unit has no contract"),
    ("D16", subject(lambda d: d["retention"].pop()), B, "how long a log is kept"),
    ("D17", subject(lambda d: party(d, "health")["contacts"].pop("siro")), A, "senior information risk owner"),
    ("D17", subject(lambda d: party(d, "health")["contacts"].pop("caldicott_guardian")), A, "Caldicott guardian"),
    ("D18", subject(lambda d: d["rights"].pop("erasure")), A, "these rights: erasure"),
    ("D19", subject(lambda d: party(d, "police").pop("privacy_notice")), A, "names no privacy notice"),
    ("D19", subject(lambda d: party(d, "police")["privacy_notice"].update(checked="2025-11-21")), A, "last checked"),
    ("D20", subject(lambda d: party(d, "health").pop("opt_out")), B, "does not say whether the National Data Opt-out"),
    ("D20", subject(_research_without_reason), B, "without a reason"),
    ("D21", subject(lambda d: d["fields"][2].pop("necessity")), A, "why the field surname is necessary"),
    ("D21", subject(lambda d: d["outputs"]["allowed"].remove("lead_contact")), A, "lead_contact is agreed, but"),
    ("D22", subject(signatures=_earlier(lambda d: d["window"].update(months=6))), B, "from 6 to 12"),
    ("D22", subject(signatures=_earlier(lambda d: d["fields"].pop())), B, "field added: lead_contact"),
    ("D22", subject(signatures=_earlier(lambda d: d["retention"][0].update(days=3))), B, "goes from 3 to 30"),
]  # fmt: skip


@pytest.mark.parametrize("rule", [pytest.param(rule.id, id=f"rules-{rule.id}-passes") for rule in RULES])
def test_rule_passes(rule: str) -> None:
    """A complete agreement, signed by all, with the job's own digest and purpose, gives no finding."""
    whole = subject()
    job = Job(agreement_digest=whole.digest, purpose="safeguarding")
    assert ask(rule, replace(whole, job=job)) == []


@pytest.mark.parametrize(
    ("rule", "about", "severity", "words"),
    [pytest.param(*case, id=f"rules-{case[0]}-fails-{number}") for number, case in enumerate(FAILS)],
)
def test_rule_fails(rule: str, about: AgreementSubject, severity: Severity, words: str) -> None:
    """The rule finds it, weighs it as the catalogue says, and says why, what to do and who."""
    found = [finding for finding in ask(rule, about) if words in finding.sentence]
    assert found, [finding.sentence for finding in ask(rule, about)]
    for finding in found:
        assert (finding.rule, finding.severity) == (rule, severity)
        assert finding.why
        assert finding.fix
        assert finding.owner
        assert finding.where.startswith("agreement.yaml")


def test_every_rule_is_tested() -> None:
    """The catalogue is D01 to D22, and each of them stands among the failing cases."""
    assert [rule.id for rule in RULES] == [f"D{number:02d}" for number in range(1, 23)]
    assert {case[0] for case in FAILS} == set(BY_ID)


def test_one_fault_one_finding() -> None:
    """What one rule says no other repeats: each fault is found by its own rule alone."""
    for rule, about, _, words in FAILS:
        if about.today == TODAY and rule != "D22":  # other days and other versions concern several rules
            others = [found.sentence for other in BY_ID if other != rule for found in ask(other, about)]
            assert others == [], (rule, words)


def test_signed_again_is_not_wider() -> None:
    """A wider version that every controller has signed is no widening any more."""
    signed = _earlier(lambda d: d["window"].update(months=6))
    assert ask("D22", subject(signatures=replace(signed, signers=frozenset(AGENCIES)))) == []


def test_narrower_is_not_wider() -> None:
    """A change that takes something away does not need rule D22, only signatures."""
    assert ask("D22", subject(signatures=_earlier(lambda d: d["window"].update(months=24)))) == []


def test_unchecked_register_row_is_amber() -> None:
    """A cited row that nobody compared with the law for a year is named once, and does not block."""
    late = subject(today=date(2027, 11, 23))
    found = [f for f in ask("D10", late) if "was last checked on" in f.sentence]
    assert found
    assert {f.severity for f in found} == {A}
    assert len({f.sentence for f in found}) == len(found)


def test_processor_need_not_sign() -> None:
    """Only controllers sign."""

    def change(document: dict[str, Any]) -> None:
        party(document, "health").update(role="processor", processor_contract={"ref": "C-1"})

    signed = Signatures(signers=frozenset({"police", "childrens_social_care"}))
    assert ask("D03", subject(change, signatures=signed)) == []


def test_private_body_may_rest_on_recognised_interests() -> None:
    """6(1)(ea) is for bodies that are no public authority."""

    def change(document: dict[str, Any]) -> None:
        party(document, "health")["public_authority"] = False
        legal(document, "health")["article_6"] = "6(1)(ea)"

    assert ask("D11", subject(change)) == []


def test_planned_reason_is_not_asked_of_safeguarding() -> None:
    """Individual safeguarding may say that the opt-out does not apply without a reason; the position is enough."""
    assert ask("D20", subject(lambda d: party(d, "health")["opt_out"].pop("reason"))) == []
