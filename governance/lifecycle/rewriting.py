"""Take rows out of files: the new file stands in the old one's place whole, or the old one stays."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.atomic import atomic_file
from schemas.errors import ErasureError
from schemas.results import BUSIEST, SAME_HOME, THIS_PERSON, WHO

_PAIRS = (
    ("agency", "subject"),
    ("agency_l", "subject_l"),
    ("agency_r", "subject_r"),
    ("about", "about_subject"),
)
_LABELS = ("record_a", "record_b")
_UNDERSTOOD = {name for pair in _PAIRS for name in pair} | {*_LABELS, "about"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Rows of a file before and after."""

    before: int
    after: int

    @property
    def removed(self) -> int:
        """How many were, or would be, taken out."""
        return self.before - self.after


@dataclass(frozen=True, kw_only=True, slots=True)
class Subjects:
    """Which subjects of a run to erase, by the agencies' row numbers.

    Attributes:
        numbers: Agency -> numbers of its subjects.
        agencies: Agencies that go whole.
        told: (agency, subject, about) that goes from `told.parquet` although the subject itself stays.
    """

    numbers: Mapping[str, frozenset[int]]
    agencies: frozenset[str] = frozenset()
    told: frozenset[tuple[str, int, str]] = frozenset()


def rewrite_parquet(path: Path, subjects: Subjects, *, act: bool) -> Rows:
    """Take the rows about `subjects` out of a table of a run folder, batch by batch.

    Raises:
        ErasureError: The table does not say in columns that are known which subject a row is about.
        OutputError: It cannot be written.
    """
    with pq.ParquetFile(path) as source:
        schema, before = source.schema_arrow, source.metadata.num_rows
    if not _UNDERSTOOD.intersection(schema.names):
        raise ErasureError(
            "this table does not say which subject a row is about, so nothing can be taken out of it.",
            where=str(path),
            remedy="Delete the run folder, and link again.",
        )
    if not act:
        return Rows(before=before, after=sum(kept.num_rows for kept in _kept(path, subjects)))
    after = 0
    with atomic_file(path) as stream, pq.ParquetWriter(stream, schema) as writer:
        for kept in _kept(path, subjects):
            writer.write_batch(kept)
            after += kept.num_rows
    return Rows(before=before, after=after)


def _kept(path: Path, subjects: Subjects) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as source:  # closed again before the new file takes its place
        for batch in source.iter_batches(batch_size=65_536):
            yield batch.filter(pc.invert(_about(batch, subjects)))


def _about(batch: pa.RecordBatch, subjects: Subjects) -> pa.Array:
    """Return for each row whether it is about one of `subjects`."""
    names = set(batch.schema.names)
    found = pa.array([False] * batch.num_rows)
    for agency, number in _PAIRS:
        if {agency, number} <= names:
            for owner, numbers in subjects.numbers.items():
                here = pc.and_(
                    pc.equal(batch.column(agency), owner),
                    pc.is_in(
                        batch.column(number),
                        value_set=pa.array(sorted(numbers), batch.schema.field(number).type),
                    ),
                )
                found = pc.or_(found, here)
            found = pc.or_(found, _one_of(batch.column(agency), subjects.agencies))
    for label in _LABELS:
        if label in names:
            owned = [f"{owner}:{each}" for owner, numbers in subjects.numbers.items() for each in numbers]
            found = pc.or_(found, _one_of(batch.column(label), owned))
            found = pc.or_(
                found,
                _one_of(pc.replace_substring_regex(batch.column(label), ":[0-9]+$", ""), subjects.agencies),
            )
    if "about" in names and "about_subject" not in names:
        found = pc.or_(found, _one_of(batch.column("about"), subjects.agencies))
        rows = zip(*(batch.column(name).to_pylist() for name in ("agency", "subject", "about")), strict=True)
        found = pc.or_(found, pa.array([row in subjects.told for row in rows], pa.bool_()))
    return pc.fill_null(found, False)


