"""The catalogue of rules about an agreement, D01 to D22 (docs/spec/agreement-v1.md, section Rules)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from governance.rules import agreement_care as care
from governance.rules import agreement_form as form
from governance.rules import agreement_legal as legal
from governance.rules.agreement_subject import AgreementSubject
from governance.rules.base import Finding, Moment, Rule, Severity

_Question = Callable[[AgreementSubject], Iterator[Finding]]
_MOMENTS = frozenset({Moment.AGREEMENT})
_B, _A = Severity.BLOCK, Severity.AMBER


def _cited(ask: _Question, why: str) -> Callable[[AgreementSubject], Iterable[Finding]]:
    """Give each finding that has no citation of its own that of its rule."""

    def cited(subject: AgreementSubject) -> Iterable[Finding]:
        return (found if found.why else replace(found, why=why) for found in ask(subject))

    return cited


def _rule(rule_id: str, severity: Severity, title: str, why: str, ask: _Question) -> Rule[AgreementSubject]:
    return Rule(id=rule_id, severity=severity, moments=_MOMENTS, title=title, why=why, ask=_cited(ask, why))


RULES: tuple[Rule[AgreementSubject], ...] = (
    _rule("D01", _B, "The document is well-formed and complete", "ICO data sharing code", form.d01_form),
    _rule("D02", _B, "It is active and in force today", "Agreement, in_force", form.d02_in_force),
    _rule(
        "D03",
        _B,
        "Every controller signed it, each with a key of its own",
        "UK GDPR, Article 5(2)",
        form.d03_signatures,
    ),
    _rule(
        "D04",
        _B,
        "The job runs under the version that was signed",
        "UK GDPR, Article 5(1)(b)",
        form.d04_same_agreement,
    ),
    _rule("D05", _B, "The job has an agreed purpose", "UK GDPR, Article 5(1)(b)", form.d05_purpose),
    _rule(
        "D06",
        _B,
        "Each controller has a lawful basis for each purpose",
        "UK GDPR, Article 6; Data Protection Act 2018, section 35",
        legal.d06_lawful_basis,
    ),
    _rule(
        "D07",
        _B,
        "Special category data has its conditions",
        "UK GDPR, Article 9; Data Protection Act 2018, section 10 and Schedule 1",
        legal.d07_special_category,
    ),
    _rule(
        "D08",
        _B,
        "Law enforcement parties cite Schedule 8",
        "Data Protection Act 2018, Part 3, section 35(5)",
        legal.d08_right_schedule,
    ),
    _rule(
        "D09",
        _A,
        "Nobody relies on consent",
        "ICO data sharing code; UK GDPR, recital 43",
        legal.d09_no_consent,
    ),
    _rule(
        "D10",
        _B,
        "Gateways are in force and fit agency and people",
        "the register of gateways",
        legal.d10_gateways,
    ),
    _rule(
        "D11",
        _A,
        "Public authorities stay on public task",
        "UK GDPR, Article 6(1), last sentence",
        legal.d11_public_task,
    ),
    _rule(
        "D12",
        _B,
        "Policy documents are there and reviewed",
        "Data Protection Act 2018, section 42 and Schedule 1, Part 4",
        legal.d12_policy_document,
    ),
    _rule("D13", _B, "The impact assessment is approved and reviewed", "UK GDPR, Article 35", care.d13_dpia),
    _rule("D14", _A, "The agreement itself is reviewed in time", "ICO data sharing code", care.d14_review),
    _rule(
        "D15",
        _B,
        "Joint controllers and processors have their documents",
        "UK GDPR, Articles 26 and 28",
        care.d15_contracts,
    ),
    _rule("D16", _B, "Everything made has a time to be kept", "UK GDPR, Article 5(1)(e)", care.d16_retention),
    _rule("D17", _A, "Each party names its roles", "ICO data sharing code", care.d17_roles),
    _rule("D18", _A, "People know how to use their rights", "UK GDPR, Articles 12 to 22", care.d18_rights),
    _rule(
        "D19",
        _A,
        "Privacy notices were checked within a year",
        "UK GDPR, Articles 13 and 14",
        care.d19_privacy_notice,
    ),
    _rule(
        "D20",
        _B,
        "Health and care say whether the National Data Opt-out applies",
        "National Data Opt-out policy",
        legal.d20_opt_out,
    ),
    _rule("D21", _A, "Each field is used and necessary", "UK GDPR, Article 5(1)(c)", care.d21_necessity),
    _rule("D22", _B, "It is no wider than what was signed", "UK GDPR, Article 5(1)(b)", form.d22_not_wider),
)
