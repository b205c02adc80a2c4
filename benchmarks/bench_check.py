"""How long `tallystick check` takes on a package of many rows, and how much memory.

    python -m benchmarks.bench_check [--rows 10000000] [--passes 4] [--keep FOLDER]

The package is made of random numbers in the columns that the scheme gives: the check cannot tell them from tokens, and
reads, decrypts and looks at each. `--rows` is the rows of all token tables together. The check runs in a process of its
own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from governance.agreement import Agreement, parse_agreement
from governance.draft import DEFAULT_PASSES, agreement_yaml, draft_agreement
from governance.rules.package_subject import expected_schemas
from schemas.container import write_package
from schemas.identity import PrivateIdentity, save_identity
from schemas.scheme import SCHEME
from schemas.tables import ARROW_STREAM, arrow_stream

BATCH = 65_536
NOW = datetime.now(UTC).replace(microsecond=0)


def _column(entry: pa.Field, rows: int, most: int, rng: np.random.Generator) -> pa.Array:
    if pa.types.is_int64(entry.type):
        return pa.array(rng.integers(-(2**63), 2**63 - 1, rows, dtype=np.int64))
    if pa.types.is_unsigned_integer(entry.type):
        width = entry.type.bit_width
        return pa.array(rng.integers(0, 2**width, rows, dtype=f"uint{width}"))
    if pa.types.is_date(entry.type):
        last = (NOW.date() - timedelta(days=1)).toordinal() - 719_163
        return pa.array(rng.integers(last - 300, last, rows, dtype=np.int32)).cast(pa.date32())
    if pa.types.is_boolean(entry.type):
        return pa.array(rng.random(rows) < 0.5)
    if pa.types.is_binary(entry.type):
        return pa.array([rng.bytes(92)] * rows, pa.binary())
    return pa.array(rng.integers(0, most, rows, dtype=np.int32))


def _batches(schema: pa.Schema, rows: int, most: int, rng: np.random.Generator) -> Iterator[pa.RecordBatch]:
    for begin in range(0, rows, BATCH):
        size = min(BATCH, rows - begin)
        yield pa.RecordBatch.from_arrays([_column(entry, size, most, rng) for entry in schema], schema=schema)


def make_package(folder: Path, agreement: Agreement, police: PrivateIdentity, *, rows: int) -> Path:
    """Write a package of `rows` token rows; return it."""
    rng = np.random.default_rng(1)
    versions = rows // len(agreement.passes)
    sizes = {"leads": 1000, "apart": 0}
    target = folder / "police.tally"
    assert agreement.unit_keys is not None
    write_package(
        target,
        kind="sealed",
        sender=police,
        recipient=agreement.unit_keys,
        agreement_digest=agreement.digest,
        run_id="bench",
        purpose=agreement.purpose,
        created_at=NOW,
        counts={"rows": versions, "subjects": versions, "versions": versions, "contacts": versions},
        facts={
            "scheme": SCHEME,
            "seal_id": "0" * 32,
            "contacts_after": (NOW.date() - timedelta(days=364)).isoformat(),
            "key_check": "bench",
            "normaliser": "bench",
        },
        parts=(
            (
                name,
                ARROW_STREAM,
                arrow_stream(schema, _batches(schema, sizes.get(name, versions), versions, rng)),
            )
            for name, schema in expected_schemas(agreement).items()
        ),
    )
    return target


def prepare(folder: Path, *, rows: int, passes: int) -> tuple[Path, tuple[str, ...]]:
    """Write agreement, key and package; return the package and the options of the check."""
    people = {name: PrivateIdentity.generate(name) for name in ("police", "health", "linkage-unit")}
    document = draft_agreement(
        everyone=True,
        parties={"police": "police", "health": "health"},
        passes=DEFAULT_PASSES[:passes],
        today=NOW.date(),
        identities={name: identity.public for name, identity in people.items()},
    )
    (folder / "agreement.yaml").write_text(agreement_yaml(document), encoding="utf-8")
    save_identity(people["linkage-unit"], folder / "unit.key", None, unprotected=True)
    package = make_package(folder, parse_agreement(document), people["police"], rows=rows)
    return package, ("--agreement", str(folder / "agreement.yaml"), "--key", str(folder / "unit.key"))


_CHILD = """
import json, resource, sys, time
begun = time.perf_counter()
from click.testing import CliRunner
import cli
result = CliRunner().invoke(cli.main, sys.argv[1:])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time(), "peak_mb": peak,
                  "exit_code": result.exit_code, "report": json.loads(result.stdout)["reports"][0]}))
"""


def measure(rows: int, passes: int, folder: Path) -> dict[str, object]:
    """Make a package, check it in a process of its own, and return the figures."""
    begun = time.perf_counter()
    package, options = prepare(folder, rows=rows, passes=passes)
    made = time.perf_counter() - begun
    command = [sys.executable, "-c", _CHILD, "check", str(package), *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    report = figures.pop("report")
    return {
        "token_rows": rows,
        "passes": passes,
        "rows_looked_at": report["facts"]["rows looked at"],
        "package_mb": round(package.stat().st_size / 2**20),
        "made_in_seconds": round(made, 1),
        **{name: round(value, 1) for name, value in figures.items()},
        "verdict": report["verdict"],
        "findings": [found["rule"] for found in report["findings"]],
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--passes", type=int, default=4)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        print(json.dumps(measure(given.rows, given.passes, folder), indent=1))


if __name__ == "__main__":
    main()
