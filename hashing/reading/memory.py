"""Memory that is free goes back to the system, so that a stage does not come on top of what the last one used."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1
"""M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of mallopt(3)."""

_REUSED = 4 << 20
"""Bytes of an array up to which its memory serves the next one; larger ones are given back at once."""

_KEPT = 32 << 20
"""Most bytes that are kept free for the next arrays, until `give_back`."""


def reuse() -> None:
    """On glibc, have arrays of a batch take the memory of those before.

    Left to itself, it gives the memory of most arrays back to the system and takes it anew for the next, page by page:
    0.4 of the 10 CPU seconds of sealing 300,000 subjects (a development figure).
    """
    if sys.platform == "linux":
        option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if option is not None:
            option(_MMAP_THRESHOLD, _REUSED)
            option(_TRIM_THRESHOLD, _KEPT)


def give_back() -> None:
    """Return what the allocators keep for later: Arrow's pool, and on glibc the C heap (malloc_trim(3))."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
