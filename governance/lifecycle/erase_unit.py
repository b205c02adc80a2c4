"""Erasure at the linkage unit: out of run folders, by the row numbers that an agency names, or an agency whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from governance.agreement import Agreement
from governance.audit.salts import subject_of_number
from governance.lifecycle.artefacts import Found, find_artefacts, run_summary
from governance.lifecycle.erasing import Plan, Step, only_changes, whole
from governance.lifecycle.requests import ALL_RUNS, NOTICE, REQUEST, Asked, write_asked
from governance.lifecycle.rewriting import Subjects, rewrite_parquet
from schemas.canonical import JSON
from schemas.errors import ErasureError
from schemas.identity import PrivateIdentity


@dataclass(kw_only=True, slots=True)
class UnitErasure:
    """What to erase at the unit.

    Attributes:
        places: Folders to search.
        agreement: The agreement.
        unit: The unit's identity.
        requests: Verified requests of agencies.
        agencies: Agencies that go whole.
        notices: (agency, run) -> rows of the notice to it; filled by `plan`.
        home_notices: (agency, run) -> rows of it about homes; likewise.
        seal_ids: (agency, run) -> the sealing that numbered them.
    """

    places: Sequence[Path]
    agreement: Agreement
    unit: PrivateIdentity
    requests: Sequence[Asked] = ()
    agencies: frozenset[str] = frozenset()
    notices: dict[tuple[str, str], set[tuple[int, str]]] = field(default_factory=dict)
    home_notices: dict[tuple[str, str], set[tuple[int, str]]] = field(default_factory=dict)
    seal_ids: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def plan(self) -> Plan:
        """Return what would be done.

        Raises:
            ErasureError: A request was numbered by another sealing than the run it names.
        """
        found = find_artefacts(self.places, identity=self.unit, known=self.agreement.identities)
        runs = [each for each in found if each.kind == "run" and each.agreement == self.agreement.digest]
        steps: list[Step] = []
        for each in runs:
            steps += self._run_steps(each, found)
        steps += self._package_steps(found)
        return Plan(
            scope=self._scope(),
            steps=only_changes(steps),
            subjects=[
                subject_of_number(asked.run, asked.sender, number)
                for asked in self.requests
                for number, _ in sorted(asked.rows)
            ],
            notes=self._notes(runs),
        )

    def write_notices(self, folder: Path, now: datetime) -> list[dict[str, JSON]]:
        """Write one notice for each agency and run that was told of what is erased; return their digests.

        Raises:
            OutputError: A notice cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        known = self.agreement.identities
        sent: list[dict[str, JSON]] = []
        for agency, run in sorted(self.notices.keys() | self.home_notices.keys()):
            rows, homes = (held.get((agency, run), set()) for held in (self.notices, self.home_notices))
            if agency in known:
                package = write_asked(
                    folder / f"notice-{run}-{agency}.tally",
                    kind=NOTICE,
                    sender=self.unit,
                    recipient=known[agency],
                    agreement=self.agreement,
                    run=run,
                    seal_id=self.seal_ids.get((agency, run)),
                    rows=rows,
                    homes=homes,
                    agencies=self.agencies,
                    now=now,
                )
                sent.append({"to": agency, "run": run, "package": package, "rows": len(rows) + len(homes)})
        return sent

    def _scope(self) -> dict[str, JSON]:
        if self.agencies:
            return {"kind": "agency", "agencies": sorted(self.agencies)}
        return {
            "kind": "subjects",
            "requests": [
                {
                    "from": asked.sender,
                    "run": asked.run,
                    "subjects": len(asked.rows),
                    "package": asked.package_id,
                }
                for asked in self.requests
            ],
        }

    def _notes(self, runs: Sequence[Found]) -> list[str]:
        here = {(run_summary(each.path) or {}).get("run") for each in runs}
        return [
            f"Run {asked.run} of the request of {asked.sender} is not in these folders: nothing of it to erase here."
            for asked in self.requests
            if asked.run not in here
        ]

    def _numbers(self, summary: Mapping[str, Any]) -> dict[str, frozenset[int]]:
        """Return agency -> numbers to erase from this run."""
        numbers: dict[str, frozenset[int]] = {}
        for asked in self.requests:
            if asked.run != summary["run"] or asked.kind != REQUEST:
                continue
            sealed = summary["senders"].get(asked.sender, {}).get("seal_id")
            if sealed is None or sealed != asked.seal_id:
                raise ErasureError(
                    f"the request of {asked.sender} names row numbers of another sealing than the one that was linked.",
                    where=f"run {asked.run}",
                    remedy="Ask it to make the request with the crosswalk that belongs to the package it sent.",
                )
            numbers[asked.sender] = numbers.get(asked.sender, frozenset()) | {n for n, _ in asked.rows}
        return numbers

    def _run_steps(self, run: Found, found: Sequence[Found]) -> list[Step]:
        summary = run_summary(run.path) or {}
        numbers = self._numbers(summary)
        if not numbers and not self.agencies:
            return []
        told, homes = self._told(run.path, numbers), self._told_homes(run.path, numbers)
        self._note_notices(summary, told, homes)
        subjects = Subjects(
            numbers=numbers,
            agencies=self.agencies,
            told=frozenset() if told is None else frozenset(told),
        )
        steps = [
            Step(
                kind="table",
                name=f"{run.name}/{table.name}",
                path=table,
                rows=rewrite_parquet(table, subjects, act=False),
                act=partial(rewrite_parquet, table, subjects, act=True),
            )
            for table in sorted(run.path.glob("*.parquet"))
        ]
        holders = None if told is None else {agency for agency, _, _ in (*told, *homes)}
        for each in found:
            if (
                each.kind == "return"
                and run.path in each.path.parents
                and (holders is None or each.path.stem in holders)
            ):
                steps.append(whole(each, "it tells of them, and only its agency can read it"))
        return steps

    def _told(self, run: Path, numbers: Mapping[str, frozenset[int]]) -> list[tuple[str, int, str]] | None:
        """Return the rows of `told.parquet` that are about what is erased; None when the run does not keep one."""
        if not (run / "told.parquet").exists() or not (run / "people.parquet").exists():
            return None
        rows = pq.read_table(run / "told.parquet").to_pylist()
        people = {
            (row["agency"], row["subject"]): row["person"]
            for row in pq.read_table(run / "people.parquet").to_pylist()
        }
        gone = {(people.get((owner, n)), owner) for owner, listed in numbers.items() for n in listed} - {
            (None, owner) for owner in numbers
        }
        return [
            (row["agency"], row["subject"], row["about"])
            for row in rows
            if (people.get((row["agency"], row["subject"])), row["about"]) in gone
            or row["subject"] in numbers.get(row["agency"], ())
            or not self.agencies.isdisjoint((row["agency"], row["about"]))
        ]

    def _told_homes(self, run: Path, numbers: Mapping[str, frozenset[int]]) -> list[tuple[str, int, str]]:
        """Return (agency, subject, about) of the rows of `told_homes.parquet` that are about what is erased."""
        if not (run / "told_homes.parquet").exists():
            return []
        return [
            (row["agency"], row["subject"], row["about"])
            for row in pq.read_table(run / "told_homes.parquet").to_pylist()
            if row["about_subject"] in numbers.get(row["about"], ())
            or row["subject"] in numbers.get(row["agency"], ())
            or not self.agencies.isdisjoint((row["agency"], row["about"]))
        ]

    def _note_notices(
        self,
        summary: Mapping[str, Any],
        told: Sequence[tuple[str, int, str]] | None,
        homes: Sequence[tuple[str, int, str]],
    ) -> None:
        run = str(summary["run"])
        if self.agencies:
            for agency in set(summary["senders"]) - self.agencies:
                self.notices.setdefault((agency, ALL_RUNS), set())
            return
        erased = {asked.sender for asked in self.requests}
        for held, rows in ((self.notices, told or ()), (self.home_notices, homes)):
            for agency, number, about in rows:
                if about in erased and agency != about:
                    held.setdefault((agency, run), set()).add((number, about))
                    self.seal_ids[agency, run] = summary["senders"].get(agency, {}).get("seal_id")

    def _package_steps(self, found: Sequence[Found]) -> list[Step]:
        """A package carries its sender's signature over all of it, so it goes whole."""
        asked = {(each.sender, each.run) for each in self.requests}
        return [
            whole(each, "it holds them, and only its sender could seal it without them")
            for each in found
            if each.kind == "package"
            and each.manifest is not None
            and each.manifest.kind == "sealed"
            and (
                (each.manifest.sender, each.manifest.run_id) in asked or each.manifest.sender in self.agencies
            )
        ]
