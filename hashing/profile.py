"""The data-quality report of an extract, made before anything is sealed: counts and rates, never a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from governance.agreement import Agreement
from governance.draft import DEFAULT_PASSES
from hashing.coding import Column
from hashing.counts import people_rows
from hashing.derive import derive
from hashing.extract import Extract, Stream, open_extract
from hashing.mapping import AgencyMapping
from hashing.planner import simulated_hits
from hashing.reading.database import Query
from hashing.rejects import write_rejects
from hashing.subjects import (
    NO_DAY,
    STANDARD_ROWS,
    FieldQuality,
    Subjects,
    collapse_stream,
    guess_standards,
)
from schemas.scheme import FIELDS, Pass, parse_pass

FEWEST_SIMULATED = 100
"""Fewest versions that recall is estimated from: copies of a handful of people say nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recall:
    """What the passes would find of true pairs, in simulated second records (`hashing.planner`).

    Attributes:
        as_recorded: Share found with the gaps that the extract has.
        if_complete: Share found if no identifier that the extract holds were missing anywhere.
    """

    as_recorded: float
    if_complete: float

    @property
    def lost(self) -> float:
        """Share of true pairs that missing, placeholder and invalid identifiers cost."""
        return max(self.if_complete - self.as_recorded, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """The report.

    Attributes:
        agency: The agency.
        source: The file, or "the SQL query".
        read_as: What the source was taken for.
        rows: Rows read.
        subjects: People, as the agency tells them apart.
        contacts: Rows that are a contact of a subject.
        versions: Distinct sets of identifiers of subjects that are sealed.
        versions_left_out: Sets of identifiers beyond the most that one subject may have.
        unusable: Reason -> rows.
        undated_contacts: Contacts without a usable date.
        first_contact: Day of the earliest contact, ISO; None where none is dated.
        last_contact: Day of the latest contact.
        fields: Identifier -> rows by what normalising made of it.
        absent: Identifiers that the extract does not hold.
        several_references: Subjects with more than one reference.
        lookalikes: Subjects that look like another subject of this extract recorded again, and are not joined to it.
        passes: Pass -> subjects who hold all its parts.
        no_pass: Subjects who can take part in no pass, so that nobody can find them.
        few_passes: Subjects who can take part in one or two passes only.
        recall: Expected recall; None where there are too few people to simulate.
        standards: Identifier -> standard, where it is not the UK one.
        passes_of: Id of the agreement whose passes these are; None for those of a draft.
    """

    agency: str
    source: str
    read_as: str
    rows: int
    subjects: int
    contacts: int
    versions: int
    versions_left_out: int
    unusable: Mapping[str, int]
    undated_contacts: int
    first_contact: str | None
    last_contact: str | None
    fields: Mapping[str, FieldQuality]
    absent: tuple[str, ...]
    several_references: int
    lookalikes: int
    passes: Mapping[str, int]
    no_pass: int
    few_passes: int
    recall: Recall | None
    standards: Mapping[str, str]
    passes_of: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values, rates of rows included."""
        figures = asdict(self)
        for name, quality in self.fields.items():
            counts = asdict(quality)
            figures["fields"][name]["rates"] = {kind: count / self.rows for kind, count in counts.items()}
        if self.recall is not None:
            figures["recall"]["lost"] = self.recall.lost
        return figures


def _day(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def _members(derived: Mapping[str, Column], subjects: Subjects, passes: Sequence[Pass]) -> NDArray[np.bool_]:
    """Return, shape (subjects, passes), which subjects have a version that holds all parts of a pass."""
    member = np.zeros((subjects.count, len(passes)), dtype=bool)
    for place, blocking in enumerate(passes):
        if all(part in derived for part in blocking.parts):
            held = np.all([derived[part].codes >= 0 for part in blocking.parts], axis=0)
            member[subjects.version_subject[held], place] = True
    return member


def _complete(subjects: Subjects, random: np.random.Generator) -> Subjects:
    """Return the subjects with every gap filled by another version's value of the same identifier."""
    filled = {}
    for name, coded in subjects.fields.items():
        known = coded.codes[coded.codes >= 0]
        drawn = random.choice(known, size=len(coded.codes)) if len(known) else coded.codes
        filled[name] = replace(coded, codes=np.where(coded.codes >= 0, coded.codes, drawn))
    return replace(subjects, fields=filled)


def expected_recall(subjects: Subjects, passes: Sequence[Pass], *, seed: int = 1) -> Recall | None:
    """Return what the passes would find of simulated second records, with the gaps there are and without any.

    The error rates of the simulation are assumptions (docs/adr/0005-plan-passes-by-simulation.md): the difference of
    the two figures says more than either.

    Args:
        subjects: The agency's subjects.
        passes: The passes.
        seed: Seed of the simulated errors, the same for both figures.
    """
    if not passes or not subjects.fields or len(subjects.version_subject) < FEWEST_SIMULATED:
        return None
    filled = _complete(subjects, np.random.default_rng(seed))
    shares = [
        float(simulated_hits([each], passes, random=np.random.default_rng(seed)).any(axis=0).mean())
        for each in (subjects, filled)
    ]
    return Recall(as_recorded=shares[0], if_complete=shares[1])


def profile_subjects(
    extract: Extract | Stream, subjects: Subjects, passes: Sequence[Pass], *, passes_of: str | None = None
) -> Profile:
    """Return the report of an extract that has been read and collapsed."""
    derived = derive(subjects)
    quality = subjects.quality
    members = _members(derived, subjects, passes)
    member = members.sum(axis=1)
    days = subjects.contacts.day[subjects.contacts.day != NO_DAY]
    return Profile(
        agency=extract.agency,
        source=extract.source,
        read_as=extract.read_as,
        rows=quality.rows,
        subjects=subjects.count,
        contacts=len(subjects.contacts.subject),
        versions=quality.versions,
        versions_left_out=quality.versions_left_out,
        unusable=quality.unusable,
        undated_contacts=quality.undated_contacts,
        first_contact=_day(int(days.min())) if len(days) else None,
        last_contact=_day(int(days.max())) if len(days) else None,
        fields=quality.fields,
        absent=tuple(field for field in FIELDS if field not in extract.columns),
        several_references=int((np.bincount(subjects.ref_subject, minlength=subjects.count) > 1).sum()),
        lookalikes=subjects.count - len(people_rows(derived, subjects.version_subject)),
        passes={
            blocking.name: int(count) for blocking, count in zip(passes, members.sum(axis=0), strict=True)
        },
        no_pass=int((member == 0).sum()),
        few_passes=int(((member > 0) & (member <= 2)).sum()),
        recall=expected_recall(subjects, passes),
        standards=subjects.standards,
        passes_of=passes_of,
    )


def profile_extract(
    source: Path | Query,
    *,
    agency: str,
    mapping: AgencyMapping,
    agreement: Agreement | None,
    today: date,
    rejects: Path | None = None,
) -> Profile:
    """Read an extract and report on it; nothing is sealed and no key is needed.

    Args:
        source: A file or a query.
        agency: The agency.
        mapping: How its extract is read.
        agreement: Its fields, standards and passes; without one, all identifiers, the standards that fit the
            values, and the passes of a draft agreement.
        today: Dates after this day are invalid.
        rejects: CSV file to write for rows that cannot be used, by row number and reason.

    Raises:
        TallystickError: The extract cannot be read or used.
    """
    extract = open_extract(source, agency=agency, mapping=mapping)
    if agreement is not None:
        guessed = agreement.standards
    else:
        sample, extract = extract.peek(STANDARD_ROWS)
        guessed = guess_standards({agency: sample})
    fields = agreement.match_fields if agreement is not None else frozenset(FIELDS)
    subjects = collapse_stream(extract, today=today, mapping=mapping, standards=guessed, match_fields=fields)
    passes = agreement.passes if agreement is not None else tuple(map(parse_pass, DEFAULT_PASSES))
    report = profile_subjects(
        extract, subjects, passes, passes_of=agreement.id if agreement is not None else None
    )
    if rejects is not None:
        write_rejects(subjects.rejected, rejects, first_row=extract.first_row)
    return report
