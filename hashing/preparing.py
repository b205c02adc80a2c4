"""What comes before sealing, for the real call and for its dry run: what is asked for, who is sealed, what refuses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from governance.agreement import Agreement
from governance.agreement_check import Job
from governance.agreement_signatures import require_own_keys
from governance.check_moments import secret_facts
from governance.lifecycle.request_register import RequestRegister
from hashing.apart import NOBODY, Apart, read_apart
from hashing.exclusions import LeftOut, attested, leave_out, only_in_contact, read_exclusions
from hashing.extract import Stream, open_extract
from hashing.mapping import AgencyMapping, load_mapping
from hashing.order import Order
from hashing.secret import Ceremony
from hashing.sending import in_window
from hashing.shuffling import shuffle
from hashing.subjects import Subjects, collapse_stream
from schemas.errors import (
    AgreementInvalid,
    ComplianceBlocked,
    InputError,
    MappingError,
    OutputError,
    WrongAgreement,
)
from schemas.identity import PrivateIdentity, PublicIdentity


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Whom the order seals.

    Attributes:
        read: The extract, read to its end.
        subjects: The people, without those who are left out.
        left_out: Who was left out by the file of exclusions; None without one.
        without_contact: People left out as they have no contact in the window; None where all are sealed.
        exclusions: Kind of exclusion -> people left out, all told, as the package attests.
    """

    read: Stream
    subjects: Subjects
    left_out: LeftOut | None
    without_contact: int | None
    exclusions: Mapping[str, int] | None

    def shuffled(self) -> Prepared:
        """Return it with its people in random order."""
        return replace(self, subjects=shuffle(self.subjects))

    def in_contact(self, agreement: Agreement, as_of: date | None) -> Prepared:
        """Return it without people who had no contact in the window, unless the agreement lets everybody be sealed.

        Raises:
            ExtractError: Nobody had one.
        """
        if agreement.everyone:
            return self
        sent, _ = in_window(self.subjects.contacts, agreement, as_of)
        held = only_in_contact(self.subjects, sent.subject)
        return replace(self, subjects=held, without_contact=self.subjects.count - held.count)

    def told(self) -> dict[str, Any]:
        """Return what the agency is told of people who are left out."""
        told: dict[str, Any] = {} if self.left_out is None else {"left_out": asdict(self.left_out)}
        if self.without_contact is not None:
            told["without_contact"] = self.without_contact
        return told


def mapping_of(mapping_file: Path | None, agency: str) -> AgencyMapping:
    """Return the agency's entry of mapping.yaml; an empty one without the file.

    Raises:
        MappingError: It has none.
    """
    if mapping_file is None:
        return AgencyMapping()
    listed = load_mapping(mapping_file)
    if agency not in listed:
        raise MappingError(
            f"there is no entry for {agency}.",
            where=f"{mapping_file}: agencies",
            remedy=f"It has: {', '.join(listed) or 'none'}.",
        )
    return listed[agency]


def require_possible(order: Order, now: datetime) -> None:
    """Refuse an order that overwrites a file, writes where it may not, or whose window ends in the future.

    Raises:
        OutputError, InputError: As said.
    """
    for path in (order.out, order.crosswalk):
        if path.exists():
            raise OutputError(
                "this file already exists; a package and its crosswalk belong together and are never overwritten.",
                where=str(path),
                remedy="Name a new file, or move the old one away.",
            )
    for path in filter(None, (order.out, order.crosswalk, order.rejects)):
        if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise OutputError(
                "cannot write here: the folder does not exist, or is closed to you.",
                where=str(path),
                remedy="Choose a folder that exists and that you may write to.",
            )
    if order.as_of is not None and order.as_of > now.date():
        raise InputError(
            "the window cannot end in the future.", where="--as-of", remedy="Give today or an earlier day."
        )


def job_of(ceremony: Ceremony) -> Job:
    """Return what the rules on agreements are told of the work: the agreement that the linkage secret was made for."""
    return Job(agreement_digest=ceremony.agreement_digest)


def facts_of(ceremony: Ceremony) -> Mapping[str, int | str]:
    """Return what a package states of its linkage secret."""
    return secret_facts(epoch=ceremony.epoch, starts_on=ceremony.starts_on, expires_on=ceremony.expires_on)


def require_place(agreement: Agreement, identity: PrivateIdentity | PublicIdentity) -> PublicIdentity:
    """Refuse keys that are not of this agreement, and return those of the linkage unit.

    Raises:
        AgreementInvalid: As said, or the agreement holds no keys of the unit.
    """
    require_own_keys(agreement, identity, remedy="Use the key file whose public keys stand in the agreement.")
    if agreement.unit_keys is None:
        raise AgreementInvalid(
            "the agreement holds no keys of the linkage unit, so nothing can be sent to it."
        )
    return agreement.unit_keys


def require_secret(agreement: Agreement, ceremony: Ceremony, today: date) -> None:
    """Refuse a linkage secret of another agreement, or outside its days, before anything is computed.

    Raises:
        WrongAgreement, SecretExpired: As said.
    """
    if ceremony.agreement_digest != agreement.digest:
        raise WrongAgreement(
            "the linkage secret was made for another agreement, or another version of it.",
            remedy="Hold a ceremony under this agreement (tallystick keys contribute).",
        )
    ceremony.require_usable(today)


def refuse_objected(subjects: Subjects, requests: RequestRegister | None, party: str) -> None:
    """Refuse while somebody whose objection was upheld is in the extract; case numbers are said, no reference.

    Raises:
        ComplianceBlocked: Somebody is.
        InputError: The register cannot be read.
    """
    if requests is None:
        return
    asked = requests.asking(party)(subjects.refs.to_pylist())
    cases = [each.reference for each in asked if each.kind == "objection" and each.applied and each.back]
    if cases:
        raise ComplianceBlocked(
            f"O06: the extract holds people whose objection was upheld: {', '.join(cases)}.",
            where=str(requests.path),
            remedy="Name their references in the file for --exclude, so that they are left out and counted.",
        )


def prepare(order: Order, *, agreement: Agreement, agency: str, today: date) -> Prepared:
    """Read and collapse the extract, and leave out whom the file of exclusions names.

    Raises:
        ExtractError, MappingError, InputError: The extract, the mapping or the file does not fit.
    """
    mapping = mapping_of(order.mapping_file, agency)
    read = open_extract(order.extract, agency=agency, mapping=mapping)
    subjects = collapse_stream(
        read,
        today=today,
        mapping=mapping,
        standards=agreement.standards,
        match_fields=agreement.match_fields,
    )
    left_out, exclusions = None, order.exclusions
    if order.exclude is not None:
        kinds = [entry.kind for entry in agreement.exclusions]
        subjects, left_out = leave_out(subjects, read_exclusions(order.exclude, kinds))
        exclusions = attested(kinds, left_out, order.exclusions or {})
    return Prepared(
        read=read, subjects=subjects, left_out=left_out, without_contact=None, exclusions=exclusions
    )


def kept_apart(order: Order, subjects: Subjects) -> Apart:
    """Return the pairs of subjects that must never be one person.

    Raises:
        ExtractError: The list is not well formed, or a pair is one person.
    """
    return NOBODY if order.do_not_link is None else read_apart(order.do_not_link, subjects)


def apart_counts(apart: Apart) -> dict[str, int]:
    """Return what is told of the list of pairs."""
    return {"listed": apart.listed, "pairs": len(apart.subjects), "not_held": apart.not_held}
