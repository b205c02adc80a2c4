"""Build a wheel for each platform on one machine, and check each of them (docs/guides/releasing.md).

    make wheels            or  python tests/native/wheels.py [--out dist] [--only win_amd64 …] [--source FOLDER]

Runs in an environment that holds hatchling and ziglang; the latter carries a C compiler for all platforms. Built from
the last commit, in a folder aside: nothing of the checkout is touched, and the same commit gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from binaries import Binary, read

ROOT = Path(__file__).parents[2]
NATIVE = "hashing/native/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A platform: the wheel's tag, `sys.platform` there, the compiler's name of it, and what its library has to be."""

    tag: str
    platform: str
    library: str
    compiler: str
    kind: str
    machine: str
    oldest: tuple[int, int] = (0, 0)


TARGETS = (
    Target(
        tag="win_amd64",
        platform="win32",
        library="kernels.dll",
        compiler="x86_64-windows-gnu",
        kind="PE",
        machine="x86_64",
    ),
    Target(
        tag="win_arm64",
        platform="win32",
        library="kernels.dll",
        compiler="aarch64-windows-gnu",
        kind="PE",
        machine="aarch64",
    ),
    Target(
        tag="macosx_11_0_arm64",
        platform="darwin",
        library="kernels.dylib",
        compiler="aarch64-macos.11.0",
        kind="Mach-O",
        machine="aarch64",
        oldest=(11, 0),
    ),
    Target(
        tag="macosx_10_13_x86_64",
        platform="darwin",
        library="kernels.dylib",
        compiler="x86_64-macos.10.13",
        kind="Mach-O",
        machine="x86_64",
        oldest=(10, 13),
    ),
    Target(
        tag="manylinux_2_17_x86_64",
        platform="linux",
        library="kernels.so.1",
        compiler="x86_64-linux-gnu.2.17",
        kind="ELF",
        machine="x86_64",
        oldest=(2, 17),
    ),
    Target(
        tag="manylinux_2_17_aarch64",
        platform="linux",
        library="kernels.so.1",
        compiler="aarch64-linux-gnu.2.17",
        kind="ELF",
        machine="aarch64",
        oldest=(2, 17),
    ),
)
"""Where the dependencies have wheels of their own (DuckDB, PyArrow). Everybody else installs the wheel `any`."""

ANY = "any"
_RUNTIME = re.compile(
    r"api-ms-win-crt-[a-z]+-l1-1-0\.dll|kernel32\.dll|ucrtbase\.dll|libc\.so\.6|/usr/lib/libSystem\.B\.dylib",
    re.IGNORECASE,
)
"""Libraries that every machine of a platform has, from the oldest release that Python itself runs on."""
_KERNEL = re.compile(r"^KERNEL[^;{(]*?\b(tallystick_\w+)\(", re.MULTILINE)


def command(target: Target, python: str = sys.executable) -> list[str]:
    """Return the compiler's command for a platform, without debugging records: those hold paths."""
    return [python, "-m", "ziglang", "cc", "-target", target.compiler, "-s"]


def library_faults(data: bytes, target: Target, kernels: set[str]) -> list[str]:
    """Say what is wrong with a library, if anything: its machine, its exports, what it loads, the oldest system."""
    found: Binary = read(data)
    faults = []
    if (found.kind, found.machine) != (target.kind, target.machine):
        faults.append(f"is {found.kind} for {found.machine}, not {target.kind} for {target.machine}")
    if found.exports != kernels:
        faults.append(f"exports differ from the kernels: {sorted(found.exports ^ kernels)}")
    if strange := [name for name in found.libraries if not _RUNTIME.fullmatch(name)]:
        faults.append(f"loads more than the C runtime: {sorted(strange)}")
    if found.oldest > target.oldest:
        faults.append(f"needs {found.oldest} or later, the wheel says {target.oldest}")
    if target.tag.endswith("arm64") and target.platform == "darwin" and not found.signed:
        faults.append("has no signature, without which Apple's processors load nothing")
    return faults


def kernel_names(sources: list[bytes]) -> set[str]:
    """Return the names that the C sources offer."""
    return {
        name for source in sources for name in _KERNEL.findall(source.decode("utf-8").replace("\r\n", "\n"))
    }


