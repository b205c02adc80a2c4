"""P01 to P15: what may leave an agency in a package, asked before its release and again at intake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date

from governance.detect.patterns import Hit, Kind, valid_nhs_number
from governance.detect.watch import PartFacts
from governance.rules.base import Fault, Moment, Rule, Severity, rule
from governance.rules.package_quality import QUALITY
from governance.rules.package_subject import PackageSubject, expected_schemas
from schemas.scheme import SCHEME

_BOTH = (Moment.RELEASE, Moment.INTAKE)
_MINIMAL = "UK GDPR Art 5(1)(c), data minimisation"
_SECURE = "UK GDPR Art 32(1)(a), pseudonymisation"
_ACCURATE = "UK GDPR Art 5(1)(d), accuracy"
_SEAL_AGAIN = "Seal again with the release and the agreement that the parties use now."

EXPIRING_AT = 0.8
"""Share of a secret's life from which it is to be replaced (docs/spec/keys-v1.md)."""

LONGEST_LEAD = 12 + 16 + 4 * 64
"""Bytes of a sealed lead contact: nonce, tag and 256 bytes of text. A name, a team and a number are shorter."""

_OWN_KINDS = {Kind.UNKEYED_HASH, Kind.FREE_TEXT}
"""Kinds that have a rule of their own, P04 and P11."""


def _parts(package: PackageSubject) -> Iterable[PartFacts]:
    return (package.parts or {}).values()


def _sender(package: PackageSubject) -> str:
    return package.stated.sender


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


@rule("P01", Severity.BLOCK, _BOTH, "The tables and columns are the agreed ones", why=_MINIMAL)
def columns(package: PackageSubject) -> Iterator[Fault]:
    """Every table that the scheme and the passes give, each with exactly its columns, and no other."""
    if package.parts is None:
        return
    wanted = expected_schemas(package.agreement, package.stated.kind)
    missing = [name for name in wanted if name not in package.parts]
    if missing:
        yield Fault(
            sentence=f"The package lacks {_counted(len(missing), 'table', 'tables')} that the agreement's passes need.",
            where=f"{package.where}: {', '.join(missing[:5])}",
            fix=_SEAL_AGAIN,
            owner=_sender(package),
        )
    for number, (name, part) in enumerate(package.parts.items()):
        known = name in wanted
        agreed = [(entry.name, str(entry.type)) for entry in wanted[name]] if known else []
        found = [(column, facts.type) for column, facts in part.columns.items()]
        if not known or (found and found != agreed):
            more = len({column for column, _ in found} - {column for column, _ in agreed})
            yield Fault(
                sentence="A table of the package does not have the agreed columns."
                if known
                else "The package holds a table that the agreement does not know.",
                where=f"{package.where}: part {name if known else number}",
                evidence=f"{_counted(len(found), 'column', 'columns')}, {more} of them not agreed",
                fix=_SEAL_AGAIN,
                owner=_sender(package),
            )


@rule("P02", Severity.BLOCK, _BOTH, "The tokens have the shape of the scheme", why=_SECURE)
def token_shape(package: PackageSubject) -> Iterator[Fault]:
    """Tokens and block ids spread evenly over their range; what lies in one half of it is something else."""
    for part in _parts(package):
        uneven = [name for name, facts in part.columns.items() if facts.uneven]
        few = 8 + 6 * (part.rows / 2**23) ** 0.5 + part.rows / 2**23
        # All rows of a block share its id, and a block has no more rows than agreed.
        most = few * package.agreement.crowded_cell
        small = [name for name, facts in part.columns.items() if facts.different > few or facts.small > most]
        if uneven or small:
            yield Fault(
                sentence="A column of tokens holds numbers that are no tokens.",
                where=f"{package.where}: part {part.name}, {', '.join([*uneven, *small][:5])}",
                evidence=f"{_counted(len(uneven) + len(small), 'column', 'columns')} of {part.rows:,} rows",
                fix=_SEAL_AGAIN,
                owner=_sender(package),
            )


def _identifier_hits(package: PackageSubject) -> list[Hit]:
    return [*package.hits, *(hit for part in _parts(package) for hit in part.hits)]


def _hit_faults(
    package: PackageSubject, wanted: Callable[[Hit], bool], sentence: str, fix: str
) -> Iterator[Fault]:
    for hit in filter(wanted, _identifier_hits(package)):
        yield Fault(
            sentence=sentence.format(kind=hit.kind.phrase),
            where=f"{package.where}: {hit.place}",
            evidence=_counted(hit.cells, "cell", "cells") if "column" in hit.place else "",
            fix=fix,
            owner=_sender(package),
        )


@rule("P03", Severity.BLOCK, _BOTH, "No raw identifier in cells, headers, file name or metadata", why=_SECURE)
def raw_identifier(package: PackageSubject) -> Iterator[Fault]:
    """Nothing that reads as an NHS number, postcode, UPRN, date of birth, e-mail, telephone number or name."""
    yield from _hit_faults(
        package,
        lambda hit: hit.kind not in _OWN_KINDS,
        "Something here looks like {kind}.",
        "Do not send the file. Take the identifier out, and seal again.",
    )


