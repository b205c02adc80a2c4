"""The real commands on real files, role by role: keys, ceremony, agreement, seal, link, open, and their refusals."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result

from hashing.mapping import load_mapping
from tests.conftest import run
from tests.governance.agreements import EXCLUDED, KINDS, finish_draft

PASSPHRASE = {"TALLYSTICK_PASSPHRASE": "correct horse battery staple"}
AGENCIES = ("police", "health", "childrens_social_care")
UNIT = "linkage-unit"


@dataclass(frozen=True, kw_only=True, slots=True)
class County:
    """A county set up by the real commands: extracts, keys, agreement, linkage secrets and sealed packages."""

    folder: Path
    extracts: Path

    def path(self, name: str) -> Path:
        """Return a file of the county."""
        return self.folder / name

    def role(self, agency: str) -> tuple[str | Path, ...]:
        """Return the options that say who an agency is."""
        return (
            *("--mapping", self.extracts / "mapping.yaml"),
            *("--agreement", self.path("agreement.yaml")),
            *("--key", self.path(f"{agency}.key")),
            *("--secret", self.path(f"{agency}.secret")),
        )

    def seal(self, agency: str, out: str, *, run_id: str = "2026-11", extract: Path | None = None) -> Result:
        """Seal an agency's extract into `out`.tally."""
        return run(
            "seal",
            extract or self.extracts / f"{agency}.csv",
            *self.role(agency),
            *EXCLUDED,
            *(
                "--run",
                run_id,
                "--out",
                self.path(f"{out}.tally"),
                "--crosswalk",
                self.path(f"{out}.crosswalk"),
            ),
            env=PASSPHRASE,
        )

    def link(self, out: str, *packages: str) -> Result:
        """Link packages into the run folder `out`."""
        return run(
            "link",
            *(self.path(f"{name}.tally") for name in packages),
            *("--agreement", self.path("agreement.yaml"), "--key", self.path(f"{UNIT}.key")),
            *("--out", self.path(out), "--json"),
            env=PASSPHRASE,
        )

    def open(self, agency: str, package: Path, out: str) -> Result:
        """Open a return."""
        return run(
            "open",
            package,
            *("--extract", self.extracts / f"{agency}.csv"),
            *self.role(agency),
            *("--crosswalk", self.path(f"{agency}.crosswalk"), "--out", self.path(out), "--json"),
            env=PASSPHRASE,
        )


