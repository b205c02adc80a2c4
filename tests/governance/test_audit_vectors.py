"""The audit vectors: made by the code to the byte, and each fault found for its own reason."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors" / "audit"))
import make_audit_vectors

from governance.audit.checkpoint import parse_checkpoint
from governance.audit.log import AuditLog
from governance.audit.proof import parse_proof
from governance.audit.salts import commit, subject_of_ref
from governance.audit.verify import verify_log
from schemas.canonical import canonical_json
from schemas.errors import CheckpointInvalid, NotCanonical, ProofInvalid
from schemas.identity import PublicIdentity

VECTORS: dict[str, Any] = json.loads(make_audit_vectors.FILE.read_bytes())
KNOWN = {"police": PublicIdentity.from_dict(VECTORS["signer"])}


def test_golden() -> None:
    """The file is what the code makes, to the byte."""
    assert make_audit_vectors.FILE.read_bytes() == make_audit_vectors.vectors()


def test_leaves_are_the_lines_without_their_end() -> None:
    """A leaf hash is SHA-256 over a zero byte and the line, by hashlib alone."""
    for line, leaf in zip(VECTORS["lines"], VECTORS["leaf_hashes"], strict=True):
        assert hashlib.sha256(b"\0" + line.rstrip("\n").encode()).hexdigest() == leaf


def test_good_vectors_verify(tmp_path: Path) -> None:
    """Checkpoints and proofs of the vectors verify."""
    made = {int(n): parse_checkpoint(text, KNOWN, where=n) for n, text in VECTORS["checkpoints"].items()}
    assert all(made[n].root.hex() == VECTORS["roots"][n - 1] for n in made)
    for value in VECTORS["inclusion"]:
        parse_proof(canonical_json(value)).verify(made[8])
    parse_proof(canonical_json(VECTORS["consistency"][0])).verify(made[3], made[8])
    (tmp_path / "log").write_text("".join(VECTORS["lines"]), encoding="utf-8", newline="")
    assert verify_log(AuditLog(tmp_path / "log"), [(str(n), made[n]) for n in made]).problems == ()


def test_commitment_vector() -> None:
    """A commitment is the labelled hash of log, salt and subject."""
    given = VECTORS["commitment"]
    subject = subject_of_ref(given["organisation"], given["ref"])
    assert commit(make_audit_vectors.LOG_ID, subject, bytes.fromhex(given["salt"])).value == given["value"]
    assert given["value"] in VECTORS["lines"][-1]


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: case["class"].replace(" ", "-"))
def test_refused_vectors(case: dict[str, Any], tmp_path: Path) -> None:
    """Each faulty vector is refused, and for the reason that its class names."""
    if case["class"] == "checkpoint invalid":
        with pytest.raises(CheckpointInvalid):
            parse_checkpoint(case["checkpoint"], KNOWN, where="vector")
        return
    checkpoints = [
        (name, parse_checkpoint(case[name], KNOWN, where=name))
        for name in ("checkpoint", "other")
        if name in case
    ]
    if case["class"] == "proof invalid":
        with pytest.raises((ProofInvalid, NotCanonical)):
            parse_proof(canonical_json(case["proof"])).verify(checkpoints[0][1])
        return
    (tmp_path / "log").write_text("".join(case["lines"]), encoding="utf-8", newline="")
    problems = verify_log(AuditLog(tmp_path / "log"), checkpoints).problems
    assert case["class"] in {found.kind for found in problems}
