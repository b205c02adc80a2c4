"""The rehearsal: all roles on one machine, through the same code, packages and keys as the real thing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from governance.agreement import Agreement, Budget, load_agreement, parse_agreement
from governance.agreement_check import require_agreement
from governance.agreement_rehearsal import write_rehearsal_agreement
from governance.draft import draft_agreement
from hashing.mapping import AgencyMapping
from hashing.planner import Plan, plan_passes
from hashing.subjects import Subjects, guess_standards
from linkage.run import RunResult, link
from schemas.atomic import atomic_folder
from schemas.errors import AgreementInvalid, ExtractError
from schemas.identity import PrivateIdentity
from synthetic.evaluation import Evaluation, evaluate, held_refs, match_truth
from synthetic.rehearsal_agencies import Roles, open_all, seal_all
from synthetic.rehearsal_inputs import (
    Inputs,
    agency_id,
    collapse_all,
    find_extracts,
    latest_contact,
    only_sealed,
    read_inputs,
    undated,
)
from synthetic.rehearsed import Rehearsal, as_json
from synthetic.stages import Stages

__all__ = [
    "UNIT",
    "Inputs",
    "Rehearsal",
    "agency_id",
    "as_json",
    "collapse_all",
    "find_extracts",
    "read_inputs",
    "rehearse",
]

UNIT = "linkage-unit"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prepared:
    """What stands before anybody signs.

    Attributes:
        document: The agreement's document.
        subjects: Whom each agency seals.
        not_sealed: agency -> references of people whom the agreement lets nobody seal.
        as_of: Last day of the window; the day of the latest contact when None.
        plan: How passes were planned; None under an agreement that was given.
    """

    document: Mapping[str, Any]
    subjects: dict[str, Subjects]
    not_sealed: Mapping[str, frozenset[str]]
    as_of: date | None
    plan: Plan | None


def rehearse(
    folder: Path,
    out: Path,
    *,
    agreement_file: Path | None = None,
    as_of: date | None = None,
    now: datetime | None = None,
    budget: float = 0.2,
    keep_results: bool = True,
    announce: Callable[[str], None] = lambda _name: None,
) -> Rehearsal:
    """Play all roles on the extracts in `folder` and write everything to `out`, whole or not at all.

    `out` holds `agreement.yaml` with its signatures, `agencies/<agency>/` (package, crosswalk, `results.csv`) and
    `unit/run/`. Keys and the linkage secret exist in memory only, so packages and returns of a rehearsal cannot be
    opened afterwards.

    Args:
        folder: `<agency>.csv` files, and `mapping.yaml` and `truth.csv` if present.
        out: Folder to create.
        agreement_file: The agreement to obey, signed or not: a copy of it, marked as a rehearsal, is filled in and
            signed by the rehearsal's own keys. Without one, passes are planned for the data and one is drafted.
        as_of: Last day of the window; the day of the latest contact when None.
        now: Time of the rehearsal, with a zone.
        budget: Privacy budget d of the passes that are planned; an agreement that is given has its own.
        keep_results: Write each agency's named results; without, no identifier is written anywhere.
        announce: Told the name of each stage when it begins.

    Raises:
        TallystickError: Anything that the real commands would refuse.
    """
    now = now or datetime.now(UTC)
    stages = Stages(announce=announce)
    with atomic_folder(out) as work:
        inputs = read_inputs(folder, stages)
        if agreement_file is None:
            prepared = _planned(inputs, folder, now.date(), as_of, stages, budget)
        else:
            prepared = _given(inputs, agreement_file, now.date(), as_of, stages)
        roles = _roles(work, prepared.document, now, prepared.as_of)
        seals = seal_all(prepared.subjects, roles, stages)
        result = _link(roles, list(prepared.subjects), stages)
        _require_signed(roles)
        opened = open_all(inputs.extracts, roles, stages, keep_results=keep_results)
        with stages("evaluate"):
            evaluation = _evaluate(inputs, prepared, result, roles.agreement.threshold)
    return Rehearsal(
        agreement=roles.agreement,
        plan=prepared.plan,
        seals=tuple(seals),
        result=result,
        opened=opened,
        evaluation=evaluation,
        stages=stages,
        out=out,
    )


def _given(
    inputs: Inputs, agreement_file: Path, today: date, as_of: date | None, stages: Stages
) -> _Prepared:
    """Collapse the extracts by an agreement that is there already.

    Where an agency dates no contact there is no window to go by, and links alone are rehearsed, of everybody; `seal`
    refuses such an extract.
    """
    given = load_agreement(agreement_file, today=today)
    _require_parties(given, inputs)
    subjects = collapse_all(inputs, given.standards, given.match_fields, today, stages)
    if not given.everyone and undated(subjects):
        window = {**given.document["window"], "everyone": True}
        given = parse_agreement({**given.document, "window": window})
    last = as_of or latest_contact(subjects)
    sealed, others = only_sealed(subjects, given, last)
    return _Prepared(document=given.document, subjects=sealed, not_sealed=others, as_of=last, plan=None)


def _require_parties(agreement: Agreement, inputs: Inputs) -> None:
    unknown = [name for name in inputs.extracts if agreement.party(name) is None]
    if unknown:
        raise AgreementInvalid(
            f"the agreement does not name {', '.join(unknown)} as a party.",
            where="--agreement",
            remedy="Add the party, or take its extract out of the folder.",
        )


def _planned(
    inputs: Inputs, folder: Path, today: date, as_of: date | None, stages: Stages, budget: float
) -> _Prepared:
    """Collapse the extracts, plan passes for them, and draft an agreement."""
    standards = guess_standards(inputs.extracts)
    subjects = collapse_all(inputs, standards, None, today, stages)
    with stages("plan passes"):
        plan = plan_passes(list(subjects.values()), budget=Budget(d=budget, lambda_=min(0.05, budget / 2)))
    if not plan.passes:
        raise ExtractError(
            "no combination of the identifiers in these extracts is strong enough to link so many people "
            "by within the privacy budget.",
            where=str(folder),
            remedy="Add identifiers (dates of birth, postcodes, NHS numbers), or check the column names.",
        )
    document = draft_agreement(
        parties={
            name: inputs.mappings.get(name, AgencyMapping()).agency_type or name for name in inputs.extracts
        },
        passes=[chosen.name for chosen in plan.passes],
        today=today,
        standards=standards,
        agreement_id="rehearsal",
        unit_id=UNIT,
        budget=budget,
        everyone=True,  # so that accuracy is measured on all records; adapt it before it is used
    )
    return _Prepared(document=document, subjects=subjects, not_sealed={}, as_of=as_of, plan=plan)


def _roles(work: Path, document: Mapping[str, Any], now: datetime, as_of: date | None) -> Roles:
    """Make keys that live as long as the rehearsal, sign the agreement with them, and draw a linkage secret."""
    names = [*(party["id"] for party in document["parties"]), document["linkage_unit"]["id"]]
    identities = {name: PrivateIdentity.generate(name) for name in names}
    write_rehearsal_agreement(_agreed(work), document, identities, today=now.date())
    return Roles(
        folder=work,
        agreement=require_agreement(_agreed(work), today=now.date()),
        identities=identities,
        secret=secrets.token_bytes(32),
        run_id=f"rehearsal-{now:%Y%m%dt%H%M%S}-{secrets.token_hex(4)}",
        now=now,
        as_of=as_of,
    )


def _agreed(work: Path) -> Path:
    return work / "agreement.yaml"


def _require_signed(roles: Roles) -> None:
    """Check the agreement as every command does anew: each role reads it for itself."""
    require_agreement(_agreed(roles.folder), today=roles.now.date())


def _link(roles: Roles, agencies: list[str], stages: Stages) -> RunResult:
    roles.run.parent.mkdir()
    _require_signed(roles)
    return link(
        [roles.package(name) for name in agencies],
        roles.run,
        agreement=roles.agreement,
        unit=roles.identities[roles.agreement.unit_id],
        known=roles.public,
        created_at=roles.now,
        as_of=roles.as_of,
        run_id=roles.run_id,
        stage=stages,
    )


def _evaluate(inputs: Inputs, prepared: _Prepared, result: RunResult, threshold: float) -> Evaluation | None:
    if inputs.truth is None:
        return None
    held = {name: held_refs(extract.columns["ref"].to_pylist()) for name, extract in inputs.extracts.items()}
    refs = match_truth(
        inputs.truth,
        {name: (each.refs, each.ref_subject) for name, each in prepared.subjects.items()},
        {sender.agency: sender.first_subject for sender in result.senders},
        {name: refs - prepared.not_sealed.get(name, frozenset()) for name, refs in held.items()},
    )
    return evaluate(result.ties, result.clusters.person, refs, subjects=result.subjects, threshold=threshold)
