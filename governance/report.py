"""Reports as one escaped HTML file each: they open from disk, load nothing from elsewhere, and print well."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from governance.disclosure import STAYS_HERE
from governance.summary import peak_mb, percent, privacy_sentence


@cache
def page_environment() -> Environment:
    """Return the Jinja environment of all pages: everything is escaped, and a missing name is an error."""
    return Environment(
        loader=PackageLoader("governance", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def rehearsal_html(figures: Mapping[str, Any], agreement: Mapping[str, Any]) -> str:
    """Return the report of a rehearsal as one HTML page.

    Args:
        figures: The JSON object of the command contract.
        agreement: The agreement document of the run.
    """
    stages = figures["stages"]
    return (
        page_environment()
        .get_template("rehearsal.html.j2")
        .render(
            f=figures,
            agreement=agreement,
            multi=figures["multi_agency"],
            accuracy=figures["pairs"]["agreement"],
            best=figures["pairs"]["best"],
            rows=sum(entry["rows"] for entry in figures["input"].values()),
            records=sum(entry["subjects"] for entry in figures["input"].values()),
            seconds=sum(stage["seconds"] for stage in stages),
            peak=peak_mb(stages),
            privacy_sentence=privacy_sentence(figures["privacy"]),
            pct=percent,
            stays=STAYS_HERE,
        )
    )
