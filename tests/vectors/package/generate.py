"""Write the package vectors: one file for each way of failing.

    python tests/vectors/package/generate.py [FOLDER]

The keys in keys.json are for tests only and are made once. Packages are not byte-for-byte reproducible, since
HPKE takes its randomness from the operating system: the bytes in this folder are the vectors.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
from package_forge import AGREEMENT, FOLDER, SCHEMA, TABLE_PART, Changes, forge, identities, table_bytes

from hashing.ceremony import Ceremony, Contribution, check_value, combine
from schemas.canonical import JSON, canonical_json
from schemas.header import HEADER_BYTES, MAGIC
from schemas.identity import PrivateIdentity
from schemas.keyfile import encode_secret_file

ARROW = "application/vnd.apache.arrow.stream"
People = Mapping[str, PrivateIdentity]


@dataclass(frozen=True)
class Vector:
    """One file: its name, the error class it has to meet (None: it opens), why, and how it is made."""

    name: str
    failure: str | None
    why: str
    make: Callable[[People], bytes]
    after: str | None = None


def honest(people: People, **more: object) -> bytes:
    """Return what an honest sender would write, with some fields of the manifest replaced."""
    return forge(sender=people["police"], recipient=people["unit"].public, **more)  # type: ignore[arg-type]


def two_chunks(people: People, changes: Changes) -> bytes:
    """Return a package just longer than one chunk."""
    filler = ("filler", "application/octet-stream", bytes(256 * 1024))
    return honest(people, parts=[(TABLE_PART, ARROW, table_bytes()), filler], changes=changes)


def signed_by(name: str) -> Callable[[People], bytes]:
    """Return a maker of packages that name police as sender and that another key signed."""
    return lambda people: honest(people, changes=Changes(signers=[people[name]]))


def flip(data: bytes, at: int) -> bytes:
    """Flip the lowest bit of one byte."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def with_table(data: bytes) -> Callable[[People], bytes]:
    """Return a maker of packages with this table."""
    return lambda people: honest(people, parts=[(TABLE_PART, ARROW, data)])


def resigned_for_other_content(envelope: dict[str, object]) -> dict[str, object]:
    """Keep the signature and replace the bytes it stands for."""
    return {**envelope, "payload": "e30="}


FACTS = {"key_check": "right", "normaliser": "right"}
OTHER = "sha256:" + "0" * 64
OTHER_SCHEMA = SCHEMA.append(pa.field("free_text", pa.int32()))

