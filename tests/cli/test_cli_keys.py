"""The life of a linkage secret through the real commands: made, shown, lost, renewed, outlived, destroyed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from governance.draft import agreement_yaml, draft_agreement
from hashing.ceremony import Ceremony, LinkageSecret, save_secret
from hashing.commands import keys as keys_module
from schemas import keyfile
from schemas.identity import load_public
from tests.conftest import run

PASSPHRASE = {"TALLYSTICK_PASSPHRASE": "correct horse battery staple"}
AGENCIES = ("fire", "health", "police")
UNIT = "linkage-unit"


@pytest.fixture(scope="module", autouse=True)
def _cheap_key_files() -> Iterator[None]:
    """Key files of these tests cost next to nothing to open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(keyfile.PROFILES, "interactive", keyfile.PROFILES["tests-only"])  # type: ignore[arg-type]
        yield


def _good(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def _refused(result: Result, *words: str) -> None:
    assert result.exit_code == 1, result.output
    assert all(word in result.stderr for word in words), result.stderr


@dataclass(frozen=True, kw_only=True)
class Area:
    """Three agencies that hold one secret."""

    folder: Path

    def agreement(self, name: str, *agencies: str) -> Path:
        """Write an agreement between agencies."""
        path = self.folder / f"{name}.yaml"
        identities = {each: load_public(self.folder / f"{each}.key") for each in (*agencies, UNIT)}
        document = draft_agreement(
            parties={each: each for each in agencies},
            passes=("nhs_number", "dob+name_set"),
            today=date.today(),
            identities=identities,
            unit_id=UNIT,
        )
        path.write_text(agreement_yaml(document), encoding="utf-8")
        return path

    def step(
        self, command: str, agency: str, folder: Path, own: str, *more: str | Path, **options: Any
    ) -> Result:
        """Contribute or combine."""
        return run(
            *("keys", command, "--agreement", options.get("agreement", self.folder / "all.yaml")),
            *("--key", self.folder / f"{agency}.key", "--folder", folder, "--own", self.folder / own, *more),
            env=PASSPHRASE,
        )

    def check_value(self, name: str) -> str:
        """Return the check value of a secret."""
        shown = _good(run("keys", "show", self.folder / name, "--json", env=PASSPHRASE))
        return str(json.loads(shown)["check_value"])


@pytest.fixture(scope="module")
def area(tmp_path_factory: pytest.TempPathFactory) -> Area:
    """Agencies with keys, an agreement, and the secret of epoch 1."""
    area = Area(folder=tmp_path_factory.mktemp("area"))
    for name in (*AGENCIES, UNIT):
        _good(run("keys", "new", name, "--out", area.folder / f"{name}.key", env=PASSPHRASE))
    area.agreement("all", *AGENCIES)
    exchange = area.folder / "exchange"
    exchange.mkdir()
    _ceremony(area, exchange, "1", AGENCIES, area.folder / "all.yaml")
    return area


def _ceremony(area: Area, exchange: Path, epoch: str, agencies: tuple[str, ...], agreement: Path) -> None:
    for _ in range(2):
        for name in agencies:
            _good(area.step("contribute", name, exchange, f"{name}.{epoch}", agreement=agreement))
    for name in agencies:
        out = area.folder / f"{name}.secret-{epoch}"
        _good(area.step("combine", name, exchange, f"{name}.{epoch}", "--out", out, agreement=agreement))
    assert len({area.check_value(f"{name}.secret-{epoch}") for name in agencies}) == 1


def test_status_names_who_is_awaited(area: Area, tmp_path: Path) -> None:
    """While a ceremony is on, `status` says who has to do what, without any key."""

    def status() -> dict[str, Any]:
        shown = run("keys", "status", "--agreement", area.folder / "all.yaml", "--folder", tmp_path, "--json")
        found: dict[str, Any] = json.loads(_good(shown))
        return found

    area.step("contribute", "police", tmp_path, "police.status")
    assert status()["awaited"] == status()["uncommitted"] == ["fire", "health"]
    area.step("contribute", "health", tmp_path, "health.status")
    _good(area.step("contribute", "fire", tmp_path, "fire.status"))
    assert status()["uncommitted"] == []
    assert status()["awaited"] == ["health", "police"]
    for name in ("health", "police"):
        area.step("contribute", name, tmp_path, f"{name}.status")
    assert status()["awaited"] == []
    text = _good(run("keys", "status", "--agreement", area.folder / "all.yaml", "--folder", tmp_path))
    assert "Each agency can combine" in text


def test_the_folder_says_what_the_ceremony_is(area: Area, tmp_path: Path) -> None:
    """The first agency's options stand in the folder; another's that differ are refused before it contributes."""
    _good(area.step("contribute", "police", tmp_path, "police.days", "--days", "30"))
    _refused(area.step("contribute", "health", tmp_path, "health.days", "--days", "31"), "--days")
    assert not (area.folder / "health.days").exists()
    _good(area.step("contribute", "health", tmp_path, "health.days"))
    other = area.agreement("two", "health", "police")
    _refused(area.step("contribute", "police", tmp_path, "police.days", agreement=other), "agreement")


def test_rotation(area: Area, tmp_path: Path) -> None:
    """The next epoch gives another secret; neither folder nor contribution of the first is used again."""
    agreement = area.folder / "all.yaml"
    rotate = (
        "keys",
        "rotate",
        "--after",
        area.folder / "police.secret-1",
        "--agreement",
        agreement,
        "--folder",
    )
    _refused(run(*rotate, area.folder / "exchange"), "not empty")
    assert "epoch 2" in _good(run(*rotate, tmp_path))
    _refused(area.step("contribute", "police", tmp_path, "police.1"), "another ceremony (epoch 1)")
    _ceremony(area, tmp_path, "2", AGENCIES, agreement)
    assert area.check_value("police.secret-2") != area.check_value("police.secret-1")


def test_an_agency_leaves_another_joins(area: Area, tmp_path: Path) -> None:
    """Under an agreement with other agencies the next epoch is theirs: who left is shut out, who joins takes part."""
    _good(run("keys", "new", "school", "--out", area.folder / "school.key", env=PASSPHRASE))
    agreement = area.agreement("changed", "health", "police", "school")
    said = _good(
        run(
            *("keys", "rotate", "--after", area.folder / "police.secret-1"),
            *("--agreement", agreement, "--folder", tmp_path),
        )
    )
    assert "Join: school." in said
    assert "Leave: fire." in said
    _refused(area.step("contribute", "fire", tmp_path, "fire.late", agreement=agreement), "no agency")
    _ceremony(area, tmp_path, "changed", ("health", "police", "school"), agreement)


def test_a_lost_copy(area: Area, tmp_path: Path) -> None:
    """An agency gets its secret back from a second, and only when a third's check value agrees."""
    role = ("--agreement", area.folder / "all.yaml", "--key")
    sealed = tmp_path / "health.handover"
    hand_over = (
        "keys",
        "hand-over",
        *role,
        area.folder / "police.key",
        "--secret",
        area.folder / "police.secret-1",
    )
    for nobody in ("police", UNIT, "stranger"):
        assert run(*hand_over, "--to", nobody, "--out", sealed, env=PASSPHRASE).exit_code == 1
        assert not sealed.exists()
    _good(run(*hand_over, "--to", "health", "--out", sealed, env=PASSPHRASE))

    def take_over(agency: str, spoken: str) -> Result:
        return run(
            *("keys", "take-over", sealed, *role, area.folder / f"{agency}.key"),
            *("--check-value", spoken, "--out", tmp_path / "health.secret"),
            env=PASSPHRASE,
        )

    spoken = area.check_value("fire.secret-1")
    _refused(take_over("fire", spoken), "receiving key")
    _refused(take_over("health", "11111 22222 33333 44444"), "check values differ")
    assert not (tmp_path / "health.secret").exists()
    _good(take_over("health", spoken))
    shown = _good(run("keys", "show", tmp_path / "health.secret", "--json", env=PASSPHRASE))
    assert json.loads(shown)["check_value"] == spoken


def test_a_lost_contribution(area: Area, tmp_path: Path) -> None:
    """A ceremony whose contribution is lost cannot end; the next one begins from its folder."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    _good(area.step("contribute", "fire", first, "fire.lost"))
    (area.folder / "fire.lost").unlink()
    _refused(area.step("contribute", "fire", first, "fire.lost"), "cannot end", "keys rotate")
    said = run(
        *("keys", "rotate", "--after", first / "ceremony.json"),
        *("--agreement", area.folder / "all.yaml", "--folder", second),
    )
    assert "epoch 2" in _good(said)


def _aged(folder: Path, *, days_ago: int, days: int) -> Path:
    starts = keys_module._today() - timedelta(days=days_ago)
    ceremony = Ceremony(
        agreement_digest="sha256:" + "1" * 64,
        epoch=3,
        parties=("health", "police"),
        starts_on=starts,
        expires_on=starts + timedelta(days=days - 1),
    )
    path = folder / f"aged-{days_ago}.secret"
    save_secret(LinkageSecret(ceremony=ceremony, value=bytes(range(32))), path, b"x", "tests-only")
    return path


@pytest.mark.parametrize(
    ("days_ago", "state", "exit_code"),
    [
        (-1, "not yet valid", 0),
        (0, "current", 0),
        (79, "current", 0),
        (80, "expiring", 0),
        (99, "expiring", 0),
        (100, "expired", 1),
    ],
)
def test_age(tmp_path: Path, days_ago: int, state: str, exit_code: int) -> None:
    """Of 100 days, a secret is expiring from the 81st and expired after the last; its age needs no passphrase."""
    path = _aged(tmp_path, days_ago=days_ago, days=100)
    shown = run("keys", "show", path, "--age", "--json")
    assert shown.exit_code == exit_code
    found = json.loads(shown.stdout)
    assert found["state"] == state
    assert found["age"] == days_ago / 100
    assert found["check_value"] is None
    text = run("keys", "show", path, "--age").stdout
    assert state.capitalize() in text or state in text
    assert ("keys rotate" in text) == (state in ("expiring", "expired"))


def test_destroy(area: Area, tmp_path: Path) -> None:
    """`destroy` overwrites and deletes key files when told so; anything else it leaves alone."""
    secret = _aged(tmp_path, days_ago=0, days=10)
    other = tmp_path / "extract.csv"
    other.write_text("ref,forename\n1,Ann\n")
    assert run("keys", "destroy", secret, other, "--yes").exit_code == 1
    assert secret.exists()
    assert other.exists()
    asked = run("keys", "destroy", secret)
    assert asked.exit_code == 1
    assert "linkage secret of epoch 3" in asked.stdout
    assert secret.exists()
    again = tmp_path / "again"
    again.hardlink_to(secret)
    before = again.read_bytes()
    assert "Destroyed on" in _good(run("keys", "destroy", secret, "--yes"))
    assert not secret.exists()
    # A second name of the same file shows that its bytes are gone too.
    assert len(again.read_bytes()) == len(before)
    assert again.read_bytes()[:20] != before[:20]
    shown = _good(run("keys", "show", area.folder / "police.1"))
    assert "Contribution of police" in shown
