"""The report of a check: verdict, order, escaping, contrast, SARIF, and the page in a real browser."""

from __future__ import annotations

import html.parser
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from rules_builders import AGREEMENT, TODAY, package

from governance.check import LEGAL_BASIS, Kind, Report, Status
from governance.check_html import PALETTE, TEXT_ON, contrast, report_html
from governance.check_text import report_text, sarif
from governance.detect.patterns import Hit
from governance.detect.patterns import Kind as Identifier
from governance.rules.base import Finding, Moment, Severity
from governance.rules.registry import Family, findings_of

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MARKUP = '<img src=x onerror="alert(1)">'


def findings() -> list[Finding]:
    """Return a block, an exception and an amber finding, one with markup in it."""
    spoilt = package(
        hits=(Hit(kind=Identifier.NHS_NUMBER, place="file name"),), key_check="other", last_rows=10
    )
    found = findings_of(Family.PACKAGE, spoilt, moment=Moment.INTAKE)
    assert [finding.rule for finding in found] == ["P03", "P05", "P15"]
    granted = f"P03 for police until 2026-12-01, granted by the dpo of health: {MARKUP} [exception 12ab]"
    return [replace(found[0], exception=granted), *found[1:]]


def report(*found: Finding) -> Report:
    """Return the report of a package with these findings."""
    return Report(
        subject="police.tally",
        kind=Kind.PACKAGE,
        checked_on=TODAY,
        findings=found,
        families="PL",
        facts={"digest": AGREEMENT.digest, "sender": MARKUP},
        unchecked=(LEGAL_BASIS,),
    )


SAMPLE = report(*findings())


class Outline(html.parser.HTMLParser):
    """Collects tags, ids, targets and text in the order of the page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self._hidden = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self._hidden += tag in {"style", "title"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "title"}

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.words.append(" ".join(data.split()))


@pytest.mark.parametrize(
    ("found", "verdict", "status"),
    [
        ((), "Nothing found that stops it", Status.GOOD),
        (findings()[2:], "Go on, and look at 1 point", Status.AMBER),
        (findings()[:1], "Go on under 1 exception", Status.EXCEPTION),
        (findings(), "Do not run: 1 block", Status.BLOCK),
        ([findings()[1]] * 2, "Do not run: 2 blocks", Status.BLOCK),
    ],
)
def test_verdict(found: list[Finding], verdict: str, status: Status) -> None:
    """The verdict counts what stops the work; exceptions and ambers are named, never hidden."""
    made = report(*found)
    assert (made.verdict, made.status, made.blocked) == (verdict, status, status is Status.BLOCK)


def test_text_is_in_order() -> None:
    """Verdict first, then blocks before exceptions before ambers, then what was not checked."""
    text = report_text(SAMPLE)
    places = [
        text.index(part)
        for part in ("✖ Do not run", "P05 Blocked", "P03 Exception", "P15 Look", "Not checked")
    ]
    assert places == sorted(places)
    assert "Signed off: P03 for police" in text
    assert "who must act: police" in text


def test_json_is_complete() -> None:
    """The JSON form has the verdict, every finding with its owner and reason, and what was not checked."""
    made = SAMPLE.to_dict()
    assert made["verdict"] == "Do not run: 1 block"
    assert [found["rule"] for found in made["findings"]] == ["P05", "P03", "P15"]
    assert all(found["owner"] and found["why"] for found in made["findings"])
    assert made["not_checked"] == [LEGAL_BASIS]
    assert len(made["exceptions"]) == 1


def test_sarif() -> None:
    """SARIF carries level, place and suppression; a line and column become a region."""
    lined = Finding(
        rule="D01", severity=Severity.BLOCK, sentence="A fault.", where="a.yaml, line 7, column 3: parties[0]"
    )
    log = sarif([SAMPLE, replace(report(lined), subject="my agreement.yaml")])
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert [result["level"] for result in run["results"]] == ["error", "error", "warning", "error"]
    assert run["results"][0]["suppressions"][0]["kind"] == "external"
    place = run["results"][3]["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "my%20agreement.yaml"},
        "region": {"startLine": 7, "startColumn": 3},
    }
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"D01", "P03", "P05", "P15"}


@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_contrast(text: str, ground: str) -> None:
    """Each text stands out from its ground by 4.5 to 1 or more (WCAG 2.2, 1.4.3, level AA)."""
    assert contrast(PALETTE[text], PALETTE[ground]) >= 4.5


def test_contrast_is_the_formula_of_wcag() -> None:
    """Black on white is 21 to 1, a colour on itself 1 to 1, and #777777 on white just fails."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#8c1d18", "#8c1d18") == 1
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_page_uses_only_the_palette() -> None:
    """Every colour of the page comes from the palette whose contrasts are tested."""
    page = report_html([SAMPLE])
    style = page[page.index("<style>") : page.index("</style>")]
    body = style.replace(style[style.index(":root") : style.index("}")], "")
    assert "#" not in body


