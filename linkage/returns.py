"""One return an agency: for its own subjects only, which agencies are in contact with the same person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from governance.agreement import Agreement
from linkage.intake import Sender
from linkage.returns_tables import ReturnTables, tables_of_return
from linkage.window import MultiAgency
from linkage.window_rolling import WorstWindows
from schemas.canonical import JSON
from schemas.container import PartContent, write_package
from schemas.errors import LinkageError
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.payload import RETURN_ROWS
from schemas.tables import ARROW_STREAM, arrow_stream

Approve = Callable[[Mapping[str, pa.Table], str, int], None]
"""Asked about a return (its tables by part, the agency, people told of) before it is written; raises to stop it."""


def _unasked(_tables: Mapping[str, pa.Table], _agency: str, _people: int) -> None:
    return None


def write_returns(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    senders: Sequence[Sender],
    *,
    agreement: Agreement,
    window: MultiAgency,
    rolling: WorstWindows | None,
    unit: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    run_id: str,
    created_at: datetime,
    approve: Approve = _unasked,
) -> dict[str, int]:
    """Write `folder/<agency>.tally` for each sender, encrypted to it; return agency -> people it is told about.

    Beside the folder it writes `told.parquet`, and `told_homes.parquet` where homes may be reported: the unit cannot
    read a return, and an erasure has to know which agencies were told of a subject, and must tell no others
    (docs/guides/lifecycle.md).

    Raises:
        LinkageError: An agency's receiving key is not known.
        OutputError: A return cannot be written.
    """
    found: dict[str, ReturnTables] = {}
    for sender in senders:
        recipient = known.get(sender.agency)
        if recipient is None:
            raise LinkageError(f"the agreement holds no receiving key of {sender.agency}.")
        tables = tables_of_return(con, sender.agency, agreement, rolling)
        approve(tables.parts, sender.agency, tables.people)
        found[sender.agency] = tables
        counts = {"people": tables.people, **rows_of(tables.parts)}
        write_package(
            folder / f"{sender.agency}.tally",
            kind="return",
            sender=unit,
            recipient=recipient,
            agreement_digest=agreement.digest,
            run_id=run_id,
            purpose=agreement.purpose,
            created_at=created_at,
            counts=counts,
            facts=_facts(sender, window),
            parts=_streams(tables),
        )
    _write_told(list(found.values()), folder.parent)
    return {agency: tables.people for agency, tables in found.items()}


def _facts(sender: Sender, window: MultiAgency) -> dict[str, JSON]:
    return {
        "window_months": window.months,
        "as_of": window.as_of.isoformat(),
        "seal_id": sender.manifest.facts.get("seal_id"),
    }


def _streams(tables: ReturnTables) -> list[tuple[str, str, PartContent]]:
    return [
        (part, ARROW_STREAM, arrow_stream(table.schema, iter(table.to_batches())))
        for part, table in tables.parts.items()
    ]


def rows_of(parts: Mapping[str, pa.Table]) -> dict[str, int]:
    """Return the counts of rows that the manifest of a return states."""
    return {RETURN_ROWS[part]: table.num_rows for part, table in parts.items()}


def _write_told(returned: Sequence[ReturnTables], folder: Path) -> None:
    pq.write_table(pa.concat_tables([each.told for each in returned]), folder / "told.parquet")
    homes = [each.told_homes for each in returned if each.told_homes is not None]
    if homes:
        pq.write_table(pa.concat_tables(homes), folder / "told_homes.parquet")
