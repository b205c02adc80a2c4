"""The privacy audit of a run: what was planned, what was found, what a thief could do, and the controls.

Of a run folder it reads figures only: the tokens are gone with the run, so the re-identification is the one measured
then. λ found is counted from the run's links: pairs that met in a pass and are not one person in this run. True pairs
that were missed count as strangers there, so it is an upper bound of what the pass brought together by chance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import duckdb

from governance.summary import per_thousand, privacy_sentence
from linkage.charts_page import page, table
from linkage.privacy_controls import Control, run_controls
from schemas.errors import InputError

LIMIT_D, LIMIT_LAMBDA = 0.2, 0.05
"""The largest budget that an agreement may state (schemas/agreement-v1.schema.json)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassAudit:
    """λ of one pass: pairs of strangers a record.

    Attributes:
        name: The pass.
        planned: Expected, from the agencies' counts.
        found: Pairs that met in the pass and are not one person in the run, a record.
    """

    name: str
    planned: float
    found: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What a privacy audit says.

    Attributes:
        run_id: The run.
        agreement: Its id and version.
        records: Records of the run.
        people: People it found.
        passes: λ by pass.
        d_planned: Expected strangers that a record meets, all passes together: twice the sum of the λ planned.
        d_found: The same of the λ found.
        expected_people: Share of people that a thief with a perfect list would name correctly.
        expected_records: Share of records that a thief who also has the agencies' records would name correctly.
        households: Whether sealed homes were part of what the thief held.
        controls: The controls.
    """

    run_id: str
    agreement: str
    records: int
    people: int
    passes: tuple[PassAudit, ...]
    d_planned: float
    d_found: float
    expected_people: float
    expected_records: float
    households: bool
    controls: tuple[Control, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """What is not as it should be, one sentence each."""
        found = [
            f"The control “{each.name}” gave {per_thousand(each.expected)}, which is not what is known: do not trust "
            "this measure."
            for each in self.controls
            if not each.held
        ]
        if self.d_planned > LIMIT_D:
            found.append(f"d planned is {self.d_planned:.3f}; no agreement may allow more than {LIMIT_D}.")
        found += [
            f"λ planned of pass {each.name} is {each.planned:.3f}; no agreement may allow more than {LIMIT_LAMBDA}."
            for each in self.passes
            if each.planned > LIMIT_LAMBDA
        ]
        return tuple(found)

    @property
    def sentence(self) -> str:
        """The sentence for an officer."""
        figures = {
            "expected_reidentification": self.expected_people,
            "expected_reidentification_with_records": self.expected_records,
        }
        ordinary = next(each.expected for each in self.controls if each.name == "field hashes")
        return f"{privacy_sentence(figures)} With ordinary field hashes it would be {per_thousand(ordinary)}."


def _read_run(folder: Path) -> dict[str, Any]:
    try:
        summary = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        for entry in ("run", "agreement", "senders", "blocking", "privacy", "clusters"):
            summary[entry]
        return dict(summary)
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(
            "this is no run folder of this release.",
            where=str(folder),
            remedy="Name the folder that `tallystick link` wrote, or packages with --agreement and --key.",
        ) from None


def strangers_by_pass(folder: Path, passes: int) -> list[int]:
    """Return, for each pass, the pairs of the run's links that met in it and are not one person.

    Raises:
        InputError: The run's tables cannot be read.
    """
    counts = ", ".join(f"count(*) FILTER ((found_by >> {index}) & 1 = 1)" for index in range(passes))
    query = f"""
        WITH people AS (SELECT * FROM read_parquet(?)),
        strangers AS (
            SELECT links.found_by
            FROM read_parquet(?) AS links
            JOIN people AS l ON l.agency = links.agency_l AND l.subject = links.subject_l
            JOIN people AS r ON r.agency = links.agency_r AND r.subject = links.subject_r
            WHERE l.person <> r.person
        )
        SELECT {counts} FROM strangers
    """
    try:
        with duckdb.connect(":memory:") as con:
            files = [str(folder / name) for name in ("people.parquet", "links.parquet")]
            return [int(count) for count in con.execute(query, files).fetchall()[0]]
    except duckdb.Error:
        raise InputError("the run's tables cannot be read.", where=str(folder)) from None


def audit_run(folder: Path, *, controls: Sequence[Control] | None = None) -> Audit:
    """Audit the run in `folder`.

    Args:
        folder: A run folder.
        controls: Controls that were measured already; measured now when None.

    Raises:
        InputError: There is no such run.
    """
    summary = _read_run(folder)
    privacy: Mapping[str, Any] = summary["privacy"]
    records = sum(entry["subjects"] for entry in summary["senders"].values())
    names = [entry["name"] for entry in summary["blocking"]]
    found = [count / max(records, 1) for count in strangers_by_pass(folder, len(names))]
    passes = tuple(
        PassAudit(name=name, planned=privacy["lambda"][name], found=each)
        for name, each in zip(names, found, strict=True)
    )
    return Audit(
        run_id=summary["run"],
        agreement=f"{summary['agreement']['id']} {summary['agreement']['version']}",
        records=records,
        people=summary["clusters"]["count"],
        passes=passes,
        d_planned=privacy["d"],
        d_found=2 * sum(found),
        expected_people=privacy["expected_reidentification"],
        expected_records=privacy["expected_reidentification_with_records"],
        households=summary.get("households") is not None,
        controls=tuple(controls if controls is not None else run_controls()),
    )


def audit_dict(audit: Audit) -> dict[str, Any]:
    """Return an audit as JSON values."""
    return {
        **asdict(audit),
        "controls": [{**asdict(each), "held": each.held} for each in audit.controls],
        "controls_from": "20,000 invented children, not the packages at hand",
        "limits": {"d": LIMIT_D, "lambda": LIMIT_LAMBDA},
        "sentence": audit.sentence,
        "faults": list(audit.faults),
    }


def _rows(audit: Audit) -> list[tuple[str, str, str]]:
    rows = [(each.name, f"{each.planned:.2g}", f"{each.found:.2g}") for each in audit.passes]
    return [*rows, ("d, all passes together", f"{audit.d_planned:.3f}", f"{audit.d_found:.3f}")]


_NOTES = (
    "Planned: from the agencies' own counts. Found: pairs that met and are not one person in this run; true pairs that "
    "were missed count there too.",
    "Controls are measured on 20,000 invented children, not on these packages, whose blocks nobody can unmake.",
    "Dates of contacts are not in these figures. The measure may miss a little: see the threat model.",
)


def audit_text(audit: Audit) -> str:
    """Return an audit for a terminal: the verdict first."""
    lines = [_verdict(audit), *audit.faults, "", audit.sentence]
    if audit.households:
        lines.append("Sealed homes were part of what the thief held.")
    lines += ["", f"  {'strangers a record (λ)':62}{'planned':>10}{'found':>10}"]
    lines += [f"  {name[:61]:62}{planned:>10}{found:>10}" for name, planned, found in _rows(audit)]
    lines += ["", "Controls:"]
    lines += [
        f"  {each.name:16}{per_thousand(each.expected):24}{'as known' if each.held else 'NOT AS KNOWN'}"
        for each in audit.controls
    ]
    return "\n".join([*lines, "", *_NOTES])


def _verdict(audit: Audit) -> str:
    state = f"{len(audit.faults)} fault(s)" if audit.faults else "within the limits"
    return f"Privacy of run {audit.run_id} under agreement {audit.agreement}: {state}."


def audit_html(audit: Audit) -> str:
    """Return an audit as one HTML page that loads nothing."""
    parts = [f"<p><strong>{escape(_verdict(audit))}</strong></p>"]
    parts += [f"<p>{escape(fault)}</p>" for fault in audit.faults]
    parts.append(f"<p>{escape(audit.sentence)}</p>")
    if audit.households:
        parts.append("<p>Sealed homes were part of what the thief held.</p>")
    parts.append("<h2>Strangers a record meets</h2>")
    parts.append(table(("pass", "λ planned", "λ found"), _rows(audit), numbers=2))
    parts.append("<h2>Controls</h2>")
    parts.append(
        table(
            ("control", "what is published", "named correctly", "as known"),
            [
                (each.name, each.what, per_thousand(each.expected), "yes" if each.held else "no")
                for each in audit.controls
            ],
            numbers=2,
        )
    )
    parts += [f"<p>{escape(note)}</p>" for note in _NOTES]
    return page(f"Privacy audit of run {audit.run_id}", parts)
