"""A linkage run at the unit: packages in, returns and run results out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from governance.agreement import Agreement
from governance.check_moments import RunJudge
from governance.gate import finding_dict
from governance.rules.base import Finding
from governance.rules.linkage import Member, settings_of
from linkage.candidates import PassPairs, find_candidates
from linkage.clusters import Clusters, cluster
from linkage.clusters_evidence import read_evidence
from linkage.clusters_metrics import ClusterMetrics, cluster_metrics
from linkage.clusters_review import labels, review_table
from linkage.database import connect
from linkage.households import Households, find_households
from linkage.intake import HOMES_TABLE, Sender, counted, take_in
from linkage.privacy import Reidentification, measure
from linkage.privacy_budget import planned_lambda, require_budget
from linkage.returns import write_returns
from linkage.reuse import SavedModel, complete, model_document
from linkage.scoring import score_candidates
from linkage.training import Trained
from linkage.window import MultiAgency, find_multi_agency
from linkage.window_days import last_day, require_contacts_from
from linkage.window_rolling import WorstWindows, find_worst_windows
from schemas.atomic import atomic_folder
from schemas.errors import LinkageError
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.policies import ReplayGuard

Stage = Callable[[str], Any]
"""Given a stage's name, returns a context manager that lasts as long as the stage."""


