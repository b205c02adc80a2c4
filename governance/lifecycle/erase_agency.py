"""Erasure at an agency: by its own references, by a notice of the linkage unit, or of another agency whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import pyarrow as pa

from governance.agreement import Agreement
from governance.audit.salts import subject_of_ref
from governance.lifecycle.artefacts import Found, files_in, find_artefacts
from governance.lifecycle.erasing import Plan, Step, only_changes, whole
from governance.lifecycle.requests import REQUEST, Asked, write_asked
from governance.lifecycle.rewriting import Rows, Told, reduce_parts, rewrite_result
from schemas.canonical import JSON
from schemas.container import open_package, write_package
from schemas.errors import ErasureError
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import Manifest
from schemas.payload import CROSSWALK, RETURN_PARTS, RETURN_ROWS
from schemas.policies import Expectation
from schemas.tables import ARROW_STREAM, arrow_stream, read_batches

_TEXT = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".md"}
_CELLS = re.compile(r'[,;\t|"\s]+')
_SCHEMAS = {"return": RETURN_PARTS, "crosswalk": {"refs": CROSSWALK}}
"""Kind of package -> its tables by part; one that is not there is not asked for."""

_ROWS = {**RETURN_ROWS, "refs": "refs"}
Sealing = tuple[str, str | None]
"""Run and seal id: what a subject's number belongs to."""