VECTORS = (
    Vector("good", None, "an honest package", honest),
    Vector("good-two-chunks", None, "an honest package of two chunks", lambda p: two_chunks(p, Changes())),
    Vector("not-a-package", "NotAPackage", "a text file", lambda _: b"ref,record_date\n1,2026-01-01\n"),
    Vector("sent-as-text", "NotAPackage", "CR LF became LF", lambda p: honest(p).replace(b"\r\n", b"\n")),
    Vector(
        "unsupported-version",
        "UnsupportedVersion",
        "format version 2",
        lambda p: MAGIC + b"\x00\x02" + honest(p)[len(MAGIC) + 2 :],
    ),
    Vector(
        "wrong-recipient",
        "WrongRecipient",
        "encrypted to health, opened by the unit",
        lambda p: forge(sender=p["police"], recipient=p["health"].public),
    ),
    Vector(
        "forwarded",
        "Forwarded",
        "signed for health, who encrypted it anew to the unit",
        lambda p: forge(sender=p["police"], recipient=p["health"].public, sealed_to=p["unit"].public),
    ),
    Vector(
        "re-encrypted",
        "Forwarded",
        "signed for the unit in another package",
        lambda p: honest(p, header_digest=OTHER),
    ),
    Vector("header-altered", "Corrupted", "one bit of the wrapped key", lambda p: flip(honest(p), 100)),
    Vector("commitment-altered", "Corrupted", "one bit of it", lambda p: flip(honest(p), HEADER_BYTES - 1)),
    Vector(
        "bad-signature",
        "BadSignature",
        "the signature stands for other bytes",
        lambda p: honest(p, changes=Changes(envelope=resigned_for_other_content)),  # type: ignore[arg-type]
    ),
    Vector("unknown-signer", "UnknownSigner", "signed with a stranger's key", signed_by("stranger")),
    Vector("signer-not-party", "SignerNotParty", "names police, signed by health", signed_by("health")),
    Vector("unsigned", "ManifestInvalid", "no signature", lambda p: honest(p, changes=Changes(signers=[]))),
    Vector(
        "two-signatures",
        "ManifestInvalid",
        "one signature too many",
        lambda p: honest(p, changes=Changes(signers=[p["police"], p["health"]])),
    ),
    Vector("wrong-kind", "WrongKind", "a return", lambda p: honest(p, kind="return")),
    Vector(
        "wrong-agreement", "WrongAgreement", "another digest", lambda p: honest(p, agreement_digest=OTHER)
    ),
    Vector("wrong-run", "WrongRun", "last month's run", lambda p: honest(p, run_id="2026-05")),
    Vector("wrong-purpose", "WrongPurpose", "research", lambda p: honest(p, purpose="research")),
    Vector(
        "wrong-sender",
        "WrongSender",
        "genuine, from health",
        lambda p: forge(sender=p["health"], recipient=p["unit"].public),
    ),
    Vector("replayed", "Replayed", "a second package of the same run", honest, after="good"),
    Vector("truncated", "Truncated", "the last byte is missing", lambda p: honest(p)[:-1]),
    Vector("truncated-header", "Truncated", "ends in the header", lambda p: honest(p)[:1000]),
    Vector(
        "truncated-at-chunk",
        "Truncated",
        "the final chunk is missing",
        lambda p: two_chunks(p, Changes(frames=lambda frames: frames[:-1])),
    ),
    Vector("trailing-bytes", "TrailingBytes", "one more byte", lambda p: honest(p) + b"\x00"),
    Vector(
        "chunk-reordered",
        "ChunkReordered",
        "the two chunks are swapped",
        lambda p: two_chunks(p, Changes(frames=lambda frames: frames[::-1])),
    ),
    Vector("chunk-altered", "Corrupted", "one bit of a chunk", lambda p: flip(honest(p), HEADER_BYTES + 20)),
    Vector(
        "part-replaced",
        "Corrupted",
        "content that was not signed, encrypted well",
        lambda p: honest(p, changes=Changes(plaintext=lambda data: flip(data, 0))),
    ),
    Vector(
        "extension-field",
        "ManifestInvalid",
        "a field this version does not know",
        lambda p: honest(p, changes=Changes(manifest=lambda fields: {**fields, "x-extra": 1})),
    ),
    Vector(
        "not-canonical",
        "ManifestInvalid",
        "the signed JSON has a space too many",
        lambda p: honest(p, changes=Changes(payload=lambda data: data + b" ")),
    ),
    Vector(
        "duplicate-key",
        "ManifestInvalid",
        "the signed JSON names one field twice",
        lambda p: honest(p, changes=Changes(payload=lambda data: data[:-1] + b',"kind":"sealed"}')),
    ),
    Vector(
        "wrong-linkage-secret",
        "WrongLinkageSecret",
        "another key-check value",
        lambda p: honest(p, facts={**FACTS, "key_check": "wrong"}),
    ),
    Vector(
        "wrong-normaliser",
        "WrongNormaliser",
        "another normaliser",
        lambda p: honest(p, facts={**FACTS, "normaliser": "wrong"}),
    ),
    Vector(
        "manifest-length",
        "ManifestInvalid",
        "the manifest claims to be longer than the package",
        lambda p: honest(p, changes=Changes(plaintext=lambda data: data[:-4] + b"\xff" * 4)),
    ),
    Vector("schema-mismatch", "SchemaMismatch", "one column too many", with_table(table_bytes(OTHER_SCHEMA))),
    Vector("not-arrow", "SchemaMismatch", "the table is no Arrow stream", with_table(b"not a table at all")),
    Vector(
        "no-schema",
        "SchemaMismatch",
        "the table begins with its rows",
        with_table(table_bytes()[table_bytes().index(b"\xff\xff\xff\xff", 4) :]),
    ),
    Vector(
        "decompression-bomb",
        "DecompressionBomb",
        "compressed rows",
        with_table(table_bytes(rows=100_000, compression="zstd")),
    ),
    Vector(
        "more-rows-than-declared", "DecompressionBomb", "5 rows, 4 declared", with_table(table_bytes(rows=5))
    ),
)


