"""L01 to L07: what has to hold at the linkage unit before packages are linked, and of the run afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.agreement import Agreement
from governance.rules.base import Fault, Moment, Rule, Severity, rule
from governance.rules.package_subject import Stated

_UNIT = "linkage unit"
_SECURE = "UK GDPR Art 5(1)(f), integrity and confidentiality"
_BEFORE = (Moment.BEFORE_LINK, Moment.AFTER_LINK)

Member = tuple[str, int]
"""An agency and the number of one of its subjects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkageSubject:
    """A run as the rules see it.

    Attributes:
        where: Run folder or command, for messages.
        agreement: The agreement of the run.
        packages: What each sender states, in order.
        taken_in: Package ids that were taken in before this run.
        package_ids: Ids of the packages, in the order of `packages`.
        settings: What the run was done with (`run.json`, `settings`), when it is over.
        summary: `run.json`, when the run is over.
        person: Subject -> person, when the run is over.
        do_not_link: Pairs of subjects that must stay apart (adoption, witness protection).
        readable_keys: Places where the unit can read a linkage key, or is named as one of its owners.
    """

    where: str
    agreement: Agreement
    packages: Sequence[Stated] = ()
    taken_in: frozenset[str] = frozenset()
    package_ids: Sequence[str] = ()
    settings: Mapping[str, Any] | None = None
    summary: Mapping[str, Any] | None = None
    person: Mapping[Member, int] | None = None
    do_not_link: Sequence[tuple[Member, Member]] = ()
    readable_keys: Sequence[str] = ()


@rule(
    "L01",
    Severity.BLOCK,
    _BEFORE,
    "Sender and recipient are parties to the purpose",
    why="Agreement, parties and purposes",
)
def parties(run: LinkageSubject) -> Iterator[Fault]:
    """Every sender is an agency of the agreement, the unit receives, and the purpose is an agreed one."""
    agencies = {party.id for party in run.agreement.parties}
    for number, stated in enumerate(run.packages, 1):
        where = f"{run.where}: package {number}"
        if stated.sender not in agencies:
            yield Fault(
                sentence="The sender of a package is no party to the agreement.",
                where=where,
                fix="Leave the package out, and ask the sender which agreement it acts under.",
                owner=_UNIT,
            )
        if stated.recipient != run.agreement.unit_id:
            yield Fault(
                sentence="A package is addressed to somebody else than the linkage unit of the agreement.",
                where=where,
                fix="Return it to its sender unopened.",
                owner=_UNIT,
            )
        legal = _purposes_of(run.agreement, stated.sender)
        if stated.purpose not in run.agreement.purposes or (legal and stated.purpose not in legal):
            yield Fault(
                sentence="A package was made for a purpose that the agreement does not give its sender.",
                where=where,
                fix="Ask the sender for a package made for an agreed purpose.",
                owner=_UNIT,
            )


def _purposes_of(agreement: Agreement, party: str) -> set[str]:
    """Return the purposes for which a party states a legal basis; empty when it states none (rule D06)."""
    entry: Mapping[str, Any] = next((e for e in agreement.document["parties"] if e["id"] == party), {})
    return {legal["purpose"] for legal in entry.get("legal", [])}


@rule("L02", Severity.BLOCK, _BEFORE, "Each package is whole, genuine and new", why=_SECURE)
def replayed(run: LinkageSubject) -> Iterator[Fault]:
    """No package was taken in before, none comes twice, and no sender sends two for one run."""
    before = [package_id for package_id in run.package_ids if package_id in run.taken_in]
    twice = len(run.package_ids) - len(set(run.package_ids))
    slots = [(stated.sender, stated.run_id) for stated in run.packages]
    doubled = len(slots) - len(set(slots))
    if before or twice or doubled:
        yield Fault(
            sentence="A package was already taken in, or a sender sent two for one run.",
            where=run.where,
            evidence=f"{max(len(before), twice, doubled)} of {len(run.packages)} packages",
            fix="Ask the sender which package counts, and start a new run with that one only.",
            owner=_UNIT,
        )


@rule("L03", Severity.BLOCK, _BEFORE, "One agreement, one run, one linkage secret", why="Agreement, sealing")
def mixed(run: LinkageSubject) -> Iterator[Fault]:
    """All packages name the agreement's digest, one run and one key epoch."""
    digests = {stated.agreement_digest for stated in run.packages}
    if digests - {run.agreement.digest}:
        yield Fault(
            sentence="Packages were made under another agreement, or another version of it.",
            where=run.where,
            evidence=f"{len(digests)} different digests",
            fix="Compare the digest of the signed agreement with every sender's.",
            owner=_UNIT,
        )
    if len({stated.run_id for stated in run.packages}) > 1:
        yield Fault(
            sentence="The packages were made for different runs.",
            where=run.where,
            fix="Ask for packages of one run.",
            owner=_UNIT,
        )
    epochs = {
        secret.get("epoch")
        for stated in run.packages
        if isinstance(secret := stated.facts.get("linkage_secret"), Mapping)
    }
    checks = {stated.facts.get("key_check") for stated in run.packages}
    if len(epochs) > 1 or len(checks) > 1:
        yield Fault(
            sentence="The packages were sealed with linkage secrets of different epochs.",
            where=run.where,
            evidence=f"{max(len(epochs), len(checks))} different secrets",
            fix="Let every agency seal with the secret of the latest ceremony.",
            owner=_UNIT,
        )


