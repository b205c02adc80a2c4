"""Error profiles: how well the agencies of an area keep their records (`profiles/low.yaml`, `typical`, `poor`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from schemas.errors import InputError

FOLDER = Path(__file__).parent / "profiles"


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Rates as shares of references, between 0 and 1; the files explain each and name its source.

    Attributes:
        name: Name of the profile.
        missing: Share without a value, by field.
        errors: Share with an error, by field and kind of error.
        process: How records are kept up: refreshed, opened earlier, copied forward, miscopied, history.
        duplicates: Share of known people with a second reference, by agency.
        groups: Factor on name and date errors, by group of people.
        sources: Where each rate comes from, by its path in the file.
    """

    name: str
    missing: Mapping[str, float]
    errors: Mapping[str, Mapping[str, float]]
    process: Mapping[str, float]
    duplicates: Mapping[str, float]
    groups: Mapping[str, float]
    sources: Mapping[str, str]


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles that ship with the generator."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load_profile(name: str) -> Profile:
    """Return the profile called `name`.

    Raises:
        InputError: There is no such profile.
    """
    if name not in profile_names():
        raise InputError(
            "there is no such profile.", where="profile", remedy=f"Choose from {', '.join(profile_names())}."
        )
    raw = YAML(typ="safe").load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    process = dict(raw["process"])
    duplicates = process.pop("duplicates")
    sources = {"process.duplicates": str(duplicates["source"])}
    return Profile(
        name=raw["name"],
        missing=_rates(raw["missing"], "missing", sources),
        errors={field: _rates(kinds, f"errors.{field}", sources) for field, kinds in raw["errors"].items()},
        process=_rates(process, "process", sources),
        duplicates={agency: float(rate) for agency, rate in duplicates["rates"].items()},
        groups={group: float(factor) for group, factor in raw["groups"].items()},
        sources=sources,
    )


def _rates(raw: Mapping[str, Any], path: str, sources: dict[str, str]) -> dict[str, float]:
    rates = {}
    for key, entry in raw.items():
        rates[key] = float(entry["rate"])
        sources[f"{path}.{key}"] = str(entry["source"])
    return rates
