"""Small charts as inline SVG: bars beside published values, and curves on logarithmic axes.

Every chart has a title and a description for screen readers, marks published values by shape as well as colour, and is
followed by the same numbers as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 694, 316
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 26, 30, 62
_FILLS = ("#1f5a7a", "#c2703d", "#5b7f3a", "#7a5195", "#8a8d91")
_DASHES = ("", "7 4", "2 4", "9 3 2 3", "1 3")


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """Values of one kind for each category; None where there is none.

    Attributes:
        name: What the legend calls it.
        values: One a category.
        published: Drawn as a diamond instead of a bar: a figure from a public source.
    """

    name: str
    values: Sequence[float | None]
    published: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """Points of one curve, positive on both axes; `published` points are drawn as diamonds."""

    name: str
    points: Sequence[tuple[float, float]]
    published: bool = False


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _diamond(x: float, y: float) -> str:
    return f'<path d="M{x:.1f} {y - 7:.1f}l6 7l-6 7l-6 -7z" fill="#fff" stroke="#1a1a1a" stroke-width="2.2"/>'


def _framed(title: str, summary: str, body: list[str], legend: list[str]) -> str:
    return "\n".join(
        [
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title><desc>{escape(summary)}</desc>",
            *body,
            *legend,
            "</svg>",
        ]
    )


def _legend(names: Sequence[tuple[str, str]]) -> list[str]:
    """Return the legend line: pairs of a drawn sample at the origin and a name."""
    parts, x = [], float(_LEFT)
    for sample, name in names:
        parts.append(f'<g transform="translate({x:.0f} {HEIGHT - 12})">{sample}')
        parts.append(f'<text x="18" y="4">{escape(name)}</text></g>')
        x += 34 + 6.6 * len(name)
    return parts


def _step(top: float) -> float:
    rough = top / 4
    power = 10.0 ** floor(log10(rough))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)


def bars(title: str, summary: str, categories: Sequence[str], series: Sequence[Series], unit: str) -> str:
    """Return grouped vertical bars; published series become diamonds over their category.

    Args:
        title: Name of the chart.
        summary: One sentence for a reader who does not see it.
        categories: Labels along the axis.
        series: Values for each category.
        unit: Written beside the axis, for example "% of people".
    """
    top = max([value for one in series for value in one.values if value is not None] + [1e-9]) * 1.08
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    slot = wide / max(1, len(categories))
    solid = [one for one in series if not one.published]
    bar = slot * 0.74 / max(1, len(solid))

    def y_of(value: float) -> float:
        return _TOP + high * (1 - value / top)

    body = _ruler(top, y_of, unit)
    for place, label in enumerate(categories):
        middle = _LEFT + slot * (place + 0.5)
        first, _, second = label.partition(" ")
        for line, words in enumerate((first, second) if second else (first,)):
            below = _TOP + high + 16 + 14 * line
            body.append(f'<text x="{middle:.1f}" y="{below}" class="tick">{escape(words)}</text>')
        for number, one in enumerate(solid):
            value = one.values[place]
            if value is not None:
                x, y = middle - slot * 0.37 + bar * number, y_of(value)
                body.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar * 0.94:.1f}" height="{_TOP + high - y:.1f}" '
                    f'fill="{_FILLS[number % len(_FILLS)]}"/>'
                )
        for one in series:
            value = one.values[place]
            if one.published and value is not None:
                body.append(_diamond(middle, y_of(value)))
    names = [
        (f'<rect x="0" y="-6" width="12" height="12" fill="{_FILLS[n % len(_FILLS)]}"/>', one.name)
        for n, one in enumerate(solid)
    ]
    names += [(_diamond(6, 0), one.name) for one in series if one.published]
    return _framed(title, summary, body, _legend(names))


def _ruler(top: float, y_of: Callable[[float], float], unit: str) -> list[str]:
    body, step, value = [], _step(top), 0.0
    while value <= top:
        y = y_of(value)
        body.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        body.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="side">{_number(value)}</text>')
        value += step
    body.append(f'<text x="4" y="{_TOP - 14}" class="unit">{escape(unit)}</text>')
    return body


def curves(title: str, summary: str, lines: Sequence[Curve], x_name: str, y_name: str) -> str:
    """Return curves on logarithmic axes.

    Args:
        title: Name of the chart.
        summary: One sentence for a reader who does not see it.
        lines: The curves; every coordinate positive.
        x_name: Name of the horizontal axis.
        y_name: Name of the vertical axis.
    """
    points = [point for line in lines for point in line.points]
    across, up = [log10(x) for x, _ in points], [log10(y) for _, y in points]
    x_low, x_high, y_low, y_high = floor(min(across)), ceil(max(across)), floor(min(up)), ceil(max(up))
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        part = (log10(x) - x_low) / max(1, x_high - x_low)
        return _LEFT + wide * part, _TOP + high * (1 - (log10(y) - y_low) / max(1, y_high - y_low))

    body = []
    for power in range(x_low, x_high + 1):
        x, _ = at(10.0**power, 10.0**y_low)
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_TOP + high}" class="grid"/>')
        body.append(f'<text x="{x:.1f}" y="{_TOP + high + 16}" class="tick">{_number(10.0**power)}</text>')
    for power in range(y_low, y_high + 1):
        _, y = at(10.0**x_low, 10.0**power)
        body.append(f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        body.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="side">{_number(10.0**power)}</text>')
    body.append(f'<text x="4" y="{_TOP - 14}" class="unit">{escape(y_name)}</text>')
    body.append(
        f'<text x="{_LEFT + wide / 2:.0f}" y="{_TOP + high + 32}" class="tick">{escape(x_name)}</text>'
    )
    names, number = [], 0
    for line in lines:
        if line.published:
            body.extend(_diamond(*at(*point)) for point in line.points)
            names.append((_diamond(6, 0), line.name))
            continue
        style = f'stroke="{_FILLS[number % 5]}" stroke-dasharray="{_DASHES[number % 5]}" class="curve"'
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line.points))
        body.append(f'<polyline points="{path}" {style}/>')
        names.append((f'<line x1="0" x2="14" y1="0" y2="0" {style}/>', line.name))
        number += 1
    return _framed(title, summary, body, _legend(names))


def table(heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column holds row headings."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><caption>{escape(heading)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
