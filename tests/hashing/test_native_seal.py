"""With the kernels and without, a seal is the same; and only the kernels that belong to these sources are used."""

from __future__ import annotations

import csv
import importlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from ctypes import c_int64, c_uint64, c_void_p
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashing.native import library
from hashing.native.building import FOLDER, compile_kernels, library_name, sources_digest
from synthetic.nhs import check_digits

ROOT = Path(__file__).parents[2]
_EXPORTED = re.compile(r"^KERNEL\b[^;{(]*?\b(tallystick_\w+)\s*\(", re.MULTILINE)

_WRITTEN_OUT = re.compile(r"^KERNEL\s+([\w ]+?)\s*(tallystick_\w+)\s*\(([^)]*)\)", re.MULTILINE)
"""What a kernel gives back, its name, and what it is given."""

_STEMS = np.arange(634_100_000, 634_100_060)
_WRITTEN = {
    "forename": "Mary|MARY |Zoë|Chloé-Anne|Jean Luc|D'Arcy|Mohammed|Muhamad|Li|J|Siobhán|Wojciech|Þóra|Александр|李|"
    "محمد|Ng|ab\u00adc|Mr. John|Baby|UNKNOWN||-|?|Anne\u00a0Marie|  |O|👶|İpek|ﬃon|Zoe\u0308|Peggy|Margaret|Twin 1|"
    f"{'x' * 90}",
    "surname": "O'Brien|O\u2019Brien|OBRIEN|van der Berg|Vanderberg|de Souza|McDonald|Mc Donald|Ng|Smith-Jones|Smith|"
    "Jones Smith|Smyth|Müller|Mueller|Łukasz|St. John|Nguyễn|Иванов|al-Rashid|Al Rashid||N/K|Surname|Q|Jr|Bint Ali|Li|"
    "Thomas (née Price)|" + "y" * 70,
    "dob": "1990-03-04|04/03/1990|1990-03-05|31/02/1990|1900-01-01|2031-01-01|1.1.2019||12-07-85|2019-01-01|2004-11-30",
    "sex": "F|M|male||?",
    "postcode": "LS6 3AB|ls63ab|LS6|BD1 1AA|ZZ99 3VZ|L S 6 3 A B|LS6 3AO||SW1A1AA|n/a",
    "uprn": "00100071|100082|0|1e5||100093.0|999999999999999|"
    + "|".join(str(200_000 + n) for n in range(60)),
    "nhs_number": "612 345 1782|6239817457|634-017-8294|612 345 1783|0000000000||x|"
    + "|".join(f"{stem}{digit}" for stem, digit in zip(_STEMS, check_digits(_STEMS), strict=True)),
    "address": "12 High Street|12 HIGH ST.|Flat 2, 12 High Street|Flat 2 12 High Rd|Rose Cottage, Mill Lane|,,|"
    "14a Low Lane, Leeds, LS6 3AB|12-14 High St|No fixed abode||1/2 Élan Road|The Old Mill",
    "record_date": "2026-02-01|03/02/2026||2027-01-01|not known",
    "case_status": "open|closed||perhaps",
    "lead_contact": "Quillfeather, extension 7781||T|Ünal",
}
LISTS = {name: texts.split("|") for name, texts in _WRITTEN.items()}
"""What may stand in a column: odd, missing, and written in several ways."""


