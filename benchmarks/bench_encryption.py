"""What the package costs: `seal` with digests, encryption and signature, and without any of them.

    python -m benchmarks.bench_encryption --people 60000 --folder /tmp/area [--repeat 7]

Seals the extract of one agency (health, by far the largest) again and again by the real command, each time in a fresh
process, with and without in turn. *Without* writes the same tables to the same disk as they come: no SHA-256, no
AES-GCM, no key encapsulation, no signature. Prints one JSON object: median wall and CPU seconds of the whole process
(start of Python, passphrase and reading included), what the package adds in percent, bytes, and how much runs differ.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.roles import ENVIRONMENT, make_area, seal_arguments

AGENCY = "health"


def write_plain(target: Path, *, parts: Iterable[tuple[str, str, Any]], **stated: Any) -> Any:
    """Stand in for `schemas.container.write_package`: the same content, unprotected."""
    from schemas.atomic import atomic_file
    from schemas.canonical import canonical_json
    from schemas.manifest import Manifest

    with atomic_file(target) as stream:
        for _, _, content in parts:
            if callable(content):
                content(stream)
            else:
                for piece in content:
                    stream.write(piece)
        stream.write(canonical_json({"counts": dict(stated["counts"]), "facts": dict(stated["facts"])}))
    return Manifest(
        kind=stated["kind"],
        agreement_digest=stated["agreement_digest"],
        run_id=stated["run_id"],
        sender=stated["sender"].party,
        sender_key_id="none",
        recipient=stated["recipient"].party,
        recipient_key_id="none",
        header_digest="none",
        purpose=stated["purpose"],
        created_at=stated["created_at"],
        counts=stated["counts"],
        facts=stated["facts"],
        parts=(),
    )


def seal_once(arguments: list[str], *, plain: bool) -> None:
    """Run `seal` in this process."""
    if plain:
        import schemas.container

        schemas.container.write_package = write_plain  # before the commands import it
    import cli

    cli.main(arguments)


def time_once(folder: Path, *, plain: bool) -> dict[str, float]:
    """Run `seal` in a process of its own; return wall and CPU seconds and the size of its package in bytes."""
    out = folder / ("plain.tally" if plain else "sealed.tally")
    out.unlink(missing_ok=True)
    out.with_suffix(".crosswalk").unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "benchmarks.bench_encryption", "--seal", "plain" if plain else "sealed"),
        *map(str, seal_arguments(folder, AGENCY, out)),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu, "bytes": out.stat().st_size}


def figures_of(runs: Mapping[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Return the medians of both, and what the package adds."""
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in ("wall", "cpu", "bytes")}
        for name, found in runs.items()
    }

    def added(key: str) -> float:
        return round(100 * (medians["sealed"][key] / medians["plain"][key] - 1), 1)

    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seconds": {name: {k: round(v[k], 2) for k in ("wall", "cpu")} for name, v in medians.items()},
        "added_percent": {"wall": added("wall"), "cpu": added("cpu"), "bytes": added("bytes")},
        "mb": round(medians["plain"]["bytes"] / 1e6, 1),
        "spread": {
            name: {key: [round(run[key], 2) for run in found] for key in ("wall", "cpu")}
            for name, found in runs.items()
        },
    }


def main() -> None:
    """Read the arguments, make the area when it is missing, time, print."""
    if sys.argv[1:2] == ["--seal"]:
        seal_once(sys.argv[3:], plain=sys.argv[2] == "plain")
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    make_area(arguments.folder, people=arguments.people)
    runs: dict[str, list[dict[str, float]]] = {"plain": [], "sealed": []}
    for _ in range(arguments.repeat):
        for name, found in runs.items():
            found.append(time_once(arguments.folder, plain=name == "plain"))
    print(json.dumps(figures_of(runs), indent=1))


if __name__ == "__main__":
    main()
