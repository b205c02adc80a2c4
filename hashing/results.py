"""The rows of an opened return, with the agency's own references and names beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hashing.sending import lead_context
from schemas.errors import Corrupted
from schemas.results import BUSIEST, SAME_HOME, THIS_PERSON, WHO

SHOWN = ("forename", "surname", "dob")
"""Own identifiers shown beside a result."""

RESULT_COLUMNS = (
    "ref",
    *SHOWN,
    "person",
    "agencies",
    "agency",
    "contact_count",
    "first_date",
    "last_date",
    "open_case",
    "lead_contact",
)
"""Columns of every result."""

HOME_COLUMNS = ("home", "people_there")
"""Columns that rows about homes have beside them."""

ROLLING_COLUMNS = ("contacts_seen",)
"""Column that rows about worst windows have beside them."""

_TOLD = ("agency", "contact_count", "first_date", "last_date", "open_case")
_ORDER = {THIS_PERSON: 0, SAME_HOME: 1, BUSIEST: 2}
_TYPES = {
    "person": pa.int32(),
    "agencies": pa.int32(),
    "contact_count": pa.int32(),
    "first_date": pa.date32(),
    "last_date": pa.date32(),
    "open_case": pa.bool_(),
    "home": pa.int32(),
    "people_there": pa.int32(),
}

Row = dict[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Leads:
    """Opens lead contacts, which agencies seal for each other.

    Attributes:
        key: The display key of the run.
        agreement_digest: The agreement.
        run_id: The run.
        where: The return, for messages.
    """

    key: bytes
    agreement_digest: str
    run_id: str
    where: str

    def of(self, table: pa.Table) -> list[str | None]:
        """Return the lead contact of each row, None where it has none.

        Raises:
            Corrupted: One cannot be decrypted.
        """
        cipher = AESGCM(self.key)
        opened: dict[tuple[str, bytes], str] = {}
        result: list[str | None] = []
        for agency, sealed in zip(
            table.column("lead_agency").to_pylist(), table.column("lead_sealed").to_pylist(), strict=True
        ):
            if sealed is not None and (agency, sealed) not in opened:
                opened[(agency, sealed)] = self._opened(cipher, agency or "", sealed)
            result.append(None if sealed is None else opened[(agency, sealed)])
        return result

    def _opened(self, cipher: AESGCM, agency: str, sealed: bytes) -> str:
        try:
            context = lead_context(self.agreement_digest, self.run_id, agency)
            plain = cipher.decrypt(sealed[:12], sealed[12:], context)
            return plain[4 : 4 + int.from_bytes(plain[:4], "big")].decode()
        except (InvalidTag, ValueError):  # too short, or no text: only a dishonest sender makes such
            raise Corrupted(
                "a lead contact cannot be decrypted with this linkage secret.",
                where=self.where,
                remedy="Use the secret that this run was sealed with.",
            ) from None


def own_names(extract_columns: Mapping[str, pa.StringArray]) -> dict[str, dict[str, str | None]]:
    """Return, for each local reference, the identifiers shown; the last row of a reference counts."""
    refs = extract_columns["ref"].to_pylist()
    shown = {name: extract_columns[name].to_pylist() for name in SHOWN if name in extract_columns}
    return {
        ref.strip(): {name: values[row] for name, values in shown.items()}
        for row, ref in enumerate(refs)
        if ref is not None
    }


def columns_of(parts: Mapping[str, pa.Table]) -> tuple[str, ...]:
    """Return the columns of the result of a return with these parts."""
    homes = HOME_COLUMNS if "households" in parts else ()
    rolling = ROLLING_COLUMNS if "rolling" in parts else ()
    kinds = (WHO,) if homes or rolling else ()
    first = 1 + len(SHOWN)
    return (*RESULT_COLUMNS[:first], *kinds, *RESULT_COLUMNS[first:], *homes, *rolling)


def result_table(
    parts: Mapping[str, pa.Table],
    *,
    refs: pa.Table,
    names: Mapping[str, Mapping[str, str | None]],
    leads: Leads,
) -> pa.Table:
    """Return one row for each own reference and each thing told of it; the rows of a reference stand together.

    Args:
        parts: The tables of the return by part.
        refs: The crosswalk.
        names: Local reference -> own identifiers to show.
        leads: Opens the lead contacts.

    Raises:
        Corrupted: A lead contact cannot be decrypted.
    """
    refs_of: dict[int, list[str]] = {}
    for ref, subject in zip(refs.column("ref").to_pylist(), refs.column("subject").to_pylist(), strict=True):
        refs_of.setdefault(subject, []).append(ref)
    told = [
        *_people(parts["contacts"], leads),
        *(_homes(parts["households"], leads) if "households" in parts else ()),
        *(_windows(parts["rolling"]) if "rolling" in parts else ()),
    ]
    rows: list[Row] = [
        {"ref": ref, **{name: names.get(ref, {}).get(name) for name in SHOWN}, **row}
        for subject, row in told
        for ref in refs_of.get(subject, [])
    ]
    columns = columns_of(parts)
    schema = pa.schema([(name, _TYPES.get(name, pa.string())) for name in columns])
    return pa.Table.from_pylist(_sorted(rows), schema=schema)


def _agencies(rows: list[Row], *keys: str) -> dict[tuple[object, ...], int]:
    """Return how many agencies the rows with the same `keys` name."""
    found: dict[tuple[object, ...], set[object]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), set()).add(row["agency"])
    return {key: len(agencies) for key, agencies in found.items()}


def _people(table: pa.Table, leads: Leads) -> Iterator[tuple[int, Row]]:
    """Yield (own subject, row) for each other agency in contact with the same person."""
    rows = table.to_pylist()
    agencies = _agencies(rows, "subject")
    for row, lead in zip(rows, leads.of(table), strict=True):
        if not row["own"]:
            yield (
                row["subject"],
                {
                    WHO: THIS_PERSON,
                    "person": row["person"],
                    "agencies": agencies[(row["subject"],)],
                    **{name: row[name] for name in _TOLD},
                    "lead_contact": lead,
                },
            )


def _homes(table: pa.Table, leads: Leads) -> Iterator[tuple[int, Row]]:
    """Yield (own subject, row) for each other agency in contact with somebody else at a home; the own one counts."""
    rows = table.to_pylist()
    agencies = _agencies(rows, "subject", "household")
    for row, lead in zip(rows, leads.of(table), strict=True):
        yield (
            row["subject"],
            {
                WHO: SAME_HOME,
                "agencies": agencies[(row["subject"], row["household"])] + 1,
                **{name: row[name] for name in _TOLD},
                "lead_contact": lead,
                "home": row["household"],
                "people_there": row["people"],
            },
        )


def _windows(table: pa.Table) -> Iterator[tuple[int, Row]]:
    """Yield (own subject, row) for each worst window: its first and last day, and how much of it was seen."""
    for row in table.to_pylist():
        seen = "all of these months" if row["whole"] else f"only those since {row['seen_from'].isoformat()}"
        yield (
            row["subject"],
            {
                WHO: BUSIEST,
                **{name: row[name] for name in ("agencies", "first_date", "last_date")},
                "contacts_seen": seen,
            },
        )


def _sorted(rows: list[Row]) -> list[Row]:
    """Put the references whose person most agencies know first, and the rows of a reference together."""
    known: dict[object, int] = {}
    for row in rows:
        if row[WHO] == THIS_PERSON:
            known[row["ref"]] = int(str(row["agencies"]))
    return sorted(
        rows,
        key=lambda row: (
            -known.get(row["ref"], 0),
            str(row["ref"]),
            _ORDER[str(row[WHO])],
            int(str(row.get("home") or 0)),
            str(row.get("agency")),
        ),
    )
