"""The register of requests: who asked when to be erased, whose objection was upheld, and by when it has to be done.

Rule O06 judges by it. It holds no identifier: a case number, the agency that was asked, days, and salted commitments
to local references. The salt stands beside it (`<register>.salt`) and stays where the register is. One salt serves the
whole register, so that a return can be searched for people who should be gone from it by hashing each reference once.

Times: UK GDPR Art 12(3): within one month of receipt, which may be extended by two further months with a reason that
is told to the person within the first.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.audit.salts import subject_of_ref
from governance.audit.words import identifiers_in, identifiers_in_id
from schemas.atomic import atomic_write
from schemas.dates import months_later
from schemas.errors import InputError, OutputError
from schemas.identity import PARTY_ID
from schemas.labels import labelled_hash
from schemas.locks import locked
from schemas.manifest import NAME

if TYPE_CHECKING:  # the rules are loaded by who asks them
    from governance.rules.output import Request

FORMAT, VERSION = "tallystick-requests", 1
KINDS = ("erasure", "objection")
OUTCOMES = ("applied", "refused", "withdrawn")
BESIDE = ".requests"
"""Ending of the register that is found beside an agreement when none is named."""

MAX_BYTES = 64 * 1024 * 1024
_SALT_BYTES = 32
_PERSON = re.compile(r"salted:[0-9a-f]{64}")
Asking = Callable[[Iterable[str]], Sequence["Request"]]
"""Takes the local references that an output tells of, and returns the requests for rule O06."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One request.

    Attributes:
        case: Number under which it is kept, such as `request-1`; never a person's name.
        kind: `erasure`, or `objection` (an upheld one).
        agency: The agency that was asked.
        received: Day on which it came.
        due: Last day on which it can be applied in time.
        why_longer: Why it may take longer than a month, when it may.
        people: Commitments to the references of the person, at an agency.
        package: Digest of the signed request, at the linkage unit, which knows no references.
        outcome: One of `OUTCOMES`, or None while it is open.
        closed: Day on which it was closed.
    """

    case: str
    kind: str
    agency: str
    received: date
    due: date
    why_longer: str = ""
    people: tuple[str, ...] = ()
    package: str | None = None
    outcome: str | None = None
    closed: date | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as JSON values."""
        days = {name: day.isoformat() if day else None for name, day in self._days().items()}
        return {**asdict(self), **days, "people": list(self.people)}

    def _days(self) -> dict[str, date | None]:
        return {"received": self.received, "due": self.due, "closed": self.closed}


