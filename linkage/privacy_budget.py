"""The privacy budget at the unit: what the passes are expected to show of the records that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from governance.agreement import Agreement
from schemas.errors import LinkageError
from schemas.scheme import Pass


def planned_lambda(
    passes: Sequence[Pass], counts: Sequence[Mapping[str, Any]], *, subjects: int
) -> dict[str, float]:
    """Return for each pass λ, the expected number of non-matching candidate pairs a record.

    The agencies counted how many pairs of unrelated records of their own meet in the pass; their pooled rate holds
    for pairs across agencies too. With rate c and N subjects, λ = c (N - 1) / 2, since a pair belongs to two records.
    """
    pairs = sum(float(entry["pairs"]) for entry in counts)
    rates = {
        blocking.name: sum(float(entry["passes"].get(blocking.name, 0)) for entry in counts) / max(pairs, 1.0)
        for blocking in passes
    }
    return {name: rate * max(subjects - 1, 0) / 2 for name, rate in rates.items()}


def require_budget(lambdas: Mapping[str, float], agreement: Agreement) -> None:
    """Refuse passes that show more than the agreement's privacy budget allows, for the records that came.

    Raises:
        LinkageError: d or a λ is over budget.
    """
    budget = agreement.budget
    remedy = (
        "Leave out or strengthen passes in the agreement (tallystick rehearse plans them), and seal again."
    )
    for name, value in lambdas.items():
        if value > budget.lambda_:
            raise LinkageError(
                f"pass {name} would join {value:.2g} unrelated records a record; the agreement allows "
                f"{budget.lambda_}.",
                remedy=remedy,
            )
    total = 2 * sum(lambdas.values())
    if total > budget.d:
        raise LinkageError(
            f"the passes together show d = {total:.3f}; the agreement allows {budget.d}.", remedy=remedy
        )
