"""Make, or with --check compare, the vectors of docs/spec/sealing-v1.md.

    python tests/vectors/sealing/make_sealing_vectors.py [--check]

Everything in them is invented and fixed, so that the file comes out the same to the byte.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hashing.cmac import Blocks
from hashing.coding import Column
from hashing.derive import derive, rarity
from hashing.extract import Extract
from hashing.keys import RunKeys
from hashing.seal import seal
from hashing.subjects import collapse
from schemas.canonical import canonical_json
from schemas.scheme import DERIVED, SCHEME, parse_pass

FILE = Path(__file__).with_name("v1.json")

SECRET = bytes(range(32))
AGREEMENT = "sha256:" + "5a" * 32
RUN = "2026-06"
PASSES = ("dob+surname.phonetic", "postcode+dob.year", "nhs_number")
CROWDED_CELL = 2
PEOPLE = [
    # ref, forename, surname, dob, sex, postcode, uprn, nhs_number, address
    ("1", "Mary", "Jones", "1990-03-04", "F", "LS6 3AB", "100071", "612 345 1782", "12 High Street"),
    ("2", "Marie", "Jonas", "1990-03-04", "F", "LS6 3AB", None, "612 345 1782", "12 High Street"),
    ("3", "John", "Jones", "1990-04-03", "M", "LS6 3AB", "100071", None, None),
    (
        "4",
        "Siobhán",
        "O'Brien",
        "1990-03-04",
        None,
        "BD1 1AA",
        "100082",
        "623 981 7457",
        "Flat 2, 14 Low Lane",
    ),
    ("5", "Li", "Li", "2004-11-30", "M", None, "100093", "634 017 8294", None),
    # The second forename of 6 is the first one of 5: equal tokens in different columns.
    ("6", "Wei Li", "Li", "2004-11-30", "M", None, None, None, None),
]
COLUMNS = ("ref", "forename", "surname", "dob", "sex", "postcode", "uprn", "nhs_number", "address")


def counting_bytes(size: int) -> bytes:
    """Stand in for randomness: tokens outside a rarity class are 00 01 02 … here and MUST be random elsewhere."""
    return bytes(n % 256 for n in range(size))


def _texts(coded: Column) -> list[str | None]:
    return coded.values.take(pa.array(coded.codes, mask=coded.codes < 0)).to_pylist()


def derived_people() -> dict[str, Column]:
    """Return the derived values of the invented people, one version each, in order."""
    columns = {name: pa.array([row[k] for row in PEOPLE], pa.string()) for k, name in enumerate(COLUMNS)}
    extract = Extract(agency="police", columns=columns, rows=len(PEOPLE), source="vectors")
    subjects = collapse(extract, today=date(2026, 6, 30))
    assert subjects.version_subject.tolist() == list(range(len(PEOPLE)))
    return derive(subjects)


def digests_of(name: str, texts: pa.StringArray, keys: RunKeys) -> Blocks:
    """Return V_f of each text; that of a name set is made of its two names in order of their own digests."""
    if name != "name_set":
        return keys.digests(name, texts)
    each, together = keys.name_set()
    made = []
    for text in texts.to_pylist():
        names = sorted(tuple(block.tolist()) for block in each.mac_texts(pa.array(text.split("|"))))
        made.append(together.mac([np.array([name], dtype=np.uint64) for name in names]))
    return np.concatenate(made)


def _digests(derived: Mapping[str, Column], keys: RunKeys) -> dict[str, dict[str, str]]:
    members = dict(derived) | {
        f"{field}.{kind}": derived[f"{field}.exact"]
        for field in ("forename", "surname")
        for kind in ("rare", "mid")
    }
    return {
        name: {
            text: digest.tobytes().hex()
            for text, digest in zip(
                coded.values.to_pylist(), digests_of(name, coded.values, keys), strict=True
            )
        }
        for name, coded in sorted(members.items())
    }


def _pass_vectors(derived: Mapping[str, Column], keys: RunKeys) -> list[dict[str, Any]]:
    passes = tuple(map(parse_pass, PASSES))
    made = []
    for sealed in seal(derived, passes, keys, crowded_cell=CROWDED_CELL, random_bytes=counting_bytes):
        blocking = sealed.blocking
        table = sealed.table().to_pydict()
        rows = np.array(table["version"], dtype=np.int64)
        message = [
            np.concatenate(
                [digests_of(part, pa.array([str(_texts(derived[part])[row])]), keys) for row in rows]
            )
            for part in blocking.parts
        ]
        secrets = keys.block_secret(blocking).mac(message)
        made.append(
            {
                "name": blocking.name,
                "parts": list(blocking.parts),
                "tokens": list(blocking.tokens),
                "incomplete": sealed.incomplete,
                "crowded": sealed.crowded,
                "block_secrets": [secret.tobytes().hex() for secret in secrets],
                # As text: 64-bit numbers have no portable form in JSON.
                "table": {**table, "block": [str(block) for block in table["block"]]},
            }
        )
    return made


def vectors() -> bytes:
    """Return the content of the file, canonical JSON."""
    derived = derived_people()
    keys = RunKeys(secret=SECRET, agreement_digest=AGREEMENT, run_id=RUN)
    return canonical_json(
        {
            "scheme": SCHEME,
            "secret": SECRET.hex(),
            "agreement": AGREEMENT,
            "run": RUN,
            "key_check": keys.key_check(),
            "display_key": keys.display_key().hex(),
            "crowded_cell": CROWDED_CELL,
            "people": [dict(zip(COLUMNS, row, strict=True)) for row in PEOPLE],
            "derived": {name: _texts(coded) for name, coded in sorted(derived.items())},
            "rarity": {
                f"{field}.{kind}": member[derived[f"{field}.exact"].codes].tolist()
                for field in ("forename", "surname")
                for kind, member in rarity(derived[f"{field}.exact"]).items()
            },
            "bits": {name: value.bits for name, value in DERIVED.items()},
            "like": {name: value.like for name, value in DERIVED.items() if value.like},
            "digests": _digests(derived, keys),
            "passes": _pass_vectors(derived, keys),
        }
    )


def main() -> None:
    """Write the file, or say whether it is what this program makes."""
    made = vectors()
    if "--check" in sys.argv:
        sys.exit(0 if FILE.read_bytes() == made else f"{FILE.name} differs from what this program makes")
    FILE.write_bytes(made)


if __name__ == "__main__":
    main()
