"""Small text files that a person wrote, as the editors and shells of Windows save them."""

from __future__ import annotations

import codecs


def marked_text(content: bytes) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with its mark, as PowerShell's `>` writes it, without marks.

    Raises:
        UnicodeDecodeError: It is in another encoding.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")
