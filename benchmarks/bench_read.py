"""Reading alone: an extract to subjects, versions and contacts, before anything is derived or sealed.

    python -m benchmarks.bench_read area/extracts/health.parquet --mapping area/extracts/mapping.yaml

    python -m benchmarks.bench_read --sqlite 1000000

Wall and processor seconds of reading, normalising and collapsing in a process that is started already, other processes
that share the work included, and the peak memory of this process, with what it was before the first row.

With --sqlite ROWS an invented table of 13 columns is put into a SQLite file and read by each driver in turn, each in a
process of its own: what reading alone takes (`read_query`), then all of the above.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from hashing.extract import open_extract
from hashing.mapping import COLUMNS, AgencyMapping, load_mapping
from hashing.reading import database
from hashing.subjects import collapse_stream


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _spent(work: Callable[[], int]) -> dict[str, float]:
    """Return the rows that `work` returns, the seconds it took and the peak memory."""
    before, cpu, begun = _peak_mb(), _cpu(), time.perf_counter()
    rows = work()
    seconds, used, peak = time.perf_counter() - begun, _cpu() - cpu, _peak_mb()
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used, 2),
        "peak_mb": peak,
        "start_mb": before,
        "bytes_a_row": round((peak - before) * 2**20 / rows, 1),
    }


def measure(
    source: Path | database.Query, agency: str, mapping: AgencyMapping, today: date
) -> dict[str, float]:
    """Collapse an extract and return counts, seconds and megabytes."""
    counts = {}

    def collapse() -> int:
        subjects = collapse_stream(
            open_extract(source, agency=agency, mapping=mapping), today=today, mapping=mapping
        )
        counts.update(subjects=subjects.count, versions=subjects.quality.versions)
        return subjects.quality.rows

    return {**_spent(collapse), **counts}


def _invented(rows: int) -> Iterator[tuple[str | int | None, ...]]:
    """Yield rows of nobody: three contacts a person, numbers where case systems have numbers."""
    draw = random.Random(1)  # noqa: S311 - nothing secret
    day = date(1930, 1, 1)
    for row in range(rows):
        person = row // 3
        yield (
            person,
            f"Forename{person % 2000}",
            f"Surname{person % 9000}",
            str(day + timedelta(person % 30_000)),
            "MF"[person % 2],
            f"LS{person % 28 + 1} {person % 9}AB",
            100_000_000_000 - person if person % 4 else None,
            str(9_000_000_000 + person),
            f"{person % 300} Street{person % 997} Road",
            str(date(2025, 1, 1) + timedelta(draw.randrange(365))),
            "visit",
            ("open", "closed")[row % 2],
            f"Worker {person % 200}",
        )


def _make_table(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE cases ({', '.join(COLUMNS)})")
        connection.executemany(f"INSERT INTO cases VALUES ({', '.join('?' * len(COLUMNS))})", _invented(rows))
        connection.commit()


def _by_driver(path: str, use_adbc: bool) -> None:
    """Read a SQLite file with one driver: rows alone, then all; print both."""
    query = database.Query(sql="SELECT * FROM cases", connection=f"sqlite:///{path}")
    source = database.read_query(query, use_adbc=use_adbc)
    read = _spent(lambda: sum(batch.num_rows for batch in source.batches))
    print(json.dumps({"read_as": source.read_as, **read}), flush=True)
    if not use_adbc:
        database.adbc.SQLITE = "adbc_is_not_installed"
    print(
        json.dumps({"collapsed": True, **measure(query, "cases", AgencyMapping(), date.today())}), flush=True
    )


def compare_drivers(rows: int) -> None:
    """Measure each driver on the same invented table."""
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cases.db"
        _make_table(path, rows)
        for use_adbc in (False, True):
            process = fresh.Process(target=_by_driver, args=(str(path), use_adbc))
            process.start()
            process.join()


def main() -> None:
    """Read the arguments, measure and print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("extract", type=Path, nargs="?")
    parser.add_argument("--sqlite", type=int, metavar="ROWS", help="compare the drivers on an invented table")
    parser.add_argument("--mapping", type=Path, help="mapping.yaml with an entry named like the file")
    options = parser.parse_args()
    if options.sqlite:
        compare_drivers(options.sqlite)
        return
    if options.extract is None:
        parser.error("name an extract, or --sqlite ROWS")
    mapping = load_mapping(options.mapping)[options.extract.stem] if options.mapping else AgencyMapping()
    print(json.dumps(measure(options.extract, options.extract.stem, mapping, date.today())))


if __name__ == "__main__":
    main()
