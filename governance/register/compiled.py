"""The register as JSON beside its YAML, which takes a command seventy times as long to read.

`gateways.yaml` is the register; `gateways.json` holds the same values and the digest of the text that they were made
from. Where somebody corrected the YAML the digests differ, and the JSON is not used. It is made by:
python -m governance.register
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from schemas.canonical import bytes_digest

YAML, JSON = "gateways.yaml", "gateways.json"


def compiled(text: str, document: dict[str, Any]) -> str:
    """Return what `gateways.json` has to hold for the YAML `text`, which holds `document`."""
    return json.dumps({"of": bytes_digest(text.encode()), "document": document}, ensure_ascii=False) + "\n"


def document_of(text: str, made: str) -> dict[str, Any] | None:
    """Return the document of the YAML `text` from `made`, or None when that was made from another text."""
    try:
        value = json.loads(made)
        return value["document"] if value["of"] == bytes_digest(text.encode()) else None
    except (ValueError, LookupError, TypeError):
        return None


def shipped() -> tuple[str, dict[str, Any] | None]:
    """Return the text of the register that comes with this release, and its document where the JSON beside it fits."""
    folder = resources.files("governance.register")
    text = folder.joinpath(YAML).read_text(encoding="utf-8")
    beside = folder.joinpath(JSON)
    return text, document_of(text, beside.read_text(encoding="utf-8")) if beside.is_file() else None
