"""Plan the passes of an agreement: on the extracts at hand, or on an invented population."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from governance.agreement import Agreement
from hashing.planner import Plan, plan_passes
from hashing.shuffling import shuffle
from hashing.subjects import Subjects, collapse
from schemas.payload import pass_schema
from schemas.scheme import absent_under, parse_pass
from synthetic.generate import synthesise
from synthetic.rehearsal import read_inputs
from synthetic.stages import Stages

FEWEST_PEOPLE, MOST_PEOPLE = 20_000, 100_000
"""Residents invented to plan on when there are no extracts: as many as a run will have, within these bounds.
Relatives at one home do not become more as a town grows, so λ of a small town reckoned up is too high for homes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassPlan:
    """A plan for an agreement.

    Attributes:
        plan: The passes.
        population: Subjects of all agencies in a run that λ is reckoned for.
        source: What it was planned on, in words.
        bytes_a_subject: Tokens of the plan, bytes a subject, before encryption.
    """

    plan: Plan
    population: int
    source: str
    bytes_a_subject: float


def _subjects(folder: Path, agreement: Agreement, today: date) -> list[Subjects]:
    inputs = read_inputs(folder, Stages())
    made = []
    for place, (name, extract) in enumerate(inputs.extracts.items()):
        collapsed = collapse(
            extract,
            today=today,
            mapping=inputs.mappings.get(name),
            standards=agreement.standards,
            match_fields=agreement.match_fields,
        )
        made.append(shuffle(collapsed, np.random.default_rng(place).bytes))
    return made


def _bytes_a_subject(plan: Plan, subjects: list[Subjects], absent: frozenset[str]) -> float:
    """Return 12 bytes for version and block id, and those of the tokens, for each pass and version."""
    versions = sum(len(each.version_subject) for each in subjects) / max(
        sum(each.count for each in subjects), 1
    )
    bits = sum(
        int(field.type.bit_width)
        for planned in plan.passes
        for field in pass_schema(parse_pass(planned.name, absent=absent))
    )
    return bits / 8 * versions


def plan_agreement(
    agreement: Agreement,
    *,
    today: date,
    extracts: Path | None = None,
    profile: str = "typical",
    population: int | None = None,
    seed: int = 1,
) -> PassPlan:
    """Plan passes over the fields that `agreement` lets be matched on, under its budget.

    Args:
        agreement: Its fields, standards, budget and crowded cell count.
        today: Dates after this day are invalid.
        extracts: Folder of extracts, as for a rehearsal; one agency may plan on its own alone.
        profile: Error profile of the invented population, when there are no extracts.
        population: Subjects of all agencies in a run; those of the extracts unless told.
        seed: Seed of samples, simulated errors and the invented population.

    Raises:
        TallystickError: An extract does not fit.
    """
    if extracts is not None:
        subjects = _subjects(extracts, agreement, today)
        source = f"{len(subjects)} extract{'s' if len(subjects) > 1 else ''}"
    else:
        people = min(max(population or FEWEST_PEOPLE, FEWEST_PEOPLE), MOST_PEOPLE)
        with tempfile.TemporaryDirectory() as folder:
            synthesise(Path(folder), people=people, seed=seed, profile=profile)
            subjects = _subjects(Path(folder), agreement, today)
        source = f"{people:,} invented people, data quality {profile}"
    size = population if population is not None else sum(each.count for each in subjects)
    plan = plan_passes(
        subjects, budget=agreement.budget, crowded_cell=agreement.crowded_cell, seed=seed, population=size
    )
    return PassPlan(
        plan=plan,
        population=size,
        source=source,
        bytes_a_subject=_bytes_a_subject(plan, subjects, absent_under(agreement.standards)),
    )


def as_json(planned: PassPlan) -> dict[str, Any]:
    """Return the plan as JSON values."""
    return {
        "population": planned.population,
        "source": planned.source,
        "d": planned.plan.d,
        "pilot_pairs": planned.plan.pilot_pairs,
        "bytes_a_subject": round(planned.bytes_a_subject),
        "passes": [
            {**{k: v for k, v in asdict(each).items() if k != "lambda_"}, "lambda": each.lambda_}
            for each in planned.plan.passes
        ],
    }


def as_text(planned: PassPlan) -> str:
    """Return the plan in words and a table."""
    plan = planned.plan
    width = max([len("pass"), *(len(each.name) for each in plan.passes)])
    lines = [
        f"{len(plan.passes)} passes for {planned.population:,} subjects, planned on {planned.source} "
        f"({plan.pilot_pairs:,} likely pairs and simulated ones).",
        "",
        f"{'pass':{width}}  {'recall so far':>13}  {'λ':>8}  {'d so far':>8}",
    ]
    d = 0.0
    for each in plan.passes:
        d += 2 * each.lambda_
        lines.append(f"{each.name:{width}}  {each.recall:>13.4f}  {each.lambda_:>8.5f}  {d:>8.3f}")
    lines += [
        "",
        "λ is the expected number of different people that a record meets in the pass; d = 2 Σλ bounds what the sealed "
        "files show.",
        f"Tokens: about {planned.bytes_a_subject:,.0f} bytes a subject.",
    ]
    return "\n".join(lines)
