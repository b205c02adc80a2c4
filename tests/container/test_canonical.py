"""RFC 8785 bytes: the same value, the same bytes; anything ambiguous is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.canonical import (
    MAX_DEPTH,
    canonical_json,
    digest,
    from_base64,
    parse_canonical,
    parse_json,
    to_base64,
)
from schemas.errors import NotCanonical

SAFE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LEAVES = st.none() | st.booleans() | SAFE | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)


def test_rfc_8785_sample() -> None:
    """The sample of RFC 8785, section 3.2.2, gives the bytes of section 3.2.4."""
    sample = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": '\u20ac$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_json(sample) == expected.encode()


def test_rfc_8785_key_order() -> None:
    """Keys are ordered by UTF-16 code units (RFC 8785, section 3.2.3), so U+1F600 comes before U+FB33."""
    assert (
        canonical_json({"\ufb33": 1, "\U0001f600": 2, "1": 3}) == '{"1":3,"\U0001f600":2,"\ufb33":1}'.encode()
    )


def test_digest_is_of_canonical_bytes() -> None:
    """The digest of an empty object is the SHA-256 of `{}`."""
    assert digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@given(VALUES)
def test_reading_back(value: object) -> None:
    """Canonical bytes are canonical, and stand for the value they came from."""
    data = canonical_json(value)  # type: ignore[arg-type]
    assert parse_canonical(data) == value
    assert canonical_json(parse_canonical(data)) == data


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, "\ud800", b"bytes", {1: 2}, object(), [{"a": {1, 2}}]],
    ids=["nan", "infinity", "large", "surrogate", "bytes", "number key", "object", "set"],
)
def test_no_json_form(value: object) -> None:
    """What JSON cannot carry is refused, and the message does not quote it."""
    with pytest.raises(NotCanonical) as caught:
        canonical_json(value)  # type: ignore[arg-type]
    assert "9007199254740992" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b'{"a":1,"a":2}',
        b"NaN",
        b"1e999",
        b'"\\ud800"',
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"1" * 5000,
        b"1" * 400,
        b"[" * 100_000,
    ],
)
def test_not_strict_json(data: bytes) -> None:
    """Duplicate keys, NaN, infinities, surrogates, a byte order mark and endless nesting are refused."""
    with pytest.raises(NotCanonical):
        parse_json(data)


@pytest.mark.parametrize(
    "data", [b'{"b":1,"a":2}', b"9007199254740993", b"[1, 2]", b"1.0", b'"\\u0041"', b"{}\n"]
)
def test_other_spellings(data: bytes) -> None:
    """JSON that is valid but not canonical is refused where bytes are signed."""
    parse_json(data)
    with pytest.raises(NotCanonical):
        parse_canonical(data)


def test_depth_limit() -> None:
    """Nesting is allowed to `MAX_DEPTH` and no further."""
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    canonical_json(value)  # type: ignore[arg-type]
    with pytest.raises(NotCanonical):
        canonical_json([value])  # type: ignore[list-item]


@given(st.binary(max_size=40))
def test_base64_has_one_spelling(data: bytes) -> None:
    """Bytes have one base64 text, and no other text stands for them."""
    text = to_base64(data)
    assert from_base64(text) == data
    for other in (text + "\n", " " + text):
        with pytest.raises(NotCanonical):
            from_base64(other)


@pytest.mark.parametrize("text", ["e31=", "e30", "e30==", "e3-_", None, 3, "\u00e9"])
def test_other_base64(text: object) -> None:
    """Spare bits that are set, missing or extra padding, and other alphabets are refused."""
    with pytest.raises(NotCanonical):
        from_base64(text)  # type: ignore[arg-type]
