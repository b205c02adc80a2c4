"""What a rehearsal found out, and its JSON object (docs/spec/rehearse-json.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from governance.agreement import Agreement
from hashing.opening import Opened
from hashing.package import SealReport
from hashing.planner import Plan
from linkage.results import RunResult
from synthetic.evaluation import Evaluation, Figures
from synthetic.stages import Stages


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


def _accuracy(found: Figures | None) -> dict[str, float | None]:
    """Return figures against the truth; without the truth there are none."""
    figures = found or Figures(precision=None, recall=None, f1=None)
    return {"precision": figures.precision, "recall": figures.recall, "f1": figures.f1}


def _pairs(rehearsal: Rehearsal) -> dict[str, Any]:
    evaluation = rehearsal.evaluation
    agreement, best = (evaluation.agreement, evaluation.best) if evaluation else (None, None)
    return {
        "agreement": {"threshold": rehearsal.agreement.threshold, **_accuracy(agreement)},
        "best": {"threshold": best.threshold if best else None, **_accuracy(best)},
    }


def _clusters(rehearsal: Rehearsal) -> dict[str, Any]:
    clusters, evaluation = rehearsal.result.clusters, rehearsal.evaluation
    return {
        **_accuracy(evaluation.clusters if evaluation else None),
        "count": clusters.count,
        "largest": clusters.largest,
        "review": clusters.review,
        "to_review": sum(rehearsal.result.to_review.values()),
        "cut": clusters.cut,
    }


def _blocking(rehearsal: Rehearsal) -> dict[str, Any]:
    result, evaluation = rehearsal.result, rehearsal.evaluation
    return {
        "passes": len(result.passes),
        "candidate_pairs": len(result.links.left),
        "recall": evaluation.blocking_recall if evaluation else None,
        "capped_blocks": sum(found.capped_blocks for found in result.passes),
    }


def _privacy(rehearsal: Rehearsal) -> dict[str, Any]:
    result = rehearsal.result
    lambdas = dict(result.planned_lambda)
    false = rehearsal.evaluation.false_candidates if rehearsal.evaluation else None
    return {
        "d": 2 * sum(lambdas.values()),
        "d_observed": None if false is None or not result.subjects else 2 * false / result.subjects,
        "lambda": lambdas,
        "expected_reidentification": result.reidentification.people,
        "expected_reidentification_with_records": result.reidentification.records,
    }


def _multi_agency(rehearsal: Rehearsal) -> dict[str, Any]:
    window = rehearsal.result.window
    return {
        "window_months": window.months,
        "as_of": window.as_of.isoformat(),
        "people": window.people,
        "by_agencies": {str(number): people for number, people in window.by_agencies.items()},
    }


def _input(report: SealReport) -> dict[str, int]:
    quality = report.quality
    return {
        "rows": quality.rows,
        "subjects": quality.subjects,
        "versions": quality.versions,
        "unusable": sum(quality.unusable.values()),
        "undated_contacts": quality.undated_contacts,
    }


def as_json(rehearsal: Rehearsal) -> dict[str, Any]:
    """Return the JSON object of the command contract (docs/spec/rehearse-json.md)."""
    return {
        "pairs": _pairs(rehearsal),
        "clusters": _clusters(rehearsal),
        "blocking": _blocking(rehearsal),
        "privacy": _privacy(rehearsal),
        "multi_agency": _multi_agency(rehearsal),
        "input": {report.agency: _input(report) for report in rehearsal.seals},
        "stages": [asdict(stage) for stage in rehearsal.stages.done],
    }
