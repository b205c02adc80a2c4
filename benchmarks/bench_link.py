"""Linkage at the unit: five packages to clusters, links and returns, the whole `tallystick link` process.

    python -m benchmarks.bench_link --people 930000 --folder /tmp/county

The area is made by the real commands (`benchmarks/roles.py`) with passes planned on its own extracts, under the drafted
privacy budget; 930,000 residents come to about a million subjects of five agencies. Everything is kept in --folder for
the next time but the run itself. `tallystick link` is then timed in a fresh process; its wall time, CPU time and peak
memory are the operating system's, start of Python, decryption, training and the writing of five returns included.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.roles import ENVIRONMENT, UNIT, make_area, seal_all


def link_once(folder: Path, packages: list[Path]) -> dict[str, Any]:
    """Link in a fresh process and return the figures."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    command = [
        *(sys.executable, "-c", "import cli; cli.main()", "link", *map(str, packages)),
        *("--agreement", str(folder / "agreement.yaml"), "--key", str(folder / f"{UNIT}.key")),
        *("--out", str(out), "--json"),
    ]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return {
        "seconds": round(wall, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_mb": after.ru_maxrss // 1024,
        "package_mb": round(sum(path.stat().st_size for path in packages) / 1e6),
        "run": json.loads(done.stdout),
    }


def main() -> None:
    """Read the arguments, make what is missing, time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=930_000)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    folder = options.folder / str(options.people)
    make_area(folder, people=options.people, plan=True)
    packages = seal_all(folder)
    print(json.dumps(link_once(folder, packages), indent=1))


if __name__ == "__main__":
    main()
