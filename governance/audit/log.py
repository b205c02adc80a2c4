"""The audit log on disk: one entry a line, appended under a lock, flushed to disk, never rewritten.

Beside the log stand three files: `.state` (the tree's frontier, so that an entry is appended in O(log n); it can
always be made again from the log), `.salts` (what must be deleted to forget a subject) and `.lock`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from governance.audit.entry import BEGIN, MAX_LINE, REPAIR, Artefact, Entry, Event, parse_line, place_of
from governance.audit.merkle import Frontier, leaf_hash
from governance.audit.salts import SALT_BYTES, Commitment, Salts, commit
from governance.audit.words import identifiers_in, identifiers_in_id
from schemas.atomic import atomic_file, atomic_write
from schemas.canonical import JSON, bytes_digest, canonical_json, from_base64, parse_json, to_base64
from schemas.errors import AuditError, AuditIncomplete, LogAltered, LogTruncated, NotCanonical, OutputError
from schemas.locks import locked

_STATE = "tallystick-audit-state"


@dataclass(frozen=True, kw_only=True, slots=True)
class Appended:
    """An entry that is on disk: its number, and the commitments made for it in the order of the subjects."""

    n: int
    commitments: tuple[Commitment, ...] = ()


@dataclass(slots=True)
class _State:
    """How far the tree is computed: `frontier` covers the first `end` bytes of the log."""

    frontier: Frontier
    end: int


class AuditLog:
    """An audit log that exists.

    Attributes:
        path: The file.
        log_id: 32 hexadecimal digits, drawn when the log was begun; every entry carries it.
        organisation: Whose log it is.
    """

    def __init__(self, path: Path) -> None:
        """Open the log `path`.

        Raises:
            AuditError: There is no log, or its first line is not the beginning of one.
        """
        self.path = path
        try:
            with path.open("rb") as stream:
                first = parse_line(stream.readline(MAX_LINE))
        except OSError as error:
            raise AuditError(
                f"the audit log cannot be read ({error.strerror}).",
                where=str(path),
                remedy="Begin one with: tallystick audit new FILE --organisation ID.",
            ) from None
        except AuditError:
            raise LogAltered("this does not begin like an audit log.", where=str(path)) from None
        if first.n != 0 or first.event.action != BEGIN:
            raise LogAltered("the first entry is not the beginning of a log.", where=f"{path}, line 1")
        self.log_id, self.organisation = first.log, first.event.organisation
        self.salts = Salts(path.with_name(path.name + ".salts"))

    @classmethod
    def create(
        cls, path: Path, *, organisation: str, user: str, now: datetime, log_id: str | None = None
    ) -> AuditLog:
        """Begin a log. `now` has a zone; `log_id` is drawn at random when it is None.

        Raises:
            OutputError: The file exists or cannot be written.
        """
        if path.exists():
            raise OutputError("this file already exists; a log is never overwritten.", where=str(path))
        begun = Event(action=BEGIN, user=user, organisation=organisation, purpose="audit", reason="New log.")
        entry = Entry(log=log_id or secrets.token_hex(16), n=0, time=now, event=begun)
        atomic_write(path, entry.to_line(), private=True)
        return cls(path)

    def append(
        self,
        event: Event,
        *,
        now: datetime,
        subjects: Sequence[bytes] = (),
        keep_salts: bool = True,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Appended:
        """Write an entry, flushed to disk before this returns.

        Args:
            event: What happened.
            now: Time, with a zone.
            subjects: People concerned (`salts.subject_of_ref`), to whom salted commitments are made.
            keep_salts: Keep the salts beside the log. When False they are only returned.
            random_bytes: Source of the salts.

        Raises:
            AuditIncomplete: A text seems to hold an identifier, or is not of its form.
            LogTruncated: The log is shorter than it was.
            LogAltered: What was added to the log since is no entry.
            OutputError: The entry cannot be written; the log is as it was.
        """
        _refuse_identifiers(event)
        made = tuple(commit(self.log_id, subject, random_bytes(SALT_BYTES)) for subject in subjects)
        with locked(self.path), self._open() as stream:
            state, torn = self._catch_up(stream)
            if keep_salts:
                self.salts.add(made)
            events = [_with_subjects(event, made)]
            if torn:
                events.insert(0, _repair(torn, self.organisation))
            first = state.frontier.size
            lines = [
                Entry(log=self.log_id, n=first + at, time=now, event=each).to_line()
                for at, each in enumerate(events)
            ]
            _write_at(stream, state.end, b"".join(lines), self.path)
            for line in lines:
                state.frontier.add(leaf_hash(line[:-1]))
                state.end += len(line)
            self._save(state)
        return Appended(n=state.frontier.size - 1, commitments=made)

    def commit(self, subject: bytes, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
        """Return a salted commitment to `subject` and keep its salt: for a file whose digest could be guessed."""
        made = commit(self.log_id, subject, random_bytes(SALT_BYTES))
        with locked(self.path):
            self.salts.add([made])
        return made.value

    def forget(self, subjects: Sequence[bytes]) -> int:
        """Delete the salts of all commitments to these people; return how many there were. No entry changes."""
        with locked(self.path):
            return self.salts.forget(self.salts.matching(self.log_id, subjects))

    def head(self) -> tuple[int, bytes]:
        """Return the number of entries and the root, by the stored state (`verify_log` computes them anew).

        Raises:
            LogAltered: As for `append`.
        """
        with locked(self.path), self._open() as stream:
            state, _ = self._catch_up(stream)
            self._save(state)
        return state.frontier.size, state.frontier.root()

    def require_writable(self) -> None:
        """Refuse a log to which nothing could be appended.

        Raises:
            AuditError, OutputError: As for `append`.
        """
        self.head()

    def lines(self) -> Iterator[bytes]:
        """Yield the whole lines, each with its end."""
        with self._open("rb") as stream:
            while (line := stream.readline(MAX_LINE + 1)).endswith(b"\n"):
                yield line

    def entries(self) -> Iterator[Entry]:
        """Yield the entries.

        Raises:
            LogAltered: A line is no entry; `where` names it.
        """
        for number, line in enumerate(self.lines()):
            try:
                yield parse_line(line)
            except AuditError as error:
                raise LogAltered(error.message, where=f"{self.path}, line {number + 1}") from None

    def leaves(self) -> Iterator[bytes]:
        """Yield the leaf hashes of the tree."""
        return (leaf_hash(line[:-1]) for line in self.lines())

    def stored(self) -> tuple[int, bytes, int] | None:
        """Return entries, root and bytes by the stored state; None when there is none that can be read."""
        state = self._load()
        return None if state is None else (state.frontier.size, state.frontier.root(), state.end)

    def _open(self, mode: str = "r+b") -> BinaryIO:
        try:
            return self.path.open(mode, buffering=1 << 20)  # type: ignore[return-value]
        except OSError as error:
            raise AuditError(
                f"the audit log cannot be opened ({error.strerror}).", where=str(self.path)
            ) from None

    def _catch_up(self, stream: BinaryIO) -> tuple[_State, bytes]:
        """Return the state of all whole lines, and what stands after the last of them."""
        state = self._load() or _State(frontier=Frontier(), end=0)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, state.end - 1))
        if state.end > size or (state.end and stream.read(1) != b"\n"):
            raise LogTruncated(
                f"{state.frontier.size:,} entries were written, and some of them are gone.",
                where=str(self.path),
                remedy="Keep the file as it is, compare it with the last checkpoint (tallystick audit verify), and "
                "restore the log from your backup.",
            )
        while (line := stream.readline(MAX_LINE + 1)).endswith(b"\n"):
            try:
                _, number = place_of(line)
            except AuditError:
                number = -1
            if number != state.frontier.size:
                raise LogAltered(
                    "this line is not the next entry of the log.",
                    where=f"{self.path}, line {state.frontier.size + 1}",
                    remedy="Run: tallystick audit verify.",
                )
            state.frontier.add(leaf_hash(line[:-1]))
            state.end += len(line)
        torn = line + stream.read(MAX_LINE)
        if len(torn) >= MAX_LINE or b"\n" in torn:
            raise LogAltered(
                "this line is longer than an entry can be.",
                where=f"{self.path}, line {state.frontier.size + 1}",
                remedy="Run: tallystick audit verify.",
            )
        return state, torn

    @property
    def _state_path(self) -> Path:
        return self.path.with_name(self.path.name + ".state")

    def _load(self) -> _State | None:
        """Return the stored state; None when it is missing or not one of this log, so that it is made again."""
        try:
            value = parse_json(self._state_path.read_bytes())
        except (OSError, NotCanonical):
            return None
        if not isinstance(value, dict) or value.get("format") != _STATE or value.get("log") != self.log_id:
            return None
        size, end, hashes = value.get("size"), value.get("bytes"), value.get("frontier")
        if not isinstance(size, int) or not isinstance(end, int) or not isinstance(hashes, list):
            return None
        try:
            return _State(frontier=Frontier(size, [from_base64(each) for each in hashes]), end=end)
        except (ValueError, NotCanonical):
            return None

    def _save(self, state: _State) -> None:
        value: dict[str, JSON] = {
            "format": _STATE,
            "version": 1,
            "log": self.log_id,
            "size": state.frontier.size,
            "bytes": state.end,
            "frontier": [to_base64(each) for each in state.frontier.hashes],
        }
        with atomic_file(self._state_path, private=True) as stream:
            stream.write(canonical_json(value))


def _with_subjects(event: Event, made: Sequence[Commitment]) -> Event:
    if not made:
        return event
    values = {name: getattr(event, name) for name in Event.__slots__}
    return Event(**{**values, "subjects": [*event.subjects, *(each.value for each in made)]})


def _repair(torn: bytes, organisation: str) -> Event:
    """The bytes of an unfinished line are replaced by an entry that says so: nobody was told that they were written."""
    return Event(
        action=REPAIR,
        organisation=organisation,
        user="tallystick",
        purpose="audit",
        reason="An unfinished last line was removed.",
        counts={"bytes": len(torn)},
        artefacts=[Artefact(kind="torn-line", digest=bytes_digest(torn))],
    )


def _refuse_identifiers(event: Event) -> None:
    for name, found in (
        ("reason", identifiers_in(event.reason)),
        ("user", identifiers_in_id(event.user)),
        ("purpose", identifiers_in_id(event.purpose)),
        ("run", identifiers_in_id(event.run or "")),
    ):
        if found:
            raise AuditIncomplete(
                f"the {name} given for the audit log seems to hold {' and '.join(found)}.",
                remedy="Name a case or a task instead; the log is read by people who may not know who it is about.",
            )


def _write_at(stream: BinaryIO, end: int, data: bytes, path: Path) -> None:
    """Write `data` at `end` and cut what follows; a failure leaves at most an unfinished line behind."""
    raw = stream.raw  # type: ignore[attr-defined]  # its own buffer would be written again on closing
    try:
        raw.seek(end)
        for done in _written(raw, data):
            assert done  # noqa: S101 - a plain file takes at least a byte or fails
        raw.truncate(end + len(data))
        os.fsync(raw.fileno())
    except OSError as error:
        raise OutputError(
            f"the entry could not be written ({error.strerror}), so what was done is not recorded.",
            where=str(path),
            remedy="Free some disk space and try again.",
        ) from None


def _written(raw: BinaryIO, data: bytes) -> Iterator[int]:
    view = memoryview(data)
    while view:
        done = raw.write(view)
        view = view[done:]
        yield done