def test_page_is_escaped_and_loads_nothing() -> None:
    """Markup in a reason stays text, and the page names nothing outside itself and runs nothing."""
    outline = Outline(report_html([SAMPLE]))
    assert "img" not in outline.tags
    assert not {"script", "link", "iframe", "object"} & set(outline.tags)
    assert not any(name == "src" or name.startswith("on") for name, _ in outline.attributes)
    assert all(value.startswith("#") for name, value in outline.attributes if name == "href")
    assert sum(MARKUP in words for words in outline.words) == 3


def test_page_is_accessible() -> None:
    """Language, landmarks, one main, headings without gaps, labelled sections, links that lead somewhere."""
    outline = Outline(report_html([SAMPLE]))
    assert ("lang", "en-GB") in outline.attributes
    for landmark in ("header", "main", "footer", "nav"):
        assert outline.tags.count(landmark) == 1
    levels = [int(tag[1]) for tag in outline.tags if tag in {"h1", "h2", "h3"}]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [value for name, value in outline.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value.removeprefix("#") for name, value in outline.attributes if name == "href"}
    targets |= {value for name, value in outline.attributes if name == "aria-labelledby"}
    assert targets <= set(ids)
    assert outline.tags.count("section") == sum(value.startswith("s1-") for value in ids) + 4


def test_page_says_everything_in_order() -> None:
    """The verdict is the first heading; findings, what was not checked, exceptions and signatures follow."""
    words = " ".join(Outline(report_html([SAMPLE])).words)
    parts = (
        "Do not run: 1 block",
        AGREEMENT.digest,
        "Who must act",
        "P05",
        "Not checked",
        "Exceptions",
        "Signatures",
    )
    places = [words.index(part) for part in parts]
    assert places == sorted(places)
    assert "Data protection officer" in words


def test_alike_findings_stand_together() -> None:
    """Six faults of form are one box with six places and one thing to do; other rules keep their own."""
    faults = [
        Finding(
            rule="D01",
            severity=Severity.BLOCK,
            sentence=f"Fault {n}.",
            where=f"a.yaml, line {n}",
            fix="Correct it.",
        )
        for n in range(1, 7)
    ]
    other = Finding(rule="D02", severity=Severity.BLOCK, sentence="A draft.", fix="Sign it.")
    outline = Outline(report_html([report(*faults, other)]))
    assert outline.tags.count("article") == 2
    words = " ".join(outline.words)
    assert "6 points of one kind" in words
    assert words.count("Correct it.") == 1
    assert all(f"Fault {n}." in words and f"a.yaml, line {n}" in words for n in range(1, 7))
    assert "The document is well-formed and complete" in words


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed on this machine")
def test_page_in_a_browser(tmp_path: Path) -> None:
    """A real browser lays the page out: the verdict is read first, and it prints."""
    assert BROWSER is not None
    page, pdf = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(report_html([SAMPLE]), encoding="utf-8")
    base = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    shown = subprocess.run([*base, "--dump-dom", page.as_uri()], capture_output=True, check=True, timeout=60)
    outline = Outline(shown.stdout.decode("utf-8"))
    assert "img" not in outline.tags
    assert outline.tags.count("article") == 3
    assert outline.words.index("Do not run: 1 block") < outline.words.index("Not checked")
    subprocess.run(
        [*base, f"--print-to-pdf={pdf}", page.as_uri()], capture_output=True, check=True, timeout=60
    )
    assert pdf.read_bytes().startswith(b"%PDF")
