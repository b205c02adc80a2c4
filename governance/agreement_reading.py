"""Read a YAML 1.2 document together with the line and column of everything in it.

A plain YAML loader keeps the last of two equal keys silently and, when it follows YAML 1.1, reads `NO` as false and
`12:30` as a number. Here equal keys are named, all at once, and so is text that a YAML 1.1 reader would read otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from schemas.errors import AgreementInvalid

LARGEST_DOCUMENT = 4 * 1024 * 1024
"""Bytes; an agreement is a document people read, so anything larger is a mistake or an attack."""

Path_ = tuple[str | int, ...]
"""Where something stands in a document: keys and list positions from the top."""

_YAML_1_1 = re.compile(
    r"(?i:y|yes|n|no|on|off)|[-+]?0[0-7_]+|[-+]?\d[\d_]*_[\d_]*(\.[\d_]*)?|[-+]?[1-9]\d*(:[0-5]?\d)+(\.\d*)?|="
)
"""Plain text that YAML 1.1 reads as a truth value, an octal, a grouped or a base-60 number, or an operator.
Source: yaml.org/type (bool, int, float, value)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Line and column in the file, counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong with a document, in words that repeat no value of it.

    Attributes:
        path: Where; for something missing, where it is missing.
        message: What is wrong: a sentence without its full stop at the front and with one at the end.
        place: Line and column, when the document was read from a file.
        missing: Names of the entries that are not there, if that is the fault.
        at: The entry to point at in the file, when it is not that of `path`.
        rule: The rule that the fault breaks.
        harmless: Whether everything else that is required is there and can be judged all the same.
    """

    path: Path_
    message: str
    place: Place | None = None
    missing: tuple[str, ...] = ()
    at: Path_ | None = None
    rule: str = "D01"
    harmless: bool = False

    def __str__(self) -> str:
        text = f"{path_text(self.path)}: {self.message}"
        return f"{self.place}: {text}" if self.place else text


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A document, and where its entries stand.

    Attributes:
        document: The values; of two equal keys the first.
        keys: Path -> place of the key (of a list's item, the item itself).
        values: Path -> place of the value.
        faults: Equal keys, and what YAML 1.1 would read otherwise.
    """

    document: dict[str, Any]
    keys: Mapping[Path_, Place]
    values: Mapping[Path_, Place]
    faults: tuple[Fault, ...]

    def place(self, path: Path_, *, key: bool = False) -> Place | None:
        """Return the place of `path`, or of the nearest entry around it that stands in the file."""
        for end in range(len(path), -1, -1):
            named = end and (key or end < len(path))
            if found := (self.keys if named else self.values).get(path[:end]):
                return found
        return None


def path_text(path: Path_) -> str:
    """Return a path as people write it: `parties[2].legal[0].article_6`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "(top)"


class _TextDates(SafeConstructor):
    """Leaves dates as the text they are, so that canonical JSON has one form of them."""


_TextDates.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)


class _NoAliases(Composer):
    """Refuses references to another place: a page of them can stand for more than any memory holds."""

    def compose_node(self, parent: Any, index: int) -> Any:
        if self.parser.check_event(AliasEvent):
            raise ComposerError(None, None, "alias", self.parser.peek_event().start_mark)
        return super().compose_node(parent, index)


def read_text(path: Path) -> str:
    """Return the text of a document's file.

    Raises:
        AgreementInvalid: It cannot be read, is too large, or is not UTF-8.
    """
    try:
        if path.stat().st_size > LARGEST_DOCUMENT:
            raise AgreementInvalid("the document is larger than 4 MiB.", where=str(path))
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AgreementInvalid(
            f"cannot be read ({error.strerror}).", where=str(path), remedy="Check the path."
        ) from None
    except UnicodeDecodeError:
        raise AgreementInvalid("is not UTF-8 text.", where=str(path), remedy="Save it as UTF-8.") from None


def _place(node: Any) -> Place:
    return Place(line=node.start_mark.line + 1, column=node.start_mark.column + 1)


class _Walk:
    """Notes where each entry stands, drops the second of two equal keys, and notes the faults."""

    def __init__(self) -> None:
        self.keys: dict[Path_, Place] = {}
        self.values: dict[Path_, Place] = {}
        self.doubled: list[Fault] = []
        self.surprising: list[Fault] = []

    def node(self, node: Any, path: Path_) -> None:
        self.values[path] = _place(node)
        if isinstance(node, MappingNode):
            self._mapping(node, path)
        elif isinstance(node, SequenceNode):
            for number, item in enumerate(node.value):
                self.keys[(*path, number)] = _place(item)
                self.node(item, (*path, number))
        elif isinstance(node, ScalarNode) and node.style is None and _YAML_1_1.fullmatch(node.value):
            message = (
                "some programs read this word or number as something else (no as false); put it in quotes."
            )
            self.surprising.append(Fault(path=path, message=message, place=_place(node), harmless=True))

    def _mapping(self, node: Any, path: Path_) -> None:
        kept: dict[tuple[str, Any], Any] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise ComposerError(None, None, "a name must be text", key.start_mark)
            kind = str(key.tag)
            if (kind, key.value) in kept:
                self.doubled.append(
                    Fault(path=path, message="a key stands twice.", place=_place(key), harmless=True)
                )
                continue
            kept[kind, key.value] = (key, value)
            if not kind.endswith(":str"):
                message = "a name must be text; put it in quotes."
                self.surprising.append(Fault(path=path, message=message, place=_place(key), harmless=True))
            self.keys[(*path, key.value)] = _place(key)
            self.node(value, (*path, key.value))
        node.value = list(kept.values())


def _refuse_directives(text: str, where: str) -> None:
    """A %YAML 1.1 would change what words mean; ours is YAML 1.2 and says nothing."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("%"):
            raise AgreementInvalid(
                "YAML directives are not read.",
                where=f"{where}, line {number}, column 1",
                remedy="Take the line out.",
            )
        if line.strip() and not line.startswith("#"):
            return


