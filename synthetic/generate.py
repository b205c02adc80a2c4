"""Synthetic populations: `synthesise` writes one extract an agency, their mapping, and the truth.

People are made in chunks of `CHUNK` residents. Each chunk has a random stream of its own, derived from the seed and its
number, so the same seed gives the same bytes however many processes work, and memory does not grow with the population.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from ruamel.yaml import YAML

from schemas.atomic import atomic_folder, atomic_write
from schemas.errors import InputError
from synthetic.agencies import choose_agencies, mapping
from synthetic.contacts import meet
from synthetic.extracts import make_extract
from synthetic.population import build_people
from synthetic.profile import Profile, load_profile
from synthetic.recording import Recorder, true_values
from synthetic.rows import write_rows
from synthetic.store import Merger, write_part
from synthetic.truth import error_table, link_table, people_table

CHUNK = 50_000
WINDOW_DAYS = 1096  # 36 months
_WORKERS = 240
_NUMBERS_A_CHUNK = 2 * CHUNK
_MOST_PEOPLE = 200_000_000

FileFormat = Literal["csv", "parquet"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AgencySummary:
    """Size of one agency's extract."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    number: int
    residents: int
    seed: int
    profile: str
    agencies: tuple[str, ...]
    as_of: date
    folder: Path
    file_format: FileFormat


@dataclass(frozen=True, kw_only=True, slots=True)
class _Done:
    number: int
    identities: int
    rows: dict[str, int]
    refs: dict[str, int]
    errors: int


def make_chunk(job: _Job) -> tuple[_Done, dict[str, pa.Table]]:
    """Return the tables of one chunk by name: the agencies, `truth`, `truth-people`, `truth-errors`."""
    streams = np.random.SeedSequence([job.seed, job.number]).spawn(4)
    life, meetings, records, local = (np.random.default_rng(stream) for stream in streams)
    profile, agencies = load_profile(job.profile), choose_agencies(job.agencies)
    today = (job.as_of - date(1970, 1, 1)).days
    first = job.number * _NUMBERS_A_CHUNK
    people, dwellings = build_people(
        life,
        chunk=job.number,
        first=first,
        residents=job.residents,
        as_of=job.as_of,
        window_days=WINDOW_DAYS,
        offset=job.seed * 7_919 % 300_000_000,
    )
    contacts = meet(
        meetings,
        people,
        agencies,
        today=today,
        window_days=WINDOW_DAYS,
        duplicate_rate=np.array([profile.duplicates[agency.name] for agency in agencies]),
        opened_earlier=profile.process["opened_earlier"],
    )
    recorder = Recorder(
        rng=records,
        people=people,
        dwellings=dwellings,
        agencies=agencies,
        contacts=contacts,
        profile=profile,
        today=today,
    )
    values, day = recorder.record()
    rows = write_rows(recorder, values, day, workers=_WORKERS)
    extracts = [
        make_extract(local, agency, code, contacts, rows, first_ref=first, seed=job.seed)
        for code, agency in enumerate(agencies)
    ]
    tables = {agency.name: extract.table for agency, extract in zip(agencies, extracts, strict=True)}
    tables["truth"] = link_table(people, contacts, agencies, extracts)
    tables["truth-people"] = people_table(people, dwellings, first_household=first, today=today)
    tables["truth-errors"] = error_table(
        recorder.log, values, true_values(people, dwellings), contacts, agencies, extracts
    )
    done = _Done(
        number=job.number,
        identities=people.size,
        rows={agency.name: tables[agency.name].num_rows for agency in agencies},
        refs={agency.name: extract.refs.size for agency, extract in zip(agencies, extracts, strict=True)},
        errors=tables["truth-errors"].num_rows,
    )
    return done, tables


def _write_chunk(job: _Job) -> _Done:
    done, tables = make_chunk(job)
    for name, table in tables.items():
        write_part(table, job.folder, name, job.number, _format_of(name, job.file_format))
    return done


def _format_of(name: str, chosen: FileFormat) -> FileFormat:
    return "csv" if name == "truth" else chosen


