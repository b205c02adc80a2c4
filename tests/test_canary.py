"""No identifier ever shows: canary values go through every success and failure, and everything written is searched."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import run
from tests.governance.agreements import EXCLUDED, finish_draft

CANARIES = {
    "ref": "REFCANARYX",
    "forename": "Zephyrcanary",
    "surname": "Quillcanary",
    "dob": "1987-11-23",
    "postcode": "ZE99 9QX",
    "uprn": "739128461098",
    "nhs_number": "9434765919",
    "address": "77 Canarywharf Lane",
    "lead_contact": "Canarina Lead 01632 960999",
}
SECRETS = {"TALLYSTICK_PASSPHRASE": "canary passphrase 31337"}
BEACONS = [
    b"refcanaryx",
    b"zephyrcanary",
    b"quillcanary",
    b"1987-11-23",
    b"23/11/1987",
    b"19871123",
    b"ze999qx",
    b"ze99 9qx",
    b"73912846",
    b"9434765919",
    b"canarywharf",
    b"canarina",
    b"canary passphrase",
]


FIRST = ("Bram", "Cleo", "Dov", "Esme", "Fitz", "Gwen", "Hugo", "Ines", "Jem", "Kit")
LAST = ("Mor", "Nash", "Pell", "Rook", "Stan", "Tuck")


def _rows(count: int = 60) -> list[dict[str, str]]:
    """Canary people: every value, or that of the first of them, is a beacon; otherwise they differ as people do."""
    return [
        {
            **CANARIES,
            "ref": f"{CANARIES['ref']}{number}",
            "forename": FIRST[number % 10] + CANARIES["forename"].lower(),
            "surname": LAST[number // 10 % 6] + CANARIES["surname"].lower(),
            "dob": f"{1930 + number}-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
            if number
            else CANARIES["dob"],
            "postcode": f"ZE{number} 1AA" if number else CANARIES["postcode"],
            "uprn": f"73912846{number:04d}",
            "nhs_number": "",
            "address": f"{number} Canarywharf Lane",
            "record_date": "2026-03-03",
        }
        for number in range(count)
    ]


def _extract(folder: Path, name: str, rows: list[dict[str, str]], *, header: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    names = list(rows[0])
    lines = [header or ",".join(names), *(",".join(row[name] for name in names) for row in rows)]
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _search(text: bytes, where: str) -> None:
    lowered = text.lower()
    found = [beacon.decode() for beacon in BEACONS if beacon in lowered]
    assert not found, f"{where} shows {found}"


def _search_folder(folder: Path, *, without: tuple[str, ...] = ()) -> int:
    searched = 0
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in without:
            _search(path.read_bytes(), path.name)
            searched += 1
    return searched


def test_everything_kept_but_the_agencys_own_results_is_free_of_identifiers(tmp_path: Path) -> None:
    """Packages, crosswalks, run folder, agreement and report show no identifier; the agency's own result does."""
    for agency in ("alpha", "beta"):
        _extract(tmp_path / "in", f"{agency}.csv", _rows())
    result = run("rehearse", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    _search(result.output.encode(), "output")
    assert _search_folder(tmp_path / "out", without=("results.csv",)) > 8
    # The search can find what it looks for: the agency's own result names its own people.
    with pytest.raises(AssertionError, match="refcanaryx"):
        _search_folder(tmp_path / "out" / "agencies")


def test_temporary_files_are_free_of_identifiers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rehearsal keeps nowhere stands in a temporary folder meanwhile, without any identifier."""
    for agency in ("alpha", "beta"):
        _extract(tmp_path / "in", f"{agency}.csv", _rows())
    searched = []

    class Searched(tempfile.TemporaryDirectory[str]):
        def cleanup(self) -> None:
            if Path(self.name).exists():
                searched.append(_search_folder(Path(self.name)))
            super().cleanup()

    monkeypatch.setattr(tempfile, "TemporaryDirectory", Searched)
    assert run("rehearse", tmp_path / "in").exit_code == 0
    assert sum(searched) > 5


BROKEN: dict[str, Any] = {
    "ragged row": lambda folder: _extract(folder, "beta.csv", _rows()).write_text(
        "ref,forename,surname\nREFCANARYX1,Zephyrcanary\n"
    ),
    "open quote": lambda folder: _extract(folder, "beta.csv", _rows()).write_text(
        'ref,forename,surname\nREFCANARYX1,"Zephyrcanary,Quillcanary\n'
    ),
    "no reference column": lambda folder: _extract(
        folder, "beta.csv", [{"name": CANARIES["forename"], "dob": CANARIES["dob"]}]
    ),
    "nothing usable": lambda folder: _extract(
        folder, "beta.csv", [{"ref": "", "forename": "Zephyrcanary"}] * 3
    ),
    "every date wrong": lambda folder: _extract(
        folder, "beta.csv", [{**row, "dob": "23/11/1987/Quillcanary"} for row in _rows()]
    ),
    "numbers of the wrong kind": lambda folder: _extract(
        folder, "beta.csv", [{**row, "uprn": "Zephyrcanary", "nhs_number": "Quillcanary"} for row in _rows()]
    ),
    "truth without a column": lambda folder: (folder / "truth.csv").write_text(
        "agency,ref\nalpha,REFCANARYX1\n"
    ),
    "not text": lambda folder: (folder / "beta.csv").write_bytes(b"\x00\x01REFCANARYX1,Zephyrcanary\n"),
    "wrong encoding": lambda folder: (folder / "beta.csv").write_bytes(
        b"ref,forename\nREFCANARYX1,Zephyrcanary\x81\n"
    ),
    "mapping to nowhere": lambda folder: (folder / "mapping.yaml").write_text(
        "agencies: {alpha: {columns: {surname: elsewhere}, codes: {sex: {Zephyrcanary: M}}}}"
    ),
    "broken mapping": lambda folder: (folder / "mapping.yaml").write_text("agencies: {alpha: [Quillcanary"),
    "parquet that is none": lambda folder: (folder / "gamma.parquet").write_bytes(b"PAR1Quillcanary"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_failing_rehearsals_say_no_identifier(tmp_path: Path, case: str) -> None:
    """Whatever is wrong with an extract, messages name places and never values, and nothing is left behind."""
    _extract(tmp_path / "in", "alpha.csv", _rows())
    BROKEN[case](tmp_path / "in")
    result = run("rehearse", tmp_path / "in", "--out", tmp_path / "out")
    _search(result.output.encode(), case)
    if result.exit_code != 0:
        assert result.stderr.startswith("Error: ")
        assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_sealing_and_its_failures_say_no_identifier_and_no_secret(tmp_path: Path) -> None:
    """Keys, packages, messages and JSON of the real commands show neither an identifier nor the passphrase."""
    made = tmp_path / "made"
    made.mkdir()
    extract = _extract(tmp_path / "in", "alpha.csv", _rows())
    said = []

    def do(*arguments: str | Path) -> int:
        result = run(*arguments, env=SECRETS)
        said.append(result.output)
        return result.exit_code

    for party in ("alpha", "beta", "unit"):
        assert do("keys", "new", party, "--out", made / f"{party}.key") == 0
    keys = [word for party in ("alpha", "beta", "unit") for word in ("--keys", made / f"{party}.key")]
    agreement = ("--agreement", made / "agreement.yaml")
    assert (
        do(
            "agreement",
            "new",
            "--party",
            "alpha",
            "--party",
            "beta",
            *keys,
            "--unit",
            "unit",
            *("--out", agreement[1]),
        )
        == 0
    )
    # Names that all hold the same beacon meet too often in passes on parts of names.
    strong = [
        line for line in agreement[1].read_text().splitlines() if not re.search(r"- .*(3|phonetic)", line)
    ]
    agreement[1].write_text("\n".join(strong) + "\n")
    finish_draft(agreement[1])
    for party in ("alpha", "beta"):
        assert do("agreement", "sign", agreement[1], "--key", made / f"{party}.key") == 0
    (made / "exchange").mkdir()
    for step in ("contribute", "contribute", "combine"):
        for party in ("alpha", "beta"):
            own = (
                "--key",
                made / f"{party}.key",
                "--folder",
                made / "exchange",
                "--own",
                made / f"{party}.own",
            )
            out = ("--out", made / f"{party}.secret") if step == "combine" else ()
            assert do("keys", step, *agreement, *own, *out) == 0
    role = (*agreement, "--key", made / "alpha.key", "--secret", made / "alpha.secret", "--run", "r1")
    files = ("--out", made / "alpha.tally", "--crosswalk", made / "alpha.crosswalk")
    files = (*files, *EXCLUDED)
    assert do("seal", extract, *role, *files, "--json") == 0
    assert do("seal", extract, *role, "--out", tmp_path / "nowhere" / "x", "--crosswalk", made / "y") != 0
    shutil.copy(extract, made.parent / "extract.tally")
    assert (
        do(
            "link",
            made.parent / "extract.tally",
            *agreement,
            "--key",
            made / "unit.key",
            "--out",
            made / "run",
        )
        == 1
    )
    assert (
        do("link", made / "alpha.tally", *agreement, "--key", made / "unit.key", "--out", made / "run") == 0
    )
    _search("".join(said).encode(), "output")
    assert _search_folder(made) > 12


EXTRACT_COMMANDS = {
    "profile": ("profile", "--html", "made.html", "--rejects", "made.csv"),
    "profile as JSON": ("profile", "--json"),
    "mapping guess": ("mapping", "guess", "--out", "made.yaml"),
}


@pytest.mark.parametrize("command", EXTRACT_COMMANDS)
@pytest.mark.parametrize(
    "case", [None, *(case for case in BROKEN if "mapping" not in case and "truth" not in case)]
)
def test_reports_on_extracts_say_no_identifier(tmp_path: Path, case: str | None, command: str) -> None:
    """Reports, drafts and rejects of good and of broken extracts hold counts, headers and row numbers only."""
    folder = tmp_path / "in"
    _extract(folder, "beta.csv", [*_rows(), {**_rows(1)[0], "ref": ""}])
    if case is not None:
        BROKEN[case](folder)
    made = tmp_path / "made"
    made.mkdir()
    words = [made / word if str(word).startswith("made.") else word for word in EXTRACT_COMMANDS[command]]
    extract = next(
        path for path in folder.iterdir() if case != "parquet that is none" or path.suffix == ".parquet"
    )
    result = run(*words, extract)
    _search(result.output.encode(), f"{command}, {case}")
    if result.exit_code == 0:
        assert _search_folder(made) == sum(word != "--json" and str(word).startswith("--") for word in words)
    else:
        assert result.stderr.startswith("Error: ")
        assert list(made.iterdir()) == []
