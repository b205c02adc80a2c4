"""Take packages in: each is verified, compared with its fellows, and loaded into the database of the run.

Nothing here can read a linkage secret. That all packages were sealed with the same one shows by their key-check
values, which tell nothing about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.agreement import Agreement
from schemas.container import OpenedPackage, open_package
from schemas.errors import LinkageError, SchemaMismatch, SignerNotParty, WrongLinkageSecret, WrongNormaliser
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import Manifest
from schemas.payload import CONTACTS, LEADS, VERSIONS, pass_part, pass_schema
from schemas.policies import Expectation, ReplayGuard
from schemas.scheme import COMPARISONS, FAMILY_LEVELS, SCHEME
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


def token_table(index: int) -> str:
    """Return the name of the table with the tokens of pass number `index`."""
    return f"tokens_{index:02d}"


def _create_tables(con: duckdb.DuckDBPyConnection, agreement: Agreement) -> None:
    for index, blocking in enumerate(agreement.passes):
        _create(con, token_table(index), pass_schema(blocking))
    con.execute("CREATE TABLE versions (version INTEGER, subject INTEGER)")
    con.execute("CREATE TABLE subjects (subject INTEGER, agency VARCHAR, number INTEGER)")
    con.execute("CREATE TABLE contacts (subject INTEGER, day DATE, is_open BOOLEAN, lead INTEGER)")
    con.execute("CREATE TABLE leads (agency VARCHAR, lead INTEGER, sealed BLOB)")


def _create(con: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> None:
    empty = schema.empty_table()
    con.register("incoming", empty)
    con.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming LIMIT 0")
    con.unregister("incoming")


def _load(
    con: duckdb.DuckDBPyConnection,
    package: OpenedPackage,
    part: str,
    schema: pa.Schema,
    insert: str,
    *,
    max_rows: int,
    bounds: Mapping[str, int] | None = None,
) -> int:
    """Insert the batches of a part by the statement `insert`, which reads from `incoming` (and its row number `row`).

    Args:
        con: The database of the run.
        package: The package.
        part: Its part.
        schema: The columns of the part.
        insert: The statement.
        max_rows: Rows declared.
        bounds: Column -> first number that is out of range; numbers count from 0.

    Returns:
        Rows inserted.
    """
    rows = 0
    for batch in read_batches(package, part, schema=schema, max_rows=max_rows):
        _check_bounds(batch, bounds or {}, f"{package.where}: part {part}")
        row = pa.array(np.arange(rows, rows + batch.num_rows, dtype=np.int32))
        con.register("incoming", pa.Table.from_batches([batch]).append_column("row", row))
        con.execute(insert)
        con.unregister("incoming")
        rows += batch.num_rows
    return rows


def _check_bounds(batch: pa.RecordBatch, bounds: Mapping[str, int], where: str) -> None:
    """Refuse numbers of records that the package does not have: added up, they would mean another agency's."""
    for name, end in bounds.items():
        column = batch.column(name)
        out = pc.sum(pc.or_(pc.less(column, 0), pc.greater_equal(column, end))).as_py() or 0
        if not batch.schema.field(name).nullable:
            out += column.null_count
        if out:
            raise SchemaMismatch(f"refers to {out} record(s) that the package does not have.", where=where)


def _check_counted(manifest: Manifest, where: str) -> None:
    """Refuse aggregates that are not of the shape of `hashing.counts.counts_of`: training relies on them."""
    counted: Any = manifest.facts.get("counted")
    try:
        levels = [counted["levels"][comparison.name] for comparison in COMPARISONS]
        needed = [counted["pairs"], *(counted["family"][level.name] for level in FAMILY_LEVELS)]
        needed += [entry["comparable"] for entry in levels]
        numbers = [*needed, *counted["passes"].values(), *(n for entry in levels for n in entry.values())]
    except (TypeError, KeyError, AttributeError):
        numbers = [None]
    if any(type(number) not in {int, float} or number < 0 for number in numbers):
        raise SchemaMismatch(
            "does not carry the agency's level counts as this release reads them.", where=where
        )


def _check_fellows(manifest: Manifest, first: Manifest | None, where: str) -> None:
    if manifest.facts.get("scheme") != SCHEME:
        raise SchemaMismatch("was sealed by another scheme than this release links.", where=where)
    _check_counted(manifest, where)
    if first is None:
        return
    if manifest.facts.get("normaliser") != first.facts.get("normaliser"):
        raise WrongNormaliser(
            f"was sealed by another version of the normaliser than the package of {first.sender}.",
            where=where,
            remedy="Let both agencies install the same release and seal again.",
        )
    if manifest.facts.get("key_check") != first.facts.get("key_check"):
        raise WrongLinkageSecret(
            f"was sealed with another linkage secret than the package of {first.sender}.",
            where=where,
            remedy="Let both agencies compare the check value of their secret (tallystick keys show).",
        )