def _run(jobs: Sequence[_Job], workers: int) -> Iterator[_Done]:
    if workers <= 1 or len(jobs) == 1:
        yield from map(_write_chunk, jobs)
        return
    # "spawn" gives every worker the same clean start on every system.
    with ProcessPoolExecutor(max_workers=min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        waiting: list[Future[_Done]] = []
        for job in jobs:
            waiting.append(pool.submit(_write_chunk, job))
            if len(waiting) > 2 * workers:
                yield waiting.pop(0).result()
        for future in waiting:
            yield future.result()


def _check(people: int, seed: int) -> None:
    if not 1 <= people <= _MOST_PEOPLE:
        raise InputError(
            "the number of people is out of range.",
            where="people",
            remedy=f"Choose from 1 to {_MOST_PEOPLE:,}.",
        )
    if seed < 0:
        raise InputError("the seed is negative.", where="seed", remedy="Choose a whole number from 0.")


def synthesise(
    out: Path,
    *,
    people: int,
    seed: int,
    profile: str = "typical",
    agencies: Sequence[str] | None = None,
    file_format: FileFormat = "csv",
    as_of: date = date(2026, 6, 30),
    progress: Callable[[str, float], None] | None = None,
    workers: int | None = None,
) -> SynthSummary:
    """Write a synthetic area to `out`: an extract an agency, `mapping.yaml`, `truth.csv` and `truth/`.

    Args:
        out: Folder to create. It appears whole or not at all.
        people: Residents of the area, from 1.
        seed: Same seed and arguments, same bytes.
        profile: Name of an error profile: "low", "typical" or "poor".
        agencies: Names of the agencies; None for the five usual ones.
        file_format: Format of the extracts and of the richer truth; `truth.csv` is always CSV.
        as_of: Reference date; contacts lie in the 36 months up to it.
        progress: Called with a stage and the share of the work done, 0 to 1.
        workers: Processes; None for two where the machine has them. The bytes do not depend on it.

    Raises:
        InputError: An argument is out of range, or a profile or an agency is unknown.
        OutputError: `out` exists and is not an empty folder, or cannot be written.
    """
    _check(people, seed)
    load_profile(profile)
    chosen = choose_agencies(agencies)
    tell = progress or (lambda _stage, _share: None)
    names = tuple(agency.name for agency in chosen)
    processes = workers if workers is not None else min(2, os.cpu_count() or 1)
    with atomic_folder(out) as folder:
        (folder / "truth").mkdir()
        parts = folder / ".parts"
        parts.mkdir()
        sizes = [CHUNK] * (people // CHUNK) + ([people % CHUNK] if people % CHUNK else [])
        jobs = [
            _Job(
                number=number,
                residents=size,
                seed=seed,
                profile=profile,
                agencies=names,
                as_of=as_of,
                folder=parts,
                file_format=file_format,
            )
            for number, size in enumerate(sizes)
        ]
        finished: list[_Done] = []
        targets = {name: (folder / name, file_format) for name in names}
        targets["truth"] = (folder / "truth", "csv")
        for name in ("truth-people", "truth-errors"):
            targets[name] = (folder / "truth" / name, file_format)
        with Merger(parts, targets) as merger:
            for done in _run(jobs, processes):
                merger.take(done.number)
                finished.append(done)
                tell("people and contacts", len(finished) / len(jobs))
        parts.rmdir()
        _write_mapping(folder, names)
    return SynthSummary(
        out=out,
        people=people,
        identities=sum(done.identities for done in finished),
        profile=profile,
        seed=seed,
        as_of=as_of,
        agencies=tuple(
            AgencySummary(
                name=name, rows=sum(d.rows[name] for d in finished), refs=sum(d.refs[name] for d in finished)
            )
            for name in names
        ),
        errors=sum(done.errors for done in finished),
    )


def _write_mapping(folder: Path, names: Sequence[str]) -> None:
    from io import StringIO

    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(mapping(choose_agencies(names)), text)
    atomic_write(folder / "mapping.yaml", text.getvalue())


__all__ = ["AgencySummary", "Profile", "SynthSummary", "synthesise"]
