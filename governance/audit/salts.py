"""Salted commitments to the people whom an entry concerns, and the salts, which are kept beside the log.

An entry holds H(log, salt, subject). With the salt, whoever knows the subject can find the entries that concern
them; without it nobody can, however few subjects there are to try. So a subject is forgotten by deleting salts, and
the tree still verifies, because no entry changes. Each commitment has a salt of its own (32 random bytes).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.atomic import atomic_file
from schemas.canonical import from_base64, to_base64
from schemas.errors import AuditError, NotCanonical
from schemas.labels import encode, labelled_hash

SALT_BYTES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Commitment:
    """What stands in the log (`salted:…`), and the salt that stands apart."""

    value: str
    salt: bytes

    def __repr__(self) -> str:
        return f"Commitment({self.value}, salt hidden)"


def subject_of_ref(organisation: str, ref: str) -> bytes:
    """Return what is committed to for a person whom an agency knows by a local reference."""
    return encode("tallystick/v1/audit-subject-ref", organisation.encode(), ref.encode())


def subject_of_number(run: str, agency: str, number: int) -> bytes:
    """Return what is committed to for a subject that the linkage unit knows by number."""
    return encode("tallystick/v1/audit-subject-number", run.encode(), agency.encode(), str(number).encode())


def commit(log: str, subject: bytes, salt: bytes) -> Commitment:
    """Commit to `subject` (any bytes) in the log with the id `log`; `salt` is 32 fresh random bytes."""
    value = labelled_hash("tallystick/v1/audit-commitment", log.encode(), salt, subject).hex()
    return Commitment(value=f"salted:{value}", salt=salt)


class Salts:
    """The salts of a log, one JSON line each, readable by their owner only."""

    def __init__(self, path: Path) -> None:
        """Take the file `path`; it is made when the first salt is added."""
        self.path = path

    def add(self, commitments: Sequence[Commitment]) -> None:
        """Keep the salts of `commitments`.

        Raises:
            OutputError: The file cannot be written.
        """
        if commitments:
            self._rewrite([*self._lines(), *(_line(made) for made in commitments)])

    def matching(self, log: str, subjects: Iterable[bytes]) -> set[str]:
        """Return the commitments in the log that are to one of `subjects` and whose salt is still there."""
        wanted = list(subjects)
        return {
            made.value
            for made in self
            if any(commit(log, subject, made.salt).value == made.value for subject in wanted)
        }

    def forget(self, values: set[str]) -> int:
        """Delete the salts of these commitments; return how many there were.

        Raises:
            OutputError: The file cannot be written.
        """
        return self._keep(lambda made: made.value not in values)

    def __iter__(self) -> Iterator[Commitment]:
        """Yield the commitments whose salts are kept."""
        return map(self._parse, self._lines())

    def _keep(self, wanted: Callable[[Commitment], bool]) -> int:
        lines = self._lines()
        kept = [line for line in lines if wanted(self._parse(line))]
        if len(kept) < len(lines):
            self._rewrite(kept)
        return len(lines) - len(kept)

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="ascii").splitlines() if self.path.exists() else []
        except (OSError, UnicodeDecodeError):
            raise self._damaged() from None

    def _parse(self, line: str) -> Commitment:
        try:
            value = json.loads(line)
            return Commitment(value=str(value["commitment"]), salt=from_base64(value["salt"]))
        except (ValueError, KeyError, TypeError, NotCanonical):
            raise self._damaged() from None

    def _rewrite(self, lines: list[str]) -> None:
        with atomic_file(self.path, private=True) as stream:
            stream.writelines(line.encode("ascii") + b"\n" for line in lines)

    def _damaged(self) -> AuditError:
        return AuditError(
            "this is not a file of salts.", where=str(self.path), remedy="Restore it from your backup."
        )


def _line(made: Commitment) -> str:
    return json.dumps({"commitment": made.value, "salt": to_base64(made.salt)})
