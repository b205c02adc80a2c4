"""From older schema versions of the agreement to this one, step by step, keeping comments and order.

Version 0 is the form of the first drafts, before the format had a number: no `agreement_schema`, one `purpose` as a
text, `window_months` at the top, and `keep_days` in place of `retention`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from governance.agreement_reading import parse_source, read_text
from governance.agreement_schema import VERSION
from governance.rules.agreement_care import ARTEFACTS
from schemas.errors import AgreementInvalid

Step = Callable[[CommentedMap], list[str]]
"""Changes a document in place from one version to the next; returns a sentence for each thing people should look at."""


def _rename(document: CommentedMap, old: str, new: str, value: Any) -> None:
    """Put `new` where `old` stood, with the comment of `old`."""
    at, comment = list(document).index(old), document.ca.items.get(old)
    del document[old]
    document.insert(at, new, value)
    if comment is not None:
        document.ca.items[new] = comment


def _zero_to_one(document: CommentedMap) -> list[str]:
    notes = []
    if isinstance(document.get("purpose"), str):
        purpose = {
            "id": "safeguarding",
            "kind": "individual_safeguarding",
            "plain_english": document["purpose"],
        }
        _rename(document, "purpose", "purposes", [purpose])
        notes.append("purposes: taken from `purpose`; say of what kind it is, and for which people.")
    if "window_months" in document:
        window = {"months": document["window_months"], "minimum_agencies": 2}
        _rename(document, "window_months", "window", window)
        notes.append("window: taken from `window_months`, for people known to two agencies or more.")
    if "keep_days" in document:
        days = document["keep_days"]
        kept = [{"artefact": name, "days": days, "method": "delete"} for name in ARTEFACTS]
        _rename(document, "keep_days", "retention", kept)
        notes.append("retention: `keep_days` now holds for each artefact; set each on its own.")
    document.insert(0, "agreement_schema", 1)
    return notes


STEPS: Mapping[int, Step] = {0: _zero_to_one}
"""Schema version -> the step to the next one. A new schema version adds its step here, with a test."""


def round_trip() -> YAML:
    """Return a reader and writer that keeps comments, order and quotes; it refuses duplicate keys."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 5000  # a folded key would be hard to compare by eye
    yaml.indent(mapping=2, sequence=2, offset=0)
    return yaml


def edit_text(text: str, change: Callable[[CommentedMap], Any], *, where: str = "agreement") -> str:
    """Return `text` after `change` was made to its document, with every comment kept.

    Raises:
        AgreementInvalid: It is no well-formed document, or a key stands twice.
    """
    source = parse_source(text, where=where, strict=False)
    if source.faults:
        raise AgreementInvalid(source.faults[0].message, where=f"{where}, {source.faults[0].place}")
    yaml, stream = round_trip(), io.StringIO()
    document = yaml.load(text)
    change(document)
    yaml.dump(document, stream)
    return stream.getvalue()


def schema_version(document: Mapping[str, Any], *, where: str = "agreement") -> int:
    """Return the schema version of a document; 0 when it names none.

    Raises:
        AgreementInvalid: It names something that is no version, or one that this release does not know.
    """
    version = document.get("agreement_schema", 0)
    if type(version) is not int or not 0 <= version <= VERSION:
        raise AgreementInvalid(
            f"this release reads agreements up to schema version {VERSION}.",
            where=f"{where}: agreement_schema",
            remedy="Use a newer release of Tallystick, or correct the number.",
        )
    return version


def migrate_text(text: str, *, where: str = "agreement") -> tuple[str, list[str]]:
    """Bring a document to this schema version; return its new text and what people should look at.

    Raises:
        AgreementInvalid: It is no document, of an unknown version, or already of this one.
    """
    version = schema_version(parse_source(text, where=where, strict=False).document, where=where)
    if version == VERSION:
        raise AgreementInvalid(f"is already of schema version {VERSION}.", where=where)
    notes: list[str] = []
    for number in range(version, VERSION):
        step = STEPS[number]
        text = edit_text(text, lambda document, step=step: notes.extend(step(document)), where=where)  # type: ignore[misc]
    return text, notes


def migrate_file(path: Path) -> tuple[str, list[str]]:
    """Migrate the file at `path`, as `migrate_text` does; the file itself stays as it is."""
    return migrate_text(read_text(path), where=str(path))
