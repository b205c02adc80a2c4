"""Statistics of the tables of a package, gathered while its batches pass by, in memory that stays flat.

The rules on packages (`governance.rules.package`) judge these figures and never see a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from math import lgamma, log
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance.detect.columns import ColumnScan, nhs_numbers
from governance.detect.hashes import USUAL, count_known, number_prefixes
from governance.detect.patterns import Hit, Kind, find_in_text

SAMPLE = 4096
GLANCE = 256
"""Tokens that are looked at first: fair ones all lie in one half of their range once in 2^255."""

FEWEST_EVEN = 64
"""Below this many different tokens nothing is said of their spread: 64 fair coins all fall alike once in 2^63."""

SMALL = 2**40
"""64-bit block ids below this in size are one in 2^23; a UPRN, an NHS number or a date always is."""

_NHS_SHARE = 9e9 / 11 / 2**64
"""Share of all 64-bit numbers that read as NHS numbers: one in eleven of ten digits (NHS Data Dictionary)."""

_CHANCE = 1e-9
"""What so rarely happens in a table by chance is no chance."""

_MOST_DIFFERENT = 2**16
"""Small numbers that are told apart; far fewer show that a column holds no block ids."""

_MOST_BUCKETS = 2**20
_MOST_COUNTED = 2**31 - 1
"""Rows that can share a bucket before its count needs more than 32 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnFacts:
    """What one column holds, in counts.

    Attributes:
        type: Its Arrow type, as text.
        low, high: Smallest and largest number (days since 1970 for dates, bytes for binary), None when empty. Of tokens
            only as far as it takes to see both halves of their range.
        uneven: Whether the numbers lie in one half of the range of their type, as no tokens do.
        small: Cells with 64-bit numbers below `SMALL` in size.
        different: How many different numbers these are; at most `_MOST_DIFFERENT`. All rows of a block share its id.
    """

    type: str
    low: int | None = None
    high: int | None = None
    uneven: bool = False
    small: int = 0
    different: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PartFacts:
    """What one table of a package holds, in counts.

    Attributes:
        name: The part.
        rows: Its rows.
        columns: Its columns, in their order.
        expected: Names and types that the agreement's scheme gives it, or None when it knows no such part.
        heaviest: Most rows that share one block, or a little more (`_Heaviest`).
        hits: What looks like an identifier.
    """

    name: str
    rows: int = 0
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    expected: Mapping[str, str] | None = None
    heaviest: int = 0
    hits: tuple[Hit, ...] = ()


def no_chance(numbers: int, rows: int) -> bool:
    """Return whether so many of `rows` random 64-bit numbers read as NHS numbers less than once in 10^9 such tables.

    Different numbers are to be counted: all rows of a block share its id, and would all read so.

    Block ids are random numbers: an honest county's twenty million of them hold one that reads so once in a
    thousand packages. The count is a Poisson variable, whose P(X >= k) is at most m^k / k! (m its mean).
    """
    if numbers == 0:
        return False
    mean = max(rows, 1) * _NHS_SHARE
    return numbers * log(mean) - lgamma(numbers + 1) < log(_CHANCE)


class _Heaviest:
    """Upper bound of the count of the commonest 64-bit number: one row of a count-min sketch.

    Block ids are even, so their low bits are a hash of themselves (Cormode and Muthukrishnan, J. Algorithms 55, 2005).
    """

    def __init__(self, rows: int) -> None:
        buckets = min(max(1 << (4 * max(rows, 1)).bit_length(), 2**12), _MOST_BUCKETS)
        self._counts: NDArray[np.int32] | NDArray[np.int64] = np.zeros(buckets, dtype=np.int32)
        self._rows = 0

    def see(self, values: NDArray[np.int64]) -> None:
        self._rows += len(values)
        if self._rows > _MOST_COUNTED and self._counts.dtype == np.int32:
            self._counts = self._counts.astype(np.int64)
        # Counts of half the width stay in the processor's cache; `at` is fast only for a number of their own type.
        np.add.at(self._counts, values & (len(self._counts) - 1), self._counts.dtype.type(1))

    @property
    def most(self) -> int:
        return int(self._counts.max())


