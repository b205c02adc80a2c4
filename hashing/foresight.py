"""`seal --dry-run`: the quality of the extract, who would be left out, and what the real call would refuse.

Both calls ask by the same functions (`hashing.preparing`). The dry run opens no key file: of the linkage secret it
reads what stands in the open. It makes no tokens, so the rules on the tables of a package are not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from governance.agreement import Agreement, load_agreement
from governance.agreement_check import require_agreement
from governance.exceptions import SignedException, cover, load_exceptions
from governance.gate import gate, remarks
from governance.rules.base import Moment
from governance.rules.package_subject import PackageSubject, Stated, metadata_hits
from governance.rules.registry import Family, findings_of
from hashing.normalise.fingerprint import normaliser_fingerprint
from hashing.order import Order
from hashing.preparing import (
    Prepared,
    apart_counts,
    facts_of,
    job_of,
    kept_apart,
    prepare,
    refuse_objected,
    require_place,
    require_possible,
    require_secret,
)
from hashing.profile import Profile, profile_subjects
from hashing.rejects import write_rejects
from hashing.secret import load_ceremony
from hashing.sending import in_window
from schemas.canonical import JSON
from schemas.errors import AgreementInvalid, TallystickError
from schemas.identity import PublicIdentity
from schemas.scheme import SCHEME

T = TypeVar("T")

NOT_ASKED = "the rules on the tables of a package (P01, P02, P04, P08, P10, P11, P14), for there are none yet"
"""What a dry run cannot foresee, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreseen:
    """What the real call would do.

    Attributes:
        profile: The quality of what would be sealed.
        told: What `seal` would tell as well: `left_out`, `do_not_link`, contacts that leave.
        refusals: Why it would be refused, in the words of the real call, the first one first; empty when it would not.
        remarks: What it would remark although it goes on.
    """

    profile: Profile
    told: Mapping[str, Any]
    refusals: tuple[str, ...]
    remarks: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values: those of the profile, and what is foreseen."""
        foreseen = {"would_refuse": list(self.refusals), "remarks": list(self.remarks)}
        return {**self.profile.to_dict(), **self.told, **foreseen}


class _Foresight:
    """Asks what the real call asks, in its order, and keeps each refusal."""

    def __init__(
        self, order: Order, identity: PublicIdentity, agreement: Agreement, secret_file: Path, now: datetime
    ) -> None:
        self._order, self._identity, self._agreement, self._now = order, identity, agreement, now
        self.refusals: list[str] = []
        self._ceremony = self._ask(lambda: load_ceremony(secret_file))
        self._granted: Sequence[SignedException] = ()

    def _ask(self, question: Callable[[], T]) -> T | None:
        """Return the answer, or None where it is a refusal."""
        try:
            return question()
        except TallystickError as refusal:
            self.refusals.append(str(refusal))
            return None

    def before_reading(self) -> None:
        """Ask about the agreement, the keys, the linkage secret and the exceptions."""
        order, agreement, ceremony = self._order, self._agreement, self._ceremony
        self._ask(
            lambda: require_agreement(
                order.agreement_file,
                today=self._now.date(),
                job=None if ceremony is None else job_of(ceremony),
                exceptions=order.exceptions,
                party=self._identity.party,
            )
        )
        self._ask(lambda: require_place(agreement, self._identity))
        if ceremony is not None:
            self._ask(lambda: require_secret(agreement, ceremony, self._now.date()))
        self._granted = self._ask(lambda: load_exceptions(order.exceptions, agreement)) or ()

    def people(self, prepared: Prepared) -> tuple[Prepared, dict[str, Any]]:
        """Ask about the people; return those who would be sealed, and what the real call would tell of them.

        Where nobody had a contact in the window there is nobody to seal, and the report is on everybody.
        """
        sealed = self._ask(lambda: prepared.in_contact(self._agreement, self._order.as_of))
        prepared = sealed or prepared
        self._ask(lambda: refuse_objected(prepared.subjects, self._order.requests, self._identity.party))
        apart = self._ask(lambda: kept_apart(self._order, prepared.subjects))
        told = prepared.told()
        if apart is not None and self._order.do_not_link is not None:
            told["do_not_link"] = apart_counts(apart)
        contacts = prepared.subjects.contacts
        sent, after = in_window(contacts, self._agreement, self._order.as_of)
        without = 0 if sealed is None else prepared.subjects.count - len(np.unique(sent.subject))
        return prepared, {
            **told,
            "contacts_sent": len(sent.day),
            "contacts_kept_back": len(contacts.day) - len(sent.day),
            "contacts_after": None if after is None else after.isoformat(),
            "people_without_contact": without,
        }

    def _facts(self, prepared: Prepared, told: Mapping[str, Any]) -> dict[str, JSON]:
        """Return what the package would state of itself, as far as that is known without its key and tables."""
        facts: dict[str, JSON] = {
            "scheme": SCHEME,
            "contacts_after": told["contacts_after"],
            "people_without_contact": told["people_without_contact"],
            "key_check": "",
            "normaliser": normaliser_fingerprint().hex(),
            "standards": dict(self._agreement.standards),
            "quality": asdict(prepared.subjects.quality),
        }
        if self._ceremony is not None:
            facts["linkage_secret"] = dict(facts_of(self._ceremony))
        if prepared.exclusions is not None:
            facts["exclusions"] = dict(prepared.exclusions)
        return facts

    def release(self, prepared: Prepared, told: Mapping[str, Any]) -> list[str]:
        """Ask the rules on packages what can be known before there is one; return the remarks."""
        agreement, name, today = self._agreement, self._order.out.name, self._now.date()
        stated = Stated(
            kind="sealed",
            agreement_digest=agreement.digest,
            run_id=self._order.run_id,
            sender=self._identity.party,
            recipient=agreement.unit_id,
            purpose=agreement.purpose,
            created_at=self._now,
            counts={"rows": prepared.subjects.quality.rows, "subjects": prepared.subjects.count},
            facts=self._facts(prepared, told),
        )
        subject = PackageSubject(
            where=name,
            stated=stated,
            agreement=agreement,
            today=today,
            hits=metadata_hits(stated, name, today=today),
            signer=stated.sender,
        )
        found = findings_of(Family.PACKAGE, subject, moment=Moment.RELEASE)
        passed = self._ask(lambda: gate(cover(found, self._granted, party=stated.sender, today=today)))
        return remarks(passed or ())


def foresee(order: Order, *, identity: PublicIdentity, secret_file: Path, now: datetime) -> Foreseen:
    """Report on the extract, and say what `hashing.workflow.seal_extract` would refuse or leave out; seal nothing.

    Args:
        order: What is to be sealed.
        identity: The public half of the agency's keys.
        secret_file: The file of the linkage secret, of which only what stands in the open is read.
        now: Time, with a zone.

    Raises:
        TallystickError: The extract, the mapping, the file of exclusions or an output does not fit, or this is no
            agreement of the agency's: there is nothing to report on.
    """
    require_possible(order, now)
    agreement = load_agreement(order.agreement_file)
    if agreement.party(identity.party) is None:
        raise AgreementInvalid(
            f"{identity.party} is no party to this agreement.", remedy="Use the key file of a party."
        )
    foresight = _Foresight(order, identity, agreement, secret_file, now)
    foresight.before_reading()
    prepared = prepare(order, agreement=agreement, agency=identity.party, today=now.date())
    prepared, told = foresight.people(prepared)
    remarked = foresight.release(prepared, told)
    profile = profile_subjects(prepared.read, prepared.subjects, agreement.passes, passes_of=agreement.id)
    if order.rejects is not None:
        write_rejects(prepared.subjects.rejected, order.rejects, first_row=prepared.read.first_row)
    return Foreseen(profile=profile, told=told, refusals=tuple(foresight.refusals), remarks=tuple(remarked))
