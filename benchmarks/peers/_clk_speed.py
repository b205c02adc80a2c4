"""Runs in the environment of clkhash and anonlink: hash the records of each file, and optionally match the files.

    python _clk_speed.py OUT.json hash|match FILE.csv …

The schema is that of the accuracy benchmark. Hashing uses both cores, as `clkutil hash` does; matching is anonlink's
candidate search at 0.8 and its greedy solver over all files.
"""

import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "accuracy"))

import anonlink
from _clk_script import _read, _schema
from clkhash import clk

THRESHOLD, WORKERS = 0.8, 2


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the workers that have ended."""
    for child in multiprocessing.active_children():
        child.join()
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main(out: str, what: str, files: list[str]) -> None:
    """Hash, match, write the figures."""
    hashed, cpu, filters = 0.0, 0.0, []
    for path in files:
        _, names, held = _read(path)
        begun, before = time.perf_counter(), cpu_seconds()
        with open(held, encoding="utf-8") as stream:
            filters.append(
                clk.generate_clk_from_csv(
                    stream, "benchmark secret", _schema(names), progress_bar=False, max_workers=WORKERS
                )
            )
        hashed, cpu = hashed + time.perf_counter() - begun, cpu + cpu_seconds() - before
    facts = {"records": sum(map(len, filters)), "hash_seconds": hashed, "hash_cpu_seconds": cpu}
    if what == "match":
        begun = time.perf_counter()
        candidates = anonlink.candidate_generation.find_candidate_pairs(
            filters, anonlink.similarities.dice_coefficient_accelerated, THRESHOLD
        )
        groups = anonlink.solving.greedy_solve(candidates)
        facts |= {"match_seconds": time.perf_counter() - begun, "groups": len(list(groups))}
        sizes = [len(each) for each in filters]
        facts["pairs"] = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    facts["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    with open(out, "w", encoding="utf-8") as stream:
        json.dump(facts, stream)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
