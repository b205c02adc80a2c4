"""One chunk of a population: a fixed number of residents, made from a random stream of its own.

A chunk depends on the seed and on its number only, so any number of processes makes the same bytes, and memory does not
grow with the population.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from synthetic.agencies import choose_agencies
from synthetic.contacts import meet
from synthetic.extracts import WORKERS, Extract, make_extract
from synthetic.population import build_people
from synthetic.profile import load_profile
from synthetic.recording import Recorder
from synthetic.records import true_values
from synthetic.rows import write_rows
from synthetic.store import FileFormat, write_part
from synthetic.truth import error_table, link_table, people_table

CHUNK = 50_000
WINDOW_DAYS = 1096  # 36 months
# Numbers for people, households and references that a chunk may use; the most references an agency can have.
_NUMBERS = 4 * CHUNK

TRUTH, PEOPLE, ERRORS = "truth", "truth-people", "truth-errors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What to make: the arguments of `synthesise` that matter to a chunk, and its number and size."""

    number: int
    residents: int
    seed: int
    profile: str
    agencies: tuple[str, ...]
    as_of: date
    folder: Path
    file_format: FileFormat

    @property
    def first(self) -> int:
        """The first person number, household number and reference number of the chunk."""
        return self.number * _NUMBERS


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What was made: counts of one chunk."""

    number: int
    identities: int
    rows: dict[str, int]
    refs: dict[str, int]
    errors: int


def make_chunk(job: Job) -> tuple[Done, dict[str, pa.Table]]:
    """Return the counts and the tables of one chunk: one an agency, and `TRUTH`, `PEOPLE` and `ERRORS`."""
    streams = np.random.SeedSequence([job.seed, job.number]).spawn(4)
    life, meetings, records, local = (np.random.default_rng(stream) for stream in streams)
    profile, agencies = load_profile(job.profile), choose_agencies(job.agencies)
    today = (job.as_of - date(1970, 1, 1)).days
    people, dwellings = build_people(
        life,
        chunk=job.number,
        first=job.first,
        residents=job.residents,
        as_of=job.as_of,
        window_days=WINDOW_DAYS,
        offset=job.seed * 7_919,
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
    rows = write_rows(recorder, values, day, workers=WORKERS)
    extracts = [
        make_extract(local, agency, code, contacts, rows, first_ref=job.first, seed=job.seed)
        for code, agency in enumerate(agencies)
    ]
    tables = {extract.agency: extract.table for extract in extracts}
    tables[TRUTH] = link_table(people, contacts, extracts)
    tables[PEOPLE] = people_table(people, dwellings, first_household=job.first, today=today)
    tables[ERRORS] = error_table(
        recorder.log,
        values,
        true_values(people, dwellings),
        contacts=contacts,
        agencies=agencies,
        extracts=extracts,
    )
    return _counted(job.number, people.size, extracts, tables), tables


def _counted(number: int, identities: int, extracts: Sequence[Extract], tables: dict[str, pa.Table]) -> Done:
    return Done(
        number=number,
        identities=identities,
        rows={extract.agency: extract.table.num_rows for extract in extracts},
        refs={extract.agency: int(extract.refs.size) for extract in extracts},
        errors=tables[ERRORS].num_rows,
    )


def write_chunk(job: Job) -> Done:
    """Make one chunk and write its tables as parts into the folder of the job."""
    done, tables = make_chunk(job)
    for name, table in tables.items():
        write_part(table, job.folder, name, job.number, "csv" if name == TRUTH else job.file_format)
    return done
