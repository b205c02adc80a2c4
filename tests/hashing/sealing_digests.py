"""Print what becomes of an extract, table by table, as digests: tests run it with the kernels and without.

python tests/hashing/sealing_digests.py EXTRACT        prints a JSON object
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from hashing.counts import counts_of
from hashing.derive import derive, with_rarity
from hashing.extract import read_extract
from hashing.homes import sealed_homes
from hashing.keys import RunKeys
from hashing.mapping import AgencyMapping
from hashing.native.library import kernels
from hashing.seal import seal
from hashing.shuffling import shuffle
from hashing.subjects import Subjects, collapse
from schemas.scheme import parse_pass

TODAY = date(2026, 6, 30)
KEYS = RunKeys(secret=bytes(range(32)), agreement_digest="sha256:aa", run_id="2026-06")
CROWDED = 12
PASSES = tuple(
    map(
        parse_pass,
        (
            "dob+surname.phonetic",
            "postcode.district+forename.initial",
            "name_set",
            "nhs_number",
            "uprn+forename.initial",
            "dob.month_year+forename.nickname",
            "surname.canonical+address.street",
        ),
    )
)


def counted_bytes() -> Callable[[int], bytes]:
    """Return a source of bytes that are always the same ones, as long as it is asked in the same order."""
    asked = 0

    def random_bytes(size: int) -> bytes:
        nonlocal asked
        asked += 1
        return hashlib.shake_128(asked.to_bytes(8, "big")).digest(size)

    return random_bytes


def _digest(columns: dict[str, list[object]]) -> str:
    return hashlib.sha256(repr(sorted(columns.items())).encode()).hexdigest()


def _columns(table: pa.Table | pa.RecordBatch) -> dict[str, list[object]]:
    return {str(name): table.column(name).to_pylist() for name in table.schema.names}


def _subjects(subjects: Subjects) -> Iterator[tuple[str, dict[str, list[object]]]]:
    """Yield the tables of subjects."""
    yield "versions", {"subject": subjects.version_subject.tolist()}
    yield "refs", {"ref": subjects.refs.to_pylist(), "subject": subjects.ref_subject.tolist()}
    for name, field in subjects.fields.items():
        yield name, {"codes": field.codes.tolist(), "values": field.values.to_pylist()}
    found = subjects.contacts
    numbers = {"subject": found.subject, "day": found.day, "open": found.is_open, "lead": found.lead.codes}
    columns = {name: np.asarray(column).tolist() for name, column in numbers.items()}
    yield "contacts", {**columns, "leads": found.lead.values.to_pylist()}
    rejected = {reason: rows.tolist() for reason, rows in subjects.rejected.items()}
    yield "quality", {**rejected, "counts": [json.dumps(asdict(subjects.quality), sort_keys=True)]}


def made_of(extract: Path) -> dict[str, object]:
    """Collapse, shuffle and seal an extract.

    Returns:
        `tables`: table -> its digest; `rows`: table -> rows; `passes`: pass, or homes -> versions sealed, incomplete
        and in crowded cells; `counts`: what `counts_of` returns; `kept`: whether the extract and the subjects are
        afterwards what they were before; `kernels`: whether there are kernels.
    """
    random_bytes = counted_bytes()
    read = read_extract(extract, agency="police", mapping=AgencyMapping(list_delimiter=";"))
    as_read = {name: column.to_pylist() for name, column in read.columns.items()}
    collapsed = collapse(read, today=TODAY)
    tables = {f"collapsed {name}": columns for name, columns in _subjects(collapsed)}
    subjects = shuffle(collapsed, random_bytes)
    shuffled = {name: _digest(columns) for name, columns in _subjects(subjects)}
    tables |= dict(_subjects(subjects))
    derived = derive(subjects)
    passes = {}
    for made in seal(derived, PASSES, KEYS, crowded_cell=CROWDED, random_bytes=random_bytes):
        tables[f"pass {made.blocking.name}"] = _columns(made.table())
        passes[made.blocking.name] = [made.sealed, made.incomplete, made.crowded]
    homes, crowded = sealed_homes(subjects, KEYS, crowded_cell=CROWDED)
    tables["homes"] = _columns(homes)
    passes["homes"] = [homes.num_rows, len(subjects.version_subject) - homes.num_rows - crowded, crowded]
    counts = counts_of(with_rarity(derived), subjects.version_subject, PASSES, crowded_cell=CROWDED)
    return {
        "tables": {name: _digest(columns) for name, columns in tables.items()},
        "rows": {name: max(map(len, columns.values())) for name, columns in tables.items()},
        "passes": passes,
        "counts": counts,
        "kept": as_read == {name: column.to_pylist() for name, column in read.columns.items()}
        and shuffled == {name: _digest(columns) for name, columns in _subjects(subjects)},
        "kernels": kernels() is not None,
    }


if __name__ == "__main__":
    print(json.dumps(made_of(Path(sys.argv[1])), sort_keys=True))
