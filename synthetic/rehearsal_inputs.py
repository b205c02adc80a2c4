"""What a rehearsal is given: one extract an agency in a folder, its mapping.yaml and its truth.csv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from governance.agreement import Agreement
from hashing.contacts import NO_DAY
from hashing.exclusions import only_in_contact
from hashing.extract import Extract, read_extract
from hashing.mapping import AgencyMapping, load_mapping
from hashing.sending import EPOCH, in_window
from hashing.shuffling import shuffle
from hashing.subjects import Subjects, collapse
from schemas.errors import ExtractError, MappingError
from synthetic.evaluation import read_truth
from synthetic.stages import Stages

_RESERVED = ("truth",)
_ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What a folder holds: extracts and mappings by agency, and the truth if it is known."""

    extracts: dict[str, Extract]
    mappings: dict[str, AgencyMapping]
    truth: dict[str, dict[str, str]] | None


def agency_id(stem: str) -> str:
    """Return the party id made from a file name: lower case, other characters than letters and digits to `_`."""
    return (
        "".join(ch if ch.isascii() and ch.isalnum() else "_" for ch in stem.strip().lower()).strip("_")
        or "agency"
    )


def find_extracts(folder: Path) -> dict[str, Path]:
    """Return agency -> extract in `folder` (CSV or Parquet files directly in it, but for truth.csv).

    Raises:
        ExtractError: There is none, or two would be the same agency.
    """
    if not folder.is_dir():
        raise ExtractError(
            "this is not a folder.", where=str(folder), remedy="Name the folder with the extracts."
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _ENDINGS or path.stem.lower() in _RESERVED or not path.is_file():
            continue
        name = agency_id(path.stem)
        if name in found:
            raise ExtractError(
                f"{path.name} and {found[name].name} would both be the agency {name}.",
                where=str(folder),
                remedy="Keep one file for each agency.",
            )
        found[name] = path
    if not found:
        raise ExtractError(
            "there is no extract here.",
            where=str(folder),
            remedy="Put one CSV file for each agency into it, named after the agency.",
        )
    return found


def read_inputs(folder: Path, stages: Stages) -> Inputs:
    """Read the extracts of `folder`, its mapping.yaml and its truth.csv.

    Raises:
        TallystickError: A file cannot be read, or they do not fit together.
    """
    paths = find_extracts(folder)
    mapping_file = folder / "mapping.yaml"
    listed = load_mapping(mapping_file) if mapping_file.exists() else {}
    mappings = {agency_id(name): mapping for name, mapping in listed.items()}
    unknown = sorted(set(mappings) - set(paths))
    if unknown:
        raise MappingError(
            f"there is no extract of {', '.join(unknown)}.",
            where=f"{mapping_file}: agencies",
            remedy="Name the agencies like their files, without the ending.",
        )
    extracts = {}
    for name, path in paths.items():
        with stages(f"read {name}"):
            extracts[name] = read_extract(path, agency=name, mapping=mappings.get(name))
    truth_file = folder / "truth.csv"
    truth = None
    if truth_file.exists():
        truth = {agency_id(name): refs for name, refs in read_truth(truth_file).items()}
    return Inputs(extracts=extracts, mappings=mappings, truth=truth)


def collapse_all(
    inputs: Inputs,
    standards: Mapping[str, str],
    match_fields: frozenset[str] | None,
    today: date,
    stages: Stages,
) -> dict[str, Subjects]:
    """Collapse each extract to subjects, numbered from a seed."""
    subjects: dict[str, Subjects] = {}
    for name, extract in inputs.extracts.items():
        with stages(f"normalise {name}"):
            fields = {} if match_fields is None else {"match_fields": match_fields}
            collapsed = collapse(
                extract, today=today, mapping=inputs.mappings.get(name), standards=standards, **fields
            )
            # A rehearsal gives the same figures for the same extracts, so its numbering is drawn from a seed; nobody
            # can open its packages afterwards. The real command numbers by the operating system's randomness.
            subjects[name] = shuffle(collapsed, np.random.default_rng(len(subjects)).bytes)
    return subjects


def only_sealed(
    subjects: Mapping[str, Subjects], agreement: Agreement, as_of: date | None
) -> tuple[dict[str, Subjects], dict[str, frozenset[str]]]:
    """Leave out whom `tallystick seal` leaves out: under some agreements, people without a contact in the window.

    Args:
        subjects: agency -> everybody in its extract.
        agreement: The agreement.
        as_of: Last day of the window; for each agency the day of its latest contact when None.

    Returns:
        agency -> those who are sealed, and agency -> references of the others.

    Raises:
        ExtractError: An agency had contact with nobody.
    """
    if agreement.everyone:
        return dict(subjects), {name: frozenset() for name in subjects}
    sealed = {
        name: only_in_contact(each, in_window(each.contacts, agreement, as_of)[0].subject)
        for name, each in subjects.items()
    }
    others = {
        name: frozenset(each.refs.to_pylist()).difference(sealed[name].refs.to_pylist())
        for name, each in subjects.items()
    }
    return sealed, others


def undated(subjects: Mapping[str, Subjects]) -> bool:
    """Say whether some agency dates no contact at all."""
    return any(bool((each.contacts.day == NO_DAY).all()) for each in subjects.values())


def latest_contact(subjects: Mapping[str, Subjects]) -> date | None:
    """Return the day of the latest contact of any agency; None when none is dated."""
    latest = max((int(each.contacts.day.max(initial=NO_DAY)) for each in subjects.values()), default=NO_DAY)
    return None if latest == NO_DAY else EPOCH + timedelta(days=int(latest))
