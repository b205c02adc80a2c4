"""The rules at the moments of the work: before release, at intake, around linking, on what leaves.

Each function takes values that its caller has at hand, asks the rules of its moment, and raises `ComplianceBlocked`
when one of them blocks and no signed exception covers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import PurePath

import pyarrow as pa
import pyarrow.compute as pc

from governance.agreement import Agreement
from governance.detect.watch import PackageWatch
from governance.exceptions import SignedException, cover
from governance.gate import gate
from governance.rules.base import Finding, Moment
from governance.rules.linkage import LinkageSubject
from governance.rules.output import Artefact, OutputSubject
from governance.rules.package_subject import PackageSubject, Stated, expected_schemas, metadata_hits
from governance.rules.registry import Family, findings_of


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
    subjects: Sequence[PackageSubject], exceptions: Sequence[SignedException], *, today: date
) -> list[Finding]:
    """Ask the rules on packages about all packages of a run; the known answers of the first count for its fellows.

    Raises:
        ComplianceBlocked: A rule stops the run.
    """
    found: list[Finding] = []
    for subject in subjects:
        asked = findings_of(Family.PACKAGE, subject, moment=Moment.INTAKE)
        found += cover(asked, exceptions, party=subject.stated.sender, today=today)
    return gate(found)


def judge_run(
    run: LinkageSubject, exceptions: Sequence[SignedException], *, moment: Moment, today: date
) -> list[Finding]:
    """Ask the rules on runs, before or after linking.

    Raises:
        ComplianceBlocked: A rule stops the run.
    """
    found = findings_of(Family.LINKAGE, run, moment=moment)
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
    )


def judge_output(
    output: OutputSubject, exceptions: Sequence[SignedException], *, party: str
) -> list[Finding]:
    """Ask the rules on outputs.

    Raises:
        ComplianceBlocked: A rule stops the output.
    """
    found = findings_of(Family.OUTPUT, output, moment=Moment.OUTPUT)
    return gate(cover(found, exceptions, party=party, today=output.today))


def secret_facts(*, epoch: int, starts_on: date, expires_on: date) -> Mapping[str, int | str]:
    """Return what a package states of the linkage secret that it was sealed with (rules P06 and L03)."""
    return {"epoch": epoch, "starts_on": starts_on.isoformat(), "expires_on": expires_on.isoformat()}
