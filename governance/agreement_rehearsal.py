"""The agreement of a rehearsal: complete, active, signed by keys that live as long as it, and marked for what it is.

So a rehearsal goes through the same gate as the real work. The mark is in the signed document, and its keys are never
saved, so such an agreement is of no use for anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from governance.agreement import Agreement, parse_agreement
from governance.agreement_complete import complete, rehearsal_fill, without_todos
from governance.agreement_signatures import write_signature
from governance.draft import agreement_yaml, with_keys
from schemas.atomic import atomic_write
from schemas.canonical import digest
from schemas.identity import PrivateIdentity, PublicIdentity

MARK = "x-rehearsal"
_PREFIX = "Rehearsal on invented or trial data, no agreement between anyone: "


def rehearsal_document(
    document: Mapping[str, Any], identities: Mapping[str, PublicIdentity], *, today: date
) -> dict[str, Any]:
    """Return the rehearsal's copy of an agreement or draft: what it says is kept, what it lacks is filled in.

    Args:
        document: A valid document. A draft becomes active; a suspended or ended one stays so, and is refused.
        identities: Keys of the rehearsal, for every party and the linkage unit; they replace all others.
        today: Day of the rehearsal.
    """
    fill = rehearsal_fill(today)
    full: dict[str, Any] = without_todos(complete(document, fill), fill)
    if full["status"] == "draft":
        full["status"] = "active"
    if MARK not in full:
        full["id"] = f"rehearsal-{full['id']}".removesuffix("-rehearsal")[:63]
        full["title"] = _PREFIX + full.get("title", full["id"])[:3000]
        for purpose in full["purposes"]:
            purpose["plain_english"] = _PREFIX + purpose["plain_english"][:3000]
    full["parties"] = [with_keys(party, identities.get(party["id"])) for party in full["parties"]]
    full["linkage_unit"] = with_keys(full["linkage_unit"], identities.get(full["linkage_unit"]["id"]))
    full[MARK] = {"of": digest(document)}
    return full


def write_rehearsal_agreement(
    path: Path,
    document: Mapping[str, Any],
    identities: Mapping[str, PrivateIdentity],
    *,
    today: date,
) -> Agreement:
    """Write the rehearsal's copy of `document` to `path` and have every controller sign it.

    Raises:
        AgreementInvalid: The document has faults.
    """
    public = {name: identity.public for name, identity in identities.items()}
    agreement = parse_agreement(rehearsal_document(document, public, today=today), where=str(path))
    atomic_write(path, agreement_yaml(agreement.document))
    for party in agreement.controllers:
        write_signature(path, agreement, identities[party.id])
    return agreement
