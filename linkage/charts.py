"""Splink's own charts of a model and of a pair, as HTML files that need no network.

Splink carries the scripts its charts need and writes them into the page. A chart is drawn from the model's settings
and from levels alone: the table behind it is empty.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from html import escape
from typing import Any

from splink import DuckDBAPI, Linker

from linkage.charts_page import page, table
from linkage.database import connect
from linkage.explain import READING, READING_PAIR, REVIEW_WORDS, Explanation, likelihood
from linkage.model import silent
from schemas.scheme import TOKENS, column

_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)


def _charts(settings: Mapping[str, Any], record: Mapping[str, Any] | None) -> list[str]:
    """Return the inside of Splink's chart pages: the waterfall of `record`, or match weights and m and u."""
    kept = {"retain_intermediate_calculation_columns": True, "retain_matching_columns": True}
    columns = ", ".join(f"{column(name)} UINTEGER" for name in TOKENS)
    with connect(threads=1) as con, silent(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        con.execute(f"CREATE TABLE no_rows (row_id BIGINT, {columns})")
        linker = Linker(DuckDBAPI(con).register("no_rows"), {**settings, **kept})
        draw = linker.visualisations
        charts: list[Any]
        if record is not None:
            charts = [draw.waterfall_chart([dict(record)], filter_nulls=False, remove_sensitive_data=True)]
        else:
            charts = [draw.match_weights_chart(), draw.m_u_parameters_chart()]
        drawn = [chart.to_html(inline=True) for chart in charts]
    found = [_BODY.search(text) for text in drawn]
    return [each.group(1) if each else text for each, text in zip(found, drawn, strict=True)]


def _figure(chart: str, caption: str) -> str:
    return f"<figure>\n{chart}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


_WATERFALL = (
    "The steps of the pair by itself as Splink draws them, from left to right: a bar that goes up speaks for one "
    "person, one that goes down against. The last bar is the score before the other links are weighed (the last two "
    "steps of the table). Left: weight; right: probability."
)


def _steps_table(found: Explanation) -> str:
    rows = [
        (
            step.name,
            step.label,
            *(likelihood(value) for value in (step.m, step.u)),
            f"{step.weight:+.2f}",
            f"{step.total:+.2f}",
        )
        for step in found.steps
    ]
    return table(("compared", "what agrees", "m", "u", "weight", "so far"), rows, numbers=4)


def pair_html(found: Explanation, settings: Mapping[str, Any]) -> str:
    """Return the page that explains a pair: a sentence, the steps as a table, and Splink's waterfall chart.

    Args:
        found: The explanation.
        settings: Splink settings of the run's model.
    """
    record = {f"gamma_{name}": gamma for name, gamma in found.gammas.items()}
    (chart,) = _charts(settings, {**record, "match_weight": found.pair_weight})
    sentence = (
        f"Run {escape(found.run_id)} takes these records for <strong>{escape(found.verdict)}</strong>. Match weight "
        f"{found.match_weight:+.2f} (log2 of the odds), match probability {found.match_probability:.4f}; links are "
        f"believed from {found.threshold} on."
    )
    parts = [f"<p>{sentence}{'' if found.final is None else f' {escape(found.final)}'}</p>"]
    if found.review is not None:
        parts.append(f"<p>For a person to look at: {escape(REVIEW_WORDS[found.review])}.</p>")
    parts += [_steps_table(found), f"<p>{escape(READING_PAIR)}</p>", _figure(chart, _WATERFALL)]
    met = "".join(f"<li>{escape(name.replace('+', ', '))}</li>" for name in found.found_by)
    parts.append(f"<p>They met in {len(found.found_by)} of {found.passes} passes, in which these agree:</p>")
    parts.append(f"<ul>{met}</ul>")
    parts.append("<p>Made from comparison levels alone. This page holds no identifier and no token.</p>")
    return page(f"{found.record_a} and {found.record_b}", parts)


def model_html(run_id: str, settings: Mapping[str, Any]) -> str:
    """Return the page of a run's model: Splink's charts of match weights and of m and u probabilities.

    Args:
        run_id: The run.
        settings: Splink settings of its model.
    """
    weights, probabilities = _charts(settings, None)
    return page(
        f"The model of run {run_id}",
        [
            "<p>How much each level of agreement speaks for (to the right) or against (to the left) one person. The "
            "bars called family take back what relatives share too.</p>",
            f"<p>{escape(READING)}</p>",
            _figure(weights, "Match weights, log2 of m over u."),
            _figure(
                probabilities,
                "m: how often a level is seen in pairs of one person; u: in pairs of two people.",
            ),
            "<p>This page holds probabilities only: no identifier, no token, no person.</p>",
        ],
    )
