"""Make `gateways.json` from `gateways.yaml`: python -m governance.register."""

from __future__ import annotations

from pathlib import Path

from governance.agreement_reading import parse_source
from governance.register.compiled import JSON, YAML, compiled, shipped

if __name__ == "__main__":
    text, _ = shipped()
    made = compiled(text, parse_source(text, where=YAML).document)
    Path(__file__).with_name(JSON).write_text(made, encoding="utf-8", newline="\n")
