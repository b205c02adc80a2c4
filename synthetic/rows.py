"""From references to contact rows: which version of an identity stands on which row.

Most rows show what the reference shows. At agencies that keep what was taken down at the time, earlier rows show the
earlier address and surname; and now and then a row was miscopied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from synthetic import corrupt
from synthetic.agencies import IDENTIFIERS, Agency
from synthetic.contacts import Contacts
from synthetic.households import Bools, Ints
from synthetic.profile import Profile
from synthetic.recording import Recorder
from synthetic.records import NO_DATE, ErrorLog, Recorded

_AGED_FIELDS = ("surname", "postcode", "uprn", "address")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Contact rows of a chunk.

    Attributes:
        versions: Recorded values; the first R are those of the R references.
        version: Version on each of C rows.
        open_case: Whether the case of each row is open.
        contact_type: Number of the contact type of each row, in the order of the agency's list.
        worker: Number of the lead contact of each row.
    """

    versions: Recorded
    version: Ints
    open_case: Bools
    contact_type: Ints
    worker: Ints


def _earlier(recorder: Recorder, values: Recorded, day: Ints, profile: Profile) -> tuple[Ints, Recorded]:
    """Return the references with an earlier version, and that version: the state when the reference was opened."""
    contacts = recorder.contacts
    keeps = np.array([agency.history for agency in recorder.agencies])[contacts.agency]
    keeps &= (contacts.opened < day) & (recorder.rng.random(day.size) < profile.process["row_history"])
    # An earlier row can only be one before the last contact.
    first = np.full(day.size, contacts.row_day.max(initial=0))
    np.minimum.at(first, contacts.row_ref, contacts.row_day)
    keeps &= first < contacts.last
    refs = np.flatnonzero(keeps)
    then, now = recorder.state(refs, contacts.opened[refs]), recorder.state(refs, day[refs])
    copies = values.take(refs)
    changed = np.zeros(refs.size, bool)
    for column in _AGED_FIELDS:
        differs = (getattr(then, column) != getattr(now, column)) & (getattr(copies, column) != "")
        getattr(copies, column)[differs] = getattr(then, column)[differs]
        changed |= differs
        recorder.log.add(refs[differs], column, "earlier_row")
    return refs[changed], copies.take(np.flatnonzero(changed))


def _miscopy(source: Random, copies: Recorded, refs: Ints, log: ErrorLog) -> None:
    hit: dict[str, list[int]] = {"forename": [], "surname": [], "postcode": [], "dob": []}
    for row in range(refs.size):
        column = corrupt.pick(tuple(hit), source)
        cells = getattr(copies, column)
        before = cells[row]
        if column == "dob":
            cells[row] += 0 if before == NO_DATE else corrupt.pick((-1, 1), source)
        else:
            cells[row] = (corrupt.postcode_keyed if column == "postcode" else corrupt.keyboard)(
                before, source
            )
        if cells[row] != before:
            hit[column].append(row)
    for column, rows in hit.items():
        log.add(refs[np.array(rows, dtype=np.int64)], column, "miscopied_row")


def _joined(parts: Sequence[Recorded]) -> Recorded:
    return Recorded(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in IDENTIFIERS})


def _open_cases(
    rng: np.random.Generator, contacts: Contacts, agencies: Sequence[Agency], today: int
) -> Bools:
    share = np.array([agency.open for agency in agencies])[contacts.agency]
    # A case seldom stays open without contact: after four months the chance falls to a quarter (assumed).
    stale = today - contacts.last > 120
    is_open = rng.random(share.size) < share * np.where(stale, 0.25, 1.0)
    row = is_open[contacts.row_ref]
    last = contacts.row_day == contacts.last[contacts.row_ref]
    live: Bools = row & (last | (rng.random(row.size) < 0.5))
    return live


def _types(rng: np.random.Generator, contacts: Contacts, agencies: Sequence[Agency]) -> Ints:
    types = np.zeros(contacts.row_ref.size, dtype=np.int64)
    code = contacts.agency[contacts.row_ref]
    for number, agency in enumerate(agencies):
        weights = np.array(list(agency.contact_types.values()), dtype=float)
        rows = np.flatnonzero(code == number)
        types[rows] = rng.choice(weights.size, size=rows.size, p=weights / weights.sum())
    return types


def write_rows(recorder: Recorder, values: Recorded, day: Ints, *, workers: int) -> Rows:
    """Return the contact rows of a chunk; adds what differs on single rows to the recorder's log.

    Args:
        recorder: The recorder that made `values`.
        values: Recorded values of each reference.
        day: Day on which each was taken down.
        workers: How many lead contacts an agency has.
    """
    rng, contacts, profile = recorder.rng, recorder.contacts, recorder.profile
    refs = contacts.person.size
    version = contacts.row_ref.copy()
    aged, earlier = _earlier(recorder, values, day, profile)
    of_ref = np.full(refs, -1, dtype=np.int64)
    of_ref[aged] = refs + np.arange(aged.size)
    old = (of_ref[contacts.row_ref] >= 0) & (contacts.row_day < contacts.last[contacts.row_ref])
    version[old] = of_ref[contacts.row_ref[old]]
    first = np.r_[True, contacts.row_ref[1:] != contacts.row_ref[:-1]][: contacts.row_ref.size]
    slips = np.flatnonzero(~first & (rng.random(first.size) < profile.process["row_miscopied"]))
    both = _joined([values, earlier])
    copies = both.take(version[slips])
    _miscopy(Random(int(rng.integers(2**63))), copies, contacts.row_ref[slips], recorder.log)
    version[slips] = both.dob.size + np.arange(slips.size)
    own = rng.integers(0, workers, refs)[contacts.row_ref]
    moved_on = rng.random(own.size) < 0.1
    return Rows(
        versions=_joined([both, copies]),
        version=version,
        open_case=_open_cases(rng, contacts, recorder.agencies, recorder.today),
        contact_type=_types(rng, contacts, recorder.agencies),
        worker=np.where(moved_on, rng.integers(0, workers, own.size), own),
    )
