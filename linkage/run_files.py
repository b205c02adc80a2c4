"""The files of a run folder: `run.json`, the model, and the tables of links, people and reviews."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from governance.agreement import Agreement
from governance.gate import finding_dict
from governance.rules.linkage import settings_of
from linkage.results import RunResult
from linkage.reuse import model_document
from linkage.ties import Ties

_LINKS = """
    SELECT l.agency AS agency_l, l.number AS subject_l, r.agency AS agency_r, r.number AS subject_r,
           match_weight, match_probability, coalesce(found_by, 0) AS found_by, pattern,
           pair_weight, agencies_weight, ties_in.probability AS final_probability
    FROM ties_in
    LEFT JOIN links USING (subject_l, subject_r)
    JOIN subjects AS l ON l.subject = ties_in.subject_l
    JOIN subjects AS r ON r.subject = ties_in.subject_r
    ORDER BY ties_in.place
"""
"""A row a pair that was compared, and one a pair that is one person through others (then without weight or pattern)."""

_PEOPLE = "SELECT agency, number AS subject, person FROM subjects JOIN people USING (subject)"


def _texts(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(number): count for number, count in counts.items()}


def _senders(result: RunResult) -> dict[str, Any]:
    return {
        sender.agency: {
            "subjects": sender.subjects,
            "package": sender.manifest.package_id,
            "seal_id": sender.manifest.facts.get("seal_id"),
        }
        for sender in result.senders
    }


def _privacy(result: RunResult) -> dict[str, Any]:
    return {
        "d": 2 * sum(result.planned_lambda.values()),
        "lambda": dict(result.planned_lambda),
        "expected_reidentification": result.reidentification.people,
        "expected_reidentification_with_records": result.reidentification.records,
    }


def _training(result: RunResult, agreement: Agreement) -> dict[str, Any]:
    reused = result.reused
    return {
        "prior": result.trained.parameters.prior,
        "sessions": [asdict(session) for session in result.trained.sessions],
        "model": None
        if reused is None
        else {
            "run": reused.run_id,
            "agreement": reused.agreement_digest,
            "same_agreement": reused.agreement_digest == agreement.digest,
        },
    }


def _settling(result: RunResult) -> dict[str, Any]:
    """Say what the links told of the agencies when they were weighed against each other."""
    names, settled = [sender.agency for sender in result.senders], result.settled
    shared = [
        {
            "agencies": [names[a], names[b]],
            "shift": round(float(settled.shift[a, b]), 3),
            "partners": [round(float(settled.covered[b, a]), 4), round(float(settled.covered[a, b]), 4)],
        }
        for a, b in combinations(range(len(names)), 2)
    ]
    repeated = {
        name: {
            "shift": round(float(settled.shift[at, at]), 3),
            "records": round(float(settled.repeated[at]), 4),
        }
        for at, name in enumerate(names)
    }
    return {"shared": shared, "repeated": repeated, "implied": int((~result.ties.compared).sum())}


def _clusters(result: RunResult) -> dict[str, Any]:
    return {
        "count": result.clusters.count,
        "largest": result.clusters.largest,
        "review": result.clusters.review,
        "cut": result.clusters.cut,
        "cut_by": dict(result.clusters.cut_by),
        "kept_apart": result.kept_apart,
        "sizes": _texts(result.metrics.sizes),
        "density": result.metrics.density,
        "bridged": result.metrics.bridged,
        "to_review": dict(result.to_review),
    }


def _multi_agency(result: RunResult) -> dict[str, Any]:
    rolling = result.rolling
    return {
        "window_months": result.window.months,
        "as_of": result.window.as_of.isoformat(),
        "people": result.window.people,
        "by_agencies": _texts(result.window.by_agencies),
        "rolling": None
        if rolling is None
        else {
            "months": rolling.months,
            "contacts_after": rolling.contacts_after.isoformat(),
            "people": rolling.people,
            "by_agencies": _texts(rolling.by_agencies),
            "cut": rolling.cut,
        },
    }


def _households(result: RunResult) -> dict[str, Any] | None:
    homes = result.households
    return None if homes is None else {**asdict(homes), "by_agencies": _texts(homes.by_agencies)}


def summary_of(result: RunResult, agreement: Agreement) -> dict[str, Any]:
    """Return what `run.json` says of a run: counts and settings, no token and no identifier."""
    return {
        "run": result.run_id,
        "created_at": result.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "agreement": {"id": agreement.id, "version": agreement.version, "digest": agreement.digest},
        "settings": settings_of(agreement),
        "engine": result.engine,
        "compliance": [finding_dict(found) for found in result.findings],
        "senders": _senders(result),
        "blocking": [asdict(found) for found in result.passes],
        "privacy": _privacy(result),
        "training": _training(result, agreement),
        "settling": _settling(result),
        "clusters": _clusters(result),
        "multi_agency": _multi_agency(result),
        "households": _households(result),
        "returns": dict(result.told),
    }


def _links(con: duckdb.DuckDBPyConnection, ties: Ties) -> pa.Table:
    table = pa.table(
        {
            "place": np.arange(len(ties.left), dtype=np.int32),
            "subject_l": ties.left.astype(np.int32),
            "subject_r": ties.right.astype(np.int32),
            "probability": ties.probability,
        }
    )
    con.register("ties_in", table)
    found = con.sql(_LINKS).to_arrow_table()
    con.unregister("ties_in")
    return found


def write_results(
    con: duckdb.DuckDBPyConnection, folder: Path, result: RunResult, agreement: Agreement, review: pa.Table
) -> None:
    """Write what evaluation and explanation need later: numbers of subjects and weights, no token."""
    pq.write_table(_links(con, result.ties), folder / "links.parquet")
    pq.write_table(review, folder / "review.parquet")
    pq.write_table(con.sql(_PEOPLE).to_arrow_table(), folder / "people.parquet")
    seen = None if result.reused is None else result.reused.seen
    model = model_document(
        result.trained, agreement, run_id=result.run_id, subjects=result.subjects, seen=seen
    )
    (folder / "model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    summary = json.dumps(summary_of(result, agreement), indent=1)
    (folder / "run.json").write_text(summary + "\n", encoding="utf-8")
