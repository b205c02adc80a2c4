"""Take packages in: each is verified, compared with its fellows, and loaded into the database of the run.

Nothing here can read a linkage secret. That all packages were sealed with the same one shows by their key-check
values, which tell nothing about it. No token reaches the database as its agency made it (`linkage.rekey`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance.agreement import Agreement
from linkage.intake_checks import check_bounds, check_count, check_fellows, check_once, require_contact
from linkage.rekey import Rekeying
from schemas.container import OpenedPackage, open_package
from schemas.errors import LinkageError, SchemaMismatch, SignerNotParty
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import Manifest
from schemas.payload import APART, CONTACTS, HOMES, LEADS, VERSIONS, pass_part, pass_schema
from schemas.policies import Expectation, ReplayGuard
from schemas.scheme import Pass
from schemas.tables import read_batches


@dataclass(frozen=True, kw_only=True, slots=True)
class Sender:
    """One agency's package, taken in.

    Attributes:
        agency: Its party id.
        first_subject: Number of its first subject in the run; its subjects follow each other.
        subjects: Number of its subjects.
        first_version: Number of its first version in the run.
        versions: Number of its versions.
        manifest: What it signed.
    """

    agency: str
    first_subject: int
    subjects: int
    first_version: int
    versions: int
    manifest: Manifest


class Watch(Protocol):
    """Looks at the parts of one package as they are loaded, tokens still as the agency made them."""

    def batches(self, name: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass the batches of part `name` on. Parts of one package may be read by several threads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Arrival:
    package: OpenedPackage
    sender: Sender
    where: str
    watch: Watch | None


_VERSIONS = pa.schema([("version", pa.int32()), ("subject", pa.int32())])
_LEADS = pa.schema([("agency", pa.string()), ("lead", pa.int32()), ("sealed", pa.binary())])


HOMES_TABLE = "homes"
"""Sealed homes of versions (version, block), where the agreement lets households be reported."""

_HOMES_INDEX = 65_535
"""Homes are re-keyed as if they were a pass; no pass has this number."""


def token_table(index: int) -> str:
    """Return the name of the table with the tokens of pass number `index`."""
    return f"tokens_{index:02d}"


def _create(
    con: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
) -> None:
    """Create a table of all `batches`, one in memory at a time; an error of theirs comes out as it is."""
    failures: list[BaseException] = []

    def watched() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except BaseException as error:
            failures.append(error)  # DuckDB would make a text of it
            raise

    con.register("incoming", pa.RecordBatchReader.from_batches(schema, watched()))
    try:
        con.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")
    except duckdb.Error:
        if failures:
            raise failures[0] from None
        raise
    finally:
        con.unregister("incoming")


def _read(
    arrival: _Arrival, part: str, schema: pa.Schema, *, max_rows: int, **bounds: int
) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a part; `bounds` gives for a column the first number that is out of range."""
    where = f"{arrival.where}: part {part}"
    batches = read_batches(arrival.package, part, schema=schema, max_rows=max_rows)
    for batch in batches if arrival.watch is None else arrival.watch.batches(part, batches):
        check_bounds(batch, bounds, where)
        yield batch


def _versions(arrivals: Sequence[_Arrival]) -> Iterator[pa.RecordBatch]:
    for arrival in arrivals:
        sender, rows = arrival.sender, 0
        for batch in _read(arrival, "versions", VERSIONS, max_rows=sender.versions, subject=sender.subjects):
            number = np.arange(batch.num_rows, dtype=np.int64) + (sender.first_version + rows)
            subject = batch.column("subject").to_numpy() + np.int64(sender.first_subject)
            yield _numbered(_VERSIONS, version=number, subject=subject)
            rows += batch.num_rows
        check_count(rows, versions=sender.versions, subjects=sender.subjects, where=arrival.where)


def _tokens(
    arrivals: Sequence[_Arrival], index: int, blocking: Pass, rekeying: Rekeying
) -> Iterator[pa.RecordBatch]:
    for arrival in arrivals:
        sender, part = arrival.sender, pass_part(index)
        seen = np.zeros(sender.versions, dtype=np.bool_)
        for batch in _read(
            arrival, part, pass_schema(blocking), max_rows=sender.versions, version=sender.versions
        ):
            check_once(batch, seen, f"{arrival.where}: part {part}")
            yield rekeying.tokens(batch, index=index, first_version=sender.first_version)


