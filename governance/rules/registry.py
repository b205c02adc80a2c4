"""All rules by id: those that ship, and those that an organisation adds without changing Tallystick.

An organisation adds rules in two ways, both with ids that begin with `x-`:

* a YAML file of bounds (`governance.rules.custom`), named by the environment variable TALLYSTICK_RULES or an option;
* a Python package with an entry point in the group `tallystick.rules`, which yields `(Family, Rule)` pairs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from governance.rules.base import Finding, Moment, Rule, run_rules
from schemas.errors import RulesInvalid

GROUP = "tallystick.rules"
VARIABLE = "TALLYSTICK_RULES"
_OWN_ID = re.compile(r"x-[a-z0-9-]{1,40}")


class Family(Enum):
    """What a rule looks at; its value is the module that holds the shipped rules of the family."""

    AGREEMENT = "governance.rules.agreement"
    PACKAGE = "governance.rules.package"
    LINKAGE = "governance.rules.linkage"
    OUTPUT = "governance.rules.output"
    LOG = "governance.rules.log"


AnyRule = Rule[Any]


@cache
def shipped(family: Family) -> tuple[AnyRule, ...]:
    """Return the rules that ship with Tallystick, in the order of their ids."""
    if find_spec(family.value) is None:
        return ()
    found: Sequence[AnyRule] = import_module(family.value).RULES
    return tuple(sorted(found, key=lambda rule: rule.id))


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    """Return the entry points of the group; looking for them reads every installed package's metadata."""
    return tuple(entry_points(group=GROUP))


def _installed() -> Iterable[tuple[Family, AnyRule]]:
    """Return the rules of installed packages.

    Raises:
        RulesInvalid: An entry point does not yield families and rules.
    """
    for entry in _entry_points():
        provided = entry.load()
        for item in provided() if callable(provided) else provided:
            if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], Rule)):
                raise RulesInvalid(
                    "the entry point does not yield pairs of family and rule.", where=f"{GROUP}: {entry.name}"
                )
            yield Family(item[0]), item[1]


def _bounds(path: Path | None) -> Iterable[tuple[Family, AnyRule]]:
    """Return the rules of a YAML file; what reads them needs Arrow, which `agreement check` otherwise does not."""
    if path is None:
        return ()
    from governance.rules.custom import load_bounds

    return load_bounds(path)


def own_rules(path: Path | None = None) -> dict[Family, tuple[AnyRule, ...]]:
    """Return the organisation's own rules.

    Args:
        path: A YAML file of bounds; the one that TALLYSTICK_RULES names when None, if it is set.

    Raises:
        RulesInvalid: A rule is not well formed, or its id is taken or does not begin with `x-`.
    """
    named = path or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None)
    found: dict[Family, list[AnyRule]] = {family: [] for family in Family}
    seen: set[str] = set()
    for family, rule in [*_installed(), *_bounds(named)]:
        if not _OWN_ID.fullmatch(rule.id) or rule.id in seen:
            raise RulesInvalid(
                "the id of a rule of your own begins with x-, and stands once.",
                where=str(named or GROUP),
                remedy="Use lower-case letters, digits and hyphens, for example x-most-missing.",
            )
        seen.add(rule.id)
        found[family].append(rule)
    return {family: tuple(rules) for family, rules in found.items()}


def all_rules() -> dict[str, tuple[Family, AnyRule]]:
    """Return every shipped rule by id."""
    return {rule.id: (family, rule) for family in Family for rule in shipped(family)}


def findings_of(
    family: Family,
    subject: Any,
    *,
    moment: Moment,
    own: Mapping[Family, tuple[AnyRule, ...]] | None = None,
) -> list[Finding]:
    """Ask the rules of a family that run at `moment`, the organisation's own after the shipped ones."""
    added = (own_rules() if own is None else own).get(family, ())
    return run_rules([*shipped(family), *added], subject, moment=moment)
