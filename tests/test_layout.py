"""The layout: imports go one way, the wheel holds six names, and what it installs runs anywhere."""

from __future__ import annotations

import ast
import csv
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from hashing.native.building import compiler, library_name
from hashing.native.library import SWITCH

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "schemas": set(),
    "governance": {"schemas"},
    "hashing": {"schemas", "governance"},
    "linkage": {"schemas", "governance"},
    "synthetic": {"schemas", "governance", "hashing", "linkage"},
    "cli": {"schemas", "governance", "hashing", "linkage", "synthetic"},
}
"""schemas <- governance <- hashing and linkage <- synthetic <- cli; hashing and linkage do not know each other."""

KERNELS = f"hashing/native/{library_name()}"
"""What the build compiles: not kept in the repository, and not there without a compiler."""

MODULES = sorted(
    path
    for name in MAY_IMPORT
    for path in ([ROOT / "cli.py"] if name == "cli" else (ROOT / name).rglob("*.py"))
)


def _imported(path: Path) -> set[str]:
    """Return the top-level names that a module imports anywhere, inside functions and type checks too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names |= {
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            }
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_imports_go_one_way(path: Path) -> None:
    """A module imports only what stands before its package in the order of the layout."""
    package = path.relative_to(ROOT).parts[0].removesuffix(".py")
    ours = _imported(path) & (MAY_IMPORT.keys() | {"tests", "benchmarks"})
    assert ours - {package} <= MAY_IMPORT[package]


@pytest.mark.parametrize(("package", "other"), [("linkage.run", "hashing"), ("hashing.package", "linkage")])
def test_neither_side_loads_the_other(package: str, other: str) -> None:
    """Running one side leaves the other unloaded: the unit has no code that reads a linkage secret."""
    code = f"import sys, {package}; print([name for name in sys.modules if name.split('.')[0] == '{other}'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@dataclass(frozen=True)
class _Installed:
    """The wheel, and a virtual environment that it alone was installed into."""

    wheel: Path
    home: Path

    @property
    def scripts(self) -> Path:
        return self.home / ("Scripts" if os.name == "nt" else "bin")

    def run(self, name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, far from the checkout."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        return subprocess.run(
            [str(self.scripts / name), *arguments],
            cwd=cwd,
            env={**kept, "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "cli.py", "hatch_build.py"):
        shutil.copy(ROOT / name, source)
    for name in MAY_IMPORT.keys() - {"cli"}:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    isolation = ["--no-build-isolation", "--no-index"] if find_spec("hatchling") else []
    _pip("wheel", "--no-deps", *isolation, "--wheel-dir", str(folder), str(source))
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> _Installed:
    """A clean environment with the wheel; its dependencies are lent by the environment that the tests run in."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    made = _Installed(wheel, home)
    python = next(made.scripts.glob("python*"))
    _pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    (site,) = home.rglob("site-packages")
    # A plain line of a .pth file adds the folder only: the checkout's own .pth in there has no effect.
    lent = "\n".join(sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    (site / "lent.pth").write_text(lent + "\n", encoding="utf-8")
    return made


def test_wheel_holds_six_names(wheel: Path) -> None:
    """The wheel installs exactly the names of the layout, with their data and type markers, and no test."""
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    top = {name.split("/")[0].removesuffix(".py") for name in names if ".dist-info/" not in name}
    assert top == set(MAY_IMPORT)
    for package in MAY_IMPORT.keys() - {"cli"}:
        assert f"{package}/py.typed" in names
        packed = {name for name in names if name.startswith(f"{package}/")}
        files = (ROOT / package).rglob("*")
        held = {p.relative_to(ROOT).as_posix() for p in files if p.is_file() and "__pycache__" not in p.parts}
        assert packed - {KERNELS} == held - {KERNELS}
    assert (KERNELS in names) == (compiler() is not None), "the kernels go along where they can be compiled"


def test_installed_wheel_says_its_version(installed: _Installed, tmp_path: Path) -> None:
    """`tallystick --version` runs from a folder that is not the checkout, and loads its own modules."""
    done = installed.run("tallystick", "--version", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert installed.wheel.name.split("-")[1] in done.stdout
    wanted = compiler() is not None and os.environ.get(SWITCH, "").lower() != "off"
    assert ("kernels: in use" in done.stdout) == wanted, done.stdout
    where = "import cli, linkage, schemas.errors as e; print(cli.__file__, linkage.__file__, e.__file__, sep='\\n')"
    shown = installed.run("python", "-c", where, cwd=tmp_path).stdout.split("\n")[:3]
    assert all(Path(path).is_relative_to(installed.home) for path in shown)


def test_installed_wheel_rehearses(installed: _Installed, tmp_path: Path) -> None:
    """`tallystick rehearse` finds its data files in the wheel and links a tiny folder."""
    folder = tmp_path / "extracts"
    folder.mkdir()
    people = [
        ("Ada", "Example", "1980-02-03", "F", "AB1 2CD"),
        ("Ben", "Sample", "1991-11-30", "M", "AB1 3EF"),
        ("Cleo", "Instance", "2009-07-15", "F", "AB2 4GH"),
    ]
    for agency in ("police", "health"):
        with (folder / f"{agency}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["ref", "forename", "surname", "dob", "sex", "postcode", "record_date"])
            for number, person in enumerate(people):
                writer.writerow([f"{agency[0]}{number}", *person, f"2026-05-{10 + number}"])
    done = installed.run(
        "tallystick", "rehearse", str(folder), "--out", str(tmp_path / "out"), "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["input"]["police"]["subjects"] == len(people)
    assert figures["multi_agency"]["as_of"] == "2026-05-12"
