"""Make, or with --check compare, the vectors of docs/spec/audit-v1.md.

    python tests/vectors/audit/make_audit_vectors.py [--check]

Everything in them is invented and fixed, so that the file comes out the same to the byte.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from governance.audit.checkpoint import Checkpoint, sign_checkpoint
from governance.audit.entry import Artefact, Event
from governance.audit.log import AuditLog
from governance.audit.merkle import leaf_hash, range_roots
from governance.audit.proof import proof_bytes, prove_consistency, prove_inclusion
from governance.audit.salts import subject_of_ref
from schemas.identity import PrivateIdentity

FILE = Path(__file__).with_name("v1.json")
LOG_ID = "000102030405060708090a0b0c0d0e0f"
START = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
REF = "CASE-0001"


def signer(party: str = "police", seed: int = 1) -> PrivateIdentity:
    """Return the identity with fixed keys that signs; its keys are public, so it signs nothing real."""
    return PrivateIdentity(
        party=party,
        signing_seed=bytes([seed] * 32),
        mlkem_seed=bytes([seed] * 64),
        x25519_key=bytes([seed] * 32),
    )


def _event(at: int) -> Event:
    access = {
        "user": "a.analyst",
        "organisation": "police",
        "purpose": "safeguarding",
        "reason": "Monthly “refresh”",
    }
    return Event(
        **access,
        action="open",
        outcome="done" if at % 2 else "begun",
        of=at if at % 2 else None,
        agreement="sha256:" + "5a" * 32,
        run="2026-11",
        counts={"people": at, "rows": 2 * at} if at % 2 else {},
        artefacts=[Artefact(kind="return", digest="sha256:" + "c3" * 32)],
    )


def build(path: Path) -> AuditLog:
    """Write a log of eight entries, the last of which concerns a person."""
    log = AuditLog.create(path, organisation="police", user="a.analyst", now=START, log_id=LOG_ID)
    for at in range(6):
        log.append(_event(at), now=START + timedelta(minutes=at + 1))
    erase = Event(
        action="erase", user="a.analyst", organisation="police", purpose="safeguarding", reason="Request 12"
    )
    subject = subject_of_ref("police", REF)
    log.append(
        erase, now=START + timedelta(minutes=7), subjects=[subject], random_bytes=lambda n: bytes(range(n))
    )
    return log


def _checkpoint(log: AuditLog, size: int, *, root: bytes | None = None) -> Checkpoint:
    return Checkpoint(
        log=log.log_id,
        organisation="police",
        size=size,
        root=root or range_roots(log.leaves(), [(0, size)])[0],
        time=START + timedelta(hours=size),
    )


def _refused(log: AuditLog) -> list[Mapping[str, Any]]:
    """Return one input for each way of failing, with the class that a reader has to report."""
    lines = [line.decode() for line in log.lines()]
    good = sign_checkpoint(_checkpoint(log, 8), signer())
    inclusion = json.loads(proof_bytes(prove_inclusion(log, 3, 8)))
    moved = [*lines[:3], lines[4], lines[3], *lines[5:]]
    edited = [*lines[:4], lines[4].replace("Monthly", "Weekly "), *lines[5:]]
    return [
        {"class": "truncated", "lines": lines[:7], "checkpoint": good},
        {"class": "edited", "lines": edited, "checkpoint": good},
        {"class": "reordered", "lines": moved, "checkpoint": good},
        {"class": "not an entry", "lines": [*lines[:4], lines[4].replace('"v":1', '"v":2'), *lines[5:]]},
        {"class": "not an entry", "lines": [*lines[:4], lines[4].replace(":null", ": null", 1), *lines[5:]]},
        {"class": "other log", "lines": [lines[0], *(line.replace(LOG_ID, "f" * 32) for line in lines[1:])]},
        {
            "class": "forked",
            "lines": lines,
            "checkpoint": good,
            "other": sign_checkpoint(_checkpoint(log, 8, root=leaf_hash(b"")), signer()),
        },
        {"class": "checkpoint invalid", "checkpoint": good.replace("Entries: 8", "Entries: 7")},
        {"class": "checkpoint invalid", "checkpoint": good.replace("Log: 00", "Log:  00")},
        {"class": "proof invalid", "proof": {**inclusion, "size": 7}, "checkpoint": good},
        {
            "class": "proof invalid",
            "proof": {**inclusion, "hashes": inclusion["hashes"][::-1]},
            "checkpoint": good,
        },
        {
            "class": "proof invalid",
            "proof": {**inclusion, "hashes": inclusion["hashes"][:-1]},
            "checkpoint": good,
        },
    ]


def vectors() -> bytes:
    """Return the bytes of the vector file."""
    with tempfile.TemporaryDirectory() as folder:
        log = build(Path(folder) / "log")
        salt = next(iter(log.salts))
        value = {
            "about": "docs/spec/audit-v1.md; made by make_audit_vectors.py; all invented",
            "signer": signer().public.to_dict(),
            "lines": [line.decode() for line in log.lines()],
            "leaf_hashes": [leaf.hex() for leaf in log.leaves()],
            "roots": [range_roots(log.leaves(), [(0, size)])[0].hex() for size in range(1, 9)],
            "checkpoints": {str(n): sign_checkpoint(_checkpoint(log, n), signer()) for n in (3, 8)},
            "inclusion": [json.loads(proof_bytes(prove_inclusion(log, n, 8))) for n in (0, 3, 7)],
            "consistency": [json.loads(proof_bytes(prove_consistency(log, n, 8))) for n in (3, 4, 8)],
            "commitment": {
                "organisation": "police",
                "ref": REF,
                "salt": salt.salt.hex(),
                "value": salt.value,
            },
            "refused": _refused(log),
        }
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"


if __name__ == "__main__":
    made = vectors()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if FILE.read_bytes() == made else f"{FILE.name} is not what the code makes")
    FILE.write_bytes(made)
