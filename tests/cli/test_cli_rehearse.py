"""`tallystick rehearse` as its user meets it: the JSON contract, messy extracts, and refusals."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import pytest

from governance.agreement_reading import read_document
from governance.disclosure import STAYS_HERE
from governance.report import rehearsal_html
from governance.summary import summary_text
from synthetic import stages
from tests.conftest import run

IDENTIFIERS = "ref,forename,surname,dob,sex,postcode,uprn,nhs_number,address"
HEADER = f"{IDENTIFIERS},record_date,contact_type,case_status,lead_contact"


def test_json_has_the_contract_shape(rehearsed: tuple[dict[str, Any], Path]) -> None:
    """Every field that the command contract names is there, with the right kind of value."""
    figures, _ = rehearsed
    for name in ("agreement", "best"):
        assert {"threshold", "precision", "recall", "f1"} <= figures["pairs"][name].keys()
        assert all(isinstance(value, float) for value in figures["pairs"][name].values())
    assert {"precision", "recall", "f1", "count", "largest", "review"} <= figures["clusters"].keys()
    assert {"passes", "candidate_pairs", "recall"} <= figures["blocking"].keys()
    assert {"d", "lambda", "expected_reidentification"} <= figures["privacy"].keys()
    assert len(figures["privacy"]["lambda"]) == figures["blocking"]["passes"]
    window = figures["multi_agency"]
    assert window["window_months"] == 12
    assert window["people"] == sum(window["by_agencies"].values()) > 0
    assert set(figures["input"]) == {
        "police",
        "health",
        "childrens_social_care",
        "adults_social_care",
        "fire_and_rescue",
    }
    assert all({"rows", "subjects", "unusable"} <= entry.keys() for entry in figures["input"].values())
    names = [stage["name"] for stage in figures["stages"]]
    assert "seal police" in names
    assert all({"name", "seconds", "cpu_seconds", "peak_mb"} == stage.keys() for stage in figures["stages"])


def test_the_report_says_where_it_stays(rehearsed: tuple[dict[str, Any], Path]) -> None:
    """A rehearsal shows small counts, and says so in its text and on its page; the JSON keeps its keys."""
    figures, out = rehearsed
    assert STAYS_HERE in summary_text(figures)
    assert any(STAYS_HERE in page.read_text(encoding="utf-8") for page in out.glob("*.html"))
    assert STAYS_HERE not in json.dumps(figures)


def test_an_unknown_peak_of_memory_is_not_shown_as_a_number(rehearsed: tuple[dict[str, Any], Path]) -> None:
    """Where a system tells no peak memory (Windows), text and page say that it was not measured, and not 0 MB."""
    figures, out = rehearsed
    agreement = read_document(out / "agreement.yaml")
    known = [{**stage, "peak_mb": peak} for stage, peak in zip(figures["stages"], [None, 1234], strict=False)]
    for shown in (summary_text, lambda held: rehearsal_html(held, agreement)):
        assert "1,234 MB" in shown({**figures, "stages": known})
        unknown = shown({**figures, "stages": [{**stage, "peak_mb": None} for stage in figures["stages"]]})
        assert "not measured" in unknown
        assert "0 MB" not in unknown


def test_an_unknown_peak_of_memory_is_null_in_the_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a system that tells no peak memory, a stage has none."""
    monkeypatch.setattr(stages, "_STATUS", tmp_path / "none")
    monkeypatch.setattr("sys.platform", "win32")
    measured = stages.Stages()
    with measured("read"):
        pass
    assert json.loads(json.dumps([asdict(stage) for stage in measured.done]))[0]["peak_mb"] is None


def test_links_well_within_the_privacy_budget(rehearsed: tuple[dict[str, Any], Path]) -> None:
    """On invented households the sealed linkage is accurate at the agreement's own threshold, at d of at most 0.2."""
    figures, _ = rehearsed
    assert figures["pairs"]["agreement"]["f1"] > 0.97
    assert figures["clusters"]["f1"] > 0.97
    assert 0 < figures["privacy"]["d"] <= 0.2
    assert all(value <= 0.05 for value in figures["privacy"]["lambda"].values())
    assert 0 < figures["privacy"]["expected_reidentification"] < 0.1


