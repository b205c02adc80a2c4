"""The rules at the moments of the work: before release, at intake, around linking, on what leaves.

Each function takes values that its caller has at hand, asks the rules of its moment, and raises `ComplianceBlocked`
when one of them blocks and no signed exception covers it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from governance.agreement import Agreement
from governance.detect.watch import PackageWatch
from governance.exceptions import SignedException, cover
from governance.gate import gate
from governance.rules.base import Finding, Moment
from governance.rules.linkage import LinkageSubject, Member
from governance.rules.output import Artefact, CountTable, OutputSubject, Request
from governance.rules.package_subject import PackageSubject, Stated, expected_schemas, metadata_hits
from governance.rules.registry import AnyRule, Family, findings_of, own_rules
from schemas.canonical import JSON, parse_json
from schemas.errors import InputError, NotCanonical
from schemas.keyfile import FORMAT, MAX_BYTES
from schemas.manifest import Manifest

OwnRules = Mapping[Family, tuple[AnyRule, ...]]
"""An organisation's own rules (`governance.rules.registry.own_rules`)."""


class Release:
    """Watches a package while it is made, and judges it before its last byte is written.

    Args:
        agreement: What it has to fit.
        today: Day of the sealing.
        rows: Most rows of a table, about.
        exceptions: Verified exceptions.
        last_rows: Subjects of the run before, when they are known.
    """

    def __init__(
        self,
        agreement: Agreement,
        *,
        today: date,
        rows: int,
        exceptions: Sequence[SignedException] = (),
        last_rows: int | None = None,
    ) -> None:
        self._agreement, self._today = agreement, today
        self._exceptions, self._last_rows = exceptions, last_rows
        self._watch = PackageWatch(expected_schemas(agreement), today=today, rows=rows)
        self.findings: list[Finding] = []

    def batches(self, part: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass the batches of a part on, and look at each."""
        return self._watch.batches(part, batches)

    def approve(self, stated: Stated, file_name: str) -> None:
        """Ask the rules on packages; the findings that do not stop the release are kept in `findings`.

        Raises:
            ComplianceBlocked: A rule stops the release.
        """
        subject = PackageSubject(
            where=file_name,
            stated=stated,
            agreement=self._agreement,
            today=self._today,
            parts=self._watch.parts,
            hits=metadata_hits(stated, PurePath(file_name).name, today=self._today),
            signer=stated.sender,
            last_rows=self._last_rows,
        )
        found = findings_of(Family.PACKAGE, subject, moment=Moment.RELEASE)
        self.findings = gate(cover(found, self._exceptions, party=stated.sender, today=self._today))


def judge_intake(
    subjects: Sequence[PackageSubject],
    exceptions: Sequence[SignedException],
    *,
    today: date,
    own: OwnRules | None = None,
) -> list[Finding]:
    """Ask the rules on packages about all packages of a run; the known answers of the first count for its fellows.

    Raises:
        ComplianceBlocked: A rule stops the run.
    """
    found: list[Finding] = []
    for subject in subjects:
        asked = findings_of(Family.PACKAGE, subject, moment=Moment.INTAKE, own=own)
        found += cover(asked, exceptions, party=subject.stated.sender, today=today)
    return gate(found)


def judge_run(
    run: LinkageSubject,
    exceptions: Sequence[SignedException],
    *,
    moment: Moment,
    today: date,
    own: OwnRules | None = None,
) -> list[Finding]:
    """Ask the rules on runs, before or after linking.

    Raises:
        ComplianceBlocked: A rule stops the run.
    """
    found = findings_of(Family.LINKAGE, run, moment=moment, own=own)
    return gate(cover(found, exceptions, party=run.agreement.unit_id, today=today))


def return_subject(
    table: pa.Table,
    agreement: Agreement,
    *,
    where: str,
    people: int,
    as_of: date | None,
    made: date | None,
    today: date,
    requests: Sequence[Request] = (),
    tables: Sequence[CountTable] = (),
) -> OutputSubject:
    """Return a return as the rules on outputs see it.

    Args:
        table: Its rows.
        agreement: The agreement it is made under.
        where: Its file name.
        people: People that it tells of.
        as_of: Last day of its window.
        made: Day it was made, to judge its age; None when it is being made.
        today: Day of the check.
        requests: Erasures and objections.
        tables: Counts that it states beside its rows (`governance.aggregates.tables_of_return`).
    """
    bounds = {
        name: pc.min_max(table.column(name))
        for name in ("first_date", "last_date")
        if name in table.schema.names
    }
    return OutputSubject(
        where=where,
        agreement=agreement,
        today=today,
        columns={name: len(table) - table.column(name).null_count for name in table.schema.names},
        people=people,
        first=bounds["first_date"]["min"].as_py() if "first_date" in bounds else None,
        last=bounds["last_date"]["max"].as_py() if "last_date" in bounds else None,
        as_of=as_of,
        artefacts=() if made is None else (Artefact(kind="return", where=where, made=made),),
        requests=requests,
        tables=tables,
    )


def judge_output(
    output: OutputSubject,
    exceptions: Sequence[SignedException],
    *,
    party: str,
    own: OwnRules | None = None,
) -> list[Finding]:
    """Ask the rules on outputs.

    Raises:
        ComplianceBlocked: A rule stops the output.
    """
    found = findings_of(Family.OUTPUT, output, moment=Moment.OUTPUT, own=own)
    return gate(cover(found, exceptions, party=party, today=output.today))


def secret_facts(*, epoch: int, starts_on: date, expires_on: date) -> Mapping[str, int | str]:
    """Return what a package states of the linkage secret that it was sealed with (rules P06 and L03)."""
    return {"epoch": epoch, "starts_on": starts_on.isoformat(), "expires_on": expires_on.isoformat()}


class RunJudge:
    """Judges a run as it goes: packages at intake, the run before and after linking, each return.

    Args:
        agreement: The agreement of the run.
        today: Day of the run.
        exceptions: Verified exceptions.
        last_run: Agency -> subjects that it sent for the run before, when that is known.
        readable_keys: Places at the unit where a linkage key can be read.
        requests: Erasures and objections of the unit's register.
    """

    def __init__(
        self,
        agreement: Agreement,
        *,
        today: date,
        exceptions: Sequence[SignedException] = (),
        last_run: Mapping[str, int] | None = None,
        readable_keys: Sequence[str] = (),
        requests: Sequence[Request] = (),
    ) -> None:
        self.requests = requests
        self.agreement, self.today, self.exceptions = agreement, today, exceptions
        self._last_run, self._readable_keys = last_run or {}, readable_keys
        self._own = own_rules()  # installed rules are looked for once a run
        self._packages: list[tuple[Manifest, str, PackageWatch]] = []
        self.findings: list[Finding] = []

    def watch(self, manifest: Manifest, where: str) -> PackageWatch:
        """Return what the batches of a package have to pass through while they are loaded."""
        rows = max(manifest.counts.get("versions", 0), manifest.counts.get("contacts", 0))
        watch = PackageWatch(expected_schemas(self.agreement), today=self.today, rows=rows)
        self._packages.append((manifest, where, watch))
        return watch

    def before(self) -> None:
        """Ask the rules on packages and those on the run before anything is linked.

        Raises:
            ComplianceBlocked: A rule stops the run.
        """
        stated = [Stated.of(manifest) for manifest, _, _ in self._packages]
        first = stated[0].facts if stated else {}
        subjects = [
            PackageSubject(
                where=where,
                stated=told,
                agreement=self.agreement,
                today=self.today,
                parts=watch.parts,
                hits=metadata_hits(told, PurePath(where).name, today=self.today),
                signer=manifest.sender,
                key_check=_text(first.get("key_check")),
                normaliser=_text(first.get("normaliser")),
                last_rows=self._last_run.get(manifest.sender),
            )
            for (manifest, where, watch), told in zip(self._packages, stated, strict=True)
        ]
        self.findings += judge_intake(subjects, self.exceptions, today=self.today, own=self._own)
        self.findings += judge_run(
            self._run(stated), self.exceptions, moment=Moment.BEFORE_LINK, today=self.today, own=self._own
        )

    def after(
        self,
        summary: Mapping[str, Any],
        *,
        apart: Sequence[tuple[Member, Member]] = (),
        person: Mapping[Member, int] | None = None,
    ) -> None:
        """Ask the rules on a run that is over, before anything of it is kept.

        Args:
            summary: What `run.json` will say.
            apart: Pairs that must stay apart.
            person: Person of each subject of those pairs.

        Raises:
            ComplianceBlocked: A rule stops the run.
        """
        run = replace(
            self._run([Stated.of(manifest) for manifest, _, _ in self._packages]),
            settings=summary.get("settings"),
            summary=summary,
            do_not_link=apart,
            person=person,
        )
        before = {(found.rule, found.where) for found in self.findings}
        found = judge_run(run, self.exceptions, moment=Moment.AFTER_LINK, today=self.today, own=self._own)
        self.findings += [each for each in found if (each.rule, each.where) not in before]

    def output(self, table: pa.Table, receiver: str, *, people: int, as_of: date) -> None:
        """Ask the rules on outputs about a return before it is written.

        Raises:
            ComplianceBlocked: A rule stops it.
        """
        subject = return_subject(
            table,
            self.agreement,
            where=f"return for {receiver}",
            people=people,
            as_of=as_of,
            made=None,
            today=self.today,
            requests=self.requests,
        )
        self.findings += judge_output(subject, self.exceptions, party=self.agreement.unit_id, own=self._own)

    def _run(self, stated: Sequence[Stated]) -> LinkageSubject:
        return LinkageSubject(
            where="run",
            agreement=self.agreement,
            packages=stated,
            package_ids=[manifest.package_id for manifest, _, _ in self._packages],
            readable_keys=self._readable_keys,
        )


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) else None


def open_keys(folders: Iterable[Path]) -> list[str]:
    """Return the names of key files in `folders` that hold part of a linkage secret without a passphrase (rule L06)."""
    found = []
    for folder in sorted(set(folders)):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            head = _key_head(path)
            if head and head.get("profile") == "unprotected" and head.get("holds") != "identity":
                found.append(path.name)
    return found


def _key_head(path: Path) -> Mapping[str, JSON] | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        head = parse_json(path.read_bytes())
    except (OSError, NotCanonical):
        return None
    return head if isinstance(head, dict) and head.get("format") == FORMAT else None


def subjects_of_run(folder: Path | None) -> dict[str, int]:
    """Return how many subjects each sender sent for the run in `folder` (rule P15); nothing when it is None.

    Raises:
        InputError: It is no run folder.
    """
    if folder is None:
        return {}
    try:
        summary = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        return {agency: int(entry["subjects"]) for agency, entry in summary["senders"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError("this is no run folder.", where=str(folder)) from None
