"""Which character set a page is written in: its first bytes, the header, what it says of itself, what it can be."""

from __future__ import annotations

import codecs
import re

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_DECLARED = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})|<\?xml[^>]{0,100}encoding=[\"']([\w.:-]{1,40})",
    re.IGNORECASE,
)
_LOOKED_AT = 4096


def decoded(data: bytes, declared: str | None) -> str:
    """The text; what cannot be read is replaced."""
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(charset, "replace")
    match = _DECLARED.search(data[:_LOOKED_AT])
    said = (match[1] or match[2]).decode() if match else None
    for name in (declared, said):
        charset_found = _known(name)
        if charset_found is not None:
            return data.decode(charset_found, "replace")
    try:
        # The end may be cut within a character.
        return codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return data.decode("windows-1252", "replace")


def _known(name: str | None) -> str | None:
    """Only what makes text of bytes; «iso-8859-1» means windows-1252 on the web."""
    try:
        found = codecs.lookup(name or "")
    except (LookupError, ValueError):
        return None
    if not found._is_text_encoding:
        return None
    return "windows-1252" if found.name in ("iso8859-1", "ascii") else found.name
