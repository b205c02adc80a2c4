"""Rules O02, O05 and O06 in `tallystick check`: runs, returns, reports, logs and tables of counts."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_world import NOW, PASSPHRASE, UNIT, County, make_county
from rules_builders import output

from governance.aggregates import count_columns, tables_of_return
from governance.check_context import NO_REGISTER
from governance.lifecycle.request_register import RequestRegister
from governance.rules.output import small_cells
from schemas.container import write_package
from schemas.payload import RETURN
from schemas.tables import ARROW_STREAM, arrow_stream
from tests.conftest import run

DAY = ("--on", "2026-07-05")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> County:
    """A county after one run; nothing in these tests changes it."""
    return make_county(tmp_path_factory.mktemp("county"))


def check(county: County, path: Path, *words: str | Path, who: str = UNIT) -> dict[str, Any]:
    """Return the report of `tallystick check --json`; its exit code has to fit."""
    result = run("check", path, *county.options(who), *(words or DAY), "--json", env=PASSPHRASE)
    report: dict[str, Any] = json.loads(result.stdout)["reports"][0]
    assert result.exit_code == int(report["blocked"])
    return report


def blocks(report: dict[str, Any]) -> set[str]:
    """Return the rules that block."""
    return {found["rule"] for found in report["findings"] if found["severity"] == "block"}


def artefacts(county: County, folder: Path) -> dict[str, tuple[Path, str]]:
    """Return a run, a return, a report and a log, and who can look into each."""
    report = folder / "report.json"
    told = run("report", county.home(UNIT) / "run", *county.options(UNIT)[:2], "--json")
    report.write_text(told.stdout, encoding="utf-8")
    log = folder / "unit.audit"
    assert run("audit", "new", log, "--organisation", UNIT).exit_code == 0
    return {
        "run": (county.home(UNIT) / "run", UNIT),
        "package": (county.home("police") / "june-return.tally", "police"),
        "report of a run": (report, UNIT),
        "audit log": (log, UNIT),
    }


def test_o06_is_asked_of_everything_that_is_kept_or_leaves(county: County, tmp_path: Path) -> None:
    """A late erasure blocks the check of run, return, report and log; without a register the report says so."""
    register = RequestRegister.create(tmp_path / "late.requests")
    register.add(kind="erasure", agency="police", received=date(2026, 6, 4))
    for kind, (path, who) in artefacts(county, tmp_path).items():
        for day, late in (("2026-07-04", False), ("2026-07-05", True)):
            report = check(county, path, "--on", day, "--request-register", register.path, who=who)
            assert report["kind"] == kind
            assert ("O06" in blocks(report)) is late, (kind, day)
            assert NO_REGISTER not in report["not_checked"]
        assert NO_REGISTER in check(county, path, who=who)["not_checked"]


def test_o06_finds_the_register_beside_the_agreement(tmp_path: Path) -> None:
    """`agreement.yaml.requests` is asked without being named."""
    county = make_county(tmp_path)
    register = RequestRegister.create(tmp_path / "agreement.yaml.requests")
    register.add(kind="objection", agency="health", received=date(2026, 1, 1))
    assert "O06" in blocks(check(county, county.home(UNIT) / "run"))
    told = run("report", county.home(UNIT) / "run", *county.options(UNIT)[:2], "--json")
    assert told.exit_code == 1
    assert "An objection was not applied by its date" in told.stderr


def forged(county: County, path: Path, *, facts: dict[str, Any], counts: dict[str, int]) -> Path:
    """Write a return without rows that tells counts beside them."""
    write_package(
        path,
        kind="return",
        sender=county.identities[UNIT],
        recipient=county.identities["police"].public,
        agreement_digest=county.agreement.digest,
        run_id="2026-06",
        purpose=county.agreement.purpose,
        created_at=NOW,
        counts={"people": 0, "rows": 0, **counts},
        facts={"seal_id": "seal-police", "window_months": 12, "as_of": "2026-06-30", **facts},
        parts=[("contacts", ARROW_STREAM, arrow_stream(RETURN, iter(())))],
    )
    return path


@pytest.mark.parametrize(
    ("facts", "counts", "small"),
    [
        ({}, {}, False),
        ({"by_agencies": {"2": 40, "3": 12}}, {}, False),
        ({"by_agencies": {"2": 40, "3": 4}}, {}, True),
        ({"by_agencies": {"2": 40, "3": None, "total": 44}}, {}, False),
        ({"others": [{"ward": "North", "people": 3}]}, {}, True),
        ({}, {"told_elsewhere": 2}, True),
    ],
)
def test_o02_is_asked_of_returns(
    county: County, tmp_path: Path, facts: dict[str, Any], counts: dict[str, int], small: bool
) -> None:
    """A count that a return tells beside its rows must not be small, wherever it stands."""
    report = check(county, forged(county, tmp_path / "r.tally", facts=facts, counts=counts), who="police")
    assert ("O02" in blocks(report)) is small


def test_o02_is_asked_of_a_report(county: County, tmp_path: Path) -> None:
    """The report as it is made passes; with one count put back that was suppressed, it does not."""
    path, _ = artefacts(county, tmp_path)["report of a run"]
    assert blocks(check(county, path)) == set()
    figures = json.loads(path.read_text(encoding="utf-8"))
    figures["multi_agency"]["by_agencies"]["3"] = 1
    path.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    assert blocks(check(county, path)) == {"O02"}
    path.write_text('{"report": "run"}', encoding="utf-8")
    result = run("check", path, *county.options(UNIT)[:2])
    assert (result.exit_code, "not whole" in result.stderr) == (2, True)


TABLES = {
    "small": ("ward,people\nNorth,12\nSouth,3\n", True),
    "suppressed": ("ward,people\nNorth,12\nSouth,suppressed\nEast,\n", False),
    "worked out": ("ward,people\nNorth,12\nSouth,suppressed\nTotal,15\n", True),
    "two suppressed": ("ward,people\nNorth,suppressed\nSouth,suppressed\nTotal,15\n", False),
    "zeros": ("ward,people\nNorth,12\nSouth,0\n", False),
    "no counts": ("ward,income\nNorth,12\nSouth,3\n", False),
    "two columns": ("ward,Adults,Children\nNorth,12,7\nSouth,13,2\n", True),
}


@pytest.mark.parametrize("name", TABLES)
def test_o02_is_asked_of_tables_of_counts(county: County, tmp_path: Path, name: str) -> None:
    """A table of counts that is about to be sent is asked by the headers that say what is counted."""
    text, small = TABLES[name]
    (tmp_path / "wards.csv").write_text(text, encoding="utf-8")
    report = check(county, tmp_path / "wards.csv")
    assert blocks(report) == ({"O02"} if small else set())
    bare = json.loads(run("check", tmp_path / "wards.csv", "--json").stdout)["reports"][0]
    assert "O02" in bare["not_checked"][0]


def test_a_log_past_its_time_is_found(county: County, tmp_path: Path) -> None:
    """Rule O05 is asked of a log: 400 days after its last entry it has to go."""
    path, _ = artefacts(county, tmp_path)["audit log"]
    made = date.today()
    for days, late in ((400, False), (401, True)):
        day = date.fromordinal(made.toordinal() + days).isoformat()
        assert ("O05" in blocks(check(county, path, "--on", day))) is late


@given(st.lists(st.integers(0, 30), min_size=1, max_size=8))
def test_no_small_count_is_missed(counts: list[int]) -> None:
    """Whatever the counts are, a table column and a fact of a return are judged like the plain list."""
    small = any(0 < count < 5 for count in counts)
    columns = {"ward": [f"w{at}" for at in range(len(counts))], "people": [f"{count:,}" for count in counts]}
    for tables in (count_columns(columns), tables_of_return({}, {"x": {"deep": counts}})):
        assert bool(list(small_cells.ask(output(tables=tables)))) is small


def test_tables_of_records_are_no_counts() -> None:
    """A number in a table about single people is not a count of people."""
    assert count_columns({"ref": ["A"], "count": ["1"]}) == []
    assert tables_of_return({"people": 2, "rows": 3}, {"window_months": 3, "seal_id": "x"}) == []
