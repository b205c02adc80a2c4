"""Three invented agencies and their packages, made by the real code, and what a run leaves behind."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from governance.agreement import Agreement, Budget, parse_agreement
from governance.draft import draft_agreement
from hashing.extract import Extract, read_extract
from hashing.mapping import load_mapping
from hashing.package import seal_subjects
from hashing.shuffling import shuffle
from hashing.subjects import Subjects, collapse
from linkage.candidates import PassPairs
from linkage.clusters import Clusters
from linkage.intake import Sender, token_table
from linkage.run import Links, RunResult, link
from linkage.training import Trained
from linkage.window import MultiAgency
from schemas.container import open_package, write_package
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.policies import Expectation
from schemas.tables import ARROW_STREAM, arrow_stream
from synthetic.generate import synthesise

UNIT = "linkage-unit"
AGENCIES = ("childrens_social_care", "health", "police")
NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
AS_OF = date(2026, 6, 30)
PASSES = (
    "dob+surname.phonetic",
    "forename+surname+dob.year",
    "nhs_number",
    "forename.first3+uprn",
    "surname+postcode.sector",
    "dob+postcode.district",
    "address.number_street+forename.initial",
    "name_set+dob.month_year",
)
"""Strong passes and weaker ones, so that the candidates hold strangers and relatives too."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Sealed packages and everything they were made of."""

    folder: Path
    agreement: Agreement
    identities: Mapping[str, PrivateIdentity]
    secret: bytes
    run_id: str
    extracts: Mapping[str, Extract]
    subjects: Mapping[str, Subjects]

    @property
    def public(self) -> dict[str, PublicIdentity]:
        return {name: identity.public for name, identity in self.identities.items()}

    @property
    def unit(self) -> PrivateIdentity:
        return self.identities[UNIT]

    @property
    def packages(self) -> list[Path]:
        return [self.folder / f"{name}.tally" for name in AGENCIES]

    def seal(self, agency: str, target: Path, **changes: Any) -> Path:
        """Seal an agency's subjects; keyword arguments replace the usual ones."""
        values: dict[str, Any] = {
            "agreement": self.agreement,
            "run_id": self.run_id,
            "secret": self.secret,
            "sender": self.identities[agency],
            "unit": self.unit.public,
            "created_at": NOW,
            "as_of": AS_OF,
        }
        seal_subjects(self.subjects[agency], target, **{**values, **changes})
        return target

    def link(self, out: Path, **changes: Any) -> RunResult:
        """Link the packages into `out`; keyword arguments replace the usual ones."""
        values: dict[str, Any] = {
            "agreement": self.agreement,
            "unit": self.unit,
            "known": self.public,
            "created_at": NOW,
            "as_of": AS_OF,
        }
        return link(self.packages, out, **{**values, **changes})

    def forge(
        self,
        agency: str,
        target: Path,
        *,
        tables: Mapping[str, pa.Table] | None = None,
        facts: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
        **changes: Any,
    ) -> Path:
        """Write a genuine signature under a changed content: what a dishonest sender can do.

        Args:
            agency: The sender.
            target: The package to write.
            tables: Parts to replace.
            facts: Facts to replace; None takes one out.
            counts: Counts to replace.
            changes: Arguments of `write_package` to replace.
        """
        with self.opened(agency) as package:
            manifest = package.manifest
            parts = []
            for part in manifest.parts:
                table = (tables or {}).get(part.name)
                content = (
                    package.read_all(part.name, part.length)
                    if table is None
                    else arrow_stream(table.schema, iter(table.to_batches()))
                )
                parts.append((part.name, ARROW_STREAM, [content] if isinstance(content, bytes) else content))
        merged = {**manifest.facts, **(facts or {})}
        values: dict[str, Any] = {
            "kind": manifest.kind,
            "sender": self.identities[agency],
            "recipient": self.unit.public,
            "agreement_digest": manifest.agreement_digest,
            "run_id": manifest.run_id,
            "purpose": manifest.purpose,
            "created_at": NOW,
            "counts": {**manifest.counts, **(counts or {})},
            "facts": {name: value for name, value in merged.items() if value is not None},
            "parts": parts,
        }
        write_package(target, **{**values, **changes})
        return target

    def opened(self, agency: str) -> Any:
        """Open an agency's package as the unit."""
        return open_package(
            self.folder / f"{agency}.tally",
            recipient=self.unit,
            known_senders=self.public,
            expect=Expectation(kind="sealed"),
        )

    def table(self, agency: str, part: str) -> pa.Table:
        """Return a part of an agency's package."""
        with self.opened(agency) as package:
            return pa.ipc.open_stream(package.part(part)).read_all()


def world_of(
    folder: Path, extracts: Mapping[str, Extract], subjects: Mapping[str, Subjects], *, run_id: str
) -> World:
    """Return a world of agencies with new keys and a drafted agreement; nothing is sealed yet."""
    identities = {name: PrivateIdentity.generate(name) for name in (*extracts, UNIT)}
    document = draft_agreement(
        everyone=True,
        parties={name: name for name in extracts},
        passes=PASSES,
        today=NOW.date(),
        identities={name: identity.public for name, identity in identities.items()},
        unit_id=UNIT,
    )
    return World(
        folder=folder,
        # The weaker passes are over any budget that an agreement may state.
        agreement=replace(parse_agreement(document), budget=Budget(d=1e9, lambda_=1e9)),
        identities=identities,
        secret=secrets.token_bytes(32),
        run_id=run_id,
        extracts=extracts,
        subjects=subjects,
    )


def make_world(folder: Path) -> World:
    """Make three agencies, their keys and their packages in `folder`."""
    synthesise(folder / "area", people=1000, seed=11, agencies=AGENCIES, workers=1)
    mappings = load_mapping(folder / "area" / "mapping.yaml")
    extracts = {
        name: read_extract(folder / "area" / f"{name}.csv", agency=name, mapping=mappings[name])
        for name in AGENCIES
    }
    subjects = {
        name: shuffle(collapse(extract, today=NOW.date(), mapping=mappings[name]))
        for name, extract in extracts.items()
    }
    world = world_of(folder, extracts, subjects, run_id="run-2026-07")
    for name in AGENCIES:
        world.seal(name, folder / f"{name}.tally")
    return world


@dataclass(frozen=True, kw_only=True)
class Unit:
    """The database of a run with all its tables left standing."""

    con: duckdb.DuckDBPyConnection
    senders: list[Sender]
    found: list[PassPairs]
    trained: Trained
    links: Links
    clusters: Clusters
    window: MultiAgency

    @property
    def subjects(self) -> int:
        return sum(sender.subjects for sender in self.senders)

    @property
    def versions(self) -> int:
        return sum(sender.versions for sender in self.senders)


def load_tokens(con: duckdb.DuckDBPyConnection, index: int, table: pa.Table) -> None:
    """Create the token table of pass number `index`."""
    con.register("incoming", table)
    con.execute(f"CREATE TABLE {token_table(index)} AS SELECT * FROM incoming")
    con.unregister("incoming")


def load_versions(con: duckdb.DuckDBPyConnection, subject_of: list[int]) -> None:
    """Create the table `versions`: version n belongs to `subject_of[n]`."""
    table = pa.table(
        {"version": np.arange(len(subject_of), dtype=np.int32), "subject": pa.array(subject_of, pa.int32())}
    )
    con.register("incoming", table)
    con.execute("CREATE TABLE versions AS SELECT * FROM incoming")
    con.unregister("incoming")
