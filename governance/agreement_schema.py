"""Where a document departs from the agreement's JSON Schema, one sentence a place and no value repeated."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from governance.agreement_reading import Fault, Path_

VERSION = 1
"""The schema version that this release reads (`agreement_schema`)."""

_EXPECTED = {
    "enum": "the value is not one of the allowed ones",
    "const": "the value is not the one that this version requires",
    "type": "the value is of the wrong type",
    "pattern": "the value does not have the required form",
    "format": "the value does not have the required form",
    "minItems": "the list is too short",
    "maxItems": "the list is too long",
    "minimum": "the number is too small",
    "maximum": "the number is too large",
    "exclusiveMinimum": "the number is too small",
    "minLength": "the text is too short",
    "maxLength": "the text is too long",
    "uniqueItems": "the list repeats an entry",
}
_TYPES = {
    "string": "text, in quotes",
    "integer": "a whole number, without quotes",
    "number": "a number, without quotes",
    "boolean": "true or false, without quotes",
    "array": "a list",
    "object": "entries of the form `name: value`",
}
"""Type in the schema -> what a person has to write."""

FORMS = {
    r"^\d+\.\d+\.\d+$": 'three numbers, in quotes, like "1.0.0"',
    r"^[a-z0-9-]+$": "small letters, digits and hyphens",
    r"^([A-Z]\d{2}|x-[a-z0-9-]{1,40})$": "the id of a rule, like P12",
    r"^[a-z0-9][a-z0-9_-]{0,62}$": "small letters, digits, - and _ without spaces, like linkage-unit",
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$": "a day as year, month, day, like 2026-11-22",
    r'^(https?://[^\s<>"]+|TODO.*)$': "an address that begins with https://",
    r"^sch[18]-para-[0-9]{1,2}[a-z]?$": "schedule and paragraph, like sch1-para-18",
    "date": "a day that there is in the calendar, like 2026-11-22",
}
"""Pattern or format in the schema -> the same in words."""

_BOUNDS = {"minimum", "maximum", "exclusiveMinimum"}


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Read `$` as ECMA-262 does, at the very end: Python's own also lets a line break follow."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError("form")


def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date", raises=ValueError)(_is_date)


@cache
def _validator() -> Any:
    text = resources.files("schemas").joinpath(f"agreement-v{VERSION}.schema.json").read_text("utf-8")
    return extend(Draft202012Validator, {"pattern": _pattern})(json.loads(text), format_checker=_FORMATS)


def _unknown(error: ValidationError, path: Path_) -> Iterator[Fault]:
    known = list(error.schema.get("properties", {}))
    own = "own entries begin with x-" + (" and stand at the top" if path else "")
    for name in error.instance:
        if name in known or (not path and str(name).startswith("x-")):
            continue
        near = difflib.get_close_matches(str(name), known, n=1)
        meant = f"; did you mean {near[0]}?" if near else "."
        message = f"there is an entry here that the schema does not know ({own}){meant}"
        yield Fault(path=path, message=message, at=(*path, str(name)), harmless=True)


def _required(error: ValidationError, path: Path_) -> Fault:
    missing = tuple(name for name in error.validator_value if name not in error.instance)
    active = "then" in error.absolute_schema_path
    what = "a required entry is missing from an active agreement" if active else "a required entry is missing"
    older = "; of an older version? tallystick agreement migrate" if "agreement_schema" in missing else ""
    message = f"{what}: {', '.join(missing)}{older}."
    return Fault(path=path, message=message, missing=missing, harmless=active)


def _faults(error: ValidationError) -> Iterator[Fault]:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        yield _required(error, path)
        return
    if error.validator == "additionalProperties":
        yield from _unknown(error, path)
        return
    detail = ""
    if error.validator in _BOUNDS:
        detail = f": the bound is {error.validator_value}"
    elif error.validator == "enum":
        detail = f": {', '.join(map(str, error.validator_value))}"
    elif error.validator == "type":
        kinds = [error.validator_value] if isinstance(error.validator_value, str) else error.validator_value
        detail = f": write {' or '.join(_TYPES[kind] for kind in kinds if kind in _TYPES)}"
    elif error.validator_value in FORMS:
        detail = f": write {FORMS[error.validator_value]}"
    what = _EXPECTED.get(str(error.validator), f"the rule “{error.validator}” is broken")
    yield Fault(path=path, message=f"{what}{detail}.")


def _nameless(value: Any, path: Path_) -> Iterator[Fault]:
    """Yield a fault where a name is no text: YAML reads 1, ~ and true as something else."""
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            yield Fault(path=path, message="a name must be text; put it in quotes.")
            return
        for name, inner in value.items():
            yield from _nameless(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _nameless(inner, (*path, number))


def _with_text_names(value: Any) -> Any:
    """Return a copy with every name as text: JSON has no others, so a JSON Schema cannot judge them."""
    if isinstance(value, Mapping):
        return {str(name): _with_text_names(inner) for name, inner in value.items()}
    return [_with_text_names(inner) for inner in value] if isinstance(value, list) else value


def schema_faults(document: Mapping[str, Any]) -> list[Fault]:
    """Return one fault for every place where `document` departs from the schema; empty when valid.

    An unknown entry is not named, since anything may have been pasted there; `at` finds its line.
    """
    errors = _validator().iter_errors(_with_text_names(document))
    found = [*_nameless(document, ()), *(fault for error in errors for fault in _faults(error))]
    return sorted(dict.fromkeys(found), key=lambda fault: [str(part) for part in fault.path])
