"""What a run found, in numbers of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import numpy as np

from governance.rules.base import Finding
from linkage.candidates import PassPairs
from linkage.clusters import Clusters
from linkage.clusters_metrics import ClusterMetrics
from linkage.households import Households
from linkage.intake import Sender
from linkage.privacy import Reidentification
from linkage.reuse import SavedModel
from linkage.settling import Settled
from linkage.ties import Ties
from linkage.training import Trained
from linkage.window import MultiAgency
from linkage.window_rolling import WorstWindows


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """Scored pairs of subjects, numbered across the run; weights and probabilities are settled (`linkage.settling`)."""

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
    settled: Settled
    ties: Ties
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
    engine: str
    findings: tuple[Finding, ...] = ()

    @property
    def subjects(self) -> int:
        """Subjects of all agencies."""
        return sum(sender.subjects for sender in self.senders)


def read_links(con: duckdb.DuckDBPyConnection) -> Links:
    """Return the table `links`, ordered by its subjects."""
    rows = con.execute(
        "SELECT subject_l, subject_r, match_weight, match_probability FROM links ORDER BY subject_l, subject_r"
    ).fetchnumpy()
    return Links(
        left=np.asarray(rows["subject_l"], dtype=np.int64),
        right=np.asarray(rows["subject_r"], dtype=np.int64),
        weight=np.asarray(rows["match_weight"], dtype=np.float64),
        probability=np.asarray(rows["match_probability"], dtype=np.float64),
    )
