"""Rules D06 to D12 and D20: lawful basis, conditions, gateways, policy documents, the opt-out.

They check that an agreement *says* what the law asks it to say. Whether the basis is right is for lawyers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from governance.register import Gateway
from governance.rules.agreement_subject import AgreementSubject, amber, block
from governance.rules.base import Finding

PART_3 = "dpa2018_part3"
_NEED_CONDITION = frozenset({"9(2)(b)", "9(2)(g)", "9(2)(h)", "9(2)(i)", "9(2)(j)"})
"""Article 9 conditions that need one of Schedule 1 besides (Data Protection Act 2018, section 10)."""

_NEED_NO_POLICY = frozenset({"sch1-para-2", "sch1-para-3", "sch1-para-4"})
"""Health or social care, public health, research: Schedule 1 asks for no policy document there."""


def _is_part_3(party: Mapping[str, Any]) -> bool:
    return party.get("regime") == PART_3


def d06_lawful_basis(subject: AgreementSubject) -> Iterator[Finding]:
    """A controller and a purpose without an Article 6 basis (or, under Part 3, a section 35 basis)."""
    for number, party in subject.controllers:
        part_3 = _is_part_3(party)
        key, name = ("part_3_basis", "basis under section 35") if part_3 else ("article_6", "Article 6 basis")
        for _, purpose in subject.items("purposes"):
            found = subject.legal(party, purpose["id"])
            if found is not None and key in found[1]:
                continue
            path = (number,) if found is None else (number, "legal", found[0])
            yield block(
                "D06",
                f"{party['id']} names no {name} for the purpose {purpose['id']}.",
                where=subject.place("parties", *path),
                fix=f"Let its data protection officer enter legal: purpose {purpose['id']}, {key}.",
                owner=party["id"],
            )


def _is_special(subject: AgreementSubject) -> bool:
    """Whether special category data is processed: a field says so, or contact with a party reveals health."""
    flagged = any(entry.get("special_category") for _, entry in subject.items("fields"))
    return flagged or any(True for _ in subject.health_parties)


def d07_special_category(subject: AgreementSubject) -> Iterator[Finding]:
    """Special category data without an Article 9 condition and one of the Data Protection Act 2018."""
    if not _is_special(subject):
        return
    for number, party, at, entry in subject.reliances():
        missing = []
        if _is_part_3(party):
            missing = [] if "dpa_condition" in entry else ["a condition of Schedule 8 (dpa_condition)"]
        else:
            if "article_9" not in entry:
                missing.append("an Article 9 condition (article_9)")
            if entry.get("article_9", "9(2)(g)") in _NEED_CONDITION and "dpa_condition" not in entry:
                missing.append("a condition of Schedule 1 (dpa_condition)")
        if missing:
            yield block(
                "D07",
                f"{party['id']} processes special category data for {entry['purpose']} without "
                f"{' and '.join(missing)}.",
                where=subject.place("parties", number, "legal", at),
                fix="Let its data protection officer enter it; contact with health or care is health data.",
                owner=party["id"],
            )


def d08_right_schedule(subject: AgreementSubject) -> Iterator[Finding]:
    """A Part 3 party that cites Schedule 1, or another that cites Schedule 8."""
    for number, party, at, entry in subject.reliances():
        right, wrong = ("8", "1") if _is_part_3(party) else ("1", "8")
        if str(entry.get("dpa_condition", "")).startswith(f"sch{wrong}-"):
            regime = "Part 3 of the Act" if _is_part_3(party) else "the UK GDPR"
            yield block(
                "D08",
                f"{party['id']} processes under {regime} but cites Schedule {wrong}.",
                where=subject.place("parties", number, "legal", at, "dpa_condition"),
                fix=f"Cite a condition of Schedule {right}, or correct the regime.",
                owner=party["id"],
            )


def d09_no_consent(subject: AgreementSubject) -> Iterator[Finding]:
    """Consent as a basis: it cannot be refused or withdrawn freely here."""
    for number, party, at, entry in subject.reliances():
        for key, consent in (
            ("article_6", "6(1)(a)"),
            ("article_9", "9(2)(a)"),
            ("part_3_basis", "s35(2)(a)"),
        ):
            if entry.get(key) == consent:
                yield amber(
                    "D09",
                    f"{party['id']} relies on consent for {entry['purpose']}.",
                    where=subject.place("parties", number, "legal", at, key),
                    fix="Safeguarding cannot depend on consent; consider public task.",
                    owner=party["id"],
                )


def _wrong_gateway(
    row: Gateway | None, subject: AgreementSubject, party: Mapping[str, Any], people: frozenset[str]
) -> str | None:
    if row is None:
        return "is not in the register"
    if row.type != "gateway":
        return "is no gateway"
    if row.in_force_from is None:
        return "is not known to be in force: the register has no first day for it"
    if not row.in_force(subject.today):
        return "is not in force today, as far as the register knows"
    if not row.personal_data:
        return "covers only depersonalised information, and this is personal data"
    if not row.is_for(party["agency_type"]):
        return f"is not for agencies of the type {party['agency_type']}"
    return None if row.covers(people) else "is not for the people of this purpose"


def d10_gateways(subject: AgreementSubject) -> Iterator[Finding]:
    """A gateway that is not in force, or wrong for the agency type or the people; amber when long unchecked."""
    people = {p["id"]: frozenset(p.get("subjects", ())) for _, p in subject.items("purposes")}
    unchecked: set[str] = set()
    for number, party, at, entry in subject.reliances():
        for position, name in enumerate(entry.get("gateways", ())):
            row = subject.register.get(name)
            path = ("parties", number, "legal", at, "gateways", position)
            reason = _wrong_gateway(row, subject, party, people.get(entry["purpose"], frozenset()))
            if reason is not None:
                yield block(
                    "D10",
                    f"{party['id']} cites the gateway {name if row else 'named here'}, which {reason}.",
                    where=subject.place(*path),
                    why=row.citation if row else "",
                    fix="Cite a gateway that fits (tallystick agreement gateways), or have the register corrected.",
                    owner=party["id"],
                )
            elif row is not None and row.unchecked(subject.today) and name not in unchecked:
                unchecked.add(name)
                yield amber(
                    "D10",
                    f"The register's row {name} was last checked on {row.checked_on.isoformat()}.",
                    where=subject.place(*path),
                    why=row.citation,
                    fix="Have it compared with the law, and set checked_on.",
                    owner="data protection officer",
                )


def is_public(party: Mapping[str, Any]) -> bool:
    """Whether a party is a public authority; all are but the voluntary sector, unless the agreement says so."""
    return bool(party.get("public_authority", party["agency_type"] not in {"voluntary", "charity"}))


def d11_public_task(subject: AgreementSubject) -> Iterator[Finding]:
    """A public authority on legitimate interests, recognised or not."""
    for number, party, at, entry in subject.reliances():
        if entry.get("article_6") in {"6(1)(ea)", "6(1)(f)"} and is_public(party):
            yield amber(
                "D11",
                f"{party['id']} is a public authority but relies on Article {entry['article_6']}.",
                where=subject.place("parties", number, "legal", at, "article_6"),
                fix="Public authorities should stay on public task, 6(1)(e); or set public_authority: false.",
                owner=party["id"],
            )


def d12_policy_document(subject: AgreementSubject) -> Iterator[Finding]:
    """An appropriate policy document missing, or its review overdue (amber)."""
    for number, party, at, entry in subject.reliances():
        condition = entry.get("dpa_condition")
        if condition is None or condition in _NEED_NO_POLICY:
            continue
        policy, path = entry.get("policy_document"), ("parties", number, "legal", at)
        if policy is None:
            yield block(
                "D12",
                f"{party['id']} cites {condition} for {entry['purpose']} without a policy document.",
                where=subject.place(*path),
                fix="Enter policy_document: ref and review_due.",
                owner=party["id"],
            )
        elif policy.get("review_due", "") < subject.today.isoformat():
            due = policy.get("review_due")
            yield amber(
                "D12",
                f"The policy document of {party['id']} "
                + (f"was due for review on {due}." if due else "has no review date."),
                where=subject.place(*path, "policy_document"),
                fix="Review it, and enter the next date.",
                owner=party["id"],
                due=due,
            )


def d20_opt_out(subject: AgreementSubject) -> Iterator[Finding]:
    """The position on the National Data Opt-out undeclared, or declared not to apply without a reason."""
    needs_reason = any(p["kind"] != "individual_safeguarding" for _, p in subject.items("purposes"))
    for number, party in subject.health_parties:
        opt_out = party.get("opt_out")
        if opt_out is None:
            yield block(
                "D20",
                f"{party['id']} does not say whether the National Data Opt-out applies.",
                where=subject.place("parties", number),
                fix="Enter opt_out: position (applies or does_not_apply) and reason.",
                owner=party["id"],
            )
        elif opt_out["position"] == "does_not_apply" and needs_reason and not opt_out.get("reason"):
            yield block(
                "D20",
                f"{party['id']} says that the National Data Opt-out does not apply to planning or research, "
                "without a reason.",
                where=subject.place("parties", number, "opt_out"),
                fix="Enter opt_out: reason.",
                owner=party["id"],
            )
