"""Reading alone: an extract to subjects, versions and contacts, before anything is derived or sealed.

    python -m benchmarks.bench_read area/extracts/health.parquet --mapping area/extracts/mapping.yaml

Wall and processor seconds of reading, normalising and collapsing in a process that is started already, other processes
that share the work included, and the peak memory of this process, with what it was before the first row.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from datetime import date
from pathlib import Path

from hashing.extract import open_extract
from hashing.mapping import AgencyMapping, load_mapping
from hashing.subjects import collapse_stream


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(path: Path, mapping: AgencyMapping, today: date) -> dict[str, float]:
    """Collapse an extract and return counts, seconds and megabytes."""
    before, cpu, begun = _peak_mb(), _cpu(), time.perf_counter()
    subjects = collapse_stream(
        open_extract(path, agency=path.stem, mapping=mapping), today=today, mapping=mapping
    )
    seconds, used, peak = time.perf_counter() - begun, _cpu() - cpu, _peak_mb()
    return {
        "rows": subjects.quality.rows,
        "subjects": subjects.count,
        "versions": subjects.quality.versions,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used, 2),
        "peak_mb": peak,
        "start_mb": before,
        "bytes_a_row": round((peak - before) * 2**20 / subjects.quality.rows, 1),
    }


def main() -> None:
    """Read the arguments, measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("extract", type=Path)
    parser.add_argument("--mapping", type=Path, help="mapping.yaml with an entry named like the file")
    options = parser.parse_args()
    mapping = load_mapping(options.mapping)[options.extract.stem] if options.mapping else AgencyMapping()
    print(json.dumps(measure(options.extract, mapping, date.today())))


if __name__ == "__main__":
    main()
