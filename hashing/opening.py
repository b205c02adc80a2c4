"""Open a return: put the agency's own references and names beside what the linkage unit found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from governance.aggregates import tables_of_return
from governance.agreement import Agreement
from governance.check_moments import judge_output, return_subject
from governance.exceptions import SignedException
from governance.lifecycle.request_register import Asking
from governance.return_parts import part_subjects
from governance.rules.base import Finding
from governance.rules.output import OutputSubject
from governance.rules.package_subject import expected_schemas
from hashing.keys import RunKeys
from hashing.results import Leads, own_names, result_table
from schemas.container import OpenedPackage, open_package
from schemas.errors import SchemaMismatch, WrongRun, WrongSender
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import Manifest
from schemas.payload import CROSSWALK, RETURN_PARTS, RETURN_ROWS
from schemas.policies import Expectation
from schemas.tables import read_batches


@dataclass(frozen=True, kw_only=True, slots=True)
class Further:
    """Counts of own people in the parts of a return that only some agreements allow; None where they do not.

    Attributes:
        at_home: Those with somebody else at their home whom other agencies know.
        busiest: Those whom several agencies knew within some window.
        cut: Those of `busiest` whose window began before the contacts that every agency sent.
    """

    at_home: int | None
    busiest: int | None
    cut: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """An opened return.

    Attributes:
        table: One row for each own reference and each thing told of it; columns `hashing.results.columns_of`.
        people: Own people whom at least the agreed number of agencies are in contact with.
        further: How many own people what else the agreement allows tells of.
        months: Length of the window.
        as_of: Last day of the window, ISO.
        run_id: The run.
        findings: What the rules on outputs found that did not stop the opening.
    """

    table: pa.Table
    people: int
    further: Further
    months: int
    as_of: str
    run_id: str
    findings: tuple[Finding, ...] = ()


def _read_table(package: OpenedPackage, part: str, schema: pa.Schema, rows: int) -> pa.Table:
    return pa.Table.from_batches(read_batches(package, part, schema=schema, max_rows=rows), schema=schema)


def open_return(
    path: Path,
    *,
    crosswalk: Path,
    extract_columns: Mapping[str, pa.StringArray],
    agreement: Agreement,
    owner: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    secret: bytes,
    today: date | None = None,
    exceptions: Sequence[SignedException] = (),
    asking: Asking | None = None,
) -> Opened:
    """Open the return in `path` for the agency that `owner` is.

    Args:
        path: The return.
        crosswalk: The file that `seal` left at the agency for the same run.
        extract_columns: The agency's own extract, to show names; only `ref` and the names are used.
        agreement: The agreement of the run.
        owner: The agency's identity.
        known: Public identities of the parties and the linkage unit.
        secret: The linkage secret (lead contacts are sealed between agencies).
        today: Day of the opening: the rules on outputs are asked, and stop it; not asked when None.
        exceptions: Signed exceptions to them.
        asking: Tells the erasures and objections of the agency's register, given the references told of (rule O06).

    Raises:
        ComplianceBlocked: A rule on outputs stops the opening.
        PackageError: The return or the crosswalk is not genuine, or not of this agreement or run.
    """
    manifest, parts = _opened(path, owner, known, agreement)
    refs = _crosswalk(crosswalk, manifest, owner, agreement)
    findings: list[Finding] = []
    if today is not None:
        requests = () if asking is None else asking(_told_of(parts, refs))
        output = replace(
            _subject(parts, manifest, agreement, where=str(path), today=today), requests=requests
        )
        as_of = date.fromisoformat(_window(manifest, str(path))[1])
        further = part_subjects(parts, agreement, where=str(path), as_of=as_of, today=today)
        for subject in (output, *further):
            findings += judge_output(subject, exceptions, party=owner.party)
    leads = Leads(
        key=RunKeys(secret=secret, agreement_digest=agreement.digest, run_id=manifest.run_id).display_key(),
        agreement_digest=agreement.digest,
        run_id=manifest.run_id,
        where=str(path),
    )
    months, last = _window(manifest, str(path))
    return Opened(
        table=result_table(parts, refs=refs, names=own_names(extract_columns), leads=leads),
        people=manifest.count("people"),
        further=_further(parts),
        months=months,
        as_of=last,
        run_id=manifest.run_id,
        findings=tuple(findings),
    )


def _opened(
    path: Path, owner: PrivateIdentity, known: Mapping[str, PublicIdentity], agreement: Agreement
) -> tuple[Manifest, dict[str, pa.Table]]:
    """Return the manifest of a return, and its tables by part."""
    expect = Expectation(kind="return", agreement_digest=agreement.digest)
    with open_package(path, recipient=owner, known_senders=known, expect=expect) as package:
        manifest = package.manifest
        # An erasure at the agency takes rows out of a return; what is left carries the agency's own signature.
        if manifest.sender not in {agreement.unit_id, owner.party}:
            raise WrongSender("this package comes from another party than expected.", where=str(path))
        # A part that the agreement does not have is read too, so that the rules on outputs stop it.
        named = {part.name for part in manifest.parts} | expected_schemas(agreement, "return").keys()
        parts = {
            part: _read_table(package, part, schema, manifest.count(RETURN_ROWS[part]))
            for part, schema in RETURN_PARTS.items()
            if part in named
        }
    return manifest, parts


def _crosswalk(path: Path, returned: Manifest, owner: PrivateIdentity, agreement: Agreement) -> pa.Table:
    """Return the agency's own crosswalk of the sealing that was linked."""
    run_id, seal_id = returned.run_id, returned.facts.get("seal_id")
    own = Expectation(kind="crosswalk", agreement_digest=agreement.digest, run_id=run_id, sender=owner.party)
    with open_package(
        path, recipient=owner, known_senders={owner.party: owner.public}, expect=own
    ) as package:
        if seal_id is None or package.manifest.facts.get("seal_id") != seal_id:
            raise WrongRun(
                "this crosswalk was made by another sealing than the package that was linked.",
                where=str(path),
                remedy="Use the crosswalk that was written together with the package you sent.",
            )
        return _read_table(package, "refs", CROSSWALK, package.manifest.count("refs"))


