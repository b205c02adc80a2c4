"""Read the next batches, or work on the next one, in a thread while the last one is worked on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")

_DEPTH = 1
_LOOK_UP = 0.1
"""Seconds after which a reader that waits looks whether anybody still wants its batches."""


class _Failed:
    """What the reading thread raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(items: Generator[T, None, None], depth: int = _DEPTH) -> Generator[T, None, None]:
    """Yield `items`, of which up to `depth` are made in advance in another thread.

    An exception of `items` is raised here. When this generator is closed, the thread ends.
    """
    made: Queue[T | _Failed | None] = Queue(depth)
    unwanted = Event()

    def put(item: T | _Failed | None) -> bool:
        while not unwanted.is_set():
            try:
                made.put(item, timeout=_LOOK_UP)
            except Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(None)
        except BaseException as error:
            put(_Failed(error))
        finally:
            items.close()

    thread = Thread(target=work, name="reading", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        unwanted.set()
        thread.join()


def beside(work: Callable[[T], Made], items: Iterable[T]) -> Generator[Made, None, None]:
    """Yield `work(item)` of each item; the next one is worked on in another thread.

    The items are taken in the caller's own thread: the rows of SQLite can be read in no other. What `work` raises is
    raised here. When this generator is closed, the thread ends.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="hashing") as pool:
        last: Future[Made] | None = None
        for item in items:
            coming = pool.submit(work, item)
            if last is not None:
                yield last.result()
            last = coming
        if last is not None:
            yield last.result()
