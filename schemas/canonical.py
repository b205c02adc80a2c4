"""Canonical JSON (RFC 8785) and its digest: the only bytes that Tallystick ever signs or digests."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NoReturn

import rfc8785

from schemas.errors import NotCanonical

JSON = None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
"""A JSON value. Whole numbers beyond 2^53 - 1 have no portable form and are refused (RFC 8785, 3.2.2.3)."""

MAX_DEPTH = 64
"""Deepest nesting that is read or written; far below where Python's own parser gives up."""


def canonical_json(value: JSON) -> bytes:
    """Return the canonical form of `value`: the same bytes for the same value, on every machine.

    Raises:
        NotCanonical: The value holds something that JSON cannot carry (NaN, a number beyond 2^53 - 1, an
            unpaired surrogate, bytes, a key that is not text) or is nested deeper than `MAX_DEPTH`.

    Source: RFC 8785, JSON Canonicalization Scheme.
    """
    try:
        return rfc8785.dumps(_plain(value, MAX_DEPTH))
    except rfc8785.CanonicalizationError:
        # The library's own message quotes the value, so it is not passed on.
        raise NotCanonical(
            "this value has no canonical JSON form.",
            remedy="Use text, true, false, null, finite numbers below 2^53, lists, objects with text keys.",
        ) from None


def digest(value: JSON) -> str:
    """Return `"sha256:"` and the hexadecimal SHA-256 of the canonical form of `value`."""
    return bytes_digest(canonical_json(value))


def bytes_digest(data: bytes) -> str:
    """Return `"sha256:"` and the hexadecimal SHA-256 of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def to_base64(data: bytes) -> str:
    """Return the base64 text of `data` (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(value: JSON) -> bytes:
    """Return the bytes that a base64 text stands for.

    Raises:
        NotCanonical: The value is not text, or not the one base64 text of its bytes: Python's own decoder lets
            the unused bits of the last character be anything (RFC 4648, section 3.5).
    """
    try:
        data = base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except ValueError:
        raise NotCanonical("this is not base64.") from None
    if to_base64(data) != value:
        raise NotCanonical("this is not the canonical base64 of its bytes.")
    return data


def parse_json(data: bytes) -> JSON:
    """Parse strict JSON: UTF-8, no duplicate keys, and only values that `canonical_json` takes.

    Raises:
        NotCanonical: The bytes are not such a document.
    """
    try:
        value: JSON = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constants,
            parse_int=_number,
        )
        canonical_json(value)
    except (ValueError, OverflowError, RecursionError, NotCanonical):
        raise NotCanonical("this is not strict JSON (RFC 8259, UTF-8, no duplicate keys).") from None
    return value


def parse_canonical(data: bytes) -> JSON:
    """Parse bytes that have to be the canonical form of their own value, so that one value has one encoding.

    Raises:
        NotCanonical: The bytes are not JSON, or not in canonical form.
    """
    value = parse_json(data)
    if canonical_json(value) != data:
        raise NotCanonical("this JSON is not in canonical form (RFC 8785).")
    return value


def _plain(value: JSON, depth: int) -> JSON:
    """Copy any mapping to `dict` and any sequence to `list`, as the canonicaliser knows only those."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if depth == 0:
        raise NotCanonical("this value is nested too deeply.")
    if isinstance(value, Mapping):
        return {key: _plain(item, depth - 1) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(item, depth - 1) for item in value]
    raise NotCanonical("this value is of a type that JSON cannot carry.")


def _no_duplicates(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def _number(text: str) -> int | float:
    """Read a whole number; beyond 2^53 - 1 it is a double, as every number of RFC 8785 is."""
    value = int(text)
    return value if abs(value) < 2**53 else float(value)


def _no_constants(_name: str) -> NoReturn:
    raise ValueError("NaN or infinity")
