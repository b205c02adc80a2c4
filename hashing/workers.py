"""Who makes batches ahead of the writer: processes that share the work where the system can fork, else threads.

AES and NumPy hold the interpreter's lock for much of their time, so that without kernels a second thread gains nothing;
a second process nearly doubles the rate (docs/adr/0018). Kernels let other threads run (docs/adr/0025).

A forked process sees the digests where they lie and holds no more secrets than the process that forked it. It dies with
that one, and leaves the handling of Ctrl-C to it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from threading import Lock
from typing import Any, TypeVar

from hashing.native.library import kernels
from schemas.errors import OutputError

T = TypeVar("T")

FORK_ROWS = 50_000
"""Versions from which a second process gains more than it takes to start."""

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""

_MOST = 4
"""More processes than this make batches faster than one process can encrypt and write them."""

_shared: Any = None
"""In a forked process: what the work is done on."""


def cores() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def workers_for(rows: int) -> int:
    """Return how many processes are to share the sealing of `rows` versions; 1 means a thread of this process."""
    # Only Linux forks safely beside the threads of Arrow, and can end a process together with its parent.
    return min(cores(), _MOST) if sys.platform == "linux" and rows >= FORK_ROWS else 1


def threads_for(rows: int) -> int:
    """Return how many threads of this process are to share the sealing of `rows` versions, where it is not to fork."""
    return 2 if kernels() is not None and cores() > 1 and rows >= FORK_ROWS else 1


def _begin(shared: Any, parent: int) -> None:
    global _shared  # noqa: PLW0603 - a forked process has this one job
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it died before this one asked to die with it
        os._exit(1)
    _shared = shared


def _do(work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    return work(_shared, *arguments)


def _forked(shared: Any, workers: int) -> Executor | None:
    """Return processes forked from this one, or None where the system cannot: Windows, or no /dev/shm for queues."""
    try:
        return ProcessPoolExecutor(
            workers, mp_context=get_context("fork"), initializer=_begin, initargs=(shared, os.getpid())
        )
    except (
        OSError,
        ImportError,
        NotImplementedError,
        ValueError,
    ):  # ValueError: a system that cannot fork at all
        return None


class Workers:
    """Does work on something large in other processes or in threads; `close` ends them.

    Args:
        shared: What the work is done on: the first argument of every function that is submitted.
        workers: How many.
        apart: Whether a single one is a process too, where the system can fork.
        threads: Whether they are threads in any case.
    """

    def __init__(self, shared: Any, workers: int, *, apart: bool = False, threads: bool = False) -> None:
        self.count = workers
        self._shared = shared
        pool = _forked(shared, workers) if not threads and (workers > 1 or apart) else None
        self._forks = pool is not None
        self._ending, self._ended = Lock(), False
        self._pool: Executor = pool or ThreadPoolExecutor(
            workers if threads else 1, thread_name_prefix="seal"
        )

    def submit(self, work: Callable[..., T], *arguments: Any) -> Future[T]:
        """Have `work(shared, *arguments)` done; in another process, `work` is a function of a module."""
        if not self._forks:
            return self._pool.submit(work, self._shared, *arguments)
        with warnings.catch_warnings():
            # The threads that Python 3.12 warns of are Arrow's and the screen's; a worker calls neither.
            warnings.simplefilter("ignore", DeprecationWarning)
            return self._pool.submit(_do, work, arguments)

    @staticmethod
    def result(future: Future[T]) -> T:
        """Return what was made, when it is.

        Raises:
            OutputError: A process that shares the work was ended from outside.
        """
        try:
            return future.result()
        except BrokenProcessPool:
            raise OutputError(
                "a process that shared the work was ended from outside, often for want of memory.",
                remedy="Close other programs and seal again; nothing was written.",
            ) from None

    def end_with(self, future: Future[Any]) -> None:
        """Let the workers end when this work is done, so that they hold no memory longer."""
        future.add_done_callback(lambda _done: self._end(wait=False))

    def close(self) -> None:
        """End the work, finished or not, and wait until nobody is left."""
        self._end(wait=True)

    def _end(self, *, wait: bool) -> None:
        with self._ending:
            ended, self._ended = self._ended, True
        if not ended:
            self._pool.shutdown(wait=wait, cancel_futures=True)
