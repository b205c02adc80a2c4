"""An agreement in plain English: the same sections for the terminal and for a page that prints well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from governance.agreement import Agreement
from governance.register import Register, shipped_register
from governance.report import page_environment


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and what stands below it, a sentence or two each."""

    title: str
    lines: tuple[str, ...]


_OUTPUTS = {
    "agencies": "which other agencies know the person",
    "contact_count": "how many contacts they had",
    "first_date": "when the first was",
    "last_date": "when the last was",
    "open_case": "whether a case is open",
    "lead_contact": "whom to ring",
}
_CLOCKS = {
    "latest_contact": "counted back from the latest contact that the agencies sent",
    "run_day": "counted back from the day of the run",
    "named_day": "counted back from a day that is named for each run",
}
_METHODS = {
    "delete": "then deleted",
    "destroy_key": "then made unreadable by destroying its key",
    "return_to_agency": "then returned to its agency",
    "archive": "then archived",
}
_STATUS = {
    "draft": "This is a draft. It binds nobody, and no work may be done under it.",
    "active": "It is active.",
    "suspended": "It is suspended: no work may be done under it.",
    "terminated": "It has ended: no work may be done under it.",
}
_PAPERS = {
    "dpia": "Data protection impact assessment",
    "joint_controller_arrangement": "Arrangement between the joint controllers",
}


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")


