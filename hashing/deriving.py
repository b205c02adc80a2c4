"""Derived values of the distinct values of a field, made beside other work as soon as these are known.

Reading ends with steps that one process does alone: who is one person, which versions are kept, in which order they go.
Derived values depend on none of them, so the thread or the processes that normalised the extract make them meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from hashing import normalise
from hashing.coding import Coded, Codes, encode, in_order
from hashing.reading.normalising import Normalising
from schemas.scheme import DERIVED

_SHORTEST_HALVED = 6
"""Digits of the shortest number whose halves say anything."""


def _halves(values: pa.StringArray) -> dict[str, pa.StringArray]:
    """Return the halves of numbers without a check digit, the longer one last."""
    texts = [text if len(text) >= _SHORTEST_HALVED else None for text in values.to_pylist()]
    return {
        "head": pa.array([text and text[: len(text) // 2] for text in texts], pa.string()),
        "tail": pa.array([text and text[len(text) // 2 :] for text in texts], pa.string()),
    }


def _kinds(field: str, values: pa.StringArray, standards: Mapping[str, str]) -> dict[str, pa.StringArray]:
    match field:
        case "forename" | "surname":
            return normalise.derive_name(values, kind=field)
        case "dob":
            return normalise.derive_date(values)
        case "postcode":
            made = normalise.derive_postcode(
                values, standard="generic" if standards.get("postcode") == "generic" else "uk"
            )
            # A generic postcode too short to have a district would agree at a fine level and not at a coarse one.
            present = pc.is_valid(made["district"])
            return {kind: pc.if_else(present, column, None) for kind, column in made.items()}
        case "address":
            return normalise.derive_address(values)
        case "nhs_number" if standards.get("nhs_number") == "generic":
            return {"exact": values, **_halves(values)}
        case _:
            return {"exact": values}


Tables = dict[str, Coded]
"""Kind -> the derived value of each value of a field."""


def tables_of(field: str, values: pa.StringArray, standards: Mapping[str, str]) -> Tables:
    """Return what the kinds of a field are, but for `exact` where that is the field itself."""
    wanted = {
        kind: made
        for kind, made in _kinds(field, values, standards).items()
        if f"{field}.{kind}" in DERIVED and made is not values
    }
    once = {id(made): encode(made) for made in {id(made): made for made in wanted.values()}.values()}
    return {kind: once[id(made)] for kind, made in wanted.items()}


def longest_first(fields: Mapping[str, Coded]) -> list[str]:
    """Return the fields in the order in which processes that share the work begin with them."""
    return sorted(fields, key=lambda field: -_WORK.get(field, 0) * len(fields[field].values))


_WORK = {"surname": 4, "forename": 4, "address": 1}
"""How long a value takes, about: names have a dozen derived values each."""

_MOST = 1_000_000
"""Values of a field above which it waits its turn: what is made early is held while other large things are."""


def _tables(_rules: object, field: str, values: pa.StringArray, standards: Mapping[str, str]) -> Tables:
    return tables_of(field, values, standards)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """Tables on their way.

    Attributes:
        values: The values of the field as the subjects have them now.
        order: The place of each of them among those that the tables were made of; None where these are the same.
        tables: Waits for the tables.
    """

    values: pa.StringArray
    order: Codes | None
    tables: Callable[[], Tables]


@dataclass(frozen=True, slots=True)
class Deriving:
    """Derived values of the fields of an extract, on their way; nothing where nobody makes them early."""

    _made: Mapping[str, _Made] = field(default_factory=dict)
    _team: Normalising | None = None

    @classmethod
    def begin(cls, team: Normalising, fields: Mapping[str, Coded], standards: Mapping[str, str]) -> Deriving:
        """Have those of `team` make derived values; they end at `close`."""
        chosen = {name: coded for name, coded in fields.items() if 0 < len(coded.values) <= _MOST}
        made = {}
        for name in longest_first(chosen):
            values = chosen[name].values
            tables = team.beside(_tables, name, values, dict(standards))
            if tables is not None:
                made[name] = _Made(values=values, order=None, tables=tables)
        return cls(made, team)

    def renumbered(self, fields: Mapping[str, tuple[Coded, Codes]]) -> Deriving:
        """Return the same for fields whose values were numbered anew.

        Args:
            fields: Field -> its column now, and the place of each value among the ones before.
        """
        return Deriving(
            {
                name: replace(
                    made, values=column.values, order=old if made.order is None else made.order[old]
                )
                for name, (column, old) in fields.items()
                if (made := self._made.get(name)) is not None
            },
            self._team,
        )

    def tables(self, name: str, values: pa.StringArray) -> Tables | None:
        """Wait for the tables of a field, and return them; None when nobody makes them of these very values.

        Raises:
            OutputError: A process that shares the work was ended from outside.
        """
        made = self._made.get(name)
        if made is None or made.values is not values:
            return None
        tables = made.tables()
        if made.order is None:
            return tables
        return {kind: _ordered(table, made.order) for kind, table in tables.items()}

    def close(self) -> None:
        """End those who make them, whether they are done or not."""
        if self._team is not None:
            self._team.close()


def _ordered(table: Coded, order: Codes) -> Coded:
    """Return the derived values of values in another order, numbered as if they had been made of these."""
    codes, old = in_order(table.codes[order], len(table.values))
    return Coded(codes=codes, values=table.values.take(pa.array(old)))
