"""A linkage run at the unit: packages in, returns and run results out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from governance.agreement import Agreement
from governance.check_moments import RunJudge, judge_output
from governance.return_parts import part_subjects
from linkage.candidates import PassPairs
from linkage.clusters import Clusters
from linkage.engine import ENGINES, Engine, open_engine
from linkage.households import Households, find_households
from linkage.intake import HOMES_TABLE, Sender, counted, take_in
from linkage.people import (
    apart_of,
    cluster_links,
    keep_apart,
    metrics_of,
    review_of,
    settle_links,
    ties_of,
)
from linkage.privacy import Reidentification, measure
from linkage.privacy_budget import planned_lambda, require_budget
from linkage.results import Links, RunResult, read_links
from linkage.returns import write_returns
from linkage.reuse import SavedModel, complete
from linkage.run_files import summary_of, write_results
from linkage.scoring import score_candidates
from linkage.settling import Settled
from linkage.training import Trained
from linkage.window import MultiAgency, find_multi_agency
from linkage.window_days import contacts_after, last_day, require_contacts_from
from linkage.window_rolling import WorstWindows, find_worst_windows
from schemas.atomic import atomic_folder
from schemas.identity import PrivateIdentity, PublicIdentity
from schemas.policies import ReplayGuard

__all__ = ["Links", "RunResult", "Stage", "link", "summary_of"]

Stage = Callable[[str], Any]
"""Given a stage's name, returns a context manager that lasts as long as the stage."""


@contextmanager
def _unmeasured(_name: str) -> Iterator[None]:
    yield


@dataclass(frozen=True, kw_only=True, slots=True)
class _Order:
    """What a run was asked to do; the attributes are the arguments of `link`."""

    agreement: Agreement
    unit: PrivateIdentity
    known: Mapping[str, PublicIdentity]
    created_at: datetime
    as_of: date | None
    run_id: str | None
    guard: ReplayGuard | None
    judge: RunJudge
    model: SavedModel | None
    fill_model: bool
    stage: Stage
    engine: Engine


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scored:
    """The candidate pairs and their scores."""

    planned_lambda: Mapping[str, float]
    passes: Sequence[PassPairs]
    trained: Trained
    kept_apart: int
    settled: Settled
    links: Links


@dataclass(frozen=True, kw_only=True, slots=True)
class _Contact:
    """Who was in contact with several agencies."""

    window: MultiAgency
    rolling: WorstWindows | None
    households: Households | None


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
    engine: str = ENGINES[0],
    stage: Stage = _unmeasured,
) -> RunResult:
    """Link packages under an agreement and write the run folder `out`, whole or not at all.

    Args:
        paths: The agencies' packages.
        out: Folder to create: `returns/`, `run.json`, `model.json`, `links.parquet`, `review.parquet`,
            `people.parquet`, `told.parquet`.
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
        engine: What finds and compares candidate pairs, one of `linkage.engine.ENGINES`.
        stage: Measures the stages.

    Raises:
        ComplianceBlocked: A rule stops the run; nothing is left of it.
        PackageError: A package is refused.
        LinkageError: The run cannot go on, or what the engine needs is not installed.
        OutputError: `out` cannot be written.
    """
    with (
        ExitStack() as last_step,
        atomic_folder(out) as folder,
        open_engine(engine, folder) as opened,
        opened.connect() as con,
    ):
        order = _Order(
            agreement=agreement,
            unit=unit,
            known=known,
            created_at=created_at,
            as_of=as_of,
            run_id=run_id,
            guard=guard,
            judge=judge or RunJudge(agreement, today=created_at.date()),
            model=model,
            fill_model=fill_model,
            stage=stage,
            engine=opened,
        )
        senders, result = _run(con, paths, folder, order)
        if guard is not None:
            # Only now: a run that failed may be tried again with the same packages. The register is held until the
            # folder has its name, so that of two runs at the same time one is refused whole.
            last_step.enter_context(guard.admission((sender.manifest, sender.agency) for sender in senders))
    return result


def _run(
    con: duckdb.DuckDBPyConnection, paths: Sequence[Path], folder: Path, order: _Order
) -> tuple[list[Sender], RunResult]:
    """Go through the stages, one after the other."""
    with order.stage("take in packages"):
        senders = _take_in(con, paths, order)
    scored = _score(con, senders, order)
    subjects = sum(sender.subjects for sender in senders)
    with order.stage("cluster"):
        clusters = cluster_links(con, scored.links, order.agreement, subjects)
        review = review_of(con, scored.links, clusters, order.agreement)
    with order.stage("measure privacy"):
        reidentification = _measure(con, senders, clusters, order)
    with order.stage("find multi-agency contact"):
        contact = _contact(con, senders, order)
    with order.stage("write returns"):
        result = RunResult(
            run_id=senders[0].manifest.run_id,
            created_at=order.created_at,
            senders=tuple(senders),
            passes=tuple(scored.passes),
            planned_lambda=scored.planned_lambda,
            links=scored.links,
            settled=scored.settled,
            ties=ties_of(scored.links, clusters, order.agreement),
            clusters=clusters,
            metrics=metrics_of(scored.links, clusters, order.agreement),
            kept_apart=scored.kept_apart,
            to_review=Counter(review.column("reason").to_pylist()),
            trained=scored.trained,
            reused=order.model,
            window=contact.window,
            rolling=contact.rolling,
            households=contact.households,
            reidentification=reidentification,
            told=_tell(con, folder, senders, contact, order),
            engine=order.engine.name,
        )
        result = _judged(con, result, order)
        write_results(con, folder, result, order.agreement, review)
    return senders, result


