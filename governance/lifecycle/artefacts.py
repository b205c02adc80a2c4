"""Find the artefacts in folders: packages, returns, crosswalks, runs, opened results, logs, and what a crash left."""

from __future__ import annotations

import csv
import json
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from governance.audit.entry import MAX_LINE, parse_line
from schemas.container import read_manifest
from schemas.errors import AuditError, PackageError
from schemas.header import MAGIC
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import Manifest

RESULT_COLUMNS = frozenset({"ref", "person", "agencies", "agency", "contact_count", "lead_contact"})
"""Columns by which an opened result is known; `tallystick open` writes them all."""

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")
"""Working files of `schemas.atomic`; only a killed process leaves one."""

_KINDS = {"sealed": "package", "return": "return", "crosswalk": "crosswalk"}
_BESIDE_LOG = (".state", ".salts", ".lock")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An artefact.

    Attributes:
        kind: `package`, `run`, `return`, `crosswalk`, `result`, `log`, or `leftover`.
        path: File, or the folder of a run.
        name: The path within the folder that was searched.
        made: Day on which it was made (UTC).
        basis: How that day is known: `signed`, `its own record`, or `date of the file`, which copying changes.
        agreement: Digest of its agreement, where it says.
        manifest: The signed manifest, where the reader has the key to it.
    """

    kind: str
    path: Path
    name: str
    made: date
    basis: str
    agreement: str | None = None
    manifest: Manifest | None = None


def find_artefacts(
    places: Sequence[Path],
    *,
    identity: PrivateIdentity | None = None,
    known: Mapping[str, PublicIdentity] | None = None,
) -> list[Found]:
    """Return the artefacts in files and folders, in the order of their names; links to elsewhere are not followed.

    Args:
        places: Files and folders.
        identity: The reader's keys; without them a package tells nothing of itself.
        known: Public identities of those who may have signed.
    """
    found: list[Found] = []
    seen: set[Path] = set()
    for place in places:
        top = place if place.is_dir() else place.parent
        for path in _walk(place):
            if path.resolve() in seen:
                continue  # one place lies inside another
            seen.add(path.resolve())
            each = _artefact(path, path.relative_to(top).as_posix(), identity, known or {})
            if each is not None:
                found.append(each)
    return found


def files_in(places: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield every plain file, and its name within the place that holds it."""
    for place in places:
        top = place if place.is_dir() else place.parent
        for path in _walk(place):
            if path.is_file():
                yield path, path.relative_to(top).as_posix()


def run_summary(folder: Path) -> dict[str, Any] | None:
    """Return `run.json` of a run folder; None when the folder is none."""
    try:
        value = json.loads((folder / "run.json").read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and {"run", "senders", "agreement"} <= value.keys() else None


def _walk(place: Path) -> Iterator[Path]:
    """Yield folders before what is in them; hidden working files are included, links are not."""
    if place.is_symlink() or not place.exists():
        return
    yield place
    if place.is_dir():
        for inside in sorted(place.iterdir()):
            yield from _walk(inside)


def _artefact(
    path: Path, name: str, identity: PrivateIdentity | None, known: Mapping[str, PublicIdentity]
) -> Found | None:
    if path.is_dir():
        return _run(path, name) if run_summary(path) is not None else _leftover(path, name)
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    if (left := _leftover(path, name)) is not None:
        return left
    with path.open("rb") as stream:
        head = stream.read(8192)
    if head.startswith(MAGIC):
        return _package(path, name, identity, known)
    if head.startswith(b'{"action":"begin"') and not path.name.endswith(_BESIDE_LOG):
        return _log(path, name)
    return _result(path, name, head) if path.suffix.lower() == ".csv" else None


def _leftover(path: Path, name: str) -> Found | None:
    if not LEFTOVER.fullmatch(path.name):
        return None
    return Found(kind="leftover", path=path, name=name, made=_file_day(path), basis="date of the file")


def _run(path: Path, name: str) -> Found:
    summary = run_summary(path) or {}
    agreement = summary["agreement"].get("digest") if isinstance(summary["agreement"], dict) else None
    try:
        made, basis = (
            datetime.fromisoformat(str(summary.get("created_at"))).astimezone(UTC).date(),
            "its own record",
        )
    except ValueError:
        made, basis = _file_day(path / "run.json"), "date of the file"
    return Found(kind="run", path=path, name=name, made=made, basis=basis, agreement=agreement)


def _package(
    path: Path, name: str, identity: PrivateIdentity | None, known: Mapping[str, PublicIdentity]
) -> Found:
    try:
        manifest = None if identity is None else read_manifest(path, recipient=identity, known_senders=known)
    except PackageError:
        manifest = None  # encrypted to somebody else, or damaged: what it is shows by its place
    if manifest is not None:
        return Found(
            kind=_KINDS.get(manifest.kind, "package"),
            path=path,
            name=name,
            made=manifest.created_at.date(),
            basis="signed",
            agreement=manifest.agreement_digest,
            manifest=manifest,
        )
    in_run = path.parent.name == "returns" and run_summary(path.parent.parent) is not None
    kind = "return" if in_run else "crosswalk" if path.suffix == ".crosswalk" else "package"
    if in_run:
        run = _run(path.parent.parent, name)
        return Found(kind=kind, path=path, name=name, made=run.made, basis=run.basis, agreement=run.agreement)
    return Found(kind=kind, path=path, name=name, made=_file_day(path), basis="date of the file")


def _log(path: Path, name: str) -> Found | None:
    """A log is as old as its last entry: while it is written to, nothing of it may go."""
    last = None
    try:
        with path.open("rb") as stream:
            while line := stream.readline(MAX_LINE):
                last = line if line.endswith(b"\n") else last
        made = parse_line(last or b"").time.date()
    except AuditError:
        return None
    return Found(kind="log", path=path, name=name, made=made, basis="its own record")


def _result(path: Path, name: str, head: bytes) -> Found | None:
    line = head.decode("utf-8-sig", errors="replace").splitlines()[:1]
    columns = {cell.strip() for cell in next(csv.reader(line), [])}
    if not columns >= RESULT_COLUMNS:
        return None
    return Found(kind="result", path=path, name=name, made=_file_day(path), basis="date of the file")


def _file_day(path: Path) -> date:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()


def log_files(path: Path) -> list[Path]:
    """Return a log and the files that stand beside it."""
    return [path, *(path.with_name(path.name + suffix) for suffix in _BESIDE_LOG)]
