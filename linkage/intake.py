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
import pyarrow as pa

from governance.agreement import Agreement
from schemas.container import OpenedPackage, open_package
from schemas.errors import LinkageError, SchemaMismatch, SignerNotParty, WrongLinkageSecret, WrongNormaliser
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import Manifest
from schemas.payload import CONTACTS, LEADS, VERSIONS, pass_part, pass_schema
from schemas.policies import Expectation, ReplayGuard
from schemas.scheme import SCHEME
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
) -> int:
    """Insert the batches of a part by the statement `insert`, which reads from `incoming`."""
    rows = 0
    for batch in read_batches(package, part, schema=schema, max_rows=max_rows):
        con.register("incoming", pa.Table.from_batches([batch]))
        con.execute(insert)
        con.unregister("incoming")
        rows += batch.num_rows
    return rows


def _check_fellows(manifest: Manifest, first: Manifest | None, where: str) -> None:
    if manifest.facts.get("scheme") != SCHEME:
        raise SchemaMismatch("was sealed by another scheme than this release links.", where=where)
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


def _check_ranges(con: duckdb.DuckDBPyConnection, sender: Sender, agreement: Agreement, where: str) -> None:
    """Refuse row numbers outside what the manifest declares: they would point into another agency's records."""
    first_s, last_s = sender.first_subject, sender.first_subject + sender.subjects - 1
    first_v, last_v = sender.first_version, sender.first_version + sender.versions - 1
    checks = [
        ("versions", "subject", first_s, last_s, f"version BETWEEN {first_v} AND {last_v}"),
        ("contacts", "subject", first_s, last_s, f"subject >= {first_s}"),
        *(
            (token_table(index), "version", first_v, last_v, f"version >= {first_v}")
            for index in range(len(agreement.passes))
        ),
    ]
    for table, column, low, high, mine in checks:
        bad = con.execute(
            f"SELECT count(*) FROM {table} WHERE {mine} AND ({column} < {low} OR {column} > {high})"
        ).fetchall()[0][0]
        if bad:
            raise SchemaMismatch(
                f"part {table} refers to {bad} record(s) that the package does not have.", where=where
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
        subjects=manifest.counts["subjects"],
        first_version=first_version,
        versions=manifest.counts["versions"],
        manifest=manifest,
    )
    con.execute(
        "INSERT INTO subjects SELECT i + ?, ?, i FROM range(?) t(i)",
        [first_subject, sender.agency, sender.subjects],
    )
    versions = _load(
        con,
        package,
        "versions",
        VERSIONS,
        f"INSERT INTO versions SELECT {first_version} + row_number() OVER () - 1 + "
        f"(SELECT count(*) FROM versions WHERE version >= {first_version}), "
        f"subject + {first_subject} FROM incoming",
        max_rows=sender.versions,
    )
    _check_count(versions, sender.versions, where)
    for index, blocking in enumerate(agreement.passes):
        insert = (
            f"INSERT INTO {token_table(index)} "
            f"SELECT * REPLACE (version + {first_version} AS version) FROM incoming"
        )
        _load(con, package, pass_part(index), pass_schema(blocking), insert, max_rows=sender.versions)
    contacts = f"INSERT INTO contacts SELECT subject + {first_subject}, day, is_open, lead FROM incoming"
    _load(con, package, "contacts", CONTACTS, contacts, max_rows=manifest.counts["contacts"])
    leads = (
        f"INSERT INTO leads SELECT '{sender.agency}', row_number() OVER () - 1 + "
        f"(SELECT count(*) FROM leads WHERE agency = '{sender.agency}'), sealed FROM incoming"
    )
    _load(con, package, "leads", LEADS, leads, max_rows=manifest.counts["contacts"])
    _check_ranges(con, sender, agreement, where)
    return sender


def _check_count(found: int, declared: int, where: str) -> None:
    if found != declared:
        raise SchemaMismatch(f"holds {found} versions where its manifest declares {declared}.", where=where)


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
        guard: Register of packages taken in before.
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
            guard.admit(package.manifest, where=str(path))
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
    return senders


def counted(senders: Sequence[Sender]) -> list[dict[str, Any]]:
    """Return the aggregates that each agency shipped (`hashing.counts.counts_of`)."""
    return [dict(sender.manifest.facts["counted"]) for sender in senders]  # type: ignore[arg-type]


def latest_contact(con: duckdb.DuckDBPyConnection) -> date | None:
    """Return the date of the latest contact that any agency sent."""
    found: date | None = con.execute("SELECT max(day) FROM contacts").fetchall()[0][0]
    return found