def _homes(arrivals: Sequence[_Arrival], rekeying: Rekeying) -> Iterator[pa.RecordBatch]:
    for arrival in arrivals:
        sender = arrival.sender
        seen = np.zeros(sender.versions, dtype=np.bool_)
        for batch in _read(arrival, "homes", HOMES, max_rows=sender.versions, version=sender.versions):
            check_once(batch, seen, f"{arrival.where}: part homes")
            yield rekeying.tokens(batch, index=_HOMES_INDEX, first_version=sender.first_version)


def _apart(arrivals: Sequence[_Arrival]) -> Iterator[pa.RecordBatch]:
    for arrival in arrivals:
        sender = arrival.sender
        rows, bounds = sender.manifest.count("apart"), dict.fromkeys(APART.names, sender.subjects)
        first = pa.scalar(sender.first_subject, pa.int32())
        for batch in _read(arrival, "apart", APART, max_rows=rows, **bounds):
            shifted = [pc.add(column, first) for column in batch.columns]
            low, high = pc.min_element_wise(*shifted), pc.max_element_wise(*shifted)
            if pc.any(pc.equal(low, high)).as_py():
                raise SchemaMismatch(
                    "wants a record kept apart from itself.", where=f"{arrival.where}: part apart"
                )
            yield pa.RecordBatch.from_arrays([low, high], schema=APART)


def _leads(arrivals: Sequence[_Arrival], counts: dict[str, int]) -> Iterator[pa.RecordBatch]:
    """Yield the sealed leads of all packages, and note in `counts` how many each agency sent."""
    for arrival in arrivals:
        agency, rows = arrival.sender.agency, 0
        for batch in _read(arrival, "leads", LEADS, max_rows=arrival.sender.manifest.count("contacts")):
            number = np.arange(rows, rows + batch.num_rows, dtype=np.int32)
            named = pa.array([agency]).take(pa.array(np.zeros(batch.num_rows, dtype=np.int32)))
            yield pa.RecordBatch.from_arrays([named, pa.array(number), batch.column("sealed")], schema=_LEADS)
            rows += batch.num_rows
        counts[agency] = rows


def _contacts(arrivals: Sequence[_Arrival], leads: Mapping[str, int]) -> Iterator[pa.RecordBatch]:
    for arrival in arrivals:
        sender = arrival.sender
        for batch in _read(
            arrival,
            "contacts",
            CONTACTS,
            max_rows=sender.manifest.count("contacts"),
            subject=sender.subjects,
            lead=leads[sender.agency],
        ):
            subject = pa.array(batch.column("subject").to_numpy() + np.int32(sender.first_subject))
            yield pa.RecordBatch.from_arrays([subject, *batch.columns[1:]], schema=CONTACTS)


def _numbered(schema: pa.Schema, **columns: NDArray[np.int64]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(columns[field.name].astype(np.int32)) for field in schema], schema=schema
    )


def _load_passes(
    con: duckdb.DuckDBPyConnection, arrivals: Sequence[_Arrival], agreement: Agreement, rekeying: Rekeying
) -> None:
    """Load as many passes at a time as the database has threads: DuckDB stores one stream with one thread only."""
    threads = con.execute("SELECT current_setting('threads')").fetchall()[0][0]

    def load_one(index: int) -> None:
        blocking = agreement.passes[index]
        with con.cursor() as cursor:
            _create(
                cursor,
                token_table(index),
                pass_schema(blocking),
                _tokens(arrivals, index, blocking, rekeying),
            )

    with ThreadPoolExecutor(max_workers=threads) as pool:
        work = [pool.submit(load_one, index) for index in range(len(agreement.passes))]
        try:
            for each in work:
                each.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _load(
    con: duckdb.DuckDBPyConnection, arrivals: Sequence[_Arrival], agreement: Agreement, rekeying: Rekeying
) -> None:
    """Fill the tables of the run, one statement a table, however many packages there are."""
    _create(con, "versions", _VERSIONS, _versions(arrivals))
    con.execute("CREATE TABLE subjects (subject INTEGER, agency VARCHAR, number INTEGER)")
    for sender in (arrival.sender for arrival in arrivals):
        con.execute(
            "INSERT INTO subjects SELECT i + ?, ?, i FROM range(?) t(i)",
            [sender.first_subject, sender.agency, sender.subjects],
        )
    _load_passes(con, arrivals, agreement, rekeying)
    if agreement.households:
        _create(con, HOMES_TABLE, HOMES, _homes(arrivals, rekeying))
    _create(con, "apart", APART, _apart(arrivals))
    leads: dict[str, int] = {}
    _create(con, "leads", _LEADS, _leads(arrivals, leads))
    _create(con, "contacts", CONTACTS, _contacts(arrivals, leads))


