"""`tallystick open` refuses by each rule on outputs that can block: exit code 1, a plain sentence, nothing written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from small_county import SmallCounty

from governance.lifecycle.request_register import RequestRegister


def _late_register(path: Path) -> RequestRegister:
    register = RequestRegister.create(path)
    register.add(kind="erasure", agency="police", received=date(2026, 1, 2))
    return register


def _older(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "first_date": row["first_date"] - timedelta(days=400)}


SPOILT: dict[str, tuple[dict[str, Any], str]] = {
    "O01": (
        {"rows": lambda row: {**row, "contact_count": 3}},
        "The output tells something that the agreement does not allow",
    ),
    "O02": (
        {"facts": {"people_by_agencies": {"2": 13, "3": 2}}},
        "A count of people is so small that it could point to somebody",
    ),
    "O04": ({"rows": _older}, "The output tells of days outside the agreed window"),
    "O05": (
        {"created_at": datetime.now(UTC) - timedelta(days=3000)},
        "This return is past its deletion date",
    ),
}


def refused(county: SmallCounty, package: Path, out: Path, *words: str | Path) -> str:
    """Open, and return what was said when nothing was written."""
    before = sorted(county.folder.rglob("*")), sorted(out.parent.iterdir())
    result: Result = county.open(package, out, *words)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert (sorted(county.folder.rglob("*")), sorted(out.parent.iterdir())) == before
    entry = json.loads(county.last_entry("police"))
    assert (entry["action"], entry["outcome"], entry["detail"]) == ("open", "failed", "ComplianceBlocked")
    return result.stderr


@pytest.mark.parametrize("rule", SPOILT)
def test_open_refuses(rule: str, small_county: SmallCounty, tmp_path: Path) -> None:
    """A return that breaks a rule, with the unit's good signature, is not opened: rule, sentence and fix are said."""
    changes, sentence = SPOILT[rule]
    (tmp_path / "in").mkdir()
    package = small_county.forge_return(tmp_path / "in" / "police.tally", **changes)
    said = refused(small_county, package, tmp_path / "results.csv")
    assert said.startswith("Error: the rules stop this: 1 block.\n")
    assert f"{rule}: " in said
    assert sentence in said
    assert "Do not send it" in said or "Suppress" in said or "Delete it" in said


def test_open_refuses_while_an_erasure_is_late(small_county: SmallCounty, tmp_path: Path) -> None:
    """Rule O06 is asked from the register, named or found in the environment; applied, the return opens."""
    register = _late_register(tmp_path / "late.requests")
    package = small_county.path("run") / "returns" / "police.tally"
    said = refused(small_county, package, tmp_path / "results.csv", "--request-register", register.path)
    assert "O06: " in said
    assert "An erasure was not applied by its date" in said
    assert "tallystick erase" in said
    register.close("request-1", "refused", on=date(2026, 1, 9))
    opened = small_county.open(package, tmp_path / "results.csv", "--request-register", register.path)
    assert opened.exit_code == 0, opened.output


def test_link_refuses_while_an_erasure_is_late(small_county: SmallCounty, tmp_path: Path) -> None:
    """The unit's own register stops returns from being made; no run folder is left."""
    register = _late_register(tmp_path / "unit.requests")
    linked = small_county.link("--request-register", register.path, out="late")
    assert linked.exit_code == 1
    assert "An erasure was not applied by its date" in linked.stderr
    assert not small_county.path("late").exists()


def test_open_refuses_a_person_whose_objection_was_upheld(small_county: SmallCounty, tmp_path: Path) -> None:
    """Somebody who objected and is told of all the same stops the opening; their reference is not repeated."""
    package = small_county.path("run") / "returns" / "police.tally"
    assert small_county.open(package, tmp_path / "first.csv").exit_code == 0
    with (tmp_path / "first.csv").open(encoding="utf-8") as stream:
        ref = next(csv.DictReader(stream))["ref"]
    register = RequestRegister.create(tmp_path / "a.requests")
    for kind in ("erasure", "objection"):
        register.add(kind=kind, agency="police", received=date.today(), refs=[ref], case=kind)
        register.close(kind, "applied", on=date.today())
        if kind == "erasure":
            opened = small_county.open(package, tmp_path / "second.csv", "--request-register", register.path)
            assert "Look at O06: " in opened.stdout
    said = refused(small_county, package, tmp_path / "third.csv", "--request-register", register.path)
    assert "This tells of a person whose objection was applied" in said
    assert ref not in said


def test_few_people_are_said_and_stop_nothing(small_county: SmallCounty, tmp_path: Path) -> None:
    """Rule O03 is amber: the return opens, and the command says that the lead contact should decide."""
    package = small_county.forge_return(tmp_path / "police.tally", counts={"people": 2})
    opened = small_county.open(package, tmp_path / "results.csv")
    assert opened.exit_code == 0
    assert "Look at O03: " in opened.stdout
    as_json = small_county.open(package, tmp_path / "again.csv", "--json")
    assert [found["rule"] for found in json.loads(as_json.stdout)["compliance"]] == ["O03"]


def test_every_rule_that_can_block_is_tried() -> None:
    """The rules on outputs that block are all in this file."""
    from governance.rules.base import Severity
    from governance.rules.output import RULES

    blocking: Callable[[Any], bool] = lambda rule: rule.severity is Severity.BLOCK  # noqa: E731
    assert {rule.id for rule in filter(blocking, RULES)} == {*SPOILT, "O06"}
