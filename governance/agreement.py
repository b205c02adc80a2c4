"""The data-sharing agreement as the values that every stage obeys.

The document is YAML 1.2 (governance/agreement_reading.py). What is signed and what binds every package is the digest
of its canonical JSON (RFC 8785), so comments and layout may change freely. docs/spec/agreement-v1.md is its page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from governance.agreement_faults import STANDARDS, cross_faults, identity_of
from governance.agreement_reading import Fault, Source, read_document, read_source
from governance.agreement_schema import schema_faults
from schemas.canonical import digest
from schemas.errors import AgreementInvalid, NotCanonical, NotInForce
from schemas.identity import PublicIdentity
from schemas.scheme import FIELDS, Pass, absent_under, parse_pass

__all__ = [
    "STANDARDS",
    "Agreement",
    "Budget",
    "ExceptionRole",
    "Exclusion",
    "Party",
    "Retention",
    "agreement_faults",
    "agreement_of",
    "load_agreement",
    "parse_agreement",
    "read_document",
    "refuse_faults",
    "require_in_force",
    "schema_faults",
]

MIN_CELL = 5
"""Smallest count that may leave when the agreement names none; many official statistics of health suppress below 5."""

MAX_KEY_AGE_DAYS = 366
"""Longest life of a linkage secret when the agreement names none (docs/spec/keys-v1.md)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Party:
    """An agency that is party to the agreement."""

    id: str
    agency_type: str
    name: str
    keys: PublicIdentity | None
    role: str = "controller"

    @property
    def is_controller(self) -> bool:
        """Whether the party is a controller, alone or jointly, and so has to sign."""
        return self.role != "processor"


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The privacy budget of the passes (docs/spec/sealing-v1.md, section Passes)."""

    d: float
    lambda_: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """How long an artefact may be kept, in days from its making, and how it is disposed of."""

    days: int
    method: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Exclusion:
    """People whom each agency leaves out before sealing, such as `protected_address`; attested by count."""

    kind: str
    how: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExceptionRole:
    """Who may sign an exception to which rules: a role at a party, with that party's signing key."""

    role: str
    party: str
    rules: frozenset[str]
    longest_days: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """A valid agreement. `document` is the whole of it; the rest is what the stages obey.

    Attributes:
        document: The whole of it.
        digest: `sha256:` and the digest of its canonical form.
        id: What it is called.
        version: Semantic version of its text.
        status: draft, active, suspended or terminated.
        purpose: Id of the first purpose.
        purposes: Ids of all purposes.
        parties: The agencies.
        unit_id: Id of the linkage unit.
        unit_keys: Its public keys, when they are known.
        match_fields: Identifiers that may be matched on.
        standards: Field -> standard, where one is named.
        months: Length of the window in months.
        minimum_agencies: From how many agencies on a person is reported.
        clock: Day that the window ends on: `latest_contact`, `run_day` or `named_day` (one is named at each run).
        rolling: Whether the worst rolling window of `months` may be reported beside the one that ends on that day.
        everyone: Whether people without a contact in those months are sealed too.
        contact_months: Months of contacts that agencies send, up to the same day; more than `months` only where a
            worst rolling window may be reported, which else is cut where the contacts begin.
        outputs: What a return may say.
        min_cell: Smallest count of people that an aggregate may show.
        record_level_k: Fewest people who share what a record-level extract shows of one of them.
        households: Whether people at one address may be reported together.
        passes: The blocking passes.
        budget: The privacy budget.
        crowded_cell: Expected size from which on a record skips a pass.
        profile: Name of the sealing profile.
        max_key_age_days: Longest life of a linkage secret.
        custodian: Who looks after the linkage secrets, when somebody is named.
        threshold: Match probability from which two records are one person.
        review_from: Match probability from which a link is for a person to look at.
        largest_cluster: Most records of one person.
        exclusions: Who is left out before sealing.
        exceptions: Who may sign exceptions.
        retention: Artefact -> how long, and how disposed of.
    """

    document: Mapping[str, Any]
    digest: str
    id: str
    version: str
    status: str
    purpose: str
    purposes: tuple[str, ...]
    parties: tuple[Party, ...]
    unit_id: str
    unit_keys: PublicIdentity | None
    match_fields: frozenset[str]
    standards: Mapping[str, str]
    months: int
    minimum_agencies: int
    clock: str
    rolling: bool
    everyone: bool
    contact_months: int
    outputs: frozenset[str]
    min_cell: int
    record_level_k: int
    households: bool
    passes: tuple[Pass, ...]
    budget: Budget
    crowded_cell: int
    profile: str
    max_key_age_days: int
    custodian: str | None
    threshold: float
    review_from: float
    largest_cluster: int
    exclusions: tuple[Exclusion, ...]
    exceptions: tuple[ExceptionRole, ...]
    retention: Mapping[str, Retention]

    def party(self, party_id: str) -> Party | None:
        """Return the party called `party_id`, or None."""
        return next((party for party in self.parties if party.id == party_id), None)

    @property
    def controllers(self) -> tuple[Party, ...]:
        """The parties whose signature the agreement needs."""
        return tuple(party for party in self.parties if party.is_controller)

    @property
    def identities(self) -> dict[str, PublicIdentity]:
        """Public keys of the parties and of the linkage unit, by id, as far as the agreement names them."""
        found = {party.id: party.keys for party in self.parties if party.keys is not None}
        if self.unit_keys is not None:
            found[self.unit_id] = self.unit_keys
        return found