@rule("P04", Severity.BLOCK, _BOTH, "No hash of an identifier that was made without a key", why=_SECURE)
def unkeyed_hash(package: PackageSubject) -> Iterator[Fault]:
    """No MD5, SHA-1 or SHA-256 of a plausible date of birth or a listed name: anybody can undo those."""
    yield from _hit_faults(
        package,
        lambda hit: hit.kind is Kind.UNKEYED_HASH,
        "Here is the hash of a date of birth or a name, made without a key; anyone can undo it.",
        "Do not send the file. Seal with Tallystick, which uses a key for every token.",
    )


@rule("P05", Severity.BLOCK, _BOTH, "Key and normaliser are those of the other agencies", why=_ACCURATE)
def known_answer(package: PackageSubject) -> Iterator[Fault]:
    """The known-answer values are the same for all packages of a run."""
    for name, wanted, sentence, fix in (
        (
            "key_check",
            package.key_check,
            "The package was sealed with another linkage secret than its fellows.",
            "Agencies compare the check values of their secrets (tallystick keys show); the odd one seals again.",
        ),
        (
            "normaliser",
            package.normaliser,
            "The package was sealed by another version of the normaliser than its fellows.",
            "Install the release that the agencies agreed on, and seal again.",
        ),
    ):
        stated = package.stated.facts.get(name)
        if stated is None:
            yield Fault(
                sentence=f"The package does not state its known-answer value ({name}).",
                where=f"{package.where}: manifest, facts.{name}",
                fix=_SEAL_AGAIN,
                owner=_sender(package),
            )
        elif wanted is not None and stated != wanted:
            yield Fault(sentence=sentence, where=package.where, fix=fix, owner=_sender(package))


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


@rule(
    "P06",
    Severity.BLOCK,
    _BOTH,
    "The linkage secret is in its life",
    why="Agreement, sealing.max_key_age_days",
)
def key_age(package: PackageSubject) -> Iterator[Fault]:
    """Blocked when the secret has expired, is not yet valid or older than agreed; amber from 80% of its life."""
    secret = package.secret
    if secret is None:
        return
    starts, ends = _day(secret.get("starts_on")), _day(secret.get("expires_on"))
    where, fix = (
        f"{package.where}: manifest, facts.linkage_secret",
        "Make a new secret (tallystick keys rotate).",
    )
    if starts is None or ends is None:
        yield Fault(
            sentence="The package does not say in dates how long its linkage secret lasts.",
            where=where,
            fix=_SEAL_AGAIN,
            owner=_sender(package),
        )
        return
    used = package.stated.created_at.date()
    life = (ends - starts).days + 1
    if not starts <= used <= ends:
        sentence = "The linkage secret had expired, or was not yet valid, when the package was sealed."
        yield Fault(
            sentence=sentence, where=where, fix=fix, owner=package.agreement.custodian or _sender(package)
        )
    elif life > package.agreement.max_key_age_days + 1:
        yield Fault(
            sentence="The linkage secret lasts longer than the agreement allows.",
            where=where,
            evidence=f"{life} days, {package.agreement.max_key_age_days} agreed",
            fix=fix,
            owner=package.agreement.custodian or _sender(package),
        )
    elif (used - starts).days >= EXPIRING_AT * life:
        yield Fault(
            sentence="The linkage secret expires soon.",
            where=where,
            evidence=f"{(ends - used).days} days left",
            fix=fix,
            owner=package.agreement.custodian or _sender(package),
            due=ends.isoformat(),
            severity=Severity.AMBER,
        )


@rule("P07", Severity.BLOCK, _BOTH, "The scheme version is the agreed one", why="Agreement, sealing.scheme")
def scheme_version(package: PackageSubject) -> Iterator[Fault]:
    """The package, the agreement and this release speak of one scheme."""
    agreed = package.agreement.document["sealing"]["scheme"]
    if package.stated.facts.get("scheme") != agreed or agreed != SCHEME:
        yield Fault(
            sentence="The package was sealed by another version of the scheme than the agreement names.",
            where=f"{package.where}: manifest, facts.scheme",
            fix=_SEAL_AGAIN,
            owner=_sender(package),
        )


def _without_contact(package: PackageSubject) -> Iterator[Fault]:
    without = package.stated.facts.get("people_without_contact")
    if not package.agreement.everyone and without != 0:
        yield Fault(
            sentence="People without a contact in the window were sealed, and the agreement does not allow it.",
            where=f"{package.where}: manifest, facts.people_without_contact",
            evidence=f"{without} people" if isinstance(without, int) else "the package does not say how many",
            fix="Seal again: Tallystick leaves them out. Or agree on window.everyone.",
            owner=_sender(package),
        )


