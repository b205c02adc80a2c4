"""The review file: what people should look at, by the run's own labels of records."""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from linkage.clusters import OVERRULED, Clusters
from linkage.clusters_repair import Reason

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

REVIEW = pa.schema(
    [
        pa.field("record_a", pa.string(), nullable=False),
        pa.field("record_b", pa.string(), nullable=False),
        pa.field("match_weight", pa.float64(), nullable=False),
        pa.field("match_probability", pa.float64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("joined", pa.bool_(), nullable=False),
    ]
)
"""`record_a` and `record_b`: agency and row number such as `police:123`, as `tallystick explain --pair` takes them."""

_CUT = {Reason.NHS_NUMBER: "nhs_number", Reason.SIZE: "size"}


def labels(con: duckdb.DuckDBPyConnection) -> NDArray[Any]:
    """Return the label of each subject of the run: `agency:number`."""
    found = con.execute("SELECT agency || ':' || number AS label FROM subjects ORDER BY subject").fetchnumpy()
    return np.asarray(found["label"], dtype=object)


def review_table(
    label: NDArray[Any],
    left: Ints,
    right: Ints,
    weight: Floats,
    probability: Floats,
    *,
    clusters: Clusters,
    threshold: float,
    review_from: float,
) -> pa.Table:
    """Return the links that people should look at, with the schema `REVIEW`, the strongest of each reason first.

    `band`: between the bounds, not joined. `nhs_number`, `size`: above the threshold and cut; `nhs_number` with
    `joined`: believed although NHS numbers differ. `relatives`: believed although forenames have nothing in common. A
    pair that an agency wants kept apart is never listed.

    Args:
        label: Label of each subject.
        left: One subject of each link, in the order of `clusters.reason`.
        right: The other one.
        weight: Match weights.
        probability: Match probabilities.
        clusters: Who is whom, and why links were cut.
        threshold: The agreement's threshold.
        review_from: Its review bound.
    """
    evidence = clusters.evidence
    reason = np.full(len(left), "", dtype=object)
    reason[(probability >= review_from) & (probability < threshold)] = "band"
    believed = (probability >= threshold) & (clusters.reason == 0)
    reason[believed & evidence.relatives] = "relatives"
    reason[believed & (probability >= OVERRULED) & evidence.numbers_differ] = "nhs_number"
    for cut, name in _CUT.items():
        reason[clusters.reason == cut] = name
    chosen = np.flatnonzero(reason != "")
    chosen = chosen[np.lexsort((right[chosen], left[chosen], -weight[chosen], reason[chosen].astype(str)))]
    joined = clusters.person[left[chosen]] == clusters.person[right[chosen]]
    columns = [label[left[chosen]], label[right[chosen]], weight[chosen], probability[chosen]]
    return pa.Table.from_arrays(
        [
            pa.array(each, field.type)
            for each, field in zip([*columns, reason[chosen], joined], REVIEW, strict=True)
        ],
        schema=REVIEW,
    )
