"""The data-sharing agreement: read, check against its schema, and turn into values that every stage obeys.

The document is YAML 1.2 (a plain `NO` stays text, duplicate keys are refused). What is signed and what binds
every package is the digest of its canonical JSON (RFC 8785), so comments and layout may change freely.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from schemas.canonical import digest
from schemas.errors import AgreementInvalid, IdentityError, NotCanonical, NotInForce
from schemas.identity import PublicIdentity
from schemas.scheme import FIELDS, Pass, parse_pass

LARGEST_DOCUMENT = 4 * 1024 * 1024
"""Bytes; an agreement is a document people read, so anything larger is a mistake or an attack."""

STANDARDS = {"postcode": ("uk", "generic"), "nhs_number": ("nhs", "generic")}
"""Field -> the standards that its values can be read by; other fields have no choice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Party:
    """An agency that is party to the agreement."""

    id: str
    agency_type: str
    name: str
    keys: PublicIdentity | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The privacy budget of the passes (docs/spec/sealing-v1.md, section Passes)."""

    d: float
    lambda_: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """A valid agreement. `document` is the whole of it; the rest is what the stages obey."""

    document: Mapping[str, Any]
    digest: str
    id: str
    version: str
    purpose: str
    parties: tuple[Party, ...]
    unit_id: str
    unit_keys: PublicIdentity | None
    match_fields: frozenset[str]
    standards: Mapping[str, str]
    months: int
    minimum_agencies: int
    outputs: frozenset[str]
    passes: tuple[Pass, ...]
    budget: Budget
    crowded_cell: int
    threshold: float
    review_from: float
    largest_cluster: int

    def party(self, party_id: str) -> Party | None:
        """Return the party called `party_id`, or None."""
        return next((party for party in self.parties if party.id == party_id), None)

    @property
    def identities(self) -> dict[str, PublicIdentity]:
        """Public keys of the parties and of the linkage unit, by id, as far as the agreement names them."""
        found = {party.id: party.keys for party in self.parties if party.keys is not None}
        if self.unit_keys is not None:
            found[self.unit_id] = self.unit_keys
        return found


class _TextDates(SafeConstructor):
    """Leaves dates as the text they are, so that canonical JSON has one form of them."""


_TextDates.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


class _NoAliases(Composer):
    """Refuses references to another place: a page of them can stand for more than any memory holds."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.parser.check_event(AliasEvent):
            raise ComposerError(None, None, "alias", self.parser.peek_event().start_mark)
        return super().compose_node(parent, index)


def _kind_of_fault(problem: str) -> str:
    if "duplicate" in problem:
        return "a key stands twice"
    return "references (*name) are not read" if problem == "alias" else "this is not well-formed YAML"


def read_document(path: Path) -> dict[str, Any]:
    """Read an agreement or mapping document: YAML 1.2, no duplicate keys, a mapping at the top.

    Raises:
        AgreementInvalid: The file cannot be read, or is no such document. Names line and column.
    """
    try:
        if path.stat().st_size > LARGEST_DOCUMENT:
            raise AgreementInvalid("the document is larger than 4 MiB.", where=str(path))
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AgreementInvalid(
            f"cannot be read ({error.strerror}).", where=str(path), remedy="Check the path."
        ) from None
    except UnicodeDecodeError:
        raise AgreementInvalid("is not UTF-8 text.", where=str(path), remedy="Save it as UTF-8.") from None
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _TextDates
    yaml.Composer = _NoAliases
    try:
        document = yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(path)
        raise AgreementInvalid(
            f"{_kind_of_fault(str(error.problem))}.", where=where, remedy="Correct that line."
        ) from None
    except (YAMLError, ValueError, RecursionError):
        raise AgreementInvalid("this is not well-formed YAML.", where=str(path)) from None
    if not isinstance(document, dict):
        raise AgreementInvalid("the document must be a list of `name: value` entries.", where=str(path))
    return document


