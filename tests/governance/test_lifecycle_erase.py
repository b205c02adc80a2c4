"""Erasure: what was asked for goes everywhere, nothing else does, and the receipt shows it."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_world import (
    AGENCIES,
    NOW,
    PASSPHRASE,
    PEOPLE,
    RUN,
    UNIT,
    County,
    make_county,
    number_of,
    ref_of,
)

import governance.lifecycle.rewriting
from governance.audit.entry import Event
from governance.audit.log import AuditLog
from governance.audit.salts import subject_of_ref
from governance.audit.verify import verify_log
from governance.lifecycle.answering import NO_REGISTER
from governance.lifecycle.artefacts import RESULT_COLUMNS
from governance.lifecycle.request_register import RequestRegister
from governance.lifecycle.requests import REQUEST, read_asked, write_asked
from governance.lifecycle.rewriting import Subjects, Told, reduce_return, rewrite_parquet, rewrite_result
from hashing import opening, results
from schemas.errors import ErasureError
from schemas.payload import RETURN
from tests.conftest import run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> County:
    """A county, made once."""
    return make_county(tmp_path_factory.mktemp("county"))


@pytest.fixture
def county(made: County, tmp_path: Path) -> County:
    """A copy of it to erase from."""
    folder = tmp_path / "county"
    shutil.copytree(made.folder, folder)
    return County(folder=folder, agreement=made.agreement, identities=made.identities)


def erase(county: County, who: str, *words: str | Path, places: Path | None = None, **env: str) -> Result:
    """Run `tallystick erase` as somebody."""
    place = places or county.home(who)
    return run("erase", place, *county.options(who), *words, env={**PASSPHRASE, **env})


def good(result: Result) -> dict[str, Any]:
    """Return the JSON of a command that went well."""
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def erase_at_police(county: County, *refs: str) -> Path:
    """Erase people at the police, and return the folder with the requests."""
    (county.folder / "refs.txt").write_text("\n".join(refs) + "\n")
    good(
        erase(
            county,
            "police",
            "--refs",
            county.folder / "refs.txt",
            "--send",
            county.folder / "to-unit",
            "--receipt",
            county.folder / "police.receipt",
            "--yes",
            "--json",
        )
    )
    return county.folder / "to-unit"


def apply(county: County, who: str, folder: Path, *words: str | Path) -> dict[str, Any]:
    """Apply all requests or notices in `folder`."""
    requests = [word for path in sorted(folder.glob("*.tally")) for word in ("--request", path)]
    return good(
        erase(
            county, who, *requests, "--receipt", county.folder / f"{who}.receipt", "--yes", "--json", *words
        )
    )


def test_an_agency_erases_its_own_people(county: County) -> None:
    """The person's rows go from result, return and crosswalk; other people's rows stay as they are."""
    before = county.results("police")
    erase_at_police(county, ref_of("police", 1))
    assert county.results("police") == [row for row in before if row["ref"] != ref_of("police", 1)]
    crosswalk = county.opened("police", county.home("police") / "june.crosswalk", "refs").to_pylist()
    assert {row["subject"] for row in crosswalk} == {0, 2, 3, 4}
    told = county.opened("police", county.home("police") / "june-return.tally", "contacts").to_pylist()
    assert {row["subject"] for row in told} == {0, 4}
    assert not (county.home("police") / "june.tally").exists(), "only the unit could read it"


def test_all_references_of_one_person_go(county: County) -> None:
    """A reference that the sealing counted as the same person goes too, and the report says so."""
    (county.folder / "refs.txt").write_text("ref,reason\nPREF-4b,erasure\n")
    words = ("--refs", county.folder / "refs.txt", "--receipt", county.folder / "r", "--yes", "--json")
    said = good(erase(county, "police", *words))
    assert said["scope"] == {"kind": "subjects", "given": 1, "references": 2}
    assert not [row for row in county.results("police") if row["ref"].startswith("PREF-4")]


def test_without_yes_nothing_changes(county: County) -> None:
    """The dry run names what would change, and changes not a byte; so does a refused call."""
    (county.folder / "refs.txt").write_text(ref_of("police", 1) + "\n")
    before = county.everything("police")
    said = good(erase(county, "police", "--refs", county.folder / "refs.txt", "--json"))
    assert said["erased"] is False
    assert {step["name"]: step["removed"] for step in said["artefacts"]} == {
        "june-return.tally": 3,
        "june.crosswalk": 1,
        "june.tally": None,
        "results.csv": 2,
    }
    assert erase(county, "police", "--refs", county.folder / "refs.txt", "--yes").exit_code == 2
    assert county.everything("police") == before


def test_the_unit_erases_by_row_number(county: County) -> None:
    """The request reaches links, people, review, told, returns and the package; other people's rows stay."""
    folder = erase_at_police(county, ref_of("police", 1))
    home = county.home(UNIT)
    said = apply(county, UNIT, folder, "--send", county.folder / "notices")
    people = pq.read_table(home / "run" / "people.parquet").to_pylist()
    assert {(row["agency"], row["subject"]) for row in people} == {
        (agency, number_of(agency, person))
        for person, agencies in PEOPLE.items()
        for agency in agencies
        if (agency, person) != ("police", 1)
    }
    links = pq.read_table(home / "run" / "links.parquet").to_pylist()
    assert sorted(row["subject_r"] for row in links) == [0, 3, 4]
    assert [row["record_a"] for row in pq.read_table(home / "run" / "review.parquet").to_pylist()] == [
        "health:10"
    ]
    told = pq.read_table(home / "run" / "told.parquet").to_pylist()
    assert {"agency": "health", "subject": 11, "about": "childrens_social_care"} in told
    assert not [row for row in told if (row["subject"], row["about"]) in {(11, "police"), (21, "police")}]
    assert not [row for row in told if row["agency"] == "police" and row["subject"] == 1]
    assert list((home / "run" / "returns").iterdir()) == [], "all three returns told of the person"
    assert not (home / "police.tally").exists()
    assert (home / "health.tally").exists()
    assert {each["to"] for each in said["sent"]} == {"health", "childrens_social_care"}


