"""Make the builders and the generator of the audit vectors importable."""

from __future__ import annotations

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "vectors" / "audit"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