def test_kept_output_holds_agreement_report_and_results(
    rehearsed: tuple[dict[str, Any], Path], extracts: Path
) -> None:
    """The output folder has what each role would hold, and an agency's results hold only its own references."""
    figures, out = rehearsed
    assert (out / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run("agreement", "check", out / "agreement.yaml").exit_code == 0
    own = {}
    for agency in figures["input"]:
        assert (out / "unit" / "run" / "returns" / f"{agency}.tally").exists()
        with (extracts / f"{agency}.csv").open(encoding="utf-8") as stream:
            reader = csv.reader(stream)
            next(reader)
            own[agency] = {cell for row in reader for cell in row}
    for agency in figures["input"]:
        with (out / "agencies" / agency / "results.csv").open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        assert rows
        assert all(row["ref"] in own[agency] for row in rows)
        assert all(row["agency"] != agency for row in rows)
        assert all(row["last_date"] <= figures["multi_agency"]["as_of"] for row in rows)


def test_given_agreement_is_obeyed(
    rehearsed: tuple[dict[str, Any], Path], extracts: Path, tmp_path: Path
) -> None:
    """A kept agreement, adapted by hand, decides passes, window and threshold of the next rehearsal."""
    _, out = rehearsed
    text = (out / "agreement.yaml").read_text(encoding="utf-8")
    adapted = tmp_path / "agreement.yaml"
    adapted.write_text(text.replace("months: 12", "months: 3").replace("threshold: 0.5", "threshold: 0.97"))
    result = run("rehearse", extracts, "--agreement", adapted, "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["multi_agency"]["window_months"] == 3
    assert figures["pairs"]["agreement"]["threshold"] == 0.97
    assert set(figures["privacy"]["lambda"]) == set(rehearsed[0]["privacy"]["lambda"])


def test_a_smaller_budget_is_planned_for_and_agreed(
    rehearsed: tuple[dict[str, Any], Path], extracts: Path, tmp_path: Path
) -> None:
    """--budget plans passes under less, which a thief learns less from, and the draft states it for the real runs."""
    out = tmp_path / "out"
    result = run("rehearse", extracts, "--budget", "0.02", "--out", out, "--json")
    assert result.exit_code == 0, result.output
    smaller, usual = json.loads(result.stdout)["privacy"], rehearsed[0]["privacy"]
    assert 0 < smaller["d"] <= 0.02
    assert max(smaller["lambda"].values()) <= 0.01
    assert smaller["expected_reidentification"] < usual["expected_reidentification"]
    assert "d: 0.02" in (out / "agreement.yaml").read_text(encoding="utf-8")


def test_a_given_agreement_has_its_own_budget(extracts: Path, rehearsed: tuple[dict[str, Any], Path]) -> None:
    """--budget beside --agreement is refused, as it would change nothing."""
    result = run("rehearse", extracts, "--agreement", rehearsed[1] / "agreement.yaml", "--budget", "0.1")
    assert result.exit_code == 2
    assert "an agreement states its own" in result.stderr


def test_as_of_moves_the_window(extracts: Path, rehearsed: tuple[dict[str, Any], Path]) -> None:
    """With --as-of long before the first contact nobody is inside the window."""
    agreement = rehearsed[1] / "agreement.yaml"
    result = run("rehearse", extracts, "--agreement", agreement, "--as-of", "2001-01-01", "--json")
    assert json.loads(result.stdout)["multi_agency"] == {
        "window_months": 12,
        "as_of": "2001-01-01",
        "people": 0,
        "by_agencies": {},
    }


def test_pipe_gets_one_object_and_nothing_else(tmp_path: Path) -> None:
    """In a pipe, stdout is exactly one JSON object and stderr is silent."""
    _write(tmp_path / "in", {"alpha": _people(), "beta": _people()})
    done = subprocess.run(
        [sys.executable, "-c", "import cli; cli.main()", "rehearse", str(tmp_path / "in"), "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert set(json.loads(done.stdout)) >= {
        "pairs",
        "clusters",
        "blocking",
        "privacy",
        "multi_agency",
        "input",
    }


FORENAMES = ("Amelia", "Bartholomew", "Cressida", "Dominic", "Eleanora", "Frederick", "Guinevere", "Horatio")
SURNAMES = ("Abernathy", "Bickerstaff", "Cholmondeley", "Dankworth", "Entwistle", "Fazakerley", "Grimshaw")


def _people(count: int = 90) -> list[dict[str, str]]:
    """Invented people with all columns filled, each combination of names once, born on days that tell nothing else."""
    random = Random(count)
    return [
        {
            "ref": f"R{number:04d}",
            "forename": FORENAMES[number % len(FORENAMES)],
            "surname": SURNAMES[number // len(FORENAMES) % len(SURNAMES)],
            "dob": f"{random.randrange(1950, 2010)}-{random.randrange(1, 13):02d}-{random.randrange(1, 29):02d}",
            "sex": "MF"[number % 2],
            "postcode": f"AB{number % 9 + 1} {number // 9 % 9 + 1}"
            f"{'ABDEFGHJ'[number % 8]}{'LNPQRSTU'[number // 8 % 8]}",
            "uprn": str(100_000_000 + number),
            "nhs_number": "",
            "address": f"{number + 1} Larkspur Lane",
            "record_date": "2026-05-01",
            "contact_type": "visit",
            "case_status": "open",
            "lead_contact": "Duty desk, 01632 960000",
        }
        for number in range(count)
    ]


def _write(folder: Path, extracts: dict[str, list[dict[str, str]]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for agency, rows in extracts.items():
        names = list(rows[0])
        lines = [",".join(names), *(",".join(f'"{row[name]}"' for name in names) for row in rows)]
        (folder / f"{agency}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    truth = [f"{agency},{row['ref']},{row['ref']}" for agency, rows in extracts.items() for row in rows]
    (folder / "truth.csv").write_text("\n".join(["agency,ref,person", *truth]) + "\n", encoding="utf-8")


def _rehearse(folder: Path) -> dict[str, Any]:
    result = run("rehearse", folder, "--json")
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


@pytest.mark.parametrize("missing", ["uprn", "postcode", "sex", "address", "dob", "record_date"])
def test_missing_column_still_links(tmp_path: Path, missing: str) -> None:
    """A file that lacks a column altogether still links by what the others hold."""
    without = [{name: value for name, value in row.items() if name != missing} for row in _people()]
    _write(tmp_path, {"alpha": _people(), "beta": without})
    figures = _rehearse(tmp_path)
    assert figures["pairs"]["best"]["recall"] > 0.95
    assert figures["pairs"]["best"]["precision"] > 0.95


def test_messy_values_are_the_same_people(tmp_path: Path) -> None:
    """Case, date formats, spaces, byte-order mark, Windows line ends and semicolons make no difference."""
    _write(tmp_path, {"alpha": _people()})
    lines = [HEADER.upper().replace(",", ";")]
    for number, row in enumerate(_people()):
        year, month, day = row["dob"].split("-")
        row["dob"] = [f"{day}/{month}/{year}", f"{year}{month}{day}", row["dob"]][number % 3]
        row["forename"], row["surname"] = row["forename"].upper(), f" {row['surname'].lower()} "
        row["postcode"] = row["postcode"].replace(" ", "").lower()
        row["sex"] = {"M": "male", "F": "Female"}[row["sex"]]
        lines.append(";".join(row[name] for name in HEADER.split(",")))
    (tmp_path / "beta.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode() + b"\r\n")
    with (tmp_path / "truth.csv").open("a") as stream:
        stream.writelines(f"beta,{row['ref']},{row['ref']}\n" for row in _people())
    assert _rehearse(tmp_path)["pairs"]["best"]["f1"] > 0.98


def test_nhs_numbers_with_and_without_spaces_agree(tmp_path: Path) -> None:
    """NHS numbers link whatever their spacing, even when nothing else but the forename agrees."""
    numbers = [number for number in range(400_000_000, 400_000_400) if _check_digit(number) is not None]
    left, right = _people(60), _people(60)
    for number, (a, b) in enumerate(zip(left, right, strict=True)):
        full = f"{numbers[number]}{_check_digit(numbers[number])}"
        a["nhs_number"], b["nhs_number"] = full, f"{full[:3]} {full[3:6]} {full[6:]}"
        b["dob"] = b["postcode"] = b["uprn"] = b["address"] = ""
    _write(tmp_path, {"alpha": left, "beta": right})
    assert _rehearse(tmp_path)["pairs"]["best"]["recall"] > 0.98


def _check_digit(number: int) -> int | None:
    """Modulus 11 as the NHS Data Dictionary describes it; None where no digit is valid."""
    total = sum(int(digit) * weight for digit, weight in zip(f"{number:09d}", range(10, 1, -1), strict=True))
    digit = 11 - total % 11
    return 0 if digit == 11 else None if digit == 10 else digit


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("beta.csv", b"", "empty"),
        ("beta.csv", HEADER.encode() + b"\n", "no rows"),
        ("beta.csv", b"PK\x03\x04\x00\x00binary\x00\x01", "not a text file"),
        ("beta.csv", b"name,dob\nCanary,2001-01-01\n", "no column `ref`"),
        ("beta.csv", HEADER.encode() + b"\nR1,Canary\n", "more or fewer columns"),
        ("ALPHA.parquet", b"", "would both be the agency alpha"),
        ("mapping.yaml", b"agencies: {alpha: {columns: {surname: nowhere}}}", "nowhere"),
        ("mapping.yaml", b"agencies: {alpha: {columns: {nosuch: ref}}}", "nosuch"),
        ("mapping.yaml", b"agencies: {gamma: {columns: {}}}", "no extract of gamma"),
        ("mapping.yaml", b"agencies: {alpha: {columns: {ref: ref}}, alpha: {}}", "a key stands twice"),
        ("truth.csv", b"agency,ref\nalpha,R0001\n", "person"),
    ],
)
def test_bad_input_is_one_clear_error(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    """Bad input gives one message that says what and where, exit code 2, and nothing half-written."""
    folder, out = tmp_path / "in", tmp_path / "out"
    _write(folder, {"alpha": _people()})
    (folder / name).write_bytes(content)
    result = run("rehearse", folder, "--out", out)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("Error") == 1
    assert expected in result.stderr
    assert "Canary" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A missing folder and an empty one are refused with what to do next."""
    assert run("rehearse", tmp_path / "nowhere").exit_code == 2
    result = run("rehearse", tmp_path)
    assert result.exit_code == 2
    assert "one CSV file for each agency" in result.stderr


def test_output_that_exists_is_not_touched(tmp_path: Path) -> None:
    """An output folder with something in it is left alone."""
    _write(tmp_path / "in", {"alpha": _people(), "beta": _people()})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    result = run("rehearse", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_identifiers_too_weak_are_refused(tmp_path: Path) -> None:
    """Names alone cannot tell a crowd apart: no pass is strong enough, and the message says what to add."""
    names = [
        {"ref": f"R{n}", "forename": FORENAMES[n % 8], "surname": SURNAMES[n // 8 % 7]} for n in range(2000)
    ]
    _write(tmp_path / "in", {"alpha": names, "beta": names})
    result = run("rehearse", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "strong enough" in result.stderr
    assert not (tmp_path / "out").exists()


def test_one_agency_with_many_duplicates(tmp_path: Path) -> None:
    """A single extract in which most people stand twice is linked within itself."""
    once = _people(300)
    again = [
        {**row, "ref": f"D{row['ref']}", "dob": row["dob"][:-1] + "0", "address": ""}
        if n % 2
        else {**row, "ref": f"D{row['ref']}", "forename": row["forename"][:-1], "postcode": ""}
        for n, row in enumerate(once)
    ]
    _write(tmp_path, {"alpha": [*once, *again]})
    truth = ["agency,ref,person", *(f"alpha,{row['ref']},{row['ref'][-5:]}" for row in [*once, *again])]
    (tmp_path / "truth.csv").write_text("\n".join(truth) + "\n", encoding="utf-8")
    figures = _rehearse(tmp_path)
    assert figures["pairs"]["best"]["recall"] > 0.9
    assert figures["pairs"]["best"]["precision"] > 0.95


def test_extracts_without_dates_are_rehearsed_whole(tmp_path: Path) -> None:
    """Under an agreement that seals people in contact only, extracts that date nothing show how well links work."""
    undated = [{**person, "record_date": ""} for person in _people()]
    _write(tmp_path / "in", {"alpha": _people(), "beta": undated})
    names = ["--party", "alpha", "--party", "beta"]
    made = run("agreement", "new", *names, "--out", tmp_path / "agreement.yaml")
    assert made.exit_code == 0, made.output
    result = run("rehearse", tmp_path / "in", "--agreement", tmp_path / "agreement.yaml", "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    assert figures["input"]["beta"]["subjects"] == figures["input"]["alpha"]["subjects"] == len(_people())
    assert figures["clusters"]["count"] < 2 * len(_people())