def make_keys(folder: Path) -> None:
    """Make the identities of the vectors, once."""
    made = {}
    for name in ("police", "health", "unit", "stranger"):
        raw = PrivateIdentity.generate(name)._secret_bytes()
        made[name] = {
            "party": name,
            "signing_seed": raw[:32].hex(),
            "mlkem_seed": raw[32:96].hex(),
            "x25519_key": raw[96:].hex(),
        }
    note = "TEST KEYS. Published with the source; never use them for anything else."
    (folder / "keys.json").write_text(json.dumps({"note": note, "identities": made}, indent=1) + "\n")


def write_vectors(folder: Path, people: People) -> None:
    """Write every vector and the list of them."""
    for vector in VECTORS:
        (folder / f"{vector.name}.tally").write_bytes(vector.make(people))
    listed = [
        {
            "file": f"{v.name}.tally",
            "failure": v.failure,
            "why": v.why,
            "after": v.after and f"{v.after}.tally",
        }
        for v in VECTORS
    ]
    (folder / "vectors.json").write_bytes(canonical_json(listed) + b"\n")


def write_ceremony(folder: Path) -> None:
    """Write the known answers of the linkage-secret ceremony: contribution n is the bytes n, n + 1, …, n + 31."""
    ceremony = Ceremony(
        agreement_digest="sha256:" + "1" * 64,
        epoch=1,
        parties=("health", "police", "stranger"),
        starts_on=date(2026, 1, 1),
        expires_on=date(2026, 12, 31),
    )
    raw = {party: (bytes(range(n, n + 32)), bytes([n]) * 32) for n, party in enumerate(ceremony.parties)}
    given = [
        Contribution(ceremony=ceremony, party=party, value=value, nonce=nonce)
        for party, (value, nonce) in raw.items()
    ]
    secret = combine(ceremony, commitments=[one.commitment for one in given], contributions=given)
    known: dict[str, JSON] = {
        "ceremony": ceremony.to_dict(),
        "contributions": {
            party: {"value": value.hex(), "nonce": nonce.hex()} for party, (value, nonce) in raw.items()
        },
        "commitments": {one.party: one.commitment.value.hex() for one in given},
        "linkage_secret": secret._value.hex(),
        "check_value": check_value(secret),
        "sealing_key": secret.sealing_key().hex(),
    }
    (folder / "ceremony.json").write_text(json.dumps(known, indent=1) + "\n")


def key_file(people: People) -> bytes:
    """Return police's key file: passphrase `correct horse`, salt of bytes 1, nonce of bytes 2, so always the same."""
    return encode_secret_file(
        holds="identity",
        secret=people["police"]._secret_bytes(),
        public=people["police"].public.to_dict(),
        passphrase=b"correct horse",
        profile="tests-only",
        salt=b"\x01" * 16,
        nonce=b"\x02" * 12,
    )


def write_check(folder: Path, people: People) -> None:
    """Write what `tallystick check` holds the vectors against: unprotected key files, and check.yaml."""
    for name in ("unit", "health"):
        made = encode_secret_file(
            holds="identity",
            secret=people[name]._secret_bytes(),
            public=people[name].public.to_dict(),
            passphrase=None,
            profile="tests-only",
            salt=b"\x01" * 16,
            nonce=b"\x02" * 12,
        )
        (folder / f"{name}.key").write_bytes(made)
    (folder / "check.yaml").write_text(CHECK)


CHECK = f"""# What `tallystick check` holds the vectors against: the reader is the linkage unit. TEST KEYS.
check_version: 1
key: unit.key
parties: [police.key, health.key]
expect:
  kind: sealed
  agreement_digest: {AGREEMENT}
  run: 2026-06
  sender: police
  purpose: safeguarding
  key_check: right
  normaliser: right
tables:
  table: {{subject: int32, block: int64}}
after:
  replayed.tally: [good.tally]
"""


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not (FOLDER / "keys.json").exists():
        make_keys(FOLDER)
    write_vectors(where, identities())
    write_ceremony(where)
    (where / "police.key").write_bytes(key_file(identities()))
    write_check(where, identities())
