"""The rules at their moments, on real packages: sealing, linking and opening refuse, and leave nothing behind."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "linkage"))

from linkage_world import NOW, UNIT, World, make_world

from governance.agreement import ExceptionRole, Exclusion, Retention, parse_agreement
from governance.check_moments import RunJudge, open_keys, return_subject, subjects_of_run
from governance.detect.watch import PackageWatch
from governance.draft import agreement_yaml
from governance.exceptions import SignedException, load_exception, new_exception
from governance.rules.base import Moment
from governance.rules.output import OutputSubject
from governance.rules.registry import Family, findings_of
from linkage.run import link
from schemas.errors import ComplianceBlocked, InputError
from schemas.identity import save_identity
from schemas.payload import LEADS
from tests.conftest import run

TODAY = NOW.date()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three agencies' packages, and their agreement and the unit's key in files."""
    world = make_world(tmp_path_factory.mktemp("world"))
    (world.folder / "agreement.yaml").write_text(agreement_yaml(world.agreement.document), encoding="utf-8")
    save_identity(world.unit, world.folder / "unit.key", None, unprotected=True)
    save_identity(world.identities["police"], world.folder / "police.key", None, unprotected=True)
    return world


@pytest.fixture(scope="module")
def linked(world: World) -> Path:
    """A run of the packages."""
    out = world.folder / "run"
    link(world.packages, out, agreement=world.agreement, unit=world.unit, known=world.public, created_at=NOW)
    return out


def granted(rule: str, concerns: str) -> SignedException:
    """Return an exception as it stands after its verification."""
    return SignedException(
        rule=rule,
        concerns=concerns,
        role="dpo",
        granted_by="health",
        reason="Agreed by telephone",
        starts_on=TODAY,
        expires_on=TODAY,
        reference="exception 1",
    )


def check(*arguments: str | Path) -> dict[str, Any]:
    """Return the first report of `tallystick check --json`."""
    result = run("check", *arguments, "--on", TODAY.isoformat(), "--json")
    report: dict[str, Any] = json.loads(result.stdout)["reports"][0]
    assert result.exit_code == int(report["blocked"])
    return report


def options(world: World, key: str = "unit") -> tuple[str | Path, ...]:
    """Return the options that name agreement and key."""
    return ("--agreement", world.folder / "agreement.yaml", "--key", world.folder / f"{key}.key")


# --- seal -------------------------------------------------------------------------------------------------


def test_honest_packages_pass(world: World) -> None:
    """What the sealer makes meets every rule, cell by cell, and ambers only speak of data quality."""
    for package in world.packages:
        report = check(package, *options(world))
        assert {found["rule"] for found in report["findings"]} <= {"P13", "P14"}
        assert int(report["facts"]["rows looked at"].replace(",", "")) > 500


def test_seal_refuses_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    """A package whose file name holds a person's name is not released, and no part of it stays."""
    with pytest.raises(ComplianceBlocked) as caught:
        world.seal("police", tmp_path / "mary jones.tally")
    assert "P03" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_seal_wants_exclusions_attested(world: World, tmp_path: Path) -> None:
    """Agreed exclusions that are not attested block; with counts, or an exception, the package leaves."""
    agreement = replace(world.agreement, exclusions=(Exclusion(kind="adoption", how=""),))
    target = tmp_path / "police.tally"
    with pytest.raises(ComplianceBlocked, match="P12"):
        world.seal("police", target, agreement=agreement)
    assert not target.exists()
    world.seal("police", target, agreement=agreement, exclusions={"adoption": 0})
    other = granted("P12", "health")
    with pytest.raises(ComplianceBlocked, match="P12"):
        world.seal("police", tmp_path / "b.tally", agreement=agreement, exceptions=(other,))
    world.seal("police", tmp_path / "c.tally", agreement=agreement, exceptions=(granted("P12", "police"),))


def test_seal_refuses_an_expired_secret(world: World, tmp_path: Path) -> None:
    """Rule P06 is asked before release, from what the package states of its secret."""
    expired = {"epoch": 1, "starts_on": "2025-01-01", "expires_on": "2026-06-30"}
    with pytest.raises(ComplianceBlocked, match="P06"):
        world.seal("police", tmp_path / "police.tally", secret_facts=expired)


# --- intake and link --------------------------------------------------------------------------------------


