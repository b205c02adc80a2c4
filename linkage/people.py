"""From scored pairs to people: what must stay apart, the clusters, and the table `people`."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from governance.agreement import Agreement
from governance.rules.linkage import Member
from linkage.clusters import Clusters, cluster
from linkage.clusters_evidence import read_evidence
from linkage.clusters_metrics import ClusterMetrics, cluster_metrics
from linkage.clusters_review import labels, review_table
from linkage.results import Links
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
