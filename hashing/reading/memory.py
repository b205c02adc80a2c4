"""Memory that is free goes back to the system, so that a stage does not come on top of what the last one used."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa


def give_back() -> None:
    """Return what the allocators keep for later: Arrow's pool, and on glibc the C heap (malloc_trim(3))."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