def test_link_refuses_at_intake(world: World, tmp_path: Path) -> None:
    """A dishonest sender's readable lead contacts stop the run before anything is linked."""
    rows = world.table("police", "leads").num_rows
    text = pa.table({"sealed": pa.array([b"Mrs Jones of the duty team"] * rows, pa.binary())}, schema=LEADS)
    forged = world.forge("police", tmp_path / "police.tally", tables={"leads": text})
    with pytest.raises(ComplianceBlocked, match="P11"):
        link(
            [forged, *world.packages[:2]],
            tmp_path / "run",
            agreement=replace(world.agreement),
            unit=world.unit,
            known=world.public,
            created_at=NOW,
        )
    assert not (tmp_path / "run").exists()


def test_link_keeps_what_it_was_done_with(world: World, linked: Path) -> None:
    """run.json holds the settings and what the rules found, and the run checks clean."""
    summary = json.loads((linked / "run.json").read_text(encoding="utf-8"))
    assert summary["settings"]["threshold"] == world.agreement.threshold
    assert all(entry["severity"] == "amber" for entry in summary["compliance"])
    report = check(linked, "--agreement", world.folder / "agreement.yaml")
    assert report["kind"] == "run"
    assert not report["blocked"]


def test_link_refuses_open_keys(world: World, tmp_path: Path) -> None:
    """A linkage secret without a passphrase at the unit stops the run (rule L06)."""
    from schemas.keyfile import save_secret_file

    save_secret_file(
        tmp_path / "police.secret",
        holds="linkage-secret",
        secret=bytes(32),
        public={},
        passphrase=None,
        unprotected=True,
    )
    assert open_keys([tmp_path]) == ["police.secret"]
    assert open_keys([world.folder]) == []  # identities are no linkage keys
    judge = RunJudge(world.agreement, today=TODAY, readable_keys=open_keys([tmp_path]))
    with pytest.raises(ComplianceBlocked, match="L06"):
        judge.before()


def test_an_exception_lets_the_run_go_on_and_stays(world: World) -> None:
    """With an exception the finding is kept, marked, and told in the run's findings."""
    judge = RunJudge(
        world.agreement,
        today=TODAY,
        readable_keys=["police.secret"],
        exceptions=(granted("L06", UNIT),),
    )
    judge.before()
    (found,) = judge.findings
    assert found.exception is not None
    assert "Agreed by telephone" in found.exception


def test_other_settings_are_found(world: World, linked: Path, tmp_path: Path) -> None:
    """A run folder that was done with another threshold is blocked by L04."""
    copy = tmp_path / "run"
    copy.mkdir()
    summary = json.loads((linked / "run.json").read_text(encoding="utf-8"))
    summary["settings"]["threshold"] = 0.9
    (copy / "run.json").write_text(json.dumps(summary), encoding="utf-8")
    report = check(copy, "--agreement", world.folder / "agreement.yaml")
    assert {found["rule"] for found in report["findings"] if found["severity"] == "block"} == {"L04"}


def test_last_run_is_compared(world: World, linked: Path, tmp_path: Path) -> None:
    """`--last-run` brings rule P15 to the package."""
    before = tmp_path / "before"
    before.mkdir()
    (before / "run.json").write_text(json.dumps({"senders": {"police": {"subjects": 1}}}), encoding="utf-8")
    assert subjects_of_run(before) == {"police": 1}
    assert set(subjects_of_run(linked)) == {"childrens_social_care", "health", "police"}
    report = check(world.folder / "police.tally", *options(world), "--last-run", before)
    assert "P15" in [found["rule"] for found in report["findings"]]
    with pytest.raises(InputError):
        subjects_of_run(tmp_path)


# --- returns ----------------------------------------------------------------------------------------------


def test_a_return_is_checked_by_its_agency(world: World, linked: Path) -> None:
    """With the agency's key a return is opened and meets the rules on outputs; after a month it is too old."""
    package = linked / "returns" / "police.tally"
    report = check(package, *options(world, "police"))
    assert not report["blocked"]
    assert "Outputs and retention" in [section["title"] for section in report["sections"]]
    later = (TODAY + timedelta(days=31)).isoformat()
    late = run("check", package, *options(world, "police"), "--on", later, "--json")
    assert late.exit_code == 1
    assert [found["rule"] for found in json.loads(late.stdout)["reports"][0]["findings"]] == ["O05"]


