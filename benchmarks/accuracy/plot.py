"""The plot of a dataset: precision over recall of every system, as one SVG file that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 20, 40, 96
STYLES = {
    "sealed": ("#1f5a7a", "", "Tallystick, sealed"),
    "clear": ("#b5551c", "8 4", "Splink, clear text"),
    "alike": ("#8a6d00", "4 2", "clear text, our last step"),
    "keys": ("#4d7231", "2 4", "hashed match keys"),
    "clk": ("#7a5195", "10 3 2 3", "CLKs"),
}
"""Colour, dashes and name of each system: told apart without colour too."""

_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)

Point = tuple[float, float]


def _points(found: dict[str, Any]) -> list[Point]:
    rows = [*found["curve"], found["default"]["pairs"], found["best"]["pairs"]]
    listed = {(row["recall"], row["precision"]) for row in rows}
    held = [(r, p) for r, p in listed if r is not None and p is not None]
    return sorted(held, key=lambda point: (point[0], -point[1]))  # from the highest threshold down


def _low(values: Sequence[float]) -> float:
    """Return where an axis begins: below most of what matters, so that the corner near 1 is wide."""
    return max(0.0, min(0.98, min(values, default=0.98) - 0.02))


def _step(span: float) -> float:
    return next((step for step in _STEPS if span / step <= 8), 0.2)


class _Axes:
    def __init__(self, found: dict[str, Any]) -> None:
        named = [found[system][kind]["pairs"] for system in found for kind in ("default", "best")]
        self.x_low = _low([figures["recall"] for figures in named if figures["recall"] is not None])
        self.y_low = _low([figures["precision"] for figures in named if figures["precision"] is not None])

    def at(self, point: Point) -> Point:
        wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        x = (point[0] - self.x_low) / (1 - self.x_low)
        y = (point[1] - self.y_low) / (1 - self.y_low)
        return _LEFT + wide * x, _TOP + high * (1 - y)

    def inside(self, point: Point) -> bool:
        return point[0] >= self.x_low and point[1] >= self.y_low

    def drawn(self) -> list[str]:
        body, bottom, right = [], HEIGHT - _BOTTOM, WIDTH - _RIGHT
        for low, across in ((self.x_low, True), (self.y_low, False)):
            step, value = _step(1 - low), 1.0
            while value >= low - 1e-9:
                x, y = self.at((value, value))
                if across:
                    body.append(f'<path d="M{x:.1f} {_TOP}V{bottom}" class="g"/>')
                    body.append(
                        f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{value:.3g}</text>'
                    )
                else:
                    body.append(f'<path d="M{_LEFT} {y:.1f}H{right}" class="g"/>')
                    body.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>')
                value = round(value - step, 6)
        body.append(
            f'<text x="{(_LEFT + right) / 2:.0f}" y="{bottom + 36}" text-anchor="middle">recall</text>'
        )
        return [*body, f'<text x="8" y="{_TOP - 14}">precision</text>']


def _marks(found: dict[str, Any], axes: _Axes, colour: str) -> list[str]:
    marks = []
    for kind in ("default", "best"):
        figures = found[kind]["pairs"]
        if figures["recall"] is None or figures["precision"] is None:
            continue
        x, y = axes.at((figures["recall"], figures["precision"]))
        fill = colour if kind == "best" else "#fff"
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
        )
    return marks


def _legend(systems: Sequence[str]) -> list[str]:
    parts, x, y = [], float(_LEFT), HEIGHT - 36
    for system in systems:
        colour, dashes, name = STYLES[system]
        width = 54 + 6.8 * len(name)
        if x + width > WIDTH:
            x, y = float(_LEFT), y + 20
        line = f'<path d="M0 0H22" stroke="{colour}" stroke-dasharray="{dashes}" stroke-width="2.5"/>'
        parts.append(f'<g transform="translate({x:.0f} {y})">{line}<text x="27" y="4">{name}</text></g>')
        x += width
    return parts


def plot(title: str, found: dict[str, Any]) -> str:
    """Return the plot as SVG.

    Args:
        title: The dataset.
        found: Figures by system.
    """
    axes = _Axes(found)
    lines = []
    for system, each in found.items():
        colour, dashes, _ = STYLES[system]
        inside = [axes.at(point) for point in _points(each) if axes.inside(point)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in inside)
        style = f'stroke="{colour}" stroke-dasharray="{dashes}" stroke-width="2.5" fill="none"'
        lines += [f'<polyline points="{path}" {style}/>', *_marks(each, axes, colour)]
    told = "; ".join(
        f"{STYLES[system][2]} F1 {each['best']['pairs']['f1'] or 0:.4f} at best"
        for system, each in found.items()
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(title)}: precision over recall of pairs</title><desc>{escape(told)}. Hollow circles: at "
            "the system's own threshold; filled: at its best.</desc>",
            "<style>text{font:13px system-ui,sans-serif;fill:#1a1a1a}.g{stroke:#ddd}</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="{WIDTH - _RIGHT}" y="{_TOP - 14}" text-anchor="end">{escape(title)}</text>',
            *axes.drawn(),
            *lines,
            *_legend(list(found)),
            "</svg>",
            "",
        ]
    )
