"""Open the key file and the linkage secret in a thread, while the command loads and reads what comes next.

Two passphrases are turned into keys (Argon2id), which takes half a second of one core and needs the interpreter only
at its ends; loading modules needs the interpreter all the time. Why this is safe:

* One after the other: OpenSSL's Argon2id waits for ever when two threads of a process run it (tried with 4.0.3).
* No process is forked meanwhile: a fork waits until the thread is out of OpenSSL, whose locks a forked process would
  else find closed for ever. A seal forks for its extract, which it opens when it has the keys.
* Nobody is left behind: the block ends when the thread has, whatever ended it. It is not a daemon thread, so that
  the interpreter does not end under it either.
* The keys are told of first: an error that came meanwhile is told when the keys are right, as if they had been
  opened before anything else.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Self

from hashing.secret import LinkageSecret, load_secret
from schemas.identity import PrivateIdentity, load_identity

Keys = tuple[PrivateIdentity, LinkageSecret]

_in_openssl = Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_in_openssl.acquire, after_in_parent=_in_openssl.release, after_in_child=_in_openssl.release
    )


class Unlocking:
    """Opens the agency's key file and then the linkage secret, while the block runs.

    Args:
        key_file: The agency's key file.
        secret_file: The linkage secret.
        words: Their passphrase; None when they have none.

    Raises:
        KeyFileInvalid, WrongPassphrase, CeremonyError: From `result`, and else at the end of the block: of the key
            file, or else of the linkage secret.
    """

    def __init__(self, key_file: Path, secret_file: Path, words: bytes | None) -> None:
        self._keys: Keys | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._open, args=(key_file, secret_file, words), name="keys")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._thread.join()
        # Ctrl-C and the like are told as what they are.
        stopped = error is not None and not isinstance(error, Exception)
        if self._error is not None and error is not self._error and not stopped:
            raise self._error from None

    def result(self) -> Keys:
        """Wait for the keys and return them."""
        self._thread.join()
        if self._keys is None:
            assert self._error is not None  # noqa: S101 - one of the two is there when the thread has ended
            raise self._error
        return self._keys

    def _open(self, key_file: Path, secret_file: Path, words: bytes | None) -> None:
        _leave_a_core()
        try:
            with _in_openssl:
                self._keys = load_identity(key_file, words), load_secret(secret_file, words)
        except BaseException as error:
            self._error = error


def _leave_a_core() -> None:
    """Keep this thread, and those that Argon2id starts for its four lanes, off one of the cores.

    Else the four of them have four shares of the time where the thread that loads the modules has one.
    """
    if sys.platform != "linux":
        return
    others = sorted(os.sched_getaffinity(0))[1:]
    if others:
        with suppress(OSError):  # the cores that this process may use were changed this moment
            os.sched_setaffinity(0, others)  # of the calling thread and those that it starts