def _arrive(
    package: OpenedPackage,
    before: Sequence[_Arrival],
    agreement: Agreement,
    watch: Callable[[Manifest, str], Watch] | None,
    where: str,
) -> _Arrival:
    """Compare a package with the agreement and its fellows, and number its records."""
    manifest = package.manifest
    if agreement.party(manifest.sender) is None:
        raise SignerNotParty("the sender is no party to this agreement.", where=where)
    check_fellows(manifest, before[0].sender.manifest if before else None, where)
    last = before[-1].sender if before else None
    sender = Sender(
        agency=manifest.sender,
        first_subject=last.first_subject + last.subjects if last else 0,
        subjects=manifest.count("subjects"),
        first_version=last.first_version + last.versions if last else 0,
        versions=manifest.count("versions"),
        manifest=manifest,
    )
    return _Arrival(
        package=package, sender=sender, where=where, watch=watch(manifest, where) if watch else None
    )


def take_in(
    con: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    *,
    agreement: Agreement,
    unit: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    run_id: str | None = None,
    guard: ReplayGuard | None = None,
    watch: Callable[[Manifest, str], Watch] | None = None,
    progress: Callable[[int, int], None] | None = None,
    random_bytes: Callable[[int], bytes] = os.urandom,
) -> list[Sender]:
    """Verify and load the packages in `paths`, with every block id and token re-keyed; all of them or none count.

    Args:
        con: The database of the run, empty.
        paths: Package files.
        agreement: The agreement the run is under.
        unit: The linkage unit's identity.
        known: Public identities of the parties.
        run_id: The run; that of the first package when None.
        guard: Register of packages taken in before; it is only looked at.
        watch: Given a package's manifest and place, returns what its parts are shown to as they are loaded.
        progress: Called with (packages verified, packages in all).
        random_bytes: Source of the key that tokens are re-keyed under, which is gone when this function returns.

    Raises:
        PackageError: A package is not genuine, or does not fit its fellows or the agreement.
        LinkageError: There is no package.
    """
    if not paths:
        raise LinkageError("there is no package to link.", remedy="Name the .tally files of the agencies.")
    arrivals: list[_Arrival] = []
    with ExitStack() as opened, Rekeying(random_bytes) as rekeying:
        for path in paths:
            expect = Expectation(
                kind="sealed",
                agreement_digest=agreement.digest,
                run_id=run_id or (arrivals[0].sender.manifest.run_id if arrivals else None),
                purpose=agreement.purpose,
            )
            package = opened.enter_context(
                open_package(path, recipient=unit, known_senders=known, expect=expect)
            )
            arrivals.append(_arrive(package, arrivals, agreement, watch, str(path)))
            if progress is not None:
                progress(len(arrivals), len(paths))
        (guard or ReplayGuard()).check_all((each.sender.manifest, each.where) for each in arrivals)
        _load(con, arrivals, agreement, rekeying)
    if not agreement.everyone:
        require_contact(con, {each.sender.agency: each.where for each in arrivals})
    return [arrival.sender for arrival in arrivals]


def counted(senders: Sequence[Sender]) -> list[dict[str, Any]]:
    """Return the aggregates that each agency shipped (`hashing.counts.counts_of`)."""
    return [dict(sender.manifest.facts["counted"]) for sender in senders]  # type: ignore[arg-type]


def latest_contact(con: duckdb.DuckDBPyConnection) -> date | None:
    """Return the date of the latest contact that any agency sent."""
    found: date | None = con.execute("SELECT max(day) FROM contacts").fetchall()[0][0]
    return found