def _digest(folder: Path) -> str:
    """Return the digest of the sources in a folder, as the program itself will work it out."""
    spec = importlib.util.spec_from_file_location("building", folder / "building.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.sources_digest(folder))


def wheel_faults(path: Path, target: Target | None) -> list[str]:
    """Say what is wrong with a wheel, if anything. Without a target it is the wheel for all other machines."""
    with zipfile.ZipFile(path) as wheel:
        held = {name: wheel.read(name) for name in wheel.namelist()}
    said = next(data for name, data in held.items() if name.endswith(".dist-info/WHEEL")).decode("ascii")
    tag = f"py3-none-{target.tag if target else ANY}"
    faults = [] if f"\nTag: {tag}\n" in said and path.stem.endswith(f"-{tag}") else [f"is not tagged {tag}"]
    if (target is None) != ("\nRoot-Is-Purelib: true\n" in said):
        faults.append("says the opposite on whether it is for one platform")
    native = {name.removeprefix(NATIVE): data for name, data in held.items() if name.startswith(NATIVE)}
    libraries = {name for name in held if name.endswith((".so.1", ".dll", ".dylib"))}
    if libraries != ({NATIVE + target.library} if target else set()):
        return [*faults, f"holds the libraries {sorted(libraries)}"]
    if target:
        library = native[target.library]
        kernels = kernel_names([data for name, data in native.items() if name.endswith(".c")])
        faults += library_faults(library, target, kernels)
        with tempfile.TemporaryDirectory() as aside:
            for name, data in native.items():
                (Path(aside) / name).write_bytes(data)
            if _digest(Path(aside)).encode() not in library:
                faults.append("holds a library of other sources than lie beside it")
    return faults


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode("utf-8", "replace"))
    return done.stdout


def unpack(commit: str, folder: Path) -> int:
    """Write the files of a commit into a folder; return its time in seconds since 1970."""
    with tarfile.open(fileobj=io.BytesIO(_git("archive", commit))) as files:
        files.extractall(folder, filter="data")
    return int(_git("log", "-1", "--format=%ct", commit))


def build(source: Path, out: Path, target: Target | None, epoch: int) -> Path:
    """Build one wheel into a folder that holds no other, and return it.

    Raises:
        SystemExit: The compiler or the build refuses; what they said.
    """
    asked = {"TALLYSTICK_WHEEL": ANY}
    if target:
        asked = {"TALLYSTICK_WHEEL": f"{target.platform}:{target.tag}", "CC": shlex.join(command(target))}
    hatch = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    environment = {**os.environ, **asked, "SOURCE_DATE_EPOCH": str(epoch)}
    done = subprocess.run(hatch, cwd=source, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    (made,) = out.glob("*.whl")
    return made


def build_twice(commit: str, target: Target | None) -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel, which two builds in two folders agree on.

    Raises:
        SystemExit: They differ, or the wheel is not as it should be.
    """
    made: list[tuple[str, bytes]] = []
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="tallystick-wheel-") as aside:
            source, out = Path(aside) / "source", Path(aside) / "out"
            epoch = unpack(commit, source)
            wheel = build(source, out, target, epoch)
            if faults := wheel_faults(wheel, target):
                raise SystemExit("".join(f"{wheel.name} {fault}.\n" for fault in faults))
            made.append((wheel.name, wheel.read_bytes()))
    if made[0] != made[1]:
        raise SystemExit(f"{made[0][0]}: two builds of the same commit differ.")
    return made[0]


def main() -> None:
    """Build, check, and write what passed, with the digests that whoever installs it can compare."""
    tags = {target.tag: target for target in TARGETS} | {ANY: None}
    parser = argparse.ArgumentParser(description="Build and check a wheel for each platform.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the folder they go to")
    parser.add_argument("--only", nargs="+", choices=sorted(tags), default=list(tags), help="these tags only")
    parser.add_argument("--commit", default="HEAD", help="what to build from, as git calls it")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    commit = _git("rev-parse", asked.commit).decode("ascii").strip()
    print(f"Wheels of {commit}:", flush=True)
    lines = []
    for tag in asked.only:
        name, data = build_twice(commit, tags[tag])
        (asked.out / name).write_bytes(data)
        lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        print(lines[-1], end="", flush=True)
    (asked.out / "SHA256SUMS").write_text("".join(lines), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