@cache
def _validator() -> Draft202012Validator:
    schema = json.loads(resources.files("schemas").joinpath("agreement-v1.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema, format_checker=FormatChecker())


def _path(parts: Any) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "(top)"


_EXPECTED = {
    "required": "a required entry is missing",
    "additionalProperties": "there is an entry here that the schema does not know (own entries begin with x-)",
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


def schema_faults(document: Mapping[str, Any]) -> list[str]:
    """Return one sentence for every place where `document` departs from the schema; empty when valid."""
    faults = []
    for error in sorted(_validator().iter_errors(document), key=lambda e: list(map(str, e.absolute_path))):
        what = _EXPECTED.get(error.validator, f"the rule “{error.validator}” is broken")
        detail = ""
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            detail = f": {', '.join(missing)}"
        elif error.validator in {"minimum", "maximum", "exclusiveMinimum"}:
            detail = f": the bound is {error.validator_value}"
        elif error.validator == "enum":
            detail = f": {', '.join(map(str, error.validator_value))}"
        faults.append(f"{_path(error.absolute_path)}: {what}{detail}.")
    return faults


def _keys(owner: str, entry: Mapping[str, Any] | None) -> PublicIdentity | None:
    return None if entry is None else PublicIdentity.from_dict({"party": owner, **entry})


def _key_faults(document: Mapping[str, Any]) -> list[str]:
    faults = []
    owners = [(f"parties[{index}]", party) for index, party in enumerate(document["parties"])]
    for path, owner in [*owners, ("linkage_unit", document["linkage_unit"])]:
        entry = owner.get("keys")
        if entry is not None and entry.get("party", owner["id"]) != owner["id"]:
            faults.append(f"{path}.keys.party: is not the id {owner['id']}.")
            continue
        try:
            _keys(owner["id"], entry)
        except IdentityError as error:
            faults.append(f"{path}.keys: {error.message}")
    return faults


def _standard_faults(document: Mapping[str, Any]) -> list[str]:
    """An unknown standard would be taken for the UK one, at some agencies and in some releases."""
    faults = []
    for index, entry in enumerate(document["fields"]):
        known = STANDARDS.get(entry["name"], ())
        if "standard" in entry and entry["standard"] not in known:
            listed = " or ".join(known) or "none for this field"
            faults.append(f"fields[{index}].standard: is not known; known: {listed}.")
    return faults


def _field_faults(document: Mapping[str, Any]) -> list[str]:
    names = [entry["name"] for entry in document["fields"]]
    matched = {entry["name"] for entry in document["fields"] if entry["use"] == "match"}
    faults = [f"fields: {name} stands twice." for name in sorted({n for n in names if names.count(n) > 1})]
    for index, text in enumerate(document["sealing"]["passes"]):
        try:
            unmatched = sorted(parse_pass(text).fields - matched)
        except ValueError as error:
            faults.append(f"sealing.passes[{index}]: {error}.")
            continue
        if unmatched:
            faults.append(
                f"sealing.passes[{index}]: is made of {', '.join(unmatched)}, which `fields` does not let match."
            )
    return faults


def _shared_keys(document: Mapping[str, Any]) -> list[str]:
    """Two parties with one key would count as two where there is one, and could read each other's packages."""
    faults = []
    owners = [*document["parties"], document["linkage_unit"]]
    for kind in ("signing_key", "receiving_key"):
        held = [(owner["id"], owner["keys"][kind]) for owner in owners if "keys" in owner]
        texts = [text for _, text in held]
        doubled = sorted({owner for owner, text in held if texts.count(text) > 1})
        if doubled:
            faults.append(f"keys: {' and '.join(doubled)} have the same {kind.replace('_', ' ')}.")
    return faults


def _cross_faults(document: Mapping[str, Any]) -> list[str]:
    """Faults that a schema cannot express."""
    faults = []
    ids = [party["id"] for party in document["parties"]]
    faults += [
        f"parties: the id {name} stands twice." for name in sorted({n for n in ids if ids.count(n) > 1})
    ]
    faults += _shared_keys(document)
    if document["linkage_unit"]["id"] in ids:
        faults.append("linkage_unit.id: the linkage unit must not be one of the parties.")
    faults += _key_faults(document) + _field_faults(document) + _standard_faults(document)
    matching, force = document["matching"], document["in_force"]
    if matching["review_from"] > matching["threshold"]:
        faults.append("matching.review_from: must not be above matching.threshold.")
    if force["from"] > force["to"]:
        faults.append("in_force.to: lies before in_force.from.")
    return faults


def parse_agreement(document: Mapping[str, Any], *, where: str = "agreement") -> Agreement:
    """Check `document` and return it as an `Agreement`.

    Raises:
        AgreementInvalid: Names every fault at once, each with its field path.
    """
    faults = schema_faults(document) or _cross_faults(document)
    if faults:
        listed = "\n  ".join(faults)
        raise AgreementInvalid(
            f"the agreement has {len(faults)} fault(s):\n  {listed}",
            where=where,
            remedy="Correct them and run again.",
        )
    matching, sealing, unit = document["matching"], document["sealing"], document["linkage_unit"]
    try:
        document_digest = digest(document)
    except NotCanonical as error:
        raise AgreementInvalid(error.message, where=where, remedy=error.remedy) from None
    return Agreement(
        document=document,
        digest=document_digest,
        id=document["id"],
        version=document["version"],
        purpose=document["purposes"][0]["id"],
        parties=tuple(
            Party(
                id=party["id"],
                agency_type=party["agency_type"],
                name=party.get("name", party["id"].replace("_", " ").title()),
                keys=_keys(party["id"], party.get("keys")),
            )
            for party in document["parties"]
        ),
        unit_id=unit["id"],
        unit_keys=_keys(unit["id"], unit.get("keys")),
        match_fields=frozenset(
            entry["name"]
            for entry in document["fields"]
            if entry["use"] == "match" and entry["name"] in FIELDS
        ),
        standards={entry["name"]: entry["standard"] for entry in document["fields"] if "standard" in entry},
        months=document["window"]["months"],
        minimum_agencies=document["window"]["minimum_agencies"],
        outputs=frozenset(document["outputs"]["allowed"]),
        passes=tuple(parse_pass(text) for text in sealing["passes"]),
        budget=Budget(d=sealing["budget"]["d"], lambda_=sealing["budget"]["lambda"]),
        crowded_cell=sealing.get("crowded_cell", 20),
        threshold=matching["threshold"],
        review_from=matching["review_from"],
        largest_cluster=matching.get("largest_cluster", 50),
    )


def load_agreement(path: Path, *, today: date | None = None) -> Agreement:
    """Read and check the agreement in the file `path`.

    Args:
        path: A YAML 1.2 document.
        today: When given, the agreement must be in force (or a draft) on this day.

    Raises:
        AgreementInvalid: The document has faults.
        NotInForce: It does not bind today.
    """
    agreement = parse_agreement(read_document(path), where=str(path))
    if today is not None:
        require_in_force(agreement, today, where=str(path))
    return agreement


def require_in_force(agreement: Agreement, today: date, *, where: str = "agreement") -> None:
    """Refuse an agreement that is suspended, terminated or outside its dates (rule D02).

    Raises:
        NotInForce: It is not in force on `today`.
    """
    status = agreement.document["status"]
    if status in {"suspended", "terminated"}:
        raise NotInForce(f"D02: the agreement is {status}.", where=where, remedy="Ask its owner.")
    force = agreement.document["in_force"]
    if not force["from"] <= today.isoformat() <= force["to"]:
        raise NotInForce(
            f"D02: the agreement is in force from {force['from']} to {force['to']}, not today.",
            where=where,
            remedy="Renew it, or correct its dates.",
        )
