"""Erasure of a withdrawn agreement: everything that was made under it, in the folders named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.agreement import Agreement
from governance.lifecycle.artefacts import find_artefacts
from governance.lifecycle.erasing import Plan, whole
from schemas.identity import PrivateIdentity

_KINDS = {"package", "run", "return", "crosswalk", "result", "leftover"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Withdrawal:
    """What to erase when an agreement is withdrawn: all of its artefacts but the audit log, which has to answer for it.

    An opened result, and a package that only its recipient can read, do not say which agreement they are of; they go
    when they lie in the folders named.
    """

    places: Sequence[Path]
    agreement: Agreement
    owner: PrivateIdentity

    def plan(self) -> Plan:
        """Return what would be done."""
        known = {**self.agreement.identities, self.owner.party: self.owner.public}
        found = find_artefacts(self.places, identity=self.owner, known=known)
        mine = [
            each for each in found if each.kind in _KINDS and each.agreement in {None, self.agreement.digest}
        ]
        runs = [each.path for each in mine if each.kind == "run"]
        going = [each for each in mine if not any(run in each.path.parents for run in runs)]
        kept = len([each for each in found if each.kind in _KINDS]) - len(mine)
        return Plan(
            scope={"kind": "agreement"},
            steps=[whole(each, "the agreement was withdrawn") for each in going],
            notes=[
                *([f"{kept:,} artefacts of other agreements stay."] if kept else []),
                "Delete the linkage secret, contributions and the copies in your backups by hand.",
            ],
        )