def _kind_of_fault(problem: str) -> str:
    if problem == "alias":
        return "references (*name) are not read"
    if "duplicate" in problem:
        return "a key stands twice"
    return problem if problem == "a name must be text" else "this is not well-formed YAML"


def read_source(path: Path, *, strict: bool = True) -> Source:
    """Read a YAML 1.2 document with a mapping at the top.

    Args:
        path: A UTF-8 file.
        strict: Also name what a YAML 1.1 reader would read otherwise, and names that are not text.

    Raises:
        AgreementInvalid: The file cannot be read, or is not well-formed. Names line and column.
    """
    return parse_source(read_text(path), where=str(path), strict=strict)


def parse_source(text: str, *, where: str, strict: bool = True) -> Source:
    """Parse the text of a document, as `read_source` does for a file called `where`.

    Raises:
        AgreementInvalid: It is not well-formed. Names line and column.
    """
    # A command reads its agreement several times, and each costs a twentieth of a second.
    parsed, surprising = _parsed(text, where)
    faults = (*parsed.faults, *(surprising if strict else ()))
    return replace(parsed, document=deepcopy(parsed.document), faults=faults)


@lru_cache(maxsize=4)
def _parsed(text: str, where: str) -> tuple[Source, tuple[Fault, ...]]:
    """Return a document with its equal keys as its faults, and those that only a strict reader names."""
    _refuse_directives(text, where)
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor, yaml.Composer = _TextDates, _NoAliases
    walk = _Walk()
    document: Any = None
    try:
        constructor, parser = yaml.get_constructor_parser(text)
        try:
            node = constructor.composer.get_single_node()
            if isinstance(node, MappingNode):
                walk.node(node, ())
                document = constructor.construct_document(node)
        finally:
            parser.dispose()
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise AgreementInvalid(
            f"{_kind_of_fault(str(error.problem))}.", where=f"{where}{place}", remedy="Correct that line."
        ) from None
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise AgreementInvalid("this is not well-formed YAML.", where=where) from None
    if not isinstance(document, dict):
        raise AgreementInvalid("the document must be a list of `name: value` entries.", where=where)
    source = Source(document=document, keys=walk.keys, values=walk.values, faults=tuple(walk.doubled))
    return source, tuple(walk.surprising)


def read_document(path: Path) -> dict[str, Any]:
    """Read an agreement or mapping document: YAML 1.2, no duplicate keys, a mapping at the top.

    Raises:
        AgreementInvalid: The file cannot be read, or is no such document. Names line and column.
    """
    source = read_source(path, strict=False)
    if len(source.faults) == 1:
        (fault,) = source.faults
        raise AgreementInvalid(fault.message, where=f"{path}, {fault.place}", remedy="Correct that line.")
    if source.faults:
        listed = "\n  ".join(f"{fault.place}: {fault.message}" for fault in source.faults)
        raise AgreementInvalid(f"there are {len(source.faults)} faults:\n  {listed}", where=str(path))
    return source.document