@contextmanager
def _unmeasured(_name: str) -> Iterator[None]:
    yield


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Scored pairs of subjects, numbered across the run."""

    left: np.ndarray[Any, np.dtype[np.int64]]
    right: np.ndarray[Any, np.dtype[np.int64]]
    weight: np.ndarray[Any, np.dtype[np.float64]]
    probability: np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """What a run found, in numbers of the run; it holds no token and no identifier."""

    run_id: str
    created_at: datetime
    senders: tuple[Sender, ...]
    passes: tuple[PassPairs, ...]
    planned_lambda: Mapping[str, float]
    links: Links
    clusters: Clusters
    metrics: ClusterMetrics
    kept_apart: int
    to_review: Mapping[str, int]
    trained: Trained
    reused: SavedModel | None
    window: MultiAgency
    rolling: WorstWindows | None
    households: Households | None
    reidentification: Reidentification
    told: Mapping[str, int]
    findings: tuple[Finding, ...] = ()

    @property
    def subjects(self) -> int:
        """Subjects of all agencies."""
        return sum(sender.subjects for sender in self.senders)


def _read_links(con: duckdb.DuckDBPyConnection) -> Links:
    rows = con.execute(
        "SELECT subject_l, subject_r, match_weight, match_probability FROM links ORDER BY subject_l, subject_r"
    ).fetchnumpy()
    return Links(
        left=np.asarray(rows["subject_l"], dtype=np.int64),
        right=np.asarray(rows["subject_r"], dtype=np.int64),
        weight=np.asarray(rows["match_weight"], dtype=np.float64),
        probability=np.asarray(rows["match_probability"], dtype=np.float64),
    )


def _keep_apart(con: duckdb.DuckDBPyConnection) -> int:
    """Forget the links between records that an agency wants kept apart; return how many such pairs there are."""
    con.execute(
        """
        DELETE FROM links USING apart
        WHERE links.subject_l = apart.subject_l AND links.subject_r = apart.subject_r
        """
    )
    return int(con.execute("SELECT count(*) FROM apart").fetchall()[0][0])


def _apart_of(con: duckdb.DuckDBPyConnection) -> tuple[list[tuple[Member, Member]], dict[Member, int]]:
    """Return the pairs that must stay apart, and the person that each of their records is of (rule L05)."""
    rows = con.execute(
        """
        SELECT l.agency, l.number, pl.person, r.agency, r.number, pr.person
        FROM apart
        JOIN subjects AS l ON l.subject = apart.subject_l
        JOIN subjects AS r ON r.subject = apart.subject_r
        JOIN people AS pl ON pl.subject = apart.subject_l
        JOIN people AS pr ON pr.subject = apart.subject_r
        """
    ).fetchall()
    person = {(row[at], row[at + 1]): row[at + 2] for row in rows for at in (0, 3)}
    return [((row[0], row[1]), (row[3], row[4])) for row in rows], person


def _cluster_links(
    con: duckdb.DuckDBPyConnection, links: Links, agreement: Agreement, subjects: int
) -> Clusters:
    """Cluster, and fill the table `people` (subject, person).

    Raises:
        LinkageError: Two records that an agency wants kept apart became one person (rule L05; never expected).
    """
    checked = agreement.standards.get("nhs_number", "nhs") == "nhs"
    evidence = read_evidence(con, agreement.passes, numbers_checked=checked)
    found = cluster(
        links.left,
        links.right,
        links.weight,
        links.probability,
        subjects=subjects,
        threshold=agreement.threshold,
        review_from=agreement.review_from,
        largest=agreement.largest_cluster,
        evidence=evidence,
    )
    if (found.person[evidence.apart_left] == found.person[evidence.apart_right]).any():
        raise LinkageError("L05: records that an agency wants kept apart became one person.")
    table = pa.table(
        {"subject": np.arange(subjects, dtype=np.int32), "person": found.person.astype(np.int32)}
    )
    con.register("people_in", table)
    con.execute("CREATE TABLE people AS SELECT * FROM people_in")
    con.unregister("people_in")
    return found


def _views(
    con: duckdb.DuckDBPyConnection, agreement: Agreement, as_of: date
) -> tuple[WorstWindows | None, Households | None]:
    """Return the worst rolling windows and the households, each only if the agreement lets it be reported."""
    rolling = households = None
    if agreement.rolling:
        rolling = find_worst_windows(
            con, months=agreement.months, as_of=as_of, minimum_agencies=agreement.minimum_agencies
        )
    if agreement.households:
        con.execute(
            f"""
            CREATE TABLE household_tokens AS
            SELECT DISTINCT versions.subject, homes.block AS household
            FROM {HOMES_TABLE} AS homes JOIN versions USING (version)
            """
        )
        households = find_households(con, minimum_agencies=agreement.minimum_agencies)
    return rolling, households


def _review(
    con: duckdb.DuckDBPyConnection, links: Links, clusters: Clusters, agreement: Agreement
) -> pa.Table:
    return review_table(
        labels(con),
        links.left,
        links.right,
        links.weight,
        links.probability,
        clusters=clusters,
        threshold=agreement.threshold,
        review_from=agreement.review_from,
    )


def _metrics(links: Links, clusters: Clusters, agreement: Agreement) -> ClusterMetrics:
    inside = (links.probability >= agreement.threshold) & (
        clusters.person[links.left] == clusters.person[links.right]
    )
    return cluster_metrics(clusters.person, links.left[inside], links.right[inside])


def _texts(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(number): count for number, count in counts.items()}


def summary_of(result: RunResult, agreement: Agreement) -> dict[str, Any]:
    """Return what `run.json` says of a run: counts and settings, no token and no identifier."""
    lambdas = result.planned_lambda
    return {
        "run": result.run_id,
        "created_at": result.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        "agreement": {"id": agreement.id, "version": agreement.version, "digest": agreement.digest},
        "settings": settings_of(agreement),
        "compliance": [finding_dict(found) for found in result.findings],
        "senders": {
            sender.agency: {
                "subjects": sender.subjects,
                "package": sender.manifest.package_id,
                "seal_id": sender.manifest.facts.get("seal_id"),
            }
            for sender in result.senders
        },
        "blocking": [asdict(found) for found in result.passes],
        "privacy": {
            "d": 2 * sum(lambdas.values()),
            "lambda": dict(lambdas),
            "expected_reidentification": result.reidentification.people,
            "expected_reidentification_with_records": result.reidentification.records,
        },
        "training": {
            "prior": result.trained.parameters.prior,
            "sessions": [asdict(session) for session in result.trained.sessions],
            "model": None
            if result.reused is None
            else {
                "run": result.reused.run_id,
                "agreement": result.reused.agreement_digest,
                "same_agreement": result.reused.agreement_digest == agreement.digest,
            },
        },
        "clusters": {
            "count": result.clusters.count,
            "largest": result.clusters.largest,
            "review": result.clusters.review,
            "cut": result.clusters.cut,
            "cut_by": dict(result.clusters.cut_by),
            "kept_apart": result.kept_apart,
            "sizes": {str(size): people for size, people in result.metrics.sizes.items()},
            "density": result.metrics.density,
            "bridged": result.metrics.bridged,
            "to_review": dict(result.to_review),
        },
        "multi_agency": {
            "window_months": result.window.months,
            "as_of": result.window.as_of.isoformat(),
            "people": result.window.people,
            "by_agencies": {str(k): v for k, v in result.window.by_agencies.items()},
            "rolling": None
            if result.rolling is None
            else {"people": result.rolling.people, "by_agencies": _texts(result.rolling.by_agencies)},
        },
        "households": None
        if result.households is None
        else {
            **asdict(result.households),
            "by_agencies": _texts(result.households.by_agencies),
        },
        "returns": dict(result.told),
    }


def _write_results(
    con: duckdb.DuckDBPyConnection, folder: Path, result: RunResult, agreement: Agreement, review: pa.Table
) -> None:
    """Write what evaluation and explanation need later: numbers of subjects and weights, no token."""
    named = "JOIN subjects AS {0} ON {0}.subject = links.subject_{0}"
    pq.write_table(
        con.sql(
            f"""
            SELECT l.agency AS agency_l, l.number AS subject_l, r.agency AS agency_r, r.number AS subject_r,
                   match_weight, match_probability, found_by, pattern
            FROM links {named.format("l")} {named.format("r")}
            """
        ).to_arrow_table(),
        folder / "links.parquet",
    )
    pq.write_table(review, folder / "review.parquet")
    pq.write_table(
        con.sql(
            "SELECT agency, number AS subject, person FROM subjects JOIN people USING (subject)"
        ).to_arrow_table(),
        folder / "people.parquet",
    )
    seen = None if result.reused is None else result.reused.seen
    model = model_document(
        result.trained, agreement, run_id=result.run_id, subjects=result.subjects, seen=seen
    )
    (folder / "model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    summary = json.dumps(summary_of(result, agreement), indent=1)
    (folder / "run.json").write_text(summary + "\n", encoding="utf-8")


def link(
    paths: Sequence[Path],
    out: Path,
    *,
    agreement: Agreement,
    unit: PrivateIdentity,
    known: Mapping[str, PublicIdentity],
    created_at: datetime,
    as_of: date | None = None,
    run_id: str | None = None,
    guard: ReplayGuard | None = None,
    judge: RunJudge | None = None,
    model: SavedModel | None = None,
    fill_model: bool = False,
    stage: Stage = _unmeasured,
) -> RunResult:
    """Link packages under an agreement and write the run folder `out`, whole or not at all.

    Args:
        paths: The agencies' packages.
        out: Folder to create: `returns/`, `run.json`, `model.json`, `links.parquet`, `review.parquet`,
            `people.parquet`.
        agreement: The agreement of the run.
        unit: The linkage unit's identity.
        known: Public identities of the parties.
        created_at: Time of the run, with a zone.
        as_of: Last day of the window; that of `last_day` when None.
        run_id: The run that the packages must be for; that of the first package when None.
        guard: Register of packages taken in before.
        judge: Asks the rules, with the exceptions that were granted; without exceptions when None.
        model: Model of an earlier run, to score with instead of training.
        fill_model: Fill levels that it lacks with shipped priors and this run's counts.
        stage: Measures the stages.

    Raises:
        ComplianceBlocked: A rule stops the run; nothing is left of it.
        PackageError: A package is refused.
        LinkageError: The run cannot go on.
        OutputError: `out` cannot be written.
    """
    judge = judge or RunJudge(agreement, today=created_at.date())
    with ExitStack() as last_step, atomic_folder(out) as folder, connect() as con:
        with stage("take in packages"):
            senders = take_in(
                con,
                paths,
                agreement=agreement,
                unit=unit,
                known=known,
                run_id=run_id,
                guard=guard,
                watch=judge.watch,
            )
            judge.before()
        subjects = sum(sender.subjects for sender in senders)
        lambdas = planned_lambda(
            agreement.passes, counted(senders), sizes=[sender.subjects for sender in senders]
        )
        require_budget(lambdas, agreement)
        with stage("find candidate pairs"):
            passes = find_candidates(con, agreement.passes)
        given = None if model is None else complete(model.parameters, counted(senders), fill=fill_model)
        with stage("compare, train and score"):
            trained = score_candidates(
                con, agreement.passes, counted(senders), subjects=subjects, model=given
            )
            kept_apart = _keep_apart(con)
            links = _read_links(con)
        with stage("cluster"):
            clusters = _cluster_links(con, links, agreement, subjects)
            review = _review(con, links, clusters, agreement)
        with stage("measure privacy"):
            reidentification = measure(
                con,
                agreement.passes,
                versions=sum(sender.versions for sender in senders),
                people=clusters.count,
                homes=agreement.households,
            )
        with stage("find multi-agency contact"):
            last = as_of or last_day(senders, con, months=agreement.months, created_at=created_at)
            require_contacts_from(senders, con, months=agreement.months, as_of=last)
            window = find_multi_agency(
                con, months=agreement.months, as_of=last, minimum_agencies=agreement.minimum_agencies
            )
            rolling, households = _views(con, agreement, last)
        with stage("write returns"):
            (folder / "returns").mkdir()
            told = write_returns(
                con,
                folder / "returns",
                senders,
                agreement=agreement,
                window=window,
                unit=unit,
                known=known,
                run_id=senders[0].manifest.run_id,
                created_at=created_at,
                approve=lambda table, agency, people: judge.output(table, agency, people=people, as_of=last),
            )
            result = RunResult(
                run_id=senders[0].manifest.run_id,
                created_at=created_at,
                senders=tuple(senders),
                passes=tuple(passes),
                planned_lambda=lambdas,
                links=links,
                clusters=clusters,
                metrics=_metrics(links, clusters, agreement),
                kept_apart=kept_apart,
                to_review=Counter(review.column("reason").to_pylist()),
                trained=trained,
                reused=model,
                window=window,
                rolling=rolling,
                households=households,
                reidentification=reidentification,
                told=told,
            )
            apart, person = _apart_of(con)
            judge.after(summary_of(result, agreement), apart=apart, person=person)
            result = replace(result, findings=tuple(judge.findings))
            _write_results(con, folder, result, agreement, review)
        if guard is not None:
            # Only now: a run that failed may be tried again with the same packages. The register is held until the
            # folder has its name, so that of two runs at the same time one is refused whole.
            last_step.enter_context(guard.admission((sender.manifest, sender.agency) for sender in senders))
    return result
