"""From an extract to a sealed package and the crosswalk that stays at the agency."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.agreement import Agreement
from governance.check_moments import Release
from governance.exceptions import SignedException
from governance.gate import remarks
from governance.rules.package_subject import Stated
from hashing import normalise
from hashing.apart import NOBODY, Apart, apart_batch
from hashing.coding import Coded, Codes, Rows, at, by_appearance, looked_up
from hashing.derive import derive, with_rarity
from hashing.homes import sealed_homes
from hashing.keys import RunKeys
from hashing.native import codes as native
from hashing.reading.memory import give_back
from hashing.seal import RandomBytes, SealedPass, sealing
from hashing.subjects import NO_DAY, Contacts, Quality, Subjects
from hashing.workers import FORK_ROWS, cores
from schemas.container import write_package
from schemas.dates import months_before
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.labels import encode
from schemas.payload import APART, CONTACTS, CROSSWALK, HOMES, LEADS, VERSIONS, pass_part, pass_schema
from schemas.scheme import SCHEME
from schemas.tables import ARROW_STREAM, arrow_stream

_LEAD_PADDING = 64
"""Lead contacts are padded to a multiple of this many bytes, so that their length does not tell them apart."""

EPOCH = date(1970, 1, 1)


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


def _permutation(size: int, random_bytes: RandomBytes) -> Codes:
    """Return a random permutation: the order in which random 64-bit numbers sort."""
    numbers = np.frombuffer(random_bytes(8 * size), dtype=np.uint64)
    order = native.ascending(numbers) if native.available() else None
    return np.argsort(numbers, kind="stable").astype(np.int32) if order is None else order


def _ordered(fields: Mapping[str, Coded], order: Rows) -> dict[str, tuple[Coded, Codes]]:
    """Return each field by appearance in the rows of `order`: of many rows two fields at a time."""
    # Kernels and Arrow let go of the interpreter's lock, so that a second thread gains; few rows are not worth one.
    if len(order) < FORK_ROWS:
        return {name: by_appearance(coded, order) for name, coded in fields.items()}
    with ThreadPoolExecutor(min(cores(), 2), thread_name_prefix="order") as pool:
        made = pool.map(lambda coded: by_appearance(coded, order), fields.values())
        return dict(zip(fields, made, strict=True))


def shuffle(subjects: Subjects, random_bytes: RandomBytes = os.urandom) -> Subjects:
    """Number subjects and leads and order versions at random, so that none tells the order of the extract."""
    rank = np.empty(subjects.count, dtype=np.int32)
    rank[_permutation(subjects.count, random_bytes)] = np.arange(subjects.count, dtype=np.int32)
    order = _permutation(len(subjects.version_subject), random_bytes)
    fields = _ordered(subjects.fields, order)
    contacts = subjects.contacts
    lead = contacts.lead
    place = _permutation(len(lead.values), random_bytes)
    moved = np.empty(len(place) + 1, dtype=np.int32)
    moved[place] = np.arange(len(place), dtype=np.int32)
    moved[-1] = -1  # a contact without a lead (code -1) keeps having none
    return replace(
        subjects,
        ref_subject=at(rank, subjects.ref_subject),
        version_subject=looked_up(rank, subjects.version_subject, order),
        fields={name: column for name, (column, _) in fields.items()},
        contacts=replace(
            contacts,
            subject=at(rank, contacts.subject),
            lead=Coded(codes=looked_up(moved, lead.codes), values=lead.values.take(pa.array(place))),
        ),
        deriving=subjects.deriving.renumbered(fields),
    )


_MOST_DAYS = 1 << 16
"""Days between contacts above which they are compared rather than counted: some have no date."""


def _by_subject_and_day(contacts: Contacts) -> Rows:
    """Return the contacts in the order of their subjects and days, so that nothing tells that of the extract."""
    if native.available() and len(contacts.day):
        first = int(contacts.day.min())
        days = int(contacts.day.max()) - first + 1
        if days <= _MOST_DAYS:
            by_day = native.grouped(contacts.day - np.int32(first), days)
            return native.grouped(contacts.subject, int(contacts.subject.max()) + 1, by_day)
    return np.lexsort((contacts.day, contacts.subject))


def _contacts_batch(contacts: Contacts) -> pa.RecordBatch:
    order = _by_subject_and_day(contacts)
    day, is_open, lead = at(contacts.day, order), contacts.is_open[order], at(contacts.lead.codes, order)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(at(contacts.subject, order)),
            pa.array(day, mask=day == NO_DAY).cast(pa.date32()),
            pa.array(is_open == 1, mask=is_open < 0),
            pa.array(lead, mask=lead < 0),
        ],
        schema=CONTACTS,
    )


def in_window(contacts: Contacts, agreement: Agreement, as_of: date | None) -> tuple[Contacts, date | None]:
    """Return only what the agreement lets leave: contacts of the agreed months, and the fields it lists.

    Args:
        contacts: All contacts of the extract.
        agreement: Its months of contacts, and fields.
        as_of: Last day of the window; the day of the latest contact when None.

    Returns:
        The contacts that leave, and the day after which they were made (None when none is dated).
    """
    listed = {entry["name"] for entry in agreement.document["fields"]}
    dated = contacts.day[contacts.day != NO_DAY]
    if "record_date" not in listed or (as_of is None and len(dated) == 0):
        chosen = np.zeros(0, dtype=np.int64)
        after = None
    else:
        last = as_of or EPOCH + timedelta(days=int(dated.max()))
        after = months_before(last, agreement.contact_months)
        first, end = (after - EPOCH).days, (last - EPOCH).days
        chosen = np.flatnonzero((contacts.day > first) & (contacts.day <= end))
    leads = (
        contacts.lead.codes[chosen] if "lead_contact" in listed else np.full(len(chosen), -1, dtype=np.int32)
    )
    needed = np.zeros(len(contacts.lead.values) + 1, dtype=bool)
    needed[leads] = True
    needed[-1] = False  # of a contact without a lead, -1
    used = np.flatnonzero(needed)
    number = np.where(needed, np.cumsum(needed) - 1, -1).astype(np.int32)
    return Contacts(
        subject=contacts.subject[chosen],
        day=contacts.day[chosen],
        is_open=contacts.is_open[chosen]
        if "case_status" in listed
        else np.full(len(chosen), -1, dtype=np.int8),
        # Only the names of leads that are needed leave, in an order that tells nothing of the others.
        lead=Coded(
            codes=looked_up(number, leads), values=contacts.lead.values.take(pa.array(used, type=pa.int32()))
        ),
    ), after


def lead_context(agreement_digest: str, run_id: str, agency: str) -> bytes:
    """Return the associated data that binds a sealed lead contact to its agreement, run and agency."""
    return encode("tallystick/v1/lead", agreement_digest.encode(), run_id.encode(), agency.encode())


def _sealed_leads(leads: Coded, keys: RunKeys, context: bytes, random_bytes: RandomBytes) -> pa.RecordBatch:
    cipher = AESGCM(keys.display_key())
    sealed = []
    for text in leads.values.to_pylist():
        body = text.encode()
        size = -(-(len(body) + 4) // _LEAD_PADDING) * _LEAD_PADDING
        plain = (len(body).to_bytes(4, "big") + body).ljust(size, b"\0")
        nonce = random_bytes(12)
        sealed.append(nonce + cipher.encrypt(nonce, plain, context))
    return pa.RecordBatch.from_arrays([pa.array(sealed, type=pa.binary())], schema=LEADS)


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
        yield self._table("contacts", CONTACTS, _contacts_batch(self.sent))
        context = lead_context(self.agreement.digest, self.run_id, self.subjects.agency)
        yield self._table(
            "leads", LEADS, _sealed_leads(self.sent.lead, self.keys, context, self.random_bytes)
        )

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
            "people_without_contact": _without_contact(subjects.count, sent.subject),
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


def _without_contact(count: int, subject: Codes) -> int:
    """Return how many of `count` subjects have no contact; `subject` is that of each contact."""
    alone = np.ones(count, dtype=bool)
    alone[subject] = False
    return int(np.count_nonzero(alone))


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
