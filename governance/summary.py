"""Short plain-English summaries for the terminal: counts and figures, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from governance.disclosure import STAYS_HERE, STAYS_WITH_AGENCY, safe_run, shown


def percent(share: float | None, digits: int = 1) -> str:
    """Return a share as a percentage, or "-" when it is not known."""
    return "-" if share is None else f"{100 * share:.{digits}f}%"


def per_thousand(share: float) -> str:
    """Return a share as "about N in 1,000"."""
    count = 1000 * share
    return f"about {count:.0f} in 1,000" if count >= 1 else "fewer than 1 in 1,000"


def privacy_sentence(figures: Mapping[str, Any]) -> str:
    """Return the sentence an officer needs, with the measured figures."""
    people = per_thousand(figures["expected_reidentification"])
    records = per_thousand(figures["expected_reidentification_with_records"])
    return (
        f"If a thief held every linkage file and a perfect list of the people, but no key, they would correctly name "
        f"{people} of them from the tokens; a thief who also had every agency's own records, errors included, "
        f"{records}. If the key leaks: all. The data is pseudonymised personal data."
    )


def _input_lines(figures: Mapping[str, Any]) -> list[str]:
    lines = [f"  {'agency':26}{'rows':>10}{'people':>10}{'unusable':>10}"]
    for agency, entry in figures["input"].items():
        lines.append(f"  {agency:26}{entry['rows']:>10,}{entry['subjects']:>10,}{entry['unusable']:>10,}")
    return lines


def _multi_agency_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [
        f"People in contact with several agencies in the {found['window_months']} months "
        f"up to {found['as_of']}: {shown(found['people'])}"
    ]
    lines += [f"  with {number} agencies: {shown(people)}" for number, people in found["by_agencies"].items()]
    return lines + _rolling_lines(found.get("rolling"))


def _rolling_lines(rolling: Mapping[str, Any] | None) -> list[str]:
    """Say what the busiest window was, and from which day on anybody could see."""
    if rolling is None:
        return []
    lines = [
        f"People in contact with several agencies in any {rolling['months']} months after "
        f"{rolling['contacts_after']}, when the contacts that were sent begin: {shown(rolling['people'])}"
    ]
    lines += [
        f"  with {number} agencies: {shown(people)}" for number, people in rolling["by_agencies"].items()
    ]
    lines.append(
        f"  whose busiest {rolling['months']} months began earlier, so that more may have happened than is "
        f"counted: {shown(rolling['cut'])}"
    )
    return lines


def _accuracy_lines(figures: Mapping[str, Any]) -> list[str]:
    pairs, clusters = figures["pairs"]["agreement"], figures["clusters"]
    if pairs["f1"] is None:
        return ["Accuracy: not measured (there is no truth.csv, or it has no two records of one person)."]
    return [
        "Accuracy against the truth:",
        f"  links at the agreed threshold {pairs['threshold']}: precision {percent(pairs['precision'])}, "
        f"recall {percent(pairs['recall'])}, F1 {pairs['f1']:.4f}",
        f"  people put together:            precision {percent(clusters['precision'])}, "
        f"recall {percent(clusters['recall'])}, F1 {clusters['f1']:.4f}",
    ]


def peak_mb(stages: Iterable[Mapping[str, Any]]) -> int | None:
    """Return the largest peak memory of any stage in MB; None where this system told none."""
    return max((stage["peak_mb"] for stage in stages if stage["peak_mb"] is not None), default=None)


def _memory(peak: int | None) -> str:
    return (
        "peak memory not measured (this system does not tell)" if peak is None else f"peak memory {peak:,} MB"
    )


def summary_text(figures: Mapping[str, Any]) -> str:
    """Return the summary of a rehearsal (the JSON of the command contract) for a terminal."""
    blocking, privacy = figures["blocking"], figures["privacy"]
    seconds = sum(stage["seconds"] for stage in figures["stages"])
    lines = [
        "What the agencies put in:",
        *_input_lines(figures),
        "",
        *_multi_agency_lines(figures["multi_agency"]),
        "",
        *_accuracy_lines(figures),
        "",
        f"Privacy: {blocking['passes']} passes, d = {privacy['d']:.3f} (the limit is 0.2).",
        f"  {privacy_sentence(privacy)}",
        f"  Links for a person to look at: {figures['clusters']['to_review']:,}",
        "",
        f"Time: {seconds:.0f} s, {_memory(peak_mb(figures['stages']))}.",
        STAYS_HERE,
    ]
    return "\n".join(lines)


def seal_text(report: Mapping[str, Any]) -> str:
    """Return the summary of what an agency sealed, in counts."""
    quality = report["quality"]
    lines = [
        f"Read {quality['rows']:,} rows. Sealed {quality['subjects']:,} people, recorded in "
        f"{quality['versions']:,} different ways.",
        *(
            f"  {count:,} rows cannot be used: {reason}."
            for reason, count in quality["unusable"].items()
            if count
        ),
        f"  {'identifier':14}{'usable':>12}{'missing':>12}{'placeholder':>12}{'invalid':>12}",
    ]
    for name, counts in quality["fields"].items():
        lines.append(
            f"  {name:14}{counts['ok']:>12,}{counts['missing']:>12,}"
            f"{counts['placeholder']:>12,}{counts['invalid']:>12,}"
        )
    if quality["undated_contacts"]:
        lines.append(
            f"  {quality['undated_contacts']:,} contacts have no usable date and fall outside every window."
        )
    lines.append(
        f"Contacts that leave: {report['contacts_sent']:,}"
        + (f", all after {report['contacts_after']}" if report["contacts_after"] else "")
        + f". Kept back, outside the window or undated: {report['contacts_kept_back']:,}."
    )
    crowded = sum(entry["crowded"] for entry in report["passes"])
    lines.append(
        f"Sealed in {len(report['passes'])} passes; {crowded:,} times a record skipped a crowded one."
    )
    lines += report.get("remarks", ())
    lines.append(STAYS_WITH_AGENCY)
    return "\n".join(lines)


def _people(count: int | None) -> str:
    return shown(count) if count is None else f"{shown(count)} people"


def run_text(figures: Mapping[str, Any], *, min_cell: int) -> str:
    """Return the summary of a linkage run (`run.json`), with counts of people below `min_cell` suppressed."""
    privacy, safe = figures["privacy"], safe_run(figures, min_cell=min_cell)
    senders = ", ".join(f"{name} ({_people(count)})" for name, count in safe["senders"].items())
    lines = [
        f"Run {figures['run']} under agreement {figures['agreement']['id']} {figures['agreement']['version']}.",
        f"Packages: {senders}.",
        f"Different people: {shown(safe['people'])}. Links for a person to look at: {shown(safe['to_review'])}.",
        *_multi_agency_lines(safe["multi_agency"]),
        f"Privacy: d = {privacy['d']:.3f} (the limit is 0.2). {privacy_sentence(privacy)}",
    ]
    capped = [entry for entry in figures["blocking"] if entry["capped_blocks"]]
    lines += [
        f"Pass {entry['name']}: {entry['capped_blocks']} block(s) with {entry['capped_versions']:,} records were "
        "too large and were left out."
        for entry in capped
    ]
    lines += [found_line(entry) for entry in figures.get("compliance", ())]
    return "\n".join(lines)


def found_line(entry: Mapping[str, Any]) -> str:
    """Return a finding of `run.json` in one line; an exception is named with whoever signed it."""
    signed = f" Signed off: {entry['exception']}" if entry["exception"] else ""
    return (
        f"{'Exception' if signed else 'Look at'} {entry['rule']}: {entry['sentence']} {entry['fix']}{signed}"
    )