@rule(
    "P08",
    Severity.BLOCK,
    _BOTH,
    "Record dates lie in the window and not in the future; nobody is sealed without a contact there, unless agreed",
    why=_MINIMAL,
)
def record_dates(package: PackageSubject) -> Iterator[Fault]:
    """Contacts are dated, after the day that the package names and not after the day it was made; none is missing."""
    if package.stated.kind == "sealed":
        yield from _without_contact(package)
    part = (package.parts or {}).get("contacts")
    facts = part.columns.get("day") if part is not None else None
    if facts is None or facts.low is None or facts.high is None:
        return
    epoch = date(1970, 1, 1).toordinal()
    made, where = package.stated.created_at.date(), f"{package.where}: part contacts, day"
    if facts.high + epoch > made.toordinal():
        yield Fault(
            sentence="Contacts are dated after the day the package was made.",
            where=where,
            fix="Correct the record dates of the extract, or their format in mapping.yaml, and seal again.",
            owner=_sender(package),
        )
    after = _day(package.stated.facts.get("contacts_after"))
    # Months of 31 days: the contacts can end on any day that the agencies agree, up to the day of sealing.
    months = package.agreement.contact_months
    oldest = facts.high + epoch - 31 * months - 1
    if (after is not None and facts.low + epoch <= after.toordinal()) or facts.low + epoch < oldest:
        yield Fault(
            sentence="Contacts are older than the window that the agreement allows.",
            where=where,
            evidence=f"contacts of {months} months may be sent",
            fix="Seal again: Tallystick keeps older contacts at the agency.",
            owner=_sender(package),
        )


@rule(
    "P09",
    Severity.BLOCK,
    _BOTH,
    "The organisation is the signer",
    why="UK GDPR Art 5(1)(f), integrity and confidentiality",
)
def signer(package: PackageSubject) -> Iterator[Fault]:
    """The party that the package names is party to the agreement and signed it."""
    party = package.stated.sender
    known = {entry.id for entry in package.agreement.parties} | {package.agreement.unit_id}
    if party not in known:
        yield Fault(
            sentence="The sender is no party to the agreement.",
            where=f"{package.where}: manifest, sender",
            fix="Refuse the package, and ask the sender which agreement it acts under.",
            owner="governance officer",
        )
    elif package.signer is not None and package.signer != party:
        yield Fault(
            sentence="The package names one organisation and was signed by another.",
            where=f"{package.where}: manifest, sender",
            fix="Refuse the package, and tell both organisations.",
            owner="governance officer",
        )


def _runs_of_digits(text: str) -> Iterator[str]:
    digits = "".join(letter if letter.isdigit() else " " for letter in text)
    yield from digits.split()


@rule("P10", Severity.BLOCK, _BOTH, "No reference is shaped like an NHS number or a UPRN", why=_MINIMAL)
def references(package: PackageSubject) -> Iterator[Fault]:
    """Subjects are numbered from 0, and the names of the run and of the sealing hold no such number."""
    for part in _parts(package):
        for column, bound in (("subject", "subjects"), ("version", "versions")):
            facts, most = part.columns.get(column), package.stated.counts.get(bound)
            if facts is None or facts.high is None or facts.low is None or most is None:
                continue
            if facts.low < 0 or facts.high >= most:
                yield Fault(
                    sentence="Records are not numbered from 0 on: their numbers could be references of the agency.",
                    where=f"{package.where}: part {part.name}, {column}",
                    evidence=f"{most:,} {bound} declared",
                    fix=_SEAL_AGAIN,
                    owner=_sender(package),
                )
    for name, text in (
        ("run", package.stated.run_id),
        ("facts.seal_id", package.stated.facts.get("seal_id")),
    ):
        if name == "run" and any(
            len(run) in (11, 12) or (len(run) == 10 and valid_nhs_number(run))
            for run in _runs_of_digits(str(text))
        ):
            yield Fault(
                sentence="The id of the run is shaped like an NHS number or a UPRN.",
                where=f"{package.where}: manifest, {name}",
                fix="Choose a run id such as 2026-11, at every agency the same.",
                owner=_sender(package),
            )


@rule("P11", Severity.BLOCK, _BOTH, "No free text", why=_MINIMAL)
def free_text(package: PackageSubject) -> Iterator[Fault]:
    """No readable cell, and no lead contact long enough for a story."""
    yield from _hit_faults(
        package,
        lambda hit: hit.kind is Kind.FREE_TEXT,
        "A column holds text that people can read.",
        "Do not send the file. Seal again with Tallystick.",
    )
    for part in _parts(package):
        facts = part.columns.get("sealed")
        if facts is not None and facts.high is not None and facts.high > LONGEST_LEAD:
            yield Fault(
                sentence="A lead contact is longer than a name, a team and a telephone number.",
                where=f"{package.where}: part {part.name}, sealed",
                evidence=f"up to {facts.high - 28:,} bytes of text, 256 allowed",
                fix="Shorten the lead contacts of the extract to a name, a team and a number.",
                owner=_sender(package),
            )


RULES: tuple[Rule[PackageSubject], ...] = (
    *(
        columns,
        token_shape,
        raw_identifier,
        unkeyed_hash,
        known_answer,
        key_age,
        scheme_version,
        record_dates,
    ),
    *(signer, references, free_text),
    *QUALITY,
)
