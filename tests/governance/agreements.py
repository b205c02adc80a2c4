"""Agreements for tests: complete ones, signed ones, and drafts finished as people would finish them."""

from __future__ import annotations

import copy
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from governance.agreement import read_document
from governance.agreement_complete import complete, rehearsal_fill, without_todos
from governance.agreement_template import Wishes, draft_from_template
from governance.draft import agreement_yaml
from schemas.identity import PrivateIdentity

TODAY = date(2026, 11, 22)
AGENCIES = {
    "childrens_social_care": "childrens_social_care",
    "health": "health",
    "police": "police",
}

KINDS = ("protected_address", "upheld_objection", "adoption", "protected_person")
EXCLUDED = [word for kind in KINDS for word in ("--excluded", f"{kind}=0")]
"""Options of `seal` that attest the exclusions of a drafted agreement."""


@cache
def identities() -> dict[str, PrivateIdentity]:
    """Return keys of the three agencies, the linkage unit and a stranger, made once."""
    names = (*AGENCIES, "linkage-unit", "stranger")
    return {name: PrivateIdentity.generate(name) for name in names}


@cache
def _complete() -> dict[str, Any]:
    wishes = Wishes(
        template="county-safeguarding", parties=AGENCIES, agreement_id="county", unit_id="linkage-unit"
    )
    public = {name: identity.public for name, identity in identities().items()}
    draft = draft_from_template(wishes, today=TODAY, identities=public)
    return _finished(draft, TODAY)


def _finished(draft: dict[str, Any], today: date) -> dict[str, Any]:
    fill = rehearsal_fill(today)
    return {**without_todos(complete(draft, fill), fill), "status": "active"}


def complete_document() -> dict[str, Any]:
    """Return a copy of a complete, active agreement between three agencies, that no rule finds anything in."""
    return copy.deepcopy(_complete())


def finish_draft(path: Path) -> None:
    """Fill in every placeholder of a drafted file and make it active, as its parties would."""
    path.write_text(
        agreement_yaml(_finished(read_document(path), date.today())),
        encoding="utf-8",
    )
