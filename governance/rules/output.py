"""O01 to O06: what may be told, and how long it may be kept. For returns, reports and every aggregate that leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from governance.agreement import Agreement
from governance.rules.base import Fault, Moment, Rule, Severity, rule
from schemas.dates import months_before

_OUTPUT = (Moment.OUTPUT,)
_MINIMAL = "UK GDPR Art 5(1)(c), data minimisation"
_KEPT = "UK GDPR Art 5(1)(e), storage limitation; agreement, retention"

ALWAYS = frozenset({"subject", "person", "agency", "own", "ref", "agencies"})
"""Columns that every return has: who of one's own it is about, and which agency the row tells of."""

LEAD_COLUMNS = {"lead_sealed": "lead_contact", "lead_agency": "lead_contact"}
"""Column -> the output that allows it, where the names differ."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CountTable:
    """A table of counts of people, such as people by number of agencies.

    Attributes:
        name: What it counts.
        cells: Rows of counts; None is a suppressed count.
        row_totals, column_totals: Totals that are shown beside it; None where none is shown or it is suppressed.
    """

    name: str
    cells: Sequence[Sequence[int | None]]
    row_totals: Sequence[int | None] = ()
    column_totals: Sequence[int | None] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Artefact:
    """Something kept under the agreement's retention.

    Attributes:
        kind: `package`, `run`, `return`, `crosswalk`, `result` or `log`.
        where: Its name, for messages.
        made: Day it was made.
    """

    kind: str
    where: str
    made: date


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """An erasure or an upheld objection.

    Attributes:
        kind: `erasure` or `objection`.
        reference: The case number under which it is kept; never a person's name.
        due: Day by which it has to be applied.
        applied: Day on which it was, or None.
        back: Whether the output tells of the person.
    """

    kind: str
    reference: str
    due: date
    applied: date | None = None
    back: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class OutputSubject:
    """A return, a report or an aggregate as the rules see it.

    Attributes:
        where: File, for messages.
        agreement: The agreement it is made under.
        today: Day of the check.
        columns: Column -> cells that are not empty, of a record-level output; None for an aggregate.
        people: People in a record-level output.
        first, last: Earliest and latest day that it tells of.
        as_of: Last day of the window.
        tables: Counts that it shows.
        artefacts: What is kept.
        requests: Erasures and objections.
    """

    where: str
    agreement: Agreement
    today: date
    columns: Mapping[str, int] | None = None
    people: int | None = None
    first: date | None = None
    last: date | None = None
    as_of: date | None = None
    tables: Sequence[CountTable] = ()
    artefacts: Sequence[Artefact] = ()
    requests: Sequence[Request] = ()


@rule("O01", Severity.BLOCK, _OUTPUT, "Only the agreed outputs are told", why=_MINIMAL)
def outputs(output: OutputSubject) -> Iterator[Fault]:
    """No column is filled that `outputs.allowed` does not list."""
    allowed = output.agreement.outputs | ALWAYS
    for number, (name, filled) in enumerate((output.columns or {}).items(), 1):
        if filled and LEAD_COLUMNS.get(name, name) not in allowed:
            shown = name if name.isidentifier() else f"number {number}"
            yield Fault(
                sentence="The output tells something that the agreement does not allow.",
                where=f"{output.where}: column {shown}",
                evidence=f"{filled:,} cells",
                fix="Do not send it. Make it again with the signed agreement.",
                owner="linkage unit",
            )


def recoverable(table: CountTable) -> int:
    """Return how many suppressed counts follow from the totals and the other counts.

    A line (a row or a column with its total shown) with one suppressed count gives it away; that may free the next
    line (Hundepool et al., Statistical Disclosure Control, 2012, section 4.2: secondary suppression).
    """
    grid = [list(row) for row in table.cells]
    lines = [
        [(r, c) for c in range(len(grid[r]))]
        for r, total in enumerate(table.row_totals)
        if total is not None and r < len(grid)
    ]
    lines += [
        [(r, c) for r in range(len(grid)) if c < len(grid[r])]
        for c, total in enumerate(table.column_totals)
        if total is not None
    ]
    hidden = {(r, c) for r, row in enumerate(grid) for c, cell in enumerate(row) if cell is None}
    before = len(hidden)
    while freed := {unknown[0] for line in lines if len(unknown := [at for at in line if at in hidden]) == 1}:
        hidden -= freed
    return before - len(hidden)


@rule(
    "O02",
    Severity.BLOCK,
    _OUTPUT,
    "No small count, and none that can be worked out",
    why="Agreement, outputs.min_cell",
)
def small_cells(output: OutputSubject) -> Iterator[Fault]:
    """Counts of people from 1 to below the smallest agreed one are suppressed, and cannot be got from totals."""
    least = output.agreement.min_cell
    for table in output.tables:
        shown = [cell for row in table.cells for cell in row]
        shown += [*table.row_totals, *table.column_totals]
        small = sum(1 for cell in shown if cell is not None and 0 < cell < least)
        derived = recoverable(table)
        if small or derived:
            yield Fault(
                sentence="A count of people is so small that it could point to somebody."
                if small
                else "A suppressed count can be worked out from the totals beside it.",
                where=f"{output.where}: {table.name}",
                evidence=f"{small} below {least} shown, {derived} suppressed that follow from others",
                fix="Suppress small counts, and a second one in each row and column that shows a total.",
                owner="linkage unit",
            )


@rule(
    "O03",
    Severity.AMBER,
    _OUTPUT,
    "A record-level extract is not about a handful",
    why="Agreement, outputs.record_level_k",
)
def handful(output: OutputSubject) -> Iterator[Fault]:
    """Amber when a record-level output tells of fewer people than agreed, but of some."""
    least = output.agreement.record_level_k
    if output.columns is not None and output.people is not None and 0 < output.people < least:
        yield Fault(
            sentence="The output tells of so few people that it points to them.",
            where=output.where,
            evidence=f"fewer than {least} people",
            fix="Let the lead contact decide whether it goes on, case by case.",
            owner="linkage unit",
        )


@rule("O04", Severity.BLOCK, _OUTPUT, "Nothing lies beyond the window", why="Agreement, window")
def window(output: OutputSubject) -> Iterator[Fault]:
    """Every day that is told lies in the agreed number of months up to the last day of the window."""
    if output.as_of is None:
        return
    start = months_before(output.as_of, output.agreement.months)
    early = output.first is not None and output.first <= start
    late = output.last is not None and output.last > output.as_of
    if early or late or output.as_of > output.today + timedelta(days=1):
        yield Fault(
            sentence="The output tells of days outside the agreed window.",
            where=output.where,
            evidence=f"window of {output.agreement.months} months up to {output.as_of.isoformat()}",
            fix="Do not send it. Link again with the signed agreement.",
            owner="linkage unit",
        )


@rule("O05", Severity.BLOCK, _OUTPUT, "Nothing is kept past its deletion date", why=_KEPT)
def retention(output: OutputSubject) -> Iterator[Fault]:
    """Each artefact is younger than the agreement lets it be kept."""
    for artefact in output.artefacts:
        kept = output.agreement.retention.get(artefact.kind)
        if kept is None:
            continue
        last = artefact.made + timedelta(days=kept.days)
        if output.today > last:
            yield Fault(
                sentence=f"This {artefact.kind} is past its deletion date.",
                where=artefact.where,
                evidence=f"{(output.today - last).days} days over, {kept.days} agreed",
                fix="Delete it (tallystick purge), and ask for a new one if it is still needed.",
                owner="whoever holds it",
                due=last.isoformat(),
            )


@rule(
    "O06",
    Severity.BLOCK,
    _OUTPUT,
    "Erasures and objections are applied by their date",
    why="UK GDPR Arts 17 and 21; Art 12(3)",
)
def requests(output: OutputSubject) -> Iterator[Fault]:
    """Each erasure and upheld objection was applied on or before its date, or that date is still to come.

    What was applied late stops nothing any more, but has to be accounted for: amber. So is a person who is told of
    after an erasure, who may be a new contact; after an upheld objection it blocks.
    """
    for request in output.requests:
        place = f"{output.where}: {request.reference}"
        if request.applied is None:
            if output.today > request.due:
                yield _late(
                    request,
                    place,
                    sentence=f"An {request.kind} was not applied by its date.",
                    evidence=f"{(output.today - request.due).days} days over",
                    fix="Apply it now (tallystick erase), and tell the data protection officer.",
                )
            continue
        if request.applied > request.due:
            yield _late(
                request,
                place,
                sentence=f"An {request.kind} was applied after its date.",
                evidence=f"{(request.applied - request.due).days} days late",
                fix="Write down why, and tell the person and the data protection officer.",
                severity=Severity.AMBER,
            )
        if request.back:
            yield _late(
                request,
                place,
                sentence=f"This tells of a person whose {request.kind} was applied.",
                fix="Apply it again (tallystick erase), and name them in --exclude at the next seal. If they are a new "
                "contact since, let the data protection officer decide.",
                severity=Severity.BLOCK if request.kind == "objection" else Severity.AMBER,
            )


def _late(
    request: Request,
    place: str,
    *,
    sentence: str,
    fix: str,
    evidence: str = "",
    severity: Severity | None = None,
) -> Fault:
    return Fault(
        sentence=sentence,
        where=place,
        evidence=evidence,
        fix=fix,
        owner="data protection officer",
        due=request.due.isoformat(),
        severity=severity,
    )


RULES: tuple[Rule[OutputSubject], ...] = (outputs, small_cells, handful, window, retention, requests)
