"""Who normalises the distinct texts of a stream: another thread or other processes beside a large one.

Compiled kernels do most of it and let other threads run. Without them the normalisers hold the interpreter's lock for
much of their time, so that a second thread gains nothing: processes are forked, which have the rules already; texts and
what they normalise to pass through a pipe. They are forked before the first batch is read, when no other thread is at
work in Arrow. Of a small stream the reader itself does it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from hashing import normalise
from hashing.native.library import kernels
from hashing.workers import Workers, threads_for, workers_for

T = TypeVar("T")

Normaliser = Callable[[pa.StringArray], normalise.Normalised]
Others = Callable[[pa.StringArray], list[tuple[str, ...]]]

_AHEAD = 6
"""Pieces of work that may wait for the others: what waits is held in memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What is made of each text of a column.

    Attributes:
        normaliser: Normalises it.
        others: Tells the other names that are written in it.
    """

    normaliser: Normaliser
    others: Others | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruled:
    """What texts normalise to, and place of a text -> the other names in it."""

    result: normalise.Normalised
    beside: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


def ruled(rule: Rule, texts: pa.StringArray) -> Ruled:
    """Apply a rule to texts."""
    named = rule.others(texts) if rule.others is not None else ()
    beside = {place: names for place, names in enumerate(named) if names}
    return Ruled(result=rule.normaliser(texts), beside=beside)


def _of_column(rules: Mapping[str, Rule], name: str, texts: pa.StringArray) -> Ruled:
    return ruled(rules[name], texts)


def _ready(_rules: Mapping[str, Rule]) -> None:
    return None


def _workers(rules: Mapping[str, Rule], rows: int) -> Workers | None:
    if kernels() is not None:
        return Workers(rules, 1, threads=True) if threads_for(rows) > 1 else None
    return Workers(rules, 2) if workers_for(rows) > 1 else None


class Normalising:
    """Normalises texts of columns; `close` ends it.

    Args:
        rules: Column -> its rule.
        rows: Rows that are expected: many are worth a second thread or process.

    Raises:
        OutputError: In `submit` and in what it returns: the second process was ended from outside.
    """

    def __init__(self, rules: Mapping[str, Rule], rows: int) -> None:
        self._rules = rules
        self._workers = _workers(rules, rows)
        self._running: deque[Future[Ruled]] = deque()
        if self._workers is not None:
            Workers.result(self._workers.submit(_ready))

    def submit(self, name: str, texts: pa.StringArray) -> Callable[[], Ruled]:
        """Have texts of a column normalised; what is returned gives the result, when it is ready."""
        if self._workers is None:
            done = ruled(self._rules[name], texts)
            return lambda: done
        future = self._workers.submit(_of_column, name, texts)
        self._running.append(future)
        if len(self._running) > _AHEAD:
            Workers.result(self._running.popleft())
        return lambda: Workers.result(future)

    def beside(self, work: Callable[..., T], *arguments: Any) -> Callable[[], T] | None:
        """Have other work done by the others, after what they do already; None where there are none.

        Args:
            work: A function of a module; the rules are its first argument.
            arguments: The others.
        """
        if self._workers is None:
            return None
        future = self._workers.submit(work, *arguments)
        return lambda: Workers.result(future)

    def close(self) -> None:
        """End it, whether everything is done or not."""
        if self._workers is not None:
            self._workers.close()
