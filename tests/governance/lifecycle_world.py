"""A small county by hand: three agencies, one run, everything that each of them would hold after it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from governance.agreement import Agreement, load_agreement
from governance.draft import agreement_yaml, draft_agreement
from hashing.results import RESULT_COLUMNS
from schemas.container import open_package, write_package
from schemas.identity import PrivateIdentity, save_identity
from schemas.payload import CROSSWALK, RETURN
from schemas.policies import Expectation
from schemas.tables import ARROW_STREAM, arrow_stream

AGENCIES = ("childrens_social_care", "health", "police")
UNIT = "linkage-unit"
RUN = "2026-06"
NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
PASSPHRASE = {"TALLYSTICK_PASSPHRASE": "for tests"}
PEOPLE = {
    0: ("health", "police"),
    1: AGENCIES,
    2: ("police",),
    3: ("health", "police"),
    4: ("health", "police"),
}
"""Person -> agencies that hold a record of them. A subject has the number of its person, plus 10 at health, plus 20 at
children's social care. Person 3 had no contact inside the window, so nobody was told of them."""
UNTOLD = 3
OFFSET = {"police": 0, "health": 10, "childrens_social_care": 20}


def ref_of(agency: str, person: int) -> str:
    """Return the local reference of a person at an agency."""
    return f"{agency[0].upper()}REF-{person}"


def number_of(agency: str, person: int) -> int:
    """Return the row number of a person at an agency."""
    return OFFSET[agency] + person


@dataclass(frozen=True, kw_only=True)
class County:
    """Folders of the agencies and of the unit, with keys and agreement."""

    folder: Path
    agreement: Agreement
    identities: dict[str, PrivateIdentity]

    def home(self, who: str) -> Path:
        """Return the folder of an agency or of the unit."""
        return self.folder / who

    def options(self, who: str) -> list[str]:
        """Return the options that say who somebody is."""
        return ["--agreement", str(self.folder / "agreement.yaml"), "--key", str(self.folder / f"{who}.key")]

    def opened(self, who: str, path: Path, part: str) -> pa.Table:
        """Return a part of a package that somebody can read."""
        known = {name: identity.public for name, identity in self.identities.items()}
        with open_package(
            path, recipient=self.identities[who], known_senders=known, expect=Expectation()
        ) as package:
            return pa.ipc.open_stream(package.part(part)).read_all()

    def results(self, agency: str) -> list[dict[str, Any]]:
        """Return the rows of an agency's opened result."""
        return pc_csv.read_csv(self.home(agency) / "results.csv").to_pylist()

    def everything(self, who: str) -> dict[str, bytes]:
        """Return every file that somebody holds."""
        return {
            path.relative_to(self.home(who)).as_posix(): path.read_bytes()
            for path in sorted(self.home(who).rglob("*"))
            if path.is_file()
        }


def _told() -> list[dict[str, Any]]:
    """Return what each agency is told: its subject, and the other agencies of the person."""
    return [
        {"agency": agency, "subject": number_of(agency, person), "about": about}
        for person, agencies in PEOPLE.items()
        if person != UNTOLD and len(agencies) > 1
        for agency in agencies
        for about in agencies
        if about != agency
    ]


def _return_rows(agency: str) -> list[dict[str, Any]]:
    rows = []
    for person, agencies in PEOPLE.items():
        if person != UNTOLD and agency in agencies and len(agencies) > 1:
            for about in agencies:
                rows.append(
                    {
                        "subject": number_of(agency, person),
                        "person": person + 1,
                        "agency": about,
                        "own": about == agency,
                        "contact_count": 3,
                        "first_date": date(2026, 1, 1),
                        "last_date": date(2026, 6, 1),
                        "open_case": True,
                        "lead_sealed": b"sealed",
                        "lead_agency": about,
                    }
                )
    return rows


def _result_rows(agency: str) -> list[dict[str, Any]]:
    return [
        {
            "ref": ref_of(agency, row["subject"] - OFFSET[agency]),
            "forename": "Ann",
            "surname": 'O"Neill, the 2nd\nline',
            "dob": "1990-01-01",
            "person": row["person"],
            "agencies": len(PEOPLE[row["person"] - 1]),
            **{
                name: row[name]
                for name in ("agency", "contact_count", "first_date", "last_date", "open_case")
            },
            "lead_contact": "Kim, team 3",
        }
        for row in _return_rows(agency)
        if not row["own"]
    ]


def _package(
    county: County, path: Path, kind: str, sender: str, to: str, facts: dict[str, Any], **more: Any
) -> None:
    part, schema, rows, counts = more["part"], more["schema"], more["rows"], more["counts"]
    table = pa.Table.from_pylist(rows, schema=schema)
    write_package(
        path,
        kind=kind,
        sender=county.identities[sender],
        recipient=county.identities[to].public,
        agreement_digest=county.agreement.digest,
        run_id=RUN,
        purpose=county.agreement.purpose,
        created_at=NOW,
        counts=counts,
        facts=facts,
        parts=[(part, ARROW_STREAM, arrow_stream(schema, iter(table.to_batches())))],
    )


