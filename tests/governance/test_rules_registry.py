"""All rules are gathered by id, and an organisation adds its own without touching them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from rules_builders import output, package, run, stated

from governance.rules import registry
from governance.rules.base import Fault, Moment, Severity, rule
from governance.rules.custom import CHECKS
from governance.rules.registry import Family, all_rules, findings_of, own_rules
from governance.rules.registry_table import rules_page
from schemas.errors import RulesInvalid

ROOT = Path(__file__).parents[2]


def test_every_rule_is_there() -> None:
    """D01 to D22, P01 to P15, L01 to L07, O01 to O06 and R01 to R05, each once."""
    counts = {"D": 22, "P": 15, "L": 7, "O": 6, "R": 5}
    wanted = {f"{letter}{number:02d}" for letter, most in counts.items() for number in range(1, most + 1)}
    assert set(all_rules()) == wanted


def test_the_list_of_rule_tests_is_complete() -> None:
    """`pytest -k rules` lists every id with a subject that fails it and one that passes it."""
    call = [sys.executable, "-m", "pytest", "-k", "rules", "--collect-only", "-q", "-p", "no:cacheprovider"]
    files = sorted(str(path) for path in Path(__file__).parent.glob("test_rules_*.py"))
    listed = subprocess.run([*call, *files], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = set(re.findall(r"rules-([A-Z][0-9]{2})-(fails|passes)", listed))
    assert found == {(rule_id, outcome) for rule_id in all_rules() for outcome in ("fails", "passes")}


def test_page_of_the_rules_is_current() -> None:
    """docs/rules.md is what the rules say of themselves."""
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == rules_page()


def test_guide_names_every_kind_of_bound() -> None:
    """docs/guides/check.md lists each check that a YAML file can use."""
    guide = (ROOT / "docs" / "guides" / "check.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in guide for name in CHECKS)


def bounds(folder: Path, *entries: str) -> Path:
    """Write a file of own rules."""
    path = folder / "rules.yaml"
    path.write_text("rules_version: 1\nrules:\n" + "".join(f"  - {entry}\n" for entry in entries))
    return path


def _quality(missing: int) -> Any:
    return package(
        stated=stated(
            facts_quality={"fields": {"dob": {"ok": 100 - missing, "missing": missing, "invalid": 2}}}
        )
    )


CASES = [
    (
        "check: most_missing, field: dob, at_most: 0.3",
        Family.PACKAGE,
        lambda: _quality(20),
        lambda: _quality(40),
    ),
    ("check: most_invalid, field: dob, at_most: 0.01", Family.PACKAGE, package, lambda: _quality(10)),
    ("check: fewest_people, at_least: 101", Family.PACKAGE, None, package),
    ("check: fewest_people, at_least: 100", Family.PACKAGE, package, None),
    ("check: forbidden_party, party: health", Family.PACKAGE, None, package),
    ("check: forbidden_party, party: immigration", Family.PACKAGE, package, None),
    ("check: forbidden_field, field: nhs_number", Family.PACKAGE, None, package),
    ("check: fewest_agencies, at_least: 3", Family.LINKAGE, None, run),
    ("check: most_people_told, at_most: 20", Family.OUTPUT, output, lambda: output(people=21)),
]


@pytest.mark.parametrize(("text", "family", "good", "bad"), CASES, ids=[case[0] for case in CASES])
def test_bounds(text: str, family: Family, good: Any, bad: Any, tmp_path: Path) -> None:
    """A bound passes what is inside it and finds what is outside, with the words of its file."""
    path = bounds(tmp_path, f"{{id: x-own, why: Our standard, severity: amber, {text}}}")
    own = own_rules(path)
    moment = {
        Family.PACKAGE: Moment.RELEASE,
        Family.LINKAGE: Moment.BEFORE_LINK,
        Family.OUTPUT: Moment.OUTPUT,
    }[family]
    for make, wanted in ((good, 0), (bad, 1)):
        if make is not None:
            found = [f for f in findings_of(family, make(), moment=moment, own=own) if f.rule == "x-own"]
            assert len(found) == wanted
            assert all(f.why == "Our standard" and f.severity is Severity.AMBER for f in found)


@pytest.mark.parametrize(
    "entry",
    [
        "{id: P01, check: fewest_people, at_least: 1}",
        "{id: x-a, check: unheard_of}",
        "{id: x-a, check: fewest_people}",
        "{id: x-a, check: fewest_people, at_least: many}",
        "{id: x-a, check: fewest_people, at_least: true}",
        "{id: x-a, check: fewest_people, at_least: 1, also: 2}",
        "{id: x-a, check: fewest_people, at_least: 1, severity: red}",
        "x-a",
    ],
)
def test_bounds_that_are_refused(entry: str, tmp_path: Path) -> None:
    """A bound that is not well formed stops the work instead of being left out."""
    with pytest.raises(RulesInvalid) as caught:
        own_rules(bounds(tmp_path, entry))
    assert "rules.yaml" in str(caught.value)


def test_an_id_stands_once(tmp_path: Path) -> None:
    """Two rules with one id are refused."""
    entry = "{id: x-a, check: fewest_people, at_least: 1}"
    with pytest.raises(RulesInvalid):
        own_rules(bounds(tmp_path, entry, entry))


def test_rules_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TALLYSTICK_RULES adds rules to every command."""
    path = bounds(tmp_path, "{id: x-a, check: fewest_people, at_least: 1000}")
    monkeypatch.setenv("TALLYSTICK_RULES", str(path))
    assert [f.rule for f in findings_of(Family.PACKAGE, package(), moment=Moment.INTAKE)] == ["x-a"]


@rule("x-never", Severity.BLOCK, [Moment.RELEASE], "Never", why="A package's own rule")
def never(_package: object) -> Iterator[Fault]:
    """Find something in everything."""
    yield Fault(sentence="No.")


PROVIDED = [(Family.PACKAGE, never)]


@pytest.mark.parametrize(("attribute", "good"), [("PROVIDED", True), ("ROOT", False)])
def test_entry_points(attribute: str, good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package adds rules by an entry point; one that yields anything else is refused."""
    entry = EntryPoint(name="ours", group=registry.GROUP, value=f"{__name__}:{attribute}")
    monkeypatch.setattr(registry, "_entry_points", lambda: (entry,))
    if good:
        assert [f.rule for f in findings_of(Family.PACKAGE, package(), moment=Moment.RELEASE)] == ["x-never"]
        return
    with pytest.raises((RulesInvalid, TypeError)):
        own_rules()


def test_agreement_check_needs_no_arrow() -> None:
    """The first call that an officer makes does not wait for the libraries that tables need."""
    agreement = ROOT / "tests/governance/fixtures/agreements/good/complete.yaml"
    program = (
        "import sys, cli\n"
        f"cli.main(['agreement', 'check', {str(agreement)!r}, '--on', '2026-11-22'], standalone_mode=False)\n"
        "sys.exit(int('pyarrow' in sys.modules or 'numpy' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