def test_returns_that_do_not_tell_of_the_person_stay(county: County) -> None:
    """Children's social care was never told of person 0, so its return is left where it is."""
    apply(county, UNIT, erase_at_police(county, ref_of("police", 0)))
    left = {path.name for path in (county.home(UNIT) / "run" / "returns").iterdir()}
    assert left == {"childrens_social_care.tally"}


def test_notices_reach_the_other_agencies(county: County) -> None:
    """Health no longer reads that the police know the person; what others know of them stays, with the new count."""
    folder = erase_at_police(county, ref_of("police", 1))
    apply(county, UNIT, folder, "--send", county.folder / "notices")
    notices = county.folder / "for-health"
    notices.mkdir()
    shutil.copy(county.folder / "notices" / f"notice-{RUN}-health.tally", notices)
    before = county.results("health")
    apply(county, "health", notices)
    after = county.results("health")
    mine = [row for row in after if row["ref"] == ref_of("health", 1)]
    assert [(row["agency"], row["agencies"]) for row in mine] == [("childrens_social_care", 2)]
    others = [row for row in before if row["ref"] != ref_of("health", 1)]
    assert [row for row in after if row["ref"] != ref_of("health", 1)] == others
    told = county.opened("health", county.home("health") / "june-return.tally", "contacts").to_pylist()
    assert {row["agency"] for row in told if row["subject"] == 11} == {"health", "childrens_social_care"}


def test_a_person_whom_too_few_agencies_are_left_to_know_is_not_told_of(county: County) -> None:
    """When the police erase person 0, health is told of nobody there: one agency is below the agreed two."""
    folder = erase_at_police(county, ref_of("police", 0))
    apply(county, UNIT, folder, "--send", county.folder / "notices")
    apply(county, "health", county.folder / "notices")
    assert ref_of("health", 0) not in {row["ref"] for row in county.results("health")}
    told = county.opened("health", county.home("health") / "june-return.tally", "contacts").to_pylist()
    assert 10 not in {row["subject"] for row in told}


def test_nobody_learns_anything_from_a_notice(county: County) -> None:
    """Person 3 was linked but told to nobody: erasing them makes no notice, for it would tell of the link."""
    folder = erase_at_police(county, ref_of("police", 3))
    said = apply(county, UNIT, folder, "--send", county.folder / "notices")
    assert said["sent"] == []
    assert list((county.folder / "notices").iterdir()) == []
    assert len(list((county.home(UNIT) / "run" / "returns").iterdir())) == 3