def test_return_with_more_than_agreed(world: World) -> None:
    """A return made when more outputs were allowed is blocked under the narrower agreement."""
    table = pa.table(
        {
            "agency": ["health"],
            "contact_count": pa.array([3], pa.int32()),
            "first_date": pa.array([date(2026, 1, 1)]),
            "last_date": pa.array([date(2026, 2, 1)]),
        }
    )
    narrow = replace(
        world.agreement,
        outputs=frozenset({"agencies"}),
        retention={"return": Retention(days=1, method="delete")},
    )
    subject = return_subject(
        table, narrow, where="police.tally", people=9, as_of=date(2026, 6, 30), made=TODAY, today=TODAY
    )
    assert isinstance(subject, OutputSubject)
    found = findings_of(Family.OUTPUT, subject, moment=Moment.OUTPUT)
    assert {finding.rule for finding in found} == {"O01"}
    assert len(found) == 3


# --- signed exceptions ------------------------------------------------------------------------------------


@pytest.fixture
def county(world: World, tmp_path: Path) -> tuple[Path, Path]:
    """An agreement that lets the guardian of health grant P03 and P12, and health's key file."""
    document = {
        **world.agreement.document,
        "exceptions": [
            {"role": "caldicott_guardian", "party": "health", "rules": ["P03", "P12"], "longest_days": 30}
        ],
    }
    path, key = tmp_path / "county.yaml", tmp_path / "health.key"
    path.write_text(agreement_yaml(document), encoding="utf-8")
    save_identity(world.identities["health"], key, None, unprotected=True)
    return path, key


def _grant(county: tuple[Path, Path], out: Path, rule: str = "P12", **changes: str) -> Any:
    agreement, key = county
    given = {
        "--agreement": str(agreement),
        "--key": str(key),
        "--role": "caldicott_guardian",
        "--concerns": "police",
        "--reason": "Counts follow on Monday",
        "--from": TODAY.isoformat(),
        "--until": (TODAY + timedelta(days=7)).isoformat(),
        "--out": str(out),
        **{f"--{name}": value for name, value in changes.items()},
    }
    words = [word for pair in given.items() for word in pair]
    return run("exception", "new", rule, *words, env={"TALLYSTICK_PASSPHRASE": "unused"})


def test_exception_is_granted_shown_and_checked(county: tuple[Path, Path], tmp_path: Path) -> None:
    """new, show and check agree on who set what aside, for whom, why and until when."""
    out = tmp_path / "p12.json"
    result = _grant(county, out)
    assert result.exit_code == 0, result.output
    shown = json.loads(run("exception", "show", out, "--agreement", county[0], "--json").stdout)
    assert (shown["rule"], shown["concerns"], shown["granted_by"]) == ("P12", "police", "health")
    assert "Counts follow on Monday" in run("check", out, "--agreement", county[0]).stdout


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("P12", {"role": "dpo"}),
        ("P04", {}),
        ("L02", {}),
        ("P12", {"until": "2027-01-01"}),
        ("P12", {"concerns": "housing"}),
        ("P12", {"reason": " "}),
    ],
)
def test_exceptions_that_are_refused(
    county: tuple[Path, Path], tmp_path: Path, rule: str, changes: dict[str, str]
) -> None:
    """A role, rule, party or time that the agreement does not give is refused, and no file is made."""
    result = _grant(county, tmp_path / "x.json", rule, **changes)
    assert result.exit_code == 2
    assert not (tmp_path / "x.json").exists()


def test_forged_exceptions_are_refused(world: World, county: tuple[Path, Path], tmp_path: Path) -> None:
    """An exception that another party signed, or that was altered, covers nothing."""
    from governance.agreement import load_agreement
    from schemas.canonical import canonical_json, from_base64, parse_canonical, to_base64
    from schemas.errors import ExceptionInvalid

    agreement = load_agreement(county[0])
    envelope = new_exception(
        agreement=agreement,
        rule="P12",
        concerns="police",
        role="caldicott_guardian",
        reason="For a week",
        starts_on=TODAY,
        expires_on=TODAY,
        identity=world.identities["health"],
    )
    body: Any = parse_canonical(from_base64(envelope["payload"]))
    altered = {**envelope, "payload": to_base64(canonical_json({**body, "rule": "P03"}))}
    path = tmp_path / "x.json"
    for forged in (altered, {**envelope, "signatures": []}, {}, {"payloadType": "x"}):
        path.write_text(json.dumps(forged), encoding="utf-8")
        with pytest.raises(ExceptionInvalid):
            load_exception(path, agreement)
    path.write_text(json.dumps(envelope), encoding="utf-8")
    assert load_exception(path, agreement).rule == "P12"
    with pytest.raises(ExceptionInvalid):
        load_exception(path, parse_agreement({**agreement.document, "version": "9.0.0"}))


