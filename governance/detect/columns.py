"""Scan the cells of a column for raw identifiers, batch by batch, in memory that does not grow with the rows."""

from __future__ import annotations

from collections import Counter
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.detect.hashes import count_known, number_prefixes, raw_prefixes, text_prefixes
from governance.detect.names import cells_with_names
from governance.detect.patterns import OLDEST, PATTERNS, Hit, Kind, find_in_text, verified
from governance.detect.shapes import Shape, fitting, token_shape

MOST_VERIFIED = 100_000
"""Candidates of one kind in one batch that are verified one by one; the others are counted as they matched."""

_WORDY = r"(?:[A-Za-z']+[\s,.;:]+){3}[A-Za-z']"
"""Four words in a row: nothing that is coded reads like this."""

_EPOCH = date(1970, 1, 1)


class ColumnScan:
    """Counts, kind by kind, the cells of one column that look like identifiers.

    Args:
        place: Name of the column, for the findings.
        today: Day of the check.
    """

    def __init__(self, place: str, *, today: date) -> None:
        self.place, self.today = place, today
        self._counts: Counter[Kind] = Counter()
        self._shape: Shape | None = None
        self._began = False

    def see(self, values: pa.Array) -> None:
        """Look at one batch of cells of any type."""
        kind = values.type
        if pa.types.is_dictionary(kind):
            values, kind = values.dictionary_decode(), kind.value_type
        cells = values.drop_null()
        if len(cells) == 0:
            return
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            self._text(cells)
        elif (
            pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
        ):
            self._bytes(cells.cast(pa.binary()))
        elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
            self._dates(cells)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            self._numbers(cells)
        elif pa.types.is_nested(kind):
            self._text(pa.array([str(cell) for cell in cells.to_pylist()], type=pa.string()))

    @staticmethod
    def readable(cells: pa.Array) -> int:
        """Return how many binary cells are plain text: what is encrypted never is."""
        return sum(_as_text(cell) is not None for cell in cells.to_pylist())

    def hits(self) -> list[Hit]:
        """Return what was found, the most frequent first."""
        return [
            Hit(kind=kind, place=self.place, cells=count)
            for kind, count in self._counts.most_common()
            if count
        ]

    def _text(self, cells: pa.Array) -> None:
        if not self._began:
            self._began, self._shape = True, token_shape(cells)
        if known := count_known(text_prefixes(cells), self.today):
            self._counts[Kind.UNKEYED_HASH] += known
        if self._shape is not None:
            cells = cells.filter(pc.invert(fitting(cells, self._shape)))
        if len(cells) == 0:
            return
        for kind, pattern in PATTERNS.items():
            candidates = cells.filter(pc.match_substring_regex(cells, pattern))
            self._counts[kind] += self._verify(kind, candidates)
        self._counts[Kind.PERSON_NAME] += int(cells_with_names(cells).sum())
        self._counts[Kind.FREE_TEXT] += pc.sum(pc.match_substring_regex(cells, _WORDY)).as_py() or 0

    def _verify(self, kind: Kind, candidates: pa.Array) -> int:
        if kind not in (Kind.NHS_NUMBER, Kind.DATE_OF_BIRTH, Kind.NATIONAL_INSURANCE):
            return len(candidates)
        looked = candidates.slice(0, MOST_VERIFIED).to_pylist()
        real = sum(verified(kind, text, self.today) for text in looked)
        return real + (len(candidates) - len(looked) if real else 0)

    def _bytes(self, cells: pa.Array) -> None:
        if known := count_known(raw_prefixes(cells), self.today):
            self._counts[Kind.UNKEYED_HASH] += known
        readable = [text for cell in cells.to_pylist() if (text := _as_text(cell)) is not None]
        if readable:
            self._text(pa.array(readable, type=pa.string()))

    def _dates(self, cells: pa.Array) -> None:
        days = cells.cast(pa.date32()).cast(pa.int32()).to_numpy()
        first = (date(self.today.year - OLDEST, 1, 1) - _EPOCH).days
        self._counts[Kind.DATE_OF_BIRTH] += int(
            ((days >= first) & (days <= (self.today - _EPOCH).days)).sum()
        )

    def _numbers(self, cells: pa.Array) -> None:
        numbers = cells.to_numpy(zero_copy_only=False)
        if numbers.dtype.kind == "f":
            numbers = numbers[(numbers == np.floor(numbers)) & (np.abs(numbers) < 2**53)]
        elif numbers.dtype.itemsize == 8 and (
            known := count_known(number_prefixes(numbers.astype(np.int64, copy=False)), self.today)
        ):
            self._counts[Kind.UNKEYED_HASH] += known
        numbers = numbers[(numbers >= 10_000) & (numbers < 10**12)].astype(np.int64)
        self._counts[Kind.NHS_NUMBER] += nhs_numbers(numbers)
        self._counts[Kind.UPRN] += len(numbers)
        self._counts[Kind.DATE_OF_BIRTH] += _written_dates(numbers, self.today)


def nhs_numbers(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> int:
    """Return how many whole numbers are NHS numbers by modulus 11 (NHS Data Dictionary), dummies left out."""
    ten = numbers[
        (numbers >= 10**9) & (numbers < 10**10) & (numbers // 10**7 != 999) & (numbers % 1_111_111_111 != 0)
    ]
    total = sum(((ten // 10 ** (10 - place)) % 10) * (11 - place) for place in range(1, 10))
    return int(((11 - total % 11) % 11 == ten % 10).sum()) if len(ten) else 0


def _written_dates(numbers: np.ndarray[tuple[int], np.dtype[np.int64]], today: date) -> int:
    """Return how many whole numbers read as YYYYMMDD or DDMMYYYY of a plausible date of birth."""

    def plausible(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
        known = (year >= today.year - OLDEST) & (year <= today.year)
        return known & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)

    big = numbers[(numbers >= 1_01_1000) & (numbers < 10**8)]
    ymd = plausible(big // 10_000, big // 100 % 100, big % 100)
    dmy = plausible(big % 10_000, big // 10_000 % 100, big // 1_000_000)
    return int((ymd | dmy).sum())


def _as_text(cell: bytes) -> str | None:
    try:
        text = cell.decode("utf-8")
    except UnicodeDecodeError:
        return None
    # Random bytes are valid UTF-8 now and then, but hardly ever Latin letters and ASCII throughout.
    return text if text.isprintable() and all(letter < "\u0250" for letter in text) else None


def scan_table(
    batches: list[pa.RecordBatch], *, today: date, allowed: frozenset[str] = frozenset()
) -> list[Hit]:
    """Return what the columns of a table hold, headers included; columns in `allowed` are left out."""
    scans: dict[str, ColumnScan] = {}
    for batch in batches:
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            if name not in allowed:
                scans.setdefault(name, ColumnScan(f"column {name}", today=today)).see(values)
    headers = [hit for name in scans for hit in find_in_text(name, "header", today=today)]
    return headers + [hit for scan in scans.values() for hit in scan.hits()]
