"""One population, made once: in memory for distributions, on disk for files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from synthetic.generate import synthesise
from synthetic.geography import Dwellings
from synthetic.people import People
from synthetic.population import build_people

TODAY = date(2026, 6, 30)
EVERY_AGENCY = (
    "police",
    "childrens_social_care",
    "adults_social_care",
    "health",
    "fire_and_rescue",
    "education",
    "housing",
    "voluntary_sector",
)


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@dataclass
class Area:
    """A folder that `synthesise` wrote, decoded with its own mapping."""

    folder: Path

    @cached_property
    def mapping(self) -> dict[str, Any]:
        return YAML(typ="safe").load((self.folder / "mapping.yaml").read_text(encoding="utf-8"))["agencies"]

    @cached_property
    def truth(self) -> dict[tuple[str, str], str]:
        return {(row["agency"], row["ref"]): row["person"] for row in read_rows(self.folder / "truth.csv")}

    @cached_property
    def people(self) -> dict[str, dict[str, str]]:
        return {row["person"]: row for row in read_rows(self.folder / "truth" / "truth-people.csv")}

    @cached_property
    def errors(self) -> list[dict[str, str]]:
        return read_rows(self.folder / "truth" / "truth-errors.csv")

    @cached_property
    def extracts(self) -> dict[str, list[dict[str, str]]]:
        """Return the rows of every agency under our column names, dates as ISO and codes as ours."""
        return {name: self._decoded(name) for name in self.mapping}

    def _decoded(self, name: str) -> list[dict[str, str]]:
        described = self.mapping[name]
        ours = {theirs: field for field, theirs in described["columns"].items()}
        rows = []
        for raw in read_rows(self.folder / f"{name}.csv"):
            row = {ours[theirs]: value for theirs, value in raw.items()}
            for field, forms in described["dates"].items():
                if row[field]:
                    row[field] = datetime.strptime(row[field], forms[0]).date().isoformat()
            for field, codes in described["codes"].items():
                row[field] = codes.get(row[field], row[field])
            rows.append(row)
        return rows


@pytest.fixture(scope="session")
def area(tmp_path_factory: pytest.TempPathFactory) -> Area:
    """A typical area of 6,000 people with all eight agencies."""
    folder = tmp_path_factory.mktemp("area") / "typical"
    synthesise(folder, people=6_000, seed=20_260_630, agencies=EVERY_AGENCY)
    return Area(folder)


@pytest.fixture(scope="session")
def chunk() -> tuple[People, Dwellings]:
    """One whole chunk of 50,000 residents, with its dwellings."""
    return build_people(
        np.random.default_rng(5), chunk=3, first=0, residents=50_000, as_of=TODAY, window_days=1096, offset=11
    )


@pytest.fixture(scope="session")
def people(chunk: tuple[People, Dwellings]) -> People:
    """The people of `chunk`."""
    return chunk[0]
