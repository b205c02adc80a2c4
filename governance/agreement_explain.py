"""An agreement in plain English: the same sections for the terminal and for a page that prints well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from governance.agreement import Agreement
from governance.register import Gateway, Register, cited, shipped_register, unconfirmed
from governance.report import page_environment


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and what stands below it, a sentence or two each."""

    title: str
    lines: tuple[str, ...]


_FIELDS = {
    "ref": "the agency's own reference",
    "dob": "date of birth",
    "nhs_number": "NHS number",
    "uprn": "UPRN (the number of an address)",
    "record_date": "date of a contact",
    "contact_type": "kind of a contact",
    "case_status": "whether a case is open",
    "lead_contact": "whom to ring",
}
_ROLES = {
    "dpo": "data protection officer",
    "siro": "senior information risk owner",
    "caldicott_guardian": "Caldicott guardian",
    "lead_contact": "contact for the other parties",
}
_BASES = {
    "6(1)(a)": "consent",
    "6(1)(b)": "a contract",
    "6(1)(c)": "a legal obligation",
    "6(1)(d)": "vital interests",
    "6(1)(e)": "its public task",
    "6(1)(ea)": "a recognised legitimate interest",
    "6(1)(f)": "legitimate interests",
    "9(2)(a)": "explicit consent",
    "9(2)(c)": "vital interests",
    "9(2)(g)": "substantial public interest",
    "9(2)(h)": "health or social care",
    "9(2)(i)": "public health",
    "9(2)(j)": "research or statistics",
    "s35(2)(a)": "consent",
    "s35(2)(b)": "a law enforcement task",
}
"""What a basis is called; the number stands beside it."""

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


def _named(text: str, register: Register) -> str:
    """Return a basis or condition in words, with its number."""
    if text in register:
        return _cited(register[text])
    law = "Data Protection Act 2018, " if text.startswith("s") else "UK GDPR, Article "
    number = text.replace("sch", "Schedule ").replace("-para-", ", paragraph ").replace("s35", "section 35")
    return f"{_BASES[text]} ({law}{number})" if text in _BASES else f"{law}{number}"


def _cited(row: Gateway) -> str:
    marks = ["not confirmed"] * (not row.confirmed) + ["not known to be in force"] * (
        row.in_force_from is None
    )
    return row.citation + (f" [{', '.join(marks)}]" if marks else "")


def _law(agreement: Agreement, register: Register) -> Iterator[str]:
    rows = cited(agreement.document, register)
    yield from unconfirmed(rows)
    for row in rows:
        if row.in_force_from is None:
            yield f"{row.id} is not known to be in force: the register has no first day for it."
    if rows:
        yield "Confirmed means: its words and first day were found in what was published. No lawyer confirmed a row."


def _basis(entry: dict[str, Any], register: Register) -> str:
    keys = ("article_6", "part_3_basis", "article_9", "dpa_condition")
    named = [_named(entry[name], register) for name in keys if name in entry]
    gateways = [_named(name, register) if name in register else name for name in entry.get("gateways", ())]
    said = f"For {_words(entry['purpose'])} it relies on {'; '.join(named) or 'no basis named'}."
    return said + (f" It may share by way of {'; '.join(gateways)}." if gateways else "")


def _who(agreement: Agreement, register: Register) -> Iterator[str]:
    for party, entry in zip(agreement.parties, agreement.document["parties"], strict=True):
        kind = _words(party.agency_type)
        shown = "" if kind == party.name.lower() else f" ({kind})"
        said = [_basis(legal, register) for legal in entry.get("legal", ())]
        yield " ".join([f"{party.name}{shown} is a {_words(party.role)}.", *said])
        if "opt_out" in entry:
            position = _words(entry["opt_out"]["position"])
            reason = f": {entry['opt_out']['reason']}" if "reason" in entry["opt_out"] else ""
            yield f"{party.name} says that the National Data Opt-out {position}{reason}."
        contacts = entry.get("contacts", {})
        if contacts:
            named = "; ".join(f"{_ROLES[role]}: {who}" for role, who in contacts.items())
            yield f"Whom to ask at {party.name}: {named}."
    unit = agreement.document["linkage_unit"]
    runs = f"run by {_words(unit['operated_by'])}" if "operated_by" in unit else "a processor"
    yield f"{unit.get('name', agreement.unit_id)} links the sealed records ({runs}). It never holds the linkage secret."


def _field(entry: dict[str, Any]) -> str:
    return _FIELDS.get(entry["name"], _words(entry["name"]))


def _what(agreement: Agreement) -> Iterator[str]:
    how = {
        "match": "Sealed and matched on",
        "display": "Shown to the other agencies",
        "filter": "Used to choose contacts",
        "reference": "Kept by its agency",
    }
    for use, words in how.items():
        named = [_field(e) for e in agreement.document["fields"] if e["use"] == use]
        if named:
            yield f"{words}: {_list(named)}."
    clear = [_field(e) for e in agreement.document["fields"] if e.get("leaves_in_clear")]
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
    yield f"Agencies send contacts of {agreement.contact_months} months, and keep older ones."
    if agreement.everyone:
        yield "Everybody in an agency's extract is sealed, also people without a contact in that time."
    else:
        yield "Only people with a contact in that time are sealed; the others stay at the agency."
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
        ("The law that it cites, as far as it was not confirmed", _law(agreement, law)),
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
