"""What changed between two versions of an agreement: what became wider, what narrower, what merely different."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from governance.agreement_reading import Path_, path_text
from schemas.canonical import digest

Document = Mapping[str, Any]


class Direction(Enum):
    """Which way a change goes."""

    WIDER = "wider"
    """More people, data, uses, time or risk than before."""

    NARROWER = "narrower"
    OTHER = "different"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change, in a plain sentence. Texts are named, not quoted."""

    path: Path_
    direction: Direction
    sentence: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {
            "path": path_text(self.path),
            "direction": self.direction.value,
            "sentence": self.sentence,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """All changes between two documents.

    Attributes:
        changes: In the order of the sections.
        signing_needed: Whether the content differs at all, so that the signatures no longer hold.
    """

    changes: tuple[Change, ...]
    signing_needed: bool

    @property
    def wider(self) -> tuple[Change, ...]:
        """The changes that widen the agreement."""
        return tuple(change for change in self.changes if change.direction is Direction.WIDER)


_NUMBERS: tuple[tuple[str, str, str, float | None, bool], ...] = (
    ("window", "months", "the window, in months,", None, True),
    ("window", "minimum_agencies", "the number of agencies from which on a person is reported", None, False),
    ("outputs", "min_cell", "the smallest count shown", 5, False),
    ("outputs", "record_level_k", "the fewest people behind a record-level extract", None, False),
    ("sealing", "crowded_cell", "the size from which on a cell is crowded", 20, True),
    ("sealing", "max_key_age_days", "the longest life of a linkage secret, in days,", 366, True),
    ("matching", "threshold", "the match threshold", None, False),
    ("matching", "review_from", "the probability from which a link is reviewed", None, False),
    ("matching", "largest_cluster", "the most records of one person", 50, True),
)
"""Section, key, words, default, and whether a larger number is wider."""

_SWITCHES = (
    ("window", "rolling", "reporting the worst rolling window"),
    ("outputs", "households", "reporting households"),
    ("transfers", "outside_uk", "transfers outside the United Kingdom"),
)
"""Section, key and words of what true allows."""


def _direction(*, wider: bool) -> Direction:
    return Direction.WIDER if wider else Direction.NARROWER


def _number(path: Path_, words: str, before: Any, after: Any, *, grows: bool) -> Iterator[Change]:
    if before == after:
        return
    if before is None or after is None:
        yield Change(path=path, direction=Direction.OTHER, sentence=f"{words} is now {after or 'not named'}.")
        return
    wider = (after > before) == grows
    yield Change(
        path=path, direction=_direction(wider=wider), sentence=f"{words} goes from {before} to {after}."
    )


def _set(path: Path_, words: str, before: Any, after: Any, *, grows: bool = True) -> Iterator[Change]:
    old, new = set(before or ()), set(after or ())
    for name in sorted(new - old):
        yield Change(path=path, direction=_direction(wider=grows), sentence=f"{words} added: {name}.")
    for name in sorted(old - new):
        yield Change(path=path, direction=_direction(wider=not grows), sentence=f"{words} removed: {name}.")


def _texts(path: Path_, words: str, before: Any, after: Any, *, grows: bool) -> Iterator[Change]:
    """Compare lists of sentences by count: they are too long to repeat."""
    old, new = set(before or ()), set(after or ())
    if added := len(new - old):
        yield Change(path=path, direction=_direction(wider=grows), sentence=f"{words} added: {added}.")
    if removed := len(old - new):
        yield Change(
            path=path, direction=_direction(wider=not grows), sentence=f"{words} removed: {removed}."
        )


def _section(document: Document, name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _by(document: Document, section: str, key: str) -> dict[str, Mapping[str, Any]]:
    return {entry[key]: entry for entry in document.get(section, ())}


def _purposes(before: Document, after: Document) -> Iterator[Change]:
    old, new = _by(before, "purposes", "id"), _by(after, "purposes", "id")
    yield from _set(("purposes",), "purpose", old, new)
    for name in sorted(old.keys() & new.keys()):
        a, b, path = old[name], new[name], ("purposes", name)
        yield from _set((*path, "subjects"), "kind of people", a.get("subjects"), b.get("subjects"))
        uses = "prohibited uses"
        yield from _texts(
            (*path, "prohibited_uses"), uses, a.get("prohibited_uses"), b.get("prohibited_uses"), grows=False
        )
        yield from _others(path, a, b, known={"id", "subjects", "prohibited_uses"})


def _parties(before: Document, after: Document) -> Iterator[Change]:
    old, new = _by(before, "parties", "id"), _by(after, "parties", "id")
    yield from _set(("parties",), "party", old, new)
    for name in sorted(old.keys() & new.keys()):
        yield from _others(("parties", name), old[name], new[name], known={"id"})


def _fields(before: Document, after: Document) -> Iterator[Change]:
    old, new = _by(before, "fields", "name"), _by(after, "fields", "name")
    yield from _set(("fields",), "field", old, new)
    for name in sorted(old.keys() & new.keys()):
        a, b, path = old[name], new[name], ("fields", name)
        if a["use"] != b["use"]:
            sentence = f"{name} is now used to {b['use']}, before to {a['use']}."
            yield Change(
                path=(*path, "use"), direction=_direction(wider=b["use"] != "reference"), sentence=sentence
            )
        yield from _switch((*path, "leaves_in_clear"), f"{name} leaving in the clear", a, b)
        yield from _suppliers((*path, "suppliers"), name, a.get("suppliers"), b.get("suppliers"))
        yield from _others(path, a, b, known={"name", "use", "leaves_in_clear", "suppliers"})


def _suppliers(path: Path_, name: str, before: Any, after: Any) -> Iterator[Change]:
    if before and after:
        yield from _set(path, f"supplier of {name}", before, after)
    elif before != after:
        wider = after is None
        said = "every party supplies" if wider else "only named parties supply"
        yield Change(path=path, direction=_direction(wider=wider), sentence=f"{said} {name} now.")


def _switch(path: Path_, words: str, before: Document, after: Document) -> Iterator[Change]:
    key = str(path[-1])
    old, new = bool(before.get(key)), bool(after.get(key))
    if old != new:
        said = "is now allowed" if new else "is no longer allowed"
        yield Change(path=path, direction=_direction(wider=new), sentence=f"{words} {said}.")


def _contacts(before: Document, after: Document) -> Iterator[Change]:
    """Compare the months of contacts that are sent; where nobody names them they are the window's, told already."""
    key = "contact_months"
    if key in before or key in after:
        old, new = (window.get(key, window["months"]) for window in (before, after))
        words = "the months of contacts that agencies send"
        yield from _number(("window", key), words, old, new, grows=True)


def _everyone(before: Document, after: Document) -> Iterator[Change]:
    """Compare who is sealed; where nobody says, it is everybody in the extract."""
    old, new = (bool(window.get("everyone", True)) for window in (before, after))
    if old != new:
        said = "are now sealed too" if new else "are no longer sealed"
        yield Change(
            path=("window", "everyone"),
            direction=_direction(wider=new),
            sentence=f"People without a contact in the window {said}.",
        )


def _settings(before: Document, after: Document) -> Iterator[Change]:
    for section, key, words, default, grows in _NUMBERS:
        a, b = _section(before, section), _section(after, section)
        yield from _number((section, key), words, a.get(key, default), b.get(key, default), grows=grows)
    yield from _contacts(before["window"], after["window"])
    yield from _everyone(before["window"], after["window"])
    for section, key, words in _SWITCHES:
        yield from _switch((section, key), words, _section(before, section), _section(after, section))
    a, b = _section(before, "outputs"), _section(after, "outputs")
    yield from _set(("outputs", "allowed"), "output", a.get("allowed"), b.get("allowed"))
    a, b = _section(before, "sealing"), _section(after, "sealing")
    yield from _set(("sealing", "passes"), "pass", a.get("passes"), b.get("passes"))
    for key, words in (("d", "the privacy budget d"), ("lambda", "the privacy budget λ of a pass")):
        old, new = _section(a, "budget").get(key), _section(b, "budget").get(key)
        yield from _number(("sealing", "budget", key), words, old, new, grows=True)
    old, new = list(a.get("passes") or ()), list(b.get("passes") or ())
    if old != new and sorted(old) == sorted(new):
        said = "the passes stand in another order."
        yield Change(path=("sealing", "passes"), direction=Direction.OTHER, sentence=said)


def _time(before: Document, after: Document) -> Iterator[Change]:
    for key, grows in (("from", False), ("to", True)):
        old, new = _section(before, "in_force").get(key), _section(after, "in_force").get(key)
        yield from _number(("in_force", key), f"in force {key}", old, new, grows=grows)
    old_days, new_days = (
        {entry["artefact"]: entry["days"] for entry in each.get("retention", ())} for each in (before, after)
    )
    yield from _set(("retention",), "limit on keeping", old_days, new_days, grows=False)
    for name in sorted(old_days.keys() & new_days.keys()):
        words = f"how long a {name} is kept, in days,"
        yield from _number(("retention", name, "days"), words, old_days[name], new_days[name], grows=True)
    yield from _entries(before, after, "retention", "artefact", known={"artefact", "days"})


def _entries(
    before: Document, after: Document, section: str, key: str, *, known: set[str]
) -> Iterator[Change]:
    """Name what else differs in the entries that both lists have."""
    old, new = _by(before, section, key), _by(after, section, key)
    for name in sorted(old.keys() & new.keys()):
        yield from _others((section, name), old[name], new[name], known=known)


def _people(before: Document, after: Document) -> Iterator[Change]:
    old, new = ([entry["kind"] for entry in each.get("exclusions", ())] for each in (before, after))
    yield from _set(("exclusions",), "exclusion", old, new, grows=False)
    roles = [
        {
            f"{entry['role']} at {entry['party']} for {rule}, {entry.get('longest_days', 90)} days at most"
            for entry in each.get("exceptions", ())
            for rule in entry["rules"]
        }
        for each in (before, after)
    ]
    yield from _set(("exceptions",), "right to sign exceptions", *roles)
    yield from _entries(before, after, "exclusions", "kind", known={"kind"})


_COVERED = {
    "purposes", "parties", "fields", "window", "outputs", "sealing", "matching", "in_force", "retention",
    "exclusions", "exceptions", "transfers",
}  # fmt: skip
_REST = {
    "window": {"months", "minimum_agencies", "rolling", "everyone", "contact_months"},
    "outputs": {"allowed", "min_cell", "record_level_k", "households"},
    "sealing": {"passes", "budget", "crowded_cell", "max_key_age_days"},
    "matching": {"threshold", "review_from", "largest_cluster"},
    "transfers": {"outside_uk"},
}
"""Section -> the keys that were compared by meaning; its other keys are only said to differ."""


def _others(path: Path_, before: Document, after: Document, *, known: set[str]) -> Iterator[Change]:
    for key in sorted((before.keys() | after.keys()) - known):
        if before.get(key) != after.get(key):
            said = "added" if key not in before else "removed" if key not in after else "changed"
            yield Change(
                path=(*path, key),
                direction=Direction.OTHER,
                sentence=f"{path_text((*path, key))} was {said}.",
            )


def difference(before: Document, after: Document) -> Difference:
    """Compare two valid documents; any difference in content needs new signatures and a new linkage secret."""
    changes: list[Change] = []
    for part in (_purposes, _parties, _fields, _settings, _time, _people):
        changes += part(before, after)
    for section, known in _REST.items():
        changes += _others((section,), _section(before, section), _section(after, section), known=known)
    changes += _others((), before, after, known=_COVERED)
    signing_needed = digest(before) != digest(after)
    if signing_needed and not changes:
        changes.append(Change(path=(), direction=Direction.OTHER, sentence="a list stands in another order."))
    return Difference(changes=tuple(changes), signing_needed=signing_needed)
