"""Collapsing in plain Python, one row at a time over the whole extract: slow, and easy to check by reading."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from hashing import normalise as norm
from schemas.scheme import FIELDS

PLACES = ("postcode", "uprn", "nhs_number", "address")


def _normalised(field: str, texts: Sequence[str | None], today: date) -> list[str | None]:
    """Normalise a whole column at once, each distinct text standing for its number of rows."""
    counts = Counter(text for text in texts if text is not None)
    distinct = pa.array(list(counts), pa.string())
    rules: dict[str, Callable[[], norm.Normalised]] = {
        "forename": lambda: norm.normalise_forename(distinct),
        "surname": lambda: norm.normalise_surname(distinct),
        "sex": lambda: norm.normalise_sex(distinct, codes=None),
        "postcode": lambda: norm.normalise_postcode(distinct, standard="uk"),
        "uprn": lambda: norm.normalise_uprn(distinct),
        "nhs_number": lambda: norm.normalise_nhs_number(distinct, standard="nhs"),
        "address": lambda: norm.normalise_address(distinct),
    }
    if field in {"dob", "record_date"}:
        made = norm.normalise_date(
            distinct,
            formats=None,
            today=today,
            is_birth=field == "dob",
            counts=np.array(list(counts.values()), dtype=np.int64),
        )
    else:
        made = rules[field]()
    table = dict(zip(counts, made.values.to_pylist(), strict=True))
    return [None if text is None else table[text] for text in texts]


def _subjects(refs: list[str], people: list[tuple[str | None, ...]], names: list[str]) -> list[int]:
    """Number the rows' subjects in the order of their first rows."""
    parent = list(range(len(refs)))

    def root(row: int) -> int:
        while parent[row] != row:
            row = parent[row]
        return row

    seen: dict[Any, int] = {}
    for row, (ref, person) in enumerate(zip(refs, people, strict=True)):
        value = dict(zip(names, person, strict=True))
        complete = all(value.get(name) for name in ("forename", "surname", "dob"))
        keys: list[Any] = [("ref", ref)]
        if complete and any(value.get(name) for name in PLACES):
            keys.append(("person", person))
        for key in keys:
            parent[root(row)] = root(seen.setdefault(key, row))
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(row), len(numbers)) for row in range(len(refs))]


def collapse_slowly(
    rows: Sequence[dict[str, str | None]], *, today: date, versions_kept: int
) -> dict[str, Any]:
    """Return references by subject, versions by subject (latest first), contacts by subject, and rejected rows."""
    columns = {
        name: [row.get(name) or None for row in rows]
        for name in dict.fromkeys(k for row in rows for k in row)
    }
    refs = [(text or "").strip() for text in columns["ref"]]
    names = [name for name in FIELDS if name in columns]
    fields = {name: _normalised(name, columns[name], today) for name in names}
    days = _normalised("record_date", columns["record_date"], today)
    days = [day if day is not None and day <= today.isoformat() else None for day in days]
    used = [row for row, ref in enumerate(refs) if ref]
    people = [tuple(fields[name][row] for name in names) for row in used]
    subject = _subjects([refs[row] for row in used], people, names)
    latest_last = sorted(range(len(used)), key=lambda at: (days[used[at]] or "", at))
    latest: dict[tuple[int, int], str] = {}
    for at in latest_last:
        for place, value in enumerate(people[at]):
            if value is not None:
                latest[subject[at], place] = value
    versions: dict[int, list[tuple[str | None, ...]]] = defaultdict(list)
    for at in reversed(latest_last):
        filled = tuple(
            latest.get((subject[at], place)) if value is None else value
            for place, value in enumerate(people[at])
        )
        if filled not in versions[subject[at]]:
            versions[subject[at]].append(filled)
    anything = [any(fields[name][row] for name in names if name != "sex") for row in range(len(rows))]
    return {
        "names": names,
        "refs": {ref: subject[at] for at, ref in ((at, refs[row]) for at, row in enumerate(used))},
        "versions": {owner: listed[:versions_kept] for owner, listed in versions.items()},
        "left_out": sum(max(len(listed) - versions_kept, 0) for listed in versions.values()),
        "contacts": [(subject[at], days[row]) for at, row in enumerate(used)],
        "rejected": {
            "no reference": [row for row, ref in enumerate(refs) if not ref],
            "no usable identifier": [row for row, ref in enumerate(refs) if ref and not anything[row]],
            "no usable contact date": [row for row in used if days[row] is None],
        },
    }
