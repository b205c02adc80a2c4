"""Synthetic populations: `synthesise` writes one extract an agency, their mapping, and the truth."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from io import StringIO
from multiprocessing import get_context
from pathlib import Path

from ruamel.yaml import YAML

from schemas.atomic import atomic_folder, atomic_write
from schemas.errors import InputError, OutputError
from synthetic.agencies import choose_agencies, mapping
from synthetic.chunks import CHUNK, ERRORS, PEOPLE, TRUTH, Done, Job, write_chunk
from synthetic.profile import load_profile
from synthetic.store import FileFormat, Merger

_MOST_PEOPLE = 200_000_000
_EARLIEST, _LATEST = date(2000, 1, 1), date(2100, 1, 1)
_PARTS = ".parts"

Progress = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgencySummary:
    """Size of one agency's extract: contact rows, and local references."""

    name: str
    rows: int
    refs: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthSummary:
    """What `synthesise` wrote.

    Attributes:
        out: The folder.
        people: Residents.
        identities: Residents and pre-adoption identities.
        profile: Name of the error profile.
        seed: The seed.
        as_of: Reference date.
        agencies: Size of each extract.
        errors: Entries of `truth/truth-errors`.
    """

    out: Path
    people: int
    identities: int
    profile: str
    seed: int
    as_of: date
    agencies: tuple[AgencySummary, ...]
    errors: int


def synthesise(
    out: Path,
    *,
    people: int,
    seed: int,
    profile: str = "typical",
    agencies: Sequence[str] | None = None,
    file_format: FileFormat = "csv",
    as_of: date = date(2026, 6, 30),
    progress: Progress | None = None,
    workers: int | None = None,
) -> SynthSummary:
    """Write a synthetic area to `out`: an extract an agency, `mapping.yaml`, `truth.csv` and the folder `truth/`.

    Args:
        out: Folder to create. It appears whole or not at all.
        people: Residents of the area, from 1.
        seed: Same seed and arguments, same bytes.
        profile: Name of an error profile: "low", "typical" or "poor".
        agencies: Names of the agencies; None for the five usual ones.
        file_format: Format of the extracts and of the richer truth; `truth.csv` is always CSV.
        as_of: Reference date; contacts lie in the 36 months up to it.
        progress: Called with a stage and the share of it done, 0 to 1.
        workers: Processes; None for two where the machine has them. The bytes do not depend on it. Populations of
            more than one chunk start them, so a script must call this under `if __name__ == "__main__"`.

    Raises:
        InputError: An argument is out of range, or a profile or an agency is unknown.
        OutputError: `out` exists and is not an empty folder, or cannot be written.
    """
    _check(people, seed, as_of)
    load_profile(profile)
    names = tuple(agency.name for agency in choose_agencies(agencies))
    processes = workers if workers is not None else min(2, os.cpu_count() or 1)
    with atomic_folder(out) as folder:
        jobs = [
            Job(
                number=number,
                residents=residents,
                seed=seed,
                profile=profile,
                agencies=names,
                as_of=as_of,
                folder=folder / _PARTS,
                file_format=file_format,
            )
            for number, residents in enumerate(_sizes(people))
        ]
        finished = _make(folder, jobs, names, processes, progress or (lambda _stage, _share: None))
        _write_mapping(folder / "mapping.yaml", names)
    return SynthSummary(
        out=out,
        people=people,
        identities=sum(done.identities for done in finished),
        profile=profile,
        seed=seed,
        as_of=as_of,
        agencies=tuple(_summary(name, finished) for name in names),
        errors=sum(done.errors for done in finished),
    )


def _check(people: int, seed: int, as_of: date) -> None:
    if not 1 <= people <= _MOST_PEOPLE:
        raise InputError(
            "the number of people is out of range.",
            where="people",
            remedy=f"Choose from 1 to {_MOST_PEOPLE:,}.",
        )
    if seed < 0:
        raise InputError("the seed is negative.", where="seed", remedy="Choose a whole number from 0.")
    if not _EARLIEST <= as_of <= _LATEST:
        raise InputError(
            "the reference date is out of range.",
            where="as_of",
            remedy=f"Choose from {_EARLIEST} to {_LATEST}.",
        )


def _sizes(people: int) -> list[int]:
    whole, rest = divmod(people, CHUNK)
    return [CHUNK] * whole + ([rest] if rest else [])


def _make(
    folder: Path, jobs: Sequence[Job], names: Sequence[str], processes: int, tell: Progress
) -> list[Done]:
    parts, truth, file_format = folder / _PARTS, folder / "truth", jobs[0].file_format
    parts.mkdir()
    truth.mkdir()
    targets: dict[str, tuple[Path, FileFormat]] = {name: (folder / name, file_format) for name in names}
    targets[TRUTH] = (folder / TRUTH, "csv")
    targets |= {name: (truth / name, file_format) for name in (PEOPLE, ERRORS)}
    finished: list[Done] = []
    try:
        with Merger(parts, targets) as merger:
            for done in _run(jobs, processes):
                merger.take(done.number)
                finished.append(done)
                tell("people and contacts", len(finished) / len(jobs))
        parts.rmdir()
    except OSError as error:
        raise OutputError(
            f"writing failed ({error.strerror or type(error).__name__}); nothing was left behind.",
            where="out",
            remedy="Free some disk space or choose another folder.",
        ) from None
    return finished


def _run(jobs: Sequence[Job], processes: int) -> Iterator[Done]:
    """Yield the chunks in order; with two processes or more, a few are under way at any time."""
    if processes <= 1 or len(jobs) == 1:
        yield from map(write_chunk, jobs)
        return
    # "spawn" gives every worker the same clean start on every system.
    with ProcessPoolExecutor(max_workers=min(processes, len(jobs)), mp_context=get_context("spawn")) as pool:
        waiting: list[Future[Done]] = []
        for job in jobs:
            waiting.append(pool.submit(write_chunk, job))
            if len(waiting) > 2 * processes:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _summary(name: str, finished: Sequence[Done]) -> AgencySummary:
    return AgencySummary(
        name=name,
        rows=sum(done.rows[name] for done in finished),
        refs=sum(done.refs[name] for done in finished),
    )


def _write_mapping(target: Path, names: Sequence[str]) -> None:
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(mapping(choose_agencies(names)), text)
    atomic_write(target, text.getvalue())
