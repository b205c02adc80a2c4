"""Make the builders and the generator of the sealing vectors importable; a PostgreSQL server for those who ask."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors" / "sealing"))


def _program(name: str) -> str:
    """Return a program of a PostgreSQL server; Debian keeps them out of the path."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, places)))
    if found is None:
        pytest.skip("no PostgreSQL server is installed")
    return found


def _folder_of_its_user() -> tuple[Path, dict[str, Any]]:
    """Return a new folder, and the user who runs the server in it: it refuses to be run by root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return Path(tempfile.mkdtemp(prefix="pg")), {}
    import pwd

    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL cannot run as root, and there is no user postgres")
    folder = Path(tempfile.mkdtemp(prefix="pg"))  # a folder of the test runner is closed to other users
    os.chown(folder, user.pw_uid, user.pw_gid)
    return folder, {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own on a socket in a temporary folder; its connection string."""
    initdb, control = _program("initdb"), _program("pg_ctl")
    folder, as_user = _folder_of_its_user()
    data = folder / "data"

    def do(*command: str | Path) -> bool:
        with (folder / "said").open("ab") as log:
            return not subprocess.run(
                [str(word) for word in command], stdout=log, stderr=log, cwd=folder, check=False, **as_user
            ).returncode

    try:
        if not do(initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"):
            pytest.skip("initdb does not work here")
        options = (
            f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c timezone=Europe/London"
        )
        if not do(control, "-D", data, "-w", "-t", "20", "-l", folder / "log", "-o", options, "start"):
            pytest.skip("the PostgreSQL server does not start here")
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            do(control, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
