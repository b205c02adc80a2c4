"""Number subjects and order their versions at random, so that nothing tells the order of the extract."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow as pa

from hashing.coding import Coded, Codes, Rows, at, by_appearance, looked_up
from hashing.native import codes as native
from hashing.seal import RandomBytes
from hashing.subjects import Subjects
from hashing.workers import FORK_ROWS, cores


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
