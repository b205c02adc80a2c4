"""What a seal loads, and when: little before the passphrase is asked for, and never pandas."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from schemas.terminal import loading


def _runs(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_is_there_without_arrow() -> None:
    """Neither Arrow, NumPy nor the JSON Schema library is loaded to read the options and ask for the passphrase."""
    _runs(
        "import sys, cli\n"
        "assert cli.main.get_command(None, 'seal').name == 'seal'\n"
        "import hashing.order, hashing.unlocking, governance.lifecycle.request_register\n"
        "found = {'pyarrow', 'numpy', 'jsonschema', 'rich', 'pandas'} & set(sys.modules)\n"
        "assert not found, found\n"
    )


@pytest.mark.parametrize("early", ["", "import pyarrow as pa\n"])
def test_arrow_looks_for_pandas_once_and_finds_none(early: str) -> None:
    """Whoever loads Arrow first, an array of Python values loads no pandas, and Arrow is loaded as ever."""
    _runs(
        f"import sys\n{early}import hashing\n"
        "import pyarrow as pa\n"
        "pa.array([1])\n"
        "assert 'pandas' not in sys.modules\n"
        "assert type(pa.__spec__.loader).__module__ != 'hashing.light'\n"
        "assert pa.__spec__.loader is pa.__loader__\n"
        "assert not [each for each in sys.meta_path if type(each).__module__ == 'hashing.light']\n"
        "assert list(pa.table({'a': [1]}).to_pandas()['a']) == [1]\n"
    )


def test_asking_whether_arrow_is_there_changes_nothing() -> None:
    """Who looks for Arrow without loading it leaves it to be loaded without pandas."""
    _runs(
        "import sys, hashing\n"
        "from importlib.util import find_spec\n"
        "assert find_spec('pyarrow') is not None and find_spec('no_such_module') is None\n"
        "import pyarrow as pa\n"
        "pa.array([1])\n"
        "assert 'pandas' not in sys.modules\n"
    )


@pytest.mark.parametrize("on", [True, False])
def test_garbage_is_left_alone_only_while_loading(on: bool) -> None:
    """The collector is as it was afterwards, also when a module cannot be loaded."""
    before = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        seen = []
        with suppress(ModuleNotFoundError), loading():
            seen.append(gc.isenabled())
            made = [[] for _ in range(100_000)]
            raise ModuleNotFoundError
        assert [*seen, gc.isenabled()] == [False, on]
        assert gc.get_count()[0] < len(made)
        assert gc.get_freeze_count() == 0
    finally:
        (gc.enable if before else gc.disable)()


@pytest.mark.parametrize(("loads", "left"), [("json", True), ("duckdb", False)])
def test_the_end_looks_for_no_garbage(loads: str, left: bool) -> None:
    """What is left ends with the process, unless DuckDB is there, which complains of what it made."""
    code = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"  # runs last
        f"import {loads}, cli\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (f"{left}\n", "")


def _pressed(*, then: type[Exception] | None) -> None:
    """Press Ctrl-C while modules are loaded; one of them forgets about it, or fails."""
    with loading():
        try:
            signal.raise_signal(signal.SIGINT)
            gc.get_count()  # where Python would raise it at the latest
        except KeyboardInterrupt:
            return
        if then is not None:
            raise then


@pytest.mark.parametrize("then", [None, ModuleNotFoundError])
def test_ctrl_c_while_modules_are_loaded_is_not_lost(then: type[Exception] | None) -> None:
    """It is told when they are loaded, though one of them may take it for an error of its own and go on."""
    with pytest.raises(KeyboardInterrupt):
        _pressed(then=then)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert gc.isenabled()


def test_loading_leaves_others_their_answer_to_ctrl_c() -> None:
    """Where somebody else answers it, nothing is changed; nor in a thread, which may not answer it."""
    answered: list[int] = []

    def load() -> None:
        with loading():
            answered.append(0)

    before = signal.signal(signal.SIGINT, lambda number, _frame: answered.append(number))
    try:
        with loading():
            signal.raise_signal(signal.SIGINT)
            assert answered == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    assert answered[1:] == [0]
