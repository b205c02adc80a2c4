"""From an extract to a sealed package and the crosswalk that stays at the agency."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from governance.agreement import Agreement
from governance.check_moments import Release
from governance.exceptions import SignedException
from governance.gate import remarks
from governance.rules.package_subject import Stated
from hashing import normalise
from hashing.apart import NOBODY, Apart, apart_batch
from hashing.derive import derive, with_rarity
from hashing.homes import sealed_homes
from hashing.keys import RunKeys
from hashing.reading.memory import give_back
from hashing.seal import RandomBytes, SealedPass, sealing
from hashing.sending import contacts_batch, in_window, lead_context, sealed_leads, without_contact
from hashing.subjects import Contacts, Quality, Subjects
from schemas.container import write_package
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.payload import APART, CONTACTS, CROSSWALK, HOMES, LEADS, VERSIONS, pass_part, pass_schema
from schemas.scheme import SCHEME
from schemas.tables import ARROW_STREAM, arrow_stream


@dataclass(frozen=True, kw_only=True, slots=True)
class PassReport:
    """What sealing did in one pass, in counts."""

    name: str
    sealed: int
    incomplete: int
    crowded: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SealReport:
    """What `seal_subjects` did, in counts.

    Attributes:
        agency: The agency.
        quality: What was read.
        passes: What was sealed.
        contacts_sent: Contacts inside the window, which the package carries.
        contacts_kept_back: Contacts outside the window or without a date, which stay at the agency.
        contacts_after: The package carries contacts after this day only, ISO; None when it carries none.
        remarks: What the rules ask people to look at, and the exceptions that let the package leave.
    """

    agency: str
    quality: Quality
    passes: tuple[PassReport, ...]
    contacts_sent: int
    contacts_kept_back: int
    contacts_after: str | None
    remarks: tuple[str, ...] = ()


Part = tuple[str, str, Callable[[BinaryIO], None]]
"""Name, type and writer of a part of a package."""


@dataclass(kw_only=True, slots=True)
class _Parts:
    """The parts of a sealed package, made one after the other as they are written."""

    subjects: Subjects
    sealed: Iterator[SealedPass]
    sent: Contacts
    apart: Apart
    agreement: Agreement
    run_id: str
    keys: RunKeys
    release: Release
    random_bytes: RandomBytes
    progress: Callable[[int, int], None] | None
    reports: list[PassReport] = field(default_factory=list)

    def all(self) -> Iterator[Part]:
        """Yield every part, watched by the rules of release."""
        versions = pa.RecordBatch.from_arrays([pa.array(self.subjects.version_subject)], schema=VERSIONS)
        yield self._table("versions", VERSIONS, versions)
        yield from self._tokens()
        if self.agreement.households:
            yield self._homes()
        yield self._table("apart", APART, apart_batch(self.apart))
        yield self._table("contacts", CONTACTS, contacts_batch(self.sent))
        context = lead_context(self.agreement.digest, self.run_id, self.subjects.agency)
        yield self._table("leads", LEADS, sealed_leads(self.sent.lead, self.keys, context, self.random_bytes))

    def _table(self, name: str, schema: pa.Schema, batch: pa.RecordBatch) -> Part:
        return name, ARROW_STREAM, arrow_stream(schema, self.release.batches(name, [batch]))

    def _tokens(self) -> Iterator[Part]:
        for index, made in enumerate(self.sealed):
            report = PassReport(
                name=made.blocking.name, sealed=made.sealed, incomplete=made.incomplete, crowded=made.crowded
            )
            self.reports.append(report)
            watched = self.release.batches(pass_part(index), made.batches)
            yield pass_part(index), ARROW_STREAM, arrow_stream(pass_schema(made.blocking), watched)
            if self.progress is not None:
                self.progress(index + 1, len(self.agreement.passes))

    def _homes(self) -> Part:
        homes, left_out = sealed_homes(self.subjects, self.keys, crowded_cell=self.agreement.crowded_cell)
        self.reports.append(
            PassReport(name="household", sealed=homes.num_rows, incomplete=0, crowded=left_out)
        )
        return self._table("homes", HOMES, homes)


def seal_subjects(
    subjects: Subjects,
    target: Path,
    *,
    agreement: Agreement,
    run_id: str,
    secret: bytes,
    sender: PrivateIdentity,
    unit: PublicIdentity,
    created_at: datetime,
    as_of: date | None = None,
    seal_id: str | None = None,
    secret_facts: Mapping[str, int | str] | None = None,
    exclusions: Mapping[str, int] | None = None,
    exceptions: Sequence[SignedException] = (),
    apart: Apart = NOBODY,
    random_bytes: RandomBytes = os.urandom,
    progress: Callable[[int, int], None] | None = None,
) -> SealReport:
    """Seal shuffled subjects into the package `target` for the linkage unit.

    Args:
        subjects: The agency's subjects, from `shuffle`.
        target: The package to write, complete or absent.
        agreement: What binds the package, and what may be matched on.
        run_id: The run the package is for.
        secret: The linkage secret, 32 bytes.
        sender: The agency's identity.
        unit: The linkage unit's public identity.
        created_at: A time with a zone.
        as_of: Last day of the window; the day of the latest contact when None.
        seal_id: Names this sealing, so that its return is opened with its own crosswalk.
        secret_facts: What the package states of the linkage secret's life (rules P06 and L03).
        exclusions: Kind of exclusion -> people left out before sealing (rule P12).
        exceptions: Signed exceptions to rules.
        apart: Pairs of subjects that must never be one person.
        random_bytes: Source of randomness.
        progress: Called with (passes done, passes in all).

    Raises:
        ComplianceBlocked: A rule on packages stops the release; nothing is written.
        OutputError: The package cannot be written.
        PackageError: A value breaks a rule of the package format.
    """
    keys = RunKeys(secret=secret, agreement_digest=agreement.digest, run_id=run_id)
    derived = derive(subjects)
    sent, after = in_window(subjects.contacts, agreement, as_of)
    release = Release(
        agreement, today=created_at.date(), rows=len(subjects.version_subject), exceptions=exceptions
    )
    limit = agreement.crowded_cell
    give_back()  # before others are forked: what is free here is not free there

    def count() -> dict[str, object]:
        from hashing.counts import counts_of  # a process beside the sealing one loads and does it

        counted = counts_of(
            with_rarity(derived), subjects.version_subject, agreement.passes, crowded_cell=limit
        )
        return {"counted": counted, "normaliser": normalise.normaliser_fingerprint().hex()}

    with sealing(
        derived, agreement.passes, keys, crowded_cell=limit, beside=count, random_bytes=random_bytes
    ) as begun:
        facts = {
            **_facts(subjects, agreement, keys, after),
            "people_without_contact": without_contact(subjects.count, sent.subject),
            "seal_id": seal_id,
            **({} if secret_facts is None else {"linkage_secret": dict(secret_facts)}),
            **({} if exclusions is None else {"exclusions": dict(exclusions)}),
        }
        stated = Stated(
            kind="sealed",
            agreement_digest=agreement.digest,
            run_id=run_id,
            sender=sender.party,
            recipient=unit.party,
            purpose=agreement.purpose,
            created_at=created_at,
            counts=_counts(subjects, sent, apart),
            facts=facts,  # type: ignore[arg-type]
        )
        parts = _Parts(
            subjects=subjects,
            sealed=begun.passes,
            sent=sent,
            apart=apart,
            agreement=agreement,
            run_id=run_id,
            keys=keys,
            release=release,
            random_bytes=random_bytes,
            progress=progress,
        )

        def complete() -> None:
            facts.update(begun.beside())

        _write(target, stated, parts, sender=sender, unit=unit, complete=complete)
    return SealReport(
        agency=subjects.agency,
        quality=subjects.quality,
        passes=tuple(parts.reports),
        contacts_sent=len(sent.day),
        contacts_kept_back=len(subjects.contacts.day) - len(sent.day),
        contacts_after=None if after is None else after.isoformat(),
        remarks=tuple(remarks(release.findings)),
    )


def _counts(subjects: Subjects, sent: Contacts, apart: Apart) -> dict[str, int]:
    return {
        "rows": subjects.quality.rows,
        "subjects": subjects.count,
        "versions": len(subjects.version_subject),
        "contacts": len(sent.day),
        "apart": len(apart.subjects),
    }


def _facts(subjects: Subjects, agreement: Agreement, keys: RunKeys, after: date | None) -> dict[str, object]:
    """Return what a package says of itself beyond its counts, as far as it is known at once."""
    return {
        "scheme": SCHEME,
        "contacts_after": None if after is None else after.isoformat(),
        "key_check": keys.key_check(),
        "standards": dict(agreement.standards),
        "quality": asdict(subjects.quality),
    }


def _write(
    target: Path,
    stated: Stated,
    parts: _Parts,
    *,
    sender: PrivateIdentity,
    unit: PublicIdentity,
    complete: Callable[[], None],
) -> None:
    """Write the package; what is written is thrown away when a rule refuses its release at the end.

    Args:
        target: The package.
        stated: What it states.
        parts: Its parts.
        sender: Who signs.
        unit: Who can read.
        complete: Adds to the facts what is known at the end only.
    """

    def watched() -> Iterator[Part]:
        yield from parts.all()
        complete()
        parts.release.approve(stated, target.name)

    write_package(
        target,
        kind=stated.kind,
        sender=sender,
        recipient=unit,
        agreement_digest=stated.agreement_digest,
        run_id=stated.run_id,
        purpose=stated.purpose,
        created_at=stated.created_at,
        counts=stated.counts,
        facts=stated.facts,
        parts=watched(),
    )


def write_crosswalk(
    subjects: Subjects,
    target: Path,
    *,
    agreement: Agreement,
    run_id: str,
    owner: PrivateIdentity,
    created_at: datetime,
    seal_id: str | None = None,
) -> None:
    """Write the crosswalk from package numbers to local references, encrypted to the agency itself.

    Raises:
        OutputError: The file cannot be written.
    """
    table = pa.RecordBatch.from_arrays([subjects.refs, pa.array(subjects.ref_subject)], schema=CROSSWALK)
    write_package(
        target,
        kind="crosswalk",
        sender=owner,
        recipient=owner.public,
        agreement_digest=agreement.digest,
        run_id=run_id,
        purpose=agreement.purpose,
        created_at=created_at,
        counts={"refs": len(subjects.refs), "subjects": subjects.count},
        facts={"seal_id": seal_id},
        parts=[("refs", ARROW_STREAM, arrow_stream(CROSSWALK, iter([table])))],
    )
