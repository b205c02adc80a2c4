"""The page of plots: what a synthetic area looks like, beside published figures where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import duckdb

from schemas.atomic import atomic_write
from schemas.errors import InputError
from synthetic.measure import Measures, measure
from synthetic.pools import SURNAME_SHARES
from synthetic.svg import Curve, Series, bars, curves, table

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.6rem;line-height:1.2}h2{font-size:1.15rem;margin:2.4rem 0 .3rem}
svg{width:100%;height:auto;font:12px system-ui,sans-serif}
.grid{stroke:#d9d9d9}.tick{text-anchor:middle;fill:#333}.side{text-anchor:end;fill:#333}.unit{fill:#333}
.curve{fill:none;stroke-width:2.2}
table{border-collapse:collapse;font-size:.9rem;margin:.5rem 0}th,td{padding:.15rem .7rem;border-bottom:1px solid #ddd}
td{text-align:right;font-variant-numeric:tabular-nums}th[scope=row]{text-align:left;font-weight:400}
caption{text-align:left;color:#444}summary{cursor:pointer}.source{color:#444;font-size:.92rem}
@media print{body{margin:0;max-width:none}details{display:none}section{break-inside:avoid}}
"""

_MOST_SERIES = 5  # a chart with more kinds of bars cannot be read; the table beside it has them all

