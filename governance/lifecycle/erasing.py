"""What an erasure is made of: steps that can first be looked at, then done, then looked for again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from governance.audit.access import path_digest
from governance.lifecycle.artefacts import Found
from governance.lifecycle.purge import delete
from governance.lifecycle.receipt import Change
from governance.lifecycle.rewriting import Rows
from schemas.canonical import JSON
from schemas.errors import ErasureError


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One artefact to change.

    Attributes:
        kind, name, path: As in `Found`.
        rows: Rows now and after it; None when the artefact goes whole.
        why: Why it goes whole.
        act: Does it.
    """

    kind: str
    name: str
    path: Path
    rows: Rows | None
    act: Callable[[], object]
    why: str = ""


@dataclass(kw_only=True, slots=True)
class Plan:
    """What an erasure would do.

    Attributes:
        scope: What was asked for, in counts and ids.
        steps: What to change.
        look_at: Files that seem to hold a reference in a form of their own.
        subjects: What the audit log commits to.
        notes: Sentences for the person who reads the plan.
    """

    scope: dict[str, JSON]
    steps: list[Step]
    look_at: list[str] = field(default_factory=list)
    subjects: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def remaining(self) -> int:
        """Rows that are still to go; an artefact that goes whole counts as one."""
        return sum(step.rows.removed if step.rows else 1 for step in self.steps)


def whole(found: Found, why: str) -> Step:
    """Return the step that deletes an artefact."""
    return Step(
        kind=found.kind, name=found.name, path=found.path, rows=None, act=lambda: delete(found), why=why
    )


def carry_out(plan: Plan, replan: Callable[[], Plan]) -> tuple[list[Change], int]:
    """Do all steps, then search again.

    Args:
        plan: What to do.
        replan: Makes the plan anew from what is on disk then.

    Returns:
        What was changed, and the rows left, which are 0.

    Raises:
        ErasureError: The second search found something; what was changed stays changed.
        OutputError: A file cannot be written or deleted; running the command again goes on from there.
    """
    changes = []
    for step in plan.steps:
        # The digest of a readable result from before could confirm a guess at the rows that went.
        before = "" if step.kind == "result" else path_digest(step.path)
        step.act()
        changes.append(
            Change(
                kind=step.kind, name=step.name, path=step.path, before=before, rows=step.rows, why=step.why
            )
        )
    left = replan().remaining
    if left:
        raise ErasureError(
            f"a second search still finds {left:,} rows or files about the subjects.",
            remedy="See that no other program writes into these folders, and run the same command again.",
        )
    return changes, left


def plan_text(plan: Plan, *, acted: bool) -> str:
    """Return a plan in words."""
    verb = "Changed" if acted else "Would change"
    lines = [f"{verb} {len(plan.steps):,} artefacts."]
    for step in plan.steps:
        what = f"{step.rows.removed:,} of {step.rows.before:,} rows" if step.rows else f"whole: {step.why}"
        lines.append(f"  {step.kind:10} {step.name}: {what}")
    lines += [
        f"  LOOK AT    {name}: seems to hold a reference, in a form that is not ours."
        for name in plan.look_at
    ]
    lines += plan.notes
    if not acted:
        lines.append("Nothing was changed. Look at the list, then give --yes.")
    return "\n".join(lines)


def only_changes(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that take anything out, those last that tell where the others have to be done.

    An erasure that was interrupted can so be run again.
    """
    taking = [step for step in steps if step.rows is None or step.rows.removed]
    return sorted(
        taking,
        key=lambda step: (step.kind == "crosswalk", step.kind == "table", _LAST.get(step.path.name, 0)),
    )


_LAST = {"told.parquet": 1, "people.parquet": 2}
