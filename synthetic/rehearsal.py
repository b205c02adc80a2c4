"""The rehearsal: all roles on one machine, through the same code, packages and keys as the real thing."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pc_csv

from governance.agreement import Agreement, Budget, load_agreement
from governance.agreement_check import require_agreement
from governance.agreement_rehearsal import write_rehearsal_agreement
from governance.draft import draft_agreement
from hashing.extract import Extract, read_extract
from hashing.mapping import AgencyMapping, load_mapping
from hashing.opening import Opened, open_return
from hashing.package import SealReport, seal_subjects, shuffle, write_crosswalk
from hashing.planner import Plan, plan_passes
from hashing.subjects import Subjects, collapse, guess_standards
from linkage.run import RunResult, link
from schemas.atomic import atomic_folder
from schemas.errors import AgreementInvalid, ExtractError, MappingError
from schemas.identity import PrivateIdentity
from synthetic.evaluation import Evaluation, evaluate, held_refs, match_truth, read_truth
from synthetic.stages import Stages

UNIT = "linkage-unit"
_RESERVED = ("truth",)
_ENDINGS = (".csv", ".parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """Everything a rehearsal found out.

    Attributes:
        agreement: The agreement it ran under, given or drafted.
        plan: How the passes were planned; None under a given agreement.
        seals: What each agency sealed.
        result: The run at the linkage unit.
        opened: Each agency's opened return.
        evaluation: How right the run was; None without truth.csv.
        stages: Times and memory.
        out: The output folder, None when nothing was kept.
    """

    agreement: Agreement
    plan: Plan | None
    seals: tuple[SealReport, ...]
    result: RunResult
    opened: Mapping[str, Opened]
    evaluation: Evaluation | None
    stages: Stages
    out: Path | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What a folder holds: extracts and mappings by agency, and the truth if it is known."""

    extracts: dict[str, Extract]
    mappings: dict[str, AgencyMapping]
    truth: dict[str, dict[str, str]] | None


def agency_id(stem: str) -> str:
    """Return the party id made from a file name: lower case, other characters than letters and digits to `_`."""
    return (
        "".join(ch if ch.isascii() and ch.isalnum() else "_" for ch in stem.strip().lower()).strip("_")
        or "agency"
    )


