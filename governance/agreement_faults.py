"""Faults of an agreement that a schema cannot express."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from governance.agreement_reading import Fault, Path_
from schemas.errors import IdentityError
from schemas.identity import PublicIdentity
from schemas.scheme import parse_pass

STANDARDS = {"postcode": ("uk", "generic"), "nhs_number": ("nhs", "generic")}
"""Field -> the standards that its values can be read by; other fields have no choice."""

Document = Mapping[str, Any]


def identity_of(owner: str, entry: Mapping[str, Any] | None) -> PublicIdentity | None:
    """Return the public keys that stand under `keys` of a party, None when there are none.

    Raises:
        IdentityError: They are no keys.
    """
    return None if entry is None else PublicIdentity.from_dict({"party": owner, **entry})


def _twice(names: Iterable[Any]) -> dict[Any, int]:
    """Return each name that stands twice or more, and the number of its last place; in alphabetical order."""
    listed = list(names)
    last = {name: number for number, name in enumerate(listed)}
    return {name: last[name] for name, count in sorted(Counter(listed).items()) if count > 1}


def _ids(document: Document) -> Iterator[Fault]:
    ids = [party["id"] for party in document["parties"]]
    for name, number in _twice(ids).items():
        yield Fault(path=("parties",), message=f"the id {name} stands twice.", at=("parties", number, "id"))
    if document["linkage_unit"]["id"] in ids:
        yield Fault(path=("linkage_unit", "id"), message="the linkage unit must not be one of the parties.")
    operator = document["linkage_unit"].get("operated_by")
    if operator is not None and operator not in ids:
        yield Fault(path=("linkage_unit", "operated_by"), message="is no party to this agreement.")


def _owners(document: Document) -> list[tuple[Path_, Mapping[str, Any]]]:
    parties = document["parties"]
    found: list[tuple[Path_, Mapping[str, Any]]] = [
        (("parties", n), party) for n, party in enumerate(parties)
    ]
    return [*found, (("linkage_unit",), document["linkage_unit"])]


def _shared_keys(document: Document) -> Iterator[Fault]:
    """Two parties with one key would count as two where there is one, and could read each other's packages."""
    for kind in ("signing_key", "receiving_key"):
        held = [(path, each["id"], each["keys"][kind]) for path, each in _owners(document) if "keys" in each]
        shared = _twice(text for _, _, text in held)
        doubled = sorted({owner for _, owner, text in held if text in shared})
        if doubled:
            message = f"{' and '.join(doubled)} have the same {kind.replace('_', ' ')}."
            last = held[max(shared.values())][0]
            rule = "D03" if kind == "signing_key" else "D01"
            yield Fault(path=("keys",), message=message, at=(*last, "keys", kind), rule=rule)


def _keys(document: Document) -> Iterator[Fault]:
    for path, owner in _owners(document):
        entry = owner.get("keys")
        if entry is not None and entry.get("party", owner["id"]) != owner["id"]:
            yield Fault(path=(*path, "keys", "party"), message=f"is not the id {owner['id']}.")
            continue
        try:
            identity_of(owner["id"], entry)
        except IdentityError as error:
            yield Fault(path=(*path, "keys"), message=error.message)


def _purposes(document: Document) -> Iterator[Fault]:
    for name, number in _twice(purpose["id"] for purpose in document["purposes"]).items():
        yield Fault(path=("purposes",), message=f"{name} stands twice.", at=("purposes", number))


def _legal(document: Document) -> Iterator[Fault]:
    known = {purpose["id"] for purpose in document["purposes"]}
    for number, party in enumerate(document["parties"]):
        named = [entry["purpose"] for entry in party.get("legal", ())]
        for at, purpose in enumerate(named):
            if purpose not in known:
                yield Fault(path=("parties", number, "legal", at, "purpose"), message="is no agreed purpose.")
        for purpose, at in _twice(named).items():
            legal = ("parties", number, "legal")
            yield Fault(path=legal, message=f"{purpose} stands twice.", at=(*legal, at))


