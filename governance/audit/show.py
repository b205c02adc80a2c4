"""Entries and verifications in words, and which entries somebody wants to see."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.audit.salts import subject_of_ref
from schemas.canonical import to_base64
from schemas.errors import InputError
from schemas.texts import marked_text

if TYPE_CHECKING:  # a seal reads lists of references and shows no log
    from governance.audit.entry import Entry
    from governance.audit.log import AuditLog
    from governance.audit.verify import Verification


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Which entries to show; None takes all. Days are UTC, and both ends are taken."""

    action: str | None = None
    user: str | None = None
    run: str | None = None
    outcome: str | None = None
    since: date | None = None
    until: date | None = None
    commitments: set[str] | None = None

    def takes(self, entry: Entry) -> bool:
        """Whether `entry` is one of them."""
        event, day = entry.event, entry.time.date()
        return (
            all(
                wanted is None or wanted == found
                for wanted, found in (
                    (self.action, event.action),
                    (self.user, event.user),
                    (self.run, event.run),
                    (self.outcome, event.outcome),
                )
            )
            and (self.since is None or self.since <= day)
            and (self.until is None or day <= self.until)
            and (self.commitments is None or not self.commitments.isdisjoint(event.subjects))
        )


def read_refs(path: Path) -> list[str]:
    """Return the references in a file: one a line, or the column `ref` of a CSV file.

    Raises:
        InputError: The file cannot be read or holds none. The message quotes none of them.
    """
    return [row["ref"] for row in read_ref_rows(path)]


def read_ref_rows(path: Path) -> list[Mapping[str, str]]:
    """Return the rows of a file of references, each with `ref` and `reason` (empty when there is none).

    Raises:
        InputError: As for `read_refs`.
    """
    try:
        lines = marked_text(path.read_bytes()).splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            "this file of references cannot be read as UTF-8 text.",
            where=str(path),
            remedy="Check the path, or save it again as CSV UTF-8.",
        ) from None
    filled = [line for line in lines if line.strip()]
    rows = list(csv.reader(filled, delimiter=_delimiter(filled[:1])))
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    at = head.index("ref") if "ref" in head else 0
    why = head.index("reason") if "reason" in head else -1
    body = rows[1:] if "ref" in head else rows
    found: list[Mapping[str, str]] = []
    for row in body:
        if len(row) <= max(at, why) or not row[at].strip():
            raise InputError(
                "a row of this file has no reference, or too few columns.",
                where=str(path),
                remedy="Write one reference a line, or a CSV file with the columns ref and reason.",
            )
        found.append({"ref": row[at].strip(), "reason": row[why].strip() if why >= 0 else ""})
    return found


def _delimiter(first: Sequence[str]) -> str:
    """Return the delimiter by which the first line has a column `ref`; lists are saved with more than commas."""
    for delimiter in ",;\t|":
        cells = next(csv.reader(first, delimiter=delimiter), [])
        if "ref" in [cell.strip().lower() for cell in cells]:
            return delimiter
    return ","


def concerning(log: AuditLog, refs: Path) -> set[str]:
    """Return the commitments in `log` to the people whose references stand in the file `refs`."""
    return log.salts.matching(log.log_id, [subject_of_ref(log.organisation, ref) for ref in read_refs(refs)])


def shown(entry: Entry) -> str:
    """Return an entry in words, on a few lines."""
    event = entry.event
    ended = f" (entry {event.of})" if event.of is not None else ""
    said = [
        f"{entry.n:>6}  {entry.time:%Y-%m-%d %H:%M:%S}Z  {event.action} {event.outcome}{ended}"
        + (f", {event.detail}" if event.detail else ""),
        f"        {event.user or '(no user)'}, {event.organisation or '(no organisation)'}, "
        f"{event.purpose or '(no purpose)'}: {event.reason or '(no reason)'}",
    ]
    facts = [f"run {event.run}"] if event.run else []
    facts += [f"{name} {count:,}" for name, count in event.counts.items()]
    facts += [f"{made.kind} {made.digest[:19]}…" for made in event.artefacts]
    facts += [f"{len(event.subjects):,} people, by commitment"] if event.subjects else []
    return "\n".join([*said, *([f"        {'; '.join(facts)}"] if facts else [])])


def verification_dict(result: Verification) -> dict[str, Any]:
    """Return a verification as JSON values."""
    return {
        "valid": not result.problems,
        "log": result.log,
        "organisation": result.organisation,
        "entries": result.size,
        "root": to_base64(result.root),
        "unfinished_bytes": result.torn,
        "faulty_lines": result.faulty,
        "checkpoints": result.compared,
        "problems": [
            {"kind": found.kind, "sentence": found.sentence, "where": found.where}
            for found in result.problems
        ],
    }


def verification_text(result: Verification, name: str) -> str:
    """Return a verification in words, the verdict first."""
    if result.problems:
        lines = [f"{name} is NOT what it was: {len(result.problems)} problem(s)."]
        lines += [f"  {found.kind}: {found.where}: {found.sentence}" for found in result.problems]
        unlisted = result.faulty - sum(1 for found in result.problems if ", line " in found.where)
        lines += [f"  {unlisted:,} more faulty line(s)."] if unlisted > 0 else []
    else:
        lines = [f"{name}: {result.size:,} entries of {result.organisation}, and nothing is wrong with them."]
        lines += [
            f"  Compared with {result.compared} checkpoint(s)."
            if result.compared
            else "  Compared with no checkpoint: a log that was rewritten whole, with its state, would look the same."
        ]
    if result.torn:
        lines.append(
            f"  The last line is unfinished ({result.torn} bytes): writing was interrupted. The next entry records "
            "that and removes it."
        )
    return "\n".join([*lines, f"Root: {to_base64(result.root)}"])
