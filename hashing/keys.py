"""Keys of one run: everything that is sealed derives from the linkage secret, the agreement and the run.

Derivation is HKDF-SHA-256 (RFC 5869) with versioned, domain-separated labels. `TokenKeys` is an interface, so
that a threshold or OPRF key service can later stand where `RunKeys` stands.
"""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from hashing.cmac import BatchCmac, Blocks
from schemas.labels import encode
from schemas.scheme import DERIVED, Pass

_LABEL = "tallystick/block-sealed/v1/"


class TokenKeys(Protocol):
    """What sealing needs of the keys of a run."""

    def digests(self, name: str, values: pa.StringArray) -> Blocks:
        """Return V_f(x), the CMAC under the field key, for each value of the derived value `name`; shape (n, 2)."""

    def name_set(self) -> tuple[BatchCmac, BatchCmac]:
        """Return the CMACs of a name set: of each of its two names, and of the two together."""

    def block_secret(self, blocking: Pass) -> BatchCmac:
        """Return the CMAC under K_p, which makes block secrets."""

    def block_id(self, blocking: Pass) -> BatchCmac:
        """Return the CMAC that turns block secrets into published block ids."""

    def comparison(self, blocking: Pass) -> BatchCmac:
        """Return the CMAC under K'_p, which makes comparison tokens."""

    def household(self) -> BatchCmac:
        """Return the CMAC that turns digests of addresses into sealed homes."""

    def key_check(self) -> str:
        """Return a value that is equal for equal secrets, agreements and runs, and tells nothing else."""


class RunKeys:
    """The keys of one run, derived from a linkage secret that this process holds.

    Args:
        secret: The linkage secret, 32 bytes.
        agreement_digest: Digest of the agreement the run is under.
        run_id: Identifier of the run.
    """

    __slots__ = ("_key",)

    def __init__(self, *, secret: bytes, agreement_digest: str, run_id: str) -> None:
        info = encode(f"{_LABEL}run", agreement_digest.encode(), run_id.encode())
        self._key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(secret)

    def __repr__(self) -> str:
        return "RunKeys(keys hidden)"

    def _expand(self, label: str, *parts: str, length: int = 32) -> bytes:
        info = encode(_LABEL + label, *(part.encode() for part in parts))
        return HKDFExpand(algorithm=hashes.SHA256(), length=length, info=info).derive(self._key)

    def digests(self, name: str, values: pa.StringArray) -> Blocks:
        """Return V_f(x) for each of `values`; see `TokenKeys.digests`."""
        return BatchCmac(self._expand("field", DERIVED[name].like or name)).mac_texts(values)

    def name_set(self) -> tuple[BatchCmac, BatchCmac]:
        """Return the two CMACs of a name set; see `TokenKeys.name_set`."""
        return BatchCmac(self._expand("name-of-set")), BatchCmac(self._expand("field", "name_set"))

    def block_secret(self, blocking: Pass) -> BatchCmac:
        """Return the CMAC under K_p."""
        return BatchCmac(self._expand("block", blocking.name))

    def block_id(self, blocking: Pass) -> BatchCmac:
        """Return the CMAC for published block ids."""
        return BatchCmac(self._expand("block-id", blocking.name))

    def comparison(self, blocking: Pass) -> BatchCmac:
        """Return the CMAC under K'_p."""
        return BatchCmac(self._expand("comparison", blocking.name))

    def household(self) -> BatchCmac:
        """Return the CMAC for sealed homes."""
        return BatchCmac(self._expand("household"))

    def key_check(self) -> str:
        """Return the key-check value, 128 bits in hexadecimal."""
        return self._expand("key-check", length=16).hex()

    def display_key(self) -> bytes:
        """Return the AES-256-GCM key for text that only agencies may read (lead contacts)."""
        return self._expand("display")
