"""The frame of the unit's pages: one escaped HTML file that loads nothing and prints well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

# The menu of a chart offers to open it on a public web site, and its slider has one position.
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #767676; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
figure { margin: 2rem 0; overflow-x: auto; }
.vega-embed details, .vega-bindings { display: none; }
@media print { figure, table { break-inside: avoid; } }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole page; `parts` are HTML, `title` is plain text."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int) -> str:
    """Return a table of plain texts whose last `numbers` columns are figures; the first column heads its row."""
    first_number = len(heads) - numbers

    def kind(place: int) -> str:
        return ' class="number"' if place >= first_number else ""

    head = "".join(f'<th scope="col"{kind(n)}>{escape(text)}</th>' for n, text in enumerate(heads))
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{kind(n)}>{escape(text)}</td>" for n, text in enumerate(row[1:], start=1))
        + "</tr>"
        for row in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
