"""An entry of the audit log: one line of canonical JSON (RFC 8785).

The fields are written down in docs/spec/audit-v1.md. No field ever holds an identifier, a key or a token: files
appear as digests, people about whom an entry is as salted commitments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from schemas.canonical import JSON, canonical_json
from schemas.errors import AuditError, NotCanonical
from schemas.identity import PARTY_ID
from schemas.manifest import NAME

VERSION = 1
MAX_LINE = 1024 * 1024
"""Bytes of a line, its end included."""
MAX_LIST = 10_000
MAX_REASON = 400
MAX_USER = 128

BEGIN, REPAIR, WITHHOLD = "begin", "repair", "withhold"
OUTCOMES = ("begun", "done", "failed", "stopped")
"""An access is written down before it happens (`begun`), and again with how it ended."""

LOG_ID = re.compile(r"[0-9a-f]{32}")
ACTION = re.compile(r"[a-z][a-z-]{0,31}")
DIGEST = re.compile(r"(?:sha256|salted):[0-9a-f]{64}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_TIME_SHAPE = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z"
)
_KEYS = {
    *("v", "log", "n", "time", "action", "outcome", "of", "user", "organisation", "purpose", "reason"),
    *("agreement", "run", "counts", "artefacts", "subjects", "detail"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """A file that an access read or made: its kind and `sha256:…`, or `salted:…` when it holds names."""

    kind: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """What is to be written down; the log adds its own id, the number and the time.

    Attributes:
        action: What was done, such as `seal`.
        outcome: One of `OUTCOMES`.
        of: Number of the entry that this one completes.
        user: Who.
        organisation: For whom.
        purpose: Id of the agreed purpose.
        reason: Why, in the user's words.
        agreement: Digest of the agreement, where there is one.
        run: Id of the run, where there is one.
        counts: Counts by name.
        artefacts: Files read and made.
        subjects: Commitments (`salted:…`) to the people whom the entry concerns.
        detail: Kind of failure (the error's class, never its message), or a note of the log itself.
    """

    action: str
    outcome: str = "done"
    of: int | None = None
    user: str = ""
    organisation: str = ""
    purpose: str = ""
    reason: str = ""
    agreement: str | None = None
    run: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    artefacts: Sequence[Artefact] = ()
    subjects: Sequence[str] = ()
    detail: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry as it stands in a log. `n` counts from 0; `time` is UTC to the second."""

    log: str
    n: int
    time: datetime
    event: Event

    def to_dict(self) -> dict[str, JSON]:
        """Return the JSON form."""
        event = self.event
        return {
            "v": VERSION,
            "log": self.log,
            "n": self.n,
            "time": self.time.astimezone(UTC).strftime(_TIME),
            "action": event.action,
            "outcome": event.outcome,
            "of": event.of,
            "user": event.user,
            "organisation": event.organisation,
            "purpose": event.purpose,
            "reason": event.reason,
            "agreement": event.agreement,
            "run": event.run,
            "counts": dict(event.counts),
            "artefacts": [{"kind": made.kind, "digest": made.digest} for made in event.artefacts],
            "subjects": list(event.subjects),
            "detail": event.detail,
        }

    def to_line(self) -> bytes:
        """Return the canonical bytes with the line's end.

        Raises:
            AuditError: A field is not of its form.
        """
        try:
            line = canonical_json(self.to_dict()) + b"\n"
        except NotCanonical:
            raise AuditError("this entry of the audit log has no canonical form.") from None
        parse_line(line)
        return line


def parse_line(line: bytes) -> Entry:
    """Read one line, with its end.

    Raises:
        AuditError: It is not the canonical form of an entry; `where` names the field.
    """
    value = fields_of(line)
    artefacts = tuple(Artefact(kind=made["kind"], digest=made["digest"]) for made in value["artefacts"])
    try:
        time = datetime.strptime(value["time"], _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise AuditError("there is no such day.", where="time") from None
    return Entry(
        log=value["log"],
        n=value["n"],
        time=time,
        event=Event(
            **{name: value[name] for name in _PLAIN},
            counts=value["counts"],
            artefacts=artefacts,
            subjects=tuple(value["subjects"]),
        ),
    )


_PLAIN = (
    *("action", "outcome", "of", "user", "organisation", "purpose", "reason"),
    *("agreement", "run", "detail"),
)


def fields_of(line: bytes) -> dict[str, Any]:
    """Return the checked fields of a line.

    Raises:
        AuditError: As for `parse_line`.
    """
    if not line.endswith(b"\n"):
        raise AuditError("the line is not whole.")
    try:
        text = line[:-1].decode("utf-8")
        value = json.loads(text)
        # Keys are ASCII and numbers whole, so this is the form of RFC 8785 (3.2.2, 3.2.3); a fraction, a
        # repeated key or another spelling comes out differently.
        same = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text
    except (ValueError, RecursionError):
        raise AuditError("the line is not JSON.") from None
    if not same or type(value) is not dict or value.keys() != _KEYS:
        raise AuditError("the line is not the canonical form of an entry.")
    fault = _fault(value)
    if fault is not None:
        raise AuditError("this field is not of its form.", where=fault)
    return value


def place_of(line: bytes) -> tuple[str, int]:
    """Return log id and number of a line after checking it as `fields_of` does, ten times as fast.

    Raises:
        AuditError: As for `parse_line`.
    """
    try:
        found = _CANONICAL.fullmatch(line.decode("utf-8"))
    except UnicodeDecodeError:
        found = None
    if found is not None and found["counts"].count(":") < 2:
        number, of = int(found["n"]), found["of"]
        if number < 2**53 and (of == "null" or int(of) < number) and len(found["counted"] or "0") < 16:
            return found["log"], number
    value = fields_of(line)  # several counts, a rare shape, or a fault that it will name
    return value["log"], value["n"]


def _fault(value: dict[str, Any]) -> str | None:
    """Return the name of the first field that is not of its form."""
    for name, pattern, optional in _TEXTS:
        text = value[name]
        if text is None and optional:
            continue
        if type(text) is not str or not pattern.fullmatch(text):
            return name
    if value["v"] != VERSION or type(value["v"]) is not int:
        return "v"
    number, of = value["n"], value["of"]
    if not _whole(number):
        return "n"
    if of is not None and (not _whole(of) or of >= number):
        return "of"
    return _lists_fault(value)


def _lists_fault(value: dict[str, Any]) -> str | None:
    counts, artefacts, subjects = value["counts"], value["artefacts"], value["subjects"]
    if type(counts) is not dict or any(not NAME.fullmatch(k) or not _whole(v) for k, v in counts.items()):
        return "counts"
    if type(artefacts) is not list or len(artefacts) > MAX_LIST or not all(map(_is_artefact, artefacts)):
        return "artefacts"
    if type(subjects) is not list or len(subjects) > MAX_LIST:
        return "subjects"
    if any(type(text) is not str or not DIGEST.fullmatch(text) for text in subjects):
        return "subjects"
    return None


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_artefact(value: Any) -> bool:
    return (
        type(value) is dict
        and value.keys() == {"kind", "digest"}
        and type(value["kind"]) is str
        and type(value["digest"]) is str
        and NAME.fullmatch(value["kind"]) is not None
        and DIGEST.fullmatch(value["digest"]) is not None
    )


_LINE = r"[^\x00-\x1f\x7f]"
_TEXTS = (
    ("log", LOG_ID, False),
    ("time", _TIME_SHAPE, False),
    ("action", ACTION, False),
    ("outcome", re.compile("|".join(OUTCOMES)), False),
    ("user", re.compile(rf"{_LINE}{{0,{MAX_USER}}}"), False),
    ("organisation", re.compile(rf"(?:{PARTY_ID.pattern})?"), False),
    ("purpose", re.compile(rf"(?:{NAME.pattern})?"), False),
    ("reason", re.compile(rf"{_LINE}{{0,{MAX_REASON}}}"), False),
    ("agreement", DIGEST, True),
    ("run", NAME, True),
    ("detail", re.compile(rf"{_LINE}{{1,200}}"), True),
)
"""Field, its form, and whether it may be null."""

_STRING = r'(?:[^"\\\x00-\x1f\x7f]|\\["\\])'
_WHOLE = r"(?:0|[1-9][0-9]{0,15})"
_ONE_ARTEFACT = rf'{{"digest":"{DIGEST.pattern}","kind":"{NAME.pattern}"}}'
_CANONICAL = re.compile(
    rf'{{"action":"{ACTION.pattern}","agreement":(?:null|"{DIGEST.pattern}"),'
    rf'"artefacts":\[(?:{_ONE_ARTEFACT}(?:,{_ONE_ARTEFACT}){{0,15}})?\],'
    rf'"counts":{{(?P<counts>(?:"{NAME.pattern}":(?P<counted>{_WHOLE}))?)}},'
    rf'"detail":(?:null|"{_STRING}{{1,200}}"),"log":"(?P<log>{LOG_ID.pattern})","n":(?P<n>{_WHOLE}),'
    rf'"of":(?P<of>null|{_WHOLE}),"organisation":"(?:{PARTY_ID.pattern})?","outcome":"(?:{"|".join(OUTCOMES)})",'
    rf'"purpose":"(?:{NAME.pattern})?","reason":"{_STRING}{{0,{MAX_REASON}}}","run":(?:null|"{NAME.pattern}"),'
    rf'"subjects":\[(?:"{DIGEST.pattern}"(?:,"{DIGEST.pattern}"){{0,15}})?\],'
    rf'"time":"{_TIME_SHAPE.pattern}","user":"{_STRING}{{0,{MAX_USER}}}","v":{VERSION}}}\n'
)
"""The lines that `place_of` need not parse: RFC 8785 leaves them one spelling, so a match is the canonical form."""