def _rows(people: int, seed: int) -> list[dict[str, str]]:
    """One to four rows a person, later ones with some values changed; every combination of odd values may occur."""
    chance = random.Random(seed)
    rows = []
    for number in range(people):
        person = {name: chance.choice(values) for name, values in LISTS.items()}
        ref = chance.choice((f"P{number:05}", f"P{number:05}", f"P{number:05}", f"P{number - 1:05}", ""))
        for _ in range(chance.choice((1, 1, 2, 4))):
            changed = {name for name in LISTS if chance.random() < 0.15}
            rows.append(
                {"ref": ref}
                | {name: chance.choice(LISTS[name]) if name in changed else person[name] for name in LISTS}
            )
    chance.shuffle(rows)
    return rows


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An invented extract of five hundred people with odd names, missing values and several versions a person."""
    path = tmp_path_factory.mktemp("seal") / "extract.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ["ref", *LISTS])
        writer.writeheader()
        writer.writerows(_rows(500, 11))
    return path


def _python(*words: str | Path, path: Path = ROOT, switch: str = "on") -> str:
    """Run Python with the project that stands in `path`, and return what it printed."""
    environment = {
        **os.environ,
        library.SWITCH: switch,
        "PYTHONPATH": str(path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, env=environment, cwd=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _made_of(extract: Path, switch: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        _python(Path(__file__).with_name("sealing_digests.py"), extract, switch=switch)
    )
    return found


def test_a_seal_is_the_same_with_kernels_and_without(extract: Path) -> None:
    """All tables of a package and all its counts are equal, and neither way changes what it was given."""
    by_kernels = _made_of(extract, "on")
    if not by_kernels["kernels"]:
        pytest.skip("there are no compiled kernels here")
    by_numpy = _made_of(extract, "off")
    assert not by_numpy["kernels"]
    assert by_kernels["kept"]
    assert by_numpy["kept"]
    differing = {
        name for name, digest in by_numpy["tables"].items() if by_kernels["tables"].get(name) != digest
    }
    assert not differing
    assert by_kernels | {"kernels": False} == by_numpy


def test_the_extract_puts_the_passes_to_work(extract: Path) -> None:
    """Every pass has rows, and people have several versions, or the comparison above would say little."""
    made = _made_of(extract, "off")
    passes = made["passes"]
    assert len(passes) == 8
    for sealed, incomplete, _ in passes.values():
        assert sealed > 50
        assert incomplete > 0
    assert sum(crowded > 0 for _, _, crowded in passes.values()) > 2
    assert made["rows"]["versions"] > 500


def test_each_kernel_has_one_name_and_a_wrapper_that_says_what_it_takes() -> None:
    """No two sources offer one name, each kernel is called from Python, and Python calls no other."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.c"))]
    offered = Counter(name for text in sources for name in _EXPORTED.findall(text))
    assert (
        sum(len(re.findall(r"^KERNEL\b", text, re.MULTILINE)) for text in sources)
        == sum(offered.values())
        > 20
    )
    assert {name for name, times in offered.items() if times > 1} == set()
    called = {
        name
        for path in FOLDER.glob("*.py")
        for name in re.findall(r"\.(tallystick_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert called == offered.keys()


def _kind(written: str) -> object:
    """Return what ctypes has to be told of a parameter or an answer in C."""
    if "*" in written:
        return c_void_p
    return {"int64_t": c_int64, "uint64_t": c_uint64, "void": None}[written.split(maxsplit=1)[0]]


def test_each_kernel_is_declared_as_it_is_written() -> None:
    """Told of other kinds, or of none, ctypes would cut an address to 32 bits, or hand over too little."""
    loaded = library.kernels()
    if loaded is None:
        pytest.skip("there are no compiled kernels here")
    for path in FOLDER.glob("*.py"):
        if "def _kernels(" in path.read_text(encoding="utf-8"):
            importlib.import_module(f"hashing.native.{path.stem}")._kernels()
    seen = 0
    for path in FOLDER.glob("*.c"):
        for answer, name, given in _WRITTEN_OUT.findall(path.read_text(encoding="utf-8")):
            if name == "tallystick_sources":
                continue
            seen += 1
            kernel = getattr(loaded, name)
            assert kernel.argtypes is not None, name
            assert [*kernel.argtypes] == [_kind(each) for each in given.split(",")], name
            assert kernel.restype == _kind(answer), name
    assert seen > 20


_LOADED = """
from hashing.native import library
print(library.FOLDER)
print(library.kernels() is not None)
"""


@pytest.fixture
def aside(tmp_path: Path) -> Path:
    """A copy of the kernels, with their library, in a project of its own."""
    if not (FOLDER / library_name()).exists():
        pytest.skip("there are no compiled kernels here")
    package = tmp_path / "hashing"
    package.mkdir()
    (package / "__init__.py").touch()
    native = package / "native"
    shutil.copytree(FOLDER, native, ignore=shutil.ignore_patterns("__pycache__", ".compiling-*"))
    if not _is_loaded(native):
        pytest.skip("there are no compiled kernels here")
    return native


def _is_loaded(native: Path) -> bool:
    folder, loaded = _python("-c", _LOADED, path=native.parents[1]).split("\n")[:2]
    assert Path(folder).samefile(native)
    return loaded == "True"


@pytest.mark.parametrize("name", ["tokens.c", "kernels.h", "another.c"])
def test_a_library_of_other_sources_is_not_used(aside: Path, name: str) -> None:
    """A changed source, a changed header or a new source leaves the work to NumPy until it is compiled."""
    with (aside / name).open("a", encoding="utf-8") as source:
        source.write("/* changed */\n")
    assert not _is_loaded(aside)


def test_a_library_is_used_whatever_the_ends_of_lines(aside: Path) -> None:
    """A checkout on Windows may end the lines of the sources otherwise; the library is the same."""
    for path in aside.glob("*.[ch]"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert _is_loaded(aside)


@pytest.mark.parametrize("content", [b"", b"no library\n", None], ids=["empty", "text", "none"])
def test_a_file_that_is_no_library_is_not_used(aside: Path, content: bytes | None) -> None:
    """A broken file, or none, leaves the work to NumPy."""
    (aside / library_name()).unlink()
    if content is not None:
        (aside / library_name()).write_bytes(content)
    assert not _is_loaded(aside)


def test_a_library_of_something_else_is_not_used(aside: Path) -> None:
    """A library that does not say what it was compiled from leaves the work to NumPy."""
    other = find_spec("_ctypes_test") or find_spec("_json") or find_spec("_ctypes")
    if other is None or other.origin is None or not Path(other.origin).is_file():
        pytest.skip("Python has no library of its own here")
    (aside / library_name()).unlink()
    shutil.copy(other.origin, aside / library_name())
    assert not _is_loaded(aside)


_COMPILER = """
import pathlib, sys
target = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
target.write_bytes(b"new " + b"".join(pathlib.Path(word).name.encode() for word in sys.argv if word.endswith(".c")))
sys.exit({status})
"""


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A folder with two sources and an old library."""
    for name in ("one.c", "two.c"):
        (tmp_path / name).write_text("/* nothing */\n", encoding="utf-8")
    (tmp_path / library_name()).write_bytes(b"old")
    return tmp_path


def test_a_library_is_replaced_as_a_whole(sources: Path) -> None:
    """What the compiler made of all sources stands in place of the old one, and nothing else is left."""
    made = compile_kernels([sys.executable, "-c", _COMPILER.format(status=0)], folder=sources)
    assert made == sources / library_name()
    assert made.read_bytes() == b"new one.ctwo.c"
    assert {path.name for path in sources.iterdir()} == {"one.c", "two.c", library_name()}


@pytest.mark.parametrize("status", [1, "'a fault at line 3'"])
def test_a_failing_compiler_leaves_the_old_library(sources: Path, status: int | str) -> None:
    """A compiler that fails after it wrote something leaves the old library, and nothing beside it."""
    with pytest.raises(subprocess.CalledProcessError) as raised:
        compile_kernels([sys.executable, "-c", _COMPILER.format(status=status)], folder=sources)
    assert isinstance(status, int) or "a fault at line 3" in raised.value.stderr
    assert (sources / library_name()).read_bytes() == b"old"
    assert {path.name for path in sources.iterdir()} == {"one.c", "two.c", library_name()}


@pytest.mark.parametrize("made_by", ["missing", "idle"])
def test_a_compiler_that_makes_nothing_leaves_the_old_library(sources: Path, made_by: str) -> None:
    """A compiler that is not there, or says that all is well and makes no file, is an error of the system."""
    command = [str(sources / "none")] if made_by == "missing" else [sys.executable, "-c", "pass"]
    with pytest.raises(OSError, match="none" if made_by == "missing" else library_name()):
        compile_kernels(command, folder=sources)
    assert (sources / library_name()).read_bytes() == b"old"
    assert {path.name for path in sources.iterdir()} == {"one.c", "two.c", library_name()}


def test_compilers_have_nothing_to_say(tmp_path: Path) -> None:
    """The kernels compile without a warning, by every C compiler that is here."""
    for path in FOLDER.glob("*.[ch]"):
        shutil.copy(path, tmp_path)
    found = [name for name in ("gcc", "clang") if shutil.which(name)]
    if not found:
        pytest.skip("there is no C compiler here")
    for name in found:
        compile_kernels(
            [name, "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-Werror"], folder=tmp_path
        )


def test_the_digest_tells_sources_apart(sources: Path) -> None:
    """Another text, another name, or a text that moves from one source to the next gives another digest."""
    seen = {sources_digest(sources)}
    (sources / "one.c").write_text("/* something */\n", encoding="utf-8")
    seen.add(sources_digest(sources))
    (sources / "one.c").rename(sources / "three.c")
    seen.add(sources_digest(sources))
    (sources / "notes.txt").touch()
    (sources / library_name()).write_bytes(b"another")
    seen.add(sources_digest(sources))
    assert len(seen) == 3