def _agency(county: County, agency: str) -> None:
    home = county.home(agency)
    home.mkdir()
    facts = {"seal_id": f"seal-{agency}", "window_months": 12, "as_of": "2026-06-30"}
    people = [person for person, agencies in PEOPLE.items() if agency in agencies]
    refs = [{"ref": ref_of(agency, person), "subject": number_of(agency, person)} for person in people]
    if agency == "police":  # a second reference of person 4
        refs.append({"ref": "PREF-4b", "subject": number_of(agency, 4)})
    _package(
        county, home / "june.crosswalk", "crosswalk", agency, agency, facts,
        part="refs", schema=CROSSWALK, rows=refs, counts={"refs": len(refs), "subjects": len(people)},
    )  # fmt: skip
    rows = _return_rows(agency)
    for path in (home / "june-return.tally", county.home(UNIT) / "run" / "returns" / f"{agency}.tally"):
        _package(
            county, path, "return", UNIT, agency, facts, part="contacts", schema=RETURN, rows=rows,
            counts={"people": len({row["person"] for row in rows}), "rows": len(rows)},
        )  # fmt: skip
    versions = pa.schema([pa.field("subject", pa.int32(), nullable=False)])
    for path in (home / "june.tally", county.home(UNIT) / f"{agency}.tally"):
        _package(
            county, path, "sealed", agency, UNIT, facts, part="versions", schema=versions,
            rows=[{"subject": number_of(agency, person)} for person in people], counts={"subjects": len(people)},
        )  # fmt: skip
    table = pa.Table.from_pylist(_result_rows(agency)).select(list(RESULT_COLUMNS))
    pc_csv.write_csv(table, home / "results.csv")


def _run_folder(county: County) -> None:
    run = county.home(UNIT) / "run"
    (run / "returns").mkdir(parents=True)
    people = [
        {"agency": agency, "subject": number_of(agency, person), "person": person}
        for person, agencies in PEOPLE.items()
        for agency in agencies
    ]
    links = [
        {
            "agency_l": "health",
            "subject_l": 10 + person,
            "agency_r": "police",
            "subject_r": person,
            "match_weight": 9.5,
        }
        for person, agencies in PEOPLE.items()
        if {"health", "police"} <= set(agencies)
    ]
    review = [
        {"record_a": "health:11", "record_b": "police:1", "reason": "band"},
        {"record_a": "health:10", "record_b": "childrens_social_care:21", "reason": "band"},
    ]
    for name, rows in (("people", people), ("links", links), ("told", _told()), ("review", review)):
        pq.write_table(pa.Table.from_pylist(rows), run / f"{name}.parquet")
    summary = {
        "run": RUN,
        "created_at": NOW.isoformat(),
        "agreement": {
            "id": county.agreement.id,
            "version": county.agreement.version,
            "digest": county.agreement.digest,
        },
        "senders": {
            agency: {"subjects": 5, "package": "sha256:" + "0" * 64, "seal_id": f"seal-{agency}"}
            for agency in AGENCIES
        },
        "clusters": {"count": 5, "review": 2, "largest": 3},
        "multi_agency": {
            "window_months": 12,
            "as_of": "2026-06-30",
            "people": 3,
            "by_agencies": {"2": 2, "3": 1},
        },
        "privacy": {
            "d": 0.1,
            "lambda": {},
            "expected_reidentification": 0.01,
            "expected_reidentification_with_records": 0.2,
        },
        "returns": {"police": 3, "health": 3, "childrens_social_care": 1},
        "blocking": [],
    }
    (run / "run.json").write_text(json.dumps(summary))
    (run / "model.json").write_text("{}")


def make_county(folder: Path) -> County:
    """Make everything in `folder`."""
    identities = {name: PrivateIdentity.generate(name) for name in (*AGENCIES, UNIT)}
    document = draft_agreement(
        everyone=True,
        parties=dict(zip(AGENCIES, AGENCIES, strict=True)),
        passes=("dob+forename.canonical+surname.canonical",),
        today=NOW.date(),
        identities={name: identity.public for name, identity in identities.items()},
        unit_id=UNIT,
    )
    document["retention"] = [
        {"artefact": "package", "days": 30},
        {"artefact": "run", "days": 60},
        {"artefact": "return", "days": 10},
        {"artefact": "crosswalk", "days": 90},
        {"artefact": "result", "days": 365},
        {"artefact": "log", "days": 400},
    ]
    (folder / "agreement.yaml").write_text(agreement_yaml(document), encoding="utf-8")
    for name, identity in identities.items():
        save_identity(
            identity,
            folder / f"{name}.key",
            PASSPHRASE["TALLYSTICK_PASSPHRASE"].encode(),
            profile="tests-only",
        )
    county = County(folder=folder, agreement=load_agreement(folder / "agreement.yaml"), identities=identities)
    county.home(UNIT).mkdir()
    _run_folder(county)
    for agency in AGENCIES:
        _agency(county, agency)
    return county
