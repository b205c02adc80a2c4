"""Wheels for all platforms: each says truly what it is, and a library for another machine works there.

Where `make wheels` has made its environment, the kernels are compiled for each platform, and tried under Wine and QEMU
where those are installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from hashing.native.building import FOLDER, compile_kernels, compiler, library_name, sources_digest
from hashing.native.library import kernels

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "native"))

from binaries import read  # noqa: E402
from wheels import TARGETS, Target, command, kernel_names, library_faults, wheel_faults  # noqa: E402

BY_TAG = {target.tag: target for target in TARGETS}
QEMU, ARM_LIBRARIES = "qemu-aarch64-static", Path("/usr/aarch64-linux-gnu")


def _sources() -> set[str]:
    return kernel_names([path.read_bytes() for path in FOLDER.glob("*.c")])


def _tree(folder: Path) -> Path:
    """What a wheel is made of, in a folder aside and without anything compiled."""
    folder.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "cli.py", "hatch_build.py"):
        shutil.copy(ROOT / name, folder)
    kept_out = shutil.ignore_patterns(
        "__pycache__", "kernels.so.1", "kernels.dll", "kernels.dylib", ".compiling-*"
    )
    for name in ("schemas", "governance", "hashing", "linkage", "synthetic"):
        shutil.copytree(ROOT / name, folder / name, ignore=kept_out)
    return folder


def _build(source: Path, kind: str, **environment: str) -> Path:
    out = source.parent / f"{source.name}-{kind}"
    shutil.rmtree(out, ignore_errors=True)
    words = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)]
    kept = {name: value for name, value in os.environ.items() if name not in {"CC", "TALLYSTICK_WHEEL"}}
    environment = {**kept, "SOURCE_DATE_EPOCH": "1700000000", **environment}
    done = subprocess.run(words, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = out.iterdir()
    return made


needs_hatchling = pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed")
needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C compiler")


@needs_hatchling
def test_wheel_for_all_other_machines_holds_no_library(tmp_path: Path) -> None:
    """TALLYSTICK_WHEEL=any leaves the kernels out though there is a compiler, and two folders give the same bytes."""
    first, second = (
        _build(_tree(tmp_path / name), "wheel", TALLYSTICK_WHEEL="any") for name in ("one", "another")
    )
    assert wheel_faults(first, None) == []
    assert first.read_bytes() == second.read_bytes()


@needs_hatchling
@needs_compiler
def test_source_archive_holds_no_library(tmp_path: Path) -> None:
    """What is compiled on the maintainer's machine stays out of the source archive."""
    source = _tree(tmp_path / "source")
    (source / "hashing" / "native" / library_name()).write_bytes(b"stale")
    with tarfile.open(_build(source, "sdist")) as packed:
        names = {Path(name).name for name in packed.getnames()}
    assert "kernels.h" in names
    assert library_name() not in names


@needs_hatchling
def test_wheel_for_a_platform_is_not_made_without_its_kernels(tmp_path: Path) -> None:
    """A compiler that fails ends the build of a wheel for a platform, instead of leaving the kernels out."""
    source = _tree(tmp_path / "source")
    with pytest.raises(AssertionError, match="CalledProcessError"):
        _build(
            source,
            "wheel",
            TALLYSTICK_WHEEL="win32:win_amd64",
            CC=f"{Path(sys.executable).as_posix()} -c 0/0",
        )


@needs_hatchling
@pytest.mark.skipif(sys.platform != "linux" or compiler() is None, reason="made with the compiler of Linux")
def test_what_is_wrong_with_a_wheel_is_told(tmp_path: Path) -> None:
    """A wheel with another's tag, with a library of older sources or with none is told apart from a good one."""
    machine = os.uname().machine
    target = BY_TAG.get(f"manylinux_2_17_{machine}")
    if target is None:
        pytest.skip(f"no wheel is made for {machine}")
    target = replace(target, oldest=(9, 0))  # this machine's compiler may ask for its own glibc
    wheel = _build(_tree(tmp_path / "source"), "wheel", TALLYSTICK_WHEEL=f"linux:{target.tag}")
    assert wheel_faults(wheel, target) == []
    assert any("not tagged" in fault for fault in wheel_faults(wheel, replace(target, tag="linux_x86_64")))
    assert any("not PE" in fault for fault in wheel_faults(wheel, replace(target, kind="PE")))
    assert any("holds the libraries" in fault for fault in wheel_faults(wheel, None))

    changed = tmp_path / "changed" / wheel.name
    changed.parent.mkdir()
    with zipfile.ZipFile(wheel) as good, zipfile.ZipFile(changed, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, good.read(name) + (b" " if name.endswith("kernels.h") else b""))
    assert [fault for fault in wheel_faults(changed, target) if "other sources" in fault]