def _good(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def _sign(county: County, agency: str, agreement: Path | None = None) -> Result:
    key = ("--key", county.path(f"{agency}.key"))
    return _good(run("agreement", "sign", agreement or county.path("agreement.yaml"), *key, env=PASSPHRASE))


def _ceremony(county: County) -> None:
    county.path("exchange").mkdir()
    for step in ("contribute", "contribute", "combine"):
        for agency in AGENCIES:
            options = [
                *("--agreement", county.path("agreement.yaml"), "--key", county.path(f"{agency}.key")),
                *("--folder", county.path("exchange"), "--own", county.path(f"{agency}.contribution")),
            ]
            if step == "combine":
                options += ["--out", county.path(f"{agency}.secret")]
            _good(run("keys", step, *options, env=PASSPHRASE))


@pytest.fixture(scope="module")
def county(extracts: Path, tmp_path_factory: pytest.TempPathFactory) -> County:
    """Three agencies and a linkage unit, all keys made, all packages sealed."""
    county = County(folder=tmp_path_factory.mktemp("county"), extracts=extracts)
    for party in (*AGENCIES, UNIT):
        _good(run("keys", "new", party, "--out", county.path(f"{party}.key"), env=PASSPHRASE))
    parties = [word for agency in AGENCIES for word in ("--party", agency)]
    key_files = [word for party in (*AGENCIES, UNIT) for word in ("--keys", county.path(f"{party}.key"))]
    _good(run("agreement", "new", *parties, *key_files, "--out", county.path("agreement.yaml")))
    finish_draft(county.path("agreement.yaml"))
    for agency in AGENCIES:
        _sign(county, agency)
    _ceremony(county)
    for agency in AGENCIES:
        _good(county.seal(agency, agency))
    return county


def test_whole_way_there_and_back(county: County) -> None:
    """Sealed, linked and opened by the real commands, every agency gets its own people named again."""
    figures = json.loads(_good(county.link("run", *AGENCIES)).stdout)
    assert figures["multi_agency"]["people"] > 0
    assert figures["privacy"]["d"] <= 0.2
    for agency in AGENCIES:
        package = county.path("run") / "returns" / f"{agency}.tally"
        opened = json.loads(_good(county.open(agency, package, f"{agency}.csv")).stdout)
        assert opened["people"] == figures["returns"][agency] > 0
        with county.path(f"{agency}.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert rows
        assert all(row["surname"] or row["forename"] for row in rows)
        assert {row["agency"] for row in rows} <= set(AGENCIES) - {agency}
        assert any(row["lead_contact"] for row in rows)


def test_all_hold_the_same_secret(county: County) -> None:
    """Every agency reads out the same check value, and none shows the secret."""
    shown = {_good(run("keys", "show", county.path(f"{a}.secret"), env=PASSPHRASE)).stdout for a in AGENCIES}
    assert len(shown) == 1
    assert "Check value: " in shown.pop()


def test_public_keys_can_be_shown_without_the_passphrase(county: County) -> None:
    """Fingerprint and public keys need no passphrase."""
    key = county.path("police.key")
    assert "Fingerprint: " in _good(run("keys", "show", key)).stdout
    shown = _good(run("keys", "show", key, "--public")).stdout
    assert all(
        line.strip() in county.path("agreement.yaml").read_text() for line in shown.splitlines() if line
    )


def test_linkage_unit_has_no_part_in_the_ceremony(county: County, tmp_path: Path) -> None:
    """The linkage unit's keys cannot contribute to, or combine, the linkage secret."""
    result = run(
        *(
            "keys",
            "combine",
            "--agreement",
            county.path("agreement.yaml"),
            "--key",
            county.path(f"{UNIT}.key"),
        ),
        *("--folder", county.path("exchange"), "--own", county.path("police.contribution")),
        *("--out", tmp_path / "stolen.secret"),
        env=PASSPHRASE,
    )
    assert result.exit_code == 1
    assert "never hold the secret" in result.stderr
    assert not (tmp_path / "stolen.secret").exists()


def test_keys_are_never_overwritten(county: County) -> None:
    """A key file that exists stays as it is."""
    before = county.path("police.key").read_bytes()
    assert run("keys", "new", "police", "--out", county.path("police.key"), env=PASSPHRASE).exit_code == 2
    assert county.path("police.key").read_bytes() == before


def test_refusals_name_the_reason_and_leave_nothing(county: County) -> None:
    """Replayed, altered, foreign and mixed-up packages are each refused for their own reason."""
    _good(county.seal("police", "other-run", run_id="2026-12"))
    altered = bytearray(county.path("police.tally").read_bytes())
    altered[len(altered) // 2] ^= 1
    county.path("altered.tally").write_bytes(altered)
    county.path("cut.tally").write_bytes(county.path("police.tally").read_bytes()[:-1000])
    shutil.copy(county.extracts / "police.csv", county.path("extract.tally"))
    for packages, reason in (
        (("police", "police"), "already taken in"),
        (("police", "other-run"), "another run"),
        (("altered",), "altered"),
        (("cut",), ""),
        (("extract",), "not a"),
    ):
        result = county.link("refused", *packages)
        assert result.exit_code == 1, packages
        assert result.stderr.startswith("Error: ")
        assert reason in result.stderr
        assert not county.path("refused").exists()


def test_another_agencys_return_stays_closed(county: County) -> None:
    """Health cannot open what was returned to the police."""
    if not county.path("run").exists():
        _good(county.link("run", *AGENCIES))
    result = county.open("health", county.path("run") / "returns" / "police.tally", "stolen.csv")
    assert result.exit_code == 1
    assert "another receiving key" in result.stderr
    assert not county.path("stolen.csv").exists()


def test_wrong_passphrase_and_foreign_keys(county: County) -> None:
    """A wrong passphrase, and keys that are not in the agreement, are refused."""
    arguments = (
        *county.role("police"),
        "--run",
        "x",
        "--out",
        county.path("no"),
        "--crosswalk",
        county.path("no2"),
    )
    wrong = run("seal", county.extracts / "police.csv", *arguments, env={"TALLYSTICK_PASSPHRASE": "wrong"})
    assert wrong.exit_code == 1
    assert "passphrase" in wrong.stderr
    _good(run("keys", "new", "police", "--out", county.path("impostor.key"), env=PASSPHRASE))
    foreign = [
        county.path("impostor.key") if word == county.path("police.key") else word for word in arguments
    ]
    refused = run("seal", county.extracts / "police.csv", *foreign, env=PASSPHRASE)
    assert refused.exit_code == 2
    assert "other keys of police" in refused.stderr
    assert not county.path("no").exists()


def test_changed_agreement_needs_a_new_secret(county: County, tmp_path: Path) -> None:
    """When one word of the agreement changes, even signed by all, the old secret and the old packages do not fit."""
    changed = tmp_path / "agreement.yaml"
    changed.write_text(county.path("agreement.yaml").read_text().replace("months: 12", "months: 24"))
    for agency in AGENCIES:
        _sign(county, agency, changed)
    sealed = run(
        *("seal", county.extracts / "police.csv", "--mapping", county.extracts / "mapping.yaml"),
        *(
            "--agreement",
            changed,
            "--key",
            county.path("police.key"),
            "--secret",
            county.path("police.secret"),
        ),
        *("--run", "x", "--out", tmp_path / "a.tally", "--crosswalk", tmp_path / "a.crosswalk"),
        env=PASSPHRASE,
    )
    assert sealed.exit_code == 1
    assert "another agreement" in sealed.stderr
    linked = run(
        *("link", county.path("police.tally"), "--agreement", changed, "--key", county.path(f"{UNIT}.key")),
        *("--out", tmp_path / "run"),
        env=PASSPHRASE,
    )
    assert linked.exit_code == 1
    assert "another agreement" in linked.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agreement.yaml", "agreement.yaml.sigs"]


def test_unsigned_agreement_stops_everybody(county: County, tmp_path: Path) -> None:
    """A widened copy that nobody signed stops seal, link and open, each naming who has not signed and what widened."""
    widened = tmp_path / "agreement.yaml"
    widened.write_text(county.path("agreement.yaml").read_text().replace("months: 12", "months: 24"))
    shutil.copytree(county.path("agreement.yaml.sigs"), tmp_path / "agreement.yaml.sigs")
    own = [widened if word == county.path("agreement.yaml") else word for word in county.role("police")]
    outs = ("--crosswalk", county.path("police.crosswalk"), "--out", tmp_path / "made")
    sealing = ("--run", "x", "--out", tmp_path / "made", "--crosswalk", tmp_path / "made2")
    package, key = county.path("police.tally"), county.path(f"{UNIT}.key")
    for call in (
        ("seal", county.extracts / "police.csv", *own, *sealing),
        ("link", package, "--agreement", widened, "--key", key, "--out", tmp_path / "made"),
        ("open", package, "--extract", county.extracts / "police.csv", *own, *outs),
    ):
        result = run(*call, env=PASSPHRASE)
        assert result.exit_code == 1, result.output
        assert "D03" in result.stderr
        assert "health has not signed this version" in result.stderr
        assert "D22" in result.stderr
        assert "the window, in months, goes from 12 to 24" in result.stderr
        assert not list(tmp_path.glob("made*"))


def test_agreement_faults_are_all_named(county: County, tmp_path: Path) -> None:
    """`agreement check` names every fault at once, each with its place."""
    text = county.path("agreement.yaml").read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        text.replace("status: active", "status: maybe").replace("months: 12", "months: 99") + "extra: 1\n"
    )
    result = run("agreement", "check", broken)
    assert result.exit_code == 1
    assert result.stdout.startswith("Do not run: 3 blocks.\n")
    for place in ("status: ", "window.months: ", "entry here that the schema does not know"):
        assert place in result.stdout
    assert result.stdout.count(f"{broken}, line ") == 3


def test_people_on_the_exclude_list_are_not_sealed(county: County) -> None:
    """`seal --exclude` leaves people out by reference, tells counts by reason, and repeats no reference."""
    extract = county.extracts / f"{AGENCIES[0]}.csv"
    mapping = load_mapping(county.extracts / "mapping.yaml")[AGENCIES[0]]
    with extract.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    refs = sorted({row[mapping.columns.get("ref", "ref")] for row in rows})[:2]
    listed = county.path("exclude.csv")
    listed.write_text(
        f"ref,reason\n{refs[0]},{KINDS[0]}\n{refs[1]},{KINDS[0]}\nNOT-HERE,{KINDS[1]}\n", encoding="utf-8"
    )
    sealed = run(
        "seal",
        extract,
        *county.role(AGENCIES[0]),
        *("--run", "2026-12", "--exclude", listed),
        *("--out", county.path("fewer.tally"), "--crosswalk", county.path("fewer.crosswalk")),
        env=PASSPHRASE,
    )
    _good(sealed)
    assert "Left out before sealing: 2 people" in sealed.output
    assert not any(ref in sealed.output for ref in (*refs, "NOT-HERE"))
    silent = run(
        "seal",
        extract,
        *county.role(AGENCIES[0]),
        *("--run", "2026-12"),
        *("--out", county.path("silent.tally"), "--crosswalk", county.path("silent.crosswalk")),
        env=PASSPHRASE,
    )
    assert silent.exit_code == 1
    assert "P12" in silent.output
    assert not county.path("silent.tally").exists()
