"""The labelled data: synthetic populations of three error profiles, and FEBRL 1 to 4. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.febrl import write_febrl
from synthetic.generate import synthesise

PROFILES = ("low", "typical", "poor")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """A labelled set of extracts.

    Attributes:
        name: Name on the command line and of its plot.
        title: What the page calls it.
        make: Writes extracts, mapping.yaml and truth.csv to a new folder.
        large: Left out unless asked for.
    """

    name: str
    title: str
    make: Callable[[Path], object]
    large: bool = False


def _synthetic(people: int, profile: str, seed: int) -> Dataset:
    return Dataset(
        name=f"{profile}-{people // 1000}k",
        title=f"{people:,} invented residents, five agencies, {profile} errors",
        make=lambda folder: synthesise(folder, people=people, seed=seed, profile=profile),
        large=people > 50_000,
    )


def _febrl(number: int, *, with_number: bool = True) -> Dataset:
    parties = "two agencies" if number == 4 else "one agency"
    return Dataset(
        name=f"febrl{number}" + ("" if with_number else "-no-number"),
        title=f"FEBRL {number}, {parties}" + ("" if with_number else ", without its number"),
        make=lambda folder: write_febrl(number, folder, with_number=with_number),
    )


def all_datasets(*, seed: int) -> dict[str, Dataset]:
    """Return every dataset by name.

    Args:
        seed: Seed of the synthetic populations.
    """
    listed = [
        *(_synthetic(20_000, profile, seed) for profile in PROFILES),
        *(_febrl(number) for number in (1, 2, 3, 4)),
        _febrl(4, with_number=False),
        *(_synthetic(200_000, profile, seed) for profile in PROFILES),
    ]
    return {dataset.name: dataset for dataset in listed}
