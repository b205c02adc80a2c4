"""`tallystick evaluate` on a rehearsal, on crosswalks, and on what does not belong together."""

from __future__ import annotations

import csv
import json
import re
import shutil
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from governance.evaluation_report import calibration_sentences, evaluation_text, group_name, reading
from synthetic.evaluation_run import crosswalks_of, numbered_again, read_run
from tests.conftest import run


def _evaluated(*arguments: str | Path) -> dict[str, Any]:
    result = run("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


@pytest.fixture(scope="module")
def figures(extracts: Path, rehearsed: tuple[dict[str, Any], Path]) -> dict[str, Any]:
    """The evaluation of the shared rehearsal."""
    return _evaluated(rehearsed[1], "--truth", extracts / "truth.csv")


def test_it_says_what_the_rehearsal_said(
    figures: dict[str, Any], rehearsed: tuple[dict[str, Any], Path]
) -> None:
    """Pairs, best threshold, people and blocking recall are those that `rehearse --json` printed."""
    told = rehearsed[0]
    for ours, theirs in (("links", told["pairs"]["agreement"]), ("best", told["pairs"]["best"])):
        for name in ("precision", "recall", "f1"):
            assert figures[ours][name]["value"] == pytest.approx(theirs[name])
    assert figures["clusters"]["f1"]["value"] == pytest.approx(told["clusters"]["f1"])
    assert figures["blocking"]["recall"]["value"] == pytest.approx(told["blocking"]["recall"])
    assert figures["threshold"] == told["pairs"]["agreement"]["threshold"]


def test_groups_come_from_the_people_file_and_the_extracts(figures: dict[str, Any]) -> None:
    """The generator's labels come first; what the records themselves show is added."""
    sources = {row["grouping"]: row["source"] for row in figures["groups"]}
    assert sources["name_origin"] == sources["sex"] == sources["mover"] == "people file"
    assert sources["several_postcodes"] == sources["nhs_number_held"] == "extracts"
    everyone = [row["people"] for row in figures["groups"] if row["grouping"] == "age_band"]
    assert sum(everyone) == figures["people"]


def _crosswalk_tables(extracts: Path, out: Path, folder: Path) -> list[Path]:
    """Write the crosswalks of a rehearsal as tables, one an agency."""
    kept = read_run(out)
    day = date.fromisoformat(kept.summary["run"].split("-")[1][:8])
    inputs, subjects = numbered_again(extracts, today=day, agreement=kept.agreement)
    paths = []
    for agency, walk in crosswalks_of(inputs, subjects).items():
        paths.append(folder / f"{agency}.csv")
        with paths[-1].open("w", newline="", encoding="utf-8") as stream:
            rows = [(ref, number) for ref, number in walk.items() if number >= 0]
            csv.writer(stream).writerows([("ref", "subject"), *rows])
    return paths


def test_a_run_folder_with_crosswalk_tables(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], figures: dict[str, Any], tmp_path: Path
) -> None:
    """A run folder by itself, with crosswalks as tables and a threshold, gives the same figures."""
    tables = _crosswalk_tables(extracts, rehearsed[1], tmp_path)
    shutil.copytree(rehearsed[1] / "unit" / "run", tmp_path / "run")
    shutil.copy(extracts / "truth.csv", tmp_path / "truth.csv")
    named = [part for table in tables for part in ("--crosswalk", table)]
    call = (tmp_path / "run", "--truth", tmp_path / "truth.csv", *named)
    result = run("evaluate", *call)
    assert result.exit_code == 2
    assert "--threshold" in result.output
    found = _evaluated(*call, "--threshold", str(figures["threshold"]))
    assert found["links"]["found"] == figures["links"]["found"]
    assert found["links"]["false"] == figures["links"]["false"]
    assert found["groups"] == []
    assert "cannot be said" in found["reading"][0]


