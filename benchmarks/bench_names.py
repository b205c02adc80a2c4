"""Several names a person: what columns with previous names (`also:` in mapping.yaml) gain and cost.

    python -m benchmarks.bench_names --people 10000 --folder /tmp/names
    python -m benchmarks.bench_names --people 10000 --profile poor --folder /tmp/names-poor

An invented area is made by `synth`. An agency that knows somebody by the name that is theirs today has noted the name
they had before with a chance of --noted: the column `previous_surname` is added to its extract. The name before is one
that an agency recorded for the person and that is far from today's (so a spelling error is none); of people who changed
a name before these records begin, one that is drawn from the area's surnames. The area is rehearsed
twice under one agreement, with its passes planned for the first one: with a mapping that does not name the column, and
with one that does.

Pair recall and F1 are those of `evaluate` at the agreement's threshold: of all pairs, of people who changed a name in
their lives, and of those of whom at least one agency has noted a name.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import jellyfish
import pyarrow as pa
import pyarrow.csv as pc_csv

from benchmarks.roles import AGENCIES, ENVIRONMENT
from governance.agreement_reading import read_document
from hashing.mapping import load_mapping

COLUMN = "previous_surname"
PEOPLE = Path("truth", "truth-people.csv")
FAR = 0.75
"""Jaro-Winkler similarity of two surnames below which they are two names and not two spellings of one."""

GROUPS = ("name_changer", "noted")


def run(*words: str | Path) -> str:
    """Run a command in a process of its own and return what it prints.

    Raises:
        SystemExit: It failed; its words were printed.
    """
    command = [sys.executable, "-c", "import cli; cli.main()", *map(str, words)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"tallystick {' '.join(command[3:])}\n{done.stdout}{done.stderr}")
    return done.stdout


def far(left: str, right: str) -> bool:
    """Tell whether two surnames are two names."""
    return jellyfish.jaro_winkler_similarity(left.upper(), right.upper()) < FAR


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def persons_of(extracts: Path) -> dict[tuple[str, str], str]:
    """Return agency and reference -> person."""
    return {(row["agency"], row["ref"]): row["person"] for row in rows_of(extracts / "truth.csv")}


def surnames_before(extracts: Path, today: dict[str, str]) -> dict[str, str]:
    """Return the name before of each person who was recorded under another one than today's.

    Args:
        extracts: What `synth` made.
        today: Person -> surname today, of those who changed a name.
    """
    person, mapping = persons_of(extracts), load_mapping(extracts / "mapping.yaml")
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for agency in AGENCIES:
        columns = mapping[agency].columns
        for row in rows_of(extracts / f"{agency}.csv"):
            who, name = person.get((agency, row[columns["ref"]]), ""), row[columns["surname"]].strip()
            if who in today and name and far(name, today[who]):
                seen[who][name.title()] += 1
    return {who: names.most_common(1)[0][0] for who, names in seen.items()}


def note_names(extracts: Path, share: float, seed: int) -> set[str]:
    """Add the column to the extracts, and return the people of whom a name was noted."""
    people = rows_of(extracts / PEOPLE)
    today = {row["person"]: row["surname"] for row in people if row["name_changer"] == "yes"}
    # A name that nobody recorded in these years, as of an old marriage, costs as much and finds nobody.
    drawn = random.Random(seed).choices([row["surname"] for row in people], k=len(today))  # noqa: S311
    before = {**dict(zip(today, drawn, strict=True)), **surnames_before(extracts, today)}
    person = persons_of(extracts)
    mapping, noted = load_mapping(extracts / "mapping.yaml"), set[str]()
    for agency in AGENCIES:
        path, columns = extracts / f"{agency}.csv", mapping[agency].columns
        draw = random.Random(f"{seed} {agency}")  # noqa: S311 - an invented area is made again by its seed
        known = {who for who in sorted(before) if draw.random() < share}
        rows = rows_of(path)
        for row in rows:
            who = person.get((agency, row[columns["ref"]]), "")
            current = who in known and not far(row[columns["surname"]], today[who])
            row[COLUMN] = before[who] if current else ""
            noted |= {who} if current else set()
        pc_csv.write_csv(pa.Table.from_pylist(rows), path)
    return noted


def write_groups(extracts: Path, noted: set[str], path: Path) -> None:
    """Write the file of people that `evaluate` groups by."""
    people = [
        {
            "person": row["person"],
            "name_changer": row["name_changer"],
            "noted": "yes" if row["person"] in noted else "no",
        }
        for row in rows_of(extracts / PEOPLE)
    ]
    pc_csv.write_csv(pa.Table.from_pylist(people), path)


def with_also(mapping: Path) -> str:
    """Return a mapping.yaml that names the column for every agency."""
    document = read_document(mapping)
    for entry in document["agencies"].values():
        entry["also"] = {"surname": [COLUMN]}
    return json.dumps(document)


def figures_of(folder: Path, extracts: Path, rehearsed: dict[str, Any], groups: Path) -> dict[str, Any]:
    """Return accuracy, bytes and seconds of a rehearsal that was kept in `folder`."""
    by = [word for group in GROUPS for word in ("--by", group)]
    truth = ("--truth", extracts / "truth.csv", "--extracts", extracts, "--people", groups)
    told = json.loads(run("evaluate", folder, *truth, *by, "--json"))
    grouped = {
        each["grouping"]: each["links"]
        for each in told["groups"]
        if each["grouping"] in GROUPS and each["group"] == "yes"
    }
    subjects = sum(each["subjects"] for each in rehearsed["input"].values())
    sealed = sum(path.stat().st_size for path in folder.rglob("*.tally") if "agencies" in path.parts)
    cpu = {
        kind: sum(stage["cpu_seconds"] for stage in rehearsed["stages"] if stage["name"].startswith(names))
        for kind, names in {
            "seal": ("read ", "normalise ", "seal "),
            "link": ("take in", "find candidate", "compare", "cluster"),
        }.items()
    }
    return {
        "subjects": subjects,
        "true_pairs": told["links"]["true_pairs"],
        "recall": told["links"]["recall"]["value"],
        "precision": told["links"]["precision"]["value"],
        "f1": told["links"]["f1"]["value"],
        "best_f1": told["best"]["f1"]["value"],
        **{f"{name}_pairs": links["true_pairs"] for name, links in grouped.items()},
        **{f"{name}_recall": links["recall"]["value"] for name, links in grouped.items()},
        "d": rehearsed["privacy"]["d"],
        "bytes_a_subject": sealed / subjects,
        "cpu_seconds": cpu,
    }


def measure(folder: Path, *, people: int, profile: str, noted: float, seed: int) -> dict[str, dict[str, Any]]:
    """Make the area, rehearse it without and with previous names, and return the figures of both."""
    extracts = folder / "extracts"
    run("synth", extracts, "--people", str(people), "--seed", str(seed), "--profile", profile)
    groups = folder / "people.csv"
    write_groups(extracts, note_names(extracts, noted, seed), groups)
    found, agreement = {}, ()
    for kind in ("without", "with"):
        if kind == "with":
            text = with_also(extracts / "mapping.yaml")
            (extracts / "mapping.yaml").write_text(text, encoding="utf-8")
        told = json.loads(run("rehearse", extracts, "--out", folder / kind, *agreement, "--json"))
        agreement = ("--agreement", folder / "without" / "agreement.yaml")
        found[kind] = figures_of(folder / kind, extracts, told, groups)
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Return the figures as a table in Markdown."""
    plain, also = found["without"], found["with"]
    rows = {
        "pair recall, all": ("recall", ".4f"),
        f"pair recall, people who changed a name ({plain['name_changer_pairs']:,} pairs)": (
            "name_changer_recall",
            ".4f",
        ),
        f"pair recall, people of whom a name was noted ({plain['noted_pairs']:,} pairs)": (
            "noted_recall",
            ".4f",
        ),
        "precision, all": ("precision", ".4f"),
        "F1, all": ("f1", ".4f"),
        "best F1, all": ("best_f1", ".4f"),
        "package bytes a subject": ("bytes_a_subject", ",.0f"),
    }
    lines = ["| | without `also` | with `also` |", "|---|---|---|"]
    lines += [f"| {name} | {plain[key]:{form}} | {also[key]:{form}} |" for name, (key, form) in rows.items()]
    for kind in ("seal", "link"):
        seconds = [f"{each['cpu_seconds'][kind]:.1f}" for each in (plain, also)]
        lines.append(f"| processor seconds, {kind} (all agencies) | {' | '.join(seconds)} |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=10_000, help="residents of the invented area")
    parser.add_argument("--profile", default="typical", help="how well agencies record: low, typical or poor")
    parser.add_argument("--noted", type=float, default=0.6, help="chance that an agency noted a name before")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--folder", type=Path, required=True, help="new folder for everything made")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    found = measure(
        options.folder,
        people=options.people,
        profile=options.profile,
        noted=options.noted,
        seed=options.seed,
    )
    print(json.dumps(found) if options.json else table(found))


if __name__ == "__main__":
    main()
