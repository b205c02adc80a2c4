"""Coverage-guided fuzzing with atheris (optional extra `fuzz`): packages layer by layer, and every parser.

    make fuzz                                     all of them for FUZZ_SECONDS (60), figures at the end
    python tests/fuzz/fuzz_package.py CORPUS -max_total_time=600 -artifact_prefix=found/

The first byte of an input chooses the target: a layer of a package (tests/fuzz/targets.py), whose bytes the rest
replaces, or a parser, which reads the rest. Only errors of the project's own tree may come out, and nothing that no
party signed may be accepted. An input that breaks this ends the run and is kept. Counts by target and result go to
the file that FUZZ_COUNTS names.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["schemas", "hashing", "governance"]):
    import targets

LAYERS = targets.layers()
CHOICES = (*sorted(LAYERS), *targets.PARSERS)
COUNTS: Counter[str] = Counter()
_WRITE_EVERY = 500


class AcceptedUnsigned(Exception):
    """A package was accepted that no party signed."""


def seed_corpus(folder: Path) -> None:
    """Write honest inputs for each layer and each parser."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = targets.parser_seeds()
    for index, name in enumerate(CHOICES):
        for number, seed in enumerate([LAYERS[name].seed] if name in LAYERS else seeds[name]):
            (folder / f"seed-{name}-{number}").write_bytes(bytes([index]) + seed)


def try_layer(name: str, body: bytes) -> str:
    """Put `body` in the place of a layer; return what happened.

    Raises:
        AcceptedUnsigned: The package was accepted although nobody signed the change.
    """
    layer = LAYERS[name]
    if not targets.accepted(layer.package(body), SCRATCH):
        return "refused"
    if body == layer.seed:
        return "unchanged"
    if not layer.may_be_accepted:
        raise AcceptedUnsigned(name)
    return "accepted, validly signed"


def try_parser(name: str, body: bytes) -> str:
    """Give `body` to a parser; return what happened."""
    return "read" if targets.attempt(name, body, SCRATCH) else "refused"


def one_input(data: bytes) -> None:
    """Try one input."""
    if not data:
        return
    name, body = CHOICES[data[0] % len(CHOICES)], data[1:]
    COUNTS[f"{name}: {try_layer(name, body) if name in LAYERS else try_parser(name, body)}"] += 1
    if COUNTS.total() % _WRITE_EVERY == 0:
        write_counts()


def write_counts() -> None:
    """Write the counts so far; libFuzzer ends the process without asking."""
    if place := os.environ.get("FUZZ_COUNTS"):
        Path(place).write_text(json.dumps(COUNTS), encoding="utf-8")


if __name__ == "__main__":
    memory = Path("/dev/shm")  # noqa: S108 - a folder in memory spares the disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as made:
        SCRATCH = Path(made) / "input.tally"
        corpus = next((Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")), None)
        seed_corpus(corpus or Path(made) / "corpus")
        arguments = sys.argv if corpus else [*sys.argv, str(Path(made) / "corpus")]
        atheris.Setup(arguments, one_input)
        atheris.Fuzz()
