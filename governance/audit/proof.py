"""Proof files: that an entry stands in a log, or that a log continues an earlier one, shown without the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from governance.audit.checkpoint import Checkpoint
from governance.audit.entry import MAX_LINE, Entry, parse_line
from governance.audit.log import AuditLog
from governance.audit.merkle import (
    HASH_BYTES,
    consistency_ranges,
    inclusion_ranges,
    leaf_hash,
    range_roots,
    root_from_inclusion,
    roots_from_consistency,
)
from schemas.canonical import JSON, canonical_json, from_base64, parse_json, to_base64
from schemas.errors import AuditError, NotCanonical, ProofInvalid

FORMAT, VERSION = "tallystick-audit-proof", 1
MAX_HASHES = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class InclusionProof:
    """That `entry` is number `entry.n` of the first `size` entries of its log."""

    entry: Entry
    size: int
    path: tuple[bytes, ...]

    def verify(self, checkpoint: Checkpoint) -> None:
        """Compare with a checkpoint whose signature was verified.

        Raises:
            ProofInvalid: It does not show what it claims, or is about another log or size.
        """
        _same(checkpoint, self.entry.log, self.size)
        leaf = leaf_hash(self.entry.to_line()[:-1])
        if root_from_inclusion(self.entry.n, self.size, leaf, self.path) != checkpoint.root:
            raise ProofInvalid("the entry does not stand in the log of this checkpoint.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsistencyProof:
    """That the first `old` of the first `size` entries of the log `log` are the ones they were."""

    log: str
    old: int
    size: int
    path: tuple[bytes, ...]

    def verify(self, earlier: Checkpoint, later: Checkpoint) -> None:
        """Compare with two checkpoints whose signatures were verified.

        Raises:
            ProofInvalid: It does not show what it claims, or is about another log or size.
        """
        _same(earlier, self.log, self.old)
        _same(later, self.log, self.size)
        if roots_from_consistency(self.old, self.size, earlier.root, self.path) != (earlier.root, later.root):
            raise ProofInvalid("the later log does not continue the earlier one: it was rewritten or forked.")


def _same(checkpoint: Checkpoint, log: str, size: int) -> None:
    if checkpoint.log != log:
        raise ProofInvalid("the proof and the checkpoint are of different logs.")
    if checkpoint.size != size:
        raise ProofInvalid(
            f"the proof is about the first {size:,} entries and the checkpoint about the first {checkpoint.size:,}."
        )


def prove_inclusion(log: AuditLog, n: int, size: int) -> InclusionProof:
    """Return the proof that entry `n` is among the first `size` of `log`; memory does not grow with the log.

    Raises:
        ProofInvalid: There are not as many entries.
    """
    try:
        path = range_roots(log.leaves(), inclusion_ranges(n, size))
        entry = parse_line(next(islice(log.lines(), n, None)))
    except (ValueError, StopIteration):
        raise ProofInvalid(
            f"the log has no entry {n} among its first {size:,}.", where=str(log.path)
        ) from None
    return InclusionProof(entry=entry, size=size, path=tuple(path))


def prove_consistency(log: AuditLog, old: int, size: int) -> ConsistencyProof:
    """Return the proof that the first `size` entries of `log` continue the first `old`.

    Raises:
        ProofInvalid: There are not as many entries.
    """
    try:
        path = range_roots(log.leaves(), consistency_ranges(old, size))
    except ValueError:
        raise ProofInvalid(
            f"the log has no {size:,} entries of which {old:,} are the earlier ones.", where=str(log.path)
        ) from None
    return ConsistencyProof(log=log.log_id, old=old, size=size, path=tuple(path))


def proof_bytes(proof: InclusionProof | ConsistencyProof) -> bytes:
    """Return the proof as canonical JSON."""
    head: dict[str, JSON] = {
        "format": FORMAT,
        "version": VERSION,
        "size": proof.size,
        "hashes": [to_base64(each) for each in proof.path],
    }
    if isinstance(proof, InclusionProof):
        return canonical_json({**head, "kind": "inclusion", "entry": proof.entry.to_dict()})
    return canonical_json({**head, "kind": "consistency", "log": proof.log, "old_size": proof.old})


def read_proof(path: Path) -> InclusionProof | ConsistencyProof:
    """Read a proof file.

    Raises:
        ProofInvalid: It is not one.
    """
    try:
        with path.open("rb") as stream:
            return parse_proof(stream.read(2 * MAX_LINE))
    except (OSError, ValueError, KeyError, TypeError, NotCanonical, AuditError):
        raise ProofInvalid(
            "this is not a proof.", where=str(path), remedy="Name a file that `tallystick audit prove` made."
        ) from None


def parse_proof(data: bytes) -> InclusionProof | ConsistencyProof:
    """Read the bytes of a proof.

    Raises:
        ProofInvalid, NotCanonical, AuditError, KeyError, TypeError, ValueError: They are not one.
    """
    value = parse_json(data)
    if not isinstance(value, Mapping) or (value["format"], value["version"]) != (FORMAT, VERSION):
        raise ProofInvalid("this is not a proof of this version.")
    hashes, size = value["hashes"], value["size"]
    if not isinstance(hashes, list) or len(hashes) > MAX_HASHES or type(size) is not int:
        raise ProofInvalid("this is not a proof.")
    path = tuple(from_base64(each) for each in hashes)
    if any(len(each) != HASH_BYTES for each in path):
        raise ProofInvalid("a hash has the wrong length.")
    if value["kind"] == "inclusion":
        entry = parse_line(canonical_json(value["entry"]) + b"\n")
        return InclusionProof(entry=entry, size=size, path=path)
    old = value["old_size"]
    if value["kind"] != "consistency" or type(old) is not int:
        raise ProofInvalid("this is not a proof.")
    return ConsistencyProof(log=str(value["log"]), old=old, size=size, path=path)
