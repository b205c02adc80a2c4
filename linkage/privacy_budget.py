"""The privacy budget at the unit: what the passes are expected to show of the records that came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from governance.agreement import Agreement
from schemas.errors import LinkageError
from schemas.rates import strangers_a_record
from schemas.scheme import Pass


def planned_lambda(
    passes: Sequence[Pass], counts: Sequence[Mapping[str, Any]], *, sizes: Sequence[int]
) -> dict[str, float]:
    """Return for each pass λ, the expected number of non-matching candidate pairs a record.

    The agencies counted how many pairs of unrelated records of their own meet in the pass; see
    `schemas.rates.strangers_a_record` for the pairs across agencies.

    Args:
        passes: The passes.
        counts: What each agency counted.
        sizes: Its subjects.
    """

    def rates(name: str) -> list[float]:
        return [float(entry["passes"].get(name, 0)) / max(float(entry["pairs"]), 1.0) for entry in counts]

    return {blocking.name: strangers_a_record(rates(blocking.name), sizes) for blocking in passes}


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
