"""The shape of a token: which columns of text hold tokens, judged by their width and their evenness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SAMPLE = 4096
_FEWEST = 32
_FITTING = 0.9
"""Share of a sample that has to fit a shape, so that a planted cell does not hide it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Text of one width over one alphabet.

    Attributes:
        name: In words.
        pattern: RE2 pattern of a whole cell.
        width: Characters.
    """

    name: str
    pattern: str
    width: int


_ALPHABETS = (
    # name, class, bits a character, least entropy a character of even tokens
    ("hexadecimal", "[0-9a-f]", 3.9),
    ("hexadecimal", "[0-9A-F]", 3.9),
    ("base32", "[A-Z2-7]", 4.8),
    ("base64", "[A-Za-z0-9+/]", 5.7),
    ("base64url", "[A-Za-z0-9_-]", 5.7),
)


def _entropy(texts: list[str]) -> float:
    """Return the entropy in bits of one character of `texts`, all positions together (Shannon 1948)."""
    _, counts = np.unique(np.frombuffer("".join(texts).encode(), dtype=np.uint8), return_counts=True)
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum())


def token_shape(values: pa.Array) -> Shape | None:
    """Return the shape of a text column, or None when its cells do not look like tokens.

    Tokens have one width, and every character is as likely as any other; names, dates and numbers are neither. The
    judgement is of the column: a cell that fits the shape of its column cannot be told from a token.

    Args:
        values: Text without nulls; the first `SAMPLE` cells are looked at.
    """
    sample = values.slice(0, SAMPLE)
    if len(sample) < _FEWEST:
        return None
    widths = pc.utf8_length(sample)
    common = pc.mode(widths)[0]["mode"].as_py()
    if common < 8:
        return None
    same = sample.filter(pc.equal(widths, common))
    for name, letters, least in _ALPHABETS:
        padding = "={0,2}" if name.startswith("base64") else ""
        pattern = f"^{letters}+{padding}$"
        fitting = same.filter(pc.match_substring_regex(same, pattern))
        texts = [text.rstrip("=") for text in fitting.to_pylist()]
        if len(texts) >= _FITTING * len(sample) and _entropy(texts) >= least:
            return Shape(name=name, pattern=pattern, width=common)
    return None


def fitting(values: pa.Array, shape: Shape) -> pa.Array:
    """Return for each text cell whether it has the shape."""
    wide = pc.equal(pc.utf8_length(values), shape.width)
    return pc.and_(wide, pc.match_substring_regex(values, shape.pattern))
