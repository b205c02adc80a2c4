"""Read the next batches in a thread while the last one is worked on."""

from __future__ import annotations

from collections.abc import Generator
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

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
