"""The real commands on real files, under an agreement that reports homes and worst windows: there, back, and erased."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result

from governance.agreement import read_document
from governance.draft import agreement_yaml
from hashing.mapping import load_mapping
from schemas.results import BUSIEST, SAME_HOME, THIS_PERSON
from tests.conftest import run
from tests.governance.agreements import EXCLUDED, finish_draft

ENV = {"TALLYSTICK_PASSPHRASE": "correct horse battery staple"}
AGENCIES = ("childrens_social_care", "health", "police")
UNIT = "linkage-unit"
WINDOW = {
    "months": 6,
    "minimum_agencies": 2,
    "clock": "latest_contact",
    "rolling": True,
    "contact_months": 18,
}
Rows = list[dict[str, str]]


def _good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


class County:
    """A county set up by the real commands, linked, and opened by every agency."""

    def __init__(self, folder: Path, extracts: Path) -> None:
        self.folder, self.extracts = folder, extracts

    @property
    def agreement(self) -> Path:
        """The agreement."""
        return self.folder / "agreement.yaml"

    def who(self, party: str) -> tuple[object, ...]:
        """Return the options that say who somebody is."""
        return ("--agreement", self.agreement, "--key", self.folder / f"{party}.key")

    def role(self, agency: str) -> tuple[object, ...]:
        """Return the options of an agency's commands."""
        secret = ("--secret", self.folder / f"{agency}.secret")
        return (*self.who(agency), *secret, "--mapping", self.extracts / "mapping.yaml")

    def packages(self) -> list[Path]:
        """Return the sealed packages."""
        return [self.folder / f"{agency}.tally" for agency in AGENCIES]

    def make(self) -> None:
        """Make keys, agreement, secrets and packages."""
        for party in (*AGENCIES, UNIT):
            _good(run("keys", "new", party, "--out", self.folder / f"{party}.key", env=ENV))
        words: list[object] = [word for agency in AGENCIES for word in ("--party", agency)]
        words += [word for party in (*AGENCIES, UNIT) for word in ("--keys", self.folder / f"{party}.key")]
        _good(run("agreement", "new", *words, "--out", self.agreement))
        finish_draft(self.agreement)
        document = read_document(self.agreement)
        document["outputs"]["households"] = True
        document["window"] = WINDOW
        self.agreement.write_text(agreement_yaml(document), encoding="utf-8")
        for agency in AGENCIES:
            key = self.folder / f"{agency}.key"
            _good(run("agreement", "sign", self.agreement, "--key", key, env=ENV))
        self._ceremony()
        for agency in AGENCIES:
            out = (
                "--out",
                self.folder / f"{agency}.tally",
                "--crosswalk",
                self.home(agency) / "june.crosswalk",
            )
            extract = self.extracts / f"{agency}.csv"
            _good(run("seal", extract, *self.role(agency), *EXCLUDED, "--run", "2026-06", *out, env=ENV))

    def _ceremony(self) -> None:
        (self.folder / "exchange").mkdir()
        for step in ("contribute", "contribute", "combine"):
            for agency in AGENCIES:
                own = ("--folder", self.folder / "exchange", "--own", self.folder / f"{agency}.contribution")
                out = ("--out", self.folder / f"{agency}.secret") if step == "combine" else ()
                _good(run("keys", step, *self.who(agency), *own, *out, env=ENV))

    def home(self, agency: str) -> Path:
        """Return the folder of what an agency keeps of the run."""
        folder = self.folder / f"at_{agency}"
        folder.mkdir(exist_ok=True)
        return folder

    def open(self, agency: str, out: Path, *more: object) -> Result:
        """Open the return that an agency keeps."""
        words = (
            "--extract",
            self.extracts / f"{agency}.csv",
            "--crosswalk",
            self.home(agency) / "june.crosswalk",
        )
        path = self.home(agency) / "june-return.tally"
        return run("open", path, *words, *self.role(agency), "--out", out, *more, env=ENV)

    def results(self, agency: str) -> Rows:
        """Return the opened result of an agency."""
        with (self.home(agency) / "results.csv").open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def county(extracts: Path, tmp_path_factory: pytest.TempPathFactory) -> County:
    """The county, linked by the real command, every return opened at its agency."""
    made = County(tmp_path_factory.mktemp("county"), extracts)
    made.make()
    _good(run("link", *made.packages(), *made.who(UNIT), "--out", made.folder / "unit" / "run", env=ENV))
    for agency in AGENCIES:
        returned = made.folder / "unit" / "run" / "returns" / f"{agency}.tally"
        (made.home(agency) / "june-return.tally").write_bytes(returned.read_bytes())
        _good(made.open(agency, made.home(agency) / "results.csv"))
    return made


