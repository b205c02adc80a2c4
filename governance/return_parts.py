"""The parts of a return beside its main one, homes and worst windows, as the rules on outputs see them (O01, O04)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from governance.agreement import Agreement
from governance.rules.output import OutputSubject

_STRUCTURE = {
    "households": frozenset({"household", "people"}),
    "rolling": frozenset({"whole", "seen_from"}),
}
"""Part -> columns that say nothing by themselves where the agreement lets the part be reported."""


def part_subjects(
    parts: Mapping[str, pa.Table], agreement: Agreement, *, where: str, as_of: date, today: date
) -> list[OutputSubject]:
    """Return the homes and the worst windows of a return as the rules on outputs see them.

    Where the agreement does not let a part be reported, every column of it is one too many (rule O01). Days of homes
    lie in the window. A worst window ends within the months of contacts that are sent (rule O04); its first day may
    lie before them, which its row says.

    Args:
        parts: The tables of the return by part.
        agreement: The agreement it is made under.
        where: Its name, for messages.
        as_of: Last day of its window.
        today: Day of the check.
    """
    permitted = {"households": agreement.households, "rolling": agreement.rolling}
    longer = replace(agreement, months=agreement.contact_months)
    subjects = []
    for part, structure in _STRUCTURE.items():
        if part not in parts:
            continue
        table = parts[part]
        first = _bound(table, "first_date" if part == "households" else "last_date", "min")
        subjects.append(
            OutputSubject(
                where=f"{where}, {part}",
                agreement=agreement if part == "households" else longer,
                today=today,
                columns={
                    name: table.num_rows - table.column(name).null_count
                    for name in table.column_names
                    if not (permitted[part] and name in structure)
                },
                first=first,
                last=_bound(table, "last_date", "max"),
                as_of=as_of,
            )
        )
    return subjects


def _bound(table: pa.Table, column: str, which: str) -> date | None:
    if column not in table.column_names:
        return None
    found: date | None = pc.min_max(table.column(column))[which].as_py()
    return found