def _first(values: pa.Array, count: int) -> NDArray[Any]:
    """Return the tokens among the first `count` cells, by NumPy.

    Arrow's own functions give the interpreter up to other threads each time, and a seal has many columns.
    """
    valid, data = values.buffers()
    begin, end = values.offset, values.offset + min(len(values), count)
    cells = np.frombuffer(data, dtype=values.type.to_pandas_dtype())[begin:end]
    if valid is None:
        return cells
    bits = np.unpackbits(np.frombuffer(valid, dtype=np.uint8)[: end // 8 + 1], bitorder="little")
    return cells[bits[begin:end].view(np.bool_)]


@cache
def _traits(kind: pa.DataType) -> tuple[bool, int | None, bool, bool, bool]:
    """Return whether a column holds block ids, the middle of its range if tokens, and whether flags, bytes or days."""
    half = 2 ** (kind.bit_width - 1) if pa.types.is_unsigned_integer(kind) else None
    kinds = pa.types
    return kinds.is_int64(kind), half, kinds.is_boolean(kind), kinds.is_binary(kind), kinds.is_date32(kind)


class _Column:
    """Figures of one expected column."""

    def __init__(self, name: str, kind: pa.DataType, *, part: str, today: date, rows: int) -> None:
        self.name, self.kind, self.part, self.today = name, kind, part, today
        self.rows = self.small = self.nhs = self.readable = self.hashed = 0
        self.low: int | None = None
        self.high: int | None = None
        block, self._half, self._flag, self._bytes_, self._day = _traits(kind)
        self.heaviest = _Heaviest(rows) if block else None
        self._distinct = 0
        self._different: set[int] = set()

    def see(self, values: pa.Array, *, probe: bool) -> None:
        first = self.rows == 0
        self.rows += len(values)
        if self._half is not None:
            self._tokens(values)
        elif self._flag or len(values) == values.null_count:
            return
        elif self._bytes_:
            self._bounds(pc.binary_length(values))
            self.readable += ColumnScan.readable(values.slice(0, SAMPLE).drop_null())
        elif self.heaviest is not None:
            self._blocks(
                (values.drop_null() if values.null_count else values).to_numpy(), probe=probe and first
            )
        else:
            self._bounds(values.view(pa.int32()) if self._day else values)

    def _tokens(self, values: pa.Array) -> None:
        """Look at tokens until they are seen to lie in both halves of their range, which is in the first few."""
        few = _first(values, GLANCE)
        if len(few):
            self._widen(int(few.min()), int(few.max()))
        if self.low is not None and not self._one_sided:
            return
        self._bounds(values)
        if self._one_sided and not self._distinct:
            self._distinct = len(values.slice(0, SAMPLE).drop_null().unique())

    @property
    def settled(self) -> bool:
        """Whether the column holds tokens that are seen to spread: there is nothing more to learn of it."""
        return self._half is not None and self.low is not None and not self._one_sided

    @property
    def _one_sided(self) -> bool:
        """Whether all tokens so far lie in one half of their range."""
        if self._half is None or self.low is None or self.high is None:
            return False
        return bool(self.high < self._half or self.low >= self._half)

    def _bounds(self, values: pa.Array) -> None:
        if len(values) == values.null_count:
            return
        bounds = pc.min_max(values)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        if low is not None:
            self._widen(low, high)

    def _widen(self, low: int, high: int) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _blocks(self, blocks: NDArray[np.int64], *, probe: bool) -> None:
        assert self.heaviest is not None  # noqa: S101 - the caller looked
        self.heaviest.see(blocks)
        small = blocks[(blocks > -SMALL) & (blocks < SMALL)]
        self.small += len(small)
        self.nhs += nhs_numbers(small)
        if len(small) and len(self._different) < _MOST_DIFFERENT:
            self._different.update(np.unique(small)[:_MOST_DIFFERENT].tolist())
        if probe:
            self.hashed += count_known(number_prefixes(blocks[: 16 * SAMPLE]), self.today, USUAL)

    def facts(self) -> ColumnFacts:
        return ColumnFacts(
            type=str(self.kind),
            low=self.low,
            high=self.high,
            uneven=self._one_sided and self._distinct >= FEWEST_EVEN,
            small=self.small,
            different=min(len(self._different), _MOST_DIFFERENT),
        )

    def _holds_nhs_numbers(self) -> bool:
        return no_chance(nhs_numbers(np.array(sorted(self._different), dtype=np.int64)), self.rows)

    def hits(self) -> Iterator[Hit]:
        place = f"part {self.part}, column {self.name}"
        for kind, cells in (
            (Kind.NHS_NUMBER, self.nhs if self._holds_nhs_numbers() else 0),
            (Kind.FREE_TEXT, self.readable),
            (Kind.UNKEYED_HASH, self.hashed),
        ):
            if cells:
                yield Hit(kind=kind, place=place, cells=cells)


class PartWatch:
    """Watches the batches of one part.

    Args:
        name: The part.
        schema: What the scheme gives it; None for a part that the scheme does not know, all of which is scanned.
        today: Day of the check.
        rows: Rows to come, about.
        probe: Look for hashes made without a key among the first block ids too (half a second, once).
    """

    def __init__(
        self, name: str, schema: pa.Schema | None, *, today: date, rows: int, probe: bool = False
    ) -> None:
        self.name, self.schema, self.today, self._probe = name, schema, today, probe
        self.rows = 0
        self._known = {
            entry.name: _Column(entry.name, entry.type, part=name, today=today, rows=rows)
            for entry in schema or ()
        }
        self._last: pa.Schema | None = None
        self._looking: list[tuple[int, Callable[[pa.Array], None]]] = []
        self._scans: dict[str, ColumnScan] = {}
        self._types: dict[str, str] = {}

    def see(self, batch: pa.RecordBatch) -> None:
        """Take one batch in."""
        self.rows += batch.num_rows
        if self._last is None or not batch.schema.equals(self._last):
            self._last = batch.schema
            self._looking = [self._looker(at, entry) for at, entry in enumerate(batch.schema)]
        for at, look in self._looking:
            look(batch.column(at))
        settled = self._settled()
        self._looking = [(at, look) for at, look in self._looking if at not in settled]

    def _settled(self) -> set[int]:
        """Return the columns that nothing more can be learnt of."""
        assert self._last is not None  # noqa: S101 - a batch was seen
        names = self._last.names
        return {at for at, _ in self._looking if names[at] in self._known and self._known[names[at]].settled}

    def _looker(self, at: int, entry: pa.Field) -> tuple[int, Callable[[pa.Array], None]]:
        self._types[entry.name] = str(entry.type)
        known = self._known.get(entry.name)
        if known is not None and entry.type.equals(known.kind):
            return at, partial(known.see, probe=self._probe)
        place = f"part {self.name}, column {at + 1}"  # an unknown name can be an identifier itself
        return at, self._scans.setdefault(entry.name, ColumnScan(place, today=self.today)).see

    def facts(self) -> PartFacts:
        """Return what was seen."""
        columns = {
            name: self._known[name].facts()
            if name in self._known and name not in self._scans
            else ColumnFacts(type=kind)
            for name, kind in self._types.items()
        }
        hits = [hit for column in self._known.values() for hit in column.hits()]
        for name, scan in self._scans.items():
            hits += find_in_text(name, f"part {self.name}, a header", today=self.today)
            hits += scan.hits()
        sketches = [column.heaviest for column in self._known.values() if column.heaviest is not None]
        return PartFacts(
            name=self.name,
            rows=self.rows,
            columns=columns,
            expected=None if self.schema is None else {entry.name: str(entry.type) for entry in self.schema},
            heaviest=max((sketch.most for sketch in sketches), default=0),
            hits=tuple(hits),
        )


class PackageWatch:
    """Watches all parts of a package, one after the other.

    Args:
        schemas: Part -> the columns that the scheme gives it.
        today: Day of the check.
        rows: Most rows that a part is expected to have.
        probe: As for `PartWatch`.
    """

    def __init__(
        self, schemas: Mapping[str, pa.Schema], *, today: date, rows: int, probe: bool = False
    ) -> None:
        self._schemas, self._today, self._rows, self._probe = schemas, today, rows, probe
        self._done: dict[str, PartFacts] = {}

    def batches(self, name: str, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass the batches of a part on, and look at each."""
        watch = PartWatch(
            name, self._schemas.get(name), today=self._today, rows=self._rows, probe=self._probe
        )
        for batch in batches:
            watch.see(batch)
            yield batch
        self._done[name] = watch.facts()

    @property
    def parts(self) -> dict[str, PartFacts]:
        """The parts that were read to their end."""
        return dict(self._done)
