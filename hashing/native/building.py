"""Compile the kernels into one shared library with whatever C compiler is at hand.

Used by the build hook of the package (hatch_build.py). The library calls no Python, so one file serves every version
of Python on a platform. It stands beside its sources and is not kept in the repository.

    python hashing/native/building.py        compiles for this machine, in place
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FLAGS = ("-std=c11", "-O3", "-shared", "-fvisibility=hidden")
"""No flag asks for more than the oldest processor of a platform has: a wheel runs on all of them. Warnings are asked
for by a test, not here: those of a compiler of tomorrow are to stop nobody."""
_POSITION: dict[str, tuple[str, ...]] = {
    "win32": (),
    "darwin": ("-fPIC", "-Wl,-install_name,@rpath/kernels.dylib"),
}
"""Without a name of its own, a library for macOS holds the folder that it was compiled in."""
_COMPILERS = ("cc", "gcc", "clang")


def sources_digest(folder: Path = FOLDER) -> str:
    """Return the SHA-256 of the kernels' sources, by name, hexadecimal."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.c"), *folder.glob("*.h")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def library_name(platform: str = sys.platform) -> str:
    """Return the file name of the library on a platform, as `sys.platform` writes it.

    Not `.so` alone: Python takes a file of that name for one of its own modules, and whoever walks them loads it.
    """
    return "kernels" + {"win32": ".dll", "darwin": ".dylib"}.get(platform, ".so.1")


def compiler() -> list[str] | None:
    """Return the command of the C compiler: what CC says, or the first of the usual ones; None without any."""
    import shlex
    import shutil

    if said := os.environ.get("CC"):
        return shlex.split(said)
    found = next((name for name in _COMPILERS if shutil.which(name)), None)
    return None if found is None else [found]


def compile_kernels(command: list[str], *, folder: Path = FOLDER, platform: str = sys.platform) -> Path:
    """Compile all kernels into one library, which replaces an earlier one as a whole.

    Args:
        command: The compiler and its first arguments.
        folder: Where the sources are and the library goes.
        platform: The platform it is for, as `sys.platform` writes it.

    Raises:
        subprocess.CalledProcessError: The compiler refuses; what it printed is in `stderr`.
        OSError: It cannot be started.
    """
    import subprocess  # whoever only loads the library has no use for it
    import tempfile

    library = folder / library_name(platform)
    sources = [str(path) for path in sorted(folder.glob("*.c"))]
    position = _POSITION.get(platform, ("-fPIC",))
    digest = f'-DTALLYSTICK_SOURCES="{sources_digest(folder)}"'
    with tempfile.TemporaryDirectory(dir=folder, prefix=".compiling-") as aside:
        made = Path(aside) / library.name
        words = [*command, *FLAGS, *position, digest, "-o", str(made), *sources]
        subprocess.run(words, check=True, capture_output=True, text=True)  # noqa: S603 - the installer's compiler
        made.replace(library)
    return library


def main() -> None:
    """Compile for this machine, or say why not."""
    import subprocess

    command = compiler()
    if command is None:
        raise SystemExit("no C compiler was found; NumPy will do the work of the kernels.")
    try:
        print(compile_kernels(command))
    except subprocess.CalledProcessError as error:
        raise SystemExit(error.stderr) from None


if __name__ == "__main__":
    main()