def _kind(rows: Rows, kind: str) -> Rows:
    return [row for row in rows if row["who"] == kind]


def _truth(county: County) -> dict[tuple[str, str], str]:
    with (county.extracts / "truth.csv").open(encoding="utf-8") as stream:
        return {(row["agency"], row["ref"]): row["person"] for row in csv.DictReader(stream)}


def _addresses(county: County, agency: str) -> dict[str, set[str]]:
    """Return the UPRNs of each reference of an agency."""
    columns = load_mapping(county.extracts / "mapping.yaml")[agency].columns
    found: dict[str, set[str]] = {}
    with (county.extracts / f"{agency}.csv").open(encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            if uprn := row[columns.get("uprn", "uprn")]:
                found.setdefault(row[columns.get("ref", "ref")], set()).add(uprn)
    return found


def test_an_analyst_sees_who_else_lives_there(county: County) -> None:
    """Rows of homes name an agency, how often, when and whom to ring, beside the agency's own person, in words."""
    for agency in AGENCIES:
        homes = _kind(county.results(agency), SAME_HOME)
        assert homes
        for row in homes:
            assert row["forename"] or row["surname"]
            assert row["agency"] in set(AGENCIES) - {agency}
            assert int(row["people_there"]) >= 1
            assert int(row["contact_count"]) >= int(row["people_there"])
            assert row["first_date"] <= row["last_date"]
            assert int(row["agencies"]) >= 2
            assert row["home"]
            assert (row["person"], row["contacts_seen"]) == ("", "")
        assert any(row["lead_contact"] for row in homes)
        assert any(row["open_case"] in {"true", "false"} for row in homes)


def test_somebody_else_at_home_is_there_by_the_truth(county: County) -> None:
    """For nearly every row of a home, somebody else whom the agency holds was recorded at an address of the person."""
    truth = _truth(county)
    living: dict[str, set[str]] = {}  # UPRN -> people recorded there by anybody
    homes: dict[str, set[str]] = {}  # person -> UPRNs
    for agency in AGENCIES:
        for ref, uprns in _addresses(county, agency).items():
            person = truth[agency, ref]
            homes.setdefault(person, set()).update(uprns)
            for uprn in uprns:
                living.setdefault(uprn, set()).add(person)
    holds = {agency: {person for (name, _), person in truth.items() if name == agency} for agency in AGENCIES}
    rows = _kind(county.results("police"), SAME_HOME)
    right = 0
    for row in rows:
        own = truth["police", row["ref"]]
        others = {person for uprn in homes[own] for person in living[uprn]} - {own}
        right += bool(others & holds[row["agency"]])
    assert len(rows) >= 10
    assert right / len(rows) >= 0.95


def test_the_terminal_says_it_in_words(county: County, tmp_path: Path) -> None:
    """`open` says how many people share a home with somebody whom others know, and what of a busy time was not seen."""
    told = _good(county.open("police", tmp_path / "again.csv")).stdout
    homes = {row["ref"] for row in _kind(county.results("police"), SAME_HOME)}
    assert "of your people share a home with somebody else whom other agencies were in contact with" in told
    assert f'(rows "{SAME_HOME}")' in told
    assert "these began before the contacts that agencies sent: more may have happened." in told
    said = json.loads(_good(county.open("police", tmp_path / "third.csv", "--json")).stdout)
    assert 0 < said["at_home"] <= len(homes)
    assert said["busiest"] >= said["people"] > 0
    assert 0 <= said["cut"] < said["busiest"]


def test_contacts_of_the_agreed_months_let_earlier_windows_be_seen_whole(county: County) -> None:
    """With 18 months sent for windows of 6, worst windows of a year ago are whole, and earlier ones said to be cut."""
    summary = json.loads((county.folder / "unit" / "run" / "run.json").read_text())["multi_agency"]
    rolling, as_of = summary["rolling"], date.fromisoformat(summary["as_of"])
    begin = date.fromisoformat(rolling["contacts_after"])
    assert 17 * 30 < (as_of - begin).days < 18 * 31
    assert rolling["people"] > summary["people"]
    rows = [row for agency in AGENCIES for row in _kind(county.results(agency), BUSIEST)]
    whole = [row for row in rows if row["contacts_seen"] == "all of these months"]
    cut = [row for row in rows if row["contacts_seen"].startswith("only those since ")]
    assert len(whole) + len(cut) == len(rows)
    assert all(date.fromisoformat(row["first_date"]) > begin for row in whole)
    assert all(date.fromisoformat(row["first_date"]) <= begin for row in cut)
    assert any((as_of - date.fromisoformat(row["last_date"])).days > 200 for row in whole)
    assert all(row["agency"] == "" for row in rows)


def test_people_known_today_keep_their_rows(county: County) -> None:
    """Rows of homes and of worst windows come beside those of the person, which lie in the agreed 6 months."""
    for agency in AGENCIES:
        rows = county.results(agency)
        people = _kind(rows, THIS_PERSON)
        assert people
        assert min(row["first_date"] for row in people) >= "2025-12-2"
        assert {row["who"] for row in rows} == {THIS_PERSON, SAME_HOME, BUSIEST}
        refs = [row["ref"] for row in rows]
        assert len([ref for at, ref in enumerate(refs) if at == 0 or refs[at - 1] != ref]) == len(set(refs))


def test_check_asks_the_rules_of_every_part(county: County) -> None:
    """`check` looks at a return whole, and has nothing to say about an honest one."""
    path = county.home("police") / "june-return.tally"
    said = run("check", path, *county.who("police"), "--json", env=ENV)
    assert said.exit_code == 0, said.output


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An audit log, and the reason that commands write into it."""
    log = tmp_path / "unit.log"
    _good(run("audit", "new", log, "--organisation", UNIT))
    monkeypatch.setenv("TALLYSTICK_REASON", "Quarterly look at the run.")
    monkeypatch.setenv("TALLYSTICK_USER", "a.analyst")
    return log


def _entries(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_explaining_is_recorded(county: County, audit: Path, tmp_path: Path) -> None:
    """`explain` leaves an entry when it begins and one when it ends: who, why, which run, and that it was a pair."""
    link = pq.read_table(county.folder / "unit" / "run" / "links.parquet").slice(0, 1).to_pylist()[0]
    pair = [f"{link[f'agency_{side}']}:{link[f'subject_{side}']}" for side in "lr"]
    words = ("explain", county.folder / "unit" / "run", "--pair", *pair, "--html", tmp_path / "pair.html")
    _good(run(*words, "--audit", audit, "--purpose", "safeguarding", env=ENV))
    begun, ended = _entries(audit)[-2:]
    assert [each["action"] for each in (begun, ended)] == ["explain", "explain"]
    assert (begun["outcome"], ended["outcome"]) == ("begun", "done")
    assert (ended["user"], ended["run"], ended["counts"]) == ("a.analyst", "2026-06", {"pairs": 1})
    assert [each["kind"] for each in begun["artefacts"]] == ["run"]
    assert [each["kind"] for each in ended["artefacts"]] == ["report"]
    assert pair[0] not in audit.read_text(encoding="utf-8")


def test_an_explanation_without_a_reason_is_not_given(
    county: County, audit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a log, `explain` and `privacy-audit` ask for a reason before they read anything."""
    monkeypatch.delenv("TALLYSTICK_REASON")
    for command in ("explain", "privacy-audit"):
        result = run(
            command, county.folder / "unit" / "run", "--audit", audit, "--purpose", "safeguarding", env=ENV
        )
        assert result.exit_code == 2
        assert "needs the reason" in result.stderr
        assert "Match" not in result.stdout


def test_packages_are_audited_without_a_trace(county: County, audit: Path, tmp_path: Path) -> None:
    """`privacy-audit PACKAGES` says of sealed packages what it says of their run, keeps nothing, and is recorded."""
    before = {path: path.read_bytes() for path in sorted(county.folder.rglob("*")) if path.is_file()}
    html = tmp_path / "privacy.html"
    words = ("privacy-audit", *county.packages(), *county.who(UNIT), "--html", html, "--json")
    audited = json.loads(_good(run(*words, "--audit", audit, env=ENV)).stdout)
    of_run = json.loads(_good(run("privacy-audit", county.folder / "unit" / "run", "--json")).stdout)
    assert {name: audited[name] for name in ("run_id", "agreement", "records", "people")} == {
        name: of_run[name] for name in ("run_id", "agreement", "records", "people")
    }
    assert audited["households"] is True
    assert audited["d_planned"] == of_run["d_planned"]
    assert "pseudonymised" in html.read_text(encoding="utf-8")
    assert {path: path.read_bytes() for path in sorted(county.folder.rglob("*")) if path.is_file()} == before
    begun, ended = _entries(audit)[-2:]
    assert [(each["action"], each["outcome"]) for each in (begun, ended)] == [
        ("privacy-audit", "begun"),
        ("privacy-audit", "done"),
    ]
    assert [each["kind"] for each in begun["artefacts"]] == ["audited"] * len(AGENCIES)
    assert (ended["run"], ended["counts"]["faults"]) == ("2026-06", 0)


def test_packages_need_the_units_key(county: County) -> None:
    """Packages cannot be audited without the agreement and the unit's key, nor with an agency's key."""
    result = run("privacy-audit", *county.packages(), env=ENV)
    assert result.exit_code == 2
    assert "--agreement and --key" in result.stderr
    refused = run("privacy-audit", *county.packages(), *county.who("police"), env=ENV)
    assert refused.exit_code == 1
    assert "encrypted to another receiving key" in refused.stderr


def test_an_erased_person_goes_from_homes_and_worst_windows_too(county: County) -> None:
    """Erased at police: nobody is told of them at a home or in a worst window any more, in results or in returns."""
    rows = county.results("health")
    ref = next(row["ref"] for row in _kind(county.results("police"), SAME_HOME))
    walk = {ref: None}
    listed = county.folder / "erase.txt"
    listed.write_text("\n".join(walk) + "\n", encoding="utf-8")
    at_police, requests, notices = (
        county.home("police"),
        county.folder / "requests",
        county.folder / "notices",
    )
    receipt = ("--yes", "--receipt")
    _good(
        run(
            *("erase", at_police, "--refs", listed, *county.who("police"), "--send", requests),
            *(*receipt, county.folder / "police.receipt"),
            env=ENV,
        )
    )
    own = county.results("police")
    assert own
    assert ref not in {row["ref"] for row in own}
    unit = county.folder / "unit"
    before = pq.read_table(unit / "run" / "told_homes.parquet").to_pylist()
    _good(
        run(
            *("erase", unit, *(word for path in requests.iterdir() for word in ("--request", path))),
            *(*county.who(UNIT), "--send", notices, *receipt, county.folder / "unit.receipt"),
            env=ENV,
        )
    )
    after = pq.read_table(unit / "run" / "told_homes.parquet").to_pylist()
    gone = [row for row in before if row not in after]
    assert gone
    told = {row["agency"] for row in gone if row["about"] == "police"}
    for agency in sorted(told - {"police"}):
        notice = next(path for path in notices.iterdir() if agency in path.name)
        _good(
            run(
                *("erase", county.home(agency), "--request", notice, *county.who(agency)),
                *(*receipt, county.folder / f"{agency}.receipt"),
                env=ENV,
            )
        )
        fewer = county.home(agency) / "fewer.csv"
        _good(county.open(agency, fewer))
        with fewer.open(encoding="utf-8") as stream:
            opened = sorted(map(repr, csv.DictReader(stream)))
        assert opened == sorted(map(repr, county.results(agency)))
    assert len(county.results("health")) < len(rows)