def find_extracts(folder: Path) -> dict[str, Path]:
    """Return agency -> extract in `folder` (CSV or Parquet files directly in it, but for truth.csv).

    Raises:
        ExtractError: There is none, or two would be the same agency.
    """
    if not folder.is_dir():
        raise ExtractError(
            "this is not a folder.", where=str(folder), remedy="Name the folder with the extracts."
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _ENDINGS or path.stem.lower() in _RESERVED or not path.is_file():
            continue
        name = agency_id(path.stem)
        if name in found:
            raise ExtractError(
                f"{path.name} and {found[name].name} would both be the agency {name}.",
                where=str(folder),
                remedy="Keep one file for each agency.",
            )
        found[name] = path
    if not found:
        raise ExtractError(
            "there is no extract here.",
            where=str(folder),
            remedy="Put one CSV file for each agency into it, named after the agency.",
        )
    return found


def read_inputs(folder: Path, stages: Stages) -> Inputs:
    """Read the extracts of `folder`, its mapping.yaml and its truth.csv.

    Raises:
        TallystickError: A file cannot be read, or they do not fit together.
    """
    paths = find_extracts(folder)
    mapping_file = folder / "mapping.yaml"
    listed = load_mapping(mapping_file) if mapping_file.exists() else {}
    mappings = {agency_id(name): mapping for name, mapping in listed.items()}
    unknown = sorted(set(mappings) - set(paths))
    if unknown:
        raise MappingError(
            f"there is no extract of {', '.join(unknown)}.",
            where=f"{mapping_file}: agencies",
            remedy="Name the agencies like their files, without the ending.",
        )
    extracts = {}
    for name, path in paths.items():
        with stages(f"read {name}"):
            extracts[name] = read_extract(path, agency=name, mapping=mappings.get(name))
    truth_file = folder / "truth.csv"
    truth = None
    if truth_file.exists():
        truth = {agency_id(name): refs for name, refs in read_truth(truth_file).items()}
    return Inputs(extracts=extracts, mappings=mappings, truth=truth)


def _identities(document: Mapping[str, Any]) -> dict[str, PrivateIdentity]:
    """Make identities that live as long as the rehearsal; no key is ever saved."""
    names = [*(party["id"] for party in document["parties"]), document["linkage_unit"]["id"]]
    return {name: PrivateIdentity.generate(name) for name in names}


def collapse_all(
    inputs: Inputs,
    standards: Mapping[str, str],
    match_fields: frozenset[str] | None,
    today: date,
    stages: Stages,
) -> dict[str, Subjects]:
    """Collapse each extract to subjects, numbered from a seed."""
    subjects: dict[str, Subjects] = {}
    for name, extract in inputs.extracts.items():
        with stages(f"normalise {name}"):
            fields = {} if match_fields is None else {"match_fields": match_fields}
            collapsed = collapse(
                extract, today=today, mapping=inputs.mappings.get(name), standards=standards, **fields
            )
            # A rehearsal gives the same figures for the same extracts, so its numbering is drawn from a seed; nobody
            # can open its packages afterwards. The real command numbers by the operating system's randomness.
            subjects[name] = shuffle(collapsed, np.random.default_rng(len(subjects)).bytes)
    return subjects


def _drafted(
    inputs: Inputs,
    standards: Mapping[str, str],
    plan: Plan,
    today: date,
) -> dict[str, Any]:
    parties = {
        name: inputs.mappings.get(name, AgencyMapping()).agency_type or name for name in inputs.extracts
    }
    return draft_agreement(
        parties=parties,
        passes=[chosen.name for chosen in plan.passes],
        today=today,
        standards=standards,
        agreement_id="rehearsal",
        unit_id=UNIT,
    )


def _require_parties(agreement: Agreement, inputs: Inputs) -> None:
    unknown = [name for name in inputs.extracts if agreement.party(name) is None]
    if unknown:
        raise AgreementInvalid(
            f"the agreement does not name {', '.join(unknown)} as a party.",
            where="--agreement",
            remedy="Add the party, or take its extract out of the folder.",
        )


def _seal_all(
    subjects: Mapping[str, Subjects],
    folder: Path,
    *,
    agreement: Agreement,
    identities: Mapping[str, PrivateIdentity],
    secret: bytes,
    run_id: str,
    now: datetime,
    as_of: date | None,
    stages: Stages,
) -> list[SealReport]:
    reports = []
    for name, each in subjects.items():
        home = folder / "agencies" / name
        home.mkdir(parents=True)
        seal_id = secrets.token_hex(16)
        with stages(f"seal {name}"):
            reports.append(
                seal_subjects(
                    each,
                    home / f"{name}.tally",
                    agreement=agreement,
                    run_id=run_id,
                    secret=secret,
                    sender=identities[name],
                    unit=identities[agreement.unit_id].public,
                    created_at=now,
                    as_of=as_of,
                    seal_id=seal_id,
                    exclusions={entry.kind: 0 for entry in agreement.exclusions},
                )
            )
            write_crosswalk(
                each,
                home / f"{name}.crosswalk",
                agreement=agreement,
                run_id=run_id,
                owner=identities[name],
                created_at=now,
                seal_id=seal_id,
            )
    return reports


def _open_all(
    inputs: Inputs,
    folder: Path,
    agreement: Agreement,
    identities: Mapping[str, PrivateIdentity],
    secret: bytes,
    stages: Stages,
    keep_results: bool,
) -> dict[str, Opened]:
    public = {name: identity.public for name, identity in identities.items()}
    opened = {}
    for name, extract in inputs.extracts.items():
        with stages(f"open {name}"):
            opened[name] = open_return(
                folder / "unit" / "run" / "returns" / f"{name}.tally",
                crosswalk=folder / "agencies" / name / f"{name}.crosswalk",
                extract_columns=extract.columns,
                agreement=agreement,
                owner=identities[name],
                known=public,
                secret=secret,
            )
            if keep_results:
                pc_csv.write_csv(opened[name].table, folder / "agencies" / name / "results.csv")
    return opened


def _evaluate(
    inputs: Inputs, subjects: Mapping[str, Subjects], result: RunResult, threshold: float
) -> Evaluation | None:
    if inputs.truth is None:
        return None
    refs = match_truth(
        inputs.truth,
        {name: (each.refs, each.ref_subject) for name, each in subjects.items()},
        {sender.agency: sender.first_subject for sender in result.senders},
        {name: held_refs(extract.columns["ref"].to_pylist()) for name, extract in inputs.extracts.items()},
    )
    return evaluate(result.links, result.clusters.person, refs, subjects=result.subjects, threshold=threshold)


def rehearse(
    folder: Path,
    out: Path,
    *,
    agreement_file: Path | None = None,
    as_of: date | None = None,
    now: datetime | None = None,
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
        keep_results: Write each agency's named results; without, no identifier is written anywhere.
        announce: Told the name of each stage when it begins.

    Raises:
        TallystickError: Anything that the real commands would refuse.
    """
    now = now or datetime.now(UTC)
    today = now.date()
    stages = Stages(announce=announce)
    with atomic_folder(out) as work:
        inputs = read_inputs(folder, stages)
        plan = None
        if agreement_file is not None:
            given = load_agreement(agreement_file, today=today)
            _require_parties(given, inputs)
            document = given.document
            subjects = collapse_all(inputs, given.standards, given.match_fields, today, stages)
        else:
            standards = guess_standards(inputs.extracts)
            subjects = collapse_all(inputs, standards, None, today, stages)
            with stages("plan passes"):
                plan = plan_passes(list(subjects.values()), budget=Budget(d=0.2, lambda_=0.05))
            if not plan.passes:
                raise ExtractError(
                    "no combination of the identifiers in these extracts is strong enough to link so many people "
                    "by within the privacy budget.",
                    where=str(folder),
                    remedy="Add identifiers (dates of birth, postcodes, NHS numbers), or check the column names.",
                )
            document = _drafted(inputs, standards, plan, today)
        identities = _identities(document)
        public = {name: identity.public for name, identity in identities.items()}
        agreed = work / "agreement.yaml"
        write_rehearsal_agreement(agreed, document, identities, today=today)
        agreement = require_agreement(agreed, today=today)
        secret, run_id = secrets.token_bytes(32), f"rehearsal-{now:%Y%m%dt%H%M%S}-{secrets.token_hex(4)}"
        seals = _seal_all(
            subjects,
            work,
            agreement=agreement,
            identities=identities,
            secret=secret,
            run_id=run_id,
            now=now,
            as_of=as_of,
            stages=stages,
        )
        (work / "unit").mkdir()
        require_agreement(agreed, today=today)
        result = link(
            [work / "agencies" / name / f"{name}.tally" for name in subjects],
            work / "unit" / "run",
            agreement=agreement,
            unit=identities[agreement.unit_id],
            known=public,
            created_at=now,
            as_of=as_of,
            run_id=run_id,
            stage=stages,
        )
        require_agreement(agreed, today=today)
        opened = _open_all(inputs, work, agreement, identities, secret, stages, keep_results)
        with stages("evaluate"):
            evaluation = _evaluate(inputs, subjects, result, agreement.threshold)
    return Rehearsal(
        agreement=agreement,
        plan=plan,
        seals=tuple(seals),
        result=result,
        opened=opened,
        evaluation=evaluation,
        stages=stages,
        out=out,
    )


def as_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """Return the JSON object of the command contract (docs/spec/rehearse-json.md)."""
    result, evaluation = rehearsal.result, rehearsal.evaluation
    empty = {"precision": None, "recall": None, "f1": None}

    def figures(name: str) -> dict[str, Any]:
        found = asdict(getattr(evaluation, name)) if evaluation else dict(empty)
        threshold = found.pop("threshold", None)
        return found if name == "clusters" else {"threshold": threshold, **found}

    pairs = {name: figures(name) for name in ("agreement", "best")}
    pairs["agreement"]["threshold"] = rehearsal.agreement.threshold
    lambdas = dict(result.planned_lambda)
    false = evaluation.false_candidates if evaluation else None
    return {
        "pairs": pairs,
        "clusters": {
            **figures("clusters"),
            "count": result.clusters.count,
            "largest": result.clusters.largest,
            "review": result.clusters.review,
            "cut": result.clusters.cut,
        },
        "blocking": {
            "passes": len(result.passes),
            "candidate_pairs": len(result.links.left),
            "recall": evaluation.blocking_recall if evaluation else None,
            "capped_blocks": sum(found.capped_blocks for found in result.passes),
        },
        "privacy": {
            "d": 2 * sum(lambdas.values()),
            "d_observed": None if false is None or not result.subjects else 2 * false / result.subjects,
            "lambda": lambdas,
            "expected_reidentification": result.reidentification.people,
            "expected_reidentification_with_records": result.reidentification.records,
        },
        "multi_agency": {
            "window_months": result.window.months,
            "as_of": result.window.as_of.isoformat(),
            "people": result.window.people,
            "by_agencies": {str(number): people for number, people in result.window.by_agencies.items()},
        },
        "input": {
            report.agency: {
                "rows": report.quality.rows,
                "subjects": report.quality.subjects,
                "versions": report.quality.versions,
                "unusable": sum(report.quality.unusable.values()),
                "undated_contacts": report.quality.undated_contacts,
            }
            for report in rehearsal.seals
        },
        "stages": [asdict(stage) for stage in rehearsal.stages.done],
    }
