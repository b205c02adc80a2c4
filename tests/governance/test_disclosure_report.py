"""The run report: what leaves is suppressed, in the page and in the JSON, and says how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lifecycle_world import NOW, UNIT, County, make_county

from governance.audit.log import AuditLog
from governance.disclosure import STAYS_WITH_AGENCY, safe_multi_agency
from governance.run_report import report_figures, run_report_html, verdict_of
from governance.summary import _multi_agency_lines, run_text
from schemas.errors import InputError, WrongAgreement
from tests.conftest import run


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> County:
    """A county whose run found 1,432, 255 and 3 people."""
    made = make_county(tmp_path_factory.mktemp("county"))
    path = made.home(UNIT) / "run" / "run.json"
    summary = json.loads(path.read_text())
    summary["multi_agency"] |= {"people": 1690, "by_agencies": {"2": 1432, "3": 255, "4": 3}}
    summary["senders"]["police"]["subjects"] = 4321
    summary["senders"]["health"]["subjects"] = 2
    summary["senders"]["childrens_social_care"]["subjects"] = 800
    summary["returns"] = {"police": 1500, "health": 4, "childrens_social_care": 0}
    summary["clusters"] |= {"count": 4000, "review": 1}
    summary["compliance"] = [
        {
            "rule": "P13",
            "sentence": "Many <b> are missing.",
            "fix": "Ask.",
            "evidence": "x",
            "exception": None,
        },
        {
            "rule": "D12",
            "sentence": "Overdue.",
            "fix": "Renew.",
            "evidence": "",
            "exception": "SIRO of police",
        },
    ]
    path.write_text(json.dumps(summary))
    return made


def figures(county: County) -> dict[str, Any]:
    """Return the figures of the report."""
    return report_figures(county.home(UNIT) / "run", agreement=county.agreement, now=NOW)


def test_small_counts_do_not_leave(county: County) -> None:
    """Neither the small counts nor those from which they follow stand in the figures."""
    found = figures(county)
    assert found["multi_agency"]["by_agencies"] == {"2": 1432, "3": None, "4": None}
    assert found["multi_agency"]["people"] == 1690
    assert found["senders"] == {"police": 4321, "health": None, "childrens_social_care": None}
    assert found["told"] == {"police": 1500, "health": None, "childrens_social_care": 0}
    assert (found["people"], found["to_review"]) == (4000, None)


ROLLING = {
    "months": 12,
    "contacts_after": "2025-06-30",
    "people": 1745,
    "by_agencies": {"2": 1480, "3": 260, "4": 5},
    "cut": 4,
}


@pytest.fixture
def rolling(tmp_path: Path) -> County:
    """The county with worst rolling windows in its run."""
    (tmp_path / "rolling").mkdir()
    made = make_county(tmp_path / "rolling")
    path = made.home(UNIT) / "run" / "run.json"
    summary = json.loads(path.read_text())
    summary["multi_agency"]["rolling"] = {**ROLLING, "by_agencies": {"2": 1480, "3": 262, "4": 3}}
    path.write_text(json.dumps(summary))
    return made


def test_small_counts_of_worst_windows_do_not_leave(rolling: County) -> None:
    """The worst windows are people by number of agencies too: small counts go, and those that give them away."""
    found = figures(rolling)["multi_agency"]["rolling"]
    assert found["by_agencies"] == {"2": 1480, "3": None, "4": None}
    assert (found["people"], found["cut"]) == (1745, None)
    assert found["contacts_after"] == "2025-06-30"


def test_worst_windows_are_told_in_words(rolling: County, tmp_path: Path) -> None:
    """Terminal and page say since when anybody could see, and how many windows began before."""
    summary = json.loads((rolling.home(UNIT) / "run" / "run.json").read_text())
    summary["multi_agency"]["rolling"]["cut"] = 14
    lines = "\n".join(_multi_agency_lines(safe_multi_agency(summary["multi_agency"], min_cell=5)))
    assert "in any 12 months after 2025-06-30, when the contacts that were sent begin: 1,745" in lines
    assert "began earlier, so that more may have happened than is counted: 14" in lines
    page = tmp_path / "report.html"
    agreement = rolling.folder / "agreement.yaml"
    result = run("report", rolling.home(UNIT) / "run", "--agreement", agreement, "--out", page)
    assert result.exit_code == 0, result.output
    assert "in any 12 months after 2025-06-30" in page.read_text()
    assert "<td>262</td>" not in page.read_text()


def test_the_page_shows_no_more_than_the_figures(county: County, tmp_path: Path) -> None:
    """The HTML page is escaped, says what is suppressed, names the exception, and holds none of the small counts."""
    page = tmp_path / "report.html"
    result = run(
        "report", county.home(UNIT) / "run", "--agreement", county.folder / "agreement.yaml", "--out", page
    )
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert "1,432" in text
    assert "<td>255</td>" not in text
    assert "<td>3</td>" not in text
    assert "suppressed" in text
    assert "Many &lt;b&gt; are missing." in text
    assert "SIRO of police" in text
    assert "anonymous" not in text
    assert result.stdout.startswith(
        "The run was made, and no rule stopped it: 1 to look at, 1 under a signed"
    )


def test_the_json_is_the_same(county: County) -> None:
    """--json prints the suppressed figures; without --out and --json there is nothing to do."""
    words = ("report", county.home(UNIT) / "run", "--agreement", county.folder / "agreement.yaml")
    found = json.loads(run(*words, "--json").stdout)
    expected = json.loads(json.dumps(figures(county)))
    assert {**found, "made_at": None} == {**expected, "made_at": None}
    assert run(*words).exit_code == 2


def test_the_log_is_named(county: County, tmp_path: Path) -> None:
    """The audit log is verified for the report, and a log that was changed is the verdict."""
    log = AuditLog.create(tmp_path / "unit.audit", organisation=UNIT, user="x", now=NOW)
    log.head()
    words = ("report", county.home(UNIT) / "run", "--agreement", county.folder / "agreement.yaml", "--json")
    assert json.loads(run(*words, "--log", log.path).stdout)["audit_log"]["entries"] == 1
    log.path.write_bytes(log.path.read_bytes().replace(b"New log.", b"Old log."))
    found = json.loads(run(*words, "--log", log.path).stdout)
    assert verdict_of(found).startswith("Do not rely on this run")
    assert "NOT what it was" in run_report_html(found, county.agreement)


def test_refusals(county: County, tmp_path: Path) -> None:
    """A folder that is no run, and a run of another agreement, are refused."""
    with pytest.raises(InputError, match="no run folder"):
        report_figures(tmp_path, agreement=county.agreement, now=NOW)
    (tmp_path / "run.json").write_text(
        json.dumps({"run": "x", "senders": {}, "agreement": {"digest": "sha256:" + "0" * 64}})
    )
    with pytest.raises(WrongAgreement):
        report_figures(tmp_path, agreement=county.agreement, now=NOW)


def test_link_says_no_small_count(county: County) -> None:
    """What `link` prints at its end may be pasted into an e-mail, so it is suppressed as well."""
    summary = json.loads((county.home(UNIT) / "run" / "run.json").read_text())
    text = run_text(summary, min_cell=5)
    assert "with 4 agencies: suppressed" in text
    assert "255" not in text
    assert "1,432" in text


def test_link_suppresses_every_count_of_people(county: County) -> None:
    """Counts of a sender, of people and of links to look at are suppressed in what `link` prints, like the others."""
    summary = json.loads((county.home(UNIT) / "run" / "run.json").read_text())
    summary["senders"]["health"]["subjects"] = 3
    summary["clusters"] |= {"count": 4, "review": 2}
    text = run_text(summary, min_cell=5)
    assert "health (suppressed)" in text
    assert "Different people: suppressed. Links for a person to look at: suppressed." in text


def test_the_profile_says_that_it_stays(tmp_path: Path) -> None:
    """The report on an extract shows small counts, and says in text and on its page that it stays with the agency."""
    page, extract = tmp_path / "quality.html", tmp_path / "police.csv"
    extract.write_text(
        "ref,forename,surname,dob\nA-1,Ann,Hill,1990-05-02\nA-2,Bo,Reed,1991-06-03\n", encoding="utf-8"
    )
    said = run("profile", extract, "--html", page)
    assert said.exit_code == 0, said.output
    assert STAYS_WITH_AGENCY in said.stdout
    assert STAYS_WITH_AGENCY in page.read_text(encoding="utf-8")
