"""Leave people out before sealing: objections, protected addresses, adoptions, whatever the agreement names.

The file of exclusions is read at the agency and never leaves it; what leaves is a count for each kind (rule P12).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.audit.show import read_ref_rows
from hashing.coding import Coded, Codes
from hashing.subjects import Subjects
from schemas.errors import ExtractError, InputError

UNSTATED = "unstated"
"""Kind of an exclusion without a reason; rule R04 asks for one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut:
    """Who was left out, in counts.

    Attributes:
        people: How many people.
        by_kind: Kind -> people; each counts once, under the first of its kinds in the file.
        not_found: References in the file that the extract does not have.
    """

    people: int
    by_kind: Mapping[str, int]
    not_found: int


def read_exclusions(path: Path, kinds: Sequence[str]) -> dict[str, str]:
    """Return reference -> kind of a CSV file with the columns `ref` and `reason`.

    Args:
        path: The file.
        kinds: Kinds that the agreement names; any when there are none.

    Raises:
        InputError: The file cannot be read, or a reason is none of the kinds. No reference is repeated.
    """
    found: dict[str, str] = {}
    for number, row in enumerate(read_ref_rows(path), 1):
        kind = row["reason"].lower().replace(" ", "_") or UNSTATED
        if kinds and kind not in {*kinds, UNSTATED}:
            raise InputError(
                "this reason is none of the exclusions that the agreement names.",
                where=f"{path}, entry {number}, column reason",
                remedy=f"Write one of: {', '.join(kinds)}.",
            )
        found.setdefault(row["ref"], kind)
    return found


def leave_out(subjects: Subjects, kinds: Mapping[str, str]) -> tuple[Subjects, LeftOut]:
    """Return the subjects without the people whom one of the references belongs to.

    A person goes whole: rows under another reference that have the same identifiers would show the person all the same.

    Args:
        subjects: The agency's subjects, from `collapse`.
        kinds: Local reference -> kind of exclusion.

    Raises:
        ExtractError: Nobody is left.
    """
    at = pc.index_in(subjects.refs, value_set=pa.array(kinds, pa.string()))
    rows = np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False))
    place = at.take(pa.array(rows)).to_numpy(zero_copy_only=False).astype(np.int64)
    listed = list(kinds.values())
    first: dict[int, int] = {}
    for subject, number in zip(subjects.ref_subject[rows].tolist(), place.tolist(), strict=True):
        first[subject] = min(number, first.get(subject, number))
    told = LeftOut(
        people=len(first),
        by_kind=dict(Counter(listed[number] for number in first.values())),
        not_found=len(kinds) - len(rows),
    )
    if not first:
        return subjects, told
    if len(first) == subjects.count:
        raise ExtractError("the exclusions leave nobody to seal.", remedy="Check the file of exclusions.")
    return _without(subjects, np.array(sorted(first))), told


def only_in_contact(subjects: Subjects, held: np.ndarray[tuple[int], np.dtype[np.int32]]) -> Subjects:
    """Return the subjects who have a contact that leaves; the others are no part of what is asked.

    Args:
        subjects: The agency's subjects.
        held: The subject of each contact that leaves.

    Raises:
        ExtractError: Nobody has one.
    """
    alone = np.ones(subjects.count, dtype=bool)
    alone[held] = False
    gone = np.flatnonzero(alone)
    if len(gone) == subjects.count:
        raise ExtractError(
            "nobody in the extract has a contact in the window of the agreement, so there is nobody to seal.",
            remedy="Check the dates of the contacts, the column that mapping.yaml names for them, and --as-of. Under "
            "an agreement with window.everyone people without a contact are sealed too.",
        )
    return subjects if len(gone) == 0 else _without(subjects, gone)


def _without(subjects: Subjects, gone: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Subjects:
    stays = np.ones(subjects.count, dtype=bool)
    stays[gone] = False
    number = (np.cumsum(stays) - 1).astype(np.int32)
    refs, versions = (
        np.flatnonzero(stays[subjects.ref_subject]),
        np.flatnonzero(stays[subjects.version_subject]),
    )
    contacts = subjects.contacts
    dated = np.flatnonzero(stays[contacts.subject])
    fields = {name: _used(coded.take(versions)) for name, coded in subjects.fields.items()}
    return replace(
        subjects,
        count=int(stays.sum()),
        refs=subjects.refs.take(pa.array(refs)),
        ref_subject=number[subjects.ref_subject[refs]],
        version_subject=number[subjects.version_subject[versions]],
        fields={name: column for name, (column, _) in fields.items()},
        contacts=replace(
            contacts,
            subject=number[contacts.subject[dated]],
            day=contacts.day[dated],
            is_open=contacts.is_open[dated],
            lead=_used(contacts.lead.take(dated))[0],
        ),
        quality=replace(subjects.quality, subjects=int(stays.sum()), versions=len(versions)),
        deriving=subjects.deriving.renumbered(fields),
    )


def _used(coded: Coded) -> tuple[Coded, Codes]:
    """Return the column over the values that are used, nothing of those left out, and where each stood before."""
    used, codes = np.unique(coded.codes[coded.codes >= 0], return_inverse=True)
    renumbered = np.full(len(coded.codes), -1, dtype=np.int32)
    renumbered[coded.codes >= 0] = codes
    values = coded.values.take(pa.array(used, type=pa.int32()))
    return Coded(codes=renumbered, values=values), used.astype(np.int32)


def attested(kinds: Sequence[str], left_out: LeftOut, before: Mapping[str, int]) -> dict[str, int]:
    """Return kind -> people left out, none included, of the file and of those left out of the extract before."""
    names = [*kinds, *(name for name in (*left_out.by_kind, *before) if name not in kinds)]
    return {name: left_out.by_kind.get(name, 0) + before.get(name, 0) for name in dict.fromkeys(names)}
