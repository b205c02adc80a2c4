"""Identities for the tests, and the forge that stands beside the vectors."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "vectors" / "package"))

from package_forge import AGREEMENT, identities

from schemas.container import Manifest, write_package
from schemas.identity import PrivateIdentity

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def people() -> dict[str, PrivateIdentity]:
    """Police, health, the unit and a stranger, with the published test keys."""
    return identities()


@pytest.fixture
def written(tmp_path: Path, people: dict[str, PrivateIdentity]) -> Any:
    """Write a package from police to the unit; keyword arguments replace the usual ones."""

    def write(**changes: Any) -> tuple[Path, Manifest]:
        target = tmp_path / "package.tally"
        values: dict[str, Any] = {
            "kind": "sealed",
            "sender": people["police"],
            "recipient": people["unit"].public,
            "agreement_digest": AGREEMENT,
            "run_id": "2026-06",
            "purpose": "safeguarding",
            "created_at": NOW,
            "counts": {"rows": 3},
            "facts": {"key_check": "right"},
            "parts": [("raw", "application/octet-stream", [b"abc", b"", b"def"])],
        }
        return target, write_package(target, **{**values, **changes})

    return write
