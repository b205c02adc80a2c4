"""Signed exceptions through the real commands: what they let go on, where they are shown, and what does not help."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_county import AGENCIES, EXCLUDED, REASON, TODAY, UNIT, WORDS, SmallCounty, make_small_county

from governance.lifecycle.request_register import RequestRegister
from schemas.canonical import canonical_json, parse_json
from tests.conftest import run

SIGN_OFF = f"P12 for police until {TODAY + timedelta(days=7)}, granted by the caldicott_guardian of health"


@pytest.fixture(scope="module")
def excepted(tmp_path_factory: pytest.TempPathFactory) -> SmallCounty:
    """A county whose police sealed without attesting exclusions, under an exception that the real command signed."""
    county = make_small_county(tmp_path_factory.mktemp("excepted"))
    refused = county.seal("police")
    assert refused.exit_code == 1
    assert "P12" in refused.stderr
    assert "--exception FILE" in refused.stderr
    assert not county.path("police.tally").exists()
    assert not county.path("police.crosswalk").exists()
    granted = run(
        *(
            "exception",
            "new",
            "P12",
            "--agreement",
            county.path("agreement.yaml"),
            "--key",
            county.path("health.key"),
        ),
        *("--role", "caldicott_guardian", "--concerns", "police", "--reason", "Counts follow on Monday"),
        *("--until", (TODAY + timedelta(days=7)).isoformat(), "--out", county.path("p12.exception.json")),
        env=WORDS,
    )
    assert granted.exit_code == 0, granted.output
    sealed = county.seal("police", "--exception", county.path("p12.exception.json"))
    assert sealed.exit_code == 0, sealed.output
    assert "Exception P12: " in sealed.stdout
    assert SIGN_OFF in sealed.stdout
    for agency in AGENCIES[:2]:
        assert county.seal(agency, *EXCLUDED).exit_code == 0
    return county


@pytest.fixture(scope="module")
def linked(excepted: SmallCounty) -> SmallCounty:
    """The same county after linking, which the exception has to let go on too."""
    refused = excepted.link()
    assert refused.exit_code == 1
    assert "P12" in refused.stderr
    assert not excepted.path("run").exists()
    done = excepted.link("--exception", excepted.path("p12.exception.json"))
    assert done.exit_code == 0, done.output
    assert "Exception P12: " in done.stdout
    assert SIGN_OFF in done.stdout
    return excepted


def entries(county: SmallCounty, who: str, action: str) -> list[dict[str, Any]]:
    """Return the entries of an audit log that say how uses of a command ended."""
    lines = county.path(f"{who}.audit").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    return [entry for entry in found if entry["action"] == action and entry["outcome"] != "begun"]


def test_it_is_in_the_audit_logs(linked: SmallCounty) -> None:
    """The log counts what was set aside and names the exception by its digest; the refusals stand there too."""
    assert [entry["outcome"] for entry in entries(linked, "police", "seal")] == ["failed", "done"]
    for who, action in (("police", "seal"), (UNIT, "link")):
        assert entries(linked, who, action)[-1]["counts"]["exception.P12"] == 1
        assert "exception.P12" not in entries(linked, who, action)[0]["counts"]
        assert "exception sha256:" in linked.log(who)
    shown = linked.log("police")
    assert "exception.P12 1" in shown


def test_it_is_on_every_report(linked: SmallCounty, tmp_path: Path) -> None:
    """run.json, the officers' page, `check` in JSON and in HTML all name who signed what, why, until when."""
    page, checked = tmp_path / "report.html", tmp_path / "check.html"
    named = ("--agreement", linked.path("agreement.yaml"))
    told = run("report", linked.path("run"), *named, "--out", page, "--json")
    assert told.exit_code == 0, told.output
    report = run("check", linked.path("run"), *named, "--html", checked, "--json")
    texts = [
        (linked.path("run") / "run.json").read_text(encoding="utf-8"),
        told.stdout,
        page.read_text(encoding="utf-8"),
        checked.read_text(encoding="utf-8"),
        report.stdout,
    ]
    for text in texts:
        assert SIGN_OFF in text
        assert "Counts follow on Monday" in text
    assert json.loads(report.stdout)["reports"][0]["exceptions"]


def test_check_says_the_same(linked: SmallCounty) -> None:
    """`check` of the package blocks without the exception, and says `Go on under 1 exception` with it."""
    call = ("check", linked.path("police.tally"), "--agreement", linked.path("agreement.yaml"))
    key = ("--key", linked.path(f"{UNIT}.key"))
    blocked = run(*call, *key, env=WORDS)
    assert (blocked.exit_code, "✖ P12 Blocked" in blocked.stdout) == (1, True)
    granted = run(*call, *key, "--exception", linked.path("p12.exception.json"), env=WORDS)
    assert granted.exit_code == 0, granted.stdout
    assert granted.stdout.startswith("◆ Go on under 1 exception")


def test_open_goes_on_and_says_so(small_county: SmallCounty, tmp_path: Path) -> None:
    """A late erasure stops an opening; an exception lets it go on, and is printed, logged and in the JSON."""
    register = RequestRegister.create(tmp_path / "late.requests")
    register.add(kind="erasure", agency="police", received=date(2026, 1, 2))
    package = small_county.path("run") / "returns" / "police.tally"
    words = ("--request-register", register.path)
    assert small_county.open(package, tmp_path / "a.csv", *words).exit_code == 1
    granted = small_county.grant("o06.json", rule="O06", reason="A child is at risk today")
    opened = small_county.open(package, tmp_path / "a.csv", *words, "--exception", granted)
    assert opened.exit_code == 0, opened.output
    assert (tmp_path / "a.csv").exists()
    assert "Exception O06: " in opened.stdout
    assert "A child is at risk today" in opened.stdout
    (found,) = json.loads(
        small_county.open(package, tmp_path / "b.csv", *words, "--exception", granted, "--json").stdout
    )["compliance"]
    assert "caldicott_guardian of health" in found["exception"]
    assert json.loads(small_county.last_entry("police"))["counts"]["exception.O06"] == 1


