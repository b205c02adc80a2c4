"""Memory that is freed serves the next array, and goes back to the system when that is asked for."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from hashing.reading.memory import give_back, reuse

glibc = pytest.mark.skipif(
    sys.platform == "win32" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library"
)

_PAGES = """
import resource
import numpy as np
from hashing.reading.memory import reuse
reuse()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def batch():
    held = [np.ones(3 << 17) for _ in range(8)]
batch()
before = faults()
for _ in range(10):
    batch()
print(faults() - before)
"""


@glibc
def test_the_next_array_takes_the_memory_of_the_last() -> None:
    """Ten batches of eight arrays of 3 MB touch fewer new pages than one of them has."""
    done = subprocess.run([sys.executable, "-c", _PAGES], capture_output=True, text=True, check=True)
    assert int(done.stdout) < (24 << 20) / mmap.PAGESIZE


@pytest.mark.parametrize("work", [reuse, give_back])
def test_a_c_library_without_these_functions_is_left_alone(
    work: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On musl, and wherever else there is no such function, nothing happens."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    work()
    assert np.ones(3).sum() == 3
