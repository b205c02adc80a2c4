"""What a seal loads, and when: little before the passphrase is asked for, and never pandas."""

from __future__ import annotations

import gc
import subprocess
import sys
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
