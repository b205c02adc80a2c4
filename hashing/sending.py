"""Which contacts leave an agency, and in which form: those of the agreed months, by subject and day; leads sealed."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.agreement import Agreement
from hashing.coding import Coded, Codes, Rows, at, looked_up
from hashing.keys import RunKeys
from hashing.native import codes as native
from hashing.seal import RandomBytes
from hashing.subjects import NO_DAY, Contacts
from schemas.dates import months_before
from schemas.labels import encode
from schemas.payload import CONTACTS, LEADS

_LEAD_PADDING = 64
"""Lead contacts are padded to a multiple of this many bytes, so that their length does not tell them apart."""

EPOCH = date(1970, 1, 1)

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


def contacts_batch(contacts: Contacts) -> pa.RecordBatch:
    """Return contacts as the part of a package."""
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


def sealed_leads(leads: Coded, keys: RunKeys, context: bytes, random_bytes: RandomBytes) -> pa.RecordBatch:
    """Return the lead contacts as the part of a package, each encrypted for agencies only."""
    cipher = AESGCM(keys.display_key())
    sealed = []
    for text in leads.values.to_pylist():
        body = text.encode()
        size = -(-(len(body) + 4) // _LEAD_PADDING) * _LEAD_PADDING
        plain = (len(body).to_bytes(4, "big") + body).ljust(size, b"\0")
        nonce = random_bytes(12)
        sealed.append(nonce + cipher.encrypt(nonce, plain, context))
    return pa.RecordBatch.from_arrays([pa.array(sealed, type=pa.binary())], schema=LEADS)


def without_contact(count: int, subject: Codes) -> int:
    """Return how many of `count` subjects have no contact; `subject` is that of each contact."""
    alone = np.ones(count, dtype=bool)
    alone[subject] = False
    return int(np.count_nonzero(alone))