def _fields(document: Document) -> Iterator[Fault]:
    for name, last in _twice(entry["name"] for entry in document["fields"]).items():
        yield Fault(path=("fields",), message=f"{name} stands twice.", at=("fields", last))
    for number, entry in enumerate(document["fields"]):
        known = STANDARDS.get(entry["name"], ())
        if "standard" in entry and entry["standard"] not in known:
            listed = " or ".join(known) or "none for this field"
            yield Fault(path=("fields", number, "standard"), message=f"is not known; known: {listed}.")


def _named_parties(document: Document) -> Iterator[Fault]:
    ids = {party["id"] for party in document["parties"]}
    for number, entry in enumerate(document["fields"]):
        for at, supplier in enumerate(entry.get("suppliers", ())):
            if supplier not in ids:
                yield Fault(
                    path=("fields", number, "suppliers", at), message="is no party to this agreement."
                )
    for number, entry in enumerate(document.get("exceptions", ())):
        if entry["party"] not in ids:
            yield Fault(path=("exceptions", number, "party"), message="is no party to this agreement.")


def _passes(document: Document) -> Iterator[Fault]:
    matched = {entry["name"] for entry in document["fields"] if entry["use"] == "match"}
    for number, text in enumerate(document["sealing"]["passes"]):
        path = ("sealing", "passes", number)
        try:
            unmatched = sorted(parse_pass(text).fields - matched)
        except ValueError as error:
            yield Fault(path=path, message=f"{error}.")
            continue
        if unmatched:
            yield Fault(
                path=path, message=f"is made of {', '.join(unmatched)}, which `fields` does not let match."
            )


def _numbers(document: Document) -> Iterator[Fault]:
    matching = document["matching"]
    if matching["review_from"] > matching["threshold"]:
        yield Fault(path=("matching", "review_from"), message="must not be above matching.threshold.")


def _window(document: Document) -> Iterator[Fault]:
    window, path = document["window"], ("window", "contact_months")
    sent = window.get("contact_months", window["months"])
    if sent < window["months"]:
        yield Fault(path=path, message="must not be fewer than window.months.")
    if sent > window["months"] and not window.get("rolling", False):
        message = "sends contacts that nothing is told of: only window.rolling needs more than window.months."
        yield Fault(path=path, message=message)


def _dates(document: Document) -> Iterator[Fault]:
    if document["in_force"]["from"] > document["in_force"]["to"]:
        yield Fault(path=("in_force", "to"), message="lies before in_force.from.")


def _lists(document: Document) -> Iterator[Fault]:
    for section, name in (("retention", "artefact"), ("exclusions", "kind")):
        for doubled, last in _twice(entry[name] for entry in document.get(section, ())).items():
            yield Fault(path=(section,), message=f"{doubled} stands twice.", at=(section, last))


_CHECKS: tuple[tuple[tuple[Path_, ...], Callable[[Document], Iterator[Fault]]], ...] = (
    ((("parties",), ("linkage_unit",)), _ids),
    ((("parties",), ("linkage_unit",)), _shared_keys),
    ((("parties",), ("linkage_unit",)), _keys),
    ((("purposes",),), _purposes),
    ((("parties",), ("purposes",)), _legal),
    ((("fields",),), _fields),
    ((("parties",), ("fields",), ("exceptions",)), _named_parties),
    ((("fields",), ("sealing", "passes")), _passes),
    ((("matching", "review_from"), ("matching", "threshold")), _numbers),
    ((("window",),), _window),
    ((("in_force",),), _dates),
    ((("retention",), ("exclusions",)), _lists),
)
"""What a check reads, and the check."""


def spoils(fault: Fault, path: Path_) -> bool:
    """Whether what stands at `path`, and below, cannot be judged because of `fault`."""
    if fault.harmless:
        return False
    if fault.missing and len(fault.path) < len(path):
        return fault.path == path[: len(fault.path)] and path[len(fault.path)] in fault.missing
    shorter = min(len(fault.path), len(path))
    return fault.path[:shorter] == path[:shorter]


def cross_faults(document: Document, schema: Iterable[Fault] = ()) -> list[Fault]:
    """Return the faults that a schema cannot express, where none of `schema` stands in the way.

    They leave every value of the right form, so other questions can still be asked.
    """
    known = list(schema)
    return [
        replace(fault, harmless=True)
        for needs, check in _CHECKS
        if not any(spoils(found, path) for found in known for path in needs)
        for fault in check(document)
    ]
