"""The audit log: append-only entries under a Merkle tree, with signed checkpoints that other parties keep."""