def test_kernels_are_found_in_sources() -> None:
    """Names are found where KERNEL stands at a line's beginning, over several lines too, and nowhere else."""
    source = b"KERNEL void tallystick_one(int a);\r\nKERNEL const char *\ntallystick_two(void) { }\n"
    others = b"static void tallystick_three(int a);\n/* KERNEL tallystick_four( */\n"
    assert kernel_names([source, others]) == {"tallystick_one", "tallystick_two"}


@pytest.mark.skipif(kernels() is None, reason="there is no library of these kernels")
def test_this_machines_library_is_read() -> None:
    """The reader finds in this machine's own library what its loader finds."""
    found = read((FOLDER / library_name()).read_bytes())
    assert found.kind == {"win32": "PE", "darwin": "Mach-O"}.get(sys.platform, "ELF")
    assert found.exports == _sources()
    assert all(hasattr(kernels(), name) for name in found.exports)
    assert found.libraries


def test_reader_refuses_what_it_does_not_know() -> None:
    """A file of another kind, or for 32 bits, is refused rather than half understood."""
    for data in (b"", b"\x7fELF\x01\x01" + b"\0" * 100, b"\xca\xfe\xba\xbe" + b"\0" * 100):
        with pytest.raises(ValueError, match="neither"):
            read(data)


@pytest.fixture(scope="module")
def zig() -> str:
    """A Python that has the compiler for all platforms: of this environment, or of that of `make wheels`."""
    if find_spec("ziglang"):
        return sys.executable
    made = ROOT / ".venv-wheels" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not made.exists():
        pytest.skip("ziglang is not installed (make wheels installs it)")
    return str(made)


def _cross_compiled(zig: str, target: Target, folder: Path) -> Path:
    native = folder / "native"
    shutil.copytree(
        FOLDER, native, ignore=shutil.ignore_patterns("__pycache__", "kernels.[!h]*", ".compiling-*")
    )
    return compile_kernels(command(target, zig), folder=native, platform=target.platform)


@pytest.mark.parametrize("tag", BY_TAG)
def test_each_platform_has_its_library(tag: str, zig: str, tmp_path: Path) -> None:
    """Compiled for a platform, the library is for its machine, offers all kernels, and loads nothing but C's own."""
    library = _cross_compiled(zig, BY_TAG[tag], tmp_path)
    assert library_faults(library.read_bytes(), BY_TAG[tag], _sources()) == []
    for other in BY_TAG.values():
        if (other.kind, other.machine) != (BY_TAG[tag].kind, BY_TAG[tag].machine):
            assert library_faults(library.read_bytes(), other, _sources()) != []
    assert library_faults(library.read_bytes(), BY_TAG[tag], _sources() | {"tallystick_more"}) != []


def _trial(zig: str, target: Target, folder: Path, *, runner: list[str], ending: str = "") -> str:
    """Compile tests/native/trial.c for a platform, and run it there on the library; return what it says."""
    library = _cross_compiled(zig, target, folder)
    program = folder / f"trial{ending}"
    source = ROOT / "tests" / "native" / "trial.c"
    words = [*command(target, zig), "-std=c11", "-O1", "-Wall", "-Werror", "-o", str(program), str(source)]
    subprocess.run([*words, *([] if ending else ["-ldl"])], check=True)
    environment = {**os.environ, "WINEDEBUG": "-all", "WINEPREFIX": str(folder / "wine")}
    words = [*runner, str(program), str(library.relative_to(folder)), sources_digest()]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return f"{done.returncode} {done.stdout.strip()}"


@pytest.mark.skipif(shutil.which("wine") is None, reason="Wine is not installed")
def test_windows_library_works_under_wine(zig: str, tmp_path: Path) -> None:
    """The library for Windows is loaded there, and a kernel gives what a plain loop gives."""
    said = _trial(zig, BY_TAG["win_amd64"], tmp_path, runner=["wine"], ending=".exe")
    assert said == "0 equal"


@pytest.mark.skipif(
    shutil.which(QEMU) is None or not ARM_LIBRARIES.exists(),
    reason="QEMU or ARM's C library is not installed",
)
def test_arm_library_works_under_qemu(zig: str, tmp_path: Path) -> None:
    """The library for Linux on ARM is loaded there, and a kernel gives what a plain loop gives."""
    runner = [QEMU, "-L", str(ARM_LIBRARIES)]
    assert _trial(zig, BY_TAG["manylinux_2_17_aarch64"], tmp_path, runner=runner) == "0 equal"
