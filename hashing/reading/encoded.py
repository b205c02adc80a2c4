"""The text of a file in whatever encoding it is, as UTF-8."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from schemas.errors import ExtractError

_ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_HEAD = 1 << 18
"""Bytes of text that the header must stand in."""
_CHUNK = 1 << 22
"""Bytes of the file that are decoded at a time."""
_HALF = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """What a first look at the whole file tells.

    Attributes:
        codec: Python's name of its encoding.
        encoding: The encoding in words.
        head: The first of the text as UTF-8, without byte-order mark and leading blank lines.
        whole: Whether `head` is all there is.
        size: Bytes of the whole text as UTF-8.
        start: Bytes of the file before `head`, where it is UTF-8.
        titles: Bytes of the text, as UTF-8, above the header line, which `head` begins with.
        above: Lines above the header line.
        odd_quotes: Whether the number of quotation marks is odd.
    """

    codec: str
    encoding: str
    head: bytes
    whole: bool
    size: int
    start: int
    odd_quotes: bool
    titles: int = 0
    above: int = 0


def _zeros(raw: bytes) -> tuple[float, float]:
    """Return the shares of zero bytes at even and at odd places."""
    head = raw[:4096]
    half = max(len(head) // 2, 1)
    return head[0::2].count(0) / half, head[1::2].count(0) / half


def _candidates(raw: bytes, source: str) -> tuple[str, ...]:
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return ("utf-16",)
    even, odd = _zeros(raw)
    # Western text in UTF-16 has a zero in every second byte and hardly one elsewhere; database exports lack the mark.
    if odd > _HALF and even < 0.01:
        return ("utf-16-le",)
    if even > _HALF and odd < 0.01:
        return ("utf-16-be",)
    if even or odd:
        remedy = "Export it as CSV."
        if raw[:2] == b"PK":
            remedy = "If it is an Excel workbook, give its name the ending .xlsx; otherwise export it as CSV."
        raise ExtractError("is not a text file.", where=source, remedy=remedy)
    return ("utf-8-sig", "cp1252")


def _utf8(path: Path, codec: str) -> Iterator[bytes]:
    """Yield the text of a file as UTF-8, without byte-order mark and leading blank lines.

    Raises:
        UnicodeDecodeError: It is not in this encoding.
        LookupError: There is no such encoding.
    """
    decoder = codecs.getincrementaldecoder(codec)()
    begun = False
    with path.open("rb") as stream:
        while raw := stream.read(_CHUNK):
            text = decoder.decode(raw)
            if not begun:
                text = text.lstrip("\ufeff").lstrip("\r\n")
                begun = bool(text)
            if text:
                yield text.encode()
        yield decoder.decode(b"", final=True).encode()


def _look_through(path: Path, codec: str) -> Text:
    head, size, quotes = b"", 0, 0
    for part in _utf8(path, codec):
        if len(head) < _HEAD:
            head += part[: _HEAD - len(head)]
        size += len(part)
        quotes += part.count(b'"')
    name = _ENCODINGS.get(codec) or ("Windows-1252" if codec == "cp1252" else codec)
    return Text(
        codec=codec,
        encoding=name,
        head=head,
        whole=size <= len(head),
        size=size,
        start=path.stat().st_size - size,
        odd_quotes=quotes % 2 == 1,
    )


def decoded(path: Path, encoding: str | None, source: str) -> Text:
    """Go through a file once, and return what it tells of its text.

    Args:
        path: The file.
        encoding: Its encoding, when the mapping states it; found out when None.
        source: The file, for messages.

    Raises:
        ExtractError: It is no text, or not in this encoding.
        OSError: It cannot be read.
    """
    with path.open("rb") as stream:
        raw = stream.read(4096)
    for candidate in (encoding,) if encoding else _candidates(raw, source):
        try:
            return _look_through(path, candidate)
        except UnicodeDecodeError:
            continue
        except LookupError:
            raise ExtractError(
                "this program knows no encoding of the name that the mapping gives.",
                where=source,
                remedy="Use a name such as utf-8, utf-16, windows-1252 or iso-8859-2.",
            ) from None
    if encoding:
        raise ExtractError(
            "is not text in the encoding that the mapping gives.",
            where=source,
            remedy="Correct `encoding`, or leave it out.",
        )
    raise ExtractError(
        "is not text in UTF-8, UTF-16 or Windows-1252.",
        where=source,
        remedy="Export it again as CSV UTF-8, or name its `encoding` in mapping.yaml.",
    )


class _Recoded(io.RawIOBase):
    """A file's text as a stream of UTF-8 bytes."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        while size < 0 or len(self._rest) < size:
            part = next(self._parts, None)
            if part is None:
                break
            self._rest += part
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def opened(path: Path, text: Text) -> pa.NativeFile:
    """Open the text of a file as UTF-8, from its header line on."""
    if codecs.lookup(text.codec).name in {"utf-8-sig", "utf-8", "ascii"}:
        stream = pa.OSFile(str(path))
        stream.seek(text.start + text.titles)
        return stream
    recoded = _Recoded(_utf8(path, text.codec))
    recoded.read(text.titles)
    return pa.PythonFile(recoded, mode="r")
