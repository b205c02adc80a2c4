"""Keep what sealing never uses out of the process: pandas takes longer to load than a small extract to seal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

import pyarrow as pa


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


def without_pandas() -> None:
    """Have Arrow look for pandas now and not find it, unless somebody has loaded it already.

    Arrow loads pandas at the first array that is made of Python or NumPy values, only to ask whether they are pandas'.
    Where pandas is really asked for (`to_pandas`), Arrow looks again and finds it.
    """
    if "pandas" in sys.modules:
        return
    hidden = _Hidden()
    sys.meta_path.insert(0, hidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hidden)