# --- other files ------------------------------------------------------------------------------------------


def test_a_table_with_identifiers_is_blocked(tmp_path: Path) -> None:
    """Any table that is about to be sent is scanned; no value of it stands in the report."""
    path = tmp_path / "list.csv"
    path.write_text("id;who\n1;Mary Jones\n2;Canary Smith\n", encoding="utf-8")
    report = check(path)
    assert [found["rule"] for found in report["findings"]] == ["P03"]
    assert "Mary" not in json.dumps(report)


def test_mapping_is_recognised(tmp_path: Path) -> None:
    """A mapping is read by the part of Tallystick that uses it, and its faults are findings."""
    good, bad = tmp_path / "mapping.yaml", tmp_path / "bad.yaml"
    good.write_text(
        "mapping_version: 1\nagencies:\n  police:\n    columns: {dob: BirthDate}\n", encoding="utf-8"
    )
    bad.write_text(
        "mapping_version: 1\nagencies:\n  police:\n    columns: {shoe_size: X}\n", encoding="utf-8"
    )
    assert check(good)["verdict"] == "Nothing found that stops it"
    assert [found["rule"] for found in check(bad)["findings"]] == ["M01"]


def test_bad_agreement_names_every_fault(world: World, tmp_path: Path) -> None:
    """An agreement is checked by the rules on agreements, with lines, in SARIF too."""
    path, out = tmp_path / "agreement.yaml", tmp_path / "x.sarif"
    text = agreement_yaml(world.agreement.document).replace("months: 12", "months: many")
    path.write_text(text, encoding="utf-8")
    result = run("check", path, "--sarif", out, "--html", tmp_path / "x.html")
    assert result.exit_code == 1
    results = json.loads(out.read_text(encoding="utf-8"))["runs"][0]["results"]
    assert any("region" in entry["locations"][0]["physicalLocation"] for entry in results)
    assert "Do not run" in (tmp_path / "x.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["nothing.tally", "notes.txt"])
def test_what_cannot_be_checked_is_a_usage_error(name: str, tmp_path: Path) -> None:
    """A file that is not there, or that nobody knows, ends with exit code 2."""
    (tmp_path / "notes.txt").write_text("hello", encoding="utf-8")
    assert run("check", tmp_path / name).exit_code == 2


def test_watch_sees_every_batch() -> None:
    """Batches pass through a watch unchanged, and its figures are those of all of them."""
    watch = PackageWatch({"leads": LEADS}, today=TODAY, rows=10)
    made = [pa.record_batch([pa.array([bytes(92 + n)] * 3, pa.binary())], schema=LEADS) for n in range(3)]
    assert list(watch.batches("leads", made)) == made
    facts = watch.parts["leads"]
    assert (facts.rows, facts.columns["sealed"].low, facts.columns["sealed"].high) == (9, 92, 94)


def test_exception_roles_are_what_counts(world: World) -> None:
    """Without `exceptions` in the agreement nobody can grant one."""
    from schemas.errors import ExceptionInvalid

    assert world.agreement.exceptions == ()
    wider = replace(
        world.agreement,
        exceptions=(ExceptionRole(role="dpo", party="health", rules=frozenset({"P12"}), longest_days=1),),
    )
    values: dict[str, Any] = {
        "rule": "P12",
        "concerns": "police",
        "role": "dpo",
        "reason": "Why not",
        "starts_on": TODAY,
        "expires_on": TODAY,
        "identity": world.identities["health"],
    }
    assert new_exception(agreement=wider, **values)
    with pytest.raises(ExceptionInvalid):
        new_exception(agreement=world.agreement, **values)
