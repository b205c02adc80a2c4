"""Open a return: put the agency's own references and names beside what the linkage unit found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.aggregates import tables_of_return
from governance.agreement import Agreement
from governance.check_moments import judge_output, return_subject
from governance.exceptions import SignedException
from governance.lifecycle.request_register import Asking
from governance.rules.base import Finding
from governance.rules.output import OutputSubject
from hashing.keys import RunKeys
from hashing.package import lead_context
from schemas.container import OpenedPackage, open_package
from schemas.errors import Corrupted, SchemaMismatch, WrongRun, WrongSender
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.manifest import Manifest
from schemas.payload import CROSSWALK, RETURN
from schemas.policies import Expectation
from schemas.tables import read_batches

SHOWN = ("forename", "surname", "dob")
"""Own identifiers shown beside a result."""

RESULT_COLUMNS = (
    "ref",
    *SHOWN,
    "person",
    "agencies",
    "agency",
    "contact_count",
    "first_date",
    "last_date",
    "open_case",
    "lead_contact",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """An opened return.

    Attributes:
        table: One row for each own reference and each other agency in contact with the person;
            columns `RESULT_COLUMNS`.
        people: Own people whom at least the agreed number of agencies are in contact with.
        months: Length of the window.
        as_of: Last day of the window, ISO.
        run_id: The run.
        findings: What the rules on outputs found that did not stop the opening.
    """

    table: pa.Table
    people: int
    months: int
    as_of: str
    run_id: str
    findings: tuple[Finding, ...] = ()


def _read_table(package: OpenedPackage, part: str, schema: pa.Schema, rows: int) -> pa.Table:
    return pa.Table.from_batches(read_batches(package, part, schema=schema, max_rows=rows), schema=schema)


def _leads(
    table: pa.Table, keys: RunKeys, agreement_digest: str, run_id: str, where: str
) -> list[str | None]:
    cipher = AESGCM(keys.display_key())
    opened: dict[tuple[str, bytes], str] = {}
    result: list[str | None] = []
    for agency, sealed in zip(
        table.column("lead_agency").to_pylist(), table.column("lead_sealed").to_pylist(), strict=True
    ):
        if sealed is None:
            result.append(None)
            continue
        if (agency, sealed) not in opened:
            try:
                context = lead_context(agreement_digest, run_id, agency or "")
                plain = cipher.decrypt(sealed[:12], sealed[12:], context)
                opened[(agency, sealed)] = plain[4 : 4 + int.from_bytes(plain[:4], "big")].decode()
            except (InvalidTag, ValueError):  # too short, or no text: only a dishonest sender makes such
                raise Corrupted(
                    "a lead contact cannot be decrypted with this linkage secret.",
                    where=where,
                    remedy="Use the secret that this run was sealed with.",
                ) from None
        result.append(opened[(agency, sealed)])
    return result


def _own_names(extract_columns: Mapping[str, pa.StringArray]) -> dict[str, dict[str, str | None]]:
    """Return, for each local reference, the identifiers shown; the last row of a reference counts."""
    refs = extract_columns["ref"].to_pylist()
    shown = {name: extract_columns[name].to_pylist() for name in SHOWN if name in extract_columns}
    return {
        ref.strip(): {name: values[row] for name, values in shown.items()}
        for row, ref in enumerate(refs)
        if ref is not None
    }


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
    expect = Expectation(kind="return", agreement_digest=agreement.digest)
    with open_package(path, recipient=owner, known_senders=known, expect=expect) as package:
        manifest = package.manifest
        # An erasure at the agency takes rows out of a return; what is left carries the agency's own signature.
        if manifest.sender not in {agreement.unit_id, owner.party}:
            raise WrongSender("this package comes from another party than expected.", where=str(path))
        table = _read_table(package, "contacts", RETURN, manifest.count("rows"))
    run_id, seal_id = manifest.run_id, manifest.facts.get("seal_id")
    own = Expectation(kind="crosswalk", agreement_digest=agreement.digest, run_id=run_id, sender=owner.party)
    with open_package(
        crosswalk, recipient=owner, known_senders={owner.party: owner.public}, expect=own
    ) as package:
        if seal_id is None or package.manifest.facts.get("seal_id") != seal_id:
            raise WrongRun(
                "this crosswalk was made by another sealing than the package that was linked.",
                where=str(crosswalk),
                remedy="Use the crosswalk that was written together with the package you sent.",
            )
        refs = _read_table(package, "refs", CROSSWALK, package.manifest.count("refs"))
    findings: list[Finding] = []
    if today is not None:
        output = _subject(table, manifest, agreement, where=str(path), today=today)
        if asking is not None:
            output = replace(output, requests=asking(_told_of(table, refs)))
        findings = judge_output(output, exceptions, party=owner.party)
    keys = RunKeys(secret=secret, agreement_digest=agreement.digest, run_id=run_id)
    leads = _leads(table, keys, agreement.digest, run_id, str(path))
    rows = _result_rows(table, leads, refs, _own_names(extract_columns))
    months, as_of = _window(manifest, str(path))
    return Opened(
        table=pa.Table.from_pylist(rows, schema=_result_schema()),
        people=manifest.count("people"),
        months=months,
        as_of=as_of,
        run_id=run_id,
        findings=tuple(findings),
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
    table: pa.Table, manifest: Manifest, agreement: Agreement, *, where: str, today: date
) -> OutputSubject:
    return return_subject(
        table,
        agreement,
        where=where,
        people=manifest.count("people"),
        as_of=date.fromisoformat(_window(manifest, where)[1]),
        made=manifest.created_at.date(),
        today=today,
        tables=tables_of_return(manifest.counts, manifest.facts),
    )


def _told_of(table: pa.Table, refs: pa.Table) -> list[str]:
    """Return the agency's own references that a return tells of."""
    told = pc.is_in(refs.column("subject"), value_set=table.column("subject").combine_chunks())
    found: list[str] = refs.filter(told).column("ref").to_pylist()
    return found


def _result_schema() -> pa.Schema:
    types = {
        "person": pa.int32(),
        "agencies": pa.int32(),
        "contact_count": pa.int32(),
        "first_date": pa.date32(),
        "last_date": pa.date32(),
        "open_case": pa.bool_(),
    }
    return pa.schema([(name, types.get(name, pa.string())) for name in RESULT_COLUMNS])


def _result_rows(
    table: pa.Table, leads: list[str | None], refs: pa.Table, names: Mapping[str, Mapping[str, str | None]]
) -> list[dict[str, object]]:
    refs_of: dict[int, list[str]] = {}
    for ref, subject in zip(refs.column("ref").to_pylist(), refs.column("subject").to_pylist(), strict=True):
        refs_of.setdefault(subject, []).append(ref)
    found = table.to_pylist()
    agencies: dict[int, set[str]] = {}
    for row in found:
        agencies.setdefault(row["subject"], set()).add(row["agency"])
    result = []
    for row, lead in zip(found, leads, strict=True):
        if row["own"]:
            continue
        for ref in refs_of.get(row["subject"], []):
            result.append(
                {
                    "ref": ref,
                    **{name: names.get(ref, {}).get(name) for name in SHOWN},
                    "person": row["person"],
                    "agencies": len(agencies[row["subject"]]),
                    **{
                        name: row[name]
                        for name in ("agency", "contact_count", "first_date", "last_date", "open_case")
                    },
                    "lead_contact": lead,
                }
            )
    result.sort(key=lambda r: (-int(str(r["agencies"])), str(r["ref"]), str(r["agency"])))
    return result
