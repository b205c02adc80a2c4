"""Keys are opened beside other work: told first, never under a fork, and nobody is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path
from threading import Event

import pytest

from hashing import unlocking
from hashing.secret import Ceremony, LinkageSecret, save_secret
from hashing.unlocking import Unlocking
from schemas.errors import InputError, KeyFileInvalid, WrongPassphrase
from schemas.identity import PrivateIdentity, save_identity

WORDS = b"for tests"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A key file and a linkage secret under one passphrase."""
    ceremony = Ceremony(
        agreement_digest="sha256:" + "0" * 64,
        epoch=1,
        parties=("health", "police"),
        starts_on=date(2026, 11, 1),
        expires_on=date(2027, 10, 31),
    )
    save_identity(PrivateIdentity.generate("police"), tmp_path / "a.key", WORDS, "tests-only")
    secret = LinkageSecret(ceremony=ceremony, value=bytes(32))
    save_secret(secret, tmp_path / "a.secret", WORDS, "tests-only")
    return tmp_path / "a.key", tmp_path / "a.secret"


def _left_behind() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "keys"]


def test_keys_are_opened_beside_the_block(files: tuple[Path, Path]) -> None:
    """Both come out, and the thread that asked for them may still use every core."""
    before = os.sched_getaffinity(0) if sys.platform == "linux" else None
    with Unlocking(*files, WORDS) as opening:
        identity, secret = opening.result()
    assert identity.party == "police"
    assert secret.ceremony.parties == ("health", "police")
    assert before == (os.sched_getaffinity(0) if sys.platform == "linux" else None)
    assert not _left_behind()


def test_both_are_opened_one_after_the_other(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL's Argon2id would wait for ever with two threads in it: the key file comes first, in the same thread."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(unlocking, "load_identity", lambda *_: seen.append(("key", threading.get_ident())))
    monkeypatch.setattr(unlocking, "load_secret", lambda *_: seen.append(("secret", threading.get_ident())))
    with Unlocking(*files, WORDS) as opening:
        opening.result()
    (first, one), (second, other) = seen
    assert (first, second) == ("key", "secret")
    assert one == other != threading.get_ident()


def test_an_error_of_the_keys_is_told(files: tuple[Path, Path]) -> None:
    """It comes where the keys are asked for, and at the end of a block that never asked."""
    with pytest.raises(WrongPassphrase, match=r"a\.key"), Unlocking(*files, b"wrong") as opening:
        opening.result()
    with pytest.raises(WrongPassphrase, match=r"a\.key"), Unlocking(*files, b"wrong"):
        pass
    key_file, _ = files
    missing = key_file.with_name("none.secret")
    with pytest.raises(KeyFileInvalid, match=r"none\.secret"), Unlocking(key_file, missing, WORDS):
        pass


def test_the_keys_are_told_of_first(files: tuple[Path, Path]) -> None:
    """Of two errors the one of the keys is told, as if they had been opened before; right keys leave the other."""
    with pytest.raises(WrongPassphrase) as told, Unlocking(*files, b"wrong"):
        raise InputError("something else.")
    assert told.value.__suppress_context__
    with pytest.raises(InputError, match="something else"), Unlocking(*files, WORDS):
        raise InputError("something else.")


@pytest.mark.parametrize("words", [WORDS, b"wrong"])
def test_ctrl_c_stays_ctrl_c(files: tuple[Path, Path], words: bytes) -> None:
    """It ends the block as itself, whatever became of the keys, and when the thread has ended."""
    with pytest.raises(KeyboardInterrupt), Unlocking(*files, words):
        raise KeyboardInterrupt
    assert not _left_behind()


def test_two_at_once_take_turns(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A second pair of files waits for the first, since two threads in Argon2id never end."""
    inside, go, order = Event(), Event(), []

    def slowly(*_: object) -> None:
        order.append("in")
        inside.set()
        assert go.wait(60)
        order.append("out")

    monkeypatch.setattr(unlocking, "load_identity", slowly)
    monkeypatch.setattr(unlocking, "load_secret", lambda *_: None)
    with Unlocking(*files, WORDS), Unlocking(*files, WORDS):
        assert inside.wait(60)
        go.set()
    assert order == ["in", "out", "in", "out"]


_FORK = """
import os
from pathlib import Path
from threading import Event
import hashing.unlocking as unlocking

inside, forking, forked, order = Event(), Event(), Event(), []

def opening(*_):
    inside.set()
    forking.wait(60)
    forked.wait(0.5)
    order.append("opened")

unlocking.load_identity, unlocking.load_secret = opening, lambda *_: None
with unlocking.Unlocking(Path("a"), Path("b"), None):
    inside.wait(60)
    os.register_at_fork(before=forking.set)  # runs before what was registered earlier
    child = os.fork()
    if child == 0:
        with unlocking._in_openssl:  # open in the child as well
            os._exit(7)
    order.append("forked")
    forked.set()
    _, status = os.waitpid(child, 0)
print(*order, os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_no_process_is_forked_meanwhile() -> None:
    """A fork waits until the thread is out of OpenSSL; the forked process could use it at once."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _FORK], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == ["opened", "forked", "7"]