def test_the_run_folder_of_the_guide(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tallystick evaluate run`, called beside a run folder that `link` left, finds it like any other place."""
    tables = _crosswalk_tables(extracts, rehearsed[1], tmp_path)
    shutil.copytree(rehearsed[1] / "unit" / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    named = [part for table in tables for part in ("--crosswalk", table)]
    found = _evaluated("run", "--truth", extracts / "truth.csv", *named, "--threshold", "0.5")
    assert found["links"]["found"] > 0


def test_people_who_may_not_be_sealed_are_not_missed(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """Under an agreement without `window.everyone` both commands measure over those who are sealed, and agree."""
    everyone = (rehearsed[1] / "agreement.yaml").read_text(encoding="utf-8")
    assert everyone.count("everyone: true") == 1
    agreement, out = tmp_path / "agreement.yaml", tmp_path / "out"
    agreement.write_text(everyone.replace("everyone: true", "everyone: false"), encoding="utf-8")
    done = run("rehearse", extracts, "--agreement", agreement, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["input"]["police"]["subjects"] < rehearsed[0]["input"]["police"]["subjects"]
    assert told["pairs"]["agreement"]["recall"] > 0.95
    found = _evaluated(out, "--truth", extracts / "truth.csv")
    for ours, theirs in (("links", "agreement"), ("best", "best")):
        for name in ("precision", "recall", "f1"):
            assert found[ours][name]["value"] == pytest.approx(told["pairs"][theirs][name])
    assert found["blocking"]["recall"]["value"] == pytest.approx(told["blocking"]["recall"])


def test_a_run_of_an_earlier_release_is_refused(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """A run whose links were never settled is refused in one sentence that says what to do."""
    shutil.copytree(rehearsed[1], tmp_path / "out")
    path = tmp_path / "out" / "unit" / "run" / "links.parquet"
    columns = ["pair_weight", "agencies_weight", "final_probability"]
    pq.write_table(pq.read_table(path).drop_columns(columns), path)
    result = run("evaluate", tmp_path / "out", "--truth", extracts / "truth.csv")
    assert result.exit_code == 2
    assert "the run cannot be read, or is of another release." in result.stderr
    assert "Link again, or copy the whole folder." in result.stderr
    assert "Traceback" not in result.stderr


def test_an_encrypted_crosswalk_asks_for_its_key(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path]
) -> None:
    """A crosswalk as `seal` wrote it is of no use without the agency's key, and says so."""
    crosswalk = next((rehearsed[1] / "agencies").glob("*/*.crosswalk"))
    result = run("evaluate", rehearsed[1], "--truth", extracts / "truth.csv", "--crosswalk", crosswalk)
    assert result.exit_code == 2
    assert "--key" in result.output


def test_a_real_crosswalk_opens_with_its_key(tmp_path: Path) -> None:
    """A crosswalk sealed by an agency is read with its key, and refused for another run."""
    import pyarrow as pa

    from schemas.container import write_package
    from schemas.errors import WrongRecipient, WrongRun
    from schemas.identity import PrivateIdentity
    from schemas.payload import CROSSWALK
    from schemas.tables import ARROW_STREAM, arrow_stream
    from synthetic.evaluation_crosswalks import read_crosswalks

    police, health = PrivateIdentity.generate("police"), PrivateIdentity.generate("health")
    batch = pa.RecordBatch.from_pydict({"ref": ["P1", "P2"], "subject": [1, 0]}, schema=CROSSWALK)
    write_package(
        tmp_path / "police.crosswalk",
        kind="crosswalk",
        sender=police,
        recipient=police.public,
        agreement_digest="sha256:" + "0" * 64,
        run_id="2026-11",
        purpose="matching",
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        counts={"refs": 2, "subjects": 2},
        facts={"seal_id": "x"},
        parts=[("refs", ARROW_STREAM, arrow_stream(CROSSWALK, iter([batch])))],
    )
    paths, sent = [tmp_path / "police.crosswalk"], {"police": 2}
    found = read_crosswalks(paths, subjects=sent, keys=[health, police], run_id="2026-11")
    assert found == {"police": {"P1": 1, "P2": 0}}
    with pytest.raises(WrongRun):
        read_crosswalks(paths, subjects=sent, keys=[police], run_id="2026-12")
    with pytest.raises(WrongRecipient):
        read_crosswalks(paths, subjects=sent, keys=[health], run_id="2026-11")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ref,number\nA,1\n", "ref and subject are missing"),
        ("ref,subject\nA,one\n", "row 2: the subject is no whole number"),
        ("ref,subject\nA,99999999\n", "beyond the subjects"),
        ("agency,ref,subject\nnobody,A,1\n", "no package of nobody"),
    ],
    ids=["columns", "number", "beyond", "agency"],
)
def test_a_crosswalk_that_does_not_fit_is_refused(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], tmp_path: Path, text: str, told: str
) -> None:
    """A table that is no crosswalk of this run is refused, with the place and a remedy."""
    table = tmp_path / "police.csv"
    table.write_text(text, encoding="utf-8")
    result = run("evaluate", rehearsed[1], "--truth", extracts / "truth.csv", "--crosswalk", table)
    assert result.exit_code == 2
    assert told in result.output


def test_other_extracts_are_refused(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """Extracts that hold other numbers of people than the run would give nonsense, so they are refused."""
    other = tmp_path / "other"
    shutil.copytree(extracts, other)
    lines = (other / "police.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (other / "police.csv").write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    result = run("evaluate", rehearsed[1], "--truth", other / "truth.csv")
    assert result.exit_code == 2
    assert "not those of the run" in result.output


def test_what_is_missing_is_said(tmp_path: Path, rehearsed: tuple[dict[str, Any], Path]) -> None:
    """A folder without a run, and a run without a truth, are refused with a remedy."""
    (tmp_path / "empty").mkdir()
    assert "no run here" in run("evaluate", tmp_path / "empty").output
    assert "--truth" in run("evaluate", rehearsed[1]).output


def test_own_columns_to_group_by(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """A file of one's own with a row a person gives the groups; a column that is not there is refused."""
    with (extracts / "truth.csv").open(encoding="utf-8") as stream:
        people = sorted({row["person"] for row in csv.DictReader(stream)})
    lines = ["person,team", *(f"{person},{'red' if n % 3 else 'blue'}" for n, person in enumerate(people))]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    call = (rehearsed[1], "--truth", extracts / "truth.csv", "--people", tmp_path / "people.csv", "--by")
    found = _evaluated(*call, "team")
    assert [(row["grouping"], row["group"]) for row in found["groups"]] == [("team", "blue"), ("team", "red")]
    assert sum(row["links"]["true_pairs"] for row in found["groups"]) == found["links"]["true_pairs"]
    result = run("evaluate", *call, "colour")
    assert result.exit_code == 2
    assert "colour" in result.output


class _Page(HTMLParser):
    """Collects what a page loads, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.open: list[str] = []
        self.plots = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "xlink:href"}]
        self.plots += tag == "svg"
        if tag not in {"meta", "br", "path", "circle", "rect", "polyline", "link"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(
    extracts: Path, rehearsed: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    """The page has three plots, each with a title and a description, closes its tags, and shows no reference."""
    page = tmp_path / "evaluation.html"
    result = run("evaluate", rehearsed[1], "--truth", extracts / "truth.csv", "--html", page)
    assert result.exit_code == 0, result.output
    text = page.read_text(encoding="utf-8")
    parser = _Page()
    parser.feed(text)
    assert parser.open == []
    assert parser.loads == []
    assert parser.plots == text.count("<desc>") == 3
    assert "Who is missed, or wrongly linked, more" in text
    assert "Who is missed, or wrongly linked, more" in result.output
    assert not re.search(r"POL-\d|H-0\d|P0000\d", text + result.output)


def _row(grouping: str, group: str, recall: float, others: float, pairs: int) -> dict[str, Any]:
    def share(value: float) -> dict[str, float]:
        return {"value": value, "low": max(0.0, value - 0.02), "high": min(1.0, value + 0.02)}

    fine = share(0.99)
    return {
        "grouping": grouping,
        "group": group,
        "source": "people file",
        "people": pairs,
        "links": {"true_pairs": pairs, "false": 0, "recall": share(recall), "precision": fine, "f1": fine},
        "others": {"recall": share(others), "precision": fine, "f1": fine},
        "effective": {"recall": [pairs, 10 * pairs], "precision": [pairs, 10 * pairs]},
    }


def test_the_reading_names_who_is_missed_more() -> None:
    """A group that is certainly missed more is named with its figures; small or uncertain ones are not accused."""
    groups = [
        _row("mover", "yes", 0.90, 0.98, 1000),
        _row("mover", "no", 0.98, 0.90, 1000),
        _row("twin", "yes", 0.50, 0.98, 12),
        _row("name_origin", "west_african", 0.97, 0.98, 60),
    ]
    told = reading({"groups": groups})
    assert told[0].startswith("People who moved home in the last three years: 90.0% (88.0% to 92.0%)")
    assert "missed 5.0 times as often" in told[0]
    assert told[1] == "Too few pairs to say: twins."
    assert len(told) == 2
    assert reading({"groups": groups[3:]}) == [
        "No group is clearly missed, or wrongly linked, more than everyone else."
    ]
    assert group_name(groups[3]) == "people with names of West African origin"


@pytest.mark.parametrize(
    ("right", "verdict"),
    [(0.99, "cautious"), (0.91, "about as often as scored"), (0.70, "over-confident")],
)
def test_the_statement_on_calibration(right: float, verdict: str) -> None:
    """Whether pairs scored 0.9 are right nine times in ten is said plainly, by the interval."""
    entry = {
        "from": 0.85,
        "to": 0.95,
        "pairs": 400,
        "score": 0.9,
        "right": {"value": right, "low": right - 0.03, "high": min(1.0, right + 0.01)},
    }
    told = calibration_sentences(
        {"calibration": {"bins": [entry], "pairs": 400, "expected": 360.0, "right": 400 * right}}
    )
    assert verdict in told[0]
    assert "400 pairs" in told[1]


def test_text_of_a_run_without_any_pair() -> None:
    """Where nothing is defined the text says so with dashes instead of failing."""
    none = {"value": None, "low": None, "high": None}
    row = {
        "true_pairs": 0,
        "found": 0,
        "missed": 0,
        "false": 0,
        "precision": none,
        "recall": none,
        "f1": none,
    }
    figures = {
        "run": "r",
        "references": 2,
        "people": 2,
        "threshold": 0.5,
        "links": row,
        "best": {"threshold": 1.0, **row},
        "clusters": {**row, "people": 0, "whole": 0, "split": 0, "mixed": 0},
        "blocking": {"recall": none},
        "groups": [],
        "calibration": {"bins": [], "pairs": 0, "expected": 0.0, "right": 0},
    }
    assert "No pair was compared" in evaluation_text(figures)
