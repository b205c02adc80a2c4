"""What intake refuses in a package that is genuine: numbers and statements that do not bear each other out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.errors import SchemaMismatch, WrongLinkageSecret, WrongNormaliser
from schemas.manifest import Manifest
from schemas.scheme import COMPARISONS, FAMILY_LEVELS, SCHEME


def check_bounds(batch: pa.RecordBatch, bounds: Mapping[str, int], where: str) -> None:
    """Refuse numbers of records that the package does not have: added up, they would mean another agency's."""
    for name, end in bounds.items():
        column = batch.column(name)
        if column.null_count and not batch.schema.field(name).nullable:
            raise SchemaMismatch(f"lacks {column.null_count} number(s) of records.", where=where)
        found = pc.min_max(column).as_py()
        if len(column) > column.null_count and (found["min"] < 0 or found["max"] >= end):
            raise SchemaMismatch("refers to records that the package does not have.", where=where)


def check_counted(manifest: Manifest, where: str) -> None:
    """Refuse aggregates that are not of the shape of `hashing.counts.counts_of`: training relies on them."""
    counted: Any = manifest.facts.get("counted")
    try:
        levels = [counted["levels"][comparison.name] for comparison in COMPARISONS]
        needed = [counted["pairs"], *(counted["family"][level.name] for level in FAMILY_LEVELS)]
        needed += [entry["comparable"] for entry in levels]
        numbers = [*needed, *counted["passes"].values(), *(n for entry in levels for n in entry.values())]
    except (TypeError, KeyError, AttributeError):
        numbers = [None]
    if any(type(number) not in {int, float} or number < 0 for number in numbers):
        raise SchemaMismatch(
            "does not carry the agency's level counts as this release reads them.", where=where
        )


def check_fellows(manifest: Manifest, first: Manifest | None, where: str) -> None:
    """Refuse a package of another scheme, normaliser or linkage secret than the first of the run.

    Raises:
        SchemaMismatch, WrongNormaliser, WrongLinkageSecret: As found.
    """
    if manifest.facts.get("scheme") != SCHEME:
        raise SchemaMismatch("was sealed by another scheme than this release links.", where=where)
    check_counted(manifest, where)
    if first is None:
        return
    if manifest.facts.get("normaliser") != first.facts.get("normaliser"):
        raise WrongNormaliser(
            f"was sealed by another version of the normaliser than the package of {first.sender}.",
            where=where,
            remedy="Let both agencies install the same release and seal again.",
        )
    if manifest.facts.get("key_check") != first.facts.get("key_check"):
        raise WrongLinkageSecret(
            f"was sealed with another linkage secret than the package of {first.sender}.",
            where=where,
            remedy="Let both agencies compare the check value of their secret (tallystick keys show).",
        )


def check_once(batch: pa.RecordBatch, seen: NDArray[np.bool_], where: str) -> None:
    """Refuse a version that stands twice in a pass: its pairs would count twice."""
    version = batch.column("version").to_numpy()
    before = int(np.count_nonzero(seen))
    seen[version] = True
    twice = before + len(version) - int(np.count_nonzero(seen))
    if twice:
        raise SchemaMismatch(f"{twice} version(s) stand twice in one pass.", where=where)


def check_count(found: int, *, versions: int, subjects: int, where: str) -> None:
    """Refuse a package that does not hold the versions, or cannot hold the subjects, that its manifest declares."""
    if found != versions:
        raise SchemaMismatch(f"holds {found} versions where its manifest declares {versions}.", where=where)
    if subjects > versions:  # every subject has a version
        raise SchemaMismatch(f"declares {subjects} subjects and only {versions} versions.", where=where)


def require_contact(con: duckdb.DuckDBPyConnection, where: Mapping[str, str]) -> None:
    """Refuse packages that hold people without a contact, under an agreement that lets none be sealed.

    Args:
        con: The run, after intake.
        where: Agency -> its package.
    """
    rows = con.execute(
        "SELECT agency, count(*) FROM subjects ANTI JOIN contacts USING (subject) GROUP BY agency ORDER BY agency"
    ).fetchall()
    for agency, people in rows:
        raise SchemaMismatch(
            f"holds {people} people without a contact in the window; the agreement lets only the others be sealed.",
            where=where[agency],
            remedy="Ask the agency to seal again.",
        )
