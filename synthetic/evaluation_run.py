"""Read a finished run, and put local references beside its subjects.

A run folder holds numbers of subjects only. What a number stands for is known to the agencies: from their crosswalks,
or, for a rehearsal on this machine, from the extracts themselves, which are read and numbered once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from governance.agreement import Agreement, load_agreement
from hashing.subjects import Subjects, guess_standards
from linkage.ties import Ties
from schemas.errors import InputError
from synthetic.evaluation_crosswalks import Crosswalks
from synthetic.rehearsal import Inputs, collapse_all, read_inputs
from synthetic.stages import Stages

Ints = NDArray[np.int64]

PLACES = ("", "unit/run", "rehearsal/unit/run")
"""Where a run folder lies in what `link`, `rehearse --out` and `demo` leave."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        folder: The run folder itself.
        first_subject: agency -> number of its first subject in `ties` and `cluster`.
        subjects: Number of subjects.
        ties: Pairs on which the run has an opinion.
        cluster: Shape (subjects,): person of each subject by the run.
        summary: `run.json`.
        agreement: The agreement of a rehearsal; None for a run folder by itself.
    """

    folder: Path
    first_subject: Mapping[str, int]
    subjects: int
    ties: Ties
    cluster: Ints
    summary: Mapping[str, Any]
    agreement: Agreement | None


def _numbers(table: pa.Table, agency: str, number: str, first: Mapping[str, int]) -> Ints:
    names = table.column(agency).combine_chunks().dictionary_encode()
    starts = np.array([first[name] for name in names.dictionary.to_pylist()], dtype=np.int64)
    found: Ints = starts[names.indices.to_numpy()] + table.column(number).to_numpy().astype(np.int64)
    return found


def find_run(folder: Path) -> Path:
    """Return the run folder in `folder`, whichever command left it.

    Raises:
        InputError: There is none.
    """
    for place in PLACES:
        if (folder / place / "run.json").is_file():
            return folder / place
    raise InputError(
        "there is no run here (no run.json).",
        where=str(folder),
        remedy="Name the folder that `tallystick link --out`, `rehearse --out` or `demo --out` left.",
    )


def read_run(folder: Path) -> Run:
    """Read what a run left.

    Args:
        folder: What `link --out`, `rehearse --out` or `demo --out` left.

    Raises:
        InputError: There is no run, or its files cannot be read.
    """
    home = find_run(folder)
    try:
        summary = json.loads((home / "run.json").read_text(encoding="utf-8"))
        links, people = pq.read_table(home / "links.parquet"), pq.read_table(home / "people.parquet")
        probability = links.column("final_probability").to_numpy()
    except (OSError, ValueError, KeyError):
        raise InputError(
            "the run cannot be read, or is of another release.",
            where=str(home),
            remedy="Link again, or copy the whole folder.",
        ) from None
    first, count = {}, 0
    for agency, sender in summary["senders"].items():
        first[agency] = count
        count += int(sender["subjects"])
    cluster = np.full(count, -1, dtype=np.int64)
    cluster[_numbers(people, "agency", "subject", first)] = people.column("person").to_numpy()
    kept = home.absolute().parent.parent / "agreement.yaml"
    return Run(
        folder=home,
        first_subject=first,
        subjects=count,
        ties=Ties(
            left=_numbers(links, "agency_l", "subject_l", first),
            right=_numbers(links, "agency_r", "subject_r", first),
            probability=probability,
            compared=links.column("pattern").is_valid().to_numpy(),
        ),
        cluster=cluster,
        summary=summary,
        agreement=load_agreement(kept) if kept.is_file() else None,
    )


def numbered_again(
    extracts: Path, *, today: date, agreement: Agreement | None = None
) -> tuple[Inputs, dict[str, Subjects]]:
    """Read the extracts of a rehearsal and number their subjects as the rehearsal did.

    A rehearsal numbers by a seed, so the same extracts on the same day under the same agreement have the same numbers.

    Args:
        extracts: The folder that was rehearsed.
        today: Day of the rehearsal.
        agreement: The agreement of the rehearsal; standards are guessed as it does without one.

    Raises:
        TallystickError: The extracts cannot be read.
    """
    stages = Stages()
    inputs = read_inputs(extracts, stages)
    standards = agreement.standards if agreement else guess_standards(inputs.extracts)
    fields = agreement.match_fields if agreement else None
    return inputs, collapse_all(inputs, standards, fields, today, stages)


def crosswalks_of(inputs: Inputs, subjects: Mapping[str, Subjects]) -> Crosswalks:
    """Return the crosswalks of extracts that were numbered again; references without a subject have -1."""
    found: Crosswalks = {}
    for agency, each in subjects.items():
        held = inputs.extracts[agency].columns["ref"].to_pylist()
        found[agency] = {ref.strip(): -1 for ref in held if ref is not None and ref.strip()}
        found[agency].update(zip(each.refs.to_pylist(), each.ref_subject.tolist(), strict=True))
    return found