def test_a_return_after_an_erasure_is_opened_and_says_so(county: County) -> None:
    """What is left of a return is the agency's own package: it says what it came from, and `open` takes it."""
    erase_at_police(county, ref_of("police", 1))
    path = county.home("police") / "june-return.tally"
    refs = pa.array([ref_of("police", person) for person in PEOPLE])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results.Leads, "of", lambda _leads, table: [None] * table.num_rows)
        opened = opening.open_return(
            path,
            crosswalk=county.home("police") / "june.crosswalk",
            extract_columns={"ref": refs},
            agreement=county.agreement,
            owner=county.identities["police"],
            known=county.agreement.identities,
            secret=bytes(32),
        )
    assert {row["ref"] for row in opened.table.to_pylist()} == {"PREF-0", "PREF-4", "PREF-4b"}


def test_the_receipt_proves_it(county: County) -> None:
    """The receipt is signed, verifies, names digests and counts and no reference, and finds what came back."""
    (county.folder / "refs.txt").write_text(ref_of("police", 1) + "\n")
    kept = (county.home("police") / "results.csv").read_bytes()
    erase_at_police(county, ref_of("police", 1))
    receipt = county.folder / "police.receipt"
    assert b"PREF" not in receipt.read_bytes()
    check = (
        "erase",
        county.home("police"),
        *county.options("police"),
        "--verify",
        "--receipt",
        receipt,
        "--json",
    )
    said = good(run(*check, env=PASSPHRASE))
    assert (said["valid"], said["organisation"]) == (True, "police")
    (county.home("police") / "results.csv").write_bytes(kept)
    again = run(*check, env=PASSPHRASE)
    assert again.exit_code == 1
    assert json.loads(again.stdout)["changed"] == ["results.csv"]
    receipt.write_bytes(receipt.read_bytes().replace(b"payloadType", b"payloadTypo"))
    assert run(*check, env=PASSPHRASE).exit_code == 1


