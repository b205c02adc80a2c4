"""A drafted mapping as the YAML text that a person corrects."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hashing.guess import Guess
from hashing.mapping import COLUMNS

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?: [A-Za-z0-9_]+)*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def quoted(text: str) -> str:
    """Return a YAML scalar that reads back as this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _always(text)


def _always(text: str) -> str:
    return f'"{"".join(map(_escaped, text))}"'


def _listed(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def _section(name: str, lines: list[str]) -> list[str]:
    return [f"    {name}:", *(f"      {line}" for line in lines)] if lines else []


def _codes(codes: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = []
    for logical, listed in codes.items():
        lines.append(f"{logical}:")
        for code, ours in listed.items():
            lines.append(f"  {_always(code)}: {ours}" if ours else f"  # {_always(code)}:   (fill in)")
    return lines


def mapping_yaml(guess: Guess) -> str:
    """Return the draft as a mapping.yaml with one agency; its comments are what a person should look at."""
    made = {*guess.columns, *guess.combine} | ({"forename", "surname"} if guess.split else set())
    absent = [logical for logical in COLUMNS if logical not in made]
    lines = [
        "# Drafted from the headers and a sample; correct it before you seal.",
        *(f"# - {note}" for note in guess.notes),
        "mapping_version: 1",
        "agencies:",
        f"  {quoted(guess.agency)}:",
        *_section("columns", [f"{name}: {quoted(header)}" for name, header in guess.columns.items()]),
        *([f"      # not found: {', '.join(absent)}"] if absent and guess.columns else []),
        *_section("combine", [f"{name}: {_listed(parts)}" for name, parts in guess.combine.items()]),
        *_section("split", [f"{quoted(header)}: {order}" for header, order in guess.split.items()]),
        *_section("dates", [f"{name}: {_listed(formats)}" for name, formats in guess.dates.items()]),
        *_section("codes", _codes(guess.codes)),
        *_section("standards", [f"{name}: {standard}" for name, standard in guess.standards.items()]),
    ]
    return "\n".join(lines) + "\n"
