"""From scored pairs to people: what must stay apart, links settled among each other, clusters, the table `people`."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import numpy as np
import pyarrow as pa

from governance.agreement import Agreement
from governance.rules.linkage import Member
from linkage.clusters import Clusters, cluster
from linkage.clusters_evidence import read_evidence
from linkage.clusters_metrics import ClusterMetrics, cluster_metrics
from linkage.clusters_review import labels, review_table
from linkage.results import Links, read_links
from linkage.scoring import WEIGHT_DIGITS
from linkage.settling import Settled, settle
from linkage.ties import Ties, tie
from schemas.errors import LinkageError


def keep_apart(con: duckdb.DuckDBPyConnection) -> int:
    """Forget the links between records that an agency wants kept apart; return how many such pairs there are."""
    con.execute(
        """
        DELETE FROM links USING apart
        WHERE links.subject_l = apart.subject_l AND links.subject_r = apart.subject_r
        """
    )
    return int(con.execute("SELECT count(*) FROM apart").fetchall()[0][0])


def settle_links(con: duckdb.DuckDBPyConnection, sizes: Sequence[int]) -> Settled:
    """Weigh the links against each other, and write the result into the table `links`.

    `match_weight` and `match_probability` are then settled; `pair_weight` is the weight of the pair by itself, and
    `agencies_weight` what came of how often its two agencies share a person.

    Args:
        con: The run.
        sizes: Subjects of each agency, in the order of their numbers.
    """
    links = read_links(con)
    agency = np.repeat(np.arange(len(sizes)), sizes)
    found = settle(links.left, links.right, links.weight, agency=agency, agencies=len(sizes))
    weight = np.round(found.weight, WEIGHT_DIGITS)
    table = pa.table(
        {
            "subject_l": links.left.astype(np.int32),
            "subject_r": links.right.astype(np.int32),
            "weight": weight,
            "agencies_weight": np.round(found.agencies, WEIGHT_DIGITS),
        }
    )
    con.register("settled_in", table)
    con.execute(
        """
        CREATE OR REPLACE TABLE links AS
        SELECT
            links.* REPLACE (
                settled_in.weight AS match_weight, 1 / (1 + pow(2, -settled_in.weight)) AS match_probability
            ),
            links.match_weight AS pair_weight,
            settled_in.agencies_weight
        FROM links JOIN settled_in USING (subject_l, subject_r)
        """
    )
    con.unregister("settled_in")
    return found


def ties_of(links: Links, clusters: Clusters, agreement: Agreement) -> Ties:
    """Return all pairs on which the run has an opinion."""
    return tie(
        links.left, links.right, links.probability, person=clusters.person, threshold=agreement.threshold
    )


def apart_of(con: duckdb.DuckDBPyConnection) -> tuple[list[tuple[Member, Member]], dict[Member, int]]:
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


def cluster_links(
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


def review_of(
    con: duckdb.DuckDBPyConnection, links: Links, clusters: Clusters, agreement: Agreement
) -> pa.Table:
    """Return the links that a person has to look at."""
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


def metrics_of(links: Links, clusters: Clusters, agreement: Agreement) -> ClusterMetrics:
    """Return how big and how dense the clusters are."""
    inside = (links.probability >= agreement.threshold) & (
        clusters.person[links.left] == clusters.person[links.right]
    )
    return cluster_metrics(clusters.person, links.left[inside], links.right[inside])
