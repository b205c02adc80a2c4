"""A check's report as one HTML page for an officer: it loads nothing, prints well, and is read out in order."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from governance.check import Report, status_of
from governance.report import page_environment
from governance.rules.registry import all_rules

PALETTE = {
    "ink": "#1b1f24",
    "soft": "#4a5560",
    "paper": "#ffffff",
    "pale": "#eef3f7",
    "block": "#8c1d18",
    "block_pale": "#fdeceb",
    "amber": "#6b4700",
    "amber_pale": "#fff4dc",
    "good": "#1e5631",
    "good_pale": "#e9f5ec",
    "exception": "#3d2c8d",
    "exception_pale": "#efecfb",
    "link": "#1d4f79",
}
"""Colours of the page; `TEXT_ON` says which is read on which."""

TEXT_ON = (
    *((text, "paper") for text in ("ink", "soft", "block", "amber", "good", "exception", "link")),
    *((text, "pale") for text in ("ink", "soft", "link")),
    *((name, f"{name}_pale") for name in ("block", "amber", "good", "exception")),
    *(("ink", f"{name}_pale") for name in ("block", "amber", "good", "exception")),
)
"""Pairs of text and ground that occur; each has a contrast of 4.5 to 1 or more (WCAG 2.2, 1.4.3 level AA)."""


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours `#rrggbb` (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def report_html(reports: Sequence[Report]) -> str:
    """Return the reports on one page, the verdict of each first."""
    return (
        page_environment()
        .get_template("check.html.j2")
        .render(
            reports=reports,
            palette=PALETTE,
            status_of=status_of,
            version=version("tallystick"),
            titles={rule_id: rule.title for rule_id, (_, rule) in all_rules().items()},
        )
    )