def _check_once(con: duckdb.DuckDBPyConnection, index: int, sender: Sender, where: str) -> None:
    """Refuse a version that stands twice in a pass: its pairs would count twice."""
    first, last = sender.first_version, sender.first_version + sender.versions - 1
    twice = con.execute(
        f"SELECT count(*) - count(DISTINCT version) FROM {token_table(index)} WHERE version BETWEEN {first} AND {last}"
    ).fetchall()[0][0]
    if twice:
        raise SchemaMismatch(
            f"{twice} version(s) stand twice in one pass.", where=f"{where}: part {pass_part(index)}"
        )


def _take_in(
    con: duckdb.DuckDBPyConnection,
    package: OpenedPackage,
    agreement: Agreement,
    first_subject: int,
    first_version: int,
    where: str,
) -> Sender:
    manifest = package.manifest
    sender = Sender(
        agency=manifest.sender,
        first_subject=first_subject,
        subjects=manifest.count("subjects"),
        first_version=first_version,
        versions=manifest.count("versions"),
        manifest=manifest,
    )
    versions = _load(
        con,
        package,
        "versions",
        VERSIONS,
        f"INSERT INTO versions SELECT row + {first_version}, subject + {first_subject} FROM incoming",
        max_rows=sender.versions,
        bounds={"subject": sender.subjects},
    )
    _check_count(versions, sender, where)
    con.execute(
        "INSERT INTO subjects SELECT i + ?, ?, i FROM range(?) t(i)",
        [first_subject, sender.agency, sender.subjects],
    )
    for index, blocking in enumerate(agreement.passes):
        _load(
            con,
            package,
            pass_part(index),
            pass_schema(blocking),
            f"INSERT INTO {token_table(index)} "
            f"SELECT * EXCLUDE (row) REPLACE (version + {first_version} AS version) FROM incoming",
            max_rows=sender.versions,
            bounds={"version": sender.versions},
        )
        _check_once(con, index, sender, where)
    leads = _load(
        con,
        package,
        "leads",
        LEADS,
        f"INSERT INTO leads SELECT '{sender.agency}', row, sealed FROM incoming",
        max_rows=manifest.count("contacts"),
    )
    _load(
        con,
        package,
        "contacts",
        CONTACTS,
        f"INSERT INTO contacts SELECT subject + {first_subject}, day, is_open, lead FROM incoming",
        max_rows=manifest.count("contacts"),
        bounds={"subject": sender.subjects, "lead": leads},
    )
    return sender


def _check_count(found: int, sender: Sender, where: str) -> None:
    if found != sender.versions:
        raise SchemaMismatch(
            f"holds {found} versions where its manifest declares {sender.versions}.", where=where
        )
    if sender.subjects > sender.versions:  # every subject has a version
        raise SchemaMismatch(
            f"declares {sender.subjects} subjects and only {sender.versions} versions.", where=where
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
    progress: Callable[[int, int], None] | None = None,
) -> list[Sender]:
    """Verify and load the packages in `paths`; all of them or none count.

    Args:
        con: The database of the run, empty.
        paths: Package files.
        agreement: The agreement the run is under.
        unit: The linkage unit's identity.
        known: Public identities of the parties.
        run_id: The run; that of the first package when None.
        guard: Register of packages taken in before; it is only looked at.
        progress: Called with (packages done, packages in all).

    Raises:
        PackageError: A package is not genuine, or does not fit its fellows or the agreement.
        LinkageError: There is no package.
    """
    if not paths:
        raise LinkageError("there is no package to link.", remedy="Name the .tally files of the agencies.")
    guard = guard or ReplayGuard()
    _create_tables(con, agreement)
    senders: list[Sender] = []
    for done, path in enumerate(paths):
        expect = Expectation(
            kind="sealed",
            agreement_digest=agreement.digest,
            run_id=run_id or (senders[0].manifest.run_id if senders else None),
            purpose=agreement.purpose,
        )
        with open_package(path, recipient=unit, known_senders=known, expect=expect) as package:
            if agreement.party(package.manifest.sender) is None:
                raise SignerNotParty("the sender is no party to this agreement.", where=str(path))
            _check_fellows(package.manifest, senders[0].manifest if senders else None, str(path))
            previous = senders[-1] if senders else None
            senders.append(
                _take_in(
                    con,
                    package,
                    agreement,
                    previous.first_subject + previous.subjects if previous else 0,
                    previous.first_version + previous.versions if previous else 0,
                    str(path),
                )
            )
        if progress is not None:
            progress(done + 1, len(paths))
    guard.check_all(zip((sender.manifest for sender in senders), map(str, paths), strict=True))
    return senders


def counted(senders: Sequence[Sender]) -> list[dict[str, Any]]:
    """Return the aggregates that each agency shipped (`hashing.counts.counts_of`)."""
    return [dict(sender.manifest.facts["counted"]) for sender in senders]  # type: ignore[arg-type]


def latest_contact(con: duckdb.DuckDBPyConnection) -> date | None:
    """Return the date of the latest contact that any agency sent."""
    found: date | None = con.execute("SELECT max(day) FROM contacts").fetchall()[0][0]
    return found