@dataclass(kw_only=True, slots=True)
class AgencyErasure:
    """What to erase at an agency.

    Attributes:
        places: Folders to search.
        agreement: The agreement.
        owner: The agency's identity.
        refs: Local references of the people to erase, as given.
        notices: Verified notices of the unit.
        agencies: Other agencies of whom nothing is to be told any more.
        numbers: Sealing -> numbers of the people; filled by `plan`, and kept when the crosswalks are rewritten.
        all_refs: The references that belong to them; likewise.
    """

    places: Sequence[Path]
    agreement: Agreement
    owner: PrivateIdentity
    refs: frozenset[str] = frozenset()
    notices: Sequence[Asked] = ()
    agencies: frozenset[str] = frozenset()
    numbers: dict[Sealing, frozenset[int]] = field(default_factory=dict)
    all_refs: frozenset[str] = frozenset()

    def plan(self) -> Plan:
        """Return what would be done.

        Raises:
            ErasureError: A return is there without its crosswalk.
            PackageError: A package of the agency's own does not verify.
        """
        found = find_artefacts(self.places, identity=self.owner, known=self._known())
        crosswalks = {
            _sealing(each.manifest): self._read(each)["refs"]
            for each in found
            if each.manifest is not None and each.manifest.kind == "crosswalk"
        }
        self._require_crosswalks(crosswalks)
        refs = self.all_refs = self._all_refs(crosswalks)
        for sealing, table in crosswalks.items():
            here = _numbers(table, refs)
            if here:
                self.numbers[sealing] = self.numbers.get(sealing, frozenset()) | here
        by_ref = self._told_by_ref(crosswalks, refs)
        steps: list[Step] = []
        for each in found:
            steps += self._steps(each, crosswalks, refs, by_ref)
        notes = self._notes(crosswalks)
        return Plan(
            scope=self._scope(refs),
            steps=only_changes(steps),
            look_at=self._elsewhere(found, refs),
            subjects=[subject_of_ref(self.owner.party, ref) for ref in sorted(refs)],
            notes=notes,
        )

    def write_requests(self, folder: Path, now: datetime) -> list[dict[str, JSON]]:
        """Write a request to the linkage unit for each run that the people were sealed for; return their digests.

        Raises:
            ErasureError: The agreement holds no keys of the unit.
            OutputError: A request cannot be written.
        """
        unit = self.agreement.unit_keys
        if unit is None:
            raise ErasureError(
                "the agreement holds no keys of the linkage unit, so nothing can be sent to it."
            )
        folder.mkdir(parents=True, exist_ok=True)
        sent: list[dict[str, JSON]] = []
        for (run, seal_id), numbers in sorted(self.numbers.items(), key=str):
            package = write_asked(
                folder / f"request-{run}-{(seal_id or 'unknown')[:8]}.tally",
                kind=REQUEST,
                sender=self.owner,
                recipient=unit,
                agreement=self.agreement,
                run=run,
                seal_id=seal_id,
                rows=((number, "") for number in numbers),
                now=now,
            )
            sent.append({"to": unit.party, "run": run, "package": package, "rows": len(numbers)})
        return sent

    def _known(self) -> dict[str, PublicIdentity]:
        return {**self.agreement.identities, self.owner.party: self.owner.public}

    def _scope(self, refs: Iterable[str]) -> dict[str, JSON]:
        if self.agencies:
            return {"kind": "agency", "agencies": sorted(self.agencies)}
        if self.notices:
            return {"kind": "notice", "packages": [asked.package_id for asked in self.notices]}
        return {"kind": "subjects", "given": len(self.refs), "references": len(list(refs))}

    def _require_crosswalks(self, crosswalks: Mapping[Sealing, pa.Table]) -> None:
        """Refuse a notice whose row numbers nobody here can turn into references: opened results would be missed."""
        for asked in self.notices:
            if (asked.rows or asked.homes) and (asked.run, asked.seal_id) not in crosswalks:
                raise ErasureError(
                    f"the crosswalk of run {asked.run} is not in these folders, so nobody can tell whom the notice is "
                    "about.",
                    remedy="Name the folder with the crosswalk too. If it was purged, delete the results of that run.",
                )

    def _notes(self, crosswalks: Mapping[Sealing, pa.Table]) -> list[str]:
        notes = []
        if len(self.all_refs) > len(self.refs):
            notes.append(
                f"{len(self.refs):,} references were given; the crosswalks count {len(self.all_refs):,} as the same "
                "people."
            )
        known = {ref for table in crosswalks.values() for ref in table.column("ref").to_pylist()}
        if missing := len(self.refs - known):
            notes.append(
                f"{missing:,} of the references are in no crosswalk here, so the unit cannot be asked about them."
            )
        return notes

    def _all_refs(self, crosswalks: Mapping[Sealing, pa.Table]) -> frozenset[str]:
        """Return the references given and those that a sealing counted as the same person, until no more come."""
        refs = self.refs | self.all_refs
        while True:
            more = set(refs)
            for table in crosswalks.values():
                numbers = _numbers(table, refs)
                more |= {
                    ref
                    for ref, number in zip(
                        table.column("ref").to_pylist(), table.column("subject").to_pylist(), strict=True
                    )
                    if number in numbers
                }
            if len(more) == len(refs):
                return refs
            refs = frozenset(more)

    def _told_by_ref(self, crosswalks: Mapping[Sealing, pa.Table], refs: frozenset[str]) -> Told:
        about: dict[str, frozenset[str]] = {}
        homes: dict[str, frozenset[str]] = {}
        for asked in self.notices:
            walk = crosswalks.get((asked.run, asked.seal_id))
            for found, rows in ((about, asked.rows), (homes, asked.homes)):
                wanted = _by_subject(rows)
                for row in () if walk is None else walk.to_pylist():
                    if row["subject"] in wanted:
                        found[row["ref"]] = found.get(row["ref"], frozenset()) | wanted[row["subject"]]
        return Told(
            whose=refs,
            about=about,
            homes=homes,
            agencies=self._left(),
            minimum=self.agreement.minimum_agencies,
        )

    def _left(self) -> frozenset[str]:
        return self.agencies.union(*(asked.agencies for asked in self.notices))

    def _steps(
        self, found: Found, crosswalks: Mapping[Sealing, pa.Table], refs: frozenset[str], by_ref: Told
    ) -> list[Step]:
        if found.kind == "result":
            act = partial(rewrite_result, found.path, by_ref)
            return [_step(found, act(act=False), partial(act, act=True))]
        if found.kind == "crosswalk" and found.manifest is not None and refs:
            return [self._crosswalk_step(found, crosswalks[_sealing(found.manifest)])]
        if found.kind == "return" and found.manifest is not None:
            return self._return_steps(found, crosswalks)
        if found.kind == "package" and found.manifest is None and refs:
            return [whole(found, "it may hold them, and only its recipient can read it")]
        return []

    def _crosswalk_step(self, found: Found, table: pa.Table) -> Step:
        assert found.manifest is not None  # noqa: S101 - the caller looked
        numbers = self.numbers.get(_sealing(found.manifest), frozenset())
        kept = table.filter(
            pa.array([n not in numbers for n in table.column("subject").to_pylist()], pa.bool_())
        )
        rows = Rows(before=table.num_rows, after=kept.num_rows)
        left = len(set(kept.column("subject").to_pylist()))
        return _step(found, rows, partial(self._rewrite, found, {"refs": kept}, {"subjects": left}))

    def _return_steps(self, found: Found, crosswalks: Mapping[Sealing, pa.Table]) -> list[Step]:
        assert found.manifest is not None  # noqa: S101 - the caller looked
        sealing = _sealing(found.manifest)
        if self.refs and sealing not in crosswalks:
            raise ErasureError(
                "the crosswalk of this return is not in these folders, so nobody can tell whom it is about.",
                where=str(found.path),
                remedy="Name the folder with the crosswalk too, or delete the return.",
            )
        here = [asked for asked in self.notices if sealing == (asked.run, asked.seal_id)]
        told = Told(
            whose=self.numbers.get(sealing, frozenset()),
            about=_by_subject(row for asked in here for row in asked.rows),
            homes=_by_subject(row for asked in here for row in asked.homes),
            agencies=self._left(),
            minimum=self.agreement.minimum_agencies,
        )
        parts = self._read(found)
        kept = reduce_parts(parts, told)
        people = len(set(kept["contacts"].column("person").to_pylist()))
        rows = Rows(before=_rows(parts), after=_rows(kept))
        return [_step(found, rows, partial(self._rewrite, found, kept, {"people": people}))]

    def _read(self, found: Found) -> dict[str, pa.Table]:
        """Return the tables of a crosswalk or a return by part."""
        expect = Expectation(agreement_digest=self.agreement.digest)
        with open_package(
            found.path,
            recipient=self.owner,
            known_senders=self._known(),
            expect=expect,
        ) as package:
            held = {part.name for part in package.manifest.parts}
            return {
                part: pa.Table.from_batches(
                    read_batches(package, part, schema=schema, max_rows=package.manifest.count(_ROWS[part])),
                    schema=schema,
                )
                for part, schema in _SCHEMAS[found.kind].items()
                if part in held
            }

    def _rewrite(self, found: Found, parts: Mapping[str, pa.Table], counts: Mapping[str, int]) -> None:
        """Write what is left as a package of the agency to itself: nobody else's signature fits it any more."""
        manifest = found.manifest
        assert manifest is not None  # noqa: S101 - the caller looked
        first = manifest.facts.get("erased_from", manifest.package_id)
        write_package(
            found.path,
            kind=manifest.kind,
            sender=self.owner,
            recipient=self.owner.public,
            agreement_digest=manifest.agreement_digest,
            run_id=manifest.run_id,
            purpose=manifest.purpose,
            created_at=manifest.created_at,  # its retention runs from the first making
            counts={**counts, **{_ROWS[part]: table.num_rows for part, table in parts.items()}},
            facts={**manifest.facts, "erased_from": first},
            parts=[
                (part, ARROW_STREAM, arrow_stream(table.schema, iter(table.to_batches())))
                for part, table in parts.items()
            ],
        )

    def _elsewhere(self, found: Sequence[Found], refs: frozenset[str]) -> list[str]:
        """Return text files, none of ours, with a cell that is one of the references."""
        ours = {each.path for each in found}
        return [
            name
            for path, name in files_in(self.places)
            if refs and path not in ours and path.suffix.lower() in _TEXT and _holds(path, refs)
        ]


def _step(found: Found, rows: Rows, act: Callable[[], object]) -> Step:
    return Step(kind=found.kind, name=found.name, path=found.path, rows=rows, act=act)


def _sealing(manifest: Manifest) -> Sealing:
    seal_id = manifest.facts.get("seal_id")
    return manifest.run_id, seal_id if isinstance(seal_id, str) else None


def _rows(parts: Mapping[str, pa.Table]) -> int:
    return sum(table.num_rows for table in parts.values())


def _by_subject(rows: Iterable[tuple[int, str]]) -> dict[int, frozenset[str]]:
    """Return subject -> the agencies that a notice names for it."""
    found: dict[int, frozenset[str]] = {}
    for number, agency in rows:
        found[number] = found.get(number, frozenset()) | {agency}
    return found


def _numbers(table: pa.Table, refs: frozenset[str]) -> frozenset[int]:
    return frozenset(
        number
        for ref, number in zip(
            table.column("ref").to_pylist(), table.column("subject").to_pylist(), strict=True
        )
        if ref in refs
    )


def _holds(path: Path, refs: frozenset[str]) -> bool:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return any(not refs.isdisjoint((*_CELLS.split(line), line.strip())) for line in stream)
