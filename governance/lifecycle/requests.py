"""Requests for erasure (agency to unit) and notices of it (unit to agencies): signed, encrypted `.tally` packages.

The unit knows nobody, so an agency asks by its own row numbers in a run, which only its crosswalk turns into people.
The unit in turn tells each other agency, by *that* agency's row numbers, whom it must no longer be told of, and only
where it was told before: a notice tells nothing that a return had not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from governance.agreement import Agreement
from schemas.container import OpenedPackage, open_package, write_package
from schemas.errors import ErasureError, WrongKind
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.payload import ERASED
from schemas.policies import Expectation
from schemas.tables import ARROW_STREAM, arrow_stream, read_batches

REQUEST, NOTICE = "erasure-request", "erasure-notice"
ALL_RUNS = "all"
"""Run id of a notice that an agency left: it holds for every run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request or notice that was verified.

    Attributes:
        kind: `erasure-request` or `erasure-notice`.
        sender: Who asks.
        run: Run that the numbers belong to, or `all`.
        seal_id: The sealing that numbered them.
        rows: (subject, about): number of the subject, and in a notice the agency not to be told of (else empty).
        homes: (subject, about), in a notice: the agency not to be told of as knowing somebody else at its home.
        agencies: Agencies that left, in a notice.
        package_id: Digest of what was signed.
    """

    kind: str
    sender: str
    run: str
    seal_id: str | None
    rows: frozenset[tuple[int, str]]
    homes: frozenset[tuple[int, str]]
    agencies: frozenset[str]
    package_id: str


def write_asked(
    path: Path,
    *,
    kind: str,
    sender: PrivateIdentity,
    recipient: PublicIdentity,
    agreement: Agreement,
    run: str,
    seal_id: str | None,
    rows: Iterable[tuple[int, str]],
    now: datetime,
    agencies: Iterable[str] = (),
    homes: Iterable[tuple[int, str]] = (),
) -> str:
    """Write a request or notice; return the digest of what was signed.

    Raises:
        OutputError: The file cannot be written.
    """
    tables = {"subjects": _erased(rows), "homes": _erased(homes)}
    manifest = write_package(
        path,
        kind=kind,
        sender=sender,
        recipient=recipient,
        agreement_digest=agreement.digest,
        run_id=run,
        purpose=agreement.purpose,
        created_at=now,
        counts={"rows": tables["subjects"].num_rows, "homes": tables["homes"].num_rows},
        facts={"seal_id": seal_id, "agencies": sorted(agencies)},
        parts=[
            (part, ARROW_STREAM, arrow_stream(ERASED, iter(table.to_batches())))
            for part, table in tables.items()
        ],
    )
    return manifest.package_id


def _erased(rows: Iterable[tuple[int, str]]) -> pa.Table:
    listed = sorted(set(rows))
    return pa.table(
        {"subject": [n for n, _ in listed], "about": [about for _, about in listed]}, schema=ERASED
    )


def _rows(package: OpenedPackage, part: str, count: str) -> frozenset[tuple[int, str]]:
    batches = read_batches(package, part, schema=ERASED, max_rows=package.manifest.count(count))
    return frozenset((row["subject"], row["about"]) for batch in batches for row in batch.to_pylist())


def read_asked(
    path: Path, *, reader: PrivateIdentity, known: Mapping[str, PublicIdentity], agreement: Agreement
) -> Asked:
    """Read a request (at the unit) or a notice (at an agency).

    Raises:
        PackageError: It is not genuine, not for this reader, or of another agreement or kind.
        ErasureError: Its sender may not ask that.
    """
    expect = Expectation(agreement_digest=agreement.digest)
    with open_package(path, recipient=reader, known_senders=known, expect=expect) as package:
        manifest = package.manifest
        if manifest.kind not in {REQUEST, NOTICE}:
            raise WrongKind("this package is no request for erasure.", where=str(path))
        rows, homes = _rows(package, "subjects", "rows"), _rows(package, "homes", "homes")
    from_unit = manifest.sender == agreement.unit_id
    if from_unit != (manifest.kind == NOTICE) or (
        manifest.kind == REQUEST and (homes or any(about for _, about in rows))
    ):
        raise ErasureError(
            "agencies request the erasure of their own subjects, and the linkage unit gives notice of it.",
            where=str(path),
        )
    seal_id, agencies = manifest.facts.get("seal_id"), manifest.facts.get("agencies")
    return Asked(
        kind=manifest.kind,
        sender=manifest.sender,
        run=manifest.run_id,
        seal_id=seal_id if isinstance(seal_id, str) else None,
        rows=rows,
        homes=homes,
        agencies=frozenset(str(each) for each in agencies) if isinstance(agencies, list) else frozenset(),
        package_id=manifest.package_id,
    )