def settings_of(agreement: Agreement) -> dict[str, Any]:
    """Return the settings that a run under the agreement has, in the form that `run.json` keeps them."""
    return {
        "passes": [blocking.name for blocking in agreement.passes],
        "threshold": agreement.threshold,
        "review_from": agreement.review_from,
        "largest_cluster": agreement.largest_cluster,
        "window_months": agreement.months,
        "minimum_agencies": agreement.minimum_agencies,
        "outputs": sorted(agreement.outputs),
    }


@rule(
    "L04",
    Severity.BLOCK,
    _BEFORE,
    "The run's settings are the agreement's",
    why="Agreement, matching, sealing and window",
)
def settings(run: LinkageSubject) -> Iterator[Fault]:
    """Passes, thresholds, window and outputs of the run are those that were signed."""
    if run.settings is None:
        return
    agreed = settings_of(run.agreement)
    differing = [
        name for name, value in agreed.items() if name in run.settings and run.settings[name] != value
    ]
    if differing:
        yield Fault(
            sentence="The run was done with other settings than the agreement's.",
            where=f"{run.where}: {', '.join(differing)}",
            fix="Do not send its returns. Link again with the signed agreement.",
            owner=_UNIT,
        )
    found = (run.summary or {}).get("agreement", {}).get("digest", run.agreement.digest)
    if found != run.agreement.digest:
        yield Fault(
            sentence="The run was done under another agreement, or another version of it.",
            where=f"{run.where}: agreement",
            fix="Check it with the agreement that it was done under, or link again.",
            owner=_UNIT,
        )


@rule(
    "L05",
    Severity.BLOCK,
    [Moment.AFTER_LINK],
    "No pair that must stay apart was joined",
    why="Adoption and Children Act 2002 ss56 to 65; agreement, exclusions",
)
def do_not_link(run: LinkageSubject) -> Iterator[Fault]:
    """Pairs on a do-not-link list are two people in the result."""
    if run.person is None:
        return
    joined = sum(
        1
        for left, right in run.do_not_link
        if run.person.get(left) is not None and run.person.get(left) == run.person.get(right)
    )
    if joined:
        yield Fault(
            sentence="Records that must stay apart were put together as one person.",
            where=run.where,
            evidence=f"{joined} of {len(run.do_not_link)} pairs",
            fix="Do not send the returns. Link again with the do-not-link list.",
            owner=_UNIT,
        )


@rule(
    "L06",
    Severity.BLOCK,
    _BEFORE,
    "The linkage unit cannot read a linkage key",
    why="UK GDPR Art 4(5), pseudonymisation",
)
def unit_holds_key(run: LinkageSubject) -> Iterator[Fault]:
    """No linkage secret or contribution lies open at the unit, and the unit is none of the agencies."""
    places = list(run.readable_keys)
    agencies = run.agreement.parties
    unit = run.agreement.unit_keys
    if run.agreement.unit_id in {party.id for party in agencies}:
        places.append("the unit is named as an agency")
    places += [
        f"the unit shares a key with {party.id}"
        for party in agencies
        if unit is not None
        and party.keys is not None
        and (party.keys.receiving_key == unit.receiving_key or party.keys.signing_key == unit.signing_key)
    ]
    if places:
        yield Fault(
            sentence="The linkage unit can read a linkage key, so its tokens could be undone there.",
            where="; ".join(places[:5]),
            evidence=f"{len(places)} place(s)",
            fix="Remove it, tell the custodian, and rotate the linkage secret before the next run.",
            owner=_UNIT,
        )


@rule(
    "L07",
    Severity.AMBER,
    [Moment.AFTER_LINK],
    "No person has too many records",
    why="Agreement, matching.largest_cluster",
)
def oversized(run: LinkageSubject) -> Iterator[Fault]:
    """Amber when a cluster is larger than agreed, or had to be cut."""
    clusters = (run.summary or {}).get("clusters")
    if not isinstance(clusters, Mapping):
        return
    largest, cut = int(clusters.get("largest") or 0), int(clusters.get("cut") or 0)
    if largest > run.agreement.largest_cluster or cut:
        yield Fault(
            sentence="A person was put together from more records than one person has.",
            where=f"{run.where}: clusters",
            evidence=f"largest {largest}, agreed {run.agreement.largest_cluster}; {cut} links cut",
            fix="Look at the links of the largest cluster before the returns are relied on.",
            owner=_UNIT,
        )


RULES: tuple[Rule[LinkageSubject], ...] = (
    *(parties, replayed, mixed, settings, do_not_link, unit_holds_key, oversized),
)
