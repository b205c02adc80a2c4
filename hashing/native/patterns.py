"""Regular expressions over the letters A to Z, taken apart into paths that a kernel can follow.

A path says what may stand at each place around the beginning of a match, as a mask with one bit a letter and one for
the edge of a name. An expression gives its paths in the order in which Python's `re` would try them. Known are letters,
classes, groups, `|`, `?`, `{n}`, `^`, `$`, and looking ahead and back; whatever else is in an expression is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

EDGE = 1 << 26
ANYTHING = (1 << 27) - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    r"""One way in which an expression can match.

    Attributes:
        taken: Letters that the match takes.
        masks: Place, counted from the beginning of the match, to what may stand there.
        group: Place of the one letter that `\1` in the replacement stands for.
    """

    taken: int = 0
    masks: dict[int, int] = field(default_factory=dict)
    group: int | None = None


def _behind(first: Path, second: Path) -> Path | None:
    """Return the path that goes one after the other, None where nothing can go it."""
    masks = dict(first.masks)
    for place, mask in second.masks.items():
        masks[place + first.taken] = masks.get(place + first.taken, ANYTHING) & mask
    if not all(masks.values()):
        return None
    group = first.group if second.group is None else first.taken + second.group
    return Path(taken=first.taken + second.taken, masks=masks, group=group)


def _all_behind(firsts: Iterable[Path], seconds: list[Path]) -> list[Path]:
    joined = (_behind(first, second) for first in firsts for second in seconds)
    return [path for path in joined if path is not None]


def _nowhere(path: Path) -> list[Path]:
    """Return the paths, one at most of which can be gone, that together are gone where this one is not."""
    ways, so_far = [], Path()
    for place, mask in path.masks.items():
        ways += _all_behind([so_far], [Path(masks={place: ANYTHING & ~mask})])
        so_far = Path(masks=so_far.masks | {place: mask})
    return ways


class _Reader:
    """Reads one expression, from left to right."""

    def __init__(self, pattern: str) -> None:
        self.rest = pattern

    def _next(self, sign: str) -> bool:
        """Tell whether the rest begins with a sign, and go behind it."""
        found = self.rest.startswith(sign)
        self.rest = self.rest[len(sign) :] if found else self.rest
        return found

    def either(self) -> list[Path]:
        paths = self._sequence()
        while self._next("|"):
            paths += self._sequence()
        return paths

    def _sequence(self) -> list[Path]:
        paths = [Path()]
        while self.rest and self.rest[0] not in "|)":
            part = self._atom()
            if self._next("?"):
                part = [*part, Path()]
            elif self._next("{"):
                times, _, self.rest = self.rest.partition("}")
                part, once = [Path()], part
                for _ in range(int(times)):
                    part = _all_behind(part, once)
            paths = _all_behind(paths, part)
        return paths

    def _atom(self) -> list[Path]:
        if self._next("^"):
            return [Path(masks={-1: EDGE})]
        if self._next("$"):
            return [Path(masks={0: EDGE})]
        if self._next("("):
            return self._group()
        if self._next("["):
            members, _, self.rest = self.rest.partition("]")
            return [Path(taken=1, masks={0: class_mask(members)})]
        letter, self.rest = self.rest[0], self.rest[1:]
        return [Path(taken=1, masks={0: class_mask(letter)})]

    def _group(self) -> list[Path]:
        kinds = ("?:", "?=", "?!", "?<=", "?<!")
        kind = next((kind for kind in kinds if self._next(kind)), "")
        inner = self.either()
        if not self._next(")"):
            raise ValueError("an expression has a group without an end")
        if kind == "?:":
            return inner
        if not kind:
            return [_letter(path, bit) for path in inner for bit in _bits(path)]
        back = kind[1] == "<"
        looked = [Path(masks=_moved(path.masks, -path.taken if back else 0)) for path in inner]
        if kind.endswith("="):
            return looked
        ways = [Path()]
        for path in looked:
            ways = _all_behind(ways, _nowhere(path))
        return ways


def _moved(masks: dict[int, int], places: int) -> dict[int, int]:
    return {place + places: mask for place, mask in masks.items()}


def _bits(path: Path) -> list[int]:
    if path.taken != 1 or list(path.masks) != [0]:
        raise ValueError("an expression keeps a group that is not one letter")
    return [1 << letter for letter in range(26) if path.masks[0] >> letter & 1]


def _letter(path: Path, bit: int) -> Path:
    return replace(path, masks={0: bit}, group=0)


def class_mask(members: str) -> int:
    """Return the letters of a class such as `ABD-Z`.

    Raises:
        ValueError: It has something else than letters and ranges.
    """
    mask, rest = 0, members
    while rest:
        first, last = rest[0], rest[2] if rest[1:2] == "-" else rest[0]
        if not "A" <= first <= last <= "Z":
            raise ValueError("an expression has something else than capitals")
        for letter in range(ord(first), ord(last) + 1):
            mask |= 1 << (letter - ord("A"))
        rest = rest[3 if rest[1:2] == "-" else 1 :]
    return mask


def paths_of(pattern: str) -> list[Path]:
    """Return the paths of an expression, the first to be tried first.

    Raises:
        ValueError: It has parts that are not known here.
    """
    reader = _Reader(pattern)
    paths = reader.either()
    if reader.rest or any(path.taken < 1 for path in paths):
        raise ValueError("an expression matches nothing at all, or has a bracket too many")
    return paths
