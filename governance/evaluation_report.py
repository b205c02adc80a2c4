"""The report of `tallystick evaluate`: who is missed more, whether scores keep their promise, in plain English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from governance.disclosure import STAYS_WITH_TRUTH
from governance.evaluation_plots import calibration_plot, group_plot, threshold_plot
from governance.report import page_environment
from governance.summary import percent

Figures = Mapping[str, Any]

CERTAIN = 2.576
"""A difference is told when chance alone would show one as large in 1 comparison of 100: many groups are compared."""

WORTH_TELLING = 0.005
"""Differences below half a percentage point are not told, however certain."""

FEWEST = 30
"""Groups with fewer true pairs, and scores with fewer pairs, are too few to say anything of."""

FLAGS = {
    ("mover", "yes"): "people who moved home in the last three years",
    ("name_changer", "yes"): "people who changed a name",
    ("twin", "yes"): "twins",
    ("no_fixed_abode", "yes"): "people of no fixed abode",
    ("looked_after", "yes"): "looked-after children",
    ("care_leaver", "yes"): "care leavers",
    ("protected_address", "yes"): "people with a protected address",
    ("nickname_in_use", "yes"): "people who go by a nickname",
    ("several_postcodes", "yes"): "people recorded with several postcodes",
    ("several_surnames", "yes"): "people recorded with several surnames",
    ("several_birth_dates", "yes"): "people recorded with several birth dates",
    ("nhs_number_held", "no"): "people without a usable NHS number",
}
"""Yes-or-no groupings: which side is told of; everyone else is the comparison."""

_SEXES = {"F": "female", "M": "male", "X": "neither female nor male"}


def told(row: Figures) -> bool:
    """Return whether a group is shown by itself: of a yes-or-no grouping only the side that is told of."""
    plain = row["group"] not in {"yes", "no"}
    return plain or (row["grouping"], row["group"]) in FLAGS or not _known_flag(row["grouping"])


def _known_flag(grouping: str) -> bool:
    return any(grouping == name for name, _ in FLAGS)


def group_name(row: Figures) -> str:
    """Return what a group is called in a sentence."""
    grouping, group = row["grouping"], row["group"]
    if (grouping, group) in FLAGS:
        return FLAGS[grouping, group]
    match grouping:
        case "name_origin":
            return f"people with names of {group.replace('_', ' ').title()} origin"
        case "sex":
            return f"people recorded as {_SEXES.get(group, group)}"
        case "age_band":
            return f"people aged {group}"
        case _:
            return f"people with {grouping.replace('_', ' ')}: {group}"


def _certain(here: Figures, others: Figures, effective: Sequence[float]) -> bool:
    """Compare two shares by the usual test, with the effective numbers of pairs."""
    a, b = here["value"], others["value"]
    n, m = effective
    if a is None or b is None or n <= 0 or m <= 0:
        return False
    pooled = (a * n + b * m) / (n + m)
    spread = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return abs(a - b) >= WORTH_TELLING and spread > 0 and abs(a - b) / spread >= CERTAIN


def _range(share: Figures) -> str:
    return f"{percent(share['value'])} ({percent(share['low'])} to {percent(share['high'])})"


def _times(worse: float, better: float) -> str:
    """Return how many times as often, of two shares of errors."""
    return f"{worse / better:.1f} times as often" if better > 0 else "where nobody else is"


def _worse(figures: Figures, measure: str) -> list[Figures]:
    """Return the groups that are certainly worse off than everyone else, the worst first."""
    rows = [
        row
        for row in figures["groups"]
        if told(row)
        and row["links"]["true_pairs"] >= FEWEST
        and _certain(row["links"][measure], row["others"][measure], row["effective"][measure])
        and row["links"][measure]["value"] < row["others"][measure]["value"]
    ]
    return sorted(rows, key=lambda row: float(row["links"][measure]["value"]))


def missed_more(figures: Figures) -> list[str]:
    """Return a sentence for each group that is missed, or wrongly linked, more than everyone else."""
    sentences = []
    for row in _worse(figures, "recall"):
        here, others = row["links"]["recall"], row["others"]["recall"]
        sentences.append(
            f"{_first_up(group_name(row))}: {_range(here)} of their links are found, of everyone else's "
            f"{percent(others['value'])}; they are missed {_times(1 - here['value'], 1 - others['value'])}."
        )
    for row in _worse(figures, "precision"):
        here, others = row["links"]["precision"], row["others"]["precision"]
        sentences.append(
            f"{_first_up(group_name(row))}: {_range(here)} of the links made are right, of everyone else's "
            f"{percent(others['value'])}; they are linked to somebody else "
            f"{_times(1 - here['value'], 1 - others['value'])}."
        )
    return sentences


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


def too_few(figures: Figures) -> list[str]:
    """Return the names of the groups with too few pairs to be judged."""
    return [group_name(row) for row in figures["groups"] if told(row) and row["links"]["true_pairs"] < FEWEST]


def reading(figures: Figures) -> list[str]:
    """Return the reading of a run, the gravest first; never empty."""
    found = missed_more(figures)
    if not figures["groups"]:
        return ["Who is missed more cannot be said: there is no file of groups, and there are no extracts."]
    if not found:
        found = ["No group is clearly missed, or wrongly linked, more than everyone else."]
    few = too_few(figures)
    if few:
        found.append(f"Too few pairs to say: {'; '.join(few)}.")
    return found


def promise(right: Figures, score: float) -> str:
    """Return how often pairs were right compared with their score: by the interval, so that chance is no verdict."""
    if right["low"] is None:
        return "not known"
    if right["low"] > score:
        return "right more often than scored (cautious)"
    if right["high"] < score:
        return "right less often than scored (over-confident)"
    return "right about as often as scored"


def calibration_sentences(figures: Figures) -> list[str]:
    """Return the plain statement on calibration."""
    found = figures["calibration"]
    if not found["bins"]:
        return ["No pair was compared, so nothing can be said of the scores."]
    ninety = next((entry for entry in found["bins"] if (entry["from"], entry["to"]) == (0.85, 0.95)), None)
    if ninety is None or ninety["pairs"] < FEWEST:
        seen = 0 if ninety is None else ninety["pairs"]
        first = (
            f"Are pairs scored 0.9 right nine times in ten? Only {seen} were scored near it: too few to say."
        )
    else:
        first = (
            f"Are pairs scored 0.9 right nine times in ten? Of {ninety['pairs']:,} scored 0.85 to 0.95 (on average "
            f"{ninety['score']:.2f}), {_range(ninety['right'])} were right: "
            f"{promise(ninety['right'], ninety['score'])}."
        )
    middle = [entry for entry in found["bins"] if entry["from"] >= 0.05 and entry["to"] <= 0.95]
    pairs = sum(entry["pairs"] for entry in middle)
    sentences = [first]
    if pairs >= FEWEST:
        expected = sum(entry["pairs"] * entry["score"] for entry in middle)
        right = sum(entry["pairs"] * entry["right"]["value"] for entry in middle)
        sentences.append(
            f"Of the {pairs:,} pairs that the model was unsure of (0.05 to 0.95), the scores promised {expected:,.0f} "
            f"right ones, and {right:,.0f} were."
        )
    return [
        *sentences,
        f"Of all {found['pairs']:,} compared pairs they promised {found['expected']:,.0f} right ones, and "
        f"{found['right']:,} were.",
    ]


def _figure_lines(figures: Figures) -> list[str]:
    links, best, people = figures["links"], figures["best"], figures["clusters"]
    lines = [f"  {'':34}{'precision':>22}{'recall':>22}{'F1':>9}"]
    for name, row in (
        (f"links at the threshold {figures['threshold']:g}", links),
        (f"links at the best one, {best['threshold']:.3g}", best),
        ("people put together", people),
    ):
        shares = "".join(f"{_range(row[kind]):>24}" for kind in ("precision", "recall"))
        value = row["f1"]["value"]
        lines.append(f"  {name:32}{shares}{'-' if value is None else f'{value:.4f}':>9}")
    return lines


def _group_lines(figures: Figures, most: int = 12) -> list[str]:
    rows = [row for row in figures["groups"] if told(row) and row["links"]["true_pairs"] >= FEWEST]
    rows.sort(key=lambda row: float(row["links"]["recall"]["value"] or 0))
    lines = [f"  {'missed most':48}{'pairs':>8}{'recall':>24}{'precision':>11}"]
    for row in rows[:most]:
        links = row["links"]
        lines.append(
            f"  {group_name(row):48}{links['true_pairs']:>8,}{_range(links['recall']):>24}"
            f"{percent(links['precision']['value']):>11}"
        )
    return lines


def evaluation_text(figures: Figures) -> str:
    """Return the evaluation for a terminal.

    Args:
        figures: The JSON object of `tallystick evaluate --json`.
    """
    people = figures["clusters"]
    lines = [
        f"Run {figures['run']}: {figures['references']:,} references of {figures['people']:,} people.",
        "",
        *_figure_lines(figures),
        f"  True pairs among those compared: {_range(figures['blocking']['recall'])}",
        f"  People with several references: {people['people']:,}; whole {people['whole']:,}, split "
        f"{people['split']:,}, mixed with somebody else {people['mixed']:,}.",
        "",
        "Who is missed, or wrongly linked, more:",
        *(f"  - {sentence}" for sentence in reading(figures)),
    ]
    if figures["groups"]:
        lines += ["", *_group_lines(figures)]
    lines += ["", "Scores:", *(f"  {sentence}" for sentence in calibration_sentences(figures))]
    lines += ["", STAYS_WITH_TRUTH]
    return "\n".join(lines)


def evaluation_html(figures: Figures) -> str:
    """Return the evaluation as one HTML page that loads nothing from elsewhere.

    Args:
        figures: The JSON object of `tallystick evaluate --json`.
    """
    rows = [row for row in figures["groups"] if told(row)]
    named = [(group_name(row), row) for row in rows]
    shown = [(name, row) for name, row in named if row["links"]["true_pairs"] >= FEWEST]
    return (
        page_environment()
        .get_template("evaluation.html.j2")
        .render(
            f=figures,
            pct=percent,
            stays=STAYS_WITH_TRUTH,
            reading=reading(figures),
            calibration=calibration_sentences(figures),
            promise=promise,
            groups=named,
            threshold_plot=threshold_plot(figures["thresholds"], figures["threshold"]),
            calibration_plot=calibration_plot(figures["calibration"]["bins"]),
            group_plot=group_plot([(name, row["links"]["recall"]) for name, row in shown]),
        )
    )
