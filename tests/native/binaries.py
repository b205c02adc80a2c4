"""Read of a shared library what a release has to know: its machine, what it offers, and what it asks for.

Three formats, 64-bit little-endian only, by their published layouts: ELF (System V ABI, chapters 4 and 5), PE/COFF
(Microsoft's "PE Format") and Mach-O (`mach-o/loader.h`, `mach-o/nlist.h`). No tool of the platform is needed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Binary:
    """What a library says of itself.

    `oldest` is the oldest system it runs on, as (major, minor): glibc's for ELF, macOS's for Mach-O, else (0, 0).
    """

    kind: str
    machine: str
    exports: frozenset[str]
    libraries: frozenset[str]
    oldest: tuple[int, int] = (0, 0)
    signed: bool = False


def read(data: bytes) -> Binary:
    """Read the whole of a library.

    Raises:
        ValueError: It is of no kind that is known here.
    """
    if data[:6] == b"\x7fELF\x02\x01":
        return _elf(data)
    if data[:2] == b"MZ":
        return _pe(data)
    if data[:4] == b"\xcf\xfa\xed\xfe":
        return _mach(data)
    raise ValueError("neither 64-bit ELF nor PE nor 64-bit Mach-O")


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode("ascii")


_ELF_MACHINES = {62: "x86_64", 183: "aarch64"}
_DYNSYM, _DYNAMIC, _VERNEED = 11, 6, 0x6FFFFFFE
_NEEDED = 1


def _elf(data: bytes) -> Binary:
    (machine,) = struct.unpack_from("<H", data, 18)
    (table,) = struct.unpack_from("<Q", data, 40)
    size, count = struct.unpack_from("<HH", data, 58)
    # of each section: type, offset, length, the section with its names
    sections = [struct.unpack_from("<4xI16xQQI", data, table + n * size) for n in range(count)]
    exports: set[str] = set()
    libraries: set[str] = set()
    oldest = (0, 0)
    for kind, start, length, link in sections:
        names = sections[link][1] if link < count else 0
        if kind == _DYNSYM:
            for place in range(start, start + length, 24):
                name, info, _, section = struct.unpack_from("<IBBH", data, place)
                if section and info >> 4:  # defined, and not local
                    exports.add(_text(data, names + name))
        elif kind == _DYNAMIC:
            for place in range(start, start + length, 16):
                tag, value = struct.unpack_from("<QQ", data, place)
                if tag == _NEEDED:
                    libraries.add(_text(data, names + value))
        elif kind == _VERNEED:
            oldest = max([oldest, *_versions(data, start, names)])
    return Binary(
        kind="ELF",
        machine=_ELF_MACHINES.get(machine, str(machine)),
        exports=frozenset(exports),
        libraries=frozenset(libraries),
        oldest=oldest,
    )


def _versions(data: bytes, start: int, names: int) -> list[tuple[int, int]]:
    """Return the versions of glibc that an ELF file's symbols ask for."""
    found: list[tuple[int, int]] = []
    while True:
        count, _, first, following = struct.unpack_from("<2xHIII", data, start)
        place = start + first
        for _ in range(count):
            name, step = struct.unpack_from("<8xII", data, place)
            library, _, version = _text(data, names + name).partition("_")
            if library == "GLIBC":
                major, minor = [*version.split("."), "0"][:2]
                found.append((int(major), int(minor)))
            place += step
        if not following:
            return found
        start += following


_PE_MACHINES = {0x8664: "x86_64", 0xAA64: "aarch64"}


@dataclass(frozen=True, slots=True)
class _Image:
    """A PE file, addressed as it will lie in memory."""

    data: bytes
    sections: list[tuple[int, int, int, int]]

    def at(self, address: int) -> int:
        """Return where in the file an address in memory comes from."""
        for extent, where, length, start in self.sections:
            if where <= address < where + max(extent, length):
                return start + address - where
        raise ValueError("an address outside all sections")


def _pe(data: bytes) -> Binary:
    (header,) = struct.unpack_from("<I", data, 60)
    machine, count, optional = struct.unpack_from("<4xHH12xH", data, header)
    start = header + 24
    if struct.unpack_from("<H", data, start) != (0x20B,):
        raise ValueError("a PE file for 32 bits")
    table = start + optional
    image = _Image(data, [struct.unpack_from("<8xIIII", data, table + 40 * n) for n in range(count)])
    exported, imported = struct.unpack_from("<I4xI", data, start + 112)
    return Binary(
        kind="PE",
        machine=_PE_MACHINES.get(machine, hex(machine)),
        exports=frozenset(_pe_exports(image, exported)),
        libraries=frozenset(_pe_libraries(image, imported)),
    )


def _pe_exports(image: _Image, address: int) -> list[str]:
    if not address:
        return []
    count, names = struct.unpack_from("<24xI4xI", image.data, image.at(address))
    places = struct.unpack_from(f"<{count}I", image.data, image.at(names)) if count else ()
    return [_text(image.data, image.at(place)) for place in places]


def _pe_libraries(image: _Image, address: int) -> list[str]:
    found: list[str] = []
    place = image.at(address) if address else 0
    while place and (name := struct.unpack_from("<12xI", image.data, place)[0]):
        found.append(_text(image.data, image.at(name)))
        place += 20
    return found


_MACH_MACHINES = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
_SYMTAB, _OLDEST_MAC, _SIGNATURE, _BUILD = 0x2, 0x24, 0x1D, 0x32
_OFFERED = 0x0F
"""N_SECT and N_EXT, and neither private nor for a debugger."""
_LINKERS_OWN = {"__dso_handle", "_mh_dylib_header"}
_LOADS = {0xC, 0x80000018, 0x8000001F, 0x20, 0x80000023}
"""The commands that load a library: plainly, weakly, to offer it on, lazily, upwards."""


def _mach(data: bytes) -> Binary:
    machine, count = struct.unpack_from("<4xI8xI", data)
    exports: set[str] = set()
    libraries: set[str] = set()
    oldest, signed, place = (0, 0), False, 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, place)
        if command in _LOADS:
            libraries.add(_text(data, place + struct.unpack_from("<I", data, place + 8)[0]))
        elif command == _SYMTAB:
            exports |= set(_mach_exports(data, *struct.unpack_from("<III", data, place + 8)))
        elif command in {_OLDEST_MAC, _BUILD}:
            (version,) = struct.unpack_from("<I", data, place + (8 if command == _OLDEST_MAC else 12))
            oldest = (version >> 16, version >> 8 & 0xFF)
        signed |= command == _SIGNATURE
        place += size
    return Binary(
        kind="Mach-O",
        machine=_MACH_MACHINES.get(machine, hex(machine)),
        exports=frozenset(exports),
        libraries=frozenset(libraries),
        oldest=oldest,
        signed=signed,
    )


def _mach_exports(data: bytes, symbols: int, count: int, names: int) -> list[str]:
    """Return the names that others see and that lie in a section, without the underscore that C puts before them."""
    found: list[str] = []
    for place in range(symbols, symbols + 16 * count, 16):
        name, kind = struct.unpack_from("<IB", data, place)
        if kind == _OFFERED:
            found.append(_text(data, names + name).removeprefix("_"))
    return [name for name in found if name not in _LINKERS_OWN]