def _parties(document: Mapping[str, Any]) -> tuple[Party, ...]:
    return tuple(
        Party(
            id=party["id"],
            agency_type=party["agency_type"],
            name=party.get("name", party["id"].replace("_", " ").title()),
            keys=identity_of(party["id"], party.get("keys")),
            role=party["role"],
        )
        for party in document["parties"]
    )


def _window(document: Mapping[str, Any]) -> dict[str, Any]:
    window, outputs = document["window"], document["outputs"]
    min_cell = outputs.get("min_cell", MIN_CELL)
    return {
        "months": window["months"],
        "minimum_agencies": window["minimum_agencies"],
        "clock": window.get("clock", "latest_contact"),
        "rolling": window.get("rolling", False),
        "everyone": window.get("everyone", True),
        "contact_months": window.get("contact_months", window["months"]),
        "outputs": frozenset(outputs["allowed"]),
        "min_cell": min_cell,
        "record_level_k": outputs.get("record_level_k", min_cell),
        "households": outputs.get("households", False),
    }


def _standards(document: Mapping[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["standard"] for entry in document["fields"] if "standard" in entry}


def _sealing(document: Mapping[str, Any]) -> dict[str, Any]:
    sealing, matching = document["sealing"], document["matching"]
    absent = absent_under(_standards(document))
    return {
        "passes": tuple(parse_pass(text, absent=absent) for text in sealing["passes"]),
        "budget": Budget(d=sealing["budget"]["d"], lambda_=sealing["budget"]["lambda"]),
        "crowded_cell": sealing.get("crowded_cell", 20),
        "profile": sealing.get("profile", "standard"),
        "max_key_age_days": sealing.get("max_key_age_days", MAX_KEY_AGE_DAYS),
        "custodian": sealing.get("custodian"),
        "threshold": matching["threshold"],
        "review_from": matching["review_from"],
        "largest_cluster": matching.get("largest_cluster", 50),
    }


def _keeping(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "exclusions": tuple(
            Exclusion(kind=entry["kind"], how=entry.get("how", ""))
            for entry in document.get("exclusions", ())
        ),
        "exceptions": tuple(
            ExceptionRole(
                role=entry["role"],
                party=entry["party"],
                rules=frozenset(entry["rules"]),
                longest_days=entry.get("longest_days", 90),
            )
            for entry in document.get("exceptions", ())
        ),
        "retention": {
            entry["artefact"]: Retention(days=entry["days"], method=entry.get("method", "delete"))
            for entry in document["retention"]
        },
    }


def agreement_of(document: Mapping[str, Any]) -> Agreement:
    """Return the values of a document that `agreement_faults` found nothing wrong with."""
    fields, unit = document["fields"], document["linkage_unit"]
    return Agreement(
        document=document,
        digest=digest(document),
        id=document["id"],
        version=document["version"],
        status=document["status"],
        purpose=document["purposes"][0]["id"],
        purposes=tuple(purpose["id"] for purpose in document["purposes"]),
        parties=_parties(document),
        unit_id=unit["id"],
        unit_keys=identity_of(unit["id"], unit.get("keys")),
        match_fields=frozenset(
            entry["name"] for entry in fields if entry["use"] == "match" and entry["name"] in FIELDS
        ),
        standards=_standards(document),
        **_window(document),
        **_sealing(document),
        **_keeping(document),
    )


def agreement_faults(document: Mapping[str, Any], source: Source | None = None) -> list[Fault]:
    """Return all faults of a document at once: of reading, of the schema, and beyond the schema.

    Args:
        document: The agreement's document.
        source: Where it was read from; faults then carry line and column, and come in the order of the file.
    """
    schema = schema_faults(document)
    faults = [*schema, *cross_faults(document, schema)]
    if not faults:
        try:
            digest(document)
        except NotCanonical as error:
            said = f"{error.message} {error.remedy or ''}".strip()
            faults.append(Fault(path=(), message=said, harmless=True))
    if source is None:
        return faults
    read = {fault.place for fault in source.faults}
    placed = [_placed(fault, source) for fault in faults]
    placed = [*source.faults, *(fault for fault in placed if fault.place not in read)]
    return sorted(placed, key=lambda fault: (fault.place.line, fault.place.column) if fault.place else (0, 0))


def _placed(fault: Fault, source: Source) -> Fault:
    """Return the fault with its line and column; what is wrong to read there is not told twice."""
    unknown = "does not know" in fault.message
    return replace(fault, place=source.place(fault.at or fault.path, key=unknown or bool(fault.missing)))


def refuse_faults(faults: Iterable[Fault], where: str) -> None:
    """Refuse a document that has faults.

    Raises:
        AgreementInvalid: Names each of them, once.
    """
    lines = list(dict.fromkeys(map(str, faults)))
    if lines:
        listed = "\n  ".join(lines)
        raise AgreementInvalid(
            f"the agreement has {len(lines)} fault(s):\n  {listed}",
            where=where,
            remedy="Correct them and run again.",
        )


def parse_agreement(document: Mapping[str, Any], *, where: str = "agreement") -> Agreement:
    """Check `document` and return it as an `Agreement`.

    Raises:
        AgreementInvalid: Names every fault at once, each with its field path.
    """
    refuse_faults(agreement_faults(document), where)
    return agreement_of(document)


def load_agreement(path: Path, *, today: date | None = None) -> Agreement:
    """Read and check the form of the agreement in the file `path`; `governance.agreement_check` runs the rules.

    Args:
        path: A YAML 1.2 document.
        today: When given, the agreement must be in force (or a draft) on this day.

    Raises:
        AgreementInvalid: The document has faults, all named with line and column.
        NotInForce: It does not bind today.
    """
    source = read_source(path)
    refuse_faults(agreement_faults(source.document, source), str(path))
    agreement = agreement_of(source.document)
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
