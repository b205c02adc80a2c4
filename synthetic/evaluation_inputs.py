"""Bring a run, the truth and the groups together, and measure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.agreement import load_agreement
from hashing.subjects import Subjects
from schemas.errors import InputError
from schemas.identity import PrivateIdentity
from synthetic.evaluation import Refs, read_truth
from synthetic.evaluation_crosswalks import Crosswalks, read_crosswalks
from synthetic.evaluation_groups import PEOPLE_FILES, Grouping, from_extracts, from_people
from synthetic.evaluation_measures import measure
from synthetic.evaluation_run import Run, crosswalks_of, numbered_again, read_run
from synthetic.rehearsal import agency_id
from synthetic.rehearsal_inputs import only_sealed

Ints = NDArray[np.int64]

_REHEARSED = re.compile(r"rehearsal-(\d{8})t")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What `tallystick evaluate` was asked for; paths may be None where there is a usual place.

    Attributes:
        run: What `link --out`, `rehearse --out` or `demo --out` left.
        truth: truth.csv.
        extracts: Folder that was rehearsed.
        crosswalks: Crosswalks of a real run.
        keys: Keys of agencies, to open encrypted crosswalks.
        people: File with a row a person and columns to group by.
        by: Columns of `people` to use.
        agreement: The agreement of a real run.
        threshold: Overrides the agreement's.
    """

    run: Path
    truth: Path | None = None
    extracts: Path | None = None
    crosswalks: Sequence[Path] = ()
    keys: Sequence[PrivateIdentity] = ()
    people: Path | None = None
    by: Sequence[str] = ()
    agreement: Path | None = None
    threshold: float | None = None


def _truth_file(asked: Asked) -> Path:
    """Return truth.csv, from its usual places where it is not named."""
    places = [
        asked.truth,
        asked.extracts and asked.extracts / "truth.csv",
        asked.run / "extracts" / "truth.csv",
    ]
    found = next(
        (place for place in places if place is not None and (place == asked.truth or place.is_file())), None
    )
    if found is None:
        raise InputError(
            "the truth is missing.",
            where=str(asked.run),
            remedy="Name the file with --truth: columns agency, ref, person.",
        )
    return found


def _threshold(asked: Asked, run: Run) -> float:
    if asked.threshold is not None:
        return asked.threshold
    agreement = load_agreement(asked.agreement) if asked.agreement else run.agreement
    if agreement is None:
        raise InputError(
            "a run folder does not say at which threshold links were believed.",
            where=str(run.folder),
            remedy="Name the agreement with --agreement, or the threshold with --threshold.",
        )
    return agreement.threshold


def _again(asked: Asked, run: Run, truth: Path) -> tuple[Crosswalks, dict[str, Subjects], date]:
    """Number the extracts of a rehearsal again.

    Raises:
        InputError: They are not those of the run.
    """
    started = _REHEARSED.match(str(run.summary["run"]))
    if started is None:
        raise InputError(
            "this run was no rehearsal, so its references are known to its agencies only.",
            where=str(run.folder),
            remedy="Name the crosswalks with --crosswalk, once for each agency.",
        )
    today = datetime.strptime(started.group(1), "%Y%m%d").date()
    folder = asked.extracts or truth.parent
    inputs, subjects = numbered_again(folder, today=today, agreement=run.agreement)
    others: Mapping[str, frozenset[str]] = {}
    if run.agreement is not None:
        as_of = date.fromisoformat(run.summary["multi_agency"]["as_of"])
        subjects, others = only_sealed(subjects, run.agreement, as_of)
    counts = {agency: each.count for agency, each in subjects.items()}
    sent = {agency: int(sender["subjects"]) for agency, sender in run.summary["senders"].items()}
    if counts != sent:
        raise InputError(
            "the extracts here are not those of the run: they hold other agencies or other numbers of people.",
            where=str(folder),
            remedy="Name the folder that was rehearsed with --extracts.",
        )
    walks = {
        agency: {ref: number for ref, number in walk.items() if ref not in others.get(agency, ())}
        for agency, walk in crosswalks_of(inputs, subjects).items()
    }
    return walks, subjects, today


def _refs(
    truth: Mapping[str, Mapping[str, str]], crosswalks: Crosswalks, first: Mapping[str, int]
) -> tuple[Refs, Ints, list[str], list[str]]:
    """Return the references, the agency of each, the agencies' names, and the person ids by number."""
    agencies = list(crosswalks)
    subject, agency, person = [], [], []
    for place, name in enumerate(agencies):
        walk = crosswalks[name]
        for ref, one in truth.get(name, {}).items():
            if ref in walk:
                subject.append(first[name] + walk[ref] if walk[ref] >= 0 else -1)
                agency.append(place)
                person.append(one)
    numbers = {one: number for number, one in enumerate(dict.fromkeys(person))}
    refs = Refs(
        subject=np.array(subject, dtype=np.int64),
        person=np.array([numbers[one] for one in person], dtype=np.int64),
    )
    return refs, np.array(agency, dtype=np.int64), agencies, list(numbers)


def _groupings(
    asked: Asked,
    truth: Path,
    persons: Sequence[str],
    refs: Refs,
    run: Run,
    subjects: Mapping[str, Subjects] | None,
    today: date | None,
) -> list[Grouping]:
    beside = (truth.parent / name for name in PEOPLE_FILES)
    people = asked.people or next((place for place in beside if place.is_file()), None)
    found = from_people(people, persons, only=asked.by) if people else []
    if subjects is not None and today is not None and not asked.by:
        named = {grouping.name for grouping in found}
        recorded = from_extracts(
            subjects, run.first_subject, subject=refs.subject, person=refs.person, today=today
        )
        found += [grouping for grouping in recorded if grouping.name not in named]
    return found


def evaluate_run(asked: Asked) -> dict[str, Any]:
    """Measure a finished run against the truth; the result is the JSON object of `tallystick evaluate --json`.

    Raises:
        TallystickError: The run, the truth or a crosswalk cannot be read, or they do not belong together.
    """
    run, truth_file = read_run(asked.run), _truth_file(asked)
    threshold = _threshold(asked, run)
    truth = {agency_id(name): refs for name, refs in read_truth(truth_file).items()}
    subjects, today = None, None
    if asked.crosswalks:
        sent = {agency: int(sender["subjects"]) for agency, sender in run.summary["senders"].items()}
        crosswalks = read_crosswalks(
            asked.crosswalks, subjects=sent, keys=asked.keys, run_id=str(run.summary["run"])
        )
    else:
        crosswalks, subjects, today = _again(asked, run, truth_file)
    refs, agency, agencies, persons = _refs(truth, crosswalks, run.first_subject)
    if len(refs.person) == 0:
        raise InputError(
            "no agency and reference of the truth is in this run.",
            where=str(truth_file),
            remedy="The column agency names the extracts, the column ref their local references.",
        )
    groupings = _groupings(asked, truth_file, persons, refs, run, subjects, today)
    figures = measure(
        run.ties,
        run.cluster,
        refs,
        agency=agency,
        agencies=agencies,
        groupings=groupings,
        threshold=threshold,
    )
    return {"run": run.summary["run"], **figures}
