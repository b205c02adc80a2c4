"""The privacy audit: planned beside found, controls that must hold, a verdict that can be bad."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from linkage_world import PASSES, World

from cli import main
from linkage.privacy_audit import (
    PassAudit,
    audit_dict,
    audit_html,
    audit_run,
    audit_text,
    strangers_by_pass,
)
from linkage.privacy_controls import Control, run_controls
from schemas.errors import InputError


@pytest.fixture(scope="module")
def controls() -> tuple[Control, ...]:
    """The controls, measured once."""
    return run_controls()


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder; its passes are over any budget."""
    out = tmp_path_factory.mktemp("audited") / "run"
    world.link(out)
    return out


def test_controls_give_what_is_known(controls: tuple[Control, ...]) -> None:
    """Field hashes and weak passes give nearly everybody away, strong passes hardly anybody."""
    assert [each.name for each in controls] == ["field hashes", "weak passes", "strong passes"]
    assert all(each.held for each in controls)
    assert not replace(controls[0], expected=0.5).held


def test_planned_beside_found(folder: Path, controls: tuple[Control, ...]) -> None:
    """λ found is the run's pairs of different people by pass over its records; λ planned is that of run.json."""
    audit = audit_run(folder, controls=controls)
    summary = json.loads((folder / "run.json").read_text())
    person = {
        (row["agency"], row["subject"]): row["person"]
        for row in pq.read_table(folder / "people.parquet").to_pylist()
    }
    strangers: Counter[int] = Counter()
    for row in pq.read_table(folder / "links.parquet").to_pylist():
        ends = [person[row[f"agency_{side}"], row[f"subject_{side}"]] for side in "lr"]
        if ends[0] != ends[1]:
            strangers.update(n for n in range(len(audit.passes)) if row["found_by"] >> n & 1)
    assert sum(strangers.values()) > 0
    for index, each in enumerate(audit.passes):
        assert each.found == pytest.approx(strangers[index] / len(person))
        assert each.planned == summary["privacy"]["lambda"][each.name]
    assert audit.d_found == pytest.approx(2 * sum(each.found for each in audit.passes))
    assert (audit.records, audit.people) == (len(person), summary["clusters"]["count"])
    assert audit.expected_people == summary["privacy"]["expected_reidentification"]


def test_pairs_that_never_met_are_no_strangers(folder: Path, tmp_path: Path) -> None:
    """A pair that is one person through others met in no pass, so λ and d are as if it did not stand there."""
    links = pq.read_table(folder / "links.parquet")
    implied = links.filter(pc.is_null(links["pattern"]))
    assert implied.num_rows > 0
    (tmp_path / "people.parquet").write_bytes((folder / "people.parquet").read_bytes())
    pq.write_table(links.filter(pc.is_valid(links["pattern"])), tmp_path / "links.parquet")
    passes = len(PASSES)
    counted = strangers_by_pass(folder, passes)
    assert counted == strangers_by_pass(tmp_path, passes)
    assert sum(counted) > 0
    pq.write_table(implied, tmp_path / "links.parquet")
    assert strangers_by_pass(tmp_path, passes) == [0] * passes


def test_what_is_over_the_limits_is_said(folder: Path, controls: tuple[Control, ...]) -> None:
    """A plan over the largest budget and a control that fails are faults, and only they are."""
    audit = audit_run(folder, controls=controls)
    assert audit.d_planned > 0.2
    assert any("d planned" in fault for fault in audit.faults)
    good = replace(audit, d_planned=0.1, passes=(PassAudit(name="nhs_number", planned=0.01, found=0.5),))
    assert good.faults == ()
    broken = replace(good, controls=(replace(controls[0], expected=0.1), *controls[1:]))
    assert len(broken.faults) == 1
    assert "do not trust" in broken.faults[0]


def test_what_an_officer_reads(folder: Path, controls: tuple[Control, ...]) -> None:
    """The sentence, every pass and every control stand in text, page and JSON; nothing is called anonymous."""
    audit = audit_run(folder, controls=controls)
    text, page, values = audit_text(audit), audit_html(audit), json.dumps(audit_dict(audit))
    for shown in (text, page):
        assert "If the key leaks: all." in shown
        assert all(each.name in shown for each in (*audit.passes, *audit.controls))
        assert "anonym" not in shown.lower()
    assert json.loads(values)["controls_from"].endswith("not the packages at hand")
    assert json.loads(values)["passes"][0]["name"] == audit.passes[0].name
    assert "<script" not in page
    escaped = audit_html(replace(audit, run_id="<b>&"))
    assert "<b>&" not in escaped


def test_the_command(folder: Path, tmp_path: Path) -> None:
    """It says what is wrong with exit code 1, writes the page, and refuses what is no run."""
    runner = CliRunner()
    told = runner.invoke(
        main, ["privacy-audit", str(folder), "--html", str(tmp_path / "audit.html"), "--json"]
    )
    assert told.exit_code == 1, told.output
    assert json.loads(told.output)["faults"]
    assert (tmp_path / "audit.html").read_text().startswith("<!DOCTYPE html>")
    assert runner.invoke(main, ["privacy-audit", str(tmp_path)]).exit_code == 2
    assert runner.invoke(main, ["privacy-audit", str(tmp_path / "x.tally")]).exit_code == 2


def test_no_run_folder(tmp_path: Path, folder: Path) -> None:
    """A folder without figures, and one whose tables are gone, are refused."""
    with pytest.raises(InputError, match="no run folder"):
        audit_run(tmp_path)
    (tmp_path / "run.json").write_bytes((folder / "run.json").read_bytes())
    with pytest.raises(InputError, match="cannot be read"):
        audit_run(tmp_path)