class RequestRegister:
    """A register of requests in a file.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        """Take the register in `path`; use `create` to begin one."""
        self.path = path

    @classmethod
    def create(
        cls, path: Path, *, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> RequestRegister:
        """Begin an empty register, and its salt.

        Raises:
            OutputError: The file, or its salt, exists or cannot be written.
        """
        register = cls(path)
        for each in (path, register._salt_path):
            if each.exists():
                raise OutputError(
                    "this file already exists; a register is never overwritten.", where=str(each)
                )
        atomic_write(register._salt_path, random_bytes(_SALT_BYTES).hex() + "\n", private=True)
        register._write([])
        return register

    def entries(self) -> list[Entry]:
        """Return the requests in the order in which they were added.

        Raises:
            InputError: The file cannot be read, or is no register of requests.
        """
        try:
            with self.path.open("rb") as stream:
                document = json.loads(stream.read(MAX_BYTES))
            if (document["format"], document["version"]) != (FORMAT, VERSION):
                raise ValueError("format")
            return [_entry(value) for value in document["requests"]]
        except OSError as error:
            raise InputError(f"cannot be read ({error.strerror}).", where=str(self.path)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                "this is not a register of requests, or it was damaged.",
                where=str(self.path),
                remedy="Restore it from your backup, or begin one with: tallystick requests new.",
            ) from None

    def add(
        self,
        *,
        kind: str,
        agency: str,
        received: date,
        refs: Iterable[str] = (),
        package: str | None = None,
        case: str | None = None,
        due: date | None = None,
        why_longer: str = "",
    ) -> Entry:
        """Add a request and return it.

        Args:
            kind: One of `KINDS`.
            agency: The agency that was asked.
            received: Day on which it came.
            refs: References of the person at that agency; only commitments to them are kept.
            package: Digest of the signed request, at the linkage unit.
            case: Its number; the next free `request-N` when None.
            due: Last day; a month after `received` when None.
            why_longer: Needed when `due` is later than a month; at most three months in all.

        Raises:
            InputError: The number is taken, or a text seems to hold an identifier, or a day cannot be.
            OutputError: The register cannot be written.
        """
        people = tuple(sorted(self._commitments(agency, refs)))
        with locked(self.path):
            held = self.entries()
            names = {entry.case for entry in held}
            number = next(n for n in range(1, len(held) + 2) if f"request-{n}" not in names)
            entry = Entry(
                case=case or f"request-{number}",
                kind=kind,
                agency=agency,
                received=received,
                due=due or months_later(received, 1),
                why_longer=why_longer.strip(),
                people=people,
                package=package,
            )
            self._require(entry, names)
            self._write([*held, entry])
        return entry

    def close(self, case: str, outcome: str, *, on: date) -> Entry:
        """Close a request and return it.

        Raises:
            InputError: There is no such open request, or it came after that day.
            OutputError: The register cannot be written.
        """
        with locked(self.path):
            held = self.entries()
            entry = next((each for each in held if each.case == case and each.outcome is None), None)
            if entry is None:
                raise self._bad(
                    "there is no open request of this number.", "Look at: tallystick requests list."
                )
            if on < entry.received:
                raise self._bad("a request is not closed before it came.", "Give the day with --on.")
            closed = replace(entry, outcome=outcome, closed=on)
            self._write([closed if each is entry else each for each in held])
        return closed

    def matching(self, agency: str, refs: Iterable[str], outcome: str | None = None) -> list[Entry]:
        """Return the requests of `agency` with this outcome (None: open) all of whose people are among `refs`."""
        known = self._commitments(agency, refs)
        return [
            entry
            for entry in self.entries()
            if entry.outcome == outcome
            and entry.agency == agency
            and entry.people
            and known >= set(entry.people)
        ]

    def asking(self, agency: str | None = None) -> Asking:
        """Return what rule O06 is asked with, for the outputs of `agency` (None where no reference is known)."""
        from governance.rules.output import Request

        entries = self.entries()
        committed = agency is not None and any(entry.people for entry in entries)

        def ask(refs: Iterable[str]) -> list[Request]:
            here = self._commitments(agency or "", refs) if committed else set()
            return [
                Request(
                    kind=entry.kind,
                    reference=entry.case,
                    due=entry.due,
                    applied=entry.closed,
                    back=not here.isdisjoint(entry.people),
                )
                for entry in entries
                if entry.outcome in (None, "applied")
            ]

        return ask

    @property
    def _salt_path(self) -> Path:
        return self.path.with_name(f"{self.path.name}.salt")

    def _salt(self) -> bytes:
        try:
            salt = bytes.fromhex(self._salt_path.read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            salt = b""
        if len(salt) != _SALT_BYTES:
            raise InputError(
                "the salt of this register is missing or damaged, so nobody can tell whom its requests are about.",
                where=str(self._salt_path),
                remedy="Restore it from your backup.",
            )
        return salt

    def _commitments(self, agency: str, refs: Iterable[str]) -> set[str]:
        wanted = set(refs)
        salt = self._salt() if wanted else b""
        return {
            "salted:" + labelled_hash("tallystick/v1/request-person", salt, subject_of_ref(agency, ref)).hex()
            for ref in wanted
        }

    def _require(self, entry: Entry, names: set[str]) -> None:
        if entry.case in names:
            raise self._bad("this number is taken.", "Each request has a number of its own.")
        if not NAME.fullmatch(entry.case) or not PARTY_ID.fullmatch(entry.agency):
            raise self._bad(
                "a number or an agency is not of its form.", "Letters, digits, `.`, `_` and `-` make it."
            )
        found = [
            *identifiers_in_id(entry.case),
            *identifiers_in(entry.case),
            *identifiers_in(entry.why_longer),
        ]
        if found:
            raise self._bad(
                f"the number or the reason seems to hold {' and '.join(sorted(set(found)))}.",
                "Write a case number and plain words; whose request it is does not belong here.",
            )
        if not entry.received <= entry.due <= months_later(entry.received, 3):
            raise self._bad(
                "the last day lies before the request, or more than three months after it.",
                "The law gives one month, and at most two more (UK GDPR Art 12(3)).",
            )
        if entry.due > months_later(entry.received, 1) and not entry.why_longer:
            raise self._bad(
                "more than a month needs a reason.", "Say why with --why-longer, and tell the person."
            )

    def _bad(self, message: str, remedy: str) -> InputError:
        return InputError(message, where=str(self.path), remedy=remedy)

    def _write(self, entries: Sequence[Entry]) -> None:
        document = {"format": FORMAT, "version": VERSION, "requests": [entry.to_dict() for entry in entries]}
        atomic_write(self.path, json.dumps(document, indent=1, ensure_ascii=False) + "\n", private=True)


def _entry(value: Mapping[str, Any]) -> Entry:
    """Raises ValueError, KeyError or TypeError when `value` is no entry."""
    if value.keys() != Entry.__dataclass_fields__.keys():
        raise ValueError("members")
    closed, people = value["closed"], tuple(value["people"])
    entry = Entry(
        **{
            **value,
            "received": date.fromisoformat(value["received"]),
            "due": date.fromisoformat(value["due"]),
            "closed": None if closed is None else date.fromisoformat(closed),
            "people": people,
        }
    )
    if (
        entry.kind not in KINDS
        or entry.outcome not in (None, *OUTCOMES)
        or not all(map(_PERSON.fullmatch, people))
    ):
        raise ValueError("entry")
    if (entry.outcome is None) != (entry.closed is None):
        raise ValueError("closed")
    return entry


def register_for(named: Path | None, agreement_file: Path | None) -> RequestRegister | None:
    """Return the register that was named, or the one that stands beside the agreement; None when there is none."""
    if named is not None:
        return RequestRegister(named)
    if agreement_file is None:
        return None
    beside = agreement_file.with_name(agreement_file.name + BESIDE)
    return RequestRegister(beside) if beside.is_file() else None
