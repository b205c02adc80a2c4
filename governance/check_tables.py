"""Check a table that somebody is about to send: identifiers in its cells, and counts of people that are too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from governance.aggregates import count_columns
from governance.check import LEGAL_BASIS, Kind, Report
from governance.check_context import Context
from governance.detect.columns import ColumnScan
from governance.detect.hashes import NOT_PROBED
from governance.detect.patterns import Hit, find_in_text
from governance.detect.patterns import Kind as Identifier
from governance.rules.base import Finding, Severity
from schemas.errors import InputError

LARGEST_COUNTED = 10_000
"""Rows up to which a table can be one of counts; a longer one is about records."""

_NOT_COUNTED = "Whether counts of people in it are too small (rule O02): name the agreement with --agreement."
_BY_NAME = (
    "Counts of people in columns whose name does not say that they are (people, persons, count, number, …)."
)


def hit_findings(hits: Sequence[Hit], where: str, owner: str) -> list[Finding]:
    """Return what looks like an identifier as findings that block."""
    rules = {Identifier.UNKEYED_HASH: "P04", Identifier.FREE_TEXT: "P11"}
    return [
        Finding(
            rule=rules.get(hit.kind, "P03"),
            severity=Severity.BLOCK,
            sentence=f"Something here looks like {hit.kind.phrase}.",
            where=f"{where}: {hit.place}",
            why="UK GDPR Art 32(1)(a), pseudonymisation",
            evidence=f"{hit.cells:,} cell{'' if hit.cells == 1 else 's'}",
            fix="Do not send the file. Take it out.",
            owner=owner,
        )
        for hit in hits
    ]


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    try:
        if path.suffix == ".parquet":
            with pq.ParquetFile(path) as table:
                yield from table.iter_batches(65_536)
            return
        with path.open(encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline()
        delimiter = max("\t,;|", key=header.count)
        names = [name.strip().strip('"') for name in header.rstrip("\r\n").split(delimiter)]
        options = pa_csv.ConvertOptions(column_types={name: pa.string() for name in names})
        yield from pa_csv.open_csv(
            path, parse_options=pa_csv.ParseOptions(delimiter=delimiter), convert_options=options
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise InputError("this table cannot be read.", where=str(path)) from None


def scan_table(path: Path, today: date, allowed: frozenset[str] = frozenset()) -> list[Hit]:
    """Return what looks like an identifier in a table: its name, its headers, its cells.

    Args:
        path: A CSV or Parquet file.
        today: Day of the check.
        allowed: Columns that are not looked at.

    Raises:
        InputError: It cannot be read.
    """
    scans: dict[str, ColumnScan] = {}
    for batch in _batches(path):
        for number, (name, values) in enumerate(zip(batch.schema.names, batch.columns, strict=True), 1):
            if name not in allowed:
                scans.setdefault(name, ColumnScan(f"column {number}", today=today)).see(values)
    found = find_in_text(path.name, "file name", today=today)
    found += [hit for name in scans for hit in find_in_text(name, "a header", today=today)]
    return found + [hit for scan in scans.values() for hit in scan.hits()]


def _columns(path: Path) -> dict[str, list[str]]:
    """Return the cells of a short table by column; nothing of a long one."""
    columns: dict[str, list[str]] = {}
    for batch in _batches(path):
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            columns.setdefault(name, []).extend(
                "" if cell is None else str(cell) for cell in values.to_pylist()
            )
        if any(len(cells) > LARGEST_COUNTED for cells in columns.values()):
            return {}
    return columns


def check_table(path: Path, context: Context) -> Report:
    """Check a CSV or Parquet table.

    Raises:
        InputError: It cannot be read.
    """
    found = hit_findings(scan_table(path, context.today), str(path), "whoever made the file")
    unchecked = [NOT_PROBED, "Names that are on none of the lists that Tallystick ships."]
    counted = count_columns(_columns(path))
    families = "P"
    if context.agreement is None:
        unchecked.insert(0, _NOT_COUNTED)
    else:
        unchecked.append(_BY_NAME)
        families = "PO" if counted else "P"
        found += context.output_findings(path, tables=counted) if counted else []
    return context.report(path, Kind.TABLE, found, families=families, unchecked=[*unchecked, LEGAL_BASIS])
