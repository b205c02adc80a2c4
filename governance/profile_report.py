"""The data-quality report of an extract, as text for a terminal and as one HTML page: counts, never a value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.disclosure import STAYS_WITH_AGENCY
from governance.report import page_environment
from governance.summary import percent


def _plural(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def findings(figures: Mapping[str, Any]) -> list[str]:
    """Return what a data team should look at before it seals, the gravest first; empty when all is well."""
    rows = max(figures["rows"], 1)
    found = [
        f"{_plural(count, 'row', 'rows')} cannot be used: {reason}."
        for reason, count in figures["unusable"].items()
        if count
    ]
    for name, counts in figures["fields"].items():
        if counts["ok"] == 0 and counts["invalid"]:
            found.append(
                f"No value of {name} is usable: look at its date format, codes or column in the mapping."
            )
        elif counts["invalid"] > 0.05 * rows:
            found.append(f"{percent(counts['invalid'] / rows)} of the rows have an invalid {name}.")
        if counts["placeholder"] > 0.05 * rows:
            found.append(
                f"{percent(counts['placeholder'] / rows)} of the rows have a placeholder for {name}."
            )
    if figures["undated_contacts"]:
        contacts = _plural(figures["undated_contacts"], "contact has", "contacts have")
        found.append(f"{contacts} no usable date and will not be sent.")
    if figures["no_pass"]:
        people = _plural(figures["no_pass"], "person lacks", "people lack")
        found.append(f"{people} the identifiers for every pass: nobody can find them.")
    if figures["lookalikes"]:
        people = _plural(figures["lookalikes"], "person looks", "people look")
        found.append(f"{people} like another of yours recorded again under another reference.")
    if figures["versions_left_out"]:
        found.append(
            f"{_plural(figures['versions_left_out'], 'set', 'sets')} of identifiers are left out, because "
            "their person has too many."
        )
    return found


def _recall_line(figures: Mapping[str, Any]) -> str:
    recall = figures["recall"]
    if recall is None:
        return "Expected recall: not estimated, there are too few people."
    return (
        f"Expected recall, simulated: {percent(recall['as_recorded'])} as recorded, {percent(recall['if_complete'])} "
        f"if nothing were missing; missing identifiers cost {percent(recall['lost'])}."
    )


def _dates_line(figures: Mapping[str, Any]) -> str:
    if figures["first_contact"] is None:
        return f"Contacts: {figures['contacts']:,}, none with a usable date."
    return (
        f"Contacts: {figures['contacts']:,}, from {figures['first_contact']} to {figures['last_contact']}; "
        f"{figures['undated_contacts']:,} without a usable date."
    )


def profile_text(figures: Mapping[str, Any]) -> str:
    """Return the report for a terminal.

    Args:
        figures: The JSON object of `tallystick profile --json`.
    """
    rows = max(figures["rows"], 1)
    lines = [
        f"{figures['source']}: read as {figures['read_as']}.",
        f"{figures['rows']:,} rows: {figures['subjects']:,} people, recorded in "
        f"{figures['versions']:,} different ways.",
        _dates_line(figures),
        f"People with several references: {figures['several_references']:,}. "
        f"Look-alikes not joined: {figures['lookalikes']:,}.",
        "",
        f"  {'identifier':14}{'usable':>18}{'missing':>18}{'placeholder':>18}{'invalid':>18}",
    ]
    for name, counts in figures["fields"].items():
        cells = (
            f"{counts[kind]:>10,}{percent(counts[kind] / rows):>8}"
            for kind in ("ok", "missing", "placeholder", "invalid")
        )
        lines.append(f"  {name:14}{''.join(cells)}")
    if figures["absent"]:
        lines.append(f"  not in the extract: {', '.join(figures['absent'])}")
    whose = f"agreement {figures['passes_of']}" if figures["passes_of"] else "a draft agreement"
    lines += [
        "",
        f"People who can take part in none of the {len(figures['passes'])} passes of {whose}: "
        f"{figures['no_pass']:,}; in one or two only: {figures['few_passes']:,}.",
        _recall_line(figures),
    ]
    found = findings(figures)
    if found:
        lines += ["", "Look at this before you seal:", *(f"  - {finding}" for finding in found)]
    lines += ["", STAYS_WITH_AGENCY]
    return "\n".join(lines)


def profile_html(figures: Mapping[str, Any]) -> str:
    """Return the report as one HTML page that loads nothing from elsewhere.

    Args:
        figures: The JSON object of `tallystick profile --json`.
    """
    return (
        page_environment()
        .get_template("profile.html.j2")
        .render(
            f=figures,
            rows=max(figures["rows"], 1),
            findings=findings(figures),
            pct=percent,
            stays=STAYS_WITH_AGENCY,
        )
    )
