"""Compile the kernels when the package is installed or a wheel is made; without a compiler, install without them.

Environment: CC is the compiler's command. TALLYSTICK_WHEEL, such as `win32:win_amd64`, names the platform (as
`sys.platform` writes it) and the tag of a wheel for another machine, for which a compiler that fails or is missing is
an error; `any` leaves the kernels out (docs/guides/releasing.md).
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _building(root: Path) -> ModuleType:
    path = root / "hashing" / "native" / "building.py"
    spec = importlib.util.spec_from_file_location("building", path)
    assert spec is not None  # noqa: S101 - the file is part of the package
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class KernelsHook(BuildHookInterface[Any]):
    """Adds the library of kernels to what is built."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as one for a platform."""
        del version  # an editable install has the library too
        elsewhere = os.environ.get("TALLYSTICK_WHEEL", "")
        if self.target_name != "wheel" or elsewhere == "any":
            return
        platform, _, tag = elsewhere.partition(":")
        building = _building(Path(self.root))
        command = building.compiler()
        if command is None and elsewhere:
            raise OSError("no C compiler was found; name one in CC")
        if command is None:
            self.app.display_warning("No C compiler was found: NumPy will do the work of the kernels.")
            return
        try:
            library = building.compile_kernels(command, platform=platform or sys.platform)
        except (OSError, subprocess.CalledProcessError) as error:
            if elsewhere:
                raise
            said = getattr(error, "stderr", None) or type(error).__name__
            self.app.display_warning(f"The kernels could not be compiled: NumPy will do their work.\n{said}")
            return
        tag = tag or sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"
        build_data["artifacts"].append(library.relative_to(self.root).as_posix())