def test_a_report_goes_on_under_an_exception(small_county: SmallCounty, tmp_path: Path) -> None:
    """The officers' report refuses while an erasure is late, and with an exception it tells of both."""
    register = RequestRegister.create(tmp_path / "late.requests")
    register.add(kind="objection", agency="police", received=date(2026, 1, 2))
    call = ("report", small_county.path("run"), "--agreement", small_county.path("agreement.yaml"))
    more = ("--request-register", register.path, "--out", tmp_path / "report.html")
    refused = run(*call, *more)
    assert (refused.exit_code, "An objection was not applied by its date" in refused.stderr) == (1, True)
    assert not (tmp_path / "report.html").exists()
    assert run(*call, *more, "--exception", small_county.grant("o06-police.json", rule="O06")).exit_code == 1
    granted = small_county.grant("o06-unit.json", rule="O06", concerns=UNIT)
    assert run(*call, *more, "--exception", granted).exit_code == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "O06 exception" in page
    assert "granted by the caldicott_guardian of health" in page


def _other_agreement(county: SmallCounty) -> Path:
    return county.sign("other-agreement.json", "health", agreement="sha256:" + "0" * 64)


def _unsigned(county: SmallCounty) -> Path:
    path = county.grant("unsigned.json")
    envelope = parse_json(path.read_bytes())
    assert isinstance(envelope, dict)
    path.write_bytes(canonical_json({**envelope, "signatures": []}))
    return path


def _altered(county: SmallCounty) -> Path:
    path, other = county.grant("altered.json"), county.grant("longer.json", reason="Because")
    envelope, second = parse_json(path.read_bytes()), parse_json(other.read_bytes())
    assert isinstance(envelope, dict)
    assert isinstance(second, dict)
    path.write_bytes(canonical_json({**envelope, "payload": second["payload"]}))
    return path


_PAST = {"starts_on": TODAY - timedelta(days=9), "expires_on": TODAY - timedelta(days=1)}
_LATER = {"starts_on": TODAY + timedelta(days=1), "expires_on": TODAY + timedelta(days=9)}
USELESS: dict[str, tuple[Callable[[SmallCounty], Path], str]] = {
    "another rule": (lambda county: county.grant("rule.json", rule="O05"), "P12: "),
    "another party": (
        lambda county: county.grant("party.json", concerns="health"),
        "concerns health, not police",
    ),
    "expired": (lambda county: county.grant("expired.json", **_PAST), "The exception shown counted until"),
    "not yet": (lambda county: county.grant("early.json", **_LATER), "The exception shown counts from"),
    "another agreement": (_other_agreement, "another agreement"),
    "unsigned": (_unsigned, "not signed with the key"),
    "altered": (_altered, "not signed with the key"),
    "another signer": (lambda county: county.sign("signer.json", "police"), "not signed with the key"),
    "another role": (lambda county: county.sign("role.json", "health", role="dpo"), "does not let this role"),
    "a role elsewhere": (
        lambda county: county.sign("where.json", "police", granted_by="police"),
        "does not let this role",
    ),
    "a rule of its own": (lambda county: county.sign("d01.json", "health", rule="D01"), "has no exceptions"),
    "too long": (
        lambda county: county.sign("long.json", "health", until="2099-01-01"),
        "the agreement allows 30",
    ),
    "no reason": (lambda county: county.sign("why.json", "health", reason=" "), "gives no reason"),
}


@pytest.mark.parametrize("case", USELESS)
def test_what_does_not_help(case: str, small_county: SmallCounty) -> None:
    """The package is not made, and the command says what is wrong with the exception, or blocks as without it."""
    make, said = USELESS[case]
    result = small_county.seal("police", "--exception", make(small_county), out="none")
    assert result.exit_code in {1, 2}, result.output
    assert said in result.stderr
    assert not small_county.path("none.tally").exists()
    assert not small_county.path("none.crosswalk").exists()


def test_only_a_named_role_can_sign(small_county: SmallCounty, tmp_path: Path) -> None:
    """`exception new` refuses a role, or a party, that the agreement does not list for the rule."""
    for key, role, rule in (
        ("health", "dpo", "P12"),
        ("police", "caldicott_guardian", "P12"),
        ("health", "x", "P03"),
    ):
        result = run(
            *("exception", "new", rule, "--agreement", small_county.path("agreement.yaml")),
            *("--key", small_county.path(f"{key}.key"), "--role", role, "--concerns", "police"),
            *("--reason", REASON[1], "--until", TODAY.isoformat(), "--out", tmp_path / "e.json"),
            env=WORDS,
        )
        assert result.exit_code == 2
        assert "does not let this role" in result.stderr
        assert not (tmp_path / "e.json").exists()


def test_an_exception_of_another_copy_of_the_agreement(
    small_county: SmallCounty, excepted: SmallCounty
) -> None:
    """An exception that another county signed properly does not count here."""
    borrowed = small_county.path("borrowed.json")
    shutil.copy(excepted.path("p12.exception.json"), borrowed)
    result = small_county.seal("police", "--exception", borrowed, out="none")
    assert result.exit_code == 2
    assert not small_county.path("none.tally").exists()
