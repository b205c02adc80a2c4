"""Coverage-guided fuzzing with atheris (optional extra `fuzz`).

    python tests/fuzz/fuzz_package.py [CORPUS] -max_total_time=600

The first byte chooses the layer (tests/fuzz/targets.py); the rest replaces the bytes of that layer. Only errors of
the project's own tree may come out, and nothing that no party signed may be accepted.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["schemas"]):
    import targets

LAYERS = targets.layers()
NAMES = sorted(LAYERS)


def seed_corpus(folder: Path) -> None:
    """Write one honest input for each layer and each parser."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(NAMES):
        (folder / f"seed-{name}").write_bytes(bytes([index]) + LAYERS[name].seed)
    (folder / "seed-parsers").write_bytes(bytes([len(NAMES)]) + LAYERS["payload"].seed)


def one_input(data: bytes) -> None:
    """Try one input; raise if it is accepted without a party's signature."""
    if not data:
        return
    choice, body = data[0] % (len(NAMES) + 1), data[1:]
    if choice == len(NAMES):
        targets.parse_anything(body, SCRATCH)
        return
    layer = LAYERS[NAMES[choice]]
    if targets.accepted(layer.package(body), SCRATCH) and body != layer.seed and not layer.may_be_accepted:
        raise AssertionError("a package that nobody signed was accepted")


if __name__ == "__main__":
    memory = Path("/dev/shm")  # noqa: S108 - a folder in memory spares the disk
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        SCRATCH = Path(name) / "input.tally"
        corpus = next((Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")), None)
        seed_corpus(corpus or Path(name) / "corpus")
        arguments = sys.argv if corpus else [*sys.argv, str(Path(name) / "corpus")]
        atheris.Setup(arguments, one_input)
        atheris.Fuzz()
