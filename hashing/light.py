"""Keep what sealing never uses out of the process: pandas takes longer to load than a small extract to seal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Hidden(MetaPathFinder):
    """Says that there is no pandas."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(f"{fullname} is hidden", name=fullname)


class _WhenLoaded(MetaPathFinder):
    """Has Arrow look for pandas as soon as somebody loads Arrow."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "pyarrow" else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Looking(spec.loader, self)
        return spec


class _Looking(Loader):
    """Loads Arrow as its own loader does, and has it look for pandas."""

    def __init__(self, loader: Loader, finder: MetaPathFinder) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:  # who asks the module for its files finds the loader that has them
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        with suppress(ValueError):
            sys.meta_path.remove(self._finder)
        _look()


def without_pandas() -> None:
    """Have Arrow look for pandas when it is loaded and not find it, unless somebody has loaded pandas already.

    Arrow loads pandas at the first array that is made of Python or NumPy values, only to ask whether they are pandas'.
    Where pandas is really asked for (`to_pandas`), Arrow looks again and finds it. Arrow itself is not loaded here: it
    takes longer than all that a command needs to read its options and ask for the passphrase.
    """
    if "pyarrow" in sys.modules:
        _look()
    else:
        sys.meta_path.insert(0, _WhenLoaded())


def _look() -> None:
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)