_CENSUS = "ONS, Census 2021, England and Wales"


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One figure: heading, what to look for, the chart, its numbers, and where published values come from."""

    heading: str
    words: str
    chart: str
    numbers: str
    source: str

    def html(self) -> str:
        """Return the section as HTML."""
        return (
            f"<section><h2>{escape(self.heading)}</h2><p>{escape(self.words)}</p><figure>{self.chart}</figure>"
            f'<p class="source">{escape(self.source)}</p>'
            f"<details><summary>The numbers</summary>{self.numbers}</details></section>"
        )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}%"


def _barred(
    heading: str,
    words: str,
    categories: Sequence[str],
    series: Sequence[Series],
    *,
    unit: str,
    source: str,
    first: str,
) -> Section:
    scaled = [
        Series(
            name=one.name,
            values=[None if value is None else 100 * value for value in one.values],
            published=one.published,
        )
        for one in series
    ]
    rows = [
        [category, *(_percent(one.values[place]) for one in series)]
        for place, category in enumerate(categories)
    ]
    return Section(
        heading=heading,
        words=words,
        chart=bars(heading, words, categories, scaled[:_MOST_SERIES], unit),
        numbers=table(unit, [first, *(one.name for one in series)], rows),
        source=source,
    )


def _ages(found: Measures) -> Section:
    return _barred(
        "Ages",
        "Residents by age.",
        list(found.ages),
        [
            Series(name="this population", values=list(found.ages.values())),
            Series(name="published", values=[0.174, 0.641, 0.186], published=True),
        ],
        unit="% of residents",
        source=f"Published: {_CENSUS}, first results: 17.4%, 64.1% and 18.6%.",
        first="age",
    )


def _households(found: Measures) -> Section:
    return _barred(
        "Household sizes",
        f"Private households by number of people; the mean is {found.household_mean:.2f} (published: 2.4).",
        list(found.households),
        [
            Series(name="this population", values=list(found.households.values())),
            Series(name="published", values=[0.302, *[None] * (len(found.households) - 1)], published=True),
        ],
        unit="% of households",
        source=f"Published: {_CENSUS}, household characteristics: 30.2% hold one person, the mean is 2.4.",
        first="people",
    )


def _surnames(found: Measures) -> Section:
    ours = [(float(rank), 100 * share) for rank, share in found.surnames]
    words = (
        f"Share of people who bear the surname of each rank. The commonest 500 surnames cover "
        f"{_percent(found.top_500)} of people; {found.distinct_surnames:,} surnames occur, "
        f"{_percent(found.single_surnames)} of them once."
    )
    lines = [
        Curve(name="this population", points=ours),
        Curve(name="published", points=SURNAME_SHARES, published=True),
    ]
    return Section(
        heading="Surnames",
        words=words,
        chart=curves("Surnames", words, lines, "rank of the surname", "% of people"),
        numbers=table(
            "Surnames by rank", ["rank", "% of people"], [[f"{r:.0f}", f"{s:.3f}"] for r, s in ours]
        ),
        source=(
            "Published: UK electoral register 1996, percentages from P. Dance, Modern British Surnames, comparative "
            "table of leading surnames. This population has minority communities in a larger share than 1996."
        ),
    )


def _forenames(found: Measures) -> Section:
    decades = list(found.forenames)
    published = [0.10 if decade == "2010s" else None for decade in decades]
    return _barred(
        "Concentration of forenames",
        "Share of girls, by decade of birth, with one of the ten commonest forenames of the decade.",
        decades,
        [
            Series(name="this population", values=list(found.forenames.values())),
            Series(name="published", values=published, published=True),
        ],
        unit="% of girls and women",
        source="Published: ONS, baby names in England and Wales 2017: the ten commonest names took 10% of girls.",
        first="born in the",
    )


def _origins(found: Measures) -> Section:
    return _barred(
        "Naming systems",
        "Residents by the naming system that their names follow.",
        [name.replace("_", " ").title() for name in found.origins],
        [Series(name="this population", values=list(found.origins.values()))],
        unit="% of residents",
        source="No published figure counts naming systems; docs/synthetic.md says how the shares were set.",
        first="naming system",
    )


def _agencies(found: Measures) -> Section:
    return _barred(
        "Agencies a person",
        f"Of all residents, {_percent(found.known_beyond_health)} are known to an agency other than health.",
        list(found.agencies_a_person),
        [
            Series(name="this population", values=list(found.agencies_a_person.values())),
            Series(name="if agencies were independent", values=list(found.if_independent.values())),
        ],
        unit="% of residents",
        source="Coverage is set from the figures in data/agencies.yaml; how agencies overlap is assumed.",
        first="agencies",
    )


def _contacts(found: Measures) -> Section:
    labels = list(next(iter(found.contacts.values())))
    series = [
        Series(name=name.replace("_", " "), values=list(shares.values()))
        for name, shares in found.contacts.items()
    ]
    return _barred(
        "Contacts a person",
        "Contacts of a person with an agency that knows them, over 36 months. The table has every agency.",
        labels,
        series,
        unit="% of the people known to the agency",
        source="Assumed: agencies do not publish contacts a person in a comparable form.",
        first="contacts",
    )


def _open_cases(found: Measures) -> Section:
    return _barred(
        "Open cases",
        "References with an open case at the reference date.",
        [name.replace("_", " ", 1).replace("_", "-") for name in found.open_cases],
        [Series(name="this population", values=list(found.open_cases.values()))],
        unit="% of references",
        source="Assumed. For scale: one child in 30 was in need at a time in England in 2024 (DfE).",
        first="agency",
    )


def _errors(found: Measures) -> Section:
    fields = list(found.errors)
    return _barred(
        "Differences from the truth, by field",
        "References whose recorded value is missing, or present but not the person's true present value.",
        [name.replace("_", " ") for name in fields],
        [
            Series(name="missing", values=[found.errors[name][0] for name in fields]),
            Series(name="different", values=[found.errors[name][1] for name in fields]),
        ],
        unit="% of references at agencies that hold the field",
        source=(
            "The profile file states each rate and its source. For scale: 0.11% of inpatient records of 0 to 19 "
            "year-olds have a wrong or missing sex or date of birth (Harron et al. 2017, BMC Medical Research "
            "Methodology 17:23); agencies that do not check against a register do worse."
        ),
        first="field",
    )


def _kinds(found: Measures) -> str:
    rows = [
        [name, kind.replace("_", " "), f"{count:,}", _percent(share)]
        for name, kind, count, share in found.kinds
    ]
    return (
        "<section><h2>Every kind of difference</h2>"
        + table("References with each kind of difference", ["field", "kind", "references", "share"], rows)
        + "</section>"
    )


def describe(folder: Path, out_html: Path) -> None:
    """Write one self-contained page of plots about a folder that `synthesise` wrote.

    Args:
        folder: The population, CSV or Parquet.
        out_html: The page to create or replace.

    Raises:
        InputError: The folder does not hold a synthetic population.
        OutputError: The page cannot be written.
    """
    try:
        found = measure(folder)
    except (duckdb.Error, OSError) as error:
        raise InputError(
            f"this folder does not hold a synthetic population ({type(error).__name__}).",
            where=str(folder),
            remedy="Name a folder that `tallystick synth` wrote.",
        ) from None
    makers = (_ages, _households, _surnames, _forenames, _origins, _agencies, _contacts, _open_cases, _errors)
    sections = "".join(make(found).html() for make in makers)
    intro = (
        f"{found.residents:,} residents, {found.references:,} references at {len(found.contacts)} agencies, "
        f"{found.rows:,} contact rows over 36 months. Nobody in it is real. Bars and lines are this "
        "population; diamonds are published figures."
    )
    page = (
        '<!doctype html><html lang="en-GB"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Synthetic population</title><style>{_STYLE}</style></head><body><main>"
        f"<h1>Synthetic population</h1><p>{escape(intro)}</p>{sections}{_kinds(found)}</main></body></html>"
    )
    atomic_write(out_html, page)
