"""An invented area whose agencies and linkage unit were set up by the real commands, for benchmarks to work on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from governance.agreement_reading import read_document
from governance.agreement_rehearsal import write_rehearsal_agreement
from schemas.identity import load_identity

AGENCIES = ("adults_social_care", "childrens_social_care", "fire_and_rescue", "health", "police")
UNIT = "linkage-unit"
RUN = "2026-11"
EXCLUDED = ("protected_address", "upheld_objection", "adoption", "protected_person")
Extract = tuple[Path, Path]
"""An extract and its mapping."""
ENVIRONMENT = {**os.environ, "TALLYSTICK_PASSPHRASE": "correct horse battery staple"}


def tallystick(*arguments: str | Path) -> str:
    """Run a command in a process of its own; return what it printed.

    Raises:
        SystemExit: It failed; its words were printed.
    """
    command = [sys.executable, "-c", "import cli; cli.main()", *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"tallystick {' '.join(command[3:])}\n{done.stdout}{done.stderr}")
    return done.stdout


def _key_files(folder: Path, passes: Sequence[str] | None, *, plan: bool) -> None:
    for name in (*AGENCIES, UNIT):
        tallystick("keys", "new", name, "--out", folder / f"{name}.key")
    parties = [word for name in AGENCIES for word in ("--party", name)]
    keys = [word for name in (*AGENCIES, UNIT) for word in ("--keys", folder / f"{name}.key")]
    tallystick("agreement", "new", *parties, *keys, "--out", folder / "draft.yaml")
    if plan:
        extracts = folder / "extracts"
        tallystick("agreement", "plan-passes", folder / "draft.yaml", "--extracts", extracts, "--write")
    # Completed and signed like the agreement of a rehearsal, and marked as one.
    words = ENVIRONMENT["TALLYSTICK_PASSPHRASE"].encode()
    document = read_document(folder / "draft.yaml")
    document["window"]["everyone"] = True  # so that figures count every subject of the extract
    if passes is not None:
        document["sealing"]["passes"] = list(passes)
    write_rehearsal_agreement(
        folder / "agreement.yaml",
        document,
        {name: load_identity(folder / f"{name}.key", words) for name in (*AGENCIES, UNIT)},
        today=date.today(),
    )


def _ceremony(folder: Path) -> None:
    exchange = folder / "exchange"
    exchange.mkdir()

    def step(name: str, command: str, *more: str | Path) -> None:
        tallystick(
            *("keys", command, "--agreement", folder / "agreement.yaml", "--key", folder / f"{name}.key"),
            *("--folder", exchange, "--own", folder / f"{name}.contribution", *more),
        )

    for name in (*AGENCIES, *AGENCIES[:-1]):  # the last to commit reveals at once
        step(name, "contribute")
    for name in AGENCIES:
        step(name, "combine", "--out", folder / f"{name}.secret")


def seal_arguments(folder: Path, name: str, out: Path, extract: Extract | None = None) -> list[str | Path]:
    """Return the arguments of `tallystick seal` for an agency of the area and its own extract, or another one."""
    file, mapping = extract or (folder / "extracts" / f"{name}.parquet", folder / "extracts" / "mapping.yaml")
    return [
        *("seal", file, "--mapping", mapping),
        *("--agreement", folder / "agreement.yaml", "--key", folder / f"{name}.key"),
        *("--secret", folder / f"{name}.secret", "--run", RUN),
        *("--out", out, "--crosswalk", out.with_suffix(".crosswalk")),
        *(word for kind in EXCLUDED for word in ("--excluded", f"{kind}=0")),
    ]


def make_area(folder: Path, *, people: int, passes: Sequence[str] | None = None, plan: bool = False) -> None:
    """Make extracts, keys, the agreement and the linkage secret in `folder`, unless they are there already.

    Args:
        folder: Where; what an interrupted call left behind is made anew.
        people: Residents; about 1.1 records of subjects for each come out.
        passes: Blocking passes of the agreement; those of a draft when None.
        plan: Plan the passes on the extracts instead.
    """
    if (folder / "ready").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    agencies = [word for name in AGENCIES for word in ("--agency", name)]
    tallystick(
        "synth", folder / "extracts", "--people", str(people), "--seed", "5", "--format", "parquet", *agencies
    )
    _key_files(folder, passes, plan=plan)
    _ceremony(folder)
    (folder / "ready").touch()


def seal_all(folder: Path) -> list[Path]:
    """Return the packages of all agencies; those that are not there yet are sealed."""
    packages = [folder / f"{name}.tally" for name in AGENCIES]
    for name, package in zip(AGENCIES, packages, strict=True):
        if not package.exists():
            package.with_suffix(".crosswalk").unlink(missing_ok=True)
            tallystick(*seal_arguments(folder, name, package))
    return packages