def test_an_erasure_is_recorded_and_the_log_forgets(county: County) -> None:
    """The log commits to who was erased, forgets earlier entries about them, verifies, and can forget that too."""
    log = AuditLog.create(county.folder / "police.audit", organisation="police", user="x", now=NOW)
    subject = subject_of_ref("police", ref_of("police", 1))
    shown = Event(action="open", user="x", organisation="police", purpose="safeguarding", reason="CASE-1")
    log.append(shown, now=NOW, subjects=[subject])
    (county.folder / "refs.txt").write_text(ref_of("police", 1) + "\n")
    result = erase(
        county, "police", "--refs", county.folder / "refs.txt", "--receipt", county.folder / "r", "--yes",
        "--audit", log.path, "--reason", "Request 12",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    actions = [
        (entry.event.action, entry.event.outcome, len(entry.event.subjects)) for entry in log.entries()
    ]
    assert actions[2:] == [("erase", "begun", 0), ("erase-subject", "done", 1), ("erase", "done", 0)]
    found = run("audit", "show", log.path, "--refs", county.folder / "refs.txt")
    assert "erase-subject" in found.stdout
    assert "open" not in found.stdout
    assert "PREF" not in log.path.read_text()
    assert run("audit", "forget", log.path, "--refs", county.folder / "refs.txt").exit_code == 0
    assert run("audit", "show", log.path, "--refs", county.folder / "refs.txt").stdout == ""
    assert verify_log(log).problems == ()


def test_files_of_other_forms_are_named(county: County) -> None:
    """A spreadsheet saved with semicolons is none of ours: it is not changed, but people are told to look at it."""
    other = county.home("police") / "mine.csv"
    other.write_text(f"case;name\n{ref_of('police', 1)};Ann\n")
    (county.home("police") / "unrelated.txt").write_text("PREF-10\n")
    (county.folder / "refs.txt").write_text(ref_of("police", 1) + "\n")
    said = good(erase(county, "police", "--refs", county.folder / "refs.txt", "--json"))
    assert said["look_at"] == ["mine.csv"]


def test_a_request_of_another_sealing_is_refused(county: County) -> None:
    """Row numbers of a sealing that was not the one linked would be other people's: nothing is erased."""
    path = county.folder / "wrong.tally"
    write_asked(
        path,
        kind=REQUEST,
        sender=county.identities["police"],
        recipient=county.identities[UNIT].public,
        agreement=county.agreement,
        run=RUN,
        seal_id="another",
        rows=[(1, "")],
        now=NOW,
    )
    before = county.everything(UNIT)
    result = erase(county, UNIT, "--request", path, "--receipt", county.folder / "r", "--yes")
    assert result.exit_code == 1
    assert "another sealing" in result.stderr
    assert county.everything(UNIT) == before


def test_an_agency_cannot_ask_for_another_agencys_people(county: County) -> None:
    """A request that names whom others are told of, or a notice that is not the unit's, is refused."""
    for kind, rows in ((REQUEST, [(1, "health")]), ("erasure-notice", [(1, "health")])):
        path = county.folder / f"{kind}.tally"
        write_asked(
            path,
            kind=kind,
            sender=county.identities["police"],
            recipient=county.identities[UNIT].public,
            agreement=county.agreement,
            run=RUN,
            seal_id="seal-police",
            rows=rows,
            now=NOW,
        )
        with pytest.raises(ErasureError, match="their own subjects"):
            read_asked(
                path,
                reader=county.identities[UNIT],
                known=county.agreement.identities,
                agreement=county.agreement,
            )


def test_a_run_that_is_gone_has_nothing_to_erase(county: County) -> None:
    """When the run was purged before the request came, the unit says so and still gives a receipt."""
    folder = erase_at_police(county, ref_of("police", 1))
    shutil.rmtree(county.home(UNIT) / "run")
    said = apply(county, UNIT, folder)
    assert "not in these folders" in said["notes"][0]


def test_an_agency_that_leaves_is_erased_whole(county: County) -> None:
    """Nothing about the police is left at the unit, and by its notices at no other agency."""
    result = erase(
        county, UNIT, "--agency", "police", "--send", county.folder / "notices",
        "--receipt", county.folder / "r", "--yes", "--json",
    )  # fmt: skip
    good(result)
    for table in (county.home(UNIT) / "run").glob("*.parquet"):
        assert "police" not in repr(pq.read_table(table).to_pylist())
    assert not (county.home(UNIT) / "police.tally").exists()
    assert {path.name for path in (county.folder / "notices").iterdir()} == {
        "notice-all-health.tally",
        "notice-all-childrens_social_care.tally",
    }
    good(
        erase(
            county,
            "health",
            "--request",
            county.folder / "notices" / "notice-all-health.tally",
            "--receipt",
            county.folder / "h",
            "--yes",
            "--json",
        )
    )
    assert {row["agency"] for row in county.results("health")} == {"childrens_social_care"}


def test_a_withdrawn_agreement_leaves_nothing(county: County) -> None:
    """Packages, runs, returns, crosswalks and results go; keys, the agreement and other files stay."""
    (county.home("police") / "letter.txt").write_text("Dear all")
    for who in ("police", UNIT):
        good(erase(county, who, "--withdrawn", "--receipt", county.folder / f"{who}.r", "--yes", "--json"))
    assert set(county.everything("police")) == {"letter.txt"}
    assert county.everything(UNIT) == {}


def test_a_return_without_its_crosswalk_is_not_passed_over(county: County) -> None:
    """Without the crosswalk nobody can tell whom a return is about, so the erasure stops instead of missing it."""
    (county.home("police") / "june.crosswalk").unlink()
    (county.folder / "refs.txt").write_text(ref_of("police", 1) + "\n")
    result = erase(county, "police", "--refs", county.folder / "refs.txt")
    assert result.exit_code == 1
    assert "crosswalk of this return" in result.stderr


def test_an_interrupted_erasure_goes_on(county: County, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a file cannot be written, running the command again erases the rest."""
    (county.folder / "refs.txt").write_text(ref_of("police", 1) + "\n")
    words = ("--refs", county.folder / "refs.txt", "--receipt", county.folder / "r", "--yes", "--json")
    real = governance.lifecycle.rewriting.atomic_file

    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(governance.lifecycle.rewriting, "atomic_file", full)
    assert erase(county, "police", *words).exit_code == 1
    assert not (county.folder / "r").exists()
    monkeypatch.setattr(governance.lifecycle.rewriting, "atomic_file", real)
    good(erase(county, "police", *words))
    assert ref_of("police", 1) not in {row["ref"] for row in county.results("police")}


def test_no_reference_stands_in_messages(county: County) -> None:
    """Neither the plan nor a failure repeats a reference."""
    (county.folder / "refs.txt").write_text(f"ref,reason\n{ref_of('police', 1)},x\n,y\n")
    result = erase(county, "police", "--refs", county.folder / "refs.txt")
    assert result.exit_code == 2
    assert "PREF" not in result.output
    (county.folder / "refs.txt").write_text(ref_of("police", 1) + "\n")
    assert "PREF" not in erase(county, "police", "--refs", county.folder / "refs.txt").output


def test_the_call_has_to_say_one_thing(county: County) -> None:
    """Nothing to erase, two things at once, and references at the unit are refused."""
    (county.folder / "refs.txt").write_text("X\n")
    for who, words in (
        ("police", []),
        ("police", ["--withdrawn", "--agency", "health"]),
        (UNIT, ["--refs", county.folder / "refs.txt"]),
        ("police", ["--verify"]),
    ):
        assert erase(county, who, *words).exit_code == 2


def test_results_are_known_by_the_columns_that_open_writes() -> None:
    """The columns by which a result is known are among those that `tallystick open` writes."""
    assert set(results.RESULT_COLUMNS) >= RESULT_COLUMNS


def test_unknown_tables_stop_an_erasure(tmp_path: Path) -> None:
    """A table in a run folder that does not say whom it is about is not silently left alone."""
    pq.write_table(pa.table({"token": [1]}), tmp_path / "x.parquet")
    with pytest.raises(ErasureError, match="does not say which subject"):
        rewrite_parquet(tmp_path / "x.parquet", Subjects(numbers={"police": frozenset({1})}), act=True)


ROWS = st.lists(
    st.tuples(st.sampled_from(["r1", "r2", 'r"3', "r\n4"]), st.sampled_from(["health", "police", "school"])),
    unique=True,
    max_size=12,
)


@settings(deadline=None)
@given(ROWS, st.sets(st.sampled_from(["r1", 'r"3', "r\n4"])), st.integers(2, 3))
def test_results_keep_every_other_row(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], gone: set[str], minimum: int
) -> None:
    """Whatever quotes and line ends the cells hold, exactly the rows that should go are gone."""
    path = tmp_path_factory.mktemp("csv") / "results.csv"
    counts = {ref: len({agency for other, agency in rows if other == ref}) + 1 for ref, _ in rows}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
        writer.writerow(["ref", "agencies", "agency", "note"])
        writer.writerows([ref, counts[ref], agency, 'a "b"\n,c'] for ref, agency in rows)
    told = Told(whose=frozenset(gone), about={"r2": frozenset({"police"})}, minimum=minimum)
    found = rewrite_result(path, told, act=True)
    left = [(ref, agency) for ref, agency in rows if ref not in gone and (ref, agency) != ("r2", "police")]
    number = {ref: len({agency for other, agency in left if other == ref}) + 1 for ref, _ in left}
    expected = [
        [ref, str(number[ref]), agency, 'a "b"\n,c'] for ref, agency in left if number[ref] >= minimum
    ]
    with path.open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream))[1:] == expected
    assert (found.before, found.after) == (len(rows), len(expected))
    assert rewrite_result(path, told, act=False).removed == 0


@settings(deadline=None)
@given(
    st.sets(st.integers(0, 3)),
    st.dictionaries(st.integers(0, 3), st.sets(st.sampled_from(AGENCIES)), max_size=3),
)
def test_returns_keep_every_other_row(whose: set[int], about: dict[int, set[str]]) -> None:
    """A return loses the rows of erased subjects and of agencies no longer told of, and nobody stays alone in it."""
    rows = [(number, agency) for number in range(4) for agency in AGENCIES[: 2 + number % 2]]
    table = pa.Table.from_pylist(
        [
            {"subject": number, "person": number, "agency": agency, "own": agency == AGENCIES[0]}
            for number, agency in rows
        ],
        schema=RETURN,
    )
    told = Told(whose=frozenset(whose), about={k: frozenset(v) for k, v in about.items()}, minimum=2)
    kept = {(row["subject"], row["agency"]) for row in reduce_return(table, told).to_pylist()}
    for number, agency in rows:
        others = {
            a for n, a in rows if n == number and a != AGENCIES[0] and a not in about.get(number, set())
        }
        stays = number not in whose and others and (agency == AGENCIES[0] or agency in others)
        assert ((number, agency) in kept) == bool(stays)


def test_a_notice_without_its_crosswalk_is_not_passed_over(county: County) -> None:
    """Without the crosswalk nobody can find the rows of opened results, so the notice is refused, not half applied."""
    folder = erase_at_police(county, ref_of("police", 1))
    apply(county, UNIT, folder, "--send", county.folder / "notices")
    (county.home("health") / "june.crosswalk").unlink()
    before = county.everything("health")
    notice = county.folder / "notices" / f"notice-{RUN}-health.tally"
    result = erase(county, "health", "--request", notice, "--receipt", county.folder / "h", "--yes")
    assert result.exit_code == 1
    assert "whom the notice is about" in result.stderr
    assert county.everything("health") == before


def test_references_that_nobody_knows_are_told(county: County) -> None:
    """A mistyped reference is not silently taken for erased; a folder named twice is searched once."""
    (county.folder / "refs.txt").write_text(f"{ref_of('police', 1)}\nPREF-99\n")
    home = county.home("police")
    words = ("--refs", county.folder / "refs.txt", "--json")
    said = good(run("erase", home, home, *county.options("police"), *words, env=PASSPHRASE))
    assert said["notes"] == [
        "1 of the references are in no crosswalk here, so the unit cannot be asked about them.",
        NO_REGISTER,
    ]
    assert len(said["artefacts"]) == 4


def test_the_register_knows_of_an_erasure(county: County) -> None:
    """Asked for, it stands in the register with its date; done, it is closed; done again, it is not added again."""
    register = RequestRegister.create(county.folder / "agreement.yaml.requests")
    (county.folder / "refs.txt").write_text("PREF-4b\n")
    words = ("--refs", county.folder / "refs.txt", "--json")
    said = good(erase(county, "police", *words))
    assert "request-1" in said["notes"][-1]
    assert "still to be applied" in said["notes"][-1]
    (entry,) = register.entries()
    assert (entry.kind, entry.agency, entry.outcome) == ("erasure", "police", None)
    for _ in range(2):
        good(erase(county, "police", *words, "--receipt", county.folder / "r", "--yes"))
        (entry,) = register.entries()
        assert entry.outcome == "applied"
    assert "PREF" not in register.path.read_text()


def test_an_erasure_answers_the_request_that_was_written_down(county: County) -> None:
    """A request added for one reference of a person is closed when the person is erased by another."""
    register = RequestRegister.create(county.folder / "police.requests")
    register.add(kind="erasure", agency="police", received=date(2026, 6, 1), refs=[ref_of("police", 4)])
    (county.folder / "refs.txt").write_text("PREF-4b\n")
    words = (
        "--refs",
        county.folder / "refs.txt",
        "--request-register",
        register.path,
        "--receipt",
        county.folder / "r",
    )
    assert "applied today" in erase(county, "police", *words, "--yes").stdout
    assert [entry.outcome for entry in register.entries()] == ["applied"]


def test_the_unit_keeps_requests_by_their_digest(county: County) -> None:
    """At the unit a request stands in the register from the first look at it, and is closed when it was applied."""
    register = RequestRegister.create(county.folder / "unit.requests")
    folder = erase_at_police(county, ref_of("police", 1))
    (package,) = folder.glob("*.tally")
    good(erase(county, UNIT, "--request", package, "--request-register", register.path, "--json"))
    (entry,) = register.entries()
    assert (entry.agency, entry.people, entry.outcome) == ("police", (), None)
    assert entry.package is not None
    apply(county, UNIT, folder, "--request-register", register.path)
    assert [each.outcome for each in register.entries()] == ["applied"]


def test_a_withdrawn_agreement_is_no_request(county: County) -> None:
    """Erasing an agency or an agreement is no person's request, and no register is asked for."""
    said = good(erase(county, "police", "--withdrawn", "--json"))
    assert NO_REGISTER not in said["notes"]
