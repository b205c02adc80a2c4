"""Exact hashed match keys: a link when any of ten combinations of identifiers has the same keyed hash.

The kind of list that statistical offices have linked hashed registers with (Office for National Statistics, "Beyond
2011: Matching Anonymous Data", M9, 2013): from everything alike to one part missing or blurred.
"""

from __future__ import annotations

import hmac
import secrets
from itertools import combinations

import numpy as np
import pyarrow as pa

from benchmarks.accuracy.found import Clock, Found
from benchmarks.accuracy.records import Records

KEYS: tuple[tuple[str, ...], ...] = (
    ("nhs_number", "dob"),
    ("forename", "surname", "dob", "sex", "postcode"),
    ("forename_initial", "surname", "dob", "sex", "postcode"),
    ("forename_nickname", "surname_phonetic", "dob", "postcode_sector"),
    ("forename", "surname", "dob", "postcode_district"),
    ("forename", "dob", "sex", "postcode"),
    ("forename", "surname", "dob"),
    ("forename", "surname", "dob_year", "postcode"),
    ("forename", "surname", "dob_day_month", "postcode"),
    ("nhs_number",),
)
"""Columns of each key, the strongest first."""

_LARGEST = 50
"""A key borne by more versions than this is a placeholder, and links nobody."""


def _meet(hashes: list[bytes | None], subject: list[int]) -> set[tuple[int, int]]:
    groups: dict[bytes, set[int]] = {}
    for hashed, number in zip(hashes, subject, strict=True):
        if hashed is not None:
            groups.setdefault(hashed, set()).add(number)
    return {
        pair
        for members in groups.values()
        if 1 < len(members) <= _LARGEST
        for pair in combinations(sorted(members), 2)
    }


def _hashes(versions: pa.Table, columns: tuple[str, ...], secret: bytes) -> list[bytes | None]:
    label = "+".join(columns)
    rows = zip(*(versions.column(column).to_pylist() for column in columns), strict=True)
    return [
        None if None in row else hmac.digest(secret, "\x1f".join((label, *row)).encode(), "sha256")
        for row in rows
    ]


def link(records: Records, *, clock: Clock) -> Found:
    """Link `records` by hashed match keys; a pair's score tells the strongest key that it shares."""
    secret = secrets.token_bytes(32)
    versions, best = records.versions, dict[tuple[int, int], int]()
    subject = versions.column("subject").to_pylist()
    used = [
        columns
        for columns in KEYS
        if all(versions.column(column).null_count < versions.num_rows for column in columns)
    ]
    sizes = 0
    for rank, columns in enumerate(used):
        with clock(f"hash {rank}"):
            hashes = _hashes(versions, columns, secret)
            sizes += 32 * sum(hashed is not None for hashed in hashes)
        with clock(f"meet {rank}"):
            for pair in _meet(hashes, subject):
                best.setdefault(pair, rank)
    pairs = sorted(best)
    ranks = np.array([best[pair] for pair in pairs], dtype=np.float64)
    return Found(
        left=np.array([a for a, _ in pairs], dtype=np.int64),
        right=np.array([b for _, b in pairs], dtype=np.int64),
        score=1.0 - ranks / (len(KEYS) + 1),
        facts={
            "threshold": 0.0,
            "rules": len(used),
            "candidates": len(pairs),
            "bytes_a_subject": sizes / max(records.subjects, 1),
        },
    )
