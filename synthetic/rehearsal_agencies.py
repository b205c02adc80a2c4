"""What each agency does in a rehearsal: seal its subjects, and open its return."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow.csv as pc_csv

from governance.agreement import Agreement
from hashing.extract import Extract
from hashing.opening import Opened, open_return
from hashing.package import SealReport, seal_subjects, write_crosswalk
from hashing.subjects import Subjects
from schemas.identity import PrivateIdentity, PublicIdentity
from synthetic.stages import Stages


@dataclass(frozen=True, kw_only=True, slots=True)
class Roles:
    """Whom a rehearsal plays, and under what.

    Attributes:
        folder: Where everything is made: `agencies/<agency>/` and `unit/run/`.
        agreement: The agreement, signed by the rehearsal's own keys.
        identities: Keys of every party and of the linkage unit; they are never saved.
        secret: The linkage secret, likewise.
        run_id: The run.
        now: Time of the rehearsal, with a zone.
        as_of: Last day of the window; the day of the latest contact when None.
    """

    folder: Path
    agreement: Agreement
    identities: Mapping[str, PrivateIdentity]
    secret: bytes
    run_id: str
    now: datetime
    as_of: date | None

    @property
    def public(self) -> dict[str, PublicIdentity]:
        """What everybody knows of everybody's keys."""
        return {name: identity.public for name, identity in self.identities.items()}

    @property
    def run(self) -> Path:
        """The run folder of the linkage unit."""
        return self.folder / "unit" / "run"

    def home(self, agency: str) -> Path:
        """Return the folder of an agency."""
        return self.folder / "agencies" / agency

    def package(self, agency: str) -> Path:
        """Return the package that an agency sends."""
        return self.home(agency) / f"{agency}.tally"

    def crosswalk(self, agency: str) -> Path:
        """Return the crosswalk that stays at an agency."""
        return self.home(agency) / f"{agency}.crosswalk"


def _seal(subjects: Subjects, roles: Roles) -> SealReport:
    agency, seal_id = subjects.agency, secrets.token_hex(16)
    report = seal_subjects(
        subjects,
        roles.package(agency),
        agreement=roles.agreement,
        run_id=roles.run_id,
        secret=roles.secret,
        sender=roles.identities[agency],
        unit=roles.public[roles.agreement.unit_id],
        created_at=roles.now,
        as_of=roles.as_of,
        seal_id=seal_id,
        exclusions={entry.kind: 0 for entry in roles.agreement.exclusions},
    )
    write_crosswalk(
        subjects,
        roles.crosswalk(agency),
        agreement=roles.agreement,
        run_id=roles.run_id,
        owner=roles.identities[agency],
        created_at=roles.now,
        seal_id=seal_id,
    )
    return report


def seal_all(subjects: Mapping[str, Subjects], roles: Roles, stages: Stages) -> list[SealReport]:
    """Seal the subjects of every agency, as `tallystick seal` does.

    Raises:
        TallystickError: Anything that the real command would refuse.
    """
    reports = []
    for name, each in subjects.items():
        roles.home(name).mkdir(parents=True)
        with stages(f"seal {name}"):
            reports.append(_seal(each, roles))
    return reports


def open_all(
    extracts: Mapping[str, Extract], roles: Roles, stages: Stages, *, keep_results: bool
) -> dict[str, Opened]:
    """Open the return of every agency, as `tallystick open` does; write `results.csv` if results are kept.

    Raises:
        TallystickError: Anything that the real command would refuse.
    """
    opened = {}
    for name, extract in extracts.items():
        with stages(f"open {name}"):
            opened[name] = open_return(
                roles.run / "returns" / f"{name}.tally",
                crosswalk=roles.crosswalk(name),
                extract_columns=extract.columns,
                agreement=roles.agreement,
                owner=roles.identities[name],
                known=roles.public,
                secret=roles.secret,
            )
            if keep_results:
                pc_csv.write_csv(opened[name].table, roles.home(name) / "results.csv")
    return opened
