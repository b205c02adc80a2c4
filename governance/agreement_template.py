"""Draft a whole agreement from a template and a few wishes, asked for or given as options."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

from governance.agreement import parse_agreement
from governance.agreement_complete import complete, draft_fill, template
from governance.draft import DEFAULT_PASSES, draft_agreement
from schemas.identity import PublicIdentity


class Ask(Protocol):
    """Asks one question and returns the answer; `click.prompt` is one."""

    def __call__(self, text: str, *, default: str) -> Any:
        """Ask `text`; an empty answer is `default`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What a draft is made from.

    Attributes:
        template: One of `TEMPLATES`.
        parties: Party id -> agency type; the template's when empty.
        agreement_id: Id of the agreement.
        unit_id: Id of the linkage unit.
        title: Title; the template's when None.
        months: Length of the window; the template's when None.
        unit_operator: Party that runs the linkage unit, when it is no processor.
    """

    template: str
    parties: Mapping[str, str]
    agreement_id: str
    unit_id: str
    title: str | None = None
    months: int | None = None
    unit_operator: str | None = None


def _parties(text: str) -> dict[str, str]:
    named = [part.strip() for part in text.split(",") if part.strip()]
    return {name: kind or name for name, _, kind in (part.partition("=") for part in named)}


def ask_wishes(wishes: Wishes, templates: Sequence[str], *, ask: Ask) -> Wishes:
    """Ask for the main entries; what the options said is the answer offered."""
    listed = "\n".join(f"  {name}: {template(name)['name']}" for name in templates)
    chosen = str(ask(f"Which case is nearest?\n{listed}\nTemplate", default=wishes.template))
    chosen = chosen if chosen in templates else wishes.template
    usual = template(chosen)
    parties = wishes.parties or usual["parties"]
    shown = ", ".join(name if name == kind else f"{name}={kind}" for name, kind in parties.items())
    title = str(ask("Title", default=wishes.title or usual["title"]))
    agreement_id = str(ask("Id (lower-case letters, digits, hyphens)", default=wishes.agreement_id))
    answered = _parties(str(ask("Agencies (id, or id=type; with commas)", default=shown)))
    unit = str(ask("Id of the linkage unit", default=wishes.unit_id))
    operator = str(
        ask("Agency that runs the linkage unit, or - for a processor with a contract", default="-")
    )
    months = str(ask("How many months back do contacts count", default=str(usual["window"]["months"])))
    return replace(
        wishes,
        template=chosen,
        parties=answered,
        agreement_id=agreement_id,
        unit_id=unit,
        title=title,
        months=int(months) if months.isdecimal() else None,
        unit_operator=operator if operator in answered else None,
    )


def draft_from_template(
    wishes: Wishes, *, today: date, identities: Mapping[str, PublicIdentity] | None = None
) -> dict[str, Any]:
    """Return a draft that says everything an agreement has to say, with TODO where only people know.

    Raises:
        AgreementInvalid: An id in the wishes is not one.
    """
    usual = template(wishes.template)
    document = draft_agreement(
        parties=wishes.parties or usual["parties"],
        passes=DEFAULT_PASSES,
        today=today,
        identities=identities,
        agreement_id=wishes.agreement_id,
        unit_id=wishes.unit_id,
    )
    document["title"] = wishes.title or usual["title"]
    document.update({name: copy.deepcopy(usual[name]) for name in ("purposes", "window", "outputs")})
    if wishes.months is not None:
        document["window"]["months"] = wishes.months
    if wishes.unit_operator is not None:
        document["linkage_unit"]["operated_by"] = wishes.unit_operator
    if len(document["parties"]) > 1:
        for party in document["parties"]:
            party["role"] = "joint_controller"
    shown = {"case_status": "open_case", "lead_contact": "lead_contact"}
    allowed = document["outputs"]["allowed"]
    document["fields"] = [f for f in document["fields"] if shown.get(f["name"], allowed[0]) in allowed]
    full = complete(document, draft_fill(today))
    parse_agreement(full, where="the draft")
    return full
