"""What the fuzzers call: each target takes bytes, and only errors of the project's own tree may leave it.

A package has layers, and whoever stands outside one of them can choose its bytes:

    outer       anyone who touches the file: header, frames, ciphertext
    plaintext   the recipient, who knows the file key: everything inside, without a party's signature
    payload     a dishonest party: the signed manifest
    table       a dishonest party: the Arrow stream in a part
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors" / "package"))

from package_forge import SCHEMA, TABLE_PART, Changes, forge, identities, read_as_unit, seal_for, table_bytes

from schemas.canonical import parse_canonical, parse_json
from schemas.container import ReplayGuard
from schemas.dsse import parse_envelope
from schemas.errors import TallystickError
from schemas.identity import PublicIdentity
from schemas.keyfile import load_secret_file
from schemas.manifest import parse_manifest
from schemas.tables import ARROW_STREAM

PEOPLE = identities()
POLICE, UNIT = PEOPLE["police"], PEOPLE["unit"]
# One header for all: the signed manifest names it, so under a fresh one every seed would be refused as forwarded
# and nothing behind that check would be tried.
SEALING = seal_for(UNIT.public)


class Layer(NamedTuple):
    """A layer that a fuzzer mutates: the honest bytes, how a package is made of other bytes, who could do it."""

    seed: bytes
    package: Callable[[bytes], bytes]
    may_be_accepted: bool


def _capture(layer: str) -> bytes:
    kept: list[bytes] = []

    def keep(data: bytes) -> bytes:
        kept.append(data)
        return data

    forge(sender=POLICE, recipient=UNIT.public, sealing=SEALING, changes=Changes(**{layer: keep}))
    return kept[0]


def _with(layer: str) -> Callable[[bytes], bytes]:
    def package(data: bytes) -> bytes:
        changes = Changes(**{layer: lambda _: data})
        return forge(sender=POLICE, recipient=UNIT.public, sealing=SEALING, changes=changes)

    return package


def _with_table(data: bytes) -> bytes:
    return forge(
        sender=POLICE, recipient=UNIT.public, sealing=SEALING, parts=[(TABLE_PART, ARROW_STREAM, data)]
    )


def layers() -> dict[str, Layer]:
    """Return the layers. Only a party's own signature can make a changed package acceptable."""
    return {
        "outer": Layer(
            forge(sender=POLICE, recipient=UNIT.public, sealing=SEALING), lambda data: data, False
        ),
        "plaintext": Layer(_capture("plaintext"), _with("plaintext"), False),
        "payload": Layer(_capture("payload"), _with("payload"), True),
        "table": Layer(table_bytes(SCHEMA), _with_table, True),
    }


def accepted(package: bytes, path: Path) -> bool:
    """Take a package in; return whether it was accepted. Errors outside the project's tree pass through."""
    path.write_bytes(package)
    try:
        read_as_unit(path, PEOPLE, ReplayGuard())
    except TallystickError:
        return False
    return True


def parse_anything(data: bytes, path: Path) -> None:
    """Give the same bytes to every parser."""
    path.write_bytes(data)
    for attempt in (
        lambda: parse_json(data),
        lambda: parse_canonical(data),
        lambda: parse_manifest(data),
        lambda: parse_envelope(parse_json(data)),
        lambda: PublicIdentity.from_dict(parse_json(data)),
        lambda: load_secret_file(path, holds="identity", passphrase=b"x"),
        lambda: read_as_unit(path, PEOPLE, ReplayGuard()),
    ):
        try:
            attempt()
        except TallystickError:
            continue
