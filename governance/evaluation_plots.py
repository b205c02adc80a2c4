"""Plots of an evaluation as inline SVG: told apart by shape, with a title and a description, tables beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markupsafe import Markup

Figures = Mapping[str, Any]

WIDTH = 680
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 20, 34, 54
_LINES = (
    ("precision", "#1d5c8a", "", "circle"),
    ("recall", "#b5551c", "7 4", "square"),
)
"""What is drawn by threshold: name, colour, dashes, mark."""


def _frame(title: str, told: str, height: int, body: Sequence[str]) -> Markup:
    # Everything in `body` is made here from numbers and escaped labels.
    return Markup(  # noqa: S704
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>{''.join(body)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _mark(kind: str, x: float, y: float, colour: str) -> str:
    if kind == "square":
        return f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="{colour}"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>'


def _ticks(low: float) -> list[float]:
    """Return about five round numbers from `low` to 1."""
    step = next(
        size for size in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2) if (1 - low) / size <= 6 or size == 0.2
    )
    ticks, value = [], 1.0
    while value >= low - 1e-9:
        ticks.append(round(value, 4))
        value -= step
    return ticks


def _percent(value: float) -> str:
    return f"{100 * value:.1f}".rstrip("0").rstrip(".") + "%"


def threshold_plot(rows: Sequence[Figures], agreed: float) -> Markup:
    """Return precision and recall by threshold; the agreed threshold is marked."""
    height = 330
    seen = [row[name]["value"] for row in rows for name, *_ in _LINES if row[name]["value"] is not None]
    low = max(0.0, min(seen, default=0.9) - 0.01)
    wide, high = WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM
    slot = wide / max(len(rows), 1)

    def y_of(value: float) -> float:
        return _TOP + high * (1 - (value - low) / max(1 - low, 1e-9))

    body = []
    for tick in _ticks(low):
        body.append(f'<path d="M{_LEFT} {y_of(tick):.1f}H{WIDTH - _RIGHT}" class="grid"/>')
        body.append(_text(_LEFT - 6, y_of(tick) + 4, _percent(tick), "end"))
    for place, row in enumerate(rows):
        x = _LEFT + slot * (place + 0.5)
        body.append(_text(x, _TOP + high + 18, f"{row['threshold']:g}"))
        if row["threshold"] == agreed:
            body.append(f'<path d="M{x:.1f} {_TOP}V{_TOP + high}" class="agreed"/>')
            body.append(_text(x, _TOP - 6, "agreed"))
    for name, colour, dashes, mark in _LINES:
        points = [
            (_LEFT + slot * (place + 0.5), y_of(row[name]["value"]))
            for place, row in enumerate(rows)
            if row[name]["value"] is not None
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        body.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
        )
        body += [_mark(mark, x, y, colour) for x, y in points]
    for place, (name, colour, _, mark) in enumerate(_LINES):
        body += [_mark(mark, _LEFT + 8 + 110 * place, height - 12, colour)]
        body.append(_text(_LEFT + 18 + 110 * place, height - 8, name, "start"))
    body.append(_text(WIDTH - _RIGHT, height - 8, "threshold on match probability", "end"))
    return _frame(
        "Precision and recall of links by threshold",
        "The table below has the same numbers.",
        height,
        body,
    )


def calibration_plot(bins: Sequence[Figures]) -> Markup:
    """Return the share of right pairs over the mean score of each bin, with intervals, beside the diagonal."""
    height = 380
    wide, high = WIDTH - _LEFT - _RIGHT, height - _TOP - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + wide * x, _TOP + high * (1 - y)

    body = []
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = at(tick, tick)
        body.append(
            f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}M{x:.1f} {_TOP}V{_TOP + high}" class="grid"/>'
        )
        body.append(_text(_LEFT - 6, y + 4, _percent(tick), "end"))
        body.append(_text(x, _TOP + high + 18, f"{tick:g}"))
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    body.append(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" class="agreed"/>')
    for entry in bins:
        x, y = at(entry["score"], entry["right"]["value"])
        _, low = at(0, entry["right"]["low"])
        _, top = at(0, entry["right"]["high"])
        body.append(f'<path d="M{x:.1f} {low:.1f}V{top:.1f}" class="bar"/>')
        body.append(_mark("circle", x, y, "#1d5c8a"))
    body.append(_text(_LEFT, _TOP - 12, "share of pairs that were right", "start"))
    body.append(_text(WIDTH - _RIGHT, height - 8, "score (match probability)", "end"))
    return _frame(
        "Are scores right as often as they say?",
        "Points on the dashed diagonal keep their promise; above it scores are cautious, below over-confident. "
        "The table below has the same numbers.",
        height,
        body,
    )


def group_plot(rows: Sequence[tuple[str, Figures]]) -> Markup:
    """Return the recall of each group as a point with its interval, the lowest first."""
    ranked = sorted(rows, key=lambda row: float(row[1]["value"] or 0))
    left, line = 330, 24
    height = _TOP + line * len(ranked) + 26
    low = max(0.0, min((float(share["low"] or 0) for _, share in ranked), default=0.9) - 0.01)

    def x_of(value: float) -> float:
        return left + (WIDTH - _RIGHT - left) * (value - low) / max(1 - low, 1e-9)

    body = []
    for tick in _ticks(low):
        body.append(f'<path d="M{x_of(tick):.1f} {_TOP}V{height - 24}" class="grid"/>')
        body.append(_text(x_of(tick), height - 8, _percent(tick)))
    for place, (name, share) in enumerate(ranked):
        y = _TOP + line * (place + 0.5)
        body.append(_text(left - 8, y + 4, name, "end"))
        body.append(f'<path d="M{x_of(share["low"]):.1f} {y:.1f}H{x_of(share["high"]):.1f}" class="bar"/>')
        body.append(_mark("circle", x_of(share["value"]), y, "#1d5c8a"))
    body.append(_text(left, _TOP - 12, "share of their true links that are found", "start"))
    return _frame(
        "Recall of links by group, with 95% intervals", "The table below has the same numbers.", height, body
    )
