"""Sealing beside clkhash, and linking beside anonlink, on the same records in the same run.

    python -m benchmarks.peers --people 50000 --folder /tmp/peers
    python -m benchmarks.peers --people 20000 --folder /tmp/peers --match

clkhash and anonlink run in a virtual environment of their own in the folder. They are given what sealing makes its
tokens of, one record a subject with normalised fields, as CSV, and their times leave out the start of Python. Ours is
the whole `tallystick seal` process, keys, rules, encryption and flush included: once on those same records
(`same_records`), once on the raw Parquet extract (`raw_extract`: some three rows a subject, not normalised). The
ratio of CPU times is the one to go by on a busy machine. `--match` also times anonlink's search and solver over the
agencies' records beside the whole `tallystick link` of their packages.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv

from benchmarks.accuracy.clk import prepare
from benchmarks.bench_seal import ecb_blocks_a_second, passes_of, seal_once, with_limit
from benchmarks.roles import AGENCIES, UNIT, Extract, make_area, seal_all, tallystick
from hashing.extract import open_extract
from hashing.mapping import load_mapping
from hashing.subjects import collapse_stream
from schemas.scheme import FIELDS

_SCRIPT = Path(__file__).with_name("_clk_speed.py")


def write_records(folder: Path, agency: str) -> Path:
    """Write the subjects of an agency's extract, the latest version of each with normalised fields, as CSV."""
    target = folder / f"{agency}-records.csv"
    mapping = load_mapping(folder / "extracts" / "mapping.yaml")[agency]
    stream = open_extract(folder / "extracts" / f"{agency}.parquet", agency=agency, mapping=mapping)
    subjects = collapse_stream(stream, today=date.today(), mapping=mapping)
    _, rows = np.unique(subjects.version_subject, return_index=True)
    columns: dict[str, pa.Array] = {"subject": pa.array(np.arange(len(rows)))}
    for name in FIELDS:
        if name in subjects.fields:
            codes = subjects.fields[name].codes[rows]
            columns[name] = subjects.fields[name].values.take(pa.array(codes, mask=codes < 0))
    pc_csv.write_csv(pa.table(columns), target)
    return target


def mapping_of(folder: Path, agency: str) -> Path:
    """Write and return the mapping of the file of `write_records`."""
    target = folder / f"{agency}-records.yaml"
    entry = {"agency_type": agency, "columns": {"ref": "subject"}}
    target.write_text(json.dumps({"mapping_version": 1, "agencies": {agency: entry}}), encoding="utf-8")
    return target


def beside(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of sealing, and how many times as many subjects it does as clkhash records."""
    return {
        "sealing": ours,
        "ratio": ours["subjects_a_second"] / theirs["records_a_second"],
        "ratio_of_cpu": ours["subjects"]
        / ours["cpu_seconds"]
        * theirs["hash_cpu_seconds"]
        / theirs["records"],
    }


def clk(python: Path, folder: Path, what: str, files: list[Path]) -> dict[str, Any]:
    """Hash (and match) by clkhash and anonlink and return their figures."""
    out = folder / "clk.json"
    subprocess.run([python, _SCRIPT, out, what, *files], check=True, capture_output=True)
    figures: dict[str, Any] = json.loads(out.read_text())
    figures["records_a_second"] = figures["records"] / figures["hash_seconds"]
    return figures


def sealed(folder: Path, agency: str, extract: Extract | None, repeat: int) -> dict[str, Any]:
    """Return the figures of sealing: of `repeat` calls those of median time."""
    figures = [seal_once(folder, agency, extract) for _ in range(repeat)]
    middle = sorted(figures, key=lambda each: each["seconds"])[(repeat - 1) // 2]
    return with_limit(middle, ecb_blocks_a_second())


def link_once(folder: Path) -> float:
    """Return the wall seconds of the whole `tallystick link` process over all packages of the area."""
    packages = seal_all(folder)
    shutil.rmtree(folder / "run", ignore_errors=True)
    options = (
        "--agreement",
        folder / "agreement.yaml",
        "--key",
        folder / f"{UNIT}.key",
        "--out",
        folder / "run",
    )
    begun = time.perf_counter()
    tallystick("link", *packages, *options)
    return time.perf_counter() - begun


def main() -> None:
    """Read the arguments, make what is missing, measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=50_000, help="residents of the invented area")
    parser.add_argument("--passes", default="20", help="a number, planned, or drafted")
    parser.add_argument("--agency", default="health", help="whose extract is sealed")
    parser.add_argument("--folder", type=Path, required=True, help="kept for the next time")
    parser.add_argument("--repeat", type=int, default=3, help="times we seal; the median is told")
    parser.add_argument("--match", action="store_true", help="also link all agencies")
    options = parser.parse_args()
    folder = options.folder / f"{options.people}-{options.passes}"
    make_area(folder, people=options.people, passes=passes_of(options.passes, folder))
    python = prepare(options.folder / "clk-environment")
    if python is None:
        raise SystemExit("clkhash and anonlink do not install here.")
    seal_once(folder, options.agency)  # compiles the modules, which an installer would have done
    records = write_records(folder, options.agency)
    same = records, mapping_of(folder, options.agency)
    theirs = clk(python, folder, "hash", [records])
    figures = {
        "clkhash": theirs,
        "same_records": beside(sealed(folder, options.agency, same, options.repeat), theirs),
        "raw_extract": beside(sealed(folder, options.agency, None, options.repeat), theirs),
    }
    if options.match:
        matched = clk(python, folder, "match", [write_records(folder, agency) for agency in AGENCIES])
        seconds = link_once(folder)
        figures["matching"] = {"anonlink": matched, "tallystick_link_seconds": seconds}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