def _list(items: list[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def _about(agreement: Agreement) -> Iterator[str]:
    document = agreement.document
    force = document["in_force"]
    yield f"{document.get('title', agreement.id)} ({agreement.id}), version {agreement.version}."
    yield _STATUS[agreement.status]
    review = document.get("review_due", "no agreed date")
    yield f"In force from {force['from']} to {force['to']}. To be reviewed by {review}."
    if "jurisdiction" in document:
        yield f"Law: {document['jurisdiction']}."
    yield f"Digest of this text: {agreement.digest}"


def _why(agreement: Agreement) -> Iterator[str]:
    for purpose in agreement.document["purposes"]:
        yield f"{_words(purpose['id']).capitalize()} ({_words(purpose['kind'])}): {purpose['plain_english']}"
        if "benefits" in purpose:
            yield f"What it is good for: {purpose['benefits']}"
        if purpose.get("subjects"):
            yield f"Whom it is about: {_list([_words(kind) for kind in purpose['subjects']])}."
        if purpose.get("prohibited_uses"):
            yield f"Never for: {'; '.join(purpose['prohibited_uses'])}."


def _basis(entry: dict[str, Any], register: Register) -> str:
    named = [
        entry[name] for name in ("article_6", "part_3_basis", "article_9", "dpa_condition") if name in entry
    ]
    gateways = [register[name].citation if name in register else name for name in entry.get("gateways", ())]
    said = f"for {_words(entry['purpose'])}: {', '.join(named) or 'no basis named'}"
    return said + (f"; by way of {'; '.join(gateways)}" if gateways else "")


def _who(agreement: Agreement, register: Register) -> Iterator[str]:
    for party, entry in zip(agreement.parties, agreement.document["parties"], strict=True):
        yield f"{party.name} ({_words(party.agency_type)}) is a {_words(party.role)}."
        for legal in entry.get("legal", ()):
            yield f"{party.name} relies, {_basis(legal, register)}."
        if "opt_out" in entry:
            position = _words(entry["opt_out"]["position"])
            reason = f": {entry['opt_out']['reason']}" if "reason" in entry["opt_out"] else ""
            yield f"{party.name} says that the National Data Opt-out {position}{reason}."
        contacts = entry.get("contacts", {})
        if contacts:
            named = "; ".join(f"{_words(role)}: {who}" for role, who in contacts.items())
            yield f"{party.name}, whom to ask: {named}."
    unit = agreement.document["linkage_unit"]
    runs = f"run by {_words(unit['operated_by'])}" if "operated_by" in unit else "a processor"
    yield f"{unit.get('name', agreement.unit_id)} links the sealed records ({runs}). It never holds the linkage secret."


def _what(agreement: Agreement) -> Iterator[str]:
    how = {
        "match": "Sealed and matched on",
        "display": "Shown to the other agencies",
        "filter": "Used to choose contacts",
        "reference": "Kept by its agency",
    }
    for use, words in how.items():
        named = [_words(e["name"]) for e in agreement.document["fields"] if e["use"] == use]
        if named:
            yield f"{words}: {_list(named)}."
    clear = [_words(e["name"]) for e in agreement.document["fields"] if e.get("leaves_in_clear")]
    if clear:
        yield f"May leave in the clear: {_list(clear)}."
    yield "Identifiers leave an agency sealed. What leaves is pseudonymised personal data."
    if agreement.exclusions:
        yield f"Left out before sealing: {_list([_words(entry.kind) for entry in agreement.exclusions])}."


def _told(agreement: Agreement) -> Iterator[str]:
    told = _list([words for name, words in _OUTPUTS.items() if name in agreement.outputs])
    yield f"An agency is told only of people it knows itself: {told}."
    yield (
        f"Only people in contact with {agreement.minimum_agencies} or more agencies within {agreement.months} months, "
        f"{_CLOCKS[agreement.clock]}."
    )
    rolling = "is" if agreement.rolling else "is not"
    yield f"The busiest {agreement.months} months of a longer time {rolling} reported."
    yield f"Households {'may' if agreement.households else 'may not'} be reported together."
    yield f"No count below {agreement.min_cell} people leaves."


def _how(agreement: Agreement) -> Iterator[str]:
    yield (
        f"Records may meet in {len(agreement.passes)} combinations of identifiers, under a privacy budget of "
        f"d = {agreement.budget.d}."
    )
    yield (
        f"Two records are one person from a probability of {agreement.threshold}; from {agreement.review_from} on, "
        "a person has a look."
    )
    yield f"A linkage secret lives {agreement.max_key_age_days} days at most."
    yield f"Who looks after it: {agreement.custodian or 'nobody is named'}."


def _kept(agreement: Agreement) -> Iterator[str]:
    for name, kept in agreement.retention.items():
        yield f"{_words(name).capitalize()}: {kept.days} days, {_METHODS[kept.method]}."


def _safeguards(agreement: Agreement) -> Iterator[str]:
    document = agreement.document
    for section, words in _PAPERS.items():
        if section in document:
            yield f"{words}: {document[section].get('ref', 'no reference')}."
    for right, how in document.get("rights", {}).items():
        yield f"{right.capitalize()}: {how}"
    yield from document.get("security", ())
    if "transfers" in document:
        abroad = document["transfers"]
        said = f"Data may leave the United Kingdom: {abroad.get('safeguard', 'no safeguard named')}."
        yield said if abroad["outside_uk"] else "No data leaves the United Kingdom."
    for entry in agreement.exceptions:
        rules = ", ".join(sorted(entry.rules))
        yield (
            f"The {_words(entry.role)} of {_words(entry.party)} may sign exceptions to {rules}, for "
            f"{entry.longest_days} days at most."
        )


def explained(agreement: Agreement, *, register: Register | None = None) -> tuple[Section, ...]:
    """Return what the agreement says, in sections of plain sentences."""
    law = shipped_register() if register is None else register
    parts: tuple[tuple[str, Iterator[str]], ...] = (
        ("The agreement", _about(agreement)),
        ("Why", _why(agreement)),
        ("Who takes part, and on what basis", _who(agreement, law)),
        ("What is used", _what(agreement)),
        ("What an agency is told", _told(agreement)),
        ("How records are matched", _how(agreement)),
        ("How long things are kept", _kept(agreement)),
        ("Safeguards and rights", _safeguards(agreement)),
    )
    return tuple(Section(title=title, lines=tuple(lines)) for title, lines in parts)


NO_ADVICE = "Made by a program from the agreement's file. It is no legal advice; the file is what binds."


def explain_text(sections: tuple[Section, ...]) -> str:
    """Return the sections for a terminal."""
    lines: list[str] = []
    for section in sections:
        lines += [section.title, "-" * len(section.title), *section.lines, ""]
    return "\n".join([*lines, NO_ADVICE])


def explain_html(agreement: Agreement, *, register: Register | None = None) -> str:
    """Return the sections as one escaped page that loads nothing and prints well, with room for signatures."""
    return (
        page_environment()
        .get_template("agreement.html.j2")
        .render(
            title=agreement.document.get("title", agreement.id),
            sections=explained(agreement, register=register),
            controllers=[party.name for party in agreement.controllers],
            digest=agreement.digest,
            version=agreement.version,
            notice=NO_ADVICE,
        )
    )
