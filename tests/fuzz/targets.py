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
from datetime import date
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1] / "vectors" / "package"))

from package_forge import SCHEMA, TABLE_PART, Changes, forge, identities, read_as_unit, seal_for, table_bytes

from governance.agreement import load_agreement
from governance.draft import agreement_yaml, draft_agreement
from hashing.ceremony import Ceremony, contribute, read_commitment, sign_commitment
from hashing.exchange import read_ceremony
from hashing.mapping import load_mapping
from schemas.canonical import canonical_json, parse_canonical, parse_json
from schemas.container import ReplayGuard
from schemas.dsse import parse_envelope
from schemas.errors import TallystickError
from schemas.identity import PublicIdentity, load_identity
from schemas.keyfile import describe_secret_file
from schemas.manifest import parse_manifest
from schemas.tables import ARROW_STREAM

VECTORS = Path(__file__).parents[1] / "vectors" / "package"
PEOPLE = identities()
POLICE, UNIT = PEOPLE["police"], PEOPLE["unit"]
CEREMONY = Ceremony(
    agreement_digest="sha256:" + "1" * 64,
    epoch=1,
    parties=("health", "police"),
    starts_on=date(2026, 1, 1),
    expires_on=date(2026, 12, 31),
)
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


def _commitment(data: bytes) -> None:
    envelope = parse_json(data)
    if isinstance(envelope, dict):
        known = {name: identity.public for name, identity in PEOPLE.items()}
        read_commitment(envelope, known=known, ceremony=CEREMONY)


def _key_file(data: bytes, path: Path) -> None:
    describe_secret_file(path)
    if b"tests-only" in data:  # the other profiles are slow on purpose
        load_identity(path, b"correct horse")


Parser = Callable[[bytes, Path], object]
PARSERS: dict[str, Parser] = {
    "json": lambda data, _: parse_json(data),
    "canonical": lambda data, _: parse_canonical(data),
    "manifest": lambda data, _: parse_manifest(data),
    "envelope": lambda data, _: parse_envelope(parse_json(data)),
    "identity": lambda data, _: PublicIdentity.from_dict(parse_json(data)),
    "commitment": lambda data, _: _commitment(data),
    "key-file": _key_file,
    "ceremony": lambda _, path: read_ceremony(path),
    "register": lambda _, path: ReplayGuard(path),
    "agreement": lambda _, path: load_agreement(path),
    "mapping": lambda _, path: load_mapping(path),
    "package": lambda _, path: read_as_unit(path, PEOPLE, ReplayGuard()),
}
"""Everything that reads a file somebody else wrote; each is given the bytes and a file that holds them."""


def parser_seeds() -> dict[str, list[bytes]]:
    """Return for each parser documents that it reads, for a fuzzer to begin from."""
    envelope = sign_commitment(contribute(CEREMONY, "police", random=lambda size: bytes(range(size))), POLICE)
    manifest = _capture("payload")
    ceremony = canonical_json({"format": "tallystick-ceremony", "version": 1, "ceremony": CEREMONY.to_dict()})
    register = {"format": "tallystick-replay-register", "version": 1, "seen": ["sha256:" + "0" * 64, "[]"]}
    parties = {"police": "police", "health": "health"}
    drafted = draft_agreement(
        parties=parties, passes=("nhs_number", "dob+name_set"), today=date(2026, 6, 30), unit_id="unit"
    )
    identity = canonical_json(dict(POLICE.public.to_dict()))
    return {
        "json": [manifest],
        "canonical": [manifest],
        "manifest": [manifest],
        "envelope": [canonical_json(envelope)],
        "identity": [identity],
        "commitment": [canonical_json(envelope)],
        "key-file": [(VECTORS / "police.key").read_bytes()],
        "ceremony": [ceremony],
        "register": [canonical_json(register)],
        "agreement": [agreement_yaml(drafted).encode()],
        "mapping": [MAPPING.encode()],
        "package": [(VECTORS / name).read_bytes() for name in ("good.tally", "no-schema.tally")],
    }


MAPPING = """\
agencies:
  police:
    agency_type: police
    columns: {ref: NOMINAL_ID, forename: FIRST, surname: LAST, dob: BORN}
    dates: {dob: ["%d/%m/%Y", "%Y%m%d"]}
    codes: {sex: {"1": M, "2": F}}
    standards: {postcode: uk}
    constants: {contact_type: custody}
    delimiter: ";"
"""


def attempt(name: str, data: bytes, path: Path) -> bool:
    """Give `data` to a parser; return whether it was read. Errors outside the project's tree pass through."""
    path.write_bytes(data)
    try:
        PARSERS[name](data, path)
    except TallystickError:
        return False
    return True


def parse_anything(data: bytes, path: Path) -> None:
    """Give the same bytes to every parser."""
    for name in PARSERS:
        attempt(name, data, path)