def _take_in(con: duckdb.DuckDBPyConnection, paths: Sequence[Path], order: _Order) -> list[Sender]:
    senders = take_in(
        con,
        paths,
        agreement=order.agreement,
        unit=order.unit,
        known=order.known,
        run_id=order.run_id,
        guard=order.guard,
        watch=order.judge.watch,
    )
    order.judge.before()
    return senders


def _score(con: duckdb.DuckDBPyConnection, senders: Sequence[Sender], order: _Order) -> _Scored:
    """Find the candidate pairs within the budget, and score them."""
    passes, counts = order.agreement.passes, counted(senders)
    lambdas = planned_lambda(passes, counts, sizes=[sender.subjects for sender in senders])
    require_budget(lambdas, order.agreement)
    with order.stage("find candidate pairs"):
        found = order.engine.find_candidates(con, passes)
    model = order.model
    given = None if model is None else complete(model.parameters, counts, fill=order.fill_model)
    with order.stage("compare, train and score"):
        subjects = sum(sender.subjects for sender in senders)
        trained = score_candidates(con, passes, counts, subjects=subjects, model=given, engine=order.engine)
        kept_apart = keep_apart(con)
        settled = settle_links(con, [sender.subjects for sender in senders])
    return _Scored(
        planned_lambda=lambdas,
        passes=found,
        trained=trained,
        kept_apart=kept_apart,
        settled=settled,
        links=read_links(con),
    )


def _measure(
    con: duckdb.DuckDBPyConnection, senders: Sequence[Sender], clusters: Clusters, order: _Order
) -> Reidentification:
    return measure(
        con,
        order.agreement.passes,
        versions=sum(sender.versions for sender in senders),
        people=clusters.count,
        homes=order.agreement.households,
    )


def _contact(con: duckdb.DuckDBPyConnection, senders: Sequence[Sender], order: _Order) -> _Contact:
    """Find who is known to several agencies; homes and worst windows only if the agreement lets them be reported."""
    agreement = order.agreement
    months, least = agreement.months, agreement.minimum_agencies
    sent = agreement.contact_months
    as_of = order.as_of or last_day(senders, con, contact_months=sent, created_at=order.created_at)
    require_contacts_from(senders, con, months=months, as_of=as_of)
    window = find_multi_agency(con, months=months, as_of=as_of, minimum_agencies=least)
    rolling = households = None
    if agreement.rolling:
        begin = contacts_after(senders, con, contact_months=sent, as_of=as_of)
        rolling = find_worst_windows(
            con, months=months, as_of=as_of, contacts_after=begin, minimum_agencies=least
        )
    if agreement.households:
        con.execute(
            f"""
            CREATE TABLE household_tokens AS
            SELECT DISTINCT versions.subject, homes.block AS household
            FROM {HOMES_TABLE} AS homes JOIN versions USING (version)
            """
        )
        households = find_households(con, minimum_agencies=least)
    return _Contact(window=window, rolling=rolling, households=households)


def _tell(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    senders: Sequence[Sender],
    contact: _Contact,
    order: _Order,
) -> dict[str, int]:
    """Write the returns; return agency -> people that it is told about."""
    (folder / "returns").mkdir()
    return write_returns(
        con,
        folder / "returns",
        senders,
        agreement=order.agreement,
        window=contact.window,
        rolling=contact.rolling,
        unit=order.unit,
        known=order.known,
        run_id=senders[0].manifest.run_id,
        created_at=order.created_at,
        approve=lambda tables, agency, people: _judge_return(
            tables, agency, people, contact.window.as_of, order
        ),
    )


def _judge_return(
    tables: Mapping[str, pa.Table], agency: str, people: int, as_of: date, order: _Order
) -> None:
    """Ask the rules on outputs about every table of a return.

    Raises:
        ComplianceBlocked: A rule stops it.
    """
    judge, agreement = order.judge, order.agreement
    judge.output(tables["contacts"], agency, people=people, as_of=as_of)
    where = f"return for {agency}"
    for subject in part_subjects(tables, agreement, where=where, as_of=as_of, today=judge.today):
        judge.findings += judge_output(subject, judge.exceptions, party=agreement.unit_id)


def _judged(con: duckdb.DuckDBPyConnection, result: RunResult, order: _Order) -> RunResult:
    """Ask the rules about the whole run, before anything of it is kept; return it with what they found."""
    apart, person = apart_of(con)
    order.judge.after(summary_of(result, order.agreement), apart=apart, person=person)
    return replace(result, findings=tuple(order.judge.findings))
