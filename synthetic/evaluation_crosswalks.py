"""Crosswalks from files: which reference is which subject of an agency's package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from hashing.extract import read_table
from schemas.container import open_package
from schemas.errors import ExtractError, InputError, WrongRecipient
from schemas.identity import PrivateIdentity
from schemas.payload import CROSSWALK
from schemas.policies import Expectation
from schemas.tables import read_batches
from synthetic.rehearsal import agency_id

Crosswalks = dict[str, dict[str, int]]
"""agency -> reference -> number of its subject in the agency's package, -1 when its rows were unusable."""

_PLAIN = {".csv", ".parquet", ".xlsx"}


def _plain(path: Path) -> Crosswalks:
    """Read a table with the columns ref and subject, and agency where the file is not named after it."""
    table = read_table(path)
    names = {name.strip().lower(): name for name in table.column_names}
    if not {"ref", "subject"} <= names.keys():
        raise ExtractError(
            "the columns ref and subject are missing.",
            where=str(path),
            remedy="A crosswalk table has ref, subject (the number in the package) and, for several agencies, agency.",
        )
    refs = table.column(names["ref"]).to_pylist()
    if "agency" in names:
        agencies = [agency_id(str(name)) for name in table.column(names["agency"]).to_pylist()]
    else:
        agencies = [agency_id(path.stem)] * len(refs)
    found: Crosswalks = {}
    for row, (agency, ref, number) in enumerate(
        zip(agencies, refs, table.column(names["subject"]).to_pylist(), strict=True), start=2
    ):
        try:
            found.setdefault(agency, {})[str(ref).strip()] = int(number)
        except (TypeError, ValueError):
            raise ExtractError(
                f"row {row}: the subject is no whole number.", where=str(path), remedy="Correct the table."
            ) from None
    return found


def _sealed(path: Path, keys: Sequence[PrivateIdentity], run_id: str) -> Crosswalks:
    """Open a crosswalk that `seal` wrote; each is encrypted to its own agency."""
    refused: WrongRecipient | None = None
    for key in keys:
        expect = Expectation(kind="crosswalk", run_id=run_id, sender=key.party)
        try:
            with open_package(
                path, recipient=key, known_senders={key.party: key.public}, expect=expect
            ) as package:
                rows = package.manifest.count("refs")
                table = pa.Table.from_batches(
                    read_batches(package, "refs", schema=CROSSWALK, max_rows=rows), schema=CROSSWALK
                )
        except WrongRecipient as error:  # perhaps the next key
            refused = error
            continue
        pairs = zip(table.column("ref").to_pylist(), table.column("subject").to_pylist(), strict=True)
        return {key.party: dict(pairs)}
    if refused is not None:
        raise refused
    raise InputError(
        "this crosswalk is encrypted to its agency.",
        where=str(path),
        remedy="Name the agency's key file with --key, or give a table with the columns ref and subject.",
    )


def read_crosswalks(
    paths: Sequence[Path], *, subjects: Mapping[str, int], keys: Sequence[PrivateIdentity], run_id: str
) -> Crosswalks:
    """Read crosswalks and check that they fit the run.

    Args:
        paths: Crosswalks that `seal` wrote, or tables (ref, subject and perhaps agency).
        subjects: agency -> number of subjects in the run.
        keys: Key pairs of agencies, for encrypted crosswalks.
        run_id: The run.

    Raises:
        TallystickError: A file cannot be read or opened, or is not of this run.
    """
    found: Crosswalks = {}
    for path in paths:
        read = _plain(path) if path.suffix.lower() in _PLAIN else _sealed(path, keys, run_id)
        for agency, walk in read.items():
            if agency not in subjects:
                raise InputError(
                    f"no package of {agency} is in this run.",
                    where=str(path),
                    remedy="Name a table after its agency, or give it a column agency.",
                )
            if max(walk.values(), default=-1) >= subjects[agency]:
                raise InputError(
                    f"has numbers beyond the subjects that {agency} sent.",
                    where=str(path),
                    remedy="Use the crosswalk that was written together with the package that was linked.",
                )
            found.setdefault(agency, {}).update(walk)
    return found
