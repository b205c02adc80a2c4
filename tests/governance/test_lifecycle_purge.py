"""Purging: what is past its date goes, by what it is and when it was made, and only with --yes."""

from __future__ import annotations

import json
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_world import NOW, PASSPHRASE, UNIT, County, make_county

from governance.audit.entry import Event
from governance.audit.log import AuditLog
from governance.lifecycle.retention import ARTEFACTS, due_date, retention_days
from tests.conftest import run


@pytest.fixture
def county(tmp_path: Path) -> County:
    """A county whose artefacts were made on 1 July 2026."""
    made = make_county(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    return made


def purge(county: County, who: str, day: str, *words: str | Path) -> dict[str, Any]:
    """Purge somebody's folder as of a day, and return the JSON."""
    result = run(
        "purge", county.home(who), *county.options(who), "--as-of", day, "--json", *words, env=PASSPHRASE
    )
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def verdicts(said: dict[str, Any]) -> dict[str, str]:
    """Return name -> verdict."""
    return {each["name"]: each["verdict"] for each in said["artefacts"]}


def test_each_kind_goes_by_its_own_date(county: County) -> None:
    """Returns after 10 days, packages after 30, crosswalks after 90, results after a year."""
    names = {
        "return": "june-return.tally",
        "package": "june.tally",
        "crosswalk": "june.crosswalk",
        "result": "results.csv",
    }
    for kind, days in (("return", 10), ("package", 30), ("crosswalk", 90), ("result", 365)):
        last = NOW.date() + timedelta(days=days)
        assert verdicts(purge(county, "police", last.isoformat()))[names[kind]] == "keep"
        after = (last + timedelta(days=1)).isoformat()
        assert verdicts(purge(county, "police", after))[names[kind]] == "delete"


def test_without_yes_nothing_goes(county: County) -> None:
    """The list says what would go, and everything is still there; with --yes exactly that goes."""
    before = county.everything("police")
    said = purge(county, "police", "2026-08-15")
    assert said["deleted"] is False
    assert county.everything("police") == before
    purge(county, "police", "2026-08-15", "--yes")
    assert set(county.everything("police")) == {"june.crosswalk", "results.csv"}


def test_a_run_goes_whole_and_its_returns_before_it(county: County) -> None:
    """Returns inside a run folder have their own, shorter time; the run itself goes with all that is in it."""
    purge(county, UNIT, "2026-07-15", "--yes")
    assert not [name for name in county.everything(UNIT) if "returns/" in name]
    assert (county.home(UNIT) / "run" / "people.parquet").exists()
    purge(county, UNIT, "2026-09-15", "--yes")
    assert county.everything(UNIT) == {}


def test_signed_dates_count_more_than_files(county: County) -> None:
    """A package that was copied yesterday is as old as its signature says, when the key to it is given."""
    for path in county.home("police").iterdir():
        os.utime(path)
    said = purge(county, "police", "2026-08-15")
    known = {each["name"]: each["made_known_by"] for each in said["artefacts"]}
    assert known["june.crosswalk"] == "signed"
    assert known["june.tally"] == "date of the file"
    assert verdicts(said)["june-return.tally"] == "delete"


def test_other_agreements_are_left_alone(county: County) -> None:
    """An artefact that says it is of another agreement is not judged by this one."""
    text = (county.folder / "agreement.yaml").read_text().replace("months: 12", "months: 24")
    (county.folder / "agreement.yaml").write_text(text)
    said = verdicts(purge(county, UNIT, "2027-12-31"))
    assert said["run"] == said["police.tally"] == "other agreement"
    assert purge(county, UNIT, "2027-12-31", "--yes")["deleted"] is True
    assert (county.home(UNIT) / "run" / "run.json").exists()


def test_the_log_in_use_stays(county: County) -> None:
    """The purge is recorded with counts and digests; its own log is kept, an old closed one goes with its salts."""
    place = county.home("police")
    old = AuditLog.create(place / "old.audit", organisation="police", user="x", now=NOW - timedelta(days=500))
    note = Event(action="open", user="x", organisation="police", purpose="p", reason="r")
    old.append(note, now=NOW - timedelta(days=450), subjects=[b"somebody"])
    log = AuditLog.create(place / "new.audit", organisation="police", user="x", now=NOW - timedelta(days=500))
    result = run(
        "purge", place, *county.options("police"), "--as-of", "2026-08-15", "--yes",
        "--audit", log.path, "--reason", "Yearly purge", env=PASSPHRASE,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert {name for name in county.everything("police") if "audit" in name} == {
        "new.audit",
        "new.audit.lock",
        "new.audit.state",
    }
    last = list(log.entries())[-1].event
    assert (last.action, last.outcome) == ("purge", "done")
    assert dict(last.counts) == {"log": 1, "package": 1, "return": 1}
    assert sorted(made.kind for made in last.artefacts) == ["log", "package", "return"]


def test_working_files_of_a_killed_process_go(county: County) -> None:
    """What a killed process left goes after a day; a file that merely looks a little like it stays."""
    place = county.home("police")
    left = place / ".june.tally.0a1b2c3d.part"
    left.write_bytes(b"half")
    (place / "chapter.part").write_bytes(b"kept")
    os.utime(left, (NOW.timestamp(), NOW.timestamp()))
    assert verdicts(purge(county, "police", "2026-07-02"))[left.name] == "keep"
    purge(county, "police", "2026-07-03", "--yes")
    assert not left.exists()
    assert (place / "chapter.part").exists()


def test_methods_that_people_do_are_only_listed(county: County) -> None:
    """What the agreement wants archived or returned is not deleted."""
    text = (county.folder / "agreement.yaml").read_text()
    changed = text.replace(
        "artefact: result\n  days: 365", "artefact: result\n  days: 365\n  method: archive"
    )
    assert changed != text
    (county.folder / "agreement.yaml").write_text(changed)
    assert verdicts(purge(county, "police", "2028-01-01"))["results.csv"] == "by hand"


def test_other_files_are_not_touched(county: County) -> None:
    """Extracts, keys and letters are no artefacts, and links to elsewhere are not followed."""
    place = county.home("police")
    (place / "extract.csv").write_text("ref,forename\n1,Ann\n")
    elsewhere = county.folder / "elsewhere.csv"
    elsewhere.write_bytes((place / "results.csv").read_bytes())
    (place / "link.csv").symlink_to(elsewhere)
    purge(county, "police", "2030-01-01", "--yes")
    assert set(county.everything("police")) == {"extract.csv", "link.csv"}
    assert elsewhere.exists()


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(ARTEFACTS), st.integers(0, 3650)), max_size=8),
    st.sampled_from(ARTEFACTS),
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
)
def test_due_dates(listed: list[tuple[str, int]], artefact: str, made: date) -> None:
    """The due day is the making plus the shortest time that the agreement gives; without one there is none."""
    document = {"retention": [{"artefact": kind, "days": days} for kind, days in listed]}
    times = [days for kind, days in listed if kind == artefact]
    assert retention_days(artefact, document) == (min(times) if times else None)
    assert due_date(artefact, made, document) == (made + timedelta(days=min(times)) if times else None)


def test_an_identity_is_not_needed(county: County) -> None:
    """Without a key packages are judged by their place, their ending and the date of the file."""
    result = run(
        "purge",
        county.home("police"),
        "--agreement",
        county.folder / "agreement.yaml",
        "--as-of",
        "2026-08-15",
        "--json",
    )
    kinds = {each["name"]: each["kind"] for each in json.loads(result.stdout)["artefacts"]}
    assert kinds == {
        "june-return.tally": "package",
        "june.crosswalk": "crosswalk",
        "june.tally": "package",
        "results.csv": "result",
    }
