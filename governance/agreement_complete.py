"""Fill in what an agreement has to say and does not: with placeholders in a draft, with words in a rehearsal.

The drafts for common cases stand as data in governance/templates/agreements.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib import resources
from typing import Any

from governance.agreement_reading import parse_source
from governance.register import Register, shipped_register
from governance.rules.agreement_care import RIGHTS
from governance.rules.agreement_subject import HEALTH_TYPES, is_todo

TEMPLATES = ("county-safeguarding", "adults", "early-help")
CALDICOTT_TYPES = HEALTH_TYPES | {"childrens_social_care"}
_YEAR = timedelta(days=365)


@cache
def template(name: str) -> Mapping[str, Any]:
    """Return the data of a template, or of `common`."""
    text = resources.files("governance").joinpath(f"templates/agreements/{name}.yaml").read_text("utf-8")
    return parse_source(text, where=f"{name}.yaml").document


@dataclass(frozen=True, kw_only=True, slots=True)
class Fill:
    """What to put where an agreement says nothing.

    Attributes:
        say: Given what is missing, returns the text that stands for it.
        url: An address in the same spirit.
        today: Dates are counted from this day, where `dated`.
        dated: Whether approvals and reviews get a date; in a draft nobody has approved anything.
        register: Gateways that are not in force or do not fit are left out.
    """

    say: Callable[[str], str]
    url: str
    today: date
    dated: bool
    register: Register

    @property
    def next_review(self) -> str:
        """A year from today."""
        return (self.today + _YEAR).isoformat()


def draft_fill(today: date) -> Fill:
    """Return placeholders that `agreement check` names until people have replaced them."""
    return Fill(
        say=lambda what: f"TODO: {what}",
        url="TODO: address of the notice",
        today=today,
        dated=False,
        register=shipped_register(),
    )


def rehearsal_fill(today: date) -> Fill:
    """Return words that say of everything that it is a rehearsal."""
    return Fill(
        say=lambda what: f"Rehearsal: {what}",
        url="https://example.org/rehearsal",
        today=today,
        dated=True,
        register=shipped_register(),
    )


def _gateways(names: list[str], kind: str, people: frozenset[str], fill: Fill) -> list[str]:
    rows = [row for name in names if (row := fill.register.get(name)) is not None]
    return [r.id for r in rows if r.in_force(fill.today) and r.is_for(kind) and r.covers(people)]


def _legal(party: Mapping[str, Any], purpose: Mapping[str, Any], fill: Fill) -> dict[str, Any]:
    usual = template("common")["legal"]
    chosen = usual.get(party["agency_type"], usual["other"])
    if (party["regime"] == "dpa2018_part3") != ("part_3_basis" in chosen):
        chosen = usual["police"] if party["regime"] == "dpa2018_part3" else usual["other"]
    people = frozenset(purpose.get("subjects", ()))
    return {
        "purpose": purpose["id"],
        **{name: chosen[name] for name in ("article_6", "part_3_basis", "article_9") if name in chosen},
        "dpa_condition": chosen["dpa_condition"],
        "gateways": _gateways(chosen["gateways"], party["agency_type"], people, fill),
        "policy_document": {"ref": fill.say("reference of the appropriate policy document")},
    }


def _complete_party(party: dict[str, Any], purposes: list[Mapping[str, Any]], fill: Fill) -> None:
    kind = party["agency_type"]
    party.setdefault("ico_registration", fill.say("registration number with the ICO"))
    party.setdefault("regime", "dpa2018_part3" if kind == "police" else "uk_gdpr")
    if party["role"] == "processor":
        party.setdefault("processor_contract", {"ref": fill.say("reference of the Article 28 contract")})
    contacts = party.setdefault("contacts", {})
    named = {"dpo": "data protection officer", "siro": "senior information risk owner"}
    named |= {"caldicott_guardian": "Caldicott guardian"} if kind in CALDICOTT_TYPES else {}
    for name, words in {**named, "lead_contact": "whom the others ring about this agreement"}.items():
        contacts.setdefault(name, fill.say(words))
    if kind in HEALTH_TYPES:
        party.setdefault(
            "confidentiality_basis", fill.say("basis under the common law duty of confidentiality")
        )
        opt_out = {
            "position": "does_not_apply",
            "reason": fill.say("why the National Data Opt-out does not apply"),
        }
        party.setdefault("opt_out", opt_out)
    if party["role"] == "processor":
        return
    notice = party.setdefault("privacy_notice", {"url": fill.url})
    if fill.dated:
        notice.setdefault("checked", fill.today.isoformat())
    legal = party.setdefault("legal", [])
    named_purposes = {entry["purpose"] for entry in legal}
    legal += [_legal(party, purpose, fill) for purpose in purposes if purpose["id"] not in named_purposes]
    for entry in legal:
        if fill.dated and "policy_document" in entry:
            entry["policy_document"].setdefault("review_due", fill.next_review)


def _complete_papers(document: dict[str, Any], fill: Fill) -> None:
    dpia = document.setdefault("dpia", {})
    dpia.setdefault("ref", fill.say("reference of the data protection impact assessment"))
    if fill.dated:
        dpia.setdefault("approved", fill.today.isoformat())
        dpia.setdefault("review_due", fill.next_review)
    if any(party["role"] == "joint_controller" for party in document["parties"]):
        document.setdefault(
            "joint_controller_arrangement", {"ref": fill.say("reference of the Article 26 arrangement")}
        )
    unit = document["linkage_unit"]
    if "operated_by" not in unit:
        unit.setdefault("role", "processor")
        unit.setdefault("contract", {"ref": fill.say("reference of the contract with the linkage unit")})
    rights = document.setdefault("rights", {})
    for right in RIGHTS:
        rights.setdefault(right, fill.say(f"whom people write to ({right}), and who answers"))


def complete(document: Mapping[str, Any], fill: Fill) -> dict[str, Any]:
    """Return a copy of a valid document in which everything that an active agreement needs is said."""
    full: dict[str, Any] = copy.deepcopy(dict(document))
    common = template("common")
    full.setdefault("review_due", fill.next_review)
    full.setdefault("jurisdiction", common["jurisdiction"])
    for name in ("exclusions", "security", "transfers", "termination"):
        full.setdefault(name, copy.deepcopy(common[name]))
    full["window"].setdefault("clock", "latest_contact")
    full["outputs"].setdefault("min_cell", 5)
    full["sealing"].setdefault("max_key_age_days", 366)
    full["sealing"].setdefault("custodian", fill.say("who looks after the linkage secret at each agency"))
    methods = {entry["artefact"]: entry for entry in common["retention"]}
    kept = {entry["artefact"] for entry in full["retention"]}
    for entry in full["retention"]:
        entry.setdefault("method", methods[entry["artefact"]]["method"])
    full["retention"] += [copy.deepcopy(methods[name]) for name in methods if name not in kept]
    for party in full["parties"]:
        _complete_party(party, full["purposes"], fill)
    _complete_papers(full, fill)
    return full


def without_todos(value: Any, fill: Fill, *, key: str = "") -> Any:
    """Return a copy in which every placeholder of a draft is replaced by what `fill` says of it."""
    if isinstance(value, Mapping):
        return {name: without_todos(item, fill, key=name) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_todos(item, fill) for item in value]
    if not is_todo(value):
        return value
    return fill.url if key == "url" else fill.say(value.lstrip()[4:].lstrip(": ") or "not said")
