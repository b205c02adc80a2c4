"""Verify a whole log: every line, the tree, the stored state, and the checkpoints that anyone holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from governance.audit.checkpoint import Checkpoint
from governance.audit.entry import MAX_LINE, place_of
from governance.audit.log import AuditLog
from governance.audit.merkle import Frontier, leaf_hash
from schemas.errors import AuditError

LISTED = 20
"""Most faulty lines that are named one by one; all are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One way in which a log is not what it should be.

    Attributes:
        kind: `edited`, `truncated`, `reordered`, `forked`, `other log` or `not an entry`.
        sentence: What is wrong.
        where: File, line or checkpoint.
    """

    kind: str
    sentence: str
    where: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What a walk over a log found.

    Attributes:
        log: Id of the log.
        organisation: Whose it is.
        size: Entries.
        root: Root over them.
        torn: Bytes of an unfinished last line. A crash leaves one; the next entry records and removes it.
        faulty: Lines that are no entry, or not the next one.
        problems: What is wrong; empty when the log is what the checkpoints say it was.
        compared: Checkpoints that the log was compared with.
    """

    log: str
    organisation: str
    size: int
    root: bytes
    torn: int
    faulty: int
    problems: tuple[Problem, ...]
    compared: int


@dataclass(slots=True)
class _Walk:
    """A walk over the lines, which remembers the root at each size that somebody asks about."""

    roots: dict[int, bytes]
    grown: Frontier
    problems: list[Problem]
    faulty: int = 0
    torn: int = 0


def verify_log(log: AuditLog, checkpoints: Sequence[tuple[str, Checkpoint]] = ()) -> Verification:
    """Walk over `log` once and compare it with its stored state and with checkpoints.

    Args:
        log: The log.
        checkpoints: A name for each (its file), and the checkpoint, whose signature was verified.
    """
    stored = log.stored()
    wanted = {made.size for _, made in checkpoints} | ({stored[0]} if stored else set())
    walk = _walk(log, wanted)
    problems = [*walk.problems, *fork_problems(checkpoints)]
    for name, made in checkpoints:
        problems += _against(log, walk, made, name)
    if stored is not None:
        problems += _against_state(log.path, walk, stored[0], stored[1])
    return Verification(
        log=log.log_id,
        organisation=log.organisation,
        size=walk.grown.size,
        root=walk.grown.root(),
        torn=walk.torn,
        faulty=walk.faulty,
        problems=tuple(problems),
        compared=len(checkpoints),
    )


def fork_problems(checkpoints: Sequence[tuple[str, Checkpoint]]) -> list[Problem]:
    """Return one problem for each pair of checkpoints that cannot both be of one log."""
    seen: dict[tuple[str, int], tuple[str, bytes]] = {}
    problems = []
    for name, made in checkpoints:
        other, root = seen.setdefault((made.log, made.size), (name, made.root))
        if root != made.root:
            problems.append(
                Problem(
                    kind="forked",
                    sentence=f"Two checkpoints say that the log had {made.size:,} entries, with different roots: "
                    f"{made.organisation} has signed two versions of its log.",
                    where=f"{other} and {name}",
                )
            )
    return problems


def _walk(log: AuditLog, wanted: set[int]) -> _Walk:
    walk = _Walk(roots={}, grown=Frontier(), problems=[])
    with log.path.open("rb", buffering=1 << 20) as stream:
        while line := stream.readline(MAX_LINE + 1):
            if not line.endswith(b"\n"):
                walk.torn = len(line) + sum(len(rest) for rest in iter(lambda: stream.read(1 << 20), b""))
                if walk.torn > MAX_LINE:
                    _fault(walk, log.path, "not an entry", "The line is longer than an entry can be.")
                break
            _look_at(walk, line, log)
            walk.grown.add(leaf_hash(line[:-1]))
            if walk.grown.size in wanted:
                walk.roots[walk.grown.size] = walk.grown.root()
    return walk


def _look_at(walk: _Walk, line: bytes, log: AuditLog) -> None:
    try:
        owner, number = place_of(line)
    except AuditError as error:
        where = f" ({error.where})" if error.where else ""
        _fault(walk, log.path, "not an entry", f"{error.message}{where}")
        return
    if owner != log.log_id:
        _fault(walk, log.path, "other log", "The entry belongs to another log.")
    elif number != walk.grown.size:
        _fault(
            walk,
            log.path,
            "reordered",
            "The entry has another number than its place: one was moved, left out or put in.",
        )


def _fault(walk: _Walk, path: Path, kind: str, sentence: str) -> None:
    walk.faulty += 1
    if walk.faulty <= LISTED:
        walk.problems.append(
            Problem(kind=kind, sentence=sentence, where=f"{path}, line {walk.grown.size + 1}")
        )


def _against(log: AuditLog, walk: _Walk, made: Checkpoint, name: str) -> list[Problem]:
    if (made.log, made.organisation) != (log.log_id, log.organisation):
        return [Problem(kind="other log", sentence="The checkpoint is one of another log.", where=name)]
    when = made.time.date().isoformat()
    if made.size > walk.grown.size:
        sentence = f"On {when} the log had {made.size:,} entries; now it has {walk.grown.size:,}. Entries were cut off."
        return [Problem(kind="truncated", sentence=sentence, where=name)]
    if walk.roots[made.size] != made.root:
        sentence = (
            f"The first {made.size:,} entries are not the ones that were there on {when}: some were edited, moved or "
            "replaced, or this is another branch of the log."
        )
        return [Problem(kind="edited", sentence=sentence, where=name)]
    return []


def _against_state(path: Path, walk: _Walk, size: int, root: bytes) -> list[Problem]:
    if size > walk.grown.size:
        sentence = (
            f"{size:,} entries were written here and {walk.grown.size:,} are left. Entries were cut off."
        )
        return [Problem(kind="truncated", sentence=sentence, where=str(path))]
    if size and walk.roots.get(size) != root:
        sentence = (
            f"The first {size:,} entries are not the ones that were written here: some were edited or moved."
        )
        return [Problem(kind="edited", sentence=sentence, where=str(path))]
    return []


def good_checkpoints(
    checkpoints: Sequence[tuple[str, Checkpoint]], problems: Sequence[Problem]
) -> Mapping[str, Checkpoint]:
    """Return the checkpoints, by name, that no problem names: they bracket where a log was changed."""
    bad = {problem.where for problem in problems}
    return {name: made for name, made in checkpoints if name not in bad}
