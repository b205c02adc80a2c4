"""Delete what is past its date, by the agreement's `retention`; first say what would go, then do it."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from governance.agreement import Agreement
from governance.audit.access import path_digest
from governance.lifecycle.artefacts import Found, find_artefacts, log_files
from governance.lifecycle.retention import due_date
from schemas.errors import OutputError
from schemas.identity import PrivateIdentity

BY_HAND = frozenset({"return_to_agency", "archive"})
"""Methods of disposal that a program cannot do; such artefacts are only listed."""

LEFTOVER_DAYS = 1
"""A working file older than this belongs to no process that still runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """An artefact and what is to become of it.

    Attributes:
        found: The artefact.
        due: Last day on which it may be kept; None when the agreement sets none for its kind.
        verdict: `delete`, `keep`, `by hand`, `other agreement`, `in use`, or `no time agreed`.
    """

    found: Found
    due: date | None
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "kind": self.found.kind,
            "name": self.found.name,
            "made": self.found.made.isoformat(),
            "made_known_by": self.found.basis,
            "due": None if self.due is None else self.due.isoformat(),
            "verdict": self.verdict,
        }


def judge(
    places: Sequence[Path],
    *,
    agreement: Agreement,
    today: date,
    identity: PrivateIdentity | None = None,
    in_use: Path | None = None,
) -> list[Judged]:
    """Return every artefact in `places` with what is to become of it. Nothing is changed.

    Args:
        places: Files and folders.
        agreement: Whose `retention` counts. An artefact that names another agreement is left alone.
        today: The day of the purge.
        identity: Keys with which packages tell their date; without them the date of the file counts.
        in_use: The audit log that this purge is recorded in; it is never deleted.
    """
    own = {} if identity is None else {identity.party: identity.public}
    known = {**agreement.identities, **own}
    listed = find_artefacts(places, identity=identity, known=known)
    runs = [found.path for found in listed if found.kind == "run"]
    return [
        _judged(found, agreement, today, in_use)
        for found in listed
        if found.kind == "return" or not any(run in found.path.parents for run in runs)
    ]


def _judged(found: Found, agreement: Agreement, today: date, in_use: Path | None) -> Judged:
    if found.kind == "leftover":
        kept = found.made + timedelta(days=LEFTOVER_DAYS)
        return Judged(found=found, due=kept, verdict="delete" if today > kept else "keep")
    due = due_date(found.kind, found.made, agreement.document)
    if found.agreement not in {None, agreement.digest}:
        verdict = "other agreement"
    elif in_use is not None and found.path.resolve() == in_use.resolve():
        verdict = "in use"
    elif due is None:
        verdict = "no time agreed"
    elif today <= due:
        verdict = "keep"
    else:
        verdict = "by hand" if agreement.retention[found.kind].method in BY_HAND else "delete"
    return Judged(found=found, due=due, verdict=verdict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Purged:
    """What a purge deleted: how many of each kind, and kind and digest of each."""

    counts: Mapping[str, int]
    digests: Sequence[tuple[str, str]]


def purge(judged: Sequence[Judged]) -> Purged:
    """Delete what is to be deleted, files before the folders that hold them.

    Raises:
        OutputError: Something cannot be deleted; what was deleted before it stays deleted.
    """
    going = [each.found for each in judged if each.verdict == "delete"]
    digests = []
    for found in sorted(going, key=lambda each: len(each.path.parts), reverse=True):
        if found.path.exists():
            # The digest of a small readable file could be guessed, so only its kind is kept.
            readable = found.kind in {"result", "leftover"}
            digests.append((found.kind, "" if readable else path_digest(found.path)))
            delete(found)
    return Purged(counts=dict(Counter(kind for kind, _ in digests)), digests=digests)


def delete(found: Found) -> None:
    """Delete an artefact, with what stands beside a log.

    The bytes are not overwritten: on flash memory and on journaling file systems that would prove nothing.

    Raises:
        OutputError: It cannot be deleted.
    """
    try:
        if found.path.is_dir():
            shutil.rmtree(found.path)
        else:
            for path in log_files(found.path) if found.kind == "log" else [found.path]:
                path.unlink(missing_ok=True)
        sync_folder(found.path.parent)
    except OSError as error:
        raise OutputError(
            f"this {found.kind} cannot be deleted ({error.strerror}).",
            where=str(found.path),
            remedy="Close the programs that use it, and run the same command again.",
        ) from None


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of files to disk, where the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def purge_text(judged: Sequence[Judged], *, acted: bool) -> str:
    """Return a purge in words, what goes first."""
    order = ("delete", "by hand", "no time agreed", "other agreement", "in use", "keep")
    going = sum(1 for each in judged if each.verdict == "delete")
    verb = "Deleted" if acted else "Would delete"
    lines = [f"{verb} {going:,} of {len(judged):,} artefacts found."]
    for verdict in order:
        for each in judged:
            if each.verdict == verdict and verdict != "keep":
                due = (
                    f"to be kept until {each.due.isoformat()}"
                    if each.due
                    else "without a date in the agreement"
                )
                lines.append(
                    f"  {verdict:16} {each.found.kind:10} {each.found.name}, made {each.found.made.isoformat()} "
                    f"({each.found.basis}), {due}"
                )
    kept = sum(1 for each in judged if each.verdict == "keep")
    lines += [f"  {kept:,} more are kept: their time has not come."] if kept else []
    if going and not acted:
        lines.append("Nothing was deleted. Look at the list, then give --yes.")
    return "\n".join(lines)
