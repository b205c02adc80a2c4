"""Rules D13 to D19 and D21: assessments, reviews, contracts, retention, roles, rights, notices, necessity."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from governance.rules.agreement_form import OWNER
from governance.rules.agreement_subject import HEALTH_TYPES, UNIT, AgreementSubject, amber, block
from governance.rules.base import Finding

GRACE = timedelta(days=90)
"""A review this much overdue blocks (rule D14)."""

NOTICE_AGE = timedelta(days=365)
ARTEFACTS = ("package", "run", "return", "crosswalk", "result", "log")
"""Everything that the program makes and that has to be disposed of one day."""

RIGHTS = ("access", "objection", "erasure", "complaints")
_CALDICOTT_TYPES = HEALTH_TYPES | {"childrens_social_care"}


def d13_dpia(subject: AgreementSubject) -> Iterator[Finding]:
    """The data protection impact assessment missing, or its review overdue (amber)."""
    if not subject.sound("dpia"):
        return
    dpia = subject.section("dpia")
    missing = [name for name in ("ref", "approved") if name not in dpia]
    if missing:
        yield block(
            "D13",
            "There is no approved data protection impact assessment."
            if not dpia
            else f"The data protection impact assessment lacks: {', '.join(missing)}.",
            where=subject.place("dpia"),
            fix="Enter dpia: ref, approved and review_due.",
            owner="data protection officer",
        )
    elif dpia["approved"] > subject.today.isoformat():
        yield block(
            "D13",
            "The data protection impact assessment is approved only from a day in the future.",
            where=subject.place("dpia", "approved"),
            fix="Wait for it, or correct the date.",
            owner="data protection officer",
        )
    elif dpia.get("review_due", "") < subject.today.isoformat():
        due = dpia.get("review_due")
        said = f"was due for review on {due}" if due else "has no review date"
        yield amber(
            "D13",
            f"The data protection impact assessment {said}.",
            where=subject.place("dpia"),
            fix="Review it, and enter the next date.",
            owner="data protection officer",
            due=due,
        )


def d14_review(subject: AgreementSubject) -> Iterator[Finding]:
    """The agreement's own review overdue: amber, and a block after 90 days."""
    due = subject.document.get("review_due")
    if due is None or not subject.sound("review_due"):
        return
    late = subject.today - date.fromisoformat(due)
    if late > timedelta(0):
        weigh = block if late > GRACE else amber
        yield weigh(
            "D14",
            f"The agreement was due for review on {due}.",
            where=subject.place("review_due"),
            evidence=f"{late.days} days ago.",
            fix="Review it and have it signed with a new date.",
            owner=OWNER,
            due=due,
        )


def d15_contracts(subject: AgreementSubject) -> Iterator[Finding]:
    """A document of Article 26 (joint controllers) or Article 28 (processors) missing."""
    joint = [party["id"] for _, party in subject.items("parties") if party["role"] == "joint_controller"]
    if joint and "joint_controller_arrangement" not in subject.document:
        yield block(
            "D15",
            "There are joint controllers without an arrangement between them.",
            where=subject.place("joint_controller_arrangement"),
            why="UK GDPR, Article 26",
            evidence=f"{len(joint)} joint controller(s).",
            fix="Enter joint_controller_arrangement: ref.",
            owner=OWNER,
        )
    for number, party in subject.items("parties"):
        if party["role"] == "processor" and "processor_contract" not in party:
            yield block(
                "D15",
                f"{party['id']} is a processor without a contract.",
                where=subject.place("parties", number),
                why="UK GDPR, Article 28",
                fix="Enter processor_contract: ref.",
                owner=party["id"],
            )
    unit = subject.section("linkage_unit")
    if subject.sound("linkage_unit") and not {"contract", "operated_by"} & unit.keys():
        yield block(
            "D15",
            "The linkage unit has no contract, nor is it said which party runs it.",
            where=subject.place("linkage_unit"),
            why="UK GDPR, Article 28",
            fix="Enter linkage_unit: contract (ref), or operated_by when it is part of a party.",
            owner=UNIT,
        )


def d16_retention(subject: AgreementSubject) -> Iterator[Finding]:
    """An artefact without retention."""
    if not subject.sound("retention"):
        return
    kept = {entry["artefact"] for _, entry in subject.items("retention")}
    for artefact in ARTEFACTS:
        if artefact not in kept:
            yield block(
                "D16",
                f"Nothing says how long a {artefact} is kept.",
                where=subject.place("retention"),
                fix="Enter under retention, for each: artefact, days and method.",
                owner=OWNER,
            )


_ROLES = {
    "dpo": "data protection officer (dpo)",
    "siro": "senior information risk owner (siro)",
    "lead_contact": "lead contact",
    "caldicott_guardian": "Caldicott guardian",
}


def d17_roles(subject: AgreementSubject) -> Iterator[Finding]:
    """A named role missing."""
    for number, party in subject.items("parties"):
        wanted = ["dpo", "siro", "lead_contact"]
        if party["agency_type"] in _CALDICOTT_TYPES:
            wanted.append("caldicott_guardian")
        missing = [_ROLES[name] for name in wanted if name not in party.get("contacts", {})]
        if missing:
            yield amber(
                "D17",
                f"{party['id']} names no {' and no '.join(missing)}.",
                where=subject.place("parties", number),
                fix="Enter under contacts who holds the role: a post with a mailbox is enough.",
                owner=party["id"],
            )


def d18_rights(subject: AgreementSubject) -> Iterator[Finding]:
    """A route to exercise a right missing."""
    missing = [name for name in RIGHTS if name not in subject.section("rights")]
    if missing and subject.sound("rights"):
        yield amber(
            "D18",
            f"Nothing says how people exercise these rights: {', '.join(missing)}.",
            where=subject.place("rights"),
            fix="Enter rights: who to write to, and who answers, for each.",
            owner=OWNER,
        )


def d19_privacy_notice(subject: AgreementSubject) -> Iterator[Finding]:
    """A privacy notice missing, or unchecked for 12 months."""
    for number, party in subject.controllers:
        notice = party.get("privacy_notice", {})
        checked = notice.get("checked")
        if checked is not None and subject.today - date.fromisoformat(checked) <= NOTICE_AGE:
            continue
        said = "names no privacy notice" if not notice else "has a privacy notice that was never checked"
        if checked is not None:
            said = f"last checked its privacy notice on {checked}"
        yield amber(
            "D19",
            f"{party['id']} {said}.",
            where=subject.place("parties", number, "privacy_notice"),
            fix="Read the notice, see that it tells of this sharing, and enter privacy_notice: url and checked.",
            owner=party["id"],
        )


_SHOWN_BY = {"case_status": "open_case", "lead_contact": "lead_contact"}
"""Field -> the output that shows it."""


def d21_necessity(subject: AgreementSubject) -> Iterator[Finding]:
    """A field that is unused, or whose necessity nobody explained."""
    allowed = set(subject.section("outputs").get("allowed", ()))
    for number, entry in subject.items("fields"):
        name = entry["name"]
        unused = name == "contact_type" or (
            name in _SHOWN_BY and bool(allowed) and _SHOWN_BY[name] not in allowed
        )
        if unused:
            yield amber(
                "D21",
                f"The field {name} is agreed, but nothing uses it.",
                where=subject.place("fields", number),
                fix="Take it out.",
                owner=OWNER,
            )
        if "necessity" not in entry:
            yield amber(
                "D21",
                f"Nothing says why the field {name} is necessary.",
                where=subject.place("fields", number),
                fix="Enter necessity, or take the field out.",
                owner=OWNER,
            )