def _further(parts: Mapping[str, pa.Table]) -> Further:
    """Count the own people that the other parts tell of."""
    homes, rolling = parts.get("households"), parts.get("rolling")
    whole = None if rolling is None else int(pc.sum(rolling.column("whole")).as_py() or 0)
    return Further(
        at_home=None if homes is None else len(pc.unique(homes.column("subject"))),
        busiest=None if rolling is None else rolling.num_rows,
        cut=None if rolling is None or whole is None else rolling.num_rows - whole,
    )


def _window(manifest: Manifest, where: str) -> tuple[int, str]:
    """Return the months of the window and its last day, as the linkage unit states them."""
    months, as_of = manifest.facts.get("window_months"), manifest.facts.get("as_of")
    try:
        if type(months) is not int or not isinstance(as_of, str):
            raise ValueError
        return months, date.fromisoformat(as_of).isoformat()
    except ValueError:
        raise SchemaMismatch("does not say which window it is about.", where=where) from None


def _subject(
    parts: Mapping[str, pa.Table], manifest: Manifest, agreement: Agreement, *, where: str, today: date
) -> OutputSubject:
    return return_subject(
        parts["contacts"],
        agreement,
        where=where,
        people=manifest.count("people"),
        as_of=date.fromisoformat(_window(manifest, where)[1]),
        made=manifest.created_at.date(),
        today=today,
        tables=tables_of_return(manifest.counts, manifest.facts),
    )


def _told_of(parts: Mapping[str, pa.Table], refs: pa.Table) -> list[str]:
    """Return the agency's own references that a return tells of, in whichever part."""
    chunks = [chunk for table in parts.values() for chunk in table.column("subject").chunks]
    subjects = pa.chunked_array(chunks, type=pa.int32()).combine_chunks()
    told = pc.is_in(refs.column("subject"), value_set=subjects)
    found: list[str] = refs.filter(told).column("ref").to_pylist()
    return found