def _one_of(column: pa.Array, values: Collection[str]) -> pa.Array:
    return pc.is_in(column, value_set=pa.array(sorted(values), pa.string()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What to take out of an opened result or a return.

    Attributes:
        whose: Keys (local references, or subject numbers) whose every row goes.
        about: Key -> agencies of whom it is no longer told.
        homes: Key -> agencies of whom it is no longer told that they know somebody else at the same home.
        agencies: Agencies of whom nobody is told any more.
        minimum: A person known to fewer agencies than this, the receiver included, is not told of at all.
    """

    whose: frozenset[Any] = frozenset()
    about: Mapping[Any, frozenset[str]]
    homes: Mapping[Any, frozenset[str]] = field(default_factory=dict)
    agencies: frozenset[str] = frozenset()
    minimum: int = 2

    def drops(self, key: Any, agency: str) -> bool:
        """Whether the row of `key` about `agency` goes."""
        return key in self.whose or agency in self.agencies or agency in self.about.get(key, ())

    def drops_home(self, key: Any, agency: str) -> bool:
        """Whether the row of `key` goes that tells of somebody else at its home, known to `agency`."""
        return key in self.whose or agency in self.agencies or agency in self.homes.get(key, ())

    def drops_window(self, key: Any) -> bool:
        """Whether the worst window of `key` goes: its row names no agency, so any that goes takes it along."""
        return key in self.whose or bool(self.agencies) or bool(self.about.get(key))


def rewrite_result(path: Path, told: Told, *, act: bool) -> Rows:
    """Take rows out of an opened result, a CSV file; every other row stays to the byte but for its number of agencies.

    Raises:
        ErasureError: It is not UTF-8, or a row has other columns than its head.
        OutputError: It cannot be written.
    """
    try:
        head, rows = _read_result(path)
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise ErasureError(
            "this result cannot be read row by row.",
            where=str(path),
            remedy="Delete it, and open the return again.",
        ) from None
    held = [_held(head.cells, row.cells, told) for row in rows]
    left: dict[tuple[str, ...], set[str]] = {}
    for entry in held:
        if not entry.gone:
            left.setdefault(entry.group, set()).add(entry.agency)
    kept = [
        (row, len(left[entry.group]) + 1 if entry.agency else None)
        for row, entry in zip(rows, held, strict=True)
        if not entry.gone and (not entry.agency or len(left[entry.group]) + 1 >= told.minimum)
    ]
    if act:
        with atomic_file(path, private=True) as stream:
            stream.write(head.raw)
            at = head.cells.index("agencies")
            for row, count in kept:
                stream.write(row.raw if count is None else _with_count(row, at, count))
    return Rows(before=len(rows), after=len(kept))


@dataclass(frozen=True, slots=True)
class _Row:
    raw: bytes
    cells: list[str]


@dataclass(frozen=True, slots=True)
class _Held:
    """What a row of a result says: the rows of its `group` count agencies together; a worst window names none."""

    group: tuple[str, ...]
    agency: str
    gone: bool


def _held(head: list[str], cells: list[str], told: Told) -> _Held:
    named = dict(zip(head, cells, strict=True))
    ref, agency, who = named["ref"], named["agency"], named.get(WHO, THIS_PERSON)
    if who == BUSIEST:
        return _Held((ref, who), "", told.drops_window(ref))
    if who == SAME_HOME:
        return _Held((ref, who, named.get("home", "")), agency, told.drops_home(ref, agency))
    return _Held((ref, THIS_PERSON), agency, told.drops(ref, agency))


def _read_result(path: Path) -> tuple[_Row, list[_Row]]:
    records = list(_records(path))
    if any(len(row.cells) != len(records[0].cells) for row in records):
        raise ValueError("ragged")
    return records[0], records[1:]


def _records(path: Path) -> Iterator[_Row]:
    """Yield the records with their bytes; a quoted cell may hold line ends, so quotes are counted."""
    pending = b""
    with path.open("rb") as stream:
        for line in stream:
            pending += line
            if pending.count(b'"') % 2 == 0:
                if pending.strip():
                    yield _Row(pending, next(csv.reader([pending.decode("utf-8-sig")], strict=True)))
                pending = b""
    if pending:
        raise ValueError("unbalanced quotes")


def _with_count(row: _Row, at: int, count: int) -> bytes:
    if row.cells[at] in {"", str(count)}:
        return row.raw
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(
        [str(count) if number == at else cell for number, cell in enumerate(row.cells)]
    )
    return text.getvalue().encode()


def reduce_return(table: pa.Table, told: Told) -> pa.Table:
    """Return what is left of a return (schema `schemas.payload.RETURN`) when rows are taken out.

    A person about whom fewer agencies than agreed are left goes whole, the receiver's own row included.
    """
    subject, agency, own = (table.column(name).to_pylist() for name in ("subject", "agency", "own"))
    gone = [
        told.drops(number, name) and not (mine and number not in told.whose)
        for number, name, mine in zip(subject, agency, own, strict=True)
    ]
    left: dict[int, set[str]] = {}
    for number, name, out in zip(subject, agency, gone, strict=True):
        if not out:
            left.setdefault(number, set()).add(name)
    return table.filter(
        pa.array(
            [
                not out and len(left[number]) >= told.minimum
                for number, out in zip(subject, gone, strict=True)
            ],
            pa.bool_(),
        )
    )


def reduce_homes(table: pa.Table, told: Told) -> pa.Table:
    """Return what is left of the homes of a return (schema `schemas.payload.RETURN_HOUSEHOLDS`).

    A home of which fewer agencies than agreed are left, the receiver included, goes whole.
    """
    subject, home, agency = (table.column(name).to_pylist() for name in ("subject", "household", "agency"))
    gone = [told.drops_home(number, name) for number, name in zip(subject, agency, strict=True)]
    left: dict[tuple[int, int], int] = {}
    for number, place, out in zip(subject, home, gone, strict=True):
        left[number, place] = left.get((number, place), 0) + (not out)
    kept = [
        not out and left[number, place] + 1 >= told.minimum
        for number, place, out in zip(subject, home, gone, strict=True)
    ]
    return table.filter(pa.array(kept, pa.bool_()))


def reduce_rolling(table: pa.Table, told: Told) -> pa.Table:
    """Return what is left of the worst windows of a return (schema `schemas.payload.RETURN_ROLLING`)."""
    kept = [not told.drops_window(number) for number in table.column("subject").to_pylist()]
    return table.filter(pa.array(kept, pa.bool_()))


def reduce_parts(parts: Mapping[str, pa.Table], told: Told) -> dict[str, pa.Table]:
    """Return what is left of a return, part by part."""
    reduce = {"contacts": reduce_return, "households": reduce_homes, "rolling": reduce_rolling}
    return {part: reduce[part](table, told) for part, table in parts.items()}


def counted(keep: Callable[[Any], bool], values: Collection[Any]) -> Rows:
    """Return how many of `values` there are, and how many `keep` keeps."""
    return Rows(before=len(values), after=sum(1 for value in values if keep(value)))
