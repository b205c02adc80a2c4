"""Runs in the environment of clkhash and anonlink: hash the versions of a CSV file, and compare every pair.

    python _clk_script.py VERSIONS.csv OUT

Writes OUT.npz (left, right: subjects; score: Dice similarity) and OUT.json (versions, bytes, seconds, memory).
"""

import csv
import json
import resource
import sys
import time
from importlib.metadata import version

import numpy as np
from anonlink.similarities import dice_coefficient_accelerated
from clkhash import clk
from clkhash.comparators import NgramComparison
from clkhash.field_formats import BitsPerFeatureStrategy, FieldHashingProperties, Ignore, StringSpec
from clkhash.schema import Schema

LOWEST, MOST_CANDIDATES, CHUNK = 0.75, 30, 4000
BITS = {
    "forename": (2, 200), "surname": (2, 200), "dob": (1, 200), "sex": (1, 30), "postcode": (2, 120),
    "uprn": (1, 80), "nhs_number": (1, 200), "address": (2, 150),
}  # fmt: skip
"""Length of the n-grams and bits set by a whole field."""


def _feature(name: str) -> object:
    size, bits = BITS[name]
    positional = name in ("dob", "nhs_number", "uprn")
    return StringSpec(
        identifier=name,
        hashing_properties=FieldHashingProperties(
            comparator=NgramComparison(size, positional), strategy=BitsPerFeatureStrategy(bits)
        ),
    )


def _schema(names: list[str]) -> Schema:
    features = [Ignore("subject") if name == "subject" else _feature(name) for name in names]
    return Schema(
        fields=features,
        l=1024,
        kdf_hash="SHA256",
        kdf_info=b"benchmark",
        kdf_salt=b"benchmark",
        kdf_key_size=64,
    )


def _read(path: str) -> tuple[list[int], list[str], str]:
    with open(path, newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    names = ["subject", *(name for name in rows[0] if name != "subject" and any(row[name] for row in rows))]
    lines = [names, *([row[name] for name in names] for row in rows)]
    target = path + ".held"
    with open(target, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)
    return [int(row["subject"]) for row in rows], names, target


def _compare(filters: list[object], subject: np.ndarray) -> dict[tuple[int, int], float]:
    best: dict[tuple[int, int], float] = {}
    for start in range(0, len(filters), CHUNK):
        some = filters[start : start + CHUNK]
        scores, (rows, others) = dice_coefficient_accelerated(
            [some, filters[start:]], LOWEST, k=MOST_CANDIDATES
        )
        a, b = subject[np.asarray(rows) + start], subject[np.asarray(others) + start]
        for left, right, score in zip(a.tolist(), b.tolist(), scores, strict=True):
            if left != right:
                pair = (min(left, right), max(left, right))
                best[pair] = max(best.get(pair, 0.0), score)
    return best


def main(given: str, made: str) -> None:
    """Hash, compare, write."""
    subject, names, held = _read(given)
    wall, cpu = time.perf_counter(), time.process_time()
    with open(held, encoding="utf-8") as stream:
        filters = clk.generate_clk_from_csv(
            stream, "benchmark secret", _schema(names), progress_bar=False, max_workers=1
        )
    best = _compare(filters, np.array(subject))
    pairs = sorted(best)
    np.savez(
        made + ".npz",
        left=np.array([pair[0] for pair in pairs], dtype=np.int64),
        right=np.array([pair[1] for pair in pairs], dtype=np.int64),
        score=np.array([best[pair] for pair in pairs]),
    )
    facts = {
        "versions": {name: version(name) for name in ("clkhash", "anonlink")},
        "bytes": sum(len(one) // 8 for one in filters),
        "seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    with open(made + ".json", "w", encoding="utf-8") as stream:
        json.dump(facts, stream)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
