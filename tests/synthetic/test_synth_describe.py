"""The page of plots: complete, self-contained, readable without seeing the charts."""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree  # our own charts, nothing untrusted

import pytest

from schemas.errors import InputError
from synthetic.describe import describe
from synthetic.measure import measure
from synthetic.svg import Curve, Series, bars, curves


def parsed(chart):
    """Return the parsed chart, which we wrote ourselves."""
    return ElementTree.fromstring(chart)  # noqa: S314


@pytest.fixture(scope="module")
def page(area, tmp_path_factory):
    """The page of the session's area."""
    target = tmp_path_factory.mktemp("page") / "page.html"
    describe(area.folder, target)
    return target.read_text(encoding="utf-8")


def test_every_chart_is_well_formed_and_described(page):
    """Each chart is XML with a title, a description and a table of its numbers."""
    charts = re.findall(r"<svg.*?</svg>", page, flags=re.S)
    assert len(charts) == 9
    for chart in charts:
        root = parsed(chart)
        assert root.attrib["role"] == "img"
        assert root.find("title").text
        assert root.find("desc").text
    assert page.count("<table>") == 10


def test_the_page_needs_nothing_else(page):
    """No script, no picture, no link leaves the file."""
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=", page)


def test_every_chart_names_its_source(page):
    """Each section says where the published figures come from, or that there are none."""
    assert page.count('class="source"') == 9
    assert "Census 2021" in page
    assert "Assumed" in page


def test_no_person_is_on_the_page(page, area):
    """Nobody's NHS number, UPRN or reference is shown."""
    for person in list(area.people.values())[:500]:
        assert person["nhs_number"] not in page
        assert not person["uprn"] or person["uprn"] not in page


def test_measures_agree_with_the_files(area):
    """References, rows and missing shares are those that the files hold."""
    found = measure(area.folder)
    assert found.references == len(area.truth)
    assert found.rows == sum(len(rows) for rows in area.extracts.values())
    assert found.residents == 6_000
    blank = {
        (r["agency"], r["ref"]) for r in area.errors if r["field"] == "surname" and r["error"] == "missing"
    }
    assert found.errors["surname"][0] == pytest.approx(len(blank) / len(area.truth))
    for agency, rows in area.extracts.items():
        people = Counter(area.truth[agency, row["ref"]] for row in rows)
        once = sum(count == 1 for count in people.values()) / len(people)
        assert found.contacts[agency]["1"] == pytest.approx(once)
        opened = {row["ref"] for row in rows if row["case_status"] == "open"}
        assert found.open_cases[agency] == pytest.approx(len(opened) / len({row["ref"] for row in rows}))
    assert sum(found.agencies_a_person.values()) == pytest.approx(1)
    assert sum(found.if_independent.values()) == pytest.approx(1)


def test_a_folder_of_something_else_is_refused(tmp_path):
    """The message names the folder, and no page appears."""
    with pytest.raises(InputError):
        describe(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_labels_are_escaped():
    """Text from data cannot break the page."""
    chart = bars("<b>", "a & b", ["<x>"], [Series(name='"q"', values=[1.0])], "%")
    parsed(chart)
    assert "<b>" not in chart


def test_bars_are_as_high_as_their_values():
    """A value half as large has a bar half as high."""
    chart = parsed(bars("t", "s", ["a", "b"], [Series(name="n", values=[10.0, 5.0])], "%"))
    heights = [float(bar.attrib["height"]) for bar in chart.findall("rect")]
    assert heights[0] == pytest.approx(2 * heights[1], rel=0.01)


def test_published_values_are_diamonds():
    """Published points are marked by shape, so colour is not needed to tell them apart."""
    lines = [
        Curve(name="n", points=[(1, 1), (10, 0.1)]),
        Curve(name="p", points=[(1, 1)], published=True),
    ]
    chart = parsed(curves("t", "s", lines, "x", "y"))
    assert len(chart.findall("path")) == 1
    assert len(chart.findall("polyline")) == 1
